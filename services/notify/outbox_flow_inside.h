/* outbox_flow_inside - what the files of the flow share: outbox_flow.c (in, steps, Redis),
 * outbox_calls.c (requests and answers), outbox_keep.c (the journal), outbox_view.c (metrics,
 * status). Nobody else includes it. */
#ifndef DESG_NOTIFY_OUTBOX_FLOW_INSIDE_H
#define DESG_NOTIFY_OUTBOX_FLOW_INSIDE_H

#include <pthread.h>

#include "ids/trace.h"
#include "notify/carries.h"
#include "notify/outbox_book.h"
#include "notify/outbox_flow.h"
#include "notify/outbox_plan.h"

enum { OUTFLOW_ACCOUNT_TIMEOUT_MS = 10000 }; /* of a call; outlets have one of their own */

struct outbox_metrics {
    struct gauge *waiting[OUTBOX_CLASS_COUNT];
    struct gauge *oldest_seconds[OUTBOX_CLASS_COUNT];
    struct gauge *unknown;
    struct gauge *places_owned;
    struct gauge *frozen;
    struct counter *not_journalled;
    struct histogram *call_seconds[2];
    struct histogram *send_seconds[OUTBOX_CLASS_COUNT];
};

/* What the flow knows of a place beside the book, under the same number. */
struct outbox_spot {
    struct outbox_way way;
    struct counter *sent_total, *later_total, *refused_total;
    struct gauge *blocked;
    uint64_t sent, later, refused; /* counted so far */
    bool was_blocked;
    bool was_broken;
    int64_t token_changed; /* of the token file, as last seen */
};

struct outbox_flow {
    struct outbox_flow_options options;
    pthread_mutex_t lock; /* guards all below */
    struct outbox_book *book;
    struct outbox_spot spots[OUTBOX_PLACES_MAX];
    struct outbox_metrics metrics;
    uint64_t newest_sequence; /* journal records up to here are in the book */
    size_t storing;           /* accepted records on their way to the disk */
    struct carries carries;
    int64_t forget_ms;
    int64_t token_ms;
    int64_t journal_alarmed_ms;
    bool has_journal_alarmed;
    bool is_draining;
};

/* One request on its way; comes back through the inbox. */
struct outbox_job {
    struct inbox_item item_in;
    struct outbox_flow *flow;
    struct outbox_item *item; /* NULL: a probe */
    struct outbox_place *place;
    uint32_t part;
    enum outbox_deed deed;
    bool is_look;
    int64_t since_unix_ms; /* look */
    struct platform_request request;
    struct outbound_call call;
    const char *lines[PLATFORM_HEADERS_MAX];
    char traceparent[sizeof "traceparent: " + TRACE_PARENT_BYTES];
    enum journal_outcome outcome; /* WRITE */
};
void outbox_job_free(struct outbox_job *job);

const struct outbox_way *outflow_way(const struct outbox_flow *self,
                                     const struct outbox_place *place);

/* outbox_calls.c */
void outflow_write(struct outbox_flow *self, struct outbox_item *item);
void outflow_call(struct outbox_flow *self, struct outbox_item *item);
void outflow_look_there(struct outbox_flow *self, struct outbox_item *item);
void outflow_probe(struct outbox_flow *self, struct outbox_place *place);

/* outbox_keep.c */
void outflow_store(struct outbox_flow *self, struct outbox_item *item);
void outflow_tell(struct outbox_flow *self, const struct outbox_tell *tell);
void outflow_keep_journal(struct outbox_flow *self, int64_t now_ms);
void outflow_not_journalled(struct outbox_flow *self, const struct error *err);
int outflow_replay(struct outbox_flow *self, struct error *err);
/* For the carries: an item is where its records are now. */
void outflow_moved(void *arg, const struct id *id, uint64_t old_sequence, uint64_t sequence);

/* outbox_view.c */
void outflow_metrics_init(struct outbox_flow *self);
void outflow_spot_init(struct outbox_flow *self, const struct outbox_place *place);
void outflow_show(struct outbox_flow *self, int64_t now_ms, int64_t unix_ms);
void outflow_note_places(struct outbox_flow *self);

#endif
