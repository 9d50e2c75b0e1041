/* archive_import - what retention archived comes back into a fresh journal, notes and all; what is
 * of another time does not; a part is never taken for the whole. Over real journals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "ingest/adoption.h"
#include "ingest/archive_import.h"

enum { RECORDS = 40, DEADLINE_MS = 20000 };

struct fixture {
    char folder[40];
    char old[300];
    char archive[300];
    char fresh[300];
    struct metrics *metrics;
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static struct journal *open_journal(struct fixture *f, const char *directory, const char *archive)
{
    struct error err = { 0 };
    const struct journal_options options = { .directory = directory,
                                             .max_bytes = 16 << 20,
                                             .retention_ms = archive ? 1 : 3600000,
                                             .heartbeat_ms = 20,
                                             .metrics = f->metrics,
                                             .archive_directory = archive };
    struct journal *journal = journal_open(&options, &err);
    if (!journal)
        fail_msg("%s", err.text);
    return journal;
}

static void await(struct journal *journal, bool (*is_so)(const struct journal_stats *stats))
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    struct journal_stats stats;
    for (journal_stats(journal, &stats); !is_so(&stats); journal_stats(journal, &stats)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 5);
    }
}

static bool is_stored(const struct journal_stats *stats)
{
    return stats->newest_sequence >= RECORDS;
}

static bool is_deleted(const struct journal_stats *stats)
{
    return stats->records == 0;
}

static void make_folder(const struct fixture *f, const char *name, char out[300])
{
    int length = snprintf(out, 300, "%.40s/%.20s", f->folder, name);
    assert_in_range(length, 1, 299);
    assert_int_equal(mkdir(out, 0700), 0);
}

/* An archive of RECORDS records, each with a note. */
static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct error err = { 0 };
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/desg-import-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    make_folder(f, "old", f->old);
    make_folder(f, "archive", f->archive);
    make_folder(f, "fresh", f->fresh);
    f->metrics = metrics_new();
    struct journal *journal = open_journal(f, f->old, f->archive);
    for (int i = 1; i <= RECORDS; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "body %d", i);
        if (journal_append(journal, 1, body, strlen(body), NULL, NULL, &err) != 0)
            fail_msg("%s", err.text);
    }
    await(journal, is_stored);
    for (uint64_t i = 1; i <= RECORDS; i++)
        journal_note(journal, i, 0, 3, &i, sizeof i);
    journal_close(&journal); /* writes the notes */
    journal = open_journal(f, f->old, f->archive);
    journal_release(journal, RECORDS);
    await(journal, is_deleted);
    journal_close(&journal);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    metrics_destroy(&f->metrics);
    return nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int import(struct fixture *f, int64_t since_ms, int64_t until_ms,
                  struct archive_import_counts *counts, struct error *err)
{
    const struct archive_import from = { .directory = f->archive,
                                         .since_ms = since_ms,
                                         .until_ms = until_ms };
    if (archive_import_begin(f->fresh, err) != 0)
        return -1;
    assert_true(archive_import_is_partial(f->fresh));
    struct journal *journal = open_journal(f, f->fresh, NULL);
    int rc = archive_import_run(&from, journal, f->fresh, counts, err);
    journal_close(&journal);
    return rc;
}

static void brings_back_bodies_and_notes(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct archive_import_counts counts = { 0 };
    if (import(f, 0, INT64_MAX, &counts, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(counts.records, RECORDS);
    assert_true(counts.files >= 1);
    assert_int_equal(counts.passed + counts.damaged, 0);
    assert_false(archive_import_is_partial(f->fresh));
    assert_int_equal(adoption_check(f->fresh, &err), 0);
    struct journal *journal = open_journal(f, f->fresh, NULL);
    struct journal_page *page = calloc(1, sizeof *page);
    assert_non_null(page);
    assert_int_equal(journal_read(journal, 1, RECORDS, 1 << 20, page, &err), 0);
    assert_int_equal(page->count, RECORDS);
    for (size_t i = 0; i < page->count; i++) {
        char body[32];
        const uint64_t number = i + 1;
        int length = snprintf(body, sizeof body, "body %zu", i + 1);
        assert_int_equal(page->records[i].body_bytes, length);
        assert_memory_equal(page->records[i].body, body, (size_t)length);
        assert_int_equal(page->records[i].note_count, 1);
        assert_int_equal(page->records[i].notes[0].kind, 3);
        assert_memory_equal(page->records[i].notes[0].bytes, &number, sizeof number);
    }
    journal_page_clear(page);
    free(page);
    journal_close(&journal);
}

static void passes_over_what_is_of_another_time(void **state)
{
    struct error err = { 0 };
    struct archive_import_counts counts = { 0 };
    assert_int_equal(import(*state, 0, 1000, &counts, &err), 0);
    assert_int_equal(counts.records, 0);
    assert_int_equal(counts.passed, RECORDS);
}

static void a_part_is_refused_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    assert_int_equal(archive_import_begin(f->fresh, &err), 0);
    struct journal *journal = open_journal(f, f->fresh, NULL);
    journal_close(&journal); /* it died before it was done */
    assert_int_equal(adoption_check(f->fresh, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "did not end"));
    assert_int_equal(archive_import_begin(f->fresh, &err), -1);
    assert_non_null(strstr(err.text, "there is a journal"));
}

static void says_that_there_is_no_archive(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct archive_import_counts counts = { 0 };
    (void)strcat(f->archive, "s");
    assert_int_equal(import(f, 0, INT64_MAX, &counts, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "no archive file"));
    assert_true(archive_import_is_partial(f->fresh));
}

static void passes_over_damage_and_says_so(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct archive_import_counts counts = { 0 };
    char path[600] = "";
    struct dirent **list = NULL;
    int found = scandir(f->archive, &list, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        if (strstr(list[i]->d_name, ".desgarchive"))
            (void)snprintf(path, sizeof path, "%s/%s", f->archive, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    static const char damage[300] = "over a record and its note at least";
    assert_int_equal(pwrite(fd, damage, sizeof damage, status.st_size / 2), sizeof damage);
    (void)close(fd);
    if (import(f, 0, INT64_MAX, &counts, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(counts.damaged >= 1);
    assert_in_range(counts.records, RECORDS / 2, RECORDS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(brings_back_bodies_and_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(passes_over_what_is_of_another_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_is_refused_as_a_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(says_that_there_is_no_archive, setup, teardown),
        cmocka_unit_test_setup_teardown(passes_over_damage_and_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
