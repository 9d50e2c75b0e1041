/* projector - keeps what a journal of facts holds applied in Redis: what ingest does for events
 * through route, desk and notify do with it for what people decided and dispatch answered. One
 * thread with a connection of its own reads records in order, has them applied, and moves the
 * source's mark; another history of Redis, or a mark that is lower or missing, means: again from
 * the mark found (design: the mark fenced by history, docs/delivery.md). Once all that was there is
 * applied it reports the source as caught up, which a quiet rebuild waits for. A record that Redis
 * refuses for itself is found among its neighbours, tried some times more, then put aside: it stays
 * in the journal, is named in Redis beside the mark and in the status, and is tried again at each
 * start and each time Redis lost what was applied.
 * Threads: as said per function. */
#ifndef DESG_PROJECTOR_H
#define DESG_PROJECTOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "journal/journal.h"
#include "service/service.h"
#include "store/store.h"

struct projector;

/* Between a journal's committed hook and the projector: the journal is opened first, since the
 * projector reads it, and outlives the projector on the way down, and its committer knows nothing
 * of either. Belongs to whoever has both; must outlive both. */
struct projector_hook {
    pthread_mutex_t lock;
    struct projector *projector; /* NULL: none yet, or no more */
};
void projector_hook_init(struct projector_hook *self);
/* For journal_options.committed, self as its argument: wakes the projector there is. Cheap. */
void projector_hook_committed(void *self, uint64_t last_sequence);
void projector_hook_clear(struct projector_hook *self);

struct projector_options {
    struct journal *journal;     /* borrowed, as all below */
    struct projector_hook *hook; /* of that journal: from projector_new to projector_destroy */
    const struct config_redis *redis;
    const char *force;
    const struct store_queues *queues; /* grades a fact may set; NULL: the built-in ones */
    const char *kind;                  /* desk, notify: literal */
    const char *name;                  /* of the process */
    struct metrics *metrics;
    const char *metrics_labels;  /* literal, where a process has two of them; NULL: none */
    struct heartbeat *heartbeat; /* may be NULL (tests) */
    /* Applies records, in order. 0: all of them are in Redis under history. ERROR_INVALID, or any
     * failure with store_was_refused: it is the records' own fault; the text names no content.
     * Damaged records are not shown. Called on the projector's thread. */
    int (*apply)(void *arg, struct store *store, const struct journal_record *records, size_t count,
                 char history[STORE_HISTORY_BYTES], struct error *err);
    void *arg;
};

/* Starts the thread. */
struct projector *projector_new(const struct projector_options *options,
                                struct error *err) MUST_USE;
/* Ends it. */
void projector_destroy(struct projector **self_p);

struct projector_status {
    uint64_t newest;
    uint64_t marked;
    bool is_caught_up; /* under the live history, as of the last look */
    bool is_redis_away;
    uint64_t rewinds;
    uint64_t put_aside; /* records Redis does not have because it refuses them */
};
/* Any thread. */
void projector_status(const struct projector *self, struct projector_status *out);
/* Adds "projector" to detail. Any thread. */
void projector_describe(const struct projector *self, json_t *detail);

#endif
