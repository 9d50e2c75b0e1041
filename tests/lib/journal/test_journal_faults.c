/* Failing disks, full disks, flipped bytes, missing keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/clock.h"
#include "crypto/seal.h"
#include "faults.h"
#include "fixture.h"

static int setup(void **state)
{
    fault_hide_holes(true);
    return fixture_setup(state);
}

static int teardown(void **state)
{
    fault_clear();
    return fixture_teardown(state);
}

static void store_some(struct fixture *f, size_t count)
{
    size_t stored = f->answers.stored; /* nothing is under way */
    size_t failed = f->answers.failed;
    for (size_t i = 0; i < count; i++)
        fixture_append(f, "a record that was stored", 24);
    fixture_await(f, stored + failed + count);
    assert_int_equal(f->answers.stored, stored + count);
}

static bool is_there(const struct journal_stats *stats, uint64_t newest)
{
    return stats->newest_sequence >= newest;
}

static void see_good(void *count, const struct journal_record *record)
{
    assert_false(record->is_damaged);
    ++*(size_t *)count;
}

/* ---- a disk that fails ---- */

static void fails_once_and_goes_on(struct fixture *f, enum fault_call call)
{
    f->options.heartbeat_ms = HOUR_MS; /* the append below meets the fault, nothing else */
    fixture_open(f);
    store_some(f, 10);
    uint64_t before = journal_incarnation(f->journal);
    fault_inject(call, EIO, 1);
    assert_int_equal(fixture_store(f, "fails", 5), 0);
    assert_int_equal(f->answers.failed, 1);
    /* The next one waits for the reopened file. */
    uint64_t next = fixture_store(f, "works again", 11);
    assert_int_equal(next, 11); /* the failed one never had a number */
    uint64_t after = journal_incarnation(f->journal);
    assert_int_not_equal(after, before);
    assert_int_equal(journal_incarnation_of(f->journal, 10), before);
    assert_int_equal(journal_incarnation_of(f->journal, 11), after);
    uint64_t from = 0;
    uint64_t to = 0;
    assert_true(journal_find_incarnation(f->journal, before, &from, &to));
    assert_int_equal(to, 10);
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 11);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 1);
    assert_int_equal(fixture_counter(f, "desg_journal_failed_groups_total"), 1);
    fixture_reopen(f);
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 11);
}

static void a_failed_sync_costs_its_group_only(void **state)
{
    fails_once_and_goes_on(*state, FAULT_SYNC);
}

static void a_failed_write_costs_its_group_only(void **state)
{
    fails_once_and_goes_on(*state, FAULT_WRITE);
}

static void a_failed_meta_write_costs_its_group_only(void **state)
{
    fails_once_and_goes_on(*state, FAULT_META_WRITE);
}

static void a_sync_is_never_retried(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = HOUR_MS;
    fixture_open(f);
    store_some(f, 1);
    fault_clear();
    fault_hide_holes(true);
    fault_inject(FAULT_SYNC, EIO, 1);
    assert_int_equal(fixture_store(f, "fails", 5), 0);
    /* One that failed; the next belongs to the reopened file's header, before its first commit. */
    fixture_await_stats(f, is_there, 1);
    store_some(f, 1);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 1);
    assert_int_equal(fault_count(FAULT_SYNC), 1 + 1 + 1 + 1); /* header, incarnation, record */
}

static void dies_at_the_second_failure_within_a_minute(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = HOUR_MS;
    fixture_open(f);
    store_some(f, 5);
    fault_inject(FAULT_SYNC, EIO, 1);
    assert_int_equal(fixture_store(f, "fails", 5), 0);
    store_some(f, 5);
    fault_inject(FAULT_SYNC, EIO, 1);
    assert_int_equal(fixture_store(f, "fails", 5), 0);
    fixture_await_stats(f, state_is, JOURNAL_DEAD);
    struct error err = { 0 };
    assert_int_equal(journal_append(f->journal, 1, "x", 1, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    journal_note(f->journal, 1, 0, 1, "x", 1); /* harmless */
    journal_release(f->journal, 3);
    fault_clear();
    fixture_reopen(f); /* the next process, on a mended disk */
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 10);
    store_some(f, 1);
}

static void dies_when_the_reopened_file_fails_too(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = HOUR_MS;
    fixture_open(f);
    store_some(f, 5);
    fault_inject(FAULT_SYNC, EIO, 1000);
    assert_int_equal(fixture_store(f, "fails", 5), 0);
    fixture_await_stats(f, state_is, JOURNAL_DEAD);
    struct error err = { 0 };
    struct journal_page page;
    assert_int_equal(journal_read(f->journal, 1, 1, 1, &page, &err), -1);
    assert_int_equal(err.kind, ERROR_SYSTEM);
    fault_clear();
    fixture_reopen(f);
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 5);
}

