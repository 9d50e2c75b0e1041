/* store - all of Redis: connections, checks, the function library (folder functions) and what
 * services and the desg command ask of it. The keys are listed in store/README.md. Every change
 * goes through a Redis Function; every answer carries the history (master_replid read inside the
 * function). A store is one connection and belongs to one thread. It connects by itself when used,
 * with time-outs; after any error the connection is dropped and the outcome is unknown: the caller
 * offers the same again (duplicates collapse). */
#ifndef DESG_STORE_H
#define DESG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "config/config.h"
#include "desg/v1/event.pb-c.h"
#include "desg/v1/fact.pb-c.h"
#include "desg/v1/packet.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "metrics/metrics.h"

struct store;

enum { STORE_HISTORY_BYTES = 41, STORE_APPLY_MAX = 64 };

enum store_state {
    STORE_READY,
    STORE_AWAY,    /* no connection, or no answer in time */
    STORE_REFUSED, /* evicts, has no append-only file, is a replica, or holds a newer library:
                      store_problem() says what to do */
};

struct store_options {
    const struct config_redis *redis;
    const char *force;
    const struct store_queues
        *queues;             /* rules for queues and grades; NULL: a client that applies nothing */
    struct metrics *metrics; /* may be NULL (the desg command) */
    const char *label;       /* in logs, such as urgent */
    bool is_guest;           /* gives no advice on Redis's settings: that is another's */
};

struct store *store_new(const struct store_options *options, struct error *err) MUST_USE;
void store_destroy(struct store **self_p);

/* Connects if need be and not tried within the last 200 ms, checks ROLE, maxmemory-policy,
 * appendonly and the function library (loads ours if it is missing or older). Never blocks longer
 * than the configured time-out. */
enum store_state store_check(struct store *self);
/* A line that says what is wrong and what to change; "" when STORE_READY. */
const char *store_problem(const struct store *self);

/* One call that Redis only takes when it takes changes (also returns expired leases): 0 means that
 * an apply would go through now. ERROR_UNAVAILABLE otherwise. */
int store_probe(struct store *self, struct error *err) MUST_USE;

/* Whether the last call that failed did so inside the function it called, over what it was given or
 * found there: the same call alone would fail again, and others need not. */
bool store_was_refused(const struct store *self);

/* --- route --- */

/* One event with its verdict, to be applied. Both already serialised; decoded forms beside them. */
struct store_event {
    const uint8_t *event_bytes;
    size_t event_length;
    const Desg__V1__Event *event;
    const uint8_t *verdict_bytes;
    size_t verdict_length;
    const Desg__V1__Verdict *verdict;
    bool is_replayed;
    bool is_alerted;
    const char *quarantine_reason; /* not NULL: goes to quarantine and needs-review by
                                      quarantine_apply alone */
};

enum store_outcome {
    STORE_NEW,
    STORE_DUPLICATE,
    STORE_RAISED,
    STORE_PROVISIONAL,
    STORE_QUARANTINED,
    STORE_ERROR
};

struct store_result {
    enum store_outcome
        outcome; /* STORE_ERROR: this one event was refused by the function; text in error */
    char error[128];
    /* The verdict that stands, where it is another than the one offered (raised by context, or a
     * duplicate's first); NULL otherwise. Points into the store until its next call. */
    const uint8_t *standing_verdict;
    size_t standing_verdict_length;
};

/* Applies up to STORE_APPLY_MAX events in one call of desg_apply. 0: results[i] and history are
 * filled. -1 ERROR_UNAVAILABLE: Redis away, silent or refused; outcome unknown. */
int store_apply(struct store *self, const struct store_event *events, size_t count,
                struct store_result *results, char history[static STORE_HISTORY_BYTES],
                struct error *err) MUST_USE;

struct store_mark {
    uint64_t incarnation; /* 0: none */
    uint64_t sequence;
    uint64_t beat; /* another with each mark stored, also of the same sequence; 0: not used */
};
int store_hello(struct store *self, const struct id *source, struct store_mark *mark,
                char history[static STORE_HISTORY_BYTES], struct error *err) MUST_USE;
/* Stores mark if history is still the live one and the stored mark equals previous. *is_stored says
 * whether. */
int store_set_mark(struct store *self, const struct id *source, const struct store_mark *mark,
                   const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                   bool *is_stored, struct error *err) MUST_USE;

/* --- notify: the alert stream --- */

struct store_alert {
    char stream_id[32]; /* for store_alert_ack */
    uint8_t *order;     /* serialised Desg__V1__Alert; freed by store_alerts_clear */
    size_t order_length;
};
/* Reads up to max entries for consumer: first those idle for 5 s at other consumers, then new ones,
 * waiting at most block_ms (less than the time-out). */
int store_alerts_read(struct store *self, const char *consumer, uint32_t block_ms,
                      struct store_alert *out, size_t max, size_t *count,
                      struct error *err) MUST_USE;
void store_alerts_clear(struct store_alert *alerts, size_t count);
int store_alert_ack(struct store *self, const char *const *stream_ids, size_t count,
                    struct error *err) MUST_USE;
