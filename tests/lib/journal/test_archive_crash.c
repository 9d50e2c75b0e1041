/* A process killed while it archives and deletes: what it was told is stored is in the journal or
 * in the archive, each record once, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "fixture.h"
#include "journal/archive.h"
#include "journal/archive_file.h"

enum { KILLS = 7, ROUNDS = FAULT_CALLS * KILLS, BODY_BYTES = 500, WINDOW = 40, FILES_MAX = 512 };

struct body {
    uint64_t round;
    uint64_t number;
    uint8_t rest[BODY_BYTES - 16];
};

static struct body body_of(uint64_t round, uint64_t number)
{
    struct body body = { .round = round, .number = number };
    for (size_t i = 0; i < sizeof body.rest; i++)
        body.rest[i] = (uint8_t)(round * 5 + number * 11 + i);
    return body;
}

struct writer {
    struct journal *journal;
    sem_t window;
    int pipe;
};

static void tell(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct writer *writer = arg;
    if (outcome != JOURNAL_STORED ||
        write(writer->pipe, &sequence, sizeof sequence) != sizeof sequence)
        _exit(1);
    journal_release(writer->journal, sequence);
    (void)sem_post(&writer->window);
}

static void write_for_ever(const struct journal_options *options, uint64_t round, int pipe)
{
    struct error err = { 0 };
    struct writer writer = { .journal = journal_open(options, &err), .pipe = pipe };
    if (!writer.journal)
        _exit(2);
    (void)sem_init(&writer.window, 0, WINDOW);
    for (uint64_t number = 0;; number++) {
        while (sem_wait(&writer.window) != 0)
            continue;
        struct body body = body_of(round, number);
        if (journal_append(writer.journal, 1, &body, sizeof body, tell, &writer, &err) != 0)
            _exit(4);
    }
}

struct ledger {
    uint64_t next_sequence;
    uint64_t next[ROUNDS]; /* number, per round */
};

static void see(struct ledger *ledger, const struct journal_record *record)
{
    struct body body;
    assert_false(record->is_damaged);
    assert_int_equal(record->sequence, ledger->next_sequence); /* each once, no gap */
    assert_int_equal(record->body_bytes, sizeof body);
    memcpy(&body, record->body, sizeof body);
    assert_true(body.round < ROUNDS);
    assert_int_equal(body.number, ledger->next[body.round]);
    struct body whole = body_of(body.round, body.number);
    assert_memory_equal(&body, &whole, sizeof body);
    ledger->next[body.round]++;
    ledger->next_sequence++;
}

static void see_stored(void *arg, const struct journal_record *record)
{
    struct ledger *ledger = arg;
    if (record->sequence >= ledger->next_sequence) /* archived and not deleted yet */
        see(ledger, record);
}

static void read_archive(const struct fixture *f, struct ledger *ledger)
{
    struct dirent **list = NULL;
    int count = scandir(f->archive, &list, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[400];
        struct id source;
        uint64_t first = 0;
        if (archive_file_parse_name(list[i]->d_name, &source, &first)) {
            struct error err = { 0 };
            (void)snprintf(path, sizeof path, "%s/%s", f->archive, list[i]->d_name);
            struct archive_reader *reader = archive_open(path, NULL, &err);
            /* A writer killed while it made the file leaves one without a header. */
            struct archive_item item = { .kind = reader ? ARCHIVE_RECORD : ARCHIVE_END };
            while (item.kind != ARCHIVE_END) {
                assert_int_equal(archive_next(reader, &item, &err), 0);
                if (item.kind == ARCHIVE_RECORD)
                    see(ledger, &item.record);
                if (item.kind == ARCHIVE_DAMAGED) /* nothing but a tail that was cut */
                    assert_int_equal(item.last_sequence, UINT64_MAX);
            }
            archive_close(&reader);
        }
        free(list[i]);
    }
    free(list);
}

static void check(struct fixture *f, uint64_t told)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    assert_non_null(ledger);
    ledger->next_sequence = 1;
    read_archive(f, ledger);
    fixture_open(f); /* goes on archiving what was released, behind what was read here */
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    if (stats.oldest_sequence)
        assert_true(stats.oldest_sequence <= ledger->next_sequence);
    (void)fixture_read_all(f, ledger->next_sequence, see_stored, ledger);
    assert_true(ledger->next_sequence > told);
    assert_int_equal(ledger->next_sequence, stats.newest_sequence + 1);
    journal_close(&f->journal);
    free(ledger);
}

static uint64_t run_until_killed(struct fixture *f, uint64_t round, enum fault_call call,
                                 int number)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        fault_kill_at(call, number);
        f->options.retention_ms = 0;
        write_for_ever(&f->options, round, ends[1]);
    }
    (void)close(ends[1]);
    uint64_t sequence = 0;
    uint64_t last = 0;
    while (read(ends[0], &sequence, sizeof sequence) == (ssize_t)sizeof sequence)
        last = sequence;
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return last;
}

static void a_record_is_in_the_journal_or_in_the_archive(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = 5;
    f->options.archive_file_max_bytes = 64 << 10;
    fixture_make_archive(f);
    uint64_t told = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t last = run_until_killed(f, round, (enum fault_call)(round / KILLS),
                                         1 + 3 * (int)(round % KILLS));
        told = last > told ? last : told;
        f->options.retention_ms = HOUR_MS; /* nothing moves while it is looked at */
        check(f, told);
    }
    assert_true(told > 100);
    int files = 0;
    struct dirent **list = NULL;
    files = scandir(f->archive, &list, NULL, alphasort);
    for (int i = 0; i < files; i++)
        free(list[i]);
    free(list);
    assert_true(files > 5 && files < FILES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(a_record_is_in_the_journal_or_in_the_archive) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
