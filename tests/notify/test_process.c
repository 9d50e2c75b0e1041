/* The real desg-notify between a courier (route's side), Redis and a dispatch system that fails in
 * every way it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "courier.h"
#include "fake_dispatch.h"
#include "process.h"
#include "side_by_side.h"

enum { LONG_MS = 60000, AT_ONCE = 6 };

struct fixture {
    struct fake_dispatch *dispatch;
    struct process *process;
    struct courier *courier;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->dispatch = fake_dispatch_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    courier_destroy(&f->courier);
    fake_dispatch_release(f->dispatch);
    process_destroy(&f->process);
    fake_dispatch_destroy(&f->dispatch);
    free(f);
    return 0;
}

static void start(struct fixture *f, struct process_options options)
{
    options.dispatch_port = fake_dispatch_port(f->dispatch);
    f->process = process_new(&options);
    f->courier = courier_new(process_endpoint(f->process));
}

static void script(struct fixture *f, unsigned times, enum fake_manner manner, unsigned status)
{
    fake_dispatch_script(
        f->dispatch, &(struct fake_script){
                         .path = "/alerts", .times = times, .manner = manner, .status = status });
}

static void order(struct fixture *f, struct courier_alert *alert, uint32_t n, int severity)
{
    courier_alert_init(alert, n, severity);
    assert_true(courier_order(f->courier, alert, LONG_MS));
}

static void key_of(const struct courier_alert *alert, const char *suffix, char out[static 64])
{
    (void)snprintf(out, 64, "%s.%s", alert->id_text, suffix);
}

static void wait_key(struct fixture *f, const char *path, const struct courier_alert *alert,
                     const char *suffix, size_t count)
{
    char key[64];
    key_of(alert, suffix, key);
    if (!fake_dispatch_wait(f->dispatch, path, key, count, LONG_MS))
        fail_msg("%zu of %zu came under key .%s on %s", fake_dispatch_count(f->dispatch, path, key),
                 count, suffix, path);
}

static void wait_metric(struct fixture *f, const char *series, double wanted)
{
    if (!process_wait_metric(f->process, series, wanted, LONG_MS))
        fail_msg("%s is not %g", series, wanted);
}

static struct fake_request request_of(struct fixture *f, const char *path,
                                      const struct courier_alert *alert, const char *suffix,
                                      size_t index)
{
    char key[64];
    key_of(alert, suffix, key);
    return fake_dispatch_request(f->dispatch, path, key, index);
}

static unsigned call_back(struct fixture *f, const struct courier_alert *alert, const char *action,
                          const char *more)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"alert\":\"%s\",\"action\":\"%s\",\"dispatcher\":\"D. Prawf\"%s}",
                   alert->id_text, action, more);
    return process_callback(f->process, body, NULL);
}

static void assert_same_body(struct fixture *f, const struct courier_alert *alert, size_t a,
                             size_t b)
{
    struct fake_request one = request_of(f, "/alerts", alert, "v1", a);
    struct fake_request two = request_of(f, "/alerts", alert, "v1", b);
    assert_string_equal(one.key, two.key);
    assert_string_equal(one.body, two.body);
    free(one.body);
    free(two.body);
}

static void assert_log_says_nothing_of_people(struct fixture *f)
{
    static const char *const hidden[] = { "gyllell", "Prawf", "person-2002", "callback-secret",
                                          "unit sent" };
    char *log = process_log(f->process);
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (strstr(log, hidden[i]))
            fail_msg("the log holds '%s'", hidden[i]);
    free(log);
}

/* --- the good way --- */

