/* custody - who holds which event between commit and DONE: ingest's part of the delivery protocol
 * as a pure state machine (docs/delivery.md). No I/O, no clock: what happened goes in with now_ms,
 * what to do next is asked for. The dispatcher runs it; so can a simulator.
 *
 * Every committed sequence is in exactly one place: not loaded yet (new), held in memory, deferred
 * (to be read from the journal again), provisional (applied as unclassified, to be offered again
 * when triage is back), or done under the current history of Redis. The mark is the end of the
 * unbroken run of done ones. Threads: the owner's. */
#ifndef DESG_INGEST_CUSTODY_H
#define DESG_INGEST_CUSTODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "ids/ids.h"
#include "ingest/split.h"

enum {
    CUSTODY_BATCH_MAX_ITEMS = 32,
    CUSTODY_BATCH_MAX_BYTES = 512 << 10,
    CUSTODY_HISTORY_BYTES = 64,
    CUSTODY_CHANNELS_MAX = 16,
    CUSTODY_CHANNEL_BYTES = 24
};

struct custody;

/* Times in milliseconds; custody_default_limits() gives design.md's. */
struct custody_limits {
    size_t held_events_max; /* memory bounds: both */
    size_t held_bytes_max;
    int64_t hedge_ms;           /* unseen, or urgent without DONE: again another way */
    int64_t bypass_ms;          /* unseen so long: to route as unclassified */
    int64_t bypass_replayed_ms; /* the same for what was received before the start */
    int64_t retry_ms;           /* bulk without DONE; doubles up to retry_max_ms */
    int64_t retry_max_ms;
    int64_t return_ms; /* a worker gone so long, while others are there, has died */
    int64_t lost_ms;   /* a credit unanswered so long on a live connection is taken back */
    int64_t probe_ms;  /* one probe batch of deferred events in this time while route is busy */
    int64_t hello_ms;
    int64_t mark_ms;
    int64_t beat_ms;         /* the mark is stored anew so often though it has not moved */
    int64_t settles_ms;      /* a mark that stood so long in Redis is not lost any more */
    int64_t history_wait_ms; /* at start: after this, replay what has no verdict though Redis is
                                silent */
};
struct custody_limits custody_default_limits(void);

struct custody *custody_new(const struct custody_limits *limits, uint64_t oldest, uint64_t newest,
                            int64_t now_ms);
void custody_destroy(struct custody **self_p);

/* --- what happened --- */

void custody_committed(struct custody *self, uint64_t newest);

/* A record read from the journal. Takes over split (it is empty afterwards). Notes: what the
 * journal kept per event. */
struct custody_note {
    const uint8_t *verdict; /* NULL: none kept */
    size_t verdict_length;
    struct id event_id; /* whom the verdict is of; it counts for no other */
    uint32_t index;
    bool is_alerted;
    bool is_suspect; /* a worker died or refused while it held it among others */
    uint8_t deaths;  /* workers that died holding it alone */
};
struct custody_record {
    uint64_t sequence;
    bool is_replayed; /* received before this start, or long ago */
    bool is_old;      /* so long ago that nobody is alerted of it while Redis is away */
    struct split *split;
    const struct custody_note *notes;
    size_t note_count;
};
void custody_load(struct custody *self, const struct custody_record *record, int64_t now_ms);
/* The id of an event in memory. False: it is not there. */
bool custody_event_id(struct custody *self, uint64_t sequence, uint32_t index, struct id *out);
/* first..last are not in the journal (any more): nothing to do for them. */
void custody_absent(struct custody *self, uint64_t first, uint64_t last);

/* Who a worker is. instance: of its process; one that comes back with the same did not die.
 * channels: borrowed until worker_down; count 0 = all. */
struct custody_worker {
    struct id instance;
    uint32_t credit;
    const char *const *channels;
    size_t channel_count;
};
void custody_worker_up(struct custody *self, uint64_t worker, const struct custody_worker *who,
                       int64_t now_ms);
void custody_worker_down(struct custody *self, uint64_t worker, bool is_drain, int64_t now_ms);
void custody_route_up(struct custody *self, uint64_t route, uint32_t credit);
void custody_route_down(struct custody *self, uint64_t route, int64_t now_ms);

/* peer, a worker or a route, said that it is going: it answers for what it has and gets no more. */
void custody_drains(struct custody *self, uint64_t peer);

void custody_seen(struct custody *self, uint64_t worker, uint64_t sequence, uint32_t index,
                  Desg__V1__Severity severity, int64_t now_ms);
/* Credits that answers of peer gave back since this was last asked. */
uint32_t custody_take_returned(struct custody *self, uint64_t peer);

enum custody_answer { CUSTODY_DONE, CUSTODY_PROVISIONAL, CUSTODY_BUSY, CUSTODY_REFUSED };
/* An end-to-end answer, passed on by a classify worker or from a route spoken to directly (peer).
 * history: of DONE and PROVISIONAL. Returns true if the event is done now (its verdict is worth
 * keeping). */
bool custody_answered(struct custody *self, uint64_t peer, uint64_t sequence, uint32_t index,
                      enum custody_answer answer, const char *history, bool is_alerted,
                      int64_t now_ms);
/* The verdict noted of an event that is done, while others of its record are not: should all be
 * offered again, it goes with the event, as it would out of the journal. */
