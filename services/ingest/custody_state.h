/* custody_state - what the files of custody share: custody.c (records and answers),
 * custody_peers.c, custody_blame.c, custody_history.c, custody_time.c (what happened),
 * custody_plan.c (what to do), custody_status.c. Private to them. */
#ifndef DESG_INGEST_CUSTODY_STATE_H
#define DESG_INGEST_CUSTODY_STATE_H

#include <sys/queue.h>

#include "ingest/custody.h"
#include "ingest/ranges.h"

enum held_state {
    HELD_WAITING,  /* for a worker */
    HELD_SENT,     /* to a worker, not seen */
    HELD_SEEN,     /* triage has looked; no DONE */
    HELD_TO_ROUTE, /* waiting to go to route directly */
    HELD_ROUTED,   /* sent to route directly */
    HELD_DONE,     /* the rest are final: nothing is expected any more */
    HELD_DEFERRED,
    HELD_PROVISIONAL,
};

struct held_event {
    TAILQ_ENTRY(held_event) entry;
    struct held_list *list; /* it is queued in; NULL: none */
    struct held_record *record;
    uint32_t index;
    size_t channel; /* its place in channels */
    enum held_state state;
    Desg__V1__Severity severity;
    uint64_t peer;         /* that holds it or last did */
    int64_t offered_at_ms; /* to triage: patience counts from here */
    int64_t sent_at_ms;
    uint32_t sends;
    uint8_t deaths;
    uint8_t refusals;
    bool is_suspect;
    bool is_alerted;
    const char *quarantine_reason;
    uint8_t *verdict;
    size_t verdict_length;
};

TAILQ_HEAD(held_queue, held_event);
struct held_list {
    struct held_queue queue;
};

struct held_record {
    struct held_record *next; /* in its bucket */
    LIST_ENTRY(held_record) all;
    uint64_t sequence;
    int64_t loaded_at_ms;
    bool is_replayed;
    bool is_old;
    bool was_deferred;
    bool is_asked_again; /* a person wants it offered once more, even if it ends well now */
    struct split split;
    size_t bytes; /* of its events */
    size_t count;
    size_t active;
    struct held_event events[];
};

struct position {
    uint64_t sequence;
    uint32_t index;
    int64_t sent_at_ms;
};

/* A classify worker or a route: what it holds unanswered. */
struct holder {
    uint64_t peer;
    bool is_route;
    bool is_alone; /* holds one suspect and gets nothing else */
    bool is_draining;
    uint32_t credit;
    uint32_t count;
    uint32_t returned;
    int64_t blocked_until_ms; /* a send failed: not before */
    struct id instance;       /* of a worker: which process it is */
    const char *const *channels;
    size_t channel_count;
    struct position *held; /* credit of them */
};

/* A worker went while it held this event alone. */
struct charge {
    uint64_t sequence;
    uint32_t index;
    struct id instance; /* the worker's */
    int64_t left_ms;    /* to come back in, or it died of the event */
};

/* How long an answer to a Hello asked out of turn, or to a first mark, is waited for; doubling. */
enum {
    CUSTODY_HELLO_WAIT_MS = 100,
    CUSTODY_FIRST_MARK_WAIT_MS = 250,
    CUSTODY_ASK_WAIT_MAX_MS = 4000
};

enum { HOLDERS_MAX = 256, BUCKETS = 4096, CHARGES_MAX = 64, DEATHS_MAX = 2 };

/* A channel events came of, and the records of it that were applied as unclassified: to be offered
 * again when a worker for it is back, and not before. */
struct held_channel {
    char name[CUSTODY_CHANNEL_BYTES]; /* "": all channels for which there was no place */
    struct ranges provisional;
};

struct pending_note {
    uint64_t sequence;
    struct custody_note note;
};

struct custody {
    struct custody_limits limits;
    int64_t started_ms;
    bool is_draining;

    uint64_t newest;
    uint64_t next_new;
    uint64_t oldest;
    uint64_t done_through;
    struct ranges done;     /* above done_through */
    struct ranges deferred; /* to be read again */
    struct ranges
        forgiven; /* a person wants them tried again: what was noted of them does not count */
    struct ranges unproven;  /* found at start: done or not is known with the history */
    struct ranges asked;     /* a person wants them offered again: outlives a change of history */
    struct ranges replaying; /* of a replay and not applied since; for people only */

    struct held_channel channels[CUSTODY_CHANNELS_MAX];
    size_t channel_count;