static void what_waits_behind_a_failure_is_answered(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fault_inject(FAULT_SYNC, EIO, 1000);
    struct error err = { 0 };
    size_t taken = 0;
    for (int i = 0; i < 5000; i++)
        if (journal_append(f->journal, 1, "x", 1, fixture_answer, &f->answers, &err) == 0)
            taken++;
    fixture_await(f, taken);
    assert_int_equal(f->answers.failed, taken);
    assert_int_equal(f->answers.stored, 0);
}

static void a_heartbeat_that_fails_is_noticed(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = 5;
    fixture_open(f);
    store_some(f, 1);
    uint64_t before = journal_incarnation(f->journal);
    fault_inject(FAULT_SYNC, EIO, 1);
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (journal_incarnation(f->journal) == before && clock_monotonic_ms() < end_ms)
        continue;
    assert_int_not_equal(journal_incarnation(f->journal), before);
}

/* ---- a file or disk that is full ---- */

/* Appends until refused; returns the last sequence stored. */
static uint64_t fill(struct fixture *f)
{
    static const uint8_t body[2000];
    struct error err = { 0 };
    for (int i = 0; i < 100000 && err.kind == ERROR_NONE; i++) {
        size_t answers = f->answers.stored + f->answers.failed;
        size_t taken = 0;
        while (taken < 16 && journal_append(f->journal, 1, body, sizeof body, fixture_answer,
                                            &f->answers, &err) == 0)
            taken++;
        fixture_await(f, answers + taken);
    }
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    return f->answers.stored ? f->answers.sequences[f->answers.stored - 1] : 0;
}

static void refuses_when_full_and_goes_on_when_released(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    fixture_open(f);
    for (int round = 0; round < 5; round++) {
        uint64_t last = fill(f);
        struct journal_stats stats;
        journal_stats(f->journal, &stats);
        assert_int_equal(stats.state, JOURNAL_FULL);
        assert_int_equal(stats.newest_sequence, last);
        uint64_t dropped = fixture_counter(f, "desg_journal_dropped_notes_total");
        journal_note(f->journal, last, 0, 1, "x", 1);
        assert_int_equal(fixture_counter(f, "desg_journal_dropped_notes_total"), dropped + 1);
        /* Nothing is lost to make room: only what is released goes, however young. */
        assert_int_equal(fixture_read_all(f, 1, NULL, NULL), stats.records);
        journal_release(f->journal, last - 10);
        fixture_await_stats(f, state_is, JOURNAL_ROOMY);
        uint64_t next = fixture_store(f, "goes on", 7);
        assert_int_equal(next, last + 1);
        journal_stats(f->journal, &stats);
        assert_true(stats.oldest_sequence <= last - 9); /* never one that is not released */
        size_t good = 0;
        assert_int_equal(fixture_read_all(f, 1, see_good, &good), next - stats.oldest_sequence + 1);
    }
}

static void a_full_journal_can_be_reopened(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    fixture_open(f);
    (void)fill(f);
    for (int i = 0; i < 20; i++) { /* each opening commits, out of the reserve */
        fixture_reopen(f);
        (void)fill(f);
    }
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    uint64_t last = stats.newest_sequence;
    journal_release(f->journal, last);
    fixture_await_stats(f, state_is, JOURNAL_ROOMY);
    assert_int_equal(fixture_store(f, "goes on", 7), last + 1);
}

static void a_body_that_does_not_fit_fails_alone(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 6 << 20;
    f->options.heartbeat_ms = HOUR_MS;
    fixture_open(f);
    uint8_t *body = calloc(1, 5 << 20);
    assert_non_null(body);
    store_some(f, 1);
    assert_int_not_equal(fixture_store(f, body, 4 << 20), 0);
    assert_int_equal(fixture_store(f, body, 2 << 20), 0);
    store_some(f, 1);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 0);
    free(body);
}

