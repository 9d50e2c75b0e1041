/* degraded - which promise ingest keeps only in part just now, in plain words, for /status, `desg
 * status` and metrics. Pure. */
#ifndef DESG_INGEST_DEGRADED_H
#define DESG_INGEST_DEGRADED_H

#include <stdbool.h>

#include <jansson.h>

#include "ingest/custody.h"
#include "journal/journal.h"

enum degraded_state {
    DEGRADED_NO_ROUTE,      /* no route process is connected */
    DEGRADED_REDIS_AWAY,    /* route answers Busy */
    DEGRADED_REDIS_UNKNOWN, /* no history yet: nothing counts as applied */
    DEGRADED_NO_CLASSIFIER, /* none at all, or none for a channel that waits */
    DEGRADED_TRIAGE_LATE,
    DEGRADED_REPLAYING,
    DEGRADED_DEFERRED,
    DEGRADED_PROVISIONAL,
    DEGRADED_JOURNAL_GETTING_FULL,
    DEGRADED_JOURNAL_FULL,
    DEGRADED_JOURNAL_DEAD,
    DEGRADED_ARCHIVE_FAILING,
    DEGRADED_DRAINING,
    DEGRADED_ADOPTING,
    DEGRADED_COUNT
};

/* redis-away, …: for metrics and programs. */
const char *degraded_name(enum degraded_state state);

struct degraded_input {
    const struct custody_status *dispatch;
    const struct journal_stats *journal;
    bool is_draining;
    bool is_adopting;
};

void degraded_judge(const struct degraded_input *input, bool is_degraded[DEGRADED_COUNT]);

/* [{"state", "text"}], the gravest first; empty: all is well. */
json_t *degraded_describe(const struct degraded_input *input);

#endif
