/* status_json - the pieces of /status that several parts of notify show. Without memory the process
 * ends: half a status would be taken for a whole one. Threads: any. */
#ifndef DESG_NOTIFY_STATUS_JSON_H
#define DESG_NOTIFY_STATUS_JSON_H

#include <jansson.h>

#include "journal/journal.h"

/* Each takes value, which may be NULL for want of memory. */
void status_put(json_t *object, const char *name, json_t *value);
void status_append(json_t *array, json_t *value);

/* Adds "journal": its state and sequences. */
void status_put_journal(json_t *object, struct journal *journal);

/* Adds "redis". */
void status_put_redis(json_t *object, const char *state, const char *problem);

#endif
