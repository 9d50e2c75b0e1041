/* The promises of projector.h against a real Redis and a real journal. What is applied here is a
 * set of the records' sequences, so each test can say which records Redis has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock/clock.h"
#include "projector/projector.h"
#include "redis_server.h"
#include "store/internal.h"

enum { DEADLINE_MS = 30000, POLL_MS = 5 };

struct fixture {
    struct redis_server *server;
    struct config_redis redis;
    char directory[64];
    struct metrics *metrics;
    struct journal *journal;
    struct projector_hook hook;
    struct projector *projector;
    atomic_int appended;
    atomic_int refusals; /* how often apply fails before it goes on */
    atomic_int poison;   /* number of the fact that is refused for itself; -1: none */
    atomic_int poison_left;
};

enum { ALWAYS = 1 << 30 };

/* --- what is applied --- */

static int add_member(struct store *store, const struct journal_record *record, struct error *err)
{
    char member[64];
    (void)snprintf(member, sizeof member, "%.*s", (int)record->body_bytes,
                   (const char *)record->body);
    const char *words[] = { "SADD", "seen", member };
    AUTO(store_reply_free) redisReply *reply = store_command(store, 3, words, NULL, err);
    return reply ? 0 : -1;
}

static bool is_poison(struct fixture *f, const struct journal_record *record)
{
    char body[16];
    int length = snprintf(body, sizeof body, "fact-%d", atomic_load(&f->poison));
    return record->body_bytes == (size_t)length && memcmp(record->body, body, (size_t)length) == 0;
}

static int apply(void *arg, struct store *store, const struct journal_record *records, size_t count,
                 char history[STORE_HISTORY_BYTES], struct error *err)
{
    struct fixture *f = arg;
    struct id nobody = { { 0 } };
    struct store_mark ignored;
    if (atomic_load(&f->refusals) > 0) {
        (void)atomic_fetch_sub(&f->refusals, 1);
        return error_set(err, ERROR_UNAVAILABLE, "refused by the test");
    }
    for (size_t i = 0; i < count; i++) {
        assert(!records[i].is_damaged);
        if (is_poison(f, &records[i]) && atomic_fetch_sub(&f->poison_left, 1) > 0)
            return error_set(err, ERROR_INVALID, "fact 0a0b: refused by the test");
        if (add_member(store, &records[i], err) != 0)
            return -1;
    }
    return store_hello(store, &nobody, &ignored, history, err);
}

/* --- journal and projector --- */

static void open_journal(struct fixture *f)
{
    struct error err = { 0 };
    const struct journal_options options = {
        .directory = f->directory,
        .max_bytes = 8 << 20,
        .retention_ms = 3600000,
        .metrics = f->metrics,
        .committed = projector_hook_committed,
        .committed_arg = &f->hook,
    };
    f->journal = journal_open(&options, &err);
    if (!f->journal)
        fail_msg("%s", err.text);
}

static void start_projector(struct fixture *f)
{
    struct error err = { 0 };
    const struct projector_options options = {
        .journal = f->journal,
        .hook = &f->hook,
        .redis = &f->redis,
        .force = "testforce",
        .kind = "desk",
        .name = "desk-1",
        .metrics = f->metrics,
        .apply = apply,
        .arg = f,
    };
    f->projector = projector_new(&options, &err);
    if (!f->projector)
        fail_msg("%s", err.text);
}

static void stop_projector(struct fixture *f)
{
    projector_destroy(&f->projector);
}

static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    (void)sequence;
    struct fixture *f = arg;
    assert_int_equal(outcome, JOURNAL_STORED);
    (void)atomic_fetch_add(&f->appended, 1);
}

static void pause_briefly(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
}

