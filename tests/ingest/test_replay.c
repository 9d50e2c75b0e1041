/* replay - which records a time means, over a real journal. */
#include "ingest/replay.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "clock/clock.h"

/* The admin door's part and the dispatcher's. */
static const char *since;
static const char *until;
static uint64_t asked_first;
static uint64_t asked_last;
static bool has_room;

const char *admin_query(const struct admin_request *request, const char *name)
{
    (void)request;
    return strcmp(name, "since_ms") == 0 ? since : until;
}

bool dispatcher_replay(struct dispatcher *self, uint64_t first, uint64_t last)
{
    (void)self;
    asked_first = first;
    asked_last = last;
    return has_room;
}

struct fixture {
    char folder[32];
    struct metrics *metrics;
    struct journal *journal;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct error err = { 0 };
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/desg-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->metrics = metrics_new();
    const struct journal_options options = {
        .directory = f->folder, .max_bytes = 16 << 20, .retention_ms = 1000, .metrics = f->metrics
    };
    f->journal = journal_open(&options, &err);
    if (!f->journal)
        fail_msg("%s", err.text);
    since = until = NULL;
    asked_first = asked_last = 0;
    has_room = true;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = { "data.mdb", "lock.mdb", "lock" };
    journal_close(&f->journal);
    metrics_destroy(&f->metrics);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", f->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->folder);
    return 0;
}

static void store(struct fixture *f, uint64_t count)
{
    struct error err = { 0 };
    struct journal_stats stats;
    int64_t deadline_ms = clock_monotonic_ms() + 60000;
    for (uint64_t i = 0; i < count; i++)
        if (journal_append(f->journal, 1, "body", 4, NULL, NULL, &err) != 0)
            fail_msg("%s", err.text);
    do {
        journal_stats(f->journal, &stats);
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 2);
    } while (stats.newest_sequence < count);
}

static json_int_t replay(struct fixture *f, const char *method, unsigned status)
{
    const struct admin_request request = { .method = method, .path = "/replay", .body = "" };
    struct admin_answer answer = { .status = 200 };
    replay_stored(f->journal, NULL, &request, &answer);
    assert_int_equal(answer.status, status);
    json_t *json = json_loads(answer.body, 0, NULL);
    assert_non_null(json);
    json_int_t records = json_integer_value(json_object_get(json, "records"));
    json_decref(json);
    free(answer.body);
    return records;
}

static void offers_what_was_stored_since_then(void **state)
{
    struct fixture *f = *state;
    char now[32];
    store(f, 5);
    (void)snprintf(now, sizeof now, "%lld", (long long)clock_unix_ms());
    since = now;
    assert_int_equal(replay(f, "POST", 200), 5);
    assert_int_equal(asked_first, 1);
    assert_int_equal(asked_last, 5);
    since = "0";
    assert_int_equal(replay(f, "POST", 200), 5);
    until = now;
    assert_int_equal(replay(f, "POST", 200), 5);
}

static void offers_nothing_of_another_time(void **state)
{
    struct fixture *f = *state;
    char later[32];
    store(f, 5);
    (void)snprintf(later, sizeof later, "%lld", (long long)clock_unix_ms() + 3600000);
    since = later;
    assert_int_equal(replay(f, "POST", 200), 0);
    since = "1000";
    until = "2000";
    assert_int_equal(replay(f, "POST", 200), 0);
    assert_int_equal(asked_first, 0);
}

static void an_empty_journal_has_nothing_to_offer(void **state)
{
    since = "0";
    assert_int_equal(replay(*state, "POST", 200), 0);
}

static void refuses_what_it_does_not_understand(void **state)
{
    static const char *const cases[][2] = { { NULL, NULL },
                                            { "", NULL },
                                            { "-5", NULL },
                                            { "1h", NULL },
                                            { "5", "4" },
                                            { "5", "x" },
                                            { "99999999999999999999", NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        since = cases[i][0];
        until = cases[i][1];
        (void)replay(*state, "POST", 400);
    }
    since = "0";
    until = NULL;
    (void)replay(*state, "GET", 405);
}

static void says_when_too_many_requests_wait(void **state)
{
    store(*state, 1);
    since = "0";
    has_room = false;
    (void)replay(*state, "POST", 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(offers_what_was_stored_since_then, setup, teardown),
        cmocka_unit_test_setup_teardown(offers_nothing_of_another_time, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_journal_has_nothing_to_offer, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_it_does_not_understand, setup, teardown),
        cmocka_unit_test_setup_teardown(says_when_too_many_requests_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
