#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "route/route_config.h"

#define HEAD                                                                                       \
    "common:\n  force: gwent\n  redis: { address: \"unix:/tmp/redis.sock\" }\n"                    \
    "route:\n  urgent_endpoint: ipc:///tmp/u\n  bulk_endpoint: ipc:///tmp/b\n"

/* Loads and checks text; NULL and err if it is refused. */
static struct config *load(const char *text, struct error *err)
{
    char path[] = "/tmp/desg-route-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    (void)close(file);
    struct config *config =
        config_load(path, "route", route_config_fields, sizeof(struct route_config), err);
    (void)unlink(path);
    if (config && route_config_check(config->service, err) != 0)
        config_destroy(&config);
    return config;
}

static void fills_defaults(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct config *config = load(HEAD, &err);
    if (!config) {
        fail_msg("%s", err.text);
        return;
    }
    const struct route_config *route = config->service;
    assert_int_equal(route->urgent_credit, 256);
    assert_int_equal(route->bulk_credit, 1024);
    assert_int_equal(route->queues.lease_s, 120);
    assert_int_equal(route->queues.context_hours, 24);
    assert_int_equal(route->queues.unclassified_alerts_per_minute, 5);
    assert_int_equal(route->queues.tombstone_days, 30);
    assert_int_equal(route->queues.archive_after_hours, 168);
    config_destroy(&config);
}

static void reads_rules_and_grades(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct config *config = load(
        HEAD "  notify_endpoints: [ \"ipc:///tmp/n\" ]\n"
             "  queues:\n"
             "    lease_s: 60\n"
             "    rules:\n"
             "      - { queue: fraud, category: fraud, language: cy, severity_at_least: urgent }\n"
             "      - { queue: rasso, restricted: sexual-offence }\n"
             "    grades:\n"
             "      - { grade: immediate, severity: life-at-risk, allowance_s: 60 }\n",
        &err);
    if (!config) {
        fail_msg("%s", err.text);
        return;
    }
    const struct route_config *route = config->service;
    assert_int_equal(route->notify_endpoints_count, 1);
    assert_int_equal(route->queues.lease_s, 60);
    assert_int_equal(route->queues.rules_count, 2);
    assert_int_equal(route->queues.rules[0].severity_at_least, DESG__V1__SEVERITY__SEVERITY_URGENT);
    assert_int_equal(route->queues.rules[1].severity_at_least, 0);
    assert_string_equal(route->queues.rules[1].restricted, "sexual-offence");
    assert_int_equal(route->queues.grades[0].severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    config_destroy(&config);
}

static void refuses_and_says_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *remedy;
    } cases[] = {
        { HEAD "  queues: { lease_s: 5 }\n", "10 to 3600" },
        { HEAD "  queues: { rules: [ { queue: \"Big One\" } ] }\n", "small letters" },
        { HEAD "  queues: { rules: [ { queue: a, language: welsh } ] }\n", "write en, cy" },
        { HEAD "  queues: { rules: [ { queue: a, restricted: secret } ] }\n", "sexual-offence" },
        { HEAD "  queues: { grades: [ { grade: a, severity: any, allowance_s: 9 } ] }\n",
          "life-at-risk" },
        { HEAD "  queues: { grades: [ { grade: a, severity: urgent, allowance_s: 9 }, { grade: b, "
               "severity: urgent, allowance_s: 9 } ] }\n",
          "one grade" },
        { HEAD "  bulk_credit: 100000\n", "1 to 65536" },
        { HEAD "  surprise: 1\n", "surprise" },
        { "common:\n  force: gwent\n  redis: { address: \"unix:/tmp/redis.sock\" }\n"
          "route:\n  urgent_endpoint: ipc:///tmp/u\n  bulk_endpoint: ipc:///tmp/u\n",
          "each lane" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        struct config *config = load(cases[i].text, &err);
        if (config)
            fail_msg("case %zu accepted", i);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].remedy))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.text, cases[i].remedy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_defaults),
        cmocka_unit_test(reads_rules_and_grades),
        cmocka_unit_test(refuses_and_says_what_to_write),
    };
    return cmocka_run_group_tests_name("route config", tests, NULL, NULL);
}