static void a_page_held_for_long_does_not_fill_the_file(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    f->options.retention_ms = 0;
    fixture_open(f);
    store_some(f, 3);
    struct journal_page page;
    struct error err = { 0 };
    assert_int_equal(journal_read(f->journal, 1, 3, 1000, &page, &err), 0);
    static const uint8_t body[2000];
    for (int i = 0; i < 60; i++) { /* seven times the file */
        size_t answers = f->answers.stored;
        for (int j = 0; j < 256; j++)
            fixture_append(f, body, sizeof body);
        fixture_await(f, answers + 256);
        assert_int_equal(f->answers.failed, 0);
        journal_release(f->journal, f->answers.sequences[f->answers.stored - 1]);
    }
    assert_memory_equal(page.records[2].body, "a record that was stored", 24);
    journal_page_clear(&page);
}

/* Another process, such as mdb_copy, that reads and is killed: it leaves its place in the table of
 * readers behind, and with it every page freed since. */
static pid_t read_for_ever(const char *directory)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        MDB_env *env = NULL;
        MDB_txn *txn = NULL;
        if (mdb_env_create(&env) != 0 ||
            mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600) != 0 ||
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return child;
}

static void a_foreign_reader_fills_the_file_while_it_lives(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    fixture_open(f);
    store_some(f, 10);
    pid_t reader = read_for_ever(f->directory);
    uint64_t last = fill(f);
    journal_release(f->journal, last);
    fixture_await_stats(f, state_is, JOURNAL_FULL); /* what it deletes is held back, if it can */
    struct error err = { 0 };
    assert_int_equal(journal_append(f->journal, 1, "no room", 7, NULL, NULL, &err), -1);
    assert_int_equal(kill(reader, SIGKILL), 0);
    assert_int_equal(waitpid(reader, NULL, 0), reader);
    fixture_await_stats(f, state_is, JOURNAL_ROOMY); /* with no restart */
    assert_int_equal(fixture_store(f, "goes on", 7), last + 1);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 0);
}

static void a_full_disk_is_full_not_broken(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = 10;
    fixture_open(f);
    store_some(f, 3);
    uint64_t before = journal_incarnation(f->journal);
    fault_set_disk_full(true);
    fault_inject(FAULT_WRITE, EIO, 1000000); /* how LMDB reports a short write */
    assert_int_equal(fixture_store(f, "no room", 7), 0);
    fixture_await_stats(f, state_is, JOURNAL_FULL);
    struct error err = { 0 };
    assert_int_equal(journal_append(f->journal, 1, "x", 1, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    fault_set_disk_full(false); /* somebody made room */
    fault_inject(FAULT_WRITE, 0, 0);
    fixture_await_stats(f, state_is, JOURNAL_ROOMY);
    assert_int_equal(fixture_store(f, "goes on", 7), 4);
    assert_int_equal(journal_incarnation(f->journal), before);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 0);
}

static void a_full_disk_under_the_meta_page_is_survived(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 3);
    fault_set_disk_full(true);
    fault_inject(FAULT_META_WRITE, ENOSPC, 1); /* LMDB then refuses the handle for good */
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (fixture_counter(f, "desg_journal_reopened_total") == 0 && clock_monotonic_ms() < end_ms)
        continue;
    fault_set_disk_full(false);
    fixture_await_stats(f, state_is, JOURNAL_ROOMY);
    assert_int_equal(fixture_store(f, "goes on", 7), 4);
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 4);
}

/* ---- writing ahead ---- */

static bool is_written_to_its_end(const struct fixture *f)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t end = lseek(fd, 0, SEEK_END);
    off_t hole = lseek(fd, 64 << 10, SEEK_HOLE);
    (void)close(fd);
    return hole == end;
}

static void await_written_ahead(const struct fixture *f)
{
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!is_written_to_its_end(f) && clock_monotonic_ms() < end_ms)
        continue;
    assert_true(is_written_to_its_end(f));
}

/* LMDB gives its environment up, and a new one cannot be begun either. */
static void a_disk_that_stays_full_under_the_meta_page_is_survived(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 5);
    fault_set_disk_full(true);
    fault_inject(FAULT_META_WRITE, EIO, 1000000);
    fault_inject(FAULT_WRITE, EIO, 1000000);
    assert_int_equal(fixture_store(f, "no room", 7), 0);
    fixture_await_stats(f, state_is, JOURNAL_FULL);
    struct error err = { 0 };
    int64_t end_ms = clock_monotonic_ms() + 1500; /* it looks again meanwhile */
    while (clock_monotonic_ms() < end_ms)
        assert_int_equal(journal_append(f->journal, 1, "no room", 7, NULL, NULL, &err), -1);
    fixture_await_stats(f, state_is, JOURNAL_FULL);
    fault_clear();
    fixture_await_stats(f, state_is, JOURNAL_ROOMY); /* with no restart */
    assert_int_equal(fixture_store(f, "goes on", 7), 6);
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 6);
}