static void append(struct fixture *f, int first, int count)
{
    struct error err = { 0 };
    int before = atomic_load(&f->appended);
    for (int i = first; i < first + count; i++) {
        char body[16];
        int length = snprintf(body, sizeof body, "fact-%d", i);
        if (journal_append(f->journal, 1, body, (size_t)length, on_stored, f, &err) != 0)
            fail_msg("%s", err.text);
    }
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (atomic_load(&f->appended) < before + count) {
        assert_true(clock_monotonic_ms() < ends_ms);
        pause_briefly();
    }
}

static void await_members(struct fixture *f, long long count)
{
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (redis_server_number(f->server, "SCARD seen") != count) {
        if (clock_monotonic_ms() > ends_ms)
            fail_msg("%lld members, not %lld", redis_server_number(f->server, "SCARD seen"), count);
        pause_briefly();
    }
}

static struct projector_status status_of(struct fixture *f)
{
    struct projector_status status;
    projector_status(f->projector, &status);
    return status;
}

static void await_marked(struct fixture *f, uint64_t sequence)
{
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (struct projector_status status = status_of(f);
         status.marked != sequence || !status.is_caught_up; status = status_of(f)) {
        if (clock_monotonic_ms() > ends_ms)
            fail_msg("marked %llu, not %llu; caught up: %d", (unsigned long long)status.marked,
                     (unsigned long long)sequence, status.is_caught_up);
        pause_briefly();
    }
}

/* The newest sequence, which the first incarnation's records need not share with their number. */
static uint64_t newest(struct fixture *f)
{
    struct journal_stats stats;
    journal_stats(f->journal, &stats);
    return stats.newest_sequence;
}

static const char *source_text(struct fixture *f)
{
    static char text[ID_TEXT_BYTES];
    struct id source = journal_source(f->journal);
    id_text(source.bytes, text);
    return text;
}

/* What Redis was told of this source: 1 caught up, 0 not, -1 never heard of. */
static int reported(struct fixture *f)
{
    struct error err = { 0 };
    json_t *sources = NULL;
    const struct store_options options = { .redis = &f->redis,
                                           .force = "testforce",
                                           .label = "test" };
    struct store *store = store_new(&options, &err);
    if (store_sources(store, &sources, &err) != 0)
        fail_msg("%s", err.text);
    int told = -1;
    size_t index;
    const json_t *row;
    json_array_foreach(sources, index, row)
    {
        const char *source = json_string_value(json_object_get(row, "source"));
        if (source && strcmp(source, source_text(f)) == 0)
            told = json_is_true(json_object_get(row, "is_caught_up"));
    }
    json_decref(sources);
    store_destroy(&store);
    return told;
}

/* --- fixture --- */

static int set_up_server(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = redis_server_new("noeviction", true);
    f->redis.address = (char *)redis_server_address(f->server);
    f->redis.timeout_ms = 2000;
    *state = f;
    return 0;
}

static int tear_down_server(void **state)
{
    struct fixture *f = *state;
    redis_server_destroy(&f->server);
    free(f);
    return 0;
}

static int set_up(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "FLUSHALL"));
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-projector-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->metrics = metrics_new();
    projector_hook_init(&f->hook);
    atomic_store(&f->appended, 0);
    atomic_store(&f->refusals, 0);
    atomic_store(&f->poison, -1);
    atomic_store(&f->poison_left, ALWAYS);
    open_journal(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    stop_projector(f);
    journal_close(&f->journal);
    projector_hook_clear(&f->hook);
    metrics_destroy(&f->metrics);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->directory);
    return system(command); /* NOLINT(cert-env33-c): a folder this test made */
}

/* --- tests --- */

static void applies_what_is_there_and_what_comes(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 200);
    start_projector(f);
    await_members(f, 200);
    await_marked(f, newest(f));
    append(f, 200, 3);
    await_members(f, 203);
    await_marked(f, newest(f));
    assert_int_equal(status_of(f).rewinds, 0);
}

static void an_empty_journal_is_caught_up_and_says_so(void **state)
{
    struct fixture *f = *state;
    start_projector(f);
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (reported(f) != 1) {
        assert_true(clock_monotonic_ms() < ends_ms);
        pause_briefly();
    }
    assert_true(status_of(f).is_caught_up);
}

