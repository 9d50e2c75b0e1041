#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "fixture.h"

static void path_of(const struct fixture *f, const char *name, char out[static 128])
{
    (void)snprintf(out, 128, "%s/%s", f->directory, name);
}

/* ---- storing and reading ---- */

static void see_number(void *next, const struct journal_record *record)
{
    uint64_t *expected = next;
    char body[32];
    (void)snprintf(body, sizeof body, "body %llu", (unsigned long long)*expected);
    assert_int_equal(record->sequence, *expected);
    assert_false(record->is_damaged);
    assert_int_equal(record->body_bytes, strlen(body));
    assert_memory_equal(record->body, body, strlen(body));
    ++*expected;
}

static void append_numbers(struct fixture *f, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "body %zu", i);
        fixture_append(f, body, strlen(body));
    }
}

static void stores_and_answers_in_order(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 3000);
    fixture_await(f, 3000);
    assert_int_equal(f->answers.stored, 3000);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(f->answers.sequences[i], i + 1);
    uint64_t next = 1;
    assert_int_equal(fixture_read_all(f, 0, see_number, &next), 3000);
    journal_close(&f->journal); /* joins the committer: its last call is done */
    assert_int_equal(f->answers.last_committed, 3000);
    assert_true(f->answers.committed_calls >= 3);
    assert_true(f->answers.committed_calls < 3000);
}

/* Who was told that a record is stored finds it counted: an ingest that says it holds nothing, just
 * after a 200, would be deleted with it. */
static void a_record_is_called_committed_before_it_is_answered(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 300);
    fixture_await(f, 300);
    assert_int_equal(f->answers.stored, 300);
    assert_int_equal(f->answers.early, 0);
}

static void a_record_carries_what_it_was_given(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct error err = { 0 };
    int64_t before_ms = clock_unix_ms();
    assert_int_equal(journal_append(f->journal, 65535, "abc", 3, fixture_answer, &f->answers, &err),
                     0);
    fixture_await(f, 1);
    assert_int_equal(fixture_store(f, NULL, 0), 2); /* an empty body is a body */
    struct journal_page page;
    assert_int_equal(journal_read(f->journal, 1, 10, 1000, &page, &err), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.records[0].kind, 65535);
    assert_int_equal(page.records[0].incarnation, journal_incarnation(f->journal));
    assert_true(page.records[0].stored_at_ms >= before_ms);
    assert_true(page.records[0].stored_at_ms <= clock_unix_ms());
    assert_int_equal(page.records[0].note_count, 0);
    assert_int_equal(page.records[1].body_bytes, 0);
    assert_false(page.records[1].is_damaged);
    journal_page_clear(&page);
}

static void a_page_ends_where_it_is_told(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 600);
    fixture_await(f, 600);
    struct error err = { 0 };
    struct journal_page page;
    assert_int_equal(journal_read(f->journal, 10, 3, 1 << 20, &page, &err), 0);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.records[0].sequence, 10);
    journal_page_clear(&page);
    assert_int_equal(journal_read(f->journal, 1, 1000, 1 << 20, &page, &err), 0);
    assert_int_equal(page.count, JOURNAL_PAGE_MAX_RECORDS);
    journal_page_clear(&page);
    assert_int_equal(journal_read(f->journal, 1, 100, 14, &page, &err), 0);
    assert_int_equal(page.count, 3); /* 6 bytes each: full with the third */
    journal_page_clear(&page);
    assert_int_equal(journal_read(f->journal, 1, 100, 1, &page, &err), 0);
    assert_int_equal(page.count, 1); /* at least one */
    journal_page_clear(&page);
    assert_int_equal(journal_read(f->journal, 601, 100, 100, &page, &err), 0);
    assert_int_equal(page.count, 0);
    journal_page_clear(&page);
}

