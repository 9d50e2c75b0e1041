/* alert_flow_inside - what the files of the flow share: alert_flow.c (in and journal),
 * alert_flow_out.c (posts, ladder, digests), alert_flow_view.c (status, gauges). Nobody else
 * includes it. */
#ifndef DESG_NOTIFY_ALERT_FLOW_INSIDE_H
#define DESG_NOTIFY_ALERT_FLOW_INSIDE_H

#include <pthread.h>

#include "notify/alert_flow.h"
#include "notify/answer.h"
#include "notify/carries.h"
#include "notify/standing_test.h"
#include "notify/unclassified_rate.h"

enum { FLOW_ANSWERS = ANSWER_GONE + 1 };

enum flow_path_in { PATH_IN_STREAM, PATH_IN_PROVISIONAL, PATH_IN_COUNT };

/* Who is to be told once an alert is in the journal. */
struct flow_waiter {
    struct flow_waiter *next; /* of those for an alert just being stored */
    struct id alert;
    uint64_t peer;      /* 0: the stream */
    char stream_id[32]; /* "": nobody */
};

struct flow_metrics {
    struct counter *alerts[PATH_IN_COUNT];
    struct counter *attempts[ALERT_PATH_COUNT][FLOW_ANSWERS];
    struct counter *digest_members;
    struct counter *not_journalled;
    struct counter *elsewhere;
    struct histogram *accept_seconds;
    struct gauge *open;
    struct gauge *unaccepted;
    struct gauge *unacknowledged;
    struct gauge *oldest_unaccepted_seconds;
    struct gauge *refused[ALERT_PATH_COUNT];
    struct gauge *test_failed;
};

struct flow_path_state { /* of one path, for people */
    char last_error[32]; /* "" since the last success */
    int64_t alarmed_ms;  /* when somebody was last called */
    bool has_alarmed;
};

struct alert_flow {
    struct alert_flow_options options;
    pthread_mutex_t lock; /* guards all below */
    struct alert_book *book;
    struct flow_waiter *waiters;
    struct flow_metrics metrics;
    struct flow_path_state paths[ALERT_PATH_COUNT];
    struct standing_test test;
    struct unclassified_rate unclassified;
    uint64_t newest_sequence; /* journal records up to here are in the book */
    size_t storing;           /* alert records on their way to the disk */
    struct carries carries;
    int64_t forget_ms;
    int64_t journal_alarmed_ms;
    bool has_journal_alarmed;
    bool is_draining;
};

/* Takes alert, whose id is sound, as if it came from path_in, for waiter. */
void flow_take(struct alert_flow *self, const Desg__V1__Alert *alert, enum flow_path_in path_in,
               const struct flow_waiter *waiter);
/* Queues the entry's first record. Returns 0, or -1 with the entry unstored. */
int flow_store_digest(struct alert_flow *self, struct alert_entry *entry);
/* Takes up what the journal refused before, and moves old live alerts so that their records can go.
 */
void flow_keep_journal(struct alert_flow *self, int64_t now_ms);
void flow_journal_refused(struct alert_flow *self, const struct error *err);

void flow_begin_test(struct alert_flow *self, int64_t now_ms);

void flow_metrics_init(struct alert_flow *self);
void flow_show(struct alert_flow *self, int64_t now_ms);

/* Journals what a dispatcher said; ticket (NULL: nobody waits) is answered once that is done. */
int flow_store_callback(struct alert_flow *self, const struct callback_message *message,
                        struct callback_ticket *ticket);

#endif