/* Writes what became of an alert into alert:<id>: state accepted, acknowledged, escalated …; fields
 * is a flat JSON object of strings. Never moves a state backwards (open < accepted < acknowledged <
 * resolved). Fields "severity" (the number it was told at) and "version" (of the body, as in
 * Desg__V1__Alert.render_version) keep an emptied Redis from ordering the alert again: an accepted
 * one needs both, an acknowledged one neither; an event more severe than that still orders one.
 * "teller" and "holder" are sources (told dispatch; has journalled it), "steps" and "updates"
 * numbers of the ladder and of alert.updated: what store_orphans goes by. Numbers never fall. */
int store_alert_state(struct store *self, const struct id *alert, const char *state,
                      const json_t *fields, struct error *err) MUST_USE;
struct store_alert_change {
    struct id alert;
    const char *state;
    const json_t *fields;
};
/* The same for up to STORE_APPLY_MAX changes, in order, in one call. *refused: how many of them
 * name no state; the others are in Redis under history. */
int store_alert_states(struct store *self, const struct store_alert_change *changes, size_t count,
                       size_t *refused, char history[static STORE_HISTORY_BYTES],
                       struct error *err) MUST_USE;
enum { STORE_SILENT_MAX = 64 };
/* Puts the open alerts of sources that are silent into the stream again, each once, marked
 * is_taken_over: one replica gets each. Looks at a few hundred alerts from *cursor on (0 first),
 * and moves it, to 0 behind the last. *taken says how many; they count as asker's until whoever
 * read them says that he has them. */
int store_orphans(struct store *self, const struct id *silent, size_t silent_count,
                  const struct id *asker, size_t *cursor, size_t *taken,
                  struct error *err) MUST_USE;

/* --- facts: what people decided (docs/delivery.md) --- */

struct store_fact_done {
    bool is_repeat; /* this id was applied before: *fact is as it was then */
    uint8_t *fact;  /* serialised Desg__V1__Fact with all it covers, to be journalled; free() it */
    size_t fact_length;
};
/* A decision, live: checks that the conversation is claimed by fact->agent under fact->fence
 * (closed, graded; a note, a wish and an alert taken need no claim) and, if last_event is given,
 * that
 * nothing newer came; fills in what it covers (all events not covered yet) and applies it.
 * ERROR_INVALID: refused, with what changed. ERROR_UNAVAILABLE: Redis away, outcome unknown: the
 * same id may be sent again. */
int store_fact_decide(struct store *self, const Desg__V1__Fact *fact, const struct id *last_event,
                      struct store_fact_done *done, struct error *err) MUST_USE;
/* Facts from a journal, in any order and any number of times, before or after the events they name.
 * Kinds for the audit alone are passed over. 0: all are in Redis under history. ERROR_INVALID: all
 * but some, which Redis refuses for themselves; the text names the first. */
int store_facts_apply(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                      char history[static STORE_HISTORY_BYTES], struct error *err) MUST_USE;

/* Journals of facts (kind "desk" or "notify") tell Redis who they are and whether all they hold is
 * applied under the history quoted (refused silently if that is not the live one). Kept beside the
 * mark of the source, so it is gone when the data is. */
int store_source_report(struct store *self, const struct id *source, const char *kind,
                        const char *name, bool is_caught_up,
                        char history[static STORE_HISTORY_BYTES], struct error *err) MUST_USE;
/* [{"source","kind","name","is_caught_up","reports"}] of those Redis has heard of. reports rises
 * with each one: a source whose number stands is silent. */
int store_sources(struct store *self, json_t **out, struct error *err) MUST_USE;
/* Records of a source's journal that Redis refuses for themselves: named beside the mark, which
 * passes them, until they are applied after all. */
enum { STORE_ASIDE_WHY_BYTES = 192 };
struct store_aside {
    uint64_t sequence;
    char why[STORE_ASIDE_WHY_BYTES];
};
int store_aside_put(struct store *self, const struct id *source, const struct store_aside *aside,
                    struct error *err) MUST_USE;
/* Those from first to last are applied. */
int store_aside_clear(struct store *self, const struct id *source, uint64_t first, uint64_t last,
                      struct error *err) MUST_USE;
/* At most max from sequence first on, in order; *total of all. */
int store_asides(struct store *self, const struct id *source, uint64_t first,
                 struct store_aside *out, size_t max, size_t *count, uint64_t *total,
                 struct error *err) MUST_USE;
/* How far a desk's audit chain goes: desks tell each other through Redis. */
struct store_head {
    struct id source;
    uint64_t number;
    uint8_t hash[32];
};
/* A lower number than the one stored is passed over. */
int store_head_put(struct store *self, const struct store_head *head, struct error *err) MUST_USE;
/* At most max, sorted by source. */
int store_heads(struct store *self, struct store_head *out, size_t max, size_t *count,
                struct error *err) MUST_USE;
/* State of one alert as Redis knows it: {"state",…} or NULL if it knows none. */
int store_alert_get(struct store *self, const struct id *alert, json_t **out,
                    struct error *err) MUST_USE;

/* --- upkeep --- */