static void takes_the_largest_body_and_refuses_a_larger(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 32 << 20;
    fixture_open(f);
    size_t length = JOURNAL_RECORD_MAX_BYTES;
    uint8_t *body = malloc(length + 1);
    assert_non_null(body);
    for (size_t i = 0; i < length + 1; i++)
        body[i] = (uint8_t)(i * 31 + i / 4096);
    assert_int_equal(fixture_store(f, "small", 5), 1);
    assert_int_equal(fixture_store(f, body, length), 2);
    assert_int_equal(fixture_store(f, "small", 5), 3);
    struct error err = { 0 };
    assert_int_equal(journal_append(f->journal, 1, body, length + 1, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    struct journal_page page;
    assert_int_equal(journal_read(f->journal, 1, 10, 64 << 20, &page, &err), 0);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.records[1].body_bytes, length);
    assert_memory_equal(page.records[1].body, body, length);
    journal_page_clear(&page);
    journal_release(f->journal, 3);
    f->options.retention_ms = 0;
    fixture_reopen(f);
    fixture_await_stats(f, oldest_is, 0); /* all its parts go */
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_true(stats.used_bytes < 1 << 20);
    free(body);
}

/* ---- threads ---- */

enum { THREADS = 8, PER_THREAD = 500, FROM_THREADS = 4000 };

static void *append_many(void *fixture)
{
    struct fixture *f = fixture;
    for (int i = 0; i < PER_THREAD; i++) {
        struct error err = { 0 };
        while (journal_append(f->journal, 2, "from a thread", 13, fixture_answer, &f->answers,
                              &err) != 0)
            if (err.kind != ERROR_UNAVAILABLE)
                abort();
        journal_note(f->journal, 1, (uint32_t)i, 1, "note", 4);
    }
    return NULL;
}

static void *read_many(void *fixture)
{
    struct fixture *f = fixture;
    struct journal_page *page = malloc(sizeof *page);
    struct journal_stats stats;
    do {
        struct error err = { 0 };
        journal_stats(f->journal, &stats);
        uint64_t from = stats.newest_sequence > 50 ? stats.newest_sequence - 50 : 1;
        if (!page || journal_read(f->journal, from, 100, 1 << 20, page, &err) != 0)
            abort();
        /* Everything that is called committed can be read. */
        if (stats.newest_sequence > 0 && page->count == 0)
            abort();
        journal_page_clear(page);
        if (stats.newest_sequence > 100)
            journal_release(f->journal, stats.newest_sequence - 100);
    } while (stats.newest_sequence < FROM_THREADS);
    free(page);
    return NULL;
}

static void threads_share_commits(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    pthread_t threads[THREADS];
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_many, f), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, f), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(reader, NULL);
    fixture_await(f, FROM_THREADS);
    assert_int_equal(f->answers.stored, FROM_THREADS);
    for (size_t i = 0; i < FROM_THREADS; i++)
        assert_int_equal(f->answers.sequences[i], i + 1);
    assert_true(fixture_counter(f, "desg_journal_commits_total") < FROM_THREADS);
    assert_int_equal(fixture_counter(f, "desg_journal_appended_records_total"), FROM_THREADS);
}

struct gate {
    pthread_mutex_t mutex;
    struct answers *answers;
};

static void answer_behind_gate(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct gate *gate = arg;
    pthread_mutex_lock(&gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    fixture_answer(gate->answers, outcome, sequence);
}

static void what_waits_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 128 << 20;
    fixture_open(f);
    struct gate gate = { .mutex = PTHREAD_MUTEX_INITIALIZER, .answers = &f->answers };
    uint8_t *body = calloc(1, 1 << 20);
    assert_non_null(body);
    struct error err = { 0 };
    size_t taken = 0;
    pthread_mutex_lock(&gate.mutex);
    while (taken < 100 &&
           journal_append(f->journal, 1, body, 1 << 20, answer_behind_gate, &gate, &err) == 0)
        taken++;
    pthread_mutex_unlock(&gate.mutex);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_in_range(taken, 60, 64);
    fixture_await(f, taken);
    assert_int_equal(f->answers.stored, taken);
    assert_int_not_equal(fixture_store(f, body, 1 << 20), 0); /* and there is room again */
    free(body);
}

static void closing_commits_what_waits(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 2500);
    journal_note(f->journal, 1, 7, 8, "late", 4);
    journal_close(&f->journal);
    assert_int_equal(f->answers.stored, 2500);
    fixture_open(f);
    uint64_t next = 1;
    assert_int_equal(fixture_read_all(f, 1, see_number, &next), 2500);
}

/* ---- restarts ---- */

