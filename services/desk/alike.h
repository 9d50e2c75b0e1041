/* alike - which conversations of a list are near-copies of one event, so that a flood can be looked
 * at as one. Only marks: order, claims and what is shown stay as they are. */
#ifndef DESG_DESK_ALIKE_H
#define DESG_DESK_ALIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "ids/ids.h"
#include "store/store.h"
#include "triage/sketch.h"

struct alike_row {
    bool has_sketch;
    struct sketch sketch;
    int severity; /* of another severity or restricted class is never alike */
    int restricted;
    int64_t at_ms; /* the event's */
    struct id event;
    size_t group; /* out: the oldest row it is alike to, by number; its own: none is older */
};

/* Fills in the groups. Every member of a group is alike to its oldest. The same rows in any order
 * give the same groups; time grows with count alone. -1 ERROR_SYSTEM. */
int alike_group(struct alike_row *rows, size_t count, struct error *err) MUST_USE;

/* Gives rows of a queue (store_queue_list) "alike": {"group": id of the oldest event, "count"}
 * where there are others like it among them. A conversation is marked by its newest event that
 * waits, and only if all that waits in it is alike. Rows the caller may not see must be gone
 * before. */
int alike_mark(struct store *store, json_t *rows, struct error *err) MUST_USE;

#endif
