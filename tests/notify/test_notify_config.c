#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "notify/notify_config.h"

static const char COMMON[] = "common:\n  force: gwent\n  redis: { address: \"unix:/x\" }\n";
static const char NEEDED[] = "notify:\n  endpoint: ipc:///x\n  listen: 127.0.0.1:0\n"
                             "  dispatch: { url: \"https://dispatch.example/v1\" }\n"
                             "  callback_secret_files: [ /secret ]\n"
                             "  journal: { directory: /x }\n";

static struct config *load(const char *more, struct error *err)
{
    char path[] = "/tmp/desg-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_true(dprintf(file, "%s%s%s", COMMON, NEEDED, more) > 0);
    (void)close(file);
    struct config *config =
        config_load(path, "notify", notify_config_fields, sizeof(struct notify_config), err);
    (void)unlink(path);
    if (config && notify_config_check(config->service, err) != 0)
        config_destroy(&config);
    return config;
}

static void fills_defaults(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct config *config = load("", &err);
    if (!config) {
        fail_msg("%s", err.text);
        return; /* fail_msg never comes back; the analyser does not know */
    }
    const struct notify_config *notify = config->service;
    assert_int_equal(notify->dispatch.connect_timeout_ms, 1000);
    assert_int_equal(notify->dispatch.timeout_ms, 3000);
    assert_false(notify->dispatch.quote_key);
    assert_null(notify->second_path);
    assert_int_equal(notify->ladder_count, 3);
    assert_int_equal(notify->ladder[2].after_s, 300);
    assert_int_equal(notify->ladder[2].action, LADDER_SUPERVISOR);
    assert_int_equal(*notify->test_interval_s, 300);
    assert_int_equal(notify->journal.size_mib, 256);
    assert_int_equal(notify->journal.retention_hours, 72);
    config_destroy(&config);
}

static void takes_what_is_written(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct config *config =
        load("  admin_listen: \"\"\n  source: /force/gwent/desk\n  test_interval_s: 0\n"
             "  second_path: { url: \"http://pager.example/\", quote_key: true, timeout_ms: 900 }\n"
             "  ladder: [ { after_s: 5, action: again }, { after_s: 5, action: second-path } ]\n",
             &err);
    if (!config) {
        fail_msg("%s", err.text);
        return; /* fail_msg never comes back; the analyser does not know */
    }
    const struct notify_config *notify = config->service;
    assert_null(notify->admin_listen);
    assert_string_equal(notify->source, "/force/gwent/desk");
    assert_int_equal(*notify->test_interval_s, 0);
    assert_true(notify->second_path->quote_key);
    assert_int_equal(notify->second_path->timeout_ms, 900);
    assert_int_equal(notify->ladder_count, 2);
    assert_int_equal(notify->ladder[1].action, LADDER_SECOND_PATH);
    config_destroy(&config);
}

static void refuses_and_names_the_key(void **state)
{
    static const struct {
        const char *more;
        const char *named;
    } cases[] = {
        { "  second_path: { url: \"ftp://pager.example/\" }\n", "notify.second_path.url" },
        { "  second_path: { url: \"pager.example\" }\n", "notify.second_path.url" },
        { "  second_path: { url: \"http://p.example\", timeout_ms: 50 }\n", "timeout_ms" },
        { "  second_path: { url: \"http://p.example\", connect_timeout_ms: 99999 }\n",
          "connect_timeout_ms" },
        { "  ladder: [ { after_s: 60, action: shout } ]\n", "action" },
        { "  ladder: [ { after_s: 0, action: again } ]\n", "notify.ladder.after_s" },
        { "  ladder: [ { after_s: 60, action: again }, { after_s: 59, action: supervisor } ]\n",
          "notify.ladder" },
        { "  test_interval_s: 59\n", "notify.test_interval_s" },
        { "  test_interval_s: 5m\n", "test_interval_s" },
        { "  no_such_key: 1\n", "no_such_key" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        struct config *config = load(cases[i].more, &err);
        if (config)
            fail_msg("accepted: %s", cases[i].more);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].named))
            fail_msg("'%s' does not name %s", err.text, cases[i].named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_defaults),
        cmocka_unit_test(takes_what_is_written),
        cmocka_unit_test(refuses_and_names_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
