/* rebuild - has everybody who keeps facts (desk, notify) said again to Redis what he knows? Until
 * then an emptied Redis cannot tell which old alerts dispatch has heard of. Pure. Threads: one. */
#ifndef DESG_NOTIFY_REBUILD_H
#define DESG_NOTIFY_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "ids/ids.h"

enum { REBUILD_SOURCES_MAX = 64 };

struct rebuild {
    struct id sources[REBUILD_SOURCES_MAX]; /* ever heard of, our own first */
    size_t count;
};

void rebuild_init(struct rebuild *self, const struct id *own_source);

/* rows: as store_sources gives them. True if every source ever heard of has caught up. One that
 * Redis does not name (any more) has not. */
bool rebuild_is_over(struct rebuild *self, const json_t *rows);

#endif