static void ordered_posted_updated_acknowledged_resolved(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    start(f, (struct process_options){ .has_second_path = true });
    order(f, &alert, 1, 5);
    wait_key(f, "/alerts", &alert, "v1", 1);
    wait_key(f, "/alerts", &alert, "u1", 1);
    struct fake_request request = request_of(f, "/alerts", &alert, "v1", 0);
    assert_non_null(strstr(request.body, "mae gyllell ganddo 1"));
    assert_non_null(strstr(request.body, "/force/testforce/social-desk"));
    assert_string_equal(request.content_type, "application/cloudevents+json; charset=utf-8");
    assert_null(strstr(request.body, "violence")); /* the verdict comes as an update */
    free(request.body);
    request = request_of(f, "/alerts", &alert, "u1", 0);
    assert_non_null(strstr(request.body, "violence"));
    free(request.body);

    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    assert_true(process_wait_status(f->process, "alerts_open", 1, LONG_MS));
    json_t *open = process_control(f->process, "/alerts");
    assert_int_equal(json_array_size(open), 1);
    const json_t *shown = json_array_get(open, 0);
    assert_string_equal(json_string_value(json_object_get(shown, "alert")), alert.id_text);
    assert_string_equal(json_string_value(json_object_get(shown, "state")), "accepted");
    json_decref(open);

    assert_int_equal(call_back(f, &alert, "acknowledged", ",\"log_number\":\"345\""), 200);
    assert_int_equal(call_back(f, &alert, "acknowledged", ",\"log_number\":\"345\""), 200);
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
    assert_int_equal(call_back(f, &alert, "outcome", ",\"outcome\":\"unit sent\""), 200);
    assert_true(courier_order(f->courier, &alert, LONG_MS)); /* a repeat is answered, not posted */
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", NULL), 2);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/second", NULL), 0);
    wait_metric(f, "desg_notify_alerts_total{path_in=\"provisional\"}", 1);
    wait_metric(f, "desg_notify_callbacks_total{result=\"duplicate\"}", 1);
    wait_metric(f, "desg_notify_accept_seconds_count", 1);
    assert_log_says_nothing_of_people(f);
    assert_int_equal(process_stop(f->process), 0);
}

static void callbacks_that_are_not_genuine_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    struct courier_alert unknown;
    start(f, (struct process_options){ 0 });
    order(f, &alert, 1, 0);
    wait_key(f, "/alerts", &alert, "v1", 1);
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"alert\":\"%s\",\"action\":\"acknowledged\",\"dispatcher\":\"D\"}",
                   alert.id_text);
    assert_int_equal(process_callback(f->process, body, "another secret"), 403);
    assert_int_equal(process_callback(f->process, "{}", NULL), 400);
    courier_alert_init(&unknown, 99, 0);
    /* Redis is away here and cannot say whether another replica has it: to be sent again. */
    assert_int_equal(call_back(f, &unknown, "acknowledged", ""), 503);
    assert_true(process_wait_status(f->process, "alerts_open", 1, LONG_MS));
    wait_metric(f, "desg_notify_callbacks_total{result=\"wrong-signature\"}", 1);
}

/* --- a dispatch system that fails --- */

static void five_hundreds_then_taken_under_one_key_with_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    script(f, 2, FAKE_ANSWER, 500);
    start(f, (struct process_options){ .has_second_path = true });
    order(f, &alert, 1, 5);
    wait_key(f, "/alerts", &alert, "u1", 1);
    char key[64];
    key_of(&alert, "v1", key);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", key), 3);
    assert_same_body(f, &alert, 0, 1);
    assert_same_body(f, &alert, 0, 2);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/second", NULL), 0);
}

static void a_lost_reply_is_tried_again_and_makes_no_second_alert(void **state)
{
    static const enum fake_manner manners[] = { FAKE_TAKE_HANG, FAKE_HALF };
    for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++) {
        struct fixture *f = *state;
        struct courier_alert alert;
        script(f, 1, manners[i], 202);
        start(f, (struct process_options){ 0 });
        order(f, &alert, 1 + (uint32_t)i, 0);
        wait_key(f, "/alerts", &alert, "v1", 2);
        assert_same_body(f, &alert, 0, 1);
        struct fake_request second = request_of(f, "/alerts", &alert, "v1", 1);
        assert_int_equal(second.answered, 202); /* not 422: byte for byte the same */
        free(second.body);
        courier_destroy(&f->courier);
        process_destroy(&f->process);
    }
}

