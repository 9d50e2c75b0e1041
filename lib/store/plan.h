/* plan - where an event belongs: queue, rank, grade and deadline from event, verdict and the
 * configured rules. Pure: no I/O, no clock. Route asks it too, when Redis cannot be asked. */
#ifndef DESG_STORE_PLAN_H
#define DESG_STORE_PLAN_H

#include "store/store.h"

/* Which queue a conversation keeps when its events ask for several: the highest. */
enum store_rank {
    STORE_RANK_UPDATES = 1,
    STORE_RANK_GENERAL = 10,
    STORE_RANK_ATTENTION = 11,
    STORE_RANK_RULE = 12, /* a rule of the configuration named the queue */
    STORE_RANK_CYMRAEG = 15,
    STORE_RANK_RESTRICTED = 20,
    STORE_RANK_NEEDS_REVIEW = 30,
    STORE_RANK_URGENT_REVIEW = 40,
    STORE_RANK_URGENT = 54,
    STORE_RANK_LIFE_AT_RISK = 55
};

struct store_plan {
    Desg__V1__Severity severity; /* never UNSPECIFIED: what cannot be read is REVIEW */
    enum store_rank rank;
    const char *queue; /* borrowed from queues or a literal */
    enum store_rank
        home_rank;          /* where it would wait if it were routine: from STORE_RANK_CYMRAEG on */
    const char *home_queue; /* where its conversation belongs whenever nothing in it is urgent */
    const char *grade;      /* borrowed from verdict, queues or a literal */
    uint32_t allowance_s;
    bool opens_work;       /* an agent has to look; READ, ECHO, OUTCOME, REACTION, UNSEND do not */
    bool is_provisional;   /* unclassified: the first real verdict replaces it */
    bool is_late;          /* older than the tombstones: a person decides, no automatic alert */
    bool may_alert;        /* urgent, or treated as urgent, and not late */
    bool may_be_receipted; /* a private message; receipts are on */
    bool is_sensitive;     /* its receipt does not say what it is about */
};

/* queues may be NULL: the built-in rules and grades. Never fails. */
void store_plan_make(struct store_plan *out, const Desg__V1__Event *event,
                     const Desg__V1__Verdict *verdict, const struct store_queues *queues);

/* Values in force: the configured one or the default. */
uint32_t store_lease_s(const struct store_queues *queues);
uint32_t store_context_hours(const struct store_queues *queues);
uint32_t store_unclassified_per_minute(const struct store_queues *queues);
uint32_t store_tombstone_days(const struct store_queues *queues);
uint32_t store_archive_after_hours(const struct store_queues *queues);
uint32_t store_receipt_after_hours(const struct store_queues *queues); /* 0: receipts are off */
/* Name and allowance of the grade of a severity. */
const char *store_grade_name(const struct store_queues *queues, uint32_t severity);
uint32_t store_grade_allowance_s(const struct store_queues *queues, uint32_t severity);

/* Words as they stand in keys, JSON and rules. */
const char *store_language_word(Desg__V1__Language language); /* en, cy, mixed, unsure, "" */
/* Of a wish: en, cy, both, none. */
const char *store_wish_word(Desg__V1__Language language);
const char *store_restricted_word(Desg__V1__RestrictedClass restricted); /* "" for none */

#endif
