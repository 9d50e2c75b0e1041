#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static void archives_what_rested_longer_than_configured(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct store *store = store_new(&(struct store_options){ .redis = &f->common.redis,
                                                             .force = f->common.force,
                                                             .queues = &f->config.queues,
                                                             .label = "test" },
                                    &err);
    assert_non_null(store);
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
    };
    return cmocka_run_group_tests_name("route watch", tests, NULL, NULL);
}