static void retry_after_is_kept_to(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    fake_dispatch_script(
        f->dispatch,
        &(struct fake_script){ .path = "/alerts", .times = 1, .status = 429, .retry_after = "2" });
    start(f, (struct process_options){ 0 });
    order(f, &alert, 1, 0);
    wait_key(f, "/alerts", &alert, "v1", 2);
    struct fake_request first = request_of(f, "/alerts", &alert, "v1", 0);
    struct fake_request second = request_of(f, "/alerts", &alert, "v1", 1);
    assert_true(second.at_ms - first.at_ms >= 1900);
    free(first.body);
    free(second.body);
}

static void a_known_key_is_told_by_update_second_path_and_alarm(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    script(f, 1, FAKE_ANSWER, 422);
    start(f, (struct process_options){ .has_second_path = true });
    order(f, &alert, 1, 0);
    wait_key(f, "/alerts", &alert, "u1", 1);
    wait_key(f, "/second", &alert, "s", 1);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    assert_true(process_wait_status(f->process, "alerts_open", 1, LONG_MS)); /* not parked */
    char *log = process_log(f->process);
    assert_non_null(strstr(log, "path_refused"));
    free(log);
}

static void a_refusal_alarms_uses_the_second_path_at_once_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    script(f, 1, FAKE_ANSWER, 401);
    start(f, (struct process_options){ .has_second_path = true });
    order(f, &alert, 1, 0);
    wait_key(f, "/second", &alert, "s", 1);
    char key[64];
    key_of(&alert, "v1", key);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", key), 1); /* before the next try */
    wait_metric(f, "desg_notify_path_refused{path=\"first\"}", 1);
    wait_key(f, "/alerts", &alert, "v1", 2); /* ten seconds later */
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    wait_metric(f, "desg_notify_path_refused{path=\"first\"}", 0);
}

/* Within ten seconds: test_alert_book has that by a clock of its own. */
static void dispatch_hangs_and_the_second_path_has_it_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    script(f, 100, FAKE_HANG, 0);
    start(f, (struct process_options){ .has_second_path = true });
    order(f, &alert, 1, 5);
    wait_key(f, "/second", &alert, "s", 1);
    struct fake_request request = request_of(f, "/second", &alert, "s", 0);
    assert_null(strstr(request.body, "gyllell"));
    assert_null(strstr(request.body, "Prawf"));
    assert_null(strstr(request.body, "person"));
    assert_null(strstr(request.body, "violence"));
    free(request.body);
    fake_dispatch_release(f->dispatch);
}

static void dispatch_away_then_back_gets_everything(void **state)
{
    enum { ALERTS = 12 };
    struct fixture *f = *state;
    struct courier_alert alerts[ALERTS];
    start(f, (struct process_options){ .has_second_path = false });
    fake_dispatch_down(f->dispatch);
    for (uint32_t n = 0; n < ALERTS; n++)
        order(f, &alerts[n], n + 1, n % 2 ? 4 : 5);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", ALERTS, LONG_MS));
    int64_t until_ms = clock_monotonic_ms() + 3000; /* the breaker opens */
    while (clock_monotonic_ms() < until_ms)
        (void)poll(NULL, 0, 100);
    fake_dispatch_up(f->dispatch);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    for (size_t n = 0; n < ALERTS; n++)
        wait_key(f, "/alerts", &alerts[n], "v1", 1);
}

/* --- crashes --- */

