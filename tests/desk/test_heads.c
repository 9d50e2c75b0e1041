/* Desks that tell each other through a real Redis how far their chains go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "desk/heads.h"
#include "redis_server.h"

enum { DESKS = 2, DEADLINE_MS = 30000, INTERVAL_MS = 50 };

struct desk {
    char directory[64];
    struct journal *journal;
    struct chain *chain;
    struct heads *heads;
};

struct fixture {
    struct redis_server *server;
    struct config_redis redis;
    struct metrics *metrics;
    struct desk desks[DESKS];
};

static void open_desk(struct fixture *f, struct desk *desk)
{
    struct error err = { 0 };
    (void)snprintf(desk->directory, sizeof desk->directory, "/tmp/desg-heads-XXXXXX");
    assert_non_null(mkdtemp(desk->directory));
    const struct journal_options journal = { .directory = desk->directory,
                                             .max_bytes = 8 << 20,
                                             .retention_ms = 3600000,
                                             .metrics = f->metrics };
    desk->journal = journal_open(&journal, &err);
    assert_non_null(desk->journal);
    const struct chain_options chain = { .journal = desk->journal,
                                         .retention_ms = 3600000,
                                         .metrics = f->metrics };
    desk->chain = chain_new(&chain, &err);
    assert_non_null(desk->chain);
    const struct heads_options heads = {
        .chain = desk->chain,
        .source = journal_source(desk->journal),
        .name = "desk",
        .redis = &f->redis,
        .force = "testforce",
        .metrics = f->metrics,
        .interval_ms = INTERVAL_MS,
    };
    desk->heads = heads_new(&heads, &err);
    assert_non_null(desk->heads);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = redis_server_new("noeviction", true);
    f->redis.address = (char *)redis_server_address(f->server);
    f->redis.timeout_ms = 2000;
    f->metrics = metrics_new();
    for (size_t i = 0; i < DESKS; i++)
        open_desk(f, &f->desks[i]);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int rc = 0;
    for (size_t i = 0; i < DESKS; i++) {
        heads_destroy(&f->desks[i].heads);
        chain_destroy(&f->desks[i].chain);
        journal_close(&f->desks[i].journal);
        (void)snprintf(command, sizeof command, "rm -rf %s", f->desks[i].directory);
        rc |= system(command); /* NOLINT(cert-env33-c): a folder this test made */
    }
    metrics_destroy(&f->metrics);
    redis_server_destroy(&f->server);
    free(f);
    return rc;
}

static void note(struct desk *desk)
{
    struct error err = { 0 };
    uint64_t sequence = 0;
    struct id id = id_random();
    uint8_t bytes[64];
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    fact.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    size_t length = desg__v1__fact__pack(&fact, bytes);
    if (chain_append(desk->chain, bytes, length, &sequence, &err) != 0)
        fail_msg("%s", err.text);
}

struct wanted {
    struct id source;
    uint64_t number;
    size_t heads; /* facts of that kind */
    bool is_seen;
};

static bool look(void *arg, const struct chain_link *link)
{
    struct wanted *wanted = arg;
    if (!link->fact || link->fact->what_case != DESG__V1__FACT__WHAT_HEADS)
        return true;
    wanted->heads++;
    for (size_t i = 0; i < link->fact->heads->n_heads; i++) {
        const Desg__V1__Head *head = link->fact->heads->heads[i];
        if (memcmp(head->source.data, wanted->source.bytes, ID_BYTES) == 0 &&
            head->number >= wanted->number)
            wanted->is_seen = true;
    }
    return true;
}

static void await_seen(struct desk *by, struct desk *of, uint64_t number)
{
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    struct error err = { 0 };
    for (;;) {
        struct wanted wanted = { .source = journal_source(of->journal), .number = number };
        assert_int_equal(chain_read(by->chain, 0, look, &wanted, &err), 0);
        if (wanted.is_seen)
            return;
        assert_true(clock_monotonic_ms() < ends_ms);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
}

static void each_writes_down_the_others_head(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        note(&f->desks[0]);
    await_seen(&f->desks[1], &f->desks[0], 5);
    await_seen(&f->desks[0], &f->desks[1], 1); /* that note is a record, too */
    redis_server_kill(f->server);
    redis_server_start(f->server);
    free(redis_server_ask(f->server, "FLUSHALL"));
    for (int i = 0; i < 5; i++)
        note(&f->desks[1]);
    await_seen(&f->desks[0], &f->desks[1], 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_writes_down_the_others_head, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