static void a_disk_that_fails_once_it_has_room_is_broken(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 5);
    fault_set_disk_full(true);
    fault_inject(FAULT_META_WRITE, EIO, 1000000);
    fault_inject(FAULT_WRITE, EIO, 1000000);
    assert_int_equal(fixture_store(f, "no room", 7), 0);
    fixture_await_stats(f, state_is, JOURNAL_FULL);
    fault_set_disk_full(false);
    fixture_await_stats(f, state_is, JOURNAL_DEAD);
}

static void writes_ahead_of_the_records_without_harming_them(void **state)
{
    struct fixture *f = *state;
    fault_hide_holes(false);
    fixture_open(f);
    static const uint8_t body[2000] = { 1, 2, 3 };
    for (int i = 0; i < 1000; i++)
        fixture_append(f, body, sizeof body);
    await_written_ahead(f);
    for (int i = 0; i < 1000; i++)
        fixture_append(f, body, sizeof body);
    fixture_await(f, 2000);
    assert_int_equal(f->answers.stored, 2000);
    fixture_reopen(f);
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 2000);
    assert_int_equal(good, 2000);
}

static void a_failure_while_writing_ahead_is_a_failure(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 64 << 20; /* long enough to be met on the way */
    f->options.heartbeat_ms = HOUR_MS;
    fault_hide_holes(false);
    fixture_open(f);
    uint64_t before = journal_incarnation(f->journal);
    fault_inject(FAULT_SYNC, EIO, 1); /* nothing is appended: only writing ahead can meet it */
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (journal_incarnation(f->journal) == before && clock_monotonic_ms() < end_ms)
        continue;
    assert_int_not_equal(journal_incarnation(f->journal), before);
    await_written_ahead(f);
    store_some(f, 1);
}

/* ---- damage ---- */

/* Flips one bit of data.mdb, `behind` bytes after the start of needle; all copies of it. */
static void flip(const struct fixture *f, const char *needle, size_t behind)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    size_t length = (size_t)status.st_size;
    uint8_t *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    size_t found = 0;
    for (uint8_t *at = bytes; at; at++) {
        at = memmem(at, length - (size_t)(at - bytes), needle, strlen(needle));
        if (!at)
            break;
        at[behind] ^= 0x10;
        found++;
    }
    assert_true(found > 0);
    assert_int_equal(munmap(bytes, length), 0);
    (void)close(fd);
}

struct damage {
    size_t damaged;
    size_t good;
    size_t notes;
    uint64_t last_damaged;
};

static void see_damage(void *arg, const struct journal_record *record)
{
    struct damage *damage = arg;
    damage->notes += record->note_count;
    if (!record->is_damaged) {
        damage->good++;
        return;
    }
    damage->damaged++;
    damage->last_damaged = record->sequence;
    assert_int_equal(record->body_bytes, 0);
}

static void store_text(struct fixture *f, const char *text)
{
    assert_int_not_equal(fixture_store(f, text, strlen(text)), 0);
}

static void a_flipped_bit_damages_one_record_only(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 300);
    store_text(f, "the record in the middle");
    store_some(f, 300);
    journal_close(&f->journal);
    flip(f, "the record in the middle", 11);
    fixture_open(f);
    for (int i = 0; i < 2; i++) {
        struct damage damage = { 0 };
        assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 601);
        assert_int_equal(damage.damaged, 1);
        assert_int_equal(damage.last_damaged, 301);
        assert_int_equal(damage.good, 600);
    }
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_records, 1); /* once, however often it is read */
    assert_int_equal(fixture_counter(f, "desg_journal_damaged_records_total"), 1);
    store_some(f, 1); /* and new ones are taken */
}

