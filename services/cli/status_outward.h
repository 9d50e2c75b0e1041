/* status_outward - the way out for desg status: a freeze, what is blocked, what waits for a person.
 */
#ifndef DESG_CLI_STATUS_OUTWARD_H
#define DESG_CLI_STATUS_OUTWARD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "store/store.h"

/* {"freeze": null or as store_freeze_get has it, "places": {…}, "unknown": n, "tasks": n}; NULL:
 * err says why. */
json_t *status_outward_ask(struct store *store, struct error *err) MUST_USE;

/* Lines of the banner as an array of texts, the most important first; empty: nothing to be said.
 * outward may be NULL. */
json_t *status_outward_banner(const json_t *outward, int64_t now_unix_ms);

/* An account or outlet is blocked: somebody has to mend it. */
bool status_outward_is_blocked(const json_t *outward);

#endif
