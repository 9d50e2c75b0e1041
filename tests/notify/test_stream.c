/* The real desg-notify between a real Redis and a dispatch system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert.h"
#include "clock/clock.h"
#include "courier.h"
#include "fake_dispatch.h"
#include "process.h"
#include "redis_server.h"
#include "sample.h"
#include "side_by_side.h"

enum { LONG_MS = 30000, AT_ONCE = 6 };

struct fixture {
    struct redis_server *redis;
    struct fake_dispatch *dispatch;
    struct process *process;
    struct process *other; /* a second replica, in some */
    struct config_redis config;
    struct store_queues queues;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    assert_non_null(f);
    f->redis = redis_server_new("noeviction", true);
    f->dispatch = fake_dispatch_new();
    f->config.address = (char *)(uintptr_t)redis_server_address(f->redis);
    f->config.timeout_ms = 2000;
    f->store = store_new(
        &(struct store_options){
            .redis = &f->config, .force = "testforce", .queues = &f->queues, .label = "test" },
        &err);
    assert_non_null(f->store);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_destroy(&f->store);
    process_destroy(&f->process);
    process_destroy(&f->other);
    fake_dispatch_destroy(&f->dispatch);
    redis_server_destroy(&f->redis);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->process = process_new(&(struct process_options){
        .dispatch_port = fake_dispatch_port(f->dispatch), .redis_address = f->config.address });
}

/* Replicas with a ladder, which take each other for gone after ten seconds. */
static struct process *start_climbing(struct fixture *f, const char *name)
{
    return process_new(&(struct process_options){
        .name = name,
        .dispatch_port = fake_dispatch_port(f->dispatch),
        .redis_address = f->config.address,
        .ladder = "[ { after_s: 1, action: again }, { after_s: 9, action: again }, "
                  "{ after_s: 3600, action: supervisor } ]",
        .more = "  test_interval_s: 0\n  take_over_s: 10\n" });
}

static void start_other(struct fixture *f)
{
    f->other =
        process_new(&(struct process_options){ .name = "notify-other",
                                               .dispatch_port = fake_dispatch_port(f->dispatch),
                                               .redis_address = f->config.address });
}

/* Applies an event as route does, an old one as in a replay; the function raises its alert. */
static struct id apply_received(struct fixture *f, unsigned number, Desg__V1__Severity severity,
                                int64_t received_at_ms)
{
    struct sample sample;
    struct error err = { 0 };
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    sample_init(&sample, number, number, received_at_ms, severity);
    sample.verdict.is_unclassified = severity == DESG__V1__SEVERITY__SEVERITY_REVIEW;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    event.is_replayed = clock_unix_ms() - received_at_ms > 600000;
    if (store_apply(f->store, &event, 1, &result, history, &err) != 0)
        fail_msg("%s", err.text);
    return id_of_alert(sample.event_id.bytes);
}

static struct id apply_as(struct fixture *f, unsigned number, Desg__V1__Severity severity)
{
    return apply_received(f, number, severity, clock_unix_ms());
}

static struct id apply(struct fixture *f, unsigned number)
{
    return apply_as(f, number, DESG__V1__SEVERITY__SEVERITY_URGENT);
}

static void wait_posted(struct fixture *f, const struct id *alert)
{
    char key[64];
    char id[ID_TEXT_BYTES];
    id_text(alert->bytes, id);
    (void)snprintf(key, sizeof key, "%s.v1", id);
    if (!fake_dispatch_wait(f->dispatch, "/alerts", key, 1, LONG_MS))
        fail_msg("alert %s was not posted", id);
}

static void wait_redis(struct fixture *f, const char *wanted, const char *command)
{
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    for (;;) {
        char *answer = redis_server_ask(f->redis, "%s", command);
        bool is_there = strcmp(answer, wanted) == 0;
        if (!is_there && clock_monotonic_ms() > until_ms)
            fail_msg("'%s' says '%s', not '%s'", command, answer, wanted);
        free(answer);
        if (is_there)
            return;
        (void)poll(NULL, 0, 20);
    }
}