/* Archives conversations closed longer ago than after_ms (by Redis's clock): they leave Redis, a
 * tombstone per event stays for tombstone_days. At most limit; *count says how many. */
int store_archive(struct store *self, int64_t after_ms, size_t limit, size_t *count,
                  struct error *err) MUST_USE;

/* --- people (the desg command, later desk). JSON objects are new references. --- */

/* [{"name","depth","oldest_waiting_ms","claimed"}] of every queue. */
int store_queues_list(struct store *self, json_t **out, struct error *err) MUST_USE;
/* {grade: milliseconds the oldest waits} in these queues; nothing restricted among them. */
int store_grades(struct store *self, const char *const *queues, size_t count, json_t **out,
                 struct error *err) MUST_USE;
/* Conversations of a queue in the order they will be claimed:
 * [{"conversation","severity","category","language","waiting_ms",
 * "deadline_ms","owner","events","channel"}], "language_wish" (en, cy, both) where the person said
 * one; at most limit. No text. */
int store_queue_list(struct store *self, const char *queue, size_t limit, json_t **out,
                     struct error *err) MUST_USE;
enum { STORE_WAITING_FEW = 4, STORE_SKETCH_MAX_BYTES = 512 };
struct store_waiting {
    size_t conversation; /* which of those asked for */
    struct id event;
    int64_t at_ms;                          /* when it was written, or else came */
    uint8_t sketch[STORE_SKETCH_MAX_BYTES]; /* of its verdict: desg.v1.Verdict */
    size_t sketch_length;                   /* 0: it has none */
};
/* The events in these conversations that nobody's decision covers, conversation by conversation;
 * nothing of those that hold more than a few. The caller frees *out with free(). */
int store_waiting(struct store *self, const struct id *conversations, size_t count,
                  struct store_waiting **out, size_t *out_count, struct error *err) MUST_USE;
/* The whole conversation: events (decoded), verdicts, facts [{"fact","what","agent","at_ms","text",
 * "reason","severity","covered":[{"event","severity"}]…}] (of "replied" with its "item" as
 * store_item_get has it), "language_wish" (as store_queue_list has it), state (open, claimed,
 * closed, quiet, archived), owner, fence, clocks, "last_person_at_ms" (newest private message, by
 * the platform's clock), "receipt" (an item), "broadcast" (it answers one). ERROR_INVALID: no such
 * one. */
int store_conversation(struct store *self, const struct id *conversation, json_t **out,
                       struct error *err) MUST_USE;
/* Claims the best conversation of queue ("" = by the order urgent, urgent-review, needs-review,
 * restricted, then the rest) or a given one. {"conversation","fence","lease_ms","queue"}; *out NULL
 * if nothing waits. */
int store_claim(struct store *self, const char *agent, const char *queue,
                const struct id *conversation, json_t **out, struct error *err) MUST_USE;
/* Extends the lease by the configured length. ERROR_INVALID: stale fence, with what changed. */
int store_heartbeat(struct store *self, const char *agent, const struct id *conversation,
                    uint64_t fence, struct error *err) MUST_USE;
int store_release(struct store *self, const char *agent, const struct id *conversation,
                  uint64_t fence, struct error *err) MUST_USE;
/* Newest first: [{"alert","event","conversation","state","severity","opened_at_ms",…}]. */
int store_alerts_list(struct store *self, bool open_only, size_t limit, json_t **out,
                      struct error *err) MUST_USE;
int store_quarantine_list(struct store *self, size_t limit, json_t **out,
                          struct error *err) MUST_USE;
int store_quarantine_show(struct store *self, const struct id *event, json_t **out,
                          struct error *err) MUST_USE;
/* All that is known of an event or alert id: [{"at_ms","where","what",…}]. */
int store_trace(struct store *self, const struct id *any, json_t **out, struct error *err) MUST_USE;

/* --- queues: configuration --- */

struct store_queue_rule { /* first that fits wins; empty or 0 = any */
    char *queue;
    char *category;
    char *language;             /* cy, en … */
    char *restricted;           /* any, sexual-offence, intelligence */
    uint32_t severity_at_least; /* number of desg.v1.Severity */
};
struct store_grade { /* allowance until the deadline by severity */
    char *grade;
    uint32_t severity;
    uint32_t allowance_s;
};
struct store_queues {
    struct store_queue_rule *rules;
    unsigned rules_count;
    struct store_grade *grades;
    unsigned grades_count;
    uint32_t lease_s;                        /* default 120 */
    uint32_t context_hours;                  /* default 24 */
    uint32_t unclassified_alerts_per_minute; /* per account; default 5, above: digest members */
    uint32_t tombstone_days;                 /* default 30 */
    uint32_t archive_after_hours;            /* conversations at rest; default 168 */
    uint32_t receipt_after_hours; /* the first message of a person, and the first after so many
                                     hours, is acknowledged automatically; 0: none is */
    char **sensitive_categories;  /* whose receipt says nothing of what it is about */
    unsigned sensitive_categories_count;
    char **receipt_places; /* store_place_of those accounts that can send one; none: all can */
    unsigned receipt_places_count;
};

#endif