void custody_keep_verdict(struct custody *self, uint64_t sequence, uint32_t index,
                          const uint8_t *verdict, size_t length);

/* The answer to HELLO number; any but the last one's is passed over
 * (false). Another history, or
 * one without our mark, counts only once a first mark of ours is stored under it (the one found,
 * else 0): then all from there is offered again. So whatever is acknowledged came after a mark that
 * we know, and a Redis that was flushed or set back since, which keeps its history, can be told by
 * it. history "": Redis is away. */
bool custody_history(struct custody *self, uint64_t number, const char *history, bool has_mark,
                     uint64_t mark);
/* The answer to MARK number; any but the last one's is passed over (false). */
bool custody_marked(struct custody *self, uint64_t number, const char *history, uint64_t sequence,
                    bool is_stored);

/* Whether acknowledgements count just now. */
bool custody_has_history(const struct custody *self);

/* Redis may not hold what it answered for, though its history is the same (an older image of its
 * machine): no mark until the next History, which counts as that of another Redis. */
void custody_distrust(struct custody *self);

/* Rises with each replay from a mark. Answers to batches sent under a lower fence are void: only
 * the credit comes back. */
uint64_t custody_fence(const struct custody *self);
void custody_answered_stale(struct custody *self, uint64_t peer, uint64_t sequence, uint32_t index);

/* A person wants it tried again (quarantine): offered anew with its suspicions forgotten, in the
 * journal too. False: there is no such record. */
bool custody_retry(struct custody *self, uint64_t sequence);
/* A person wants first..last offered again, whatever was answered before: done and mark stay as
 * they are, what is applied already collapses. Outlives a change of history, not a restart. Returns
 * how many sequences that are. */
uint64_t custody_replay(struct custody *self, uint64_t first, uint64_t last);

/* Time passed: hedges, bypasses, retries. */
void custody_tick(struct custody *self, int64_t now_ms);

/* No new loads from now on. */
void custody_drain(struct custody *self);

/* --- what to do --- */

/* Which records to read next: from first, none after last. False: nothing now. */
bool custody_next_load(struct custody *self, int64_t now_ms, uint64_t *first, uint64_t *last,
                       size_t *max_records);

struct custody_item {
    uint64_t sequence;
    uint32_t index;
    const struct split_event *event;
    const uint8_t *verdict; /* kept from before; NULL: none */
    size_t verdict_length;
    bool is_alerted;
    bool is_replayed;
    const char *quarantine_reason; /* not NULL: poison, to route */
};
struct custody_batch {
    uint64_t peer;
    bool is_to_route; /* else to a worker */
    struct custody_item items[CUSTODY_BATCH_MAX_ITEMS];
    size_t count;
};
/* The next batch to send; it counts as sent. False: nothing now. Pointers live until the next call
 * that changes state. */
bool custody_next_batch(struct custody *self, int64_t now_ms, struct custody_batch *batch);
/* The batch could not be handed to its peer. */
void custody_not_sent(struct custody *self, const struct custody_batch *batch, int64_t now_ms);

/* What should be written beside a record: verdict fields are not used. False: nothing. */
bool custody_next_note(struct custody *self, uint64_t *sequence, struct custody_note *note);

/* Should a HELLO, or a MARK of *sequence under *history, be sent to *route now? */
bool custody_next_hello(struct custody *self, int64_t now_ms, uint64_t *route, uint64_t *number);
bool custody_next_mark(struct custody *self, int64_t now_ms, uint64_t *route, uint64_t *number,
                       const char **history, uint64_t *sequence);

/* --- how it stands --- */

/* A channel that events came of since the start. */
struct custody_channel_status {
    char name[CUSTODY_CHANNEL_BYTES];
    bool is_served;       /* a classify worker takes it */
    size_t unseen_events; /* in memory, triage has not looked */
    uint64_t provisional_records;
};

struct custody_status {
    uint64_t newest;
    uint64_t unloaded; /* committed, not read yet */
    size_t held_records;
    size_t held_events;
    uint64_t deferred;    /* records */
    uint64_t provisional; /* records */
    uint64_t replaying;   /* records of a replay that are not applied again yet */
    uint64_t done_through;
    uint64_t marked;
    int64_t settles_ms;        /* of the limits */
    int64_t mark_stands_ms;    /* since it last moved or the history changed */
    int64_t mark_confirmed_ms; /* since Redis last said that it has it; -1: it has not */
    size_t workers;
    size_t routes;
    bool is_route_busy;
    bool is_history_known;
    int64_t oldest_unseen_ms; /* age of the oldest held event triage has not looked at; 0: none */
    struct custody_channel_status channels[CUSTODY_CHANNELS_MAX];
    size_t channel_count;
    uint64_t hedges, bypasses, retries, suspects, quarantined, rewinds, stale_dones, lost_credits;
};
void custody_status(const struct custody *self, int64_t now_ms, struct custody_status *out);
/* All of it answered and nothing in hand. */
bool custody_is_idle(const struct custody *self);
/* Nothing of this journal is needed any more: all that was committed is applied under the current
 * history, and the mark that says so has stood in Redis for longer than its file may lag behind
 *(settles_ms). */
bool custody_is_settled(const struct custody_status *status);
enum { CUSTODY_CONFIRMED_MS = 6000 };

#endif