static void wait_state(struct fixture *f, const struct id *alert, const char *wanted)
{
    char id[ID_TEXT_BYTES];
    char command[128];
    id_text(alert->bytes, id);
    (void)snprintf(command, sizeof command, "HGET desg:{testforce}:alert:%s state", id);
    wait_redis(f, wanted, command);
}

static unsigned acknowledge_at(struct process *process, const struct id *alert)
{
    char id[ID_TEXT_BYTES];
    char body[256];
    id_text(alert->bytes, id);
    (void)snprintf(body, sizeof body,
                   "{\"alert\":\"%s\",\"action\":\"acknowledged\",\"dispatcher\":\"D. Prawf\"}",
                   id);
    return process_callback(process, body, NULL);
}

static unsigned acknowledge(struct fixture *f, const struct id *alert)
{
    return acknowledge_at(f->process, alert);
}

static void from_the_stream_to_dispatch_and_its_state_back(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id alert = apply(f, 1);
    wait_posted(f, &alert);
    wait_state(f, &alert, "accepted");
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts"); /* acknowledged once journalled */
    assert_int_equal(acknowledge(f, &alert), 200);
    wait_state(f, &alert, "acknowledged");
    wait_redis(f, "0", "ZCARD desg:{testforce}:alerts-open");
    assert_true(process_metric(f->process, "desg_notify_alerts_total{path_in=\"stream\"}") == 1);
}

static void provisional_and_stream_are_one_alert(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    start(f);
    struct id alert_id = apply(f, 1);
    wait_posted(f, &alert_id);
    sample_init(&sample, 1, 1, clock_unix_ms(), DESG__V1__SEVERITY__SEVERITY_URGENT);
    sample_pack(&sample);
    struct courier_alert alert = { .id = alert_id };
    alert_order_init(&alert.alert, &alert.id, sample.event_id.bytes, sample.event_bytes,
                     sample.event_length, sample.verdict_bytes, sample.verdict_length);
    struct courier *courier = courier_new(process_endpoint(f->process));
    bool is_alerted = courier_order(courier, &alert, LONG_MS);
    courier_destroy(&courier);
    assert_true(is_alerted);
    assert_true(process_wait_status(f->process, "alerts_known", 1, LONG_MS));
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".u1", 1, LONG_MS));
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".v1"), 1);
}

static void redis_dies_and_comes_back_and_alerts_go_on(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id before = apply(f, 1);
    wait_posted(f, &before);
    redis_server_kill(f->redis);
    assert_int_equal(acknowledge(f, &before), 200); /* does not wait for Redis */
    redis_server_start(f->redis);
    struct error err = { 0 };
    store_destroy(&f->store);
    f->store = store_new(
        &(struct store_options){
            .redis = &f->config, .force = "testforce", .queues = &f->queues, .label = "test" },
        &err);
    struct id after = apply(f, 2);
    wait_posted(f, &after);
    wait_state(f, &before, "acknowledged"); /* written once Redis was back */
}

static void killed_before_it_acknowledged_the_stream_it_reads_again(void **state)
{
    struct fixture *f = *state;
    struct id alerts[5];
    start(f);
    process_kill(f->process);
    for (unsigned n = 0; n < 5; n++)
        alerts[n] = apply(f, n + 1);
    /* A notify of the same name took them and died at once. */
    free(redis_server_ask(f->redis, "XREADGROUP GROUP notify notify COUNT 9 STREAMS "
                                    "desg:{testforce}:alerts >"));
    process_start(f->process);
    for (unsigned n = 0; n < 5; n++)
        wait_posted(f, &alerts[n]); /* after five idle seconds */
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts");
}

