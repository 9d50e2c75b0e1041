/* chain - the audit log: each record of desk's journal carries the SHA-256 of the one before, so
 * that none can be changed, taken out or put in between unseen. One thread gathers what comes while
 * the last group is being synced and stores it as one record of the journal: all or nothing, so a
 * failing disk leaves no hole. After a failure the last record is read back before the chain goes
 * on. Threads: any. */
#ifndef DESG_DESK_CHAIN_H
#define DESG_DESK_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "desg/v1/fact.pb-c.h"
#include "error/error.h"
#include "journal/journal.h"
#include "metrics/metrics.h"
#include "service/service.h"

enum { CHAIN_RECORD_KIND = 1 /* an AuditGroup */ };

struct chain;

struct chain_options {
    struct journal *journal; /* borrowed, as all below */
    int64_t retention_ms;    /* younger records are never deleted */
    struct metrics *metrics;
    struct heartbeat *heartbeat; /* may be NULL (tests) */
};

struct chain_head {
    uint64_t number; /* 0: no record yet */
    uint8_t hash[CRYPTO_SHA256_BYTES];
};

/* Reads the last record back and starts the thread. */
struct chain *chain_new(const struct chain_options *options, struct error *err) MUST_USE;
/* Stores what waits, then ends. */
void chain_destroy(struct chain **self_p);

/* Stores a serialised Fact and returns when it is on disk; *sequence is its place in the journal.
 * -1 ERROR_UNAVAILABLE: full, failed, or not on disk within 5 s (then it may be there). */
int chain_append(struct chain *self, const void *fact, size_t length, uint64_t *sequence,
                 struct error *err) MUST_USE;

void chain_head(struct chain *self, struct chain_head *out);
/* Nothing waits to be stored. */
bool chain_is_idle(struct chain *self);

/* What one reads. bytes: the record as hashed; NULL where the journal's record is damaged. */
struct chain_link {
    uint64_t sequence;
    int64_t stored_at_ms;
    const uint8_t *bytes;
    size_t length;
    const Desg__V1__AuditRecord *record;
    const Desg__V1__Fact *fact; /* NULL: not understood */
};
/* Shows the links from number on in order until visit returns false. Damaged records are shown
 * where they stand. */
int chain_read(struct chain *self, uint64_t number,
               bool (*visit)(void *arg, const struct chain_link *link), void *arg,
               struct error *err) MUST_USE;
/* The same, from a place in the journal on. */
int chain_read_at(struct chain *self, uint64_t sequence,
                  bool (*visit)(void *arg, const struct chain_link *link), void *arg,
                  struct error *err) MUST_USE;

/* Shows the links of one record of the journal. Returns false if visit did or the record is
 * damaged. */
bool chain_open(const struct journal_record *record,
                bool (*visit)(void *arg, const struct chain_link *link), void *arg);

#endif
