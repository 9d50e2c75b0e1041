/* outbox_book - what is to go out, and what may be done next with each item. Pure: no I/O, no
 * clock, chance from a seed. The hands (outbox_flow) ask for steps, do them, and say what came of
 * each; what is to be written down comes back as tells.
 *
 * Order at a place: urgent replies, other replies, receipts, broadcasts; within a conversation, and
 * within a broadcast, in the order decided; part n+1 of a long text when n is sent. Nothing is
 * called that Redis did not allow at that moment (BEGIN) and whose intent is not on disk (WRITE).
 * A call whose outcome is not known is looked up, never repeated blind, unless the place has an
 * idempotency key. An item acts only while its place is ours and Redis has shown it to us since.
 * Times: *_ms monotonic, *_unix_ms by the wall clock. Threads: one at a time. */
#ifndef DESG_NOTIFY_OUTBOX_BOOK_H
#define DESG_NOTIFY_OUTBOX_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "ids/ids.h"
#include "notify/outbox_rate.h"
#include "notify/platform.h"

enum {
    OUTBOX_NAME_BYTES = 160,
    OUTBOX_ERROR_BYTES = 160,
    OUTBOX_RECEIPT_AGE_MS = 600000, /* a word of receipt that comes later says nothing */
    OUTBOX_FROZEN_LOOK_MS = 2000,   /* a freeze may be lifted before its end */
    OUTBOX_KNOWN_WAIT_MS = 2000,    /* before Redis is asked again about what it does not know */
    OUTBOX_ASIDE_CHECK_MS = 30000,  /* items of places that are not ours */
    OUTBOX_LATE_LOOK_MS = 60000,    /* an echo may come late, while a person is asked */
};

enum outbox_class {
    OUTBOX_URGENT_REPLY,
    OUTBOX_REPLY,
    OUTBOX_RECEIPT,
    OUTBOX_BROADCAST,
    OUTBOX_CLASS_COUNT
};
const char *outbox_class_name(enum outbox_class class);

/* What an item waits for. */
enum outbox_stage {
    OUTBOX_PREPARE, /* to be cut into parts */
    OUTBOX_BEGIN,   /* to be allowed by Redis */
    OUTBOX_WRITE,   /* its intent on disk */
    OUTBOX_CALL,    /* the platform */
    OUTBOX_LOOK,    /* it may have been sent: echo, platform */
    OUTBOX_HOLD,    /* a person, who is to say what became of it; looked up all the same */
    OUTBOX_OVER,
    /* steps alone: */
    OUTBOX_CHECK, /* what Redis knows of it */
    OUTBOX_PROBE  /* of a place: is the token alive? */
};

struct outbox_place_options {
    const char *name;   /* copied */
    const char *refuse; /* literal: all items are refused with this; NULL: a place that works */
    uint32_t per_minute;
    unsigned calls_max; /* at once */
    bool has_key;       /* a call whose outcome is unknown is repeated under its key */
    int64_t key_ms;     /* how long the other side remembers a key */
    int64_t call_ms;    /* how long a call may be on its way, another owner's too */
    bool can_probe;
};

struct outbox_place {
    struct outbox_place_options options;
    char name[OUTBOX_NAME_BYTES];
    size_t index;
    struct outbox_rate rate;
    bool is_ours;
    uint64_t fence;
    int64_t ours_until_ms; /* by then the lease is renewed, or all stops */
    bool is_read_through;  /* Redis has shown all that was handed out before */
    unsigned calls;        /* under way: begun, written, called */
    bool is_blocked;       /* a person must mend the account */
    bool is_probing;
    uint32_t blocks; /* in a row */
    int64_t probe_ms;
    int64_t blocked_unix_ms;
    char problem[OUTBOX_ERROR_BYTES]; /* of the block */
    int64_t frozen_ms;                /* no receipt or broadcast is begun before */
    int64_t frozen_until_unix_ms;     /* 0: not frozen, as far as is known here */
    struct outbox_item *first, *last; /* open ones, as they came */
    uint64_t sent, later, refused;    /* since start */
};

struct outbox_tell;