/* Overwrites the whole page of the file that holds needle; all copies of it. */
static void wipe_page(const struct fixture *f, const char *needle)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    size_t length = (size_t)status.st_size;
    uint8_t *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    size_t found = 0;
    for (uint8_t *at = memmem(bytes, length, needle, strlen(needle)); at;
         at = memmem(at, length - (size_t)(at - bytes), needle, strlen(needle))) {
        memset(bytes + (at - bytes) / 4096 * 4096, 0, 4096);
        found++;
    }
    assert_true(found > 0);
    assert_int_equal(munmap(bytes, length), 0);
    (void)close(fd);
}

static void a_lost_page_damages_its_records_only(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 1000);
    store_text(f, "the record in the middle");
    store_some(f, 1000);
    journal_close(&f->journal);
    wipe_page(f, "the record in the middle");
    fixture_open(f);
    struct damage damage = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 2001);
    assert_in_range(damage.damaged, 1, 100);
    assert_int_equal(damage.good + damage.damaged, 2001);
    store_some(f, 1);
}

static void a_lost_page_of_notes_costs_notes_only(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 300);
    for (uint64_t sequence = 1; sequence <= 300; sequence++)
        journal_note(f->journal, sequence, 0, 1,
                     sequence == 150 ? "the note in the middle....................."
                                     : "one of the other notes.....................",
                     43);
    journal_close(&f->journal);
    wipe_page(f, "the note in the middle");
    fixture_open(f);
    struct damage damage = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 300);
    assert_int_equal(damage.good, 300);
    assert_in_range(damage.notes, 200, 299);
}

static void a_lost_page_stops_deletions_not_appends(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_text(f, "the very first record");
    store_some(f, 500);
    journal_release(f->journal, 200);
    journal_close(&f->journal);
    wipe_page(f, "the very first record");
    f->options.retention_ms = 0;
    fixture_open(f);
    store_some(f, 100);
    assert_int_equal(f->answers.failed, 0);
    assert_int_equal(fixture_counter(f, "desg_journal_reopened_total"), 0);
    struct damage damage = { 0 };
    (void)fixture_read_all(f, 201, see_damage, &damage);
    assert_int_equal(damage.good, 401); /* of 601, all that was not released */
}

static void a_flipped_bit_in_a_header_is_found(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_text(f, "first");
    store_text(f, "second record");
    store_text(f, "third");
    journal_close(&f->journal);
    for (size_t before = 1; before <= 36; before += 5) {
        /* flip() goes forward from a needle: size_t wraps, the address comes out right. */
        flip(f, "second record", (size_t)0 - before);
        fixture_open(f);
        struct damage damage = { 0 };
        assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 3);
        assert_int_equal(damage.damaged, 1);
        assert_int_equal(damage.last_damaged, 2);
        journal_close(&f->journal);
        flip(f, "second record", (size_t)0 - before);
    }
    fixture_open(f);
    size_t good = 0;
    assert_int_equal(fixture_read_all(f, 1, see_good, &good), 3);
}

static void damage_in_a_late_part_of_a_large_record_is_found(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    size_t length = 1 << 20;
    char *body = calloc(1, length + 1);
    assert_non_null(body);
    memset(body, '.', length);
    static const char needle[] = "needle in the last part";
    memcpy(body + length - 100, needle, sizeof needle - 1);
    store_text(f, "before");
    store_text(f, body);
    store_text(f, "behind");
    journal_close(&f->journal);
    flip(f, needle, 3);
    fixture_open(f);
    struct damage damage = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 3);
    assert_int_equal(damage.damaged, 1);
    assert_int_equal(damage.last_damaged, 2);
    free(body);
}

static void a_damaged_note_is_left_out(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_some(f, 2);
    journal_note(f->journal, 1, 0, 1, "the note to be damaged", 22);
    journal_note(f->journal, 1, 1, 1, "another note", 12);
    journal_close(&f->journal);
    flip(f, "the note to be damaged", 5);
    fixture_open(f);
    struct damage damage = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 2);
    assert_int_equal(damage.good, 2);
    assert_int_equal(damage.notes, 1);
    assert_int_equal(fixture_counter(f, "desg_journal_damaged_records_total"), 1);
}

static void a_damaged_record_can_be_deleted(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    store_text(f, "the record in the middle");
    store_some(f, 1);
    journal_close(&f->journal);
    flip(f, "the record in the middle", (size_t)0 - 7); /* stored_at: centuries from now */
    f->options.retention_ms = 0;
    fixture_open(f);
    journal_release(f->journal, 2);
    fixture_await_stats(f, oldest_is, 0);
}

/* ---- sealing ---- */