static void a_restart_keeps_all_and_counts_on(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct id source = journal_source(f->journal);
    uint64_t first = journal_incarnation(f->journal);
    assert_int_not_equal(first, 0);
    append_numbers(f, 1, 10);
    fixture_await(f, 10);
    fixture_reopen(f);
    uint64_t second = journal_incarnation(f->journal);
    assert_int_not_equal(second, first);
    fixture_reopen(f); /* one that stores nothing */
    uint64_t third = journal_incarnation(f->journal);
    append_numbers(f, 11, 5);
    fixture_await(f, 15);
    uint64_t next = 1;
    assert_int_equal(fixture_read_all(f, 1, see_number, &next), 15);
    assert_memory_equal(journal_source(f->journal).bytes, source.bytes, ID_BYTES);

    uint64_t from = 0;
    uint64_t to = 0;
    assert_true(journal_find_incarnation(f->journal, first, &from, &to));
    assert_int_equal(from, 1);
    assert_int_equal(to, 10);
    assert_true(journal_find_incarnation(f->journal, second, &from, &to));
    assert_int_equal(from, 11);
    assert_int_equal(to, 10); /* none */
    assert_true(journal_find_incarnation(f->journal, third, &from, &to));
    assert_int_equal(from, 11);
    assert_int_equal(to, 15);
    assert_false(journal_find_incarnation(f->journal, third + 1, &from, &to));
    assert_false(journal_find_incarnation(f->journal, 0, &from, &to));
    assert_int_equal(journal_incarnation_of(f->journal, 10), first);
    assert_int_equal(journal_incarnation_of(f->journal, 11), third);
    assert_int_equal(journal_incarnation_of(f->journal, 16), 0);
    assert_int_equal(journal_incarnation_of(f->journal, 0), 0);
}

static void a_number_is_not_used_again_when_all_is_deleted(void **state)
{
    struct fixture *f = *state;
    f->options.retention_ms = 0;
    fixture_open(f);
    assert_int_equal(fixture_store(f, "one", 3), 1);
    assert_int_equal(fixture_store(f, "two", 3), 2);
    journal_release(f->journal, 2);
    fixture_await_stats(f, oldest_is, 0);
    fixture_reopen(f);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.newest_sequence, 2);
    assert_int_equal(stats.oldest_sequence, 0);
    assert_int_equal(stats.records, 0);
    assert_int_equal(fixture_store(f, "three", 5), 3);
}

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    char bytes[65536];
    for (ssize_t got = read(in, bytes, sizeof bytes); got > 0; got = read(in, bytes, sizeof bytes))
        assert_int_equal(write(out, bytes, (size_t)got), got);
    close(in);
    close(out);
}

static void a_restored_copy_has_its_own_incarnation(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(fixture_store(f, "before", 6), 1);
    journal_close(&f->journal);
    char data[128];
    char copy[128];
    path_of(f, "data.mdb", data);
    path_of(f, "snapshot", copy);
    copy_file(data, copy);

    fixture_open(f);
    uint64_t lost = journal_incarnation(f->journal);
    assert_int_equal(fixture_store(f, "lost with the volume", 20), 2);
    journal_close(&f->journal);
    copy_file(copy, data); /* the volume is restored */

    fixture_open(f);
    uint64_t from = 0;
    uint64_t to = 0;
    assert_int_not_equal(journal_incarnation(f->journal), lost);
    assert_false(journal_find_incarnation(f->journal, lost, &from, &to));
    /* The same number, under another incarnation: a mark of the lost one does not cover it. */
    assert_int_equal(fixture_store(f, "after", 5), 2);
    assert_int_equal(journal_incarnation_of(f->journal, 2), journal_incarnation(f->journal));
}

static void what_was_released_is_known_after_a_restart(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 5);
    fixture_await(f, 5);
    journal_release(f->journal, 3);
    journal_release(f->journal, 2); /* never goes back */
    fixture_reopen(f);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 3);
    journal_release(f->journal, 99); /* not beyond what is there */
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 5);
}

static void what_has_to_be_replayed_is_not_finished_any_more(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 5);
    fixture_await(f, 5);
    journal_release(f->journal, 5);
    fixture_reopen(f);
    journal_retain(f->journal, 2); /* Redis fell back to where only 2 are applied */
    journal_retain(f->journal, 4); /* never goes forward */
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 2);
    fixture_reopen(f);
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 2);
    journal_release(f->journal, 3);
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.released_sequence, 3);
}

/* ---- notes ---- */

struct seen_notes {
    size_t count;
    char text[8][16];
    uint32_t index[8];
    uint16_t kind[8];
};