struct outbox_item {
    struct id id;
    Desg__V1__OutboxItem *what; /* NULL once it is over */
    struct outbox_place *place;
    enum outbox_class class;
    enum outbox_stage stage;
    bool is_out;              /* a step was handed out, its answer has not come */
    enum outbox_stage out_as; /* which */
    char stream_id[32];       /* "": Redis has not shown it since the place is ours */
    uint32_t part, parts;
    char (*objects)[PLATFORM_OBJECT_BYTES]; /* of each part sent; parts of them */
    void *plan;                             /* the hands' own; freed by their free_plan */
    void *job;                              /* the hands' own, from WRITE to CALL; freed likewise */
    bool is_person_known;                   /* reply: Redis has said when the person last wrote */
    int64_t last_person_unix_ms;            /* 0: never */
    int64_t due_ms;
    uint32_t failures;      /* of this part in a row */
    bool is_open;           /* an intent was written, its outcome is not known */
    bool is_duplicate;      /* the platform says that it has it */
    int64_t stamp_unix_ms;  /* newest time anybody gave to what became of it: none may go back */
    int64_t called_unix_ms; /* the last intent */
    int64_t key_unix_ms;    /* the first intent of this part */
    int64_t decided_unix_ms;
    int64_t taken_ms;
    uint32_t looks;
    char error[OUTBOX_ERROR_BYTES]; /* of the last answer */
    unsigned http_status;
    int32_t code;
    bool is_stored, is_storing; /* its first record */
    uint64_t sequence;          /* of that, 0: none */
    uint64_t told_sequence;     /* of the last result; 0: none is needed, or not stored yet */
    bool is_telling;            /* a last result is on its way to the disk */
    struct outbox_tell *untold; /* that result, until it is there */
    /* the book's own */
    struct id thread;                   /* conversation or broadcast */
    struct outbox_item *before, *after; /* of the same thread, at the same place */
    struct outbox_item *previous, *next;
    struct outbox_item *next_in_bucket;
    uint64_t
        begun_fence;     /* a BEGIN of this part under this fence was allowed, nothing came of it */
    bool is_to_check;    /* Redis knows more of it than we do */
    bool is_begun_else;  /* begun by whom? */
    bool is_shown_again; /* over, and yet in the stream */
    bool is_in_works;    /* counts as a call of its place */
    int64_t aside_ms;    /* not shown to us: Redis is asked about it then */
    int64_t unknown_ms;  /* since when */
    uint64_t look_fence; /* under which it is looked for, or was called */
    int64_t absent_ms;   /* before so long absence says nothing: a call may be on its way */
    uint32_t absences;   /* looks in a row that say it is not there */
    bool is_recheck;     /* a person has spoken: Redis knows what it means */
    bool is_given_up;
    bool is_listed;
    int64_t over_ms;
    int64_t settled_unix_ms; /* the last word of a person that is journalled */
    int64_t receipt_unix_ms; /* receipt: when it was sent */
};

/* What is to be written to the journal, in this order. */
struct outbox_tell {
    struct id item;
    uint32_t part;
    Desg__V1__SendOutcome outcome;
    int64_t at_unix_ms;
    char object_id[PLATFORM_OBJECT_BYTES];
    unsigned http_status;
    int32_t code;
    char error[OUTBOX_ERROR_BYTES];
    int64_t again_unix_ms;
    bool is_last;
};

struct outbox_step {
    enum outbox_stage what;
    struct outbox_item *item; /* NULL with PROBE */
    struct outbox_place *place;
};

struct outbox_book_options {
    uint32_t urgent_share_percent;
    int64_t unknown_after_ms;
    int64_t probe_ms;
    int64_t receipt_again_ms; /* no second receipt in a conversation within */
    int64_t retention_ms;     /* how long what is over is known */
    uint64_t seed;
    void (*free_plan)(void *plan);
    void (*free_job)(void *job);
};

struct outbox_book;
struct outbox_book *outbox_book_new(const struct outbox_book_options *options);
void outbox_book_destroy(struct outbox_book **self_p);

/* --- places --- */

struct outbox_place *outbox_book_add_place(struct outbox_book *self,
                                           const struct outbox_place_options *options,
                                           int64_t now_ms);
struct outbox_place *outbox_book_place(const struct outbox_book *self, const char *name);
/* NULL behind the last. */
struct outbox_place *outbox_book_place_at(const struct outbox_book *self, size_t index);
/* Taken or prolonged. Another fence than before: it was somebody else's in between. */
void outbox_book_owned(struct outbox_book *self, struct outbox_place *place, uint64_t fence,
                       int64_t until_ms);
void outbox_book_lost(struct outbox_book *self, struct outbox_place *place);
/* All that was handed out before has been taken. */
void outbox_book_read_through(struct outbox_place *place);
/* Redis has what the journal holds up to here. */
void outbox_book_projected(struct outbox_book *self, uint64_t sequence);
/* A token file changed, or the process was told to try: its place is probed now. */
void outbox_book_probe_soon(struct outbox_place *place, int64_t now_ms);

/* --- items --- */

enum outbox_intake {
    OUTBOX_NEW,   /* to be journalled */
    OUTBOX_KNOWN, /* it goes on from where it was */
    OUTBOX_ENDED  /* known, and over: Redis is asked whether a person said: again */
};
/* what is taken over. */
enum outbox_intake outbox_book_take(struct outbox_book *self, struct outbox_place *place,
                                    Desg__V1__OutboxItem *what, const char *stream_id,
                                    int64_t now_ms, struct outbox_item **item);
struct outbox_item *outbox_book_find(const struct outbox_book *self, const struct id *id);
void outbox_book_stored(struct outbox_item *item, bool is_stored, uint64_t sequence);
/* A tell with is_last is on disk; or was not stored: it is told again. */
void outbox_book_told(struct outbox_item *item, bool is_stored, uint64_t sequence);
/* It is over, Redis has that, and its entry can leave the stream of its place. */
bool outbox_book_is_done(const struct outbox_book *self, const struct outbox_item *item);
/* It has left. */
void outbox_book_gone(struct outbox_item *item);