    char history[CUSTODY_HISTORY_BYTES];   /* under which acknowledgements count; empty: unknown */
    char candidate[CUSTODY_HISTORY_BYTES]; /* seen: counts once a first mark of ours is stored */
    uint64_t candidate_mark;               /* the one found there, to be stored anew */
    uint64_t marked;
    int64_t marked_since_ms; /* the mark stands, under this history */
    int64_t confirmed_at_ms; /* Redis last said that it has the mark */
    uint64_t marked_at_hello;
    int64_t hello_at_ms;
    int64_t hello_wait_ms; /* after one that was doubted; doubles while none is answered */
    uint64_t hello_number;
    uint64_t mark_number;
    int64_t mark_at_ms;
    int64_t first_mark_wait_ms; /* doubles while none is answered: each voids the one before */
    bool is_hello_wanted;
    bool is_distrusted;      /* the next History counts as that of another Redis */
    bool is_first_mark_due;  /* of the candidate, at once */
    bool is_history_doubted; /* a DONE told of another: what is deferred waits for the answer */

    int64_t provisional_at_ms; /* last offered again on time alone */
    bool is_route_busy;
    int64_t probe_at_ms;
    uint32_t turn;

    struct held_record *buckets[BUCKETS];
    LIST_HEAD(, held_record) records;
    size_t record_count;
    size_t event_count;
    size_t held_bytes;
    size_t event_count_deferred; /* of records read again */

    struct held_list waiting;  /* for any worker */
    struct held_list suspects; /* for a worker of its own */
    struct held_list to_route;

    struct holder holders[HOLDERS_MAX];
    size_t holder_count;
    uint64_t reserved_worker; /* gets nothing more until a suspect can go to it alone; 0: none */

    struct charge charges[CHARGES_MAX]; /* in the order they were made */
    size_t charge_count;

    double hedge_tokens;
    int64_t ticked_at_ms; /* the newest time we know of without being told */

    struct pending_note *notes; /* in the order they were made */
    size_t note_first;
    size_t note_count; /* from note_first on */
    size_t note_capacity;

    struct custody_status counts; /* its counters only */
};

struct held_record *custody_find_record(struct custody *self, uint64_t sequence);
struct held_event *custody_find_event(struct custody *self, uint64_t sequence, uint32_t index);
struct holder *custody_holder(struct custody *self, uint64_t peer);
size_t custody_count_holders(const struct custody *self, bool is_route);
bool custody_serves(const struct holder *holder, const struct held_event *event);
/* Whether a worker that is not going serves the channel. */
bool custody_is_served(const struct custody *self, const char *channel);
void custody_enqueue(struct held_list *list, struct held_event *event, bool is_first);
void custody_dequeue(struct held_event *event);
/* Whether holder may be given more at all. */
bool custody_takes_more(const struct holder *holder);
/* What was handed to holder did not leave: it waits again, first in its line. */
void custody_take_back(struct custody *self, struct holder *holder, uint64_t sequence,
                       uint32_t index);
/* Removes the position from what holder holds. Returns whether it was there. */
bool custody_give_back(struct holder *holder, uint64_t sequence, uint32_t index);
/* The event goes to route without triage (again). */
void custody_bypass(struct custody *self, struct held_event *event);
/* Bypassed events that found no route yet: triage may be quicker. */
void custody_offer_bypassed(struct custody *self, int64_t now_ms);
/* What was applied as unclassified, of the channels that worker serves; NULL: that any does. A
 * channel nobody serves would only be applied the same way again. */
void custody_offer_provisional(struct custody *self, const struct holder *worker);
/* It may be urgent and nobody was told. A probe takes the oldest first, so in the journal it would
 * wait until Redis is back: it is tried on its own, as long as memory allows. */
bool custody_is_alert_owed(const struct custody *self, const struct held_event *event);
/* The event goes to triage, or, if it killed two workers, to quarantine; while it is not known
 * whether those workers died, to neither. */
void custody_start_event(struct custody *self, struct held_event *event);
/* Triage knew it already: its patience begins anew, or it would go to route unclassified at once.
 */
void custody_offer_again(struct held_event *event, int64_t now_ms);
/* Suspicions against its events are forgotten, in the journal too. */
void custody_forgive(struct custody *self, struct held_record *record);
/* The worker instance went while it held event alone: a death of it, unless it comes back. */
void custody_charge(struct custody *self, const struct held_event *event,
                    const struct id *instance);
/* Charges against event that are not decided. */
unsigned custody_charges(const struct custody *self, const struct held_event *event);
/* No charge against event counts. */
void custody_acquit_event(struct custody *self, const struct held_event *event);
/* The worker is back: it did not die of what it held. */
void custody_acquit_worker(struct custody *self, const struct id *instance);
/* Time passed: who is not back in time has died. */
void custody_convict_late(struct custody *self, int64_t elapsed_ms);
/* What is known of the event now, for the journal. */
void custody_note_event(struct custody *self, const struct held_event *event);

#endif
