/* What retention deletes is in the archive first, and can be read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "faults.h"
#include "fixture.h"
#include "journal/archive.h"
#include "journal/archive_file.h"
#include "journal/archive_format.h"

enum { FILES_MAX = 64, SEEN_MAX = 4096, YEAR_DAYS = 400 };

/* ---- the archive, read back ---- */

struct seen {
    uint64_t sequences[SEEN_MAX];
    size_t records;
    size_t notes;
    size_t bytes;
    size_t damages;
    struct archive_item damage; /* the last one */
    bool is_closed;             /* the last file */
};

static void read_file(const char *path, const struct keyring *keyring, struct seen *seen)
{
    struct error err = { 0 };
    struct archive_reader *reader = archive_open(path, keyring, &err);
    if (!reader)
        fail_msg("%s", err.text);
    struct archive_item item = { .kind = ARCHIVE_RECORD };
    while (item.kind != ARCHIVE_END) {
        if (archive_next(reader, &item, &err) != 0)
            fail_msg("%s", err.text);
        if (item.kind == ARCHIVE_DAMAGED) {
            seen->damages++;
            seen->damage = item;
        }
        if (item.kind == ARCHIVE_RECORD) {
            seen->sequences[seen->records++] = item.record.sequence;
            seen->notes += item.record.note_count;
            seen->bytes += item.record.body_bytes;
        }
        seen->is_closed = item.is_closed;
    }
    assert_int_equal(archive_next(reader, &item, &err), 0);
    assert_int_equal(item.kind, ARCHIVE_END);
    archive_close(&reader);
}

static int list_files(const struct fixture *f, char paths[FILES_MAX][400])
{
    struct dirent **list = NULL;
    int found = scandir(f->archive, &list, NULL, alphasort);
    int count = 0;
    for (int i = 0; i < found; i++) {
        struct id source;
        uint64_t first = 0;
        if (count < FILES_MAX && archive_file_parse_name(list[i]->d_name, &source, &first))
            (void)snprintf(paths[count++], 400, "%s/%s", f->archive, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return count;
}

static struct seen read_archive(const struct fixture *f, int *files)
{
    static char paths[FILES_MAX][400];
    struct seen seen = { 0 };
    *files = list_files(f, paths);
    for (int i = 0; i < *files; i++)
        read_file(paths[i], f->options.keyring, &seen);
    return seen;
}

static void assert_has_each_once(const struct seen *seen, uint64_t first, uint64_t last)
{
    assert_int_equal(seen->damages, 0);
    assert_int_equal(seen->records, last - first + 1);
    for (size_t i = 0; i < seen->records; i++)
        assert_int_equal(seen->sequences[i], first + i);
}

/* ---- journals ---- */

static bool archived_is(const struct journal_stats *stats, uint64_t sequence)
{
    return stats->archived_sequence == sequence;
}

static bool archive_fails(const struct journal_stats *stats, uint64_t is_failing)
{
    return stats->is_archive_failing == (is_failing != 0);
}

static void open_with_archive(struct fixture *f)
{
    f->options.retention_ms = 0;
    f->options.heartbeat_ms = 10;
    fixture_make_archive(f);
    fixture_open(f);
}

static void store_numbers(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        char body[64];
        int length = snprintf(body, sizeof body, "record %d", i);
        assert_int_not_equal(fixture_store(f, body, (size_t)length), 0);
    }
}

static void what_is_deleted_was_archived_with_its_notes(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 50);
    journal_note(f->journal, 7, 0, 1, "verdict", 7);
    journal_note(f->journal, 7, 1, 2, "another", 7);
    journal_note(f->journal, 49, 0, 1, "verdict", 7);
    int64_t noted_ms = clock_unix_ms();
    (void)noted_ms;
    assert_int_equal(fixture_store(f, "behind the notes", 16), 51);
    journal_release(f->journal, 50);
    fixture_await_stats(f, oldest_is, 51);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_true(stats.has_archive);
    assert_int_equal(stats.archived_sequence, 50);
    journal_close(&f->journal);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_has_each_once(&seen, 1, 50);
    assert_int_equal(seen.notes, 3);
    assert_true(seen.is_closed);
    assert_int_equal(files, 1);
    assert_int_equal(fixture_counter(f, "desg_journal_archived_records_total"), 50);
}