static void goes_on_behind_its_mark_after_a_restart(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 10);
    start_projector(f);
    await_marked(f, newest(f));
    stop_projector(f);
    journal_close(&f->journal);
    free(redis_server_ask(f->server, "DEL seen"));
    open_journal(f);
    append(f, 10, 2);
    start_projector(f);
    await_marked(f, newest(f));
    await_members(f, 2); /* the ten are in Redis by the mark's word */
}

static void applies_all_again_after_flushall(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 100);
    start_projector(f);
    await_marked(f, newest(f));
    free(redis_server_ask(f->server, "FLUSHALL"));
    await_members(f, 100);
    await_marked(f, newest(f));
    assert_true(status_of(f).rewinds >= 1);
    assert_int_equal(reported(f), 1);
}

static void applies_all_again_after_another_history(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 50);
    start_projector(f);
    await_marked(f, newest(f));
    redis_server_kill(f->server);
    redis_server_start(f->server); /* another history; the file may lack the last second */
    free(redis_server_ask(f->server, "DEL desg:{testforce}:mark:%s", source_text(f)));
    free(redis_server_ask(f->server, "DEL seen"));
    append(f, 50, 1);
    await_members(f, 51);
    await_marked(f, newest(f));
}

static void a_mark_made_lower_is_believed(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 80);
    start_projector(f);
    await_marked(f, newest(f));
    free(redis_server_ask(f->server, "DEL seen"));
    free(redis_server_ask(f->server, "HSET desg:{testforce}:mark:%s sequence %llu", source_text(f),
                          (unsigned long long)(newest(f) - 30)));
    await_members(f, 30);
    await_marked(f, newest(f));
}

static void a_mark_of_a_journal_unknown_counts_as_none(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 20);
    free(redis_server_ask(f->server,
                          "HSET desg:{testforce}:mark:%s incarnation 12345 sequence 9000",
                          source_text(f)));
    start_projector(f);
    await_members(f, 20);
    await_marked(f, newest(f));
}

static void tries_again_what_was_refused(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 5);
    atomic_store(&f->refusals, 2);
    start_projector(f);
    await_members(f, 5);
    await_marked(f, newest(f));
    assert_false(status_of(f).is_redis_away);
}

static void is_not_caught_up_while_redis_is_away(void **state)
{
    struct fixture *f = *state;
    redis_server_kill(f->server);
    append(f, 0, 5);
    start_projector(f);
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!status_of(f).is_redis_away) {
        assert_true(clock_monotonic_ms() < ends_ms);
        pause_briefly();
    }
    assert_false(status_of(f).is_caught_up);
    json_t *detail = json_object();
    projector_describe(f->projector, detail);
    const json_t *told = json_object_get(detail, "projector");
    assert_true(json_is_true(json_object_get(told, "is_redis_away")));
    assert_int_equal(json_integer_value(json_object_get(told, "behind")), 5);
    json_decref(detail);
    redis_server_start(f->server);
    await_marked(f, newest(f));
    await_members(f, 5);
}

/* --- what Redis refuses for itself --- */

static void await_put_aside(struct fixture *f, uint64_t count)
{
    int64_t ends_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (status_of(f).put_aside != count) {
        if (clock_monotonic_ms() > ends_ms)
            fail_msg("%llu put aside, not %llu", (unsigned long long)status_of(f).put_aside,
                     (unsigned long long)count);
        pause_briefly();
    }
}

static void assert_told(struct fixture *f, json_int_t count, const char *why)
{
    json_t *detail = json_object();
    projector_describe(f->projector, detail);
    const json_t *told = json_object_get(json_object_get(detail, "projector"), "put_aside");
    assert_int_equal(json_integer_value(json_object_get(told, "count")), count);
    const json_t *first = json_array_get(json_object_get(told, "oldest"), 0);
    const char *problem = json_string_value(json_object_get(first, "problem"));
    if (why && (!problem || !strstr(problem, why)))
        fail_msg("'%s' does not say '%s'", problem ? problem : "", why);
    json_decref(detail);
}

