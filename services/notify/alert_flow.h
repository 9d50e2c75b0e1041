/* alert_flow - alerts through the process: in from the stream and from AlertOrders, into the
 * journal, then acknowledged to whoever brought them, then to dispatch, and back by callbacks. The
 * hands of alert_book, which decides. Replies and broadcasts will be flows beside it, with the same
 * journal, inbox and outbound.
 * Threads: one lock inside. _describe and _list may be called from any thread, all else from the
 * loop's. */
#ifndef DESG_NOTIFY_ALERT_FLOW_H
#define DESG_NOTIFY_ALERT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "desg/v1/alert.pb-c.h"
#include "desg/v1/packet.pb-c.h"
#include "error/error.h"
#include "journal/journal.h"
#include "metrics/metrics.h"
#include "notify/alert_book.h"
#include "notify/callback_server.h"
#include "notify/inbox.h"
#include "notify/outbound.h"
#include "notify/rebuild.h"

/* Where the flow's news goes. Called on the loop's thread with the flow's lock held: quick, and
 * never back into the flow. */
struct alert_flow_sinks {
    void (*stream_done)(void *arg, const char *stream_id, bool is_stored);
    void (*alerted)(void *arg, uint64_t peer, const struct id *alert);
    /* Whether Redis knows this alert, which is not known here: alert_flow_looked_up is to be called
     * with the answer. */
    void (*look_up)(void *arg, const struct callback_message *message,
                    struct callback_ticket *ticket);
    void (*failed)(void *arg, const struct error *err); /* the process must stop */
    void *arg;
};

struct alert_flow_options {
    struct journal *journal;   /* borrowed, as all pointers here */
    struct outbound *outbound; /* target 0: dispatch, target 1: second path */
    struct inbox *inbox;
    struct metrics *metrics;
    struct rebuild *known; /* gets the sources of facts the journal names, while _new runs */
    const char *source;    /* CloudEvents source */
    const struct ladder_step *ladder;
    size_t ladder_count;
    bool has_second_path;
    int64_t retention_ms;
    int64_t test_interval_ms; /* 0: no standing test */
    uint64_t seed;
    struct alert_flow_sinks sinks;
};

struct alert_flow;

/* Reads the journal: what was open goes on. */
struct alert_flow *alert_flow_new(const struct alert_flow_options *options,
                                  struct error *err) MUST_USE;
/* After journal, outbound and inbox have ended: their items point here. */
void alert_flow_destroy(struct alert_flow **self_p);

/* A serialised Alert from the stream; every stream_id gets its stream_done. Nothing is refused:
 * bytes that are no Alert become an alert of their own. */
void alert_flow_take_stream(struct alert_flow *self, const char *stream_id, const uint8_t *order,
                            size_t length);
/* Alerts straight from route or classify; each stored one is answered by alerted. */
void alert_flow_take_order(struct alert_flow *self, uint64_t peer,
                           const Desg__V1__AlertOrder *order);
void alert_flow_callback(struct alert_flow *self, const struct callback_message *message,
                         struct callback_ticket *ticket);
/* The answer to look_up. is_asked: Redis could be asked; is_known: it has the alert, so another
 * replica does: the word is kept here all the same, and Redis carries it there. */
void alert_flow_looked_up(struct alert_flow *self, const struct callback_message *message,
                          struct callback_ticket *ticket, bool is_asked, bool is_known);

/* --- what others know: Redis is asked about open alerts by a thread of its own --- */

struct alert_open_row {
    struct id id;
    bool is_quiet;            /* old: waits to hear whether it was told before */
    int64_t promoted_unix_ms; /* as the entry's: what was said before is not about it */
};
/* Open alerts from the one at *cursor on (0 first), at most max; *cursor moves on, to 0 behind the
 * last. Any thread. */
size_t alert_flow_open_rows(struct alert_flow *self, size_t *cursor, struct alert_open_row *rows,
                            size_t max);

/* What Redis says of an alert open here. */
struct alert_elsewhere {
    bool is_accepted;                /* dispatch has it, by another replica */
    bool is_acknowledged;            /* a dispatcher or the desk has spoken: message says who */
    struct callback_message message; /* its alert is always set */
};
void alert_flow_elsewhere(struct alert_flow *self, const struct alert_elsewhere *news);

/* Redis named this source of facts: the journal keeps it for the next start. Any thread. */
void alert_flow_heard_of(struct alert_flow *self, const struct id *source);

/* Ids of the alerts that go with a digest, at most 200; 0: id is no digest. Any thread. */
size_t alert_flow_members(struct alert_flow *self, const struct id *digest, struct id *out);

/* Does all that is due. Returns when there may be more (monotonic ms; INT64_MAX: when something
 * comes in). */
int64_t alert_flow_run(struct alert_flow *self);
/* About once a second: gauges, the journal's room, what the journal refused, the standing test. */
void alert_flow_tick(struct alert_flow *self);

/* From now on first tries only. */
void alert_flow_drain(struct alert_flow *self);
bool alert_flow_is_drained(struct alert_flow *self);

/* Adds open, unaccepted … to /status. */
void alert_flow_describe(struct alert_flow *self, json_t *detail);
/* Open alerts, oldest first, at most limit: ids, states, times. */
json_t *alert_flow_list(struct alert_flow *self, size_t limit);

#endif