static struct keyring *load_key(const struct fixture *f, const char *line)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/keys", f->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(line, file);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    struct error err = { 0 };
    struct keyring *ring = keyring_load(path, &err);
    if (!ring)
        fail_msg("%s", err.text);
    return ring;
}

#define KEY_A "2026-01-01 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define KEY_B "2026-02-01 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"

static bool file_holds(const struct fixture *f, const char *needle)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    bool holds = memmem(bytes, (size_t)status.st_size, needle, strlen(needle)) != NULL;
    (void)munmap(bytes, (size_t)status.st_size);
    (void)close(fd);
    return holds;
}

static void sealed_records_need_their_key(void **state)
{
    struct fixture *f = *state;
    struct keyring *key_a = load_key(f, KEY_A);
    struct keyring *key_b = load_key(f, KEY_B);
    struct keyring *both = load_key(f, KEY_A KEY_B);
    fixture_open(f);
    store_text(f, "clear marker word");
    journal_close(&f->journal);
    f->options.keyring = key_a;
    fixture_open(f);
    store_text(f, "sealed marker word");
    journal_note(f->journal, 2, 0, 1, "sealed note marker", 18);
    journal_close(&f->journal);
    assert_true(file_holds(f, "clear marker word"));
    assert_false(file_holds(f, "sealed marker word"));
    assert_false(file_holds(f, "sealed note marker"));

    const struct keyring *const wrong[] = { key_b, NULL };
    for (size_t i = 0; i < 2; i++) {
        f->options.keyring = wrong[i];
        fixture_open(f);
        struct damage damage = { 0 };
        assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 2);
        assert_int_equal(damage.damaged, 1);
        assert_int_equal(damage.last_damaged, 2);
        assert_int_equal(damage.notes, 0);
        journal_close(&f->journal);
    }
    f->options.keyring = both;
    fixture_open(f);
    struct damage damage = { 0 };
    assert_int_equal(fixture_read_all(f, 1, see_damage, &damage), 2);
    assert_int_equal(damage.good, 2);
    assert_int_equal(damage.notes, 1);
    struct journal_page page;
    struct error err = { 0 };
    assert_int_equal(journal_read(f->journal, 2, 1, 100, &page, &err), 0);
    assert_int_equal(page.records[0].body_bytes, 18);
    assert_memory_equal(page.records[0].body, "sealed marker word", 18);
    assert_int_equal(page.records[0].notes[0].length, 18);
    assert_memory_equal(page.records[0].notes[0].bytes, "sealed note marker", 18);
    journal_page_clear(&page);
    journal_close(&f->journal);
    keyring_destroy(&key_a);
    keyring_destroy(&key_b);
    keyring_destroy(&both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_sync_costs_its_group_only),
        TEST(a_failed_write_costs_its_group_only),
        TEST(a_failed_meta_write_costs_its_group_only),
        TEST(a_sync_is_never_retried),
        TEST(dies_at_the_second_failure_within_a_minute),
        TEST(dies_when_the_reopened_file_fails_too),
        TEST(what_waits_behind_a_failure_is_answered),
        TEST(a_heartbeat_that_fails_is_noticed),
        TEST(refuses_when_full_and_goes_on_when_released),
        TEST(a_full_journal_can_be_reopened),
        TEST(a_body_that_does_not_fit_fails_alone),
        TEST(a_page_held_for_long_does_not_fill_the_file),
        TEST(a_foreign_reader_fills_the_file_while_it_lives),
        TEST(a_full_disk_is_full_not_broken),
        TEST(a_full_disk_under_the_meta_page_is_survived),
        TEST(a_disk_that_stays_full_under_the_meta_page_is_survived),
        TEST(a_disk_that_fails_once_it_has_room_is_broken),
        TEST(writes_ahead_of_the_records_without_harming_them),
        TEST(a_failure_while_writing_ahead_is_a_failure),
        TEST(a_flipped_bit_damages_one_record_only),
        TEST(a_lost_page_damages_its_records_only),
        TEST(a_lost_page_of_notes_costs_notes_only),
        TEST(a_lost_page_stops_deletions_not_appends),
        TEST(a_flipped_bit_in_a_header_is_found),
        TEST(damage_in_a_late_part_of_a_large_record_is_found),
        TEST(a_damaged_note_is_left_out),
        TEST(a_damaged_record_can_be_deleted),
        TEST(sealed_records_need_their_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