static void see_notes(void *arg, const struct journal_record *record)
{
    struct seen_notes *seen = arg;
    if (record->sequence != 2) {
        assert_int_equal(record->note_count, 0);
        return;
    }
    seen->count = record->note_count;
    for (size_t i = 0; i < record->note_count && i < 8; i++) {
        const struct journal_note *note = &record->notes[i];
        (void)snprintf(seen->text[i], sizeof seen->text[i], "%.*s", (int)note->length,
                       (const char *)note->bytes);
        seen->index[i] = note->index;
        seen->kind[i] = note->kind;
    }
}

static bool commits_are(const struct journal_stats *stats, uint64_t after_ms)
{
    return stats->last_commit_unix_ms > (int64_t)after_ms;
}

static void notes_replace_each_other_and_stay(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 3);
    fixture_await(f, 3);
    journal_note(f->journal, 2, 1, 5, "old", 3);
    journal_note(f->journal, 2, 1, 4, "kind 4", 6);
    journal_note(f->journal, 2, 0, 9, "", 0);
    journal_note(f->journal, 2, 1, 5, "new", 3);
    fixture_reopen(f);
    journal_note(f->journal, 2, 70000, 1, "more", 4);
    fixture_reopen(f);
    struct seen_notes seen = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_notes, &seen), 3);
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.text[0], "");
    assert_string_equal(seen.text[1], "kind 4");
    assert_int_equal(seen.kind[1], 4);
    assert_string_equal(seen.text[2], "new");
    assert_string_equal(seen.text[3], "more");
    assert_int_equal(seen.index[3], 70000);
}

static void notes_alone_go_with_the_heartbeat(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 3);
    fixture_await(f, 3);
    journal_note(f->journal, 2, 1, 5, "x", 1);
    fixture_await_stats(f, commits_are, (uint64_t)clock_unix_ms() + 50);
    struct seen_notes seen = { 0 };
    (void)fixture_read_all(f, 1, see_notes, &seen);
    assert_int_equal(seen.count, 1);
}

static void notes_that_cannot_be_kept_are_counted(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 3);
    fixture_await(f, 3);
    char *large = calloc(1, JOURNAL_NOTE_MAX_BYTES + 1);
    assert_non_null(large);
    journal_note(f->journal, 2, 0, 1, large, JOURNAL_NOTE_MAX_BYTES + 1);
    assert_int_equal(fixture_counter(f, "desg_journal_dropped_notes_total"), 1);
    journal_note(f->journal, 0, 0, 1, "x", 1);
    assert_int_equal(fixture_counter(f, "desg_journal_dropped_notes_total"), 2);
    journal_note(f->journal, 4, 0, 1, "x", 1); /* no such record */
    journal_note(f->journal, 2, 0, 2, large, JOURNAL_NOTE_MAX_BYTES);
    fixture_reopen(f);
    assert_int_equal(fixture_counter(f, "desg_journal_dropped_notes_total"), 3);
    struct seen_notes seen = { 0 };
    (void)fixture_read_all(f, 1, see_notes, &seen);
    assert_int_equal(seen.count, 1);
    free(large);
}

static void many_notes_do_not_wait_for_the_heartbeat(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = HOUR_MS;
    fixture_open(f);
    append_numbers(f, 1, 3);
    fixture_await(f, 3);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    uint64_t commits = fixture_counter(f, "desg_journal_commits_total");
    for (uint32_t i = 0; i < 1500; i++)
        journal_note(f->journal, 1, i, 1, "n", 1);
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (fixture_counter(f, "desg_journal_commits_total") == commits &&
           clock_monotonic_ms() < end_ms)
        continue;
    assert_int_equal(fixture_counter(f, "desg_journal_commits_total"), commits + 1);
}

/* ---- retention ---- */

static void deletes_what_is_released_and_old(void **state)
{
    struct fixture *f = *state;
    f->options.retention_ms = 0;
    fixture_open(f);
    append_numbers(f, 1, 1000);
    fixture_await(f, 1000);
    for (uint64_t sequence = 1; sequence <= 1000; sequence++)
        journal_note(f->journal, sequence, 0, 1, "note", 4);
    journal_release(f->journal, 990);
    fixture_await_stats(f, oldest_is, 991);
    assert_int_equal(fixture_counter(f, "desg_journal_deleted_records_total"), 990);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.records, 10);
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 10);
}