static void a_record_comes_back_as_it_went(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    static uint8_t large[3 << 20];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 31 >> 3);
    uint64_t incarnation = journal_incarnation(f->journal);
    struct id source = journal_source(f->journal);
    assert_int_equal(fixture_store(f, large, sizeof large), 1);
    assert_int_equal(fixture_store(f, "", 0), 2);
    journal_note(f->journal, 1, 9, 8, "note", 4);
    assert_int_equal(fixture_store(f, "x", 1), 3);
    journal_release(f->journal, 3);
    fixture_await_stats(f, oldest_is, 0);
    char paths[FILES_MAX][400];
    assert_int_equal(list_files(f, paths), 1);
    struct stat status;
    assert_int_equal(stat(paths[0], &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    struct error err = { 0 };
    struct archive_reader *reader = archive_open(paths[0], NULL, &err);
    assert_non_null(reader);
    struct archive_about about;
    archive_describe(reader, &about);
    assert_memory_equal(about.source.bytes, source.bytes, ID_BYTES);
    assert_int_equal(about.first_sequence, 1);
    struct archive_item item;
    assert_int_equal(archive_next(reader, &item, &err), 0);
    assert_int_equal(item.kind, ARCHIVE_RECORD);
    assert_int_equal(item.record.body_bytes, sizeof large);
    assert_memory_equal(item.record.body, large, sizeof large);
    assert_int_equal(item.record.kind, 1);
    assert_int_equal(item.record.incarnation, incarnation);
    assert_int_equal(item.record.note_count, 1);
    assert_int_equal(item.record.notes[0].index, 9);
    assert_int_equal(item.record.notes[0].kind, 8);
    assert_memory_equal(item.record.notes[0].bytes, "note", 4);
    assert_int_equal(archive_next(reader, &item, &err), 0);
    assert_int_equal(item.record.body_bytes, 0);
    archive_close(&reader);
}

static void what_is_not_released_is_not_archived(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 10);
    journal_release(f->journal, 4);
    fixture_await_stats(f, oldest_is, 5);
    store_numbers(f, 10);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    /* Still written to: it breaks off, or has all its records and no end mark. */
    assert_int_equal(seen.records, 4);
    assert_false(seen.is_closed);
}

static void a_file_is_closed_when_it_is_large(void **state)
{
    struct fixture *f = *state;
    f->options.archive_file_max_bytes = 4000;
    open_with_archive(f);
    static const uint8_t body[900];
    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(fixture_store(f, body, sizeof body), i);
        journal_release(f->journal, i);
        if (i % 4 == 0)
            fixture_await_stats(f, archived_is, i);
    }
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_has_each_once(&seen, 1, 40);
    assert_in_range(files, 5, 20);
}

static void a_restart_archives_nothing_twice(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    uint64_t last = 0;
    for (int round = 0; round < 5; round++) {
        store_numbers(f, 20);
        last += 20;
        journal_release(f->journal, last);
        fixture_await_stats(f, archived_is, last);
        fixture_reopen(f); /* perhaps before all of it was deleted */
    }
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_has_each_once(&seen, 1, last);
}

static void copy_file(const char *from, const char *to)
{
    char command[1200];
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own folders */
}

/* The records behind the snapshot have the numbers of others that are in the archive already. */
static void a_restored_journal_archives_its_own_records(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 10);
    journal_close(&f->journal);
    char data[128];
    char snapshot[160];
    (void)snprintf(data, sizeof data, "%s/data.mdb", f->directory);
    (void)snprintf(snapshot, sizeof snapshot, "%s/snapshot", f->directory);
    copy_file(data, snapshot);
    fixture_open(f);
    store_numbers(f, 10);
    journal_release(f->journal, 20);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    copy_file(snapshot, data);
    fixture_open(f);
    for (uint64_t i = 11; i <= 15; i++)
        assert_int_equal(fixture_store(f, "of the second life", 18), i);
    uint64_t incarnation = journal_incarnation(f->journal);
    journal_release(f->journal, 15);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    char paths[FILES_MAX][400];
    int files = list_files(f, paths);
    size_t own = 0;
    for (int i = 0; i < files; i++) {
        struct error err = { 0 };
        struct archive_reader *reader = archive_open(paths[i], NULL, &err);
        assert_non_null(reader);
        struct archive_item item = { .kind = ARCHIVE_RECORD };
        while (item.kind != ARCHIVE_END) {
            assert_int_equal(archive_next(reader, &item, &err), 0);
            if (item.kind == ARCHIVE_RECORD && item.record.incarnation == incarnation) {
                assert_int_equal(item.record.sequence, 11 + own);
                assert_memory_equal(item.record.body, "of the second life", 18);
                own++;
            }
        }
        archive_close(&reader);
    }
    assert_int_equal(own, 5);
}

