/* rebuild - has everybody who keeps facts (desk, notify) said again to Redis what he knows? Until
 * then an emptied Redis cannot tell which old alerts dispatch has heard of. Pure. Threads: one. */
#ifndef DESG_NOTIFY_REBUILD_H
#define DESG_NOTIFY_REBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ids/ids.h"

enum { REBUILD_SOURCES_MAX = 64, REBUILD_NOTE_EVERY_MS = 3600000 };

struct rebuild {
    struct rebuild_source {
        struct id id;
        bool is_noted;
        int64_t noted_ms;
    } sources[REBUILD_SOURCES_MAX]; /* ever heard of, our own first */
    size_t count;
};

void rebuild_init(struct rebuild *self, const struct id *own_source);

/* One heard of before this process began, by its journal. */
void rebuild_remember(struct rebuild *self, const struct id *source);

/* The next source that Redis names and that is to be noted in the journal, where a note lasts for
 * the retention time only. False: none. */
bool rebuild_next_note(struct rebuild *self, const json_t *rows, int64_t now_ms, struct id *out);

/* rows: as store_sources gives them. True if every source ever heard of has caught up. One that
 * Redis does not name (any more) has not. */
bool rebuild_is_over(struct rebuild *self, const json_t *rows);

#endif