static void keeps_what_is_young_or_not_released(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 10);
    fixture_await(f, 10);
    journal_release(f->journal, 5);
    fixture_await_stats(f, commits_are, (uint64_t)clock_unix_ms() + 50);
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 10); /* retention is an hour */
    f->options.retention_ms = 0;
    fixture_reopen(f);
    fixture_await_stats(f, oldest_is, 6);
    fixture_await_stats(f, commits_are, (uint64_t)clock_unix_ms() + 50);
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 5); /* the rest is not released */
}

/* ---- the folder ---- */

static void refuses_a_second_opener_and_names_the_first(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct error err = { 0 };
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, f->directory));
    assert_int_equal(fixture_store(f, "unharmed", 8), 1);
    fixture_reopen(f); /* the lock goes with the journal */
}

static void is_private_and_has_all_its_blocks(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->directory, 0755), 0);
    fixture_open(f);
    struct stat status;
    assert_int_equal(stat(f->directory, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    static const char *const names[] = { "data.mdb", "lock.mdb", "lock" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        path_of(f, names[i], path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    char data[128];
    path_of(f, "data.mdb", data);
    assert_int_equal(stat(data, &status), 0);
    assert_int_equal(status.st_size, f->options.max_bytes);
    assert_true((uint64_t)status.st_blocks * 512 >= f->options.max_bytes);
    append_numbers(f, 1, 100); /* and LMDB works in a file larger than it uses */
    fixture_await(f, 100);
    assert_int_equal(f->answers.stored, 100);
    assert_int_equal(stat(data, &status), 0);
    assert_int_equal(status.st_size, f->options.max_bytes);
}

/* /dev/shm is a volume of its own wherever tests run; where it is not, there is nothing to see. */
static void makes_its_directory_at_the_top_of_a_volume_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    char inside[128];
    path_of(f, "inside", inside);
    f->options.directory = inside;
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "create it"));
    assert_int_equal(access(inside, F_OK), -1);

    struct stat volume;
    struct stat outer;
    if (stat("/dev/shm", &volume) != 0 || stat("/dev", &outer) != 0 ||
        volume.st_dev == outer.st_dev || access("/dev/shm", W_OK) != 0)
        skip();
    char made[64];
    (void)snprintf(made, sizeof made, "/dev/shm/desg-journal-%ld/", (long)getpid());
    f->options.directory = made;
    fixture_open(f);
    struct stat status;
    assert_int_equal(stat(made, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(fixture_store(f, "kept", 4), 1);
    fixture_reopen(f);
    assert_int_equal(fixture_store(f, "kept", 4), 2);
    journal_close(&f->journal);
    static const char *const names[] = { "data.mdb", "lock.mdb", "lock" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", made, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(made), 0);
}

static void refuses_what_an_operator_must_mend(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    f->options.directory = "/nonexistent/journal";
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/journal"));
    f->options.directory = f->directory;
    f->options.max_bytes = 1 << 20;
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "size_mib"));
}

static void may_shrink_but_not_below_what_it_holds(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint8_t *body = calloc(1, 1 << 20);
    assert_non_null(body);
    for (int i = 0; i < 6; i++)
        assert_int_not_equal(fixture_store(f, body, 1 << 20), 0);
    journal_close(&f->journal);
    struct error err = { 0 };
    f->options.max_bytes = 5 << 20;
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "raise size_mib"));
    f->options.max_bytes = 8 << 20;
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 6);
    struct stat status;
    char data[128];
    path_of(f, "data.mdb", data);
    assert_int_equal(stat(data, &status), 0);
    assert_int_equal(status.st_size, 8 << 20);
    journal_close(&f->journal);
    f->options.max_bytes = 16 << 20;
    fixture_open(f);
    assert_int_not_equal(fixture_store(f, body, 1 << 20), 0);
    free(body);
}

static void is_not_fooled_by_a_foreign_file(void **state)
{
    struct fixture *f = *state;
    char data[128];
    path_of(f, "data.mdb", data);
    FILE *file = fopen(data, "w");
    assert_non_null(file);
    for (int i = 0; i < 4096; i++)
        (void)fputs("not a journal", file);
    fclose(file);
    struct error err = { 0 };
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_non_null(strstr(err.text, f->directory));
}

