/* fixture - a journal in a temporary folder, and answers collected as they come. */
#ifndef DESG_TESTS_JOURNAL_FIXTURE_H
#define DESG_TESTS_JOURNAL_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/journal.h"
#include "metrics/metrics.h"

enum { ANSWERS_MAX = 65536, DEADLINE_MS = 20000, HOUR_MS = 3600000 };

struct answers {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t sequences[ANSWERS_MAX]; /* of those stored, in order of arrival */
    size_t stored;
    size_t failed;
    uint64_t last_committed;
    size_t committed_calls;
    size_t early; /* answers of what had not been called committed yet */
};

struct fixture {
    char directory[64];
    char archive[64]; /* empty: none */
    struct metrics *metrics;
    struct journal_options options;
    struct journal *journal;
    struct answers answers;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The journal of the fixture's options, or the test fails. */
void fixture_open(struct fixture *f);
void fixture_reopen(struct fixture *f);

/* Gives the fixture's options an archive directory of their own. */
void fixture_make_archive(struct fixture *f);

/* A journal_stored for arg = &f->answers. */
void fixture_answer(void *answers, enum journal_outcome outcome, uint64_t sequence);

void fixture_append(struct fixture *f, const void *body, size_t length);
/* Appends and waits for the answer; returns the sequence, 0 if it failed or was refused. */
uint64_t fixture_store(struct fixture *f, const void *body, size_t length);
/* Waits until so many answers have come, stored and failed together. */
void fixture_await(struct fixture *f, size_t answers);
/* Waits until the condition holds for the journal's stats. */
void fixture_await_stats(struct fixture *f, bool (*holds)(const struct journal_stats *, uint64_t),
                         uint64_t arg);

bool state_is(const struct journal_stats *stats, uint64_t state);
bool oldest_is(const struct journal_stats *stats, uint64_t sequence);

/* Reads all records from `from` on, calling see for each; returns how many. */
size_t fixture_read_all(struct fixture *f, uint64_t from,
                        void (*see)(void *arg, const struct journal_record *record), void *arg);

uint64_t fixture_counter(struct fixture *f, const char *name);

#endif