static void killed_between_post_and_answer_it_posts_the_same_again(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    script(f, 1, FAKE_TAKE_HANG, 202);
    start(f, (struct process_options){ 0 });
    order(f, &alert, 1, 4);
    wait_key(f, "/alerts", &alert, "v1", 1);
    process_kill(f->process);
    fake_dispatch_release(f->dispatch);
    process_start(f->process);
    wait_key(f, "/alerts", &alert, "v1", 2);
    assert_same_body(f, &alert, 0, 1);
    wait_key(f, "/alerts", &alert, "u1", 1);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
}

static void killed_while_dispatch_is_away_it_forgets_nothing(void **state)
{
    enum { ALERTS = 20 };
    struct fixture *f = *state;
    struct courier_alert alerts[ALERTS];
    start(f, (struct process_options){ 0 });
    fake_dispatch_down(f->dispatch);
    for (uint32_t n = 0; n < ALERTS; n++) {
        order(f, &alerts[n], n + 1, 4);
        if (n % 7 == 6) {
            process_kill(f->process);
            process_start(f->process);
        }
    }
    process_kill(f->process);
    process_start(f->process);
    fake_dispatch_up(f->dispatch);
    for (size_t n = 0; n < ALERTS; n++)
        wait_key(f, "/alerts", &alerts[n], "v1", 1);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
}

static void acknowledged_stays_acknowledged_across_a_kill(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    start(f, (struct process_options){ .ladder = "[ { after_s: 1, action: again } ]" });
    order(f, &alert, 1, 0);
    wait_key(f, "/alerts", &alert, "v1", 1);
    assert_int_equal(call_back(f, &alert, "acknowledged", ""), 200);
    process_kill(f->process); /* 200 was said: it is in the journal */
    process_start(f->process);
    assert_true(process_wait_status(f->process, "alerts_known", 1, LONG_MS));
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
    assert_true(courier_order(f->courier, &alert, LONG_MS));
    char key[64];
    key_of(&alert, "v1", key);
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", key), 1);
}

/* --- ladder, digest, test --- */

static void nobody_acknowledges_and_the_ladder_climbs_across_a_restart(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    start(f, (struct process_options){ .has_second_path = true,
                                       .ladder = "[ { after_s: 1, action: again }, { after_s: 2, "
                                                 "action: second-path }, { after_s: 4, action: "
                                                 "supervisor } ]" });
    order(f, &alert, 1, 0);
    wait_key(f, "/alerts", &alert, "r1", 1);
    wait_key(f, "/second", &alert, "s", 1);
    process_kill(f->process);
    process_start(f->process);
    assert_true(process_wait_status(f->process, "alerts_unacknowledged", 1, LONG_MS));
    char key[64];
    key_of(&alert, "r1", key);
    assert_true(fake_dispatch_count(f->dispatch, "/alerts", key) <= 2); /* same key if at all */
    assert_int_equal(call_back(f, &alert, "acknowledged", ""), 200);
    assert_true(process_wait_status(f->process, "alerts_unacknowledged", 0, LONG_MS));
}

static void digest_members_go_together(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alerts[3];
    start(f, (struct process_options){ 0 });
    for (uint32_t n = 0; n < 3; n++) {
        courier_alert_init(&alerts[n], n + 1, -1);
        alerts[n].alert.is_digest_member = 1;
        assert_true(courier_order(f->courier, &alerts[n], LONG_MS));
    }
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".v1", 1, LONG_MS));
    struct fake_request request = fake_dispatch_request(f->dispatch, "/alerts", ".v1", 0);
    for (size_t n = 0; n < 3; n++)
        assert_non_null(strstr(request.body, alerts[n].id_text));
    free(request.body);
    assert_true(process_wait_status(f->process, "alerts_unaccepted", 0, LONG_MS));
    for (size_t n = 0; n < 3; n++)
        assert_int_equal(call_back(f, &alerts[n], "acknowledged", ""), 200);
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
    assert_int_equal(fake_dispatch_count(f->dispatch, "/alerts", NULL), 1);
}