static void files_moved_away_are_not_missed(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 10);
    journal_release(f->journal, 10);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    char paths[FILES_MAX][400];
    assert_int_equal(list_files(f, paths), 1);
    assert_int_equal(unlink(paths[0]), 0);
    fixture_open(f);
    store_numbers(f, 10);
    journal_release(f->journal, 20);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_has_each_once(&seen, 11, 20);
}

/* ---- an archive that fails ---- */

static void nothing_is_deleted_that_is_not_archived(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 5);
    fault_inject(FAULT_ARCHIVE_WRITE, ENOSPC, 1000000);
    journal_release(f->journal, 5);
    fixture_await_stats(f, archive_fails, true);
    store_numbers(f, 5); /* messages are taken all the same */
    assert_int_equal(fixture_read_all(f, 1, NULL, NULL), 10);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_int_equal(seen.records, 0);
    assert_int_equal(files, 0); /* a file with nothing in it does not stay */
    fault_clear();              /* it heals by itself */
    fixture_await_stats(f, oldest_is, 6);
    fixture_await_stats(f, archive_fails, false);
    journal_release(f->journal, 10);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    seen = read_archive(f, &files);
    assert_has_each_once(&seen, 1, 10);
}

static void a_failed_sync_counts_as_nothing_written(void **state)
{
    struct fixture *f = *state;
    open_with_archive(f);
    store_numbers(f, 5);
    journal_release(f->journal, 5);
    fixture_await_stats(f, oldest_is, 0);
    store_numbers(f, 5);
    fault_inject(FAULT_ARCHIVE_SYNC, EIO, 1);
    journal_release(f->journal, 10);
    fixture_await_stats(f, oldest_is, 0);
    journal_close(&f->journal);
    int files = 0;
    struct seen seen = read_archive(f, &files);
    assert_int_equal(files, 2); /* the file that failed is never written to again */
    assert_int_equal(seen.records, 10);
    assert_int_equal(fixture_counter(f, "desg_journal_archived_records_total"), 10);
}

/* Appends until refused, in groups; returns the last sequence stored. */
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
        journal_release(f->journal, UINT64_MAX);
    }
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    return f->answers.sequences[f->answers.stored - 1];
}

static void a_full_journal_refuses_rather_than_delete_the_only_copy(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    open_with_archive(f);
    fault_inject(FAULT_ARCHIVE_WRITE, EIO, 1000000);
    uint64_t last = fill(f);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.state, JOURNAL_FULL);
    assert_int_equal(stats.oldest_sequence, 1);
    assert_int_equal(fixture_counter(f, "desg_journal_deleted_unarchived_total"), 0);
    fault_clear();
    fixture_await_stats(f, state_is, JOURNAL_ROOMY); /* with no operator */
    assert_int_equal(fixture_store(f, "goes on", 7), last + 1);
}

static void a_full_journal_deletes_the_only_copy_if_told_to(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 4 << 20;
    f->options.may_delete_unarchived = true;
    open_with_archive(f);
    fault_inject(FAULT_ARCHIVE_WRITE, EIO, 1000000);
    static const uint8_t body[2000];
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (f->answers.stored < 3000 && clock_monotonic_ms() < end_ms) { /* twice what it holds */
        size_t answers = f->answers.stored + f->answers.failed;
        size_t taken = 0;
        struct error err = { 0 };
        while (taken < 32 && journal_append(f->journal, 1, body, sizeof body, fixture_answer,
                                            &f->answers, &err) == 0)
            taken++; /* refused: a platform tries again */
        fixture_await(f, answers + taken);
        journal_release(f->journal, UINT64_MAX);
    }
    assert_true(f->answers.stored >= 3000);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_true(stats.oldest_sequence > 1);
    assert_true(fixture_counter(f, "desg_journal_deleted_unarchived_total") > 100);
    fault_clear();
    fixture_await_stats(f, archive_fails, false);
}

