#include "fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"

void fixture_answer(void *answers, enum journal_outcome outcome, uint64_t sequence)
{
    struct answers *self = answers;
    pthread_mutex_lock(&self->mutex);
    if (outcome == JOURNAL_STORED && sequence > self->last_committed)
        self->early++;
    if (outcome == JOURNAL_STORED && self->stored < ANSWERS_MAX)
        self->sequences[self->stored++] = sequence;
    else
        self->failed++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static void on_committed(void *answers, uint64_t last_sequence)
{
    struct answers *self = answers;
    pthread_mutex_lock(&self->mutex);
    self->last_committed = last_sequence;
    self->committed_calls++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-journal-XXXXXX");
    if (!mkdtemp(f->directory)) {
        free(f);
        return -1;
    }
    pthread_mutex_init(&f->answers.mutex, NULL);
    pthread_cond_init(&f->answers.changed, NULL);
    f->metrics = metrics_new();
    f->options = (struct journal_options){
        .directory = f->directory,
        .max_bytes = 16 << 20,
        .retention_ms = HOUR_MS,
        .heartbeat_ms = 20,
        .metrics = f->metrics,
        .committed = on_committed,
        .committed_arg = &f->answers,
    };
    *state = f;
    return 0;
}

static void remove_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(directory);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(&f->journal);
    metrics_destroy(&f->metrics);
    remove_directory(f->directory);
    if (f->archive[0])
        remove_directory(f->archive);
    pthread_mutex_destroy(&f->answers.mutex);
    pthread_cond_destroy(&f->answers.changed);
    free(f);
    return 0;
}

void fixture_make_archive(struct fixture *f)
{
    (void)snprintf(f->archive, sizeof f->archive, "/tmp/desg-archive-XXXXXX");
    assert_non_null(mkdtemp(f->archive));
    f->options.archive_directory = f->archive;
}

void fixture_open(struct fixture *f)
{
    struct error err = { 0 };
    f->journal = journal_open(&f->options, &err);
    if (!f->journal)
        fail_msg("cannot open: %s", err.text);
}

void fixture_reopen(struct fixture *f)
{
    journal_close(&f->journal);
    assert_null(f->journal);
    fixture_open(f);
}

void fixture_append(struct fixture *f, const void *body, size_t length)
{
    struct error err = { 0 };
    if (journal_append(f->journal, 1, body, length, fixture_answer, &f->answers, &err) != 0)
        fail_msg("refused: %s", err.text);
}

static void deadline(struct timespec *at)
{
    clock_gettime(CLOCK_REALTIME, at);
    at->tv_sec += DEADLINE_MS / 1000;
}

void fixture_await(struct fixture *f, size_t answers)
{
    struct timespec at;
    deadline(&at);
    int rc = 0;
    pthread_mutex_lock(&f->answers.mutex);
    while (rc == 0 && f->answers.stored + f->answers.failed < answers)
        rc = pthread_cond_timedwait(&f->answers.changed, &f->answers.mutex, &at);
    size_t got = f->answers.stored + f->answers.failed;
    pthread_mutex_unlock(&f->answers.mutex);
    if (got < answers)
        fail_msg("%zu of %zu answers came", got, answers);
}

uint64_t fixture_store(struct fixture *f, const void *body, size_t length)
{
    struct error err = { 0 };
    pthread_mutex_lock(&f->answers.mutex);
    size_t stored = f->answers.stored;
    size_t before = stored + f->answers.failed;
    pthread_mutex_unlock(&f->answers.mutex);
    if (journal_append(f->journal, 1, body, length, fixture_answer, &f->answers, &err) != 0)
        return 0;
    fixture_await(f, before + 1);
    pthread_mutex_lock(&f->answers.mutex);
    uint64_t sequence = f->answers.stored > stored ? f->answers.sequences[stored] : 0;
    pthread_mutex_unlock(&f->answers.mutex);
    return sequence;
}

bool state_is(const struct journal_stats *stats, uint64_t state)
{
    return stats->state == (enum journal_state)state;
}

bool oldest_is(const struct journal_stats *stats, uint64_t sequence)
{
    return stats->oldest_sequence == sequence;
}

void fixture_await_stats(struct fixture *f, bool (*holds)(const struct journal_stats *, uint64_t),
                         uint64_t arg)
{
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    struct journal_stats stats;
    do {
        journal_stats(f->journal, &stats);
        if (holds(&stats, arg))
            return;
        sched_yield();
    } while (clock_monotonic_ms() < end_ms);
    fail_msg("never: state %d, oldest %llu, newest %llu", (int)stats.state,
             (unsigned long long)stats.oldest_sequence, (unsigned long long)stats.newest_sequence);
}

size_t fixture_read_all(struct fixture *f, uint64_t from,
                        void (*see)(void *arg, const struct journal_record *record), void *arg)
{
    struct journal_page *page = malloc(sizeof *page);
    assert_non_null(page);
    size_t count = 0;
    for (;;) {
        struct error err = { 0 };
        if (journal_read(f->journal, from, JOURNAL_PAGE_MAX_RECORDS, 1 << 20, page, &err) != 0)
            fail_msg("cannot read: %s", err.text);
        size_t got = page->count;
        for (size_t i = 0; i < got; i++) {
            if (see)
                see(arg, &page->records[i]);
            from = page->records[i].sequence + 1;
        }
        journal_page_clear(page);
        if (got == 0)
            break;
        count += got;
    }
    free(page);
    return count;
}

uint64_t fixture_counter(struct fixture *f, const char *name)
{
    return counter_value(metrics_counter(f->metrics, name, "", ""));
}
