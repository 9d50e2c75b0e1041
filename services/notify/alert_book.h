/* alert_book - every alert notify knows: what is still to be posted and when, what was accepted and
 * acknowledged, the re-alert ladder, and digests being gathered. It decides; alert_flow does. Pure:
 * no I/O and no clock, chance from a seed, so that its tests need neither. All times are monotonic
 * milliseconds unless a name says unix. Threads: one at a time (the caller's lock).
 *
 * An alert is live until it is acknowledged and nothing more is to be sent for it; after that it is
 * remembered by id for the retention time, so that a repeat is recognised. */
#ifndef DESG_NOTIFY_ALERT_BOOK_H
#define DESG_NOTIFY_ALERT_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alert/alert.h"
#include "desg/v1/alert.pb-c.h"
#include "ids/ids.h"
#include "notify/answer.h"

enum {
    ALERT_BODY_COUNT = ALERT_SECOND + 1,
    ALERT_SECOND_AFTER_FAILURES = 3,
    ALERT_SECOND_AFTER_MS = 9000, /* so that the second path has it within 10 s */
    ALERT_DIGEST_AFTER_MS = 5000,
    ALERT_DIGEST_MAX_MEMBERS = 200,
    ALERT_UPDATES_MAX = 16,
    ALERT_OLD_MS =
        600000, /* received longer ago: it may have been told before Redis lost its data */
    ALERT_QUIET_MAX_MS = 60000, /* so long at most does an old one wait to learn that */
    ALERT_LADDER_MAX_STEPS = 16
};

enum alert_path { ALERT_PATH_FIRST, ALERT_PATH_SECOND, ALERT_PATH_COUNT };

enum alert_state { ALERT_OPEN, ALERT_ACCEPTED, ALERT_ACKNOWLEDGED, ALERT_RESOLVED };

enum alert_kind {
    ALERT_SINGLE,
    ALERT_MEMBER, /* goes out named in a digest */
    ALERT_DIGEST,
    ALERT_STANDING_TEST /* never journalled, climbs no ladder */
};

enum alert_storage {
    ALERT_UNSTORED, /* the journal refused it: posted all the same, its sender keeps custody */
    ALERT_STORING,  /* nothing is posted yet */
    ALERT_STORED
};

enum ladder_action { LADDER_AGAIN, LADDER_SECOND_PATH, LADDER_SUPERVISOR };

struct ladder_step {
    uint32_t after_s; /* since the alert was first seen */
    enum ladder_action action;
};

/* One body on its way to its path. */
struct alert_send {
    bool is_wanted; /* until accepted */
    bool is_in_flight;
    bool is_accepted;
    bool is_held;    /* the receiver named a time to come back */
    uint32_t number; /* of the update or reminder */
    uint32_t failures;
    int64_t next_try_ms;
};

/* Callers read entries; only the book changes them, but for user. */
struct alert_entry {
    struct id id;
    enum alert_kind kind;
    enum alert_state state;
    enum alert_storage storage;
    uint64_t sequence; /* of its first journal record that is still needed; 0: none */
    int64_t opened_ms;
    int64_t opened_unix_ms;
    int64_t closed_ms;
    int64_t promoted_unix_ms; /* was named in a digest, turned urgent by itself then; 0: never */
    bool is_life_at_risk;
    bool is_quiet;     /* old, and perhaps told before: nothing goes out until that is known */
    bool is_elsewhere; /* another replica has told dispatch and climbs its ladder, while it lives */
    bool is_escalated;
    bool is_live;
    uint32_t steps_taken;
    enum ladder_action last_action; /* of the step taken last */
    uint32_t acknowledgements;
    struct alert_send sends[ALERT_BODY_COUNT]; /* by enum alert_body */
    Desg__V1__Alert *alert;                    /* NULL for a digest and once not live */
    Desg__V1__AlertDigest *digest;             /* of a digest, until it is forgotten */
    bool has_digest;                           /* named in digest_id */
    struct id digest_id;
    struct alert_entry *next; /* the book's own, as the next */
    size_t live_index;
};

struct alert_book;

struct alert_book_options {
    const struct ladder_step *ladder; /* copied; ascending after_s */
    size_t ladder_count;              /* ≤ ALERT_LADDER_MAX_STEPS */
    bool has_second_path;
    int64_t retention_ms; /* how long closed alerts are remembered */
    uint64_t seed;
};

struct alert_book *alert_book_new(const struct alert_book_options *options);
void alert_book_destroy(struct alert_book **self_p);

/* NULL if not known. Valid until the next call that takes, drops or forgets. */
struct alert_entry *alert_book_find(struct alert_book *self, const struct id *id);

/* --- what comes in --- */

enum alert_intake {
    ALERT_NEW,     /* to be journalled: alert_book_storing, then _stored or _unstored */
    ALERT_REVISED, /* known, but now with a better verdict, no longer digest work, or taken over
                      from a replica that has gone: journal this order too */
    ALERT_KNOWN
};

/* Takes a copy of alert, whose alert_id has ID_BYTES. A new one is ALERT_STORING (a standing test:
 * ALERT_STORED). */
