/* broadcast_like - which broadcasts of late, or that hold now, say much the same: pointed out
 * before somebody approves the same thing twice. */
#ifndef DESG_DESK_BROADCAST_LIKE_H
#define DESG_DESK_BROADCAST_LIKE_H

#include <jansson.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "store/store.h"

/* How alike, 0 to 1: the language in which they are most alike. */
double broadcast_likeness(const Desg__V1__Broadcast *one, const Desg__V1__Broadcast *other);

/* Those changed since since_ms or still published, but broadcast itself:
 * [{"broadcast","version","state","written_at_ms","likeness"}], the most alike first. Looks at the
 * newest few dozen. -1: Redis is away. */
int broadcast_like(struct store *store, const Desg__V1__Broadcast *broadcast, int64_t since_ms,
                   json_t **out, struct error *err) MUST_USE;

/* The newest version of what store_broadcast_get answered; NULL: not understood. Freed with
 * free_unpacked. */
Desg__V1__Broadcast *broadcast_of_row(const json_t *row);

#endif