static void an_archive_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.archive_directory = "/tmp/desg-no-such-archive";
    struct error err = { 0 };
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "desg-no-such-archive"));
    f->options.archive_directory = NULL;
    fixture_open(f); /* and without one, all is as ever */
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_false(stats.has_archive);
}

/* ---- damage ---- */

static void make_file(struct fixture *f, char path[static 400])
{
    open_with_archive(f);
    store_numbers(f, 20);
    journal_note(f->journal, 10, 0, 1, "verdict", 7);
    store_numbers(f, 1);
    journal_release(f->journal, 20);
    fixture_await_stats(f, oldest_is, 21);
    journal_close(&f->journal);
    char paths[FILES_MAX][400];
    assert_int_equal(list_files(f, paths), 1);
    memcpy(path, paths[0], 400);
}

static size_t load(const char *path, uint8_t *bytes, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, bytes, capacity);
    (void)close(fd);
    assert_true(got > 0);
    return (size_t)got;
}

static void save(const char *path, const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, bytes, length), length);
    (void)close(fd);
}

static void a_flipped_bit_costs_one_record_and_says_which(void **state)
{
    struct fixture *f = *state;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    struct seen whole = { 0 };
    read_file(path, NULL, &whole);
    assert_has_each_once(&whole, 1, 20);
    for (size_t at = ARCHIVE_HEADER_BYTES; at < length; at += 7) {
        bytes[at] ^= 0x10;
        save(path, bytes, length);
        struct seen seen = { 0 };
        read_file(path, NULL, &seen);
        assert_int_equal(seen.damages, 1);
        assert_in_range(seen.records, 19, 20);
        if (seen.records == 19) {
            assert_true(seen.damage.first_sequence <= seen.damage.last_sequence);
            for (size_t i = 0; i < seen.records; i++)
                assert_int_not_equal(seen.sequences[i], seen.damage.first_sequence);
        }
        if (seen.damage.last_sequence != UINT64_MAX && seen.records == 19)
            assert_int_equal(seen.damage.first_sequence, seen.damage.last_sequence);
        bytes[at] ^= 0x10;
    }
}