static void a_digest_speaks_for_its_members_in_redis(void **state)
{
    enum { ALONE = 5, ALERTS = 14 }; /* a minute may turn on the way: then ten go alone */
    struct fixture *f = *state;
    struct id alerts[ALERTS];
    start(f);
    for (unsigned n = 0; n < ALERTS; n++)
        alerts[n] = apply_as(f, n + 1, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    for (unsigned n = 0; n < ALERTS; n++)
        wait_state(f, &alerts[n], "accepted");
    size_t posts = fake_dispatch_count(f->dispatch, "/alerts", ".v1");
    assert_true(posts > ALONE && posts < ALERTS);
    struct fake_request digest = fake_dispatch_request(f->dispatch, "/alerts", ".v1", posts - 1);
    assert_non_null(strstr(digest.body, "uk.police.desk.alert.digest.v1"));
    struct id digest_id;
    digest.key[ID_TEXT_BYTES - 1] = '\0';
    assert_int_equal(id_parse(digest.key, &digest_id), 0);
    free(digest.body);
    assert_int_equal(acknowledge(f, &digest_id), 200);
    wait_state(f, &alerts[ALERTS - 1], "acknowledged");
}

/* The desk takes an alert of its own, and notify has heard of it: it has looked at all that are
 * open. */
static void look_at_all(struct fixture *f, unsigned number, double elsewhere)
{
    struct error err = { 0 };
    struct id alert = apply(f, number);
    wait_state(f, &alert, "accepted");
    json_t *fields = json_pack("{s:s}", "dispatcher", "D. Prawf");
    assert_int_equal(store_alert_state(f->store, &alert, "acknowledged", fields, &err), 0);
    json_decref(fields);
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    while (process_metric(f->process, "desg_notify_elsewhere_total") < elsewhere &&
           clock_monotonic_ms() < until_ms)
        (void)poll(NULL, 0, 20);
    assert_true(process_metric(f->process, "desg_notify_elsewhere_total") == elsewhere);
}

/* What was said of its digest says nothing of a member that turned urgent since. */
static void a_member_urgent_after_its_digest_was_acknowledged_stays_open(void **state)
{
    enum { ALERTS = 14 };
    struct fixture *f = *state;
    struct id member = { 0 };
    struct id digest_id;
    start(f);
    for (unsigned n = 0; n < ALERTS; n++)
        member = apply_as(f, n + 1, DESG__V1__SEVERITY__SEVERITY_REVIEW);
    wait_state(f, &member, "accepted");
    size_t posts = fake_dispatch_count(f->dispatch, "/alerts", ".v1");
    for (size_t i = 0; i < posts; i++) { /* all are acknowledged: those alone, and the digest */
        struct fake_request post = fake_dispatch_request(f->dispatch, "/alerts", ".v1", i);
        post.key[ID_TEXT_BYTES - 1] = '\0';
        assert_int_equal(id_parse(post.key, &digest_id), 0);
        free(post.body);
        assert_int_equal(acknowledge(f, &digest_id), 200);
    }
    wait_state(f, &member, "acknowledged");
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
    (void)apply_as(f, ALERTS, DESG__V1__SEVERITY__SEVERITY_URGENT);
    wait_posted(f, &member);
    look_at_all(f, 101, 1);
    look_at_all(f, 102, 2);
    assert_true(process_wait_status(f->process, "alerts_open", 1, LONG_MS));
    wait_state(f, &member, "accepted"); /* and waits for a dispatcher, at the desk, too */
    wait_redis(f, "1", "ZCARD desg:{testforce}:alerts-open");
    assert_int_equal(acknowledge(f, &member), 200);
    wait_state(f, &member, "acknowledged");
}

/* --- two replicas, an emptied Redis, the desk --- */

/* That another replica told dispatch how it was says nothing of how it is since. */
static void an_old_alert_told_elsewhere_that_grew_since_is_told(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    char now[24];
    int64_t long_ago_ms = clock_unix_ms() - 3600000;
    struct id alert = apply_received(f, 1, DESG__V1__SEVERITY__SEVERITY_REVIEW, long_ago_ms);
    free(redis_server_ask(f->redis, "XTRIM desg:{testforce}:alerts MAXLEN 0"));
    (void)snprintf(now, sizeof now, "%lld", (long long)clock_unix_ms() - 1000);
    json_t *fields = json_pack("{s:s}", "accepted_at_ms", now);
    assert_int_equal(store_alert_state(f->store, &alert, "accepted", fields, &err), 0);
    json_decref(fields);
    (void)apply_received(f, 1, DESG__V1__SEVERITY__SEVERITY_URGENT, long_ago_ms);
    start(f);
    wait_posted(f, &alert);
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".u1", 1, LONG_MS));
}