static void a_flood_of_unclassified_alerts_shares_a_digest(void **state)
{
    enum { ALERTS = 9, ALONE = 5 };
    struct fixture *f = *state;
    struct courier_alert alerts[ALERTS];
    start(f, (struct process_options){ 0 });
    for (uint32_t n = 0; n < ALERTS; n++)
        order(f, &alerts[n], n + 1, -1);
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".v1", ALONE + 1, LONG_MS));
    struct fake_request digest = fake_dispatch_request(f->dispatch, "/alerts", ".v1", ALONE);
    for (size_t n = 0; n < ALERTS; n++)
        assert_int_equal(strstr(digest.body, alerts[n].id_text) != NULL, n >= ALONE);
    free(digest.body);
    struct courier_alert urgent; /* a classifier is back: one of them is life at risk */
    order(f, &urgent, ALERTS, 5);
    wait_key(f, "/alerts", &urgent, "v1", 1);
    wait_key(f, "/alerts", &urgent, "u1", 1);
}

static void the_standing_test_goes_out_and_comes_back(void **state)
{
    struct fixture *f = *state;
    start(f, (struct process_options){ .more = "  test_interval_s: 60\n" });
    assert_true(fake_dispatch_wait(f->dispatch, "/alerts", ".v1", 1, LONG_MS));
    struct fake_request request = fake_dispatch_request(f->dispatch, "/alerts", ".v1", 0);
    assert_non_null(strstr(request.body, "\"is_test\":true"));
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"key\":\"%s\",\"action\":\"acknowledged\",\"dispatcher\":\"machine\"}",
                   request.key);
    free(request.body);
    assert_int_equal(process_callback(f->process, body, NULL), 200);
    json_t *status = process_control(f->process, "/status");
    const json_t *test = json_object_get(json_object_get(status, "detail"), "standing_test");
    assert_true(json_integer_value(json_object_get(test, "came_back_at_ms")) > 0);
    assert_false(json_is_true(json_object_get(test, "is_failed")));
    json_decref(status);
    assert_true(process_wait_status(f->process, "alerts_open", 0, LONG_MS));
}

static void what_cannot_be_read_still_reaches_dispatch(void **state)
{
    struct fixture *f = *state;
    struct courier_alert alert;
    start(f, (struct process_options){ 0 });
    courier_alert_init(&alert, 1, 5);
    alert.alert.event = (ProtobufCBinaryData){ 4, (uint8_t *)"\xFF\xFF\xFFx" };
    assert_true(courier_order(f->courier, &alert, LONG_MS));
    wait_key(f, "/alerts", &alert, "v1", 1);
    struct fake_request request = request_of(f, "/alerts", &alert, "v1", 0);
    assert_non_null(strstr(request.body, "unreadable"));
    free(request.body);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ordered_posted_updated_acknowledged_resolved),
        T(callbacks_that_are_not_genuine_change_nothing),
        T(five_hundreds_then_taken_under_one_key_with_the_same_bytes),
        T(a_lost_reply_is_tried_again_and_makes_no_second_alert),
        T(retry_after_is_kept_to),
        T(a_known_key_is_told_by_update_second_path_and_alarm),
        T(a_refusal_alarms_uses_the_second_path_at_once_and_goes_on),
        T(dispatch_hangs_and_the_second_path_has_it_meanwhile),
        T(dispatch_away_then_back_gets_everything),
        T(killed_between_post_and_answer_it_posts_the_same_again),
        T(killed_while_dispatch_is_away_it_forgets_nothing),
        T(acknowledged_stays_acknowledged_across_a_kill),
        T(nobody_acknowledges_and_the_ladder_climbs_across_a_restart),
        T(digest_members_go_together),
        T(a_flood_of_unclassified_alerts_shares_a_digest),
        T(the_standing_test_goes_out_and_comes_back),
        T(what_cannot_be_read_still_reaches_dispatch),
    };
    return side_by_side(tests, sizeof tests / sizeof tests[0], AT_ONCE);
}
