/* best_waiting - claims the best conversation for an agent who may not see the restricted ones,
 * which are passed over as if they were not there. */
#ifndef DESG_DESK_BEST_WAITING_H
#define DESG_DESK_BEST_WAITING_H

#include <jansson.h>

#include "error/error.h"
#include "store/store.h"

/* queue NULL: by the order of store_claim. As store_claim: *out NULL if nothing waits. */
int best_waiting_claim(struct store *store, const char *agent, const char *queue, json_t **out,
                       struct error *err) MUST_USE;

#endif