/* As a disk leaves it that fails while the file is made: the header cut short. */
static void begins_anew_where_the_header_was_never_written_whole(void **state)
{
    static const long cuts[] = { 1, 19, 360, 4096, 8191 };
    struct fixture *f = *state;
    char data[128];
    path_of(f, "data.mdb", data);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        fixture_open(f);
        journal_close(&f->journal);
        assert_int_equal(truncate(data, cuts[i]), 0);
        fixture_open(f);
        assert_int_not_equal(fixture_store(f, "kept", 4), 0);
        journal_close(&f->journal);
        fixture_open(f);
        assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 1);
        journal_close(&f->journal);
        assert_int_equal(unlink(data), 0);
    }
}

static void does_not_begin_anew_in_a_short_foreign_file(void **state)
{
    struct fixture *f = *state;
    char data[128];
    path_of(f, "data.mdb", data);
    FILE *file = fopen(data, "w");
    assert_non_null(file);
    (void)fputs("notes of mine, and nobody else's", file);
    fclose(file);
    struct error err = { 0 };
    assert_null(journal_open(&f->options, &err));
    struct stat status;
    assert_int_equal(stat(data, &status), 0);
    assert_int_not_equal(status.st_size, 0);
}

/* ---- heartbeat and numbers ---- */

static void an_idle_journal_commits_by_itself(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    for (int i = 0; i < 3; i++) {
        struct journal_stats stats;
        journal_stats(f->journal, &stats);
        fixture_await_stats(f, commits_are, (uint64_t)stats.last_commit_unix_ms);
    }
}

static void stats_and_metrics_agree(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_numbers(f, 1, 50);
    fixture_await(f, 50);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.state, JOURNAL_ROOMY);
    assert_int_equal(stats.oldest_sequence, 1);
    assert_int_equal(stats.newest_sequence, 50);
    assert_int_equal(stats.records, 50);
    assert_int_equal(stats.max_bytes, f->options.max_bytes);
    assert_true(stats.used_bytes > 0 && stats.used_bytes < 1 << 20);
    assert_true(stats.reusable_bytes > stats.max_bytes / 2);
    assert_true(stats.reusable_bytes < stats.max_bytes);
    assert_true(stats.disk_free_bytes > 0);
    char *text = metrics_render(f->metrics);
    static const char *const names[] = {
        "desg_journal_appended_records_total 50", "desg_journal_newest_sequence 50",
        "desg_journal_oldest_sequence 1",         "desg_journal_state 0",
        "desg_journal_commit_seconds_count",      "desg_journal_max_bytes 16777216",
        "desg_journal_damaged_records_total 0",   "desg_journal_failed_groups_total 0",
        "desg_journal_reopened_total 0",          "desg_journal_used_bytes",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strstr(text, names[i]))
            fail_msg("no '%s'", names[i]);
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stores_and_answers_in_order),
        TEST(a_record_is_called_committed_before_it_is_answered),
        TEST(a_record_carries_what_it_was_given),
        TEST(a_page_ends_where_it_is_told),
        TEST(takes_the_largest_body_and_refuses_a_larger),
        TEST(threads_share_commits),
        TEST(what_waits_is_bounded),
        TEST(closing_commits_what_waits),
        TEST(a_restart_keeps_all_and_counts_on),
        TEST(a_number_is_not_used_again_when_all_is_deleted),
        TEST(a_restored_copy_has_its_own_incarnation),
        TEST(what_was_released_is_known_after_a_restart),
        TEST(what_has_to_be_replayed_is_not_finished_any_more),
        TEST(notes_replace_each_other_and_stay),
        TEST(notes_alone_go_with_the_heartbeat),
        TEST(notes_that_cannot_be_kept_are_counted),
        TEST(many_notes_do_not_wait_for_the_heartbeat),
        TEST(deletes_what_is_released_and_old),
        TEST(keeps_what_is_young_or_not_released),
        TEST(refuses_a_second_opener_and_names_the_first),
        TEST(is_private_and_has_all_its_blocks),
        TEST(makes_its_directory_at_the_top_of_a_volume_and_nowhere_else),
        TEST(refuses_what_an_operator_must_mend),
        TEST(may_shrink_but_not_below_what_it_holds),
        TEST(is_not_fooled_by_a_foreign_file),
        TEST(begins_anew_where_the_header_was_never_written_whole),
        TEST(does_not_begin_anew_in_a_short_foreign_file),
        TEST(an_idle_journal_commits_by_itself),
        TEST(stats_and_metrics_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