/* --- a replica that never comes back --- */

static void wait_field(struct fixture *f, const struct id *alert, const char *field,
                       const char *wanted)
{
    char id[ID_TEXT_BYTES];
    char command[128];
    id_text(alert->bytes, id);
    (void)snprintf(command, sizeof command, "HGET desg:{testforce}:alert:%s %s", id, field);
    wait_redis(f, wanted, command);
}

static void one_that_told_and_never_comes_back_leaves_its_ladder_to_another(void **state)
{
    struct fixture *f = *state;
    f->process = start_climbing(f, "notify");
    struct id alert = apply(f, 1);
    wait_state(f, &alert, "accepted");
    wait_field(f, &alert, "updates", "1");
    wait_field(f, &alert, "steps", "1"); /* the first reminder is the first replica's */
    process_kill(f->process);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".r2"), 0);
    f->other = start_climbing(f, "notify-other");
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".r2", 1, LONG_MS));
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".u3", 1, LONG_MS));
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".v1"), 1);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".u1"), 1);
    assert_int_equal(acknowledge_at(f->other, &alert), 200);
    wait_state(f, &alert, "acknowledged");
    assert_true(process_wait_status(f->other, "alerts_open", 0, LONG_MS));
}

static void what_one_that_never_comes_back_could_not_tell_another_tells(void **state)
{
    struct fixture *f = *state;
    fake_dispatch_down(f->dispatch);
    f->process = start_climbing(f, "notify");
    struct id alert = apply(f, 1);
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts");
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 1, LONG_MS));
    wait_field(f, &alert, "state", "open");
    wait_field(f, &alert, "steps", "1"); /* so Redis knows that this one has it */
    process_kill(f->process);
    fake_dispatch_up(f->dispatch);
    f->other = start_climbing(f, "notify-other");
    wait_posted(f, &alert);
    wait_state(f, &alert, "accepted");
}

static void one_that_lives_keeps_its_alerts(void **state)
{
    struct fixture *f = *state;
    f->process = start_climbing(f, "notify");
    struct id alert = apply(f, 1);
    wait_state(f, &alert, "accepted");
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts");
    f->other = start_climbing(f, "notify-other");
    /* Thrice the time after which one that is silent counts as gone. */
    int64_t until_ms = clock_monotonic_ms() + 30000;
    while (clock_monotonic_ms() < until_ms) {
        assert_true(process_metric(f->other, "desg_notify_alerts_open") <= 0);
        (void)poll(NULL, 0, 200);
    }
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".r2"), 1);
}

static void a_callback_at_the_wrong_replica_reaches_the_right_one(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct id alert = apply(f, 1);
    wait_state(f, &alert, "accepted");
    start_other(f);
    assert_int_equal(acknowledge_at(f->other, &alert), 200);
    wait_state(f, &alert, "acknowledged");
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
}

static void nobody_knows_the_alert_of_a_callback(void **state)
{
    struct fixture *f = *state;
    start(f);
    const struct id nobodys = id_random();
    assert_int_equal(acknowledge(f, &nobodys), 404);
}

static void the_desk_takes_an_alert(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    start(f);
    struct id alert = apply(f, 1);
    wait_state(f, &alert, "accepted");
    json_t *fields = json_pack("{s:s}", "dispatcher", "D. Prawf");
    assert_int_equal(store_alert_state(f->store, &alert, "acknowledged", fields, &err), 0);
    json_decref(fields);
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
    assert_true(process_metric(f->process, "desg_notify_elsewhere_total") == 1);
}

