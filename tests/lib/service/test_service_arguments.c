#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_child.h"

static int make_child(void **state)
{
    static struct service_child child;
    service_child_init(&child);
    *state = &child;
    return 0;
}

static int drop_child(void **state)
{
    service_child_clear(*state);
    return 0;
}

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void help_is_a_whole_page(void **state)
{
    struct service_child *child = *state;
    static const char *const parts[] = {
        "NAME\n    desg-probe - shows its tests",
        "SYNOPSIS\n    desg-probe --config FILE [--name NAME] [--check-config]",
        "OPTIONS",
        "--check-config",
        "--version",
        "    --twice          does it twice\n",
        "    --for SECONDS    no longer than this\n",
        "SIGNALS",
        "SIGTERM",
        "SIGHUP",
        "EXIT STATUS",
        "    64  ",
        "    70  ",
        "    71  ",
        "    75  ",
        "    78  ",
        "FILES",
        "/<NAME>.sock",
        "ENVIRONMENT",
        "DESG_<PART>_<KEY>",
        "CONFIGURATION: KEYS OF probe:",
        "    admin_listen                   text, required\n",
        "    threads                        whole number\n",
        "EXAMPLE",
    };
    assert_int_equal(service_child_run(child, ARGUMENTS("--help")), 0);
    char *page = strdup(service_child_output(child));
    assert_non_null(page);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(page, parts[i]))
            fail_msg("no '%s' in:\n%s", parts[i], page);
    for (const char *line = page; *line; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line <= 80);
    assert_int_equal(service_child_run(child, ARGUMENTS("-h")), 0);
    assert_string_equal(service_child_output(child), page);
    free(page);
}

static void says_its_version(void **state)
{
    struct service_child *child = *state;
    assert_int_equal(service_child_run(child, ARGUMENTS("--version")), 0);
    assert_string_equal(service_child_output(child), "desg-probe " DESG_VERSION "\n");
}

static void wrong_arguments_exit_64_with_a_hint(void **state)
{
    struct service_child *child = *state;
    const struct {
        const char *const *arguments;
        const char *expected;
    } cases[] = {
        { ARGUMENTS("--frobnicate"), "desg-probe: unknown option --frobnicate; see" },
        { ARGUMENTS("-x"), "desg-probe: unknown option -x; see" },
        { ARGUMENTS("--check-config=yes"), "desg-probe: unknown option --check-config=yes; see" },
        { ARGUMENTS("--config"), "desg-probe: a value is missing after --config; see" },
        { ARGUMENTS("--for"), "desg-probe: a value is missing after --for; see" },
        { ARGUMENTS("--twice=yes"), "desg-probe: unknown option --twice=yes; see" },
        { ARGUMENTS("--check-config"), "desg-probe: --config FILE is missing; see" },
        { ARGUMENTS("--name", "a"), "desg-probe: --config FILE is missing; see" },
        { ARGUMENTS("--config", "CONFIG", "more"), "desg-probe: unexpected argument more; see" },
        { ARGUMENTS("--config", "CONFIG", "--name", "../x"), "desg-probe: --name takes 1 to 63" },
        { ARGUMENTS("--config", "CONFIG", "--name", ".x"), "desg-probe: --name takes 1 to 63" },
        { ARGUMENTS("--config", "CONFIG", "--name", ""), "desg-probe: --name takes 1 to 63" },
        { ARGUMENTS("--config", "CONFIG", "--name", "a b"), "desg-probe: --name takes 1 to 63" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(service_child_run(child, cases[i].arguments), 64);
        const char *text = service_child_output(child);
        if (strncmp(text, cases[i].expected, strlen(cases[i].expected)) != 0)
            fail_msg("got: %s", text);
        assert_non_null(strstr(text, "see desg-probe --help\n"));
    }
}

static void check_config_says_ok(void **state)
{
    struct service_child *child = *state;
    char expected[160];
    service_child_configure(child, 1000, "  admin_listen: 127.0.0.1:0\n  threads: 64\n");
    assert_int_equal(service_child_run(child, ARGUMENTS("--config", "CONFIG", "--check-config")),
                     0);
    (void)snprintf(expected, sizeof expected, "%s: ok\n", child->config);
    assert_string_equal(service_child_output(child), expected);
}

static void check_config_refuses_with_78(void **state)
{
    struct service_child *child = *state;
    static const char *const cases[][2] = {
        { "  admin_listen: a\n  threads: 5s\n", ":8:12: probe.threads '5s' is not a whole number" },
        { "  admin_listen: a\n  thraeds: 5\n", ":8:3: probe has no key 'thraeds': write one of" },
        { "  threads: 5\n", ":7:3: probe.admin_listen is missing" },
        { "  admin_listen: a\n  threads: 65\n", ": probe.threads is 65: write 1 to 64" },
        { "  admin_listen: \"a\n", ": not YAML: " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        service_child_configure(child, 1000, cases[i][0]);
        assert_int_equal(
            service_child_run(child, ARGUMENTS("--config", "CONFIG", "--check-config")), 78);
        const char *text = service_child_output(child);
        assert_int_equal(strncmp(text, child->config, strlen(child->config)), 0);
        if (!strstr(text, cases[i][1]))
            fail_msg("got: %s", text);
        assert_int_equal(service_child_run(child, ARGUMENTS("--config", "CONFIG")), 78);
        assert_non_null(strstr(service_child_output(child), " error probe start_failed error="));
    }
    assert_int_equal(
        service_child_run(child, ARGUMENTS("--config", "/nowhere.yaml", "--check-config")), 78);
}

static void check_config_reads_the_environment_too(void **state)
{
    struct service_child *child = *state;
    service_child_configure(child, 1000, "  admin_listen: a\n");
    assert_int_equal(setenv("DESG_PROBE_THREADS", "65", 1), 0);
    assert_int_equal(service_child_run(child, ARGUMENTS("--config", "CONFIG", "--check-config")),
                     78);
    assert_int_equal(setenv("DESG_PROBE_THREADS", "64", 1), 0);
    assert_int_equal(service_child_run(child, ARGUMENTS("--config", "CONFIG", "--check-config")),
                     0);
    assert_int_equal(unsetenv("DESG_PROBE_THREADS"), 0);
}

#define with_child(test) cmocka_unit_test_setup_teardown(test, make_child, drop_child)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_child(help_is_a_whole_page),
        with_child(says_its_version),
        with_child(wrong_arguments_exit_64_with_a_hint),
        with_child(check_config_says_ok),
        with_child(check_config_refuses_with_78),
        with_child(check_config_reads_the_environment_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