enum alert_intake alert_book_take(struct alert_book *self, const Desg__V1__Alert *alert,
                                  int64_t opened_ms, int64_t opened_unix_ms,
                                  struct alert_entry **entry);

/* The journal's answer for what is ALERT_STORING or ALERT_UNSTORED. */
void alert_book_stored(struct alert_book *self, const struct id *id, uint64_t sequence);
void alert_book_unstored(struct alert_book *self, const struct id *id);
/* All that is known of it lies in the journal again from sequence on. */
void alert_book_moved(struct alert_book *self, const struct id *id, uint64_t sequence);

/* A named dispatcher acknowledged it, or told the outcome. Returns false if the entry was at least
 * that far already. Acknowledging a digest acknowledges its members, and the other way round. */
bool alert_book_acknowledge(struct alert_book *self, struct alert_entry *entry, bool is_outcome,
                            int64_t now_ms);

/* Another replica, or the desk, has heard from dispatch of an alert not known here. */
void alert_book_acknowledge_unknown(struct alert_book *self, const struct id *id, bool is_outcome,
                                    int64_t now_ms);

/* Another replica has told dispatch of this one: it is that one's from now on. */
void alert_book_elsewhere(struct alert_book *self, struct alert_entry *entry, int64_t now_ms);

/* Nobody has told it before: it goes out now. */
void alert_book_end_quiet(struct alert_book *self, struct alert_entry *entry, int64_t now_ms);
/* The same for all that waited ALERT_QUIET_MAX_MS in vain. Returns how many. */
size_t alert_book_end_long_quiet(struct alert_book *self, int64_t now_ms);

/* Forgets a standing test. */
void alert_book_drop(struct alert_book *self, const struct id *id);

/* Puts back one record of the journal at start. at_ms: the record's age, in monotonic time. Facts
 * of alerts no longer kept are passed over. */
void alert_book_apply(struct alert_book *self, const Desg__V1__AlertFact *fact, uint64_t sequence,
                      int64_t at_ms, int64_t at_unix_ms);

/* --- what is to be done: call each until it returns false, again at alert_book_due_ms --- */

struct alert_post {
    struct alert_entry *entry;
    enum alert_body body;
    enum alert_path path;
    uint32_t number;
    uint32_t attempt; /* 1 = first */
    bool is_first;    /* to be handed back to alert_book_answered */
};
/* The most urgent body that may go now; it counts as in flight until alert_book_answered. */
bool alert_book_next_post(struct alert_book *self, int64_t now_ms, struct alert_post *out);

/* From now on only first tries go out: repeats are for the next start. */
void alert_book_drain(struct alert_book *self);
bool alert_book_has_in_flight(const struct alert_book *self);

struct alert_outcome {
    struct alert_entry *entry; /* NULL: not known any more */
    bool is_accepted;          /* this body is now accepted (2xx or 422) */
    bool is_state_changed;     /* dispatch has it now: open → accepted */
};
/* What came of a post. entry of out is valid as alert_book_find's. */
void alert_book_answered(struct alert_book *self, const struct id *id, enum alert_body body,
                         uint32_t number, bool is_first, enum answer answer, int64_t retry_after_ms,
                         int64_t now_ms, struct alert_outcome *out);

struct alert_step {
    struct alert_entry *entry;
    uint32_t step; /* 1, 2 … */
    enum ladder_action action;
};
/* Takes the next ladder step that is due; the caller journals it. */
bool alert_book_next_step(struct alert_book *self, int64_t now_ms, struct alert_step *out);

/* Makes a digest that is due; the caller journals it and then says stored. */
bool alert_book_next_digest(struct alert_book *self, int64_t now_ms, int64_t now_unix_ms,
                            struct alert_entry **out);

/* When there may be something to do; INT64_MAX: nothing until something happens. */
int64_t alert_book_due_ms(const struct alert_book *self, int64_t now_ms);

/* --- keeping it small --- */

/* Forgets closed alerts older than the retention time. */
void alert_book_forget(struct alert_book *self, int64_t now_ms);

/* Journal records below this are needed no more; newest + 1 if nothing is live. */
uint64_t alert_book_needed_from(const struct alert_book *self, uint64_t newest_sequence);

/* Live entries, in no order; NULL past the last. */
struct alert_entry *alert_book_live(const struct alert_book *self, size_t index);

struct alert_counts {
    size_t known;
    size_t open;           /* not acknowledged */
    size_t unaccepted;     /* dispatch has not taken them */
    size_t unacknowledged; /* climbed up to the supervisor */
    size_t unstored;
    int64_t oldest_unaccepted_ms; /* age; 0: none */
};
void alert_book_count(const struct alert_book *self, int64_t now_ms, struct alert_counts *out);
bool alert_book_is_broken(const struct alert_book *self, enum alert_path path);

/* The path of an AlertAccepted that says: another replica told dispatch. */
#define ALERT_PATH_ELSEWHERE "elsewhere"

const char *alert_state_name(enum alert_state state);
const char *alert_path_name(enum alert_path path);
const char *ladder_action_name(enum ladder_action action);
enum alert_path alert_path_of(enum alert_body body);

#endif