/* What happened is in the journals alone; Redis gets the events first, as in a replay. */
static void an_emptied_redis_is_rebuilt_quietly(void **state)
{
    enum { ALERTS = 24 };
    struct fixture *f = *state;
    struct id alerts[ALERTS];
    int64_t long_ago_ms = clock_unix_ms() - 3600000;
    start(f);
    for (unsigned n = 0; n < ALERTS; n++)
        alerts[n] = apply_received(f, n + 1, DESG__V1__SEVERITY__SEVERITY_URGENT, long_ago_ms);
    for (unsigned n = 0; n < ALERTS; n++)
        wait_state(f, &alerts[n], "accepted");
    for (unsigned n = 0; n < ALERTS; n += 2)
        assert_int_equal(acknowledge(f, &alerts[n]), 200);
    start_other(f);
    wait_state(f, &alerts[ALERTS - 2], "acknowledged");
    free(redis_server_ask(f->redis, "FLUSHALL"));
    for (unsigned n = 0; n < ALERTS; n++)
        (void)apply_received(f, n + 1, DESG__V1__SEVERITY__SEVERITY_URGENT, long_ago_ms);
    for (unsigned n = 0; n < ALERTS; n++)
        wait_state(f, &alerts[n], n % 2 == 0 ? "acknowledged" : "accepted");
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts");
    assert_true(process_wait_status(f->other, "alerts_unaccepted", 0, LONG_MS));
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".v1"), ALERTS);
    assert_true(process_wait_status(f->other, "alerts_open", 0, LONG_MS)); /* the first has them */
    assert_true(process_wait_status(f->process, "alerts_open", ALERTS / 2, LONG_MS));
    double elsewhere = process_metric(f->other, "desg_notify_elsewhere_total");
    print_message("the second replica was given %.0f of %d\n", elsewhere, ALERTS);
}

/* Its journal holds something: the note of another source, while it has no alerts. */
static bool has_noted(struct process *process)
{
    json_t *status = process_control(process, "/status");
    json_t *journal = json_object_get(json_object_get(status, "detail"), "journal");
    bool has_noted = json_integer_value(json_object_get(journal, "newest_sequence")) > 0;
    json_decref(status);
    return has_noted;
}

static void one_started_after_redis_was_emptied_waits_for_those_it_knew(void **state)
{
    struct fixture *f = *state;
    int64_t long_ago_ms = clock_unix_ms() - 3600000;
    start_other(f);
    struct id alert = apply_received(f, 1, DESG__V1__SEVERITY__SEVERITY_URGENT, long_ago_ms);
    wait_state(f, &alert, "accepted");
    wait_redis(f, "0", "XLEN desg:{testforce}:alerts");
    start(f);
    int64_t until_ms = clock_monotonic_ms() + LONG_MS;
    while (!has_noted(f->process) && clock_monotonic_ms() < until_ms)
        (void)poll(NULL, 0, 50);
    process_kill(f->process);
    process_kill(f->other);
    free(redis_server_ask(f->redis, "FLUSHALL"));
    (void)apply_received(f, 1, DESG__V1__SEVERITY__SEVERITY_URGENT, long_ago_ms);
    process_start(f->process);
    /* It has said what it knows, and looked twice: still the other has not. */
    look_at_all(f, 101, 1);
    look_at_all(f, 102, 2);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".v1"), 3);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 1, LONG_MS));
    process_start(f->other);
    wait_state(f, &alert, "accepted");
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", ".v1"), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_that_lives_keeps_its_alerts), /* the longest first */
        T(one_that_told_and_never_comes_back_leaves_its_ladder_to_another),
        T(what_one_that_never_comes_back_could_not_tell_another_tells),
        T(from_the_stream_to_dispatch_and_its_state_back),
        T(provisional_and_stream_are_one_alert),
        T(a_digest_speaks_for_its_members_in_redis),
        T(a_member_urgent_after_its_digest_was_acknowledged_stays_open),
        T(redis_dies_and_comes_back_and_alerts_go_on),
        T(killed_before_it_acknowledged_the_stream_it_reads_again),
        T(an_old_alert_told_elsewhere_that_grew_since_is_told),
        T(a_callback_at_the_wrong_replica_reaches_the_right_one),
        T(nobody_knows_the_alert_of_a_callback),
        T(the_desk_takes_an_alert),
        T(an_emptied_redis_is_rebuilt_quietly),
        T(one_started_after_redis_was_emptied_waits_for_those_it_knew),
    };
    return side_by_side(tests, sizeof tests / sizeof tests[0], AT_ONCE);
}