static void what_is_refused_for_itself_is_put_aside_alone(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->poison, 70);
    append(f, 0, 200);
    start_projector(f);
    await_members(f, 199); /* those before it and those behind */
    await_marked(f, newest(f));
    await_put_aside(f, 1);
    assert_false(status_of(f).is_redis_away);
    assert_told(f, 1, "0a0b");
    char *metrics = metrics_render(f->metrics);
    assert_non_null(strstr(metrics, "desg_projector_put_aside_records 1"));
    assert_non_null(strstr(metrics, "desg_projector_put_aside_total 1"));
    free(metrics);
    append(f, 200, 1);
    await_members(f, 200);
}

static void a_refusal_that_passes_puts_nothing_aside(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->poison, 3);
    atomic_store(&f->poison_left, 4); /* of 8, 4, 2, itself */
    append(f, 0, 8);
    start_projector(f);
    await_members(f, 8);
    await_marked(f, newest(f));
    assert_int_equal(status_of(f).put_aside, 0);
    assert_told(f, 0, NULL);
}

static void redis_away_for_long_puts_nothing_aside(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->refusals, 12);
    append(f, 0, 1);
    start_projector(f);
    await_members(f, 1);
    await_marked(f, newest(f));
    assert_int_equal(status_of(f).put_aside, 0);
}

/* The mark is past it, but nobody forgets it: neither a new process nor, once it goes, Redis. */
static void what_was_put_aside_is_tried_again_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->poison, 2);
    append(f, 0, 5);
    start_projector(f);
    await_marked(f, newest(f));
    await_put_aside(f, 1);
    stop_projector(f);
    start_projector(f);
    await_put_aside(f, 1);
    await_marked(f, newest(f));
    assert_told(f, 1, "0a0b");
    stop_projector(f);
    atomic_store(&f->poison, -1); /* an update, say */
    start_projector(f);
    await_members(f, 5);
    await_put_aside(f, 0);
    stop_projector(f);
    start_projector(f);
    await_marked(f, newest(f));
    assert_int_equal(status_of(f).put_aside, 0);
}

static void an_emptied_redis_is_offered_it_again(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->poison, 2);
    append(f, 0, 5);
    start_projector(f);
    await_marked(f, newest(f));
    await_put_aside(f, 1);
    atomic_store(&f->poison, -1);
    free(redis_server_ask(f->server, "FLUSHALL"));
    await_members(f, 5);
    await_put_aside(f, 0);
    await_marked(f, newest(f));
}

/* A child applies and is killed at some point; what it left undone the next one does. */
static void a_kill_in_the_middle_leaves_nothing_out(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 2000);
    journal_close(&f->journal);
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            open_journal(f);
            start_projector(f);
            for (;;)
                (void)pause();
        }
        (void)nanosleep(&(struct timespec){ .tv_nsec = (20 + round * 15) * 1000000L }, NULL);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (round == 2)
            free(redis_server_ask(f->server, "FLUSHALL"));
    }
    open_journal(f);
    start_projector(f);
    await_members(f, 2000);
    await_marked(f, newest(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(applies_what_is_there_and_what_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_journal_is_caught_up_and_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(goes_on_behind_its_mark_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(applies_all_again_after_flushall, set_up, tear_down),
        cmocka_unit_test_setup_teardown(applies_all_again_after_another_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_made_lower_is_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_of_a_journal_unknown_counts_as_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tries_again_what_was_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_not_caught_up_while_redis_is_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_for_itself_is_put_aside_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_that_passes_puts_nothing_aside, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(redis_away_for_long_puts_nothing_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_put_aside_is_tried_again_at_the_next_start, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_emptied_redis_is_offered_it_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_in_the_middle_leaves_nothing_out, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_server, tear_down_server);
}
