/* A writer killed at any moment: what it was told is stored is there, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/clock.h"
#include "faults.h"
#include "fixture.h"

enum { ROUNDS = 12, KILLS = 12, ROUNDS_MAX = (FAULT_META_WRITE + 1) * KILLS, BODY_BYTES = 700 };
enum { TAKEN_PER_ROUND = 300, TOLD_MAX = 500000, WINDOW = 200 };

/* What a child tells its parent for each record stored. */
struct told {
    uint64_t round;
    uint64_t number;
    uint64_t sequence;
};

struct asked {
    int pipe;
    sem_t *window;
    struct told told;
};

static void tell(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct asked *asked = arg;
    asked->told.sequence = sequence;
    if (outcome == JOURNAL_STORED &&
        write(asked->pipe, &asked->told, sizeof asked->told) != sizeof asked->told)
        _exit(1);
    (void)sem_post(asked->window);
    free(asked);
}

static void make_body(uint64_t round, uint64_t number, uint8_t body[static BODY_BYTES])
{
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (uint8_t)(round * 7 + number * 13 + i);
    memcpy(body, &round, sizeof round);
    memcpy(body + sizeof round, &number, sizeof number);
}

static void write_for_ever(const struct journal_options *options, uint64_t round, int pipe)
{
    struct error err = { 0 };
    struct journal *journal = journal_open(options, &err);
    if (!journal)
        _exit(2);
    sem_t window;
    (void)sem_init(&window, 0, WINDOW);
    for (uint64_t number = 0;; number++) {
        while (sem_wait(&window) != 0)
            continue;
        uint8_t body[BODY_BYTES];
        make_body(round, number, body);
        struct asked *asked = malloc(sizeof *asked);
        if (!asked)
            _exit(3);
        *asked = (struct asked){ pipe, &window, { round, number, 0 } };
        if (journal_append(journal, 1, body, sizeof body, tell, asked, &err) != 0)
            _exit(4);
        journal_note(journal, 1, (uint32_t)(round * 1000 + number % 1000), 1, body, 40);
    }
}

struct ledger_of_told {
    struct told all[TOLD_MAX];
    size_t count;
    size_t at;                 /* while reading: the next one told */
    uint64_t next[ROUNDS_MAX]; /* per round: the next number that may be there */
    size_t read;
};

/* Takes in what children said: at least `least` now, then whatever the pipe still holds. */
static void listen_to(int pipe, struct ledger_of_told *told, size_t least)
{
    size_t until = told->count + least;
    struct told one;
    while (told->count < TOLD_MAX && (least == SIZE_MAX || told->count < until) &&
           read(pipe, &one, sizeof one) == (ssize_t)sizeof one)
        told->all[told->count++] = one;
}

static void see_record(void *arg, const struct journal_record *record)
{
    struct ledger_of_told *told = arg;
    assert_false(record->is_damaged);
    assert_int_equal(record->body_bytes, BODY_BYTES);
    uint64_t round;
    uint64_t number;
    memcpy(&round, record->body, sizeof round);
    memcpy(&number, record->body + sizeof round, sizeof number);
    assert_true(round < ROUNDS_MAX);
    assert_int_equal(number, told->next[round]); /* in order, no gap, nothing invented */
    told->next[round]++;
    uint8_t body[BODY_BYTES];
    make_body(round, number, body);
    assert_memory_equal(record->body, body, BODY_BYTES);
    /* Not every stored record was told; every told one is stored, under its number. */
    if (told->at < told->count && told->all[told->at].sequence == record->sequence) {
        assert_int_equal(told->all[told->at].round, round);
        assert_int_equal(told->all[told->at].number, number);
        told->at++;
    }
    told->read++;
}

struct killing {
    bool is_own; /* the child kills itself, at the number-th call */
    enum fault_call call;
    int number;
};

static void run_and_kill(struct fixture *f, uint64_t round, struct ledger_of_told *told,
                         const struct killing *killing)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        if (killing->is_own)
            fault_kill_at(killing->call, killing->number);
        write_for_ever(&f->options, round, ends[1]);
    }
    (void)close(ends[1]);
    if (!killing->is_own) {
        listen_to(ends[0], told, TAKEN_PER_ROUND + (size_t)(round * 37));
        assert_int_equal(kill(child, SIGKILL), 0);
    }
    listen_to(ends[0], told, SIZE_MAX);
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* Opens the journal as a restarted process would and compares it with what was told. */
static void check(struct fixture *f, struct ledger_of_told *told)
{
    fixture_open(f);
    told->at = 0;
    told->read = 0;
    memset(told->next, 0, sizeof told->next);
    (void)fixture_read_all(f, 1, see_record, told);
    assert_int_equal(told->at, told->count);
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    assert_int_equal(stats.newest_sequence, told->read);
    journal_close(&f->journal);
}

static void a_killed_writer_loses_nothing_it_was_told(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = UINT64_C(256) << 20;
    f->options.heartbeat_ms = 5;
    struct ledger_of_told *told = calloc(1, sizeof *told);
    assert_non_null(told);
    const struct killing from_outside = { 0 };
    for (uint64_t round = 0; round < ROUNDS; round++) {
        run_and_kill(f, round, told, &from_outside);
        check(f, told);
    }
    assert_true(told->count >= (size_t)ROUNDS * TAKEN_PER_ROUND);
    free(told);
}

static void a_writer_killed_at_any_write_or_sync_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = UINT64_C(64) << 20;
    f->options.heartbeat_ms = 5;
    struct ledger_of_told *told = calloc(1, sizeof *told);
    assert_non_null(told);
    for (uint64_t round = 0; round < ROUNDS_MAX; round++) {
        const struct killing at_call = { true, (enum fault_call)(round / KILLS),
                                         1 + (int)(round % KILLS) };
        run_and_kill(f, round, told, &at_call);
        check(f, told);
    }
    assert_true(told->count > 0);
    free(told);
}

static void a_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    int ready[2];
    int leave[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leave), 0);
    pid_t child = fork();
    if (child == 0) {
        struct error err = { 0 };
        char byte = journal_open(&f->options, &err) ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1 || read(leave[0], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    struct error err = { 0 };
    assert_null(journal_open(&f->options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld:", (long)child);
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(write(leave[1], "x", 1), 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    fixture_open(f); /* an unclean exit gives the lock back too */
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(leave[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_writer_loses_nothing_it_was_told),
        TEST(a_writer_killed_at_any_write_or_sync_loses_nothing),
        TEST(a_second_process_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