/* A journal's record, oldest first; before anything else is asked of the book. Items without a
 * place in the configuration get one that refuses. stored_ms: when, on the monotonic clock. */
void outbox_book_replay(struct outbox_book *self, const Desg__V1__OutwardFact *fact,
                        uint64_t sequence, int64_t stored_ms);

/* --- steps --- */

/* The next thing to be done now; the item counts as out until its answer. Never WRITE or CALL but
 * for what was just allowed. */
bool outbox_book_next(struct outbox_book *self, int64_t now_ms, int64_t unix_ms,
                      struct outbox_step *out);
/* When something may be due; INT64_MAX: once something comes in. */
int64_t outbox_book_due_ms(struct outbox_book *self, int64_t now_ms);
/* The next thing to be written down. */
bool outbox_book_next_tell(struct outbox_book *self, struct outbox_tell *out);

/* PREPARE: parts ≥ 1; or refused with why. */
void outbox_book_prepared(struct outbox_book *self, struct outbox_item *item, uint32_t parts,
                          void *plan, int64_t now_ms);
void outbox_book_refuse(struct outbox_book *self, struct outbox_item *item, const char *why,
                        int64_t now_ms, int64_t unix_ms);
/* WRITE: a secret cannot be read: nobody at this place can be answered. */
void outbox_book_cannot(struct outbox_book *self, struct outbox_item *item, const char *why,
                        int64_t now_ms, int64_t unix_ms);
/* Not now, for a reason of our own (Redis away, disk full). Anything that is out. */
void outbox_book_postpone(struct outbox_book *self, struct outbox_item *item, const char *why,
                          int64_t wait_ms, int64_t now_ms, int64_t unix_ms);

enum outbox_begun {
    OUTBOX_BEGUN_NOW,
    OUTBOX_BEGUN_NOT_OWNER,
    OUTBOX_BEGUN_FROZEN,
    OUTBOX_BEGUN_STALE,
    OUTBOX_BEGUN_CANCELLED,
    OUTBOX_BEGUN_STARTED,
    OUTBOX_BEGUN_OVER
};
struct outbox_begun_answer {
    enum outbox_begun begun;
    int64_t frozen_until_unix_ms;
    int64_t last_person_unix_ms;
    int64_t at_unix_ms; /* by which what follows is to be dated; 0: not said */
    char reason[OUTBOX_ERROR_BYTES];
};
void outbox_book_begun(struct outbox_book *self, struct outbox_item *item,
                       const struct outbox_begun_answer *answer, int64_t now_ms, int64_t unix_ms);
/* WRITE: the time its intent is to bear; then it is on disk. */
int64_t outbox_book_intent_at(struct outbox_item *item, int64_t unix_ms);
void outbox_book_written(struct outbox_item *item);
/* CALL */
void outbox_book_answered(struct outbox_book *self, struct outbox_item *item,
                          const struct platform_result *result, unsigned http_status,
                          int64_t now_ms, int64_t unix_ms);
/* LOOK: PLATFORM_IS_THERE with what it is called there. */
void outbox_book_looked(struct outbox_book *self, struct outbox_item *item,
                        enum platform_found found, const char *object_id, int64_t now_ms,
                        int64_t unix_ms);
/* LOOK: what was called does no harm when it is called again (an edit, a removal). */
void outbox_book_repeat(struct outbox_book *self, struct outbox_item *item, int64_t now_ms,
                        int64_t unix_ms);
struct outbox_known {
    bool is_known; /* Redis has heard of it */
    bool is_over;
    bool is_ours;  /* we are the one who began it, under the present fence */
    bool has_echo; /* the part came back through the platform */
    uint32_t parts_sent;
};
void outbox_book_checked(struct outbox_book *self, struct outbox_item *item,
                         const struct outbox_known *known, int64_t now_ms);
/* PROBE: result NULL: it could not be asked. */
void outbox_book_probed(struct outbox_book *self, struct outbox_place *place,
                        const struct platform_result *result, int64_t now_ms, int64_t unix_ms);

/* What a person said. Returns true if it is news, to be journalled. */
bool outbox_book_settled(struct outbox_book *self, const Desg__V1__SendSettled *settled,
                         int64_t now_ms);

/* --- upkeep --- */

/* About once a second: receipts that come too late, what other owners ended. */
void outbox_book_tick(struct outbox_book *self, int64_t now_ms, int64_t unix_ms);
void outbox_book_forget(struct outbox_book *self, int64_t now_ms);
/* Begins nothing more. */
void outbox_book_drain(struct outbox_book *self);
bool outbox_book_is_busy(const struct outbox_book *self);
/* The oldest journal record still needed; newest + 1: none. */
uint64_t outbox_book_needed_from(const struct outbox_book *self, uint64_t newest);
size_t outbox_book_known(const struct outbox_book *self);

#endif
