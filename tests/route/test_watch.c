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
#include "redis_server.h"
#include "route/watch.h"
#include "sample.h"

enum { DEADLINE_MS = 20000 };

struct fixture {
    struct redis_server *server;
    struct config_common common;
    struct route_config config;
    struct metrics *metrics;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = redis_server_new("noeviction", true);
    f->common.redis.address = (char *)redis_server_address(f->server);
    f->common.redis.timeout_ms = 2000;
    f->common.force = (char *)"testforce";
    f->config.urgent_endpoint = (char *)"inproc://u";
    f->config.bulk_endpoint = (char *)"inproc://b";
    f->metrics = metrics_new();
    struct error err = { 0 };
    if (route_config_check(&f->config, &err) != 0)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    redis_server_destroy(&f->server);
    metrics_destroy(&f->metrics);
    free(f);
    return 0;
}

/* A conversation in which nothing waits; answers its id. */
static struct id quiet_conversation(struct fixture *f, struct store *store, unsigned number)
{
    struct sample sample;
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    struct error err = { 0 };
    (void)f;
    sample_init(&sample, number, 1, 1790000000000LL, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    sample.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    if (store_apply(store, &event, 1, &result, history, &err) != 0)
        fail_msg("%s", err.text);
    return sample.conversation;
}

static struct store *open_store(struct fixture *f)
{
    struct error err = { 0 };
    struct store *store = store_new(&(struct store_options){ .redis = &f->common.redis,
                                                             .force = f->common.force,
                                                             .queues = &f->config.queues,
                                                             .label = "test" },
                                    &err);
    assert_non_null(store);
    return store;
}

/* A message that waits since this long. */
static void wait_since(struct store *store, unsigned number, int64_t age_ms,
                       Desg__V1__Severity severity, Desg__V1__RestrictedClass restricted)
{
    struct sample sample;
    struct store_result result;
    char history[STORE_HISTORY_BYTES];
    struct error err = { 0 };
    sample_init(&sample, number, 1, clock_unix_ms() - age_ms, severity);
    sample.verdict.restricted = restricted;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    if (store_apply(store, &event, 1, &result, history, &err) != 0)
        fail_msg("%s", err.text);
}

static double shown(struct fixture *f, const char *series)
{
    char *text = metrics_render(f->metrics);
    const char *found = strstr(text, series);
    double value = found ? strtod(found + strlen(series), NULL) : -1;
    free(text);
    return value;
}

/* The grades are in one question, so once one is there all are. */
static void shows_the_oldest_wait_of_each_grade(void **state)
{
    enum { HOUR_S = 3600 };
    struct fixture *f = *state;
    struct error err = { 0 };
    struct store *store = open_store(f);
    wait_since(store, 1, 2 * HOUR_S * 1000LL, DESG__V1__SEVERITY__SEVERITY_ROUTINE, 0);
    wait_since(store, 2, 5 * HOUR_S * 1000LL, DESG__V1__SEVERITY__SEVERITY_ROUTINE, 0);
    wait_since(store, 3, 1 * HOUR_S * 1000LL, DESG__V1__SEVERITY__SEVERITY_URGENT, 0);
    wait_since(store, 4, 9 * HOUR_S * 1000LL, DESG__V1__SEVERITY__SEVERITY_ATTENTION,
               DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    struct watch *watch = watch_new(&f->common, &f->config, f->metrics, NULL, &err);
    assert_non_null(watch);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    static const char series[] = "\ndesg_route_grade_oldest_waiting_seconds";
    char scheduled[128], immediate[128], priority[128];
    (void)snprintf(scheduled, sizeof scheduled, "%s{grade=\"scheduled\"}", series);
    (void)snprintf(immediate, sizeof immediate, "%s{grade=\"immediate\"}", series);
    (void)snprintf(priority, sizeof priority, "%s{grade=\"priority\"}", series);
    while (shown(f, scheduled) < 5 * HOUR_S)
        assert_true(clock_monotonic_ms() < give_up_ms);
    assert_true(shown(f, scheduled) < 5 * HOUR_S + 60);
    assert_true(shown(f, immediate) >= HOUR_S && shown(f, immediate) < HOUR_S + 60);
    assert_true(shown(f, priority) == 0); /* restricted work is in no metric */
    watch_destroy(&watch);
    store_destroy(&store);
}

static void counts_what_is_in_quarantine(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct store *store = open_store(f);
    struct sample sample;
    char history[STORE_HISTORY_BYTES];
    sample_init(&sample, 1, 1, clock_unix_ms(), DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    event.quarantine_reason = "two workers ended while they had it";
    struct store_result result;
    struct watch *watch = watch_new(&f->common, &f->config, f->metrics, NULL, &err);
    assert_non_null(watch);
    assert_true(shown(f, "\ndesg_route_quarantined_events ") == 0);
    if (store_apply(store, &event, 1, &result, history, &err) != 0)
        fail_msg("%s", err.text);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (shown(f, "\ndesg_route_quarantined_events ") != 1)
        assert_true(clock_monotonic_ms() < give_up_ms);
    watch_destroy(&watch);
    store_destroy(&store);
}

static void archives_what_rested_longer_than_configured(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct store *store = open_store(f);
    struct id old = quiet_conversation(f, store, 1), young = quiet_conversation(f, store, 2);
    char old_text[ID_TEXT_BYTES], young_text[ID_TEXT_BYTES];
    id_text(old.bytes, old_text);
    id_text(young.bytes, young_text);
    long long week_ms = 168 * 3600000LL;
    free(redis_server_ask(f->server, "ZADD desg:{testforce}:resting %lld %s",
                          (long long)time(NULL) * 1000 - week_ms - 60000, old_text));
    free(redis_server_ask(f->server, "ZADD desg:{testforce}:resting %lld %s",
                          (long long)time(NULL) * 1000 - week_ms + 600000, young_text));
    struct watch *watch = watch_new(&f->common, &f->config, f->metrics, NULL, &err);
    assert_non_null(watch);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (redis_server_number(f->server, "ZCARD desg:{testforce}:resting") != 1)
        assert_true(clock_monotonic_ms() < give_up_ms);
    assert_int_equal(redis_server_number(f->server, "HLEN desg:{testforce}:conv:%s", young_text),
                     3);
    assert_int_equal(redis_server_number(f->server, "HLEN desg:{testforce}:conv:%s", old_text), 1);
    watch_destroy(&watch);
    store_destroy(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(archives_what_rested_longer_than_configured, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(shows_the_oldest_wait_of_each_grade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_what_is_in_quarantine, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("route watch", tests, NULL, NULL);
}