static void a_damaged_header_costs_no_record(void **state)
{
    struct fixture *f = *state;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    for (size_t at = 8; at < ARCHIVE_HEADER_BYTES; at++) {
        bytes[at] ^= 1;
        save(path, bytes, length);
        struct seen seen = { 0 };
        read_file(path, NULL, &seen);
        assert_has_each_once(&seen, 1, 20);
        bytes[at] ^= 1;
    }
    bytes[0] ^= 1;
    save(path, bytes, length);
    struct error err = { 0 };
    assert_null(archive_open(path, NULL, &err)); /* that is no archive file */
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void a_file_cut_anywhere_gives_what_is_whole(void **state)
{
    struct fixture *f = *state;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    size_t before = 0;
    for (size_t cut = ARCHIVE_HEADER_BYTES; cut < length; cut++) {
        save(path, bytes, cut);
        struct seen seen = { 0 };
        read_file(path, NULL, &seen);
        assert_true(seen.records == before || seen.records == before + 1);
        before = seen.records;
        assert_false(seen.is_closed);
        assert_true(seen.damages <= 1);
        if (seen.damages == 1)
            assert_int_equal(seen.damage.last_sequence, UINT64_MAX);
    }
    assert_int_equal(before, 20);
}

static void bytes_of_another_file_are_no_records(void **state)
{
    struct fixture *f = *state;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    struct archive_header header;
    assert_true(archive_header_decode(bytes, length, &header));
    header.file++; /* the same frames behind another file's header */
    archive_header_encode(&header, bytes);
    save(path, bytes, length);
    struct seen seen = { 0 };
    read_file(path, NULL, &seen);
    assert_int_equal(seen.records, 0);
    assert_int_equal(seen.damages, 1);
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    struct archive_header header;
    assert_true(archive_header_decode(bytes, length, &header));
    header.version = ARCHIVE_VERSION + 1;
    archive_header_encode(&header, bytes);
    save(path, bytes, length);
    struct error err = { 0 };
    assert_null(archive_open(path, NULL, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "format 2"));
}

static void sealed_records_stay_sealed(void **state)
{
    struct fixture *f = *state;
    char keys[128];
    (void)snprintf(keys, sizeof keys, "%s/keys", f->directory);
    int fd = open(keys, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    static const char line[] =
        "2026-01-01 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    assert_int_equal(write(fd, line, sizeof line - 1), sizeof line - 1);
    (void)close(fd);
    struct error err = { 0 };
    struct keyring *keyring = keyring_load(keys, &err);
    assert_non_null(keyring);
    f->options.keyring = keyring;
    char path[400];
    make_file(f, path);
    static uint8_t bytes[16384];
    size_t length = load(path, bytes, sizeof bytes);
    assert_null(memmem(bytes, length, "record 7", 8));
    struct seen opened = { 0 };
    read_file(path, keyring, &opened);
    assert_has_each_once(&opened, 1, 20);
    assert_int_equal(opened.notes, 1);
    struct seen closed = { 0 };
    read_file(path, NULL, &closed); /* without the key: each is reported, none is given out */
    assert_int_equal(closed.records, 0);
    assert_int_equal(closed.damages, 20);
    assert_int_equal(closed.damage.first_sequence, 20);
    assert_int_equal(closed.damage.last_sequence, 20);
    keyring_destroy(&keyring);
    f->options.keyring = NULL;
}

/* ---- clocks ---- */

static void a_clock_that_leaps_deletes_nothing_young(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = 5;
    f->options.retention_ms = HOUR_MS;
    fixture_open(f);
    store_numbers(f, 10);
    journal_release(f->journal, 10);
    fault_set_clock_ahead(INT64_C(86400000) * YEAR_DAYS);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    uint64_t commits = fixture_counter(f, "desg_journal_commits_total");
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (fixture_counter(f, "desg_journal_commits_total") < commits + 10 &&
           clock_monotonic_ms() < end_ms)
        continue;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.oldest_sequence, 1);
    fixture_reopen(f); /* nor does it after a restart */
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.oldest_sequence, 1);
    /* Records with a time from the future are deleted when their time has passed, not before. */
    store_numbers(f, 5);
    fault_set_clock_ahead(0);
    journal_release(f->journal, 15);
    commits = fixture_counter(f, "desg_journal_commits_total");
    while (fixture_counter(f, "desg_journal_commits_total") < commits + 10 &&
           clock_monotonic_ms() < end_ms)
        continue;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.oldest_sequence, 1);
    f->options.retention_ms = 200;
    fixture_reopen(f);
    fixture_await_stats(f, oldest_is, 0);
}

static int teardown(void **state)
{
    fault_clear();
    return fixture_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_deleted_was_archived_with_its_notes),
        TEST(a_record_comes_back_as_it_went),
        TEST(what_is_not_released_is_not_archived),
        TEST(a_file_is_closed_when_it_is_large),
        TEST(a_restart_archives_nothing_twice),
        TEST(a_restored_journal_archives_its_own_records),
        TEST(files_moved_away_are_not_missed),
        TEST(nothing_is_deleted_that_is_not_archived),
        TEST(a_failed_sync_counts_as_nothing_written),
        TEST(a_full_journal_refuses_rather_than_delete_the_only_copy),
        TEST(a_full_journal_deletes_the_only_copy_if_told_to),
        TEST(an_archive_that_is_not_there_is_refused),
        TEST(a_flipped_bit_costs_one_record_and_says_which),
        TEST(a_damaged_header_costs_no_record),
        TEST(a_file_cut_anywhere_gives_what_is_whole),
        TEST(bytes_of_another_file_are_no_records),
        TEST(a_newer_format_is_refused),
        TEST(sealed_records_stay_sealed),
        TEST(a_clock_that_leaps_deletes_nothing_young),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
