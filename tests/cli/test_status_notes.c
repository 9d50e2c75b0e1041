/* What of the way out is degraded, in plain words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/status_notes.h"
#include "cli/status_outward.h"

static const int64_t NOW_MS = 1770831720000; /* 2026-02-11 17:42 UTC */

static int in_wales(void **state)
{
    (void)state;
    (void)setenv("TZ", "Europe/London", 1);
    tzset();
    return 0;
}

static json_t *load(const char *text)
{
    json_error_t problem;
    json_t *value = json_loads(text, 0, &problem);
    if (!value)
        fail_msg("%s: %s", text, problem.text);
    return value;
}

static void states_are(const char *detail, const char *expected)
{
    json_t *status = json_pack("{s:s, s:s, s:o}", "service", "notify", "state", "running", "detail",
                               load(detail));
    json_t *notes = status_notes(status);
    char found[400] = "";
    size_t index;
    const json_t *note;
    json_array_foreach(notes, index, note)
    {
        (void)strncat(found, json_string_value(json_object_get(note, "state")),
                      sizeof found - strlen(found) - 2);
        (void)strncat(found, " ", 2);
        assert_true(strlen(json_string_value(json_object_get(note, "text"))) > 10);
    }
    assert_string_equal(found, expected);
    json_decref(notes);
    json_decref(status);
}

#define WELL "\"dispatch\":{\"state\":\"up\"},"

static void a_healthy_way_out_says_nothing(void **state)
{
    (void)state;
    states_are(
        "{" WELL "\"outbox\":{\"unknown\":0,\"blocked\":[],\"frozen_until_ms\":0,\"oldest_ms\":"
        "{\"reply\":599999},\"places\":{\"outlet:x\":{\"down\":false}},\"journal\":{\"state\":"
        "\"writable\"},\"projector\":{\"is_caught_up\":true,\"is_redis_away\":false}},"
        "\"feed\":{\"state\":\"live\"}}",
        "");
    states_are("{" WELL "\"feed\":{\"state\":\"off\"}}", "");
}

static void what_is_wrong_on_the_way_out_is_named(void **state)
{
    (void)state;
    states_are(
        "{" WELL "\"outbox\":{\"unknown\":2,\"blocked\":[{\"place\":\"whatsapp:1\",\"problem\":"
        "\"token-dead\"}],\"oldest_ms\":{\"reply\":600001},\"places\":{\"outlet:x\":{\"down\":"
        "true}},\"journal\":{\"state\":\"full\"},\"projector\":{\"is_caught_up\":false,"
        "\"behind\":3}},\"feed\":{\"state\":\"last-known\"}}",
        "outbox-journal-full account-blocked platform-down outbox-slow unknown-waiting "
        "facts-replaying feed-stale ");
    states_are("{" WELL "\"feed\":{\"state\":\"empty\"}}", "feed-empty ");
    states_are("{" WELL "\"journal\":{\"state\":\"full\"}}", "journal-full ");
}

static void banner_is(const char *outward, const char *const *expected, size_t count)
{
    json_t *value = load(outward);
    json_t *lines = status_outward_banner(value, NOW_MS);
    assert_int_equal(json_array_size(lines), count);
    for (size_t i = 0; i < count; i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        if (!strstr(line, expected[i]))
            fail_msg("line %zu is '%s' and not '%s'", i, line, expected[i]);
    }
    json_decref(lines);
    json_decref(value);
}

static void a_freeze_stands_above_all_else(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "FROZEN until 18:42, 1 h 0 min left, by anna, royal visit: nothing",
        "but outlet:mastodon goes on", "BLOCKED: whatsapp:1", "UNKNOWN: of 2", "TASKS: 1 wait"
    };
    banner_is("{\"freeze\":{\"until_ms\":1770835320000,\"by\":\"anna\",\"reason\":\"royal visit\","
              "\"except\":[\"outlet:mastodon\"]},\"places\":{\"whatsapp:1\":{\"blocked\":true,"
              "\"waiting\":3,\"oldest_ms\":5,\"owner\":\"notify\"}},\"unknown\":2,\"tasks\":1}",
              lines, 5);
}

static void what_is_over_or_well_is_not_in_it(void **state)
{
    (void)state;
    banner_is(
        "{\"freeze\":{\"until_ms\":1770831720000},\"places\":{\"outlet:x\":{\"blocked\":false,"
        "\"waiting\":1,\"oldest_ms\":5,\"owner\":\"notify\"}},\"unknown\":0,\"tasks\":0}",
        NULL, 0);
    banner_is("{\"freeze\":null,\"places\":{}}", NULL, 0);
    json_t *lines = status_outward_banner(NULL, NOW_MS);
    assert_int_equal(json_array_size(lines), 0);
    json_decref(lines);
}

static void a_place_nobody_sends_at_is_told(void **state)
{
    (void)state;
    static const char *const lines[] = { "NOBODY SENDS at outlet:x: 4 wait", "SLOW: web:form: 1" };
    banner_is("{\"places\":{\"outlet:x\":{\"blocked\":false,\"waiting\":4,\"oldest_ms\":65000,"
              "\"owner\":\"\"},\"web:form\":{\"waiting\":1,\"oldest_ms\":600001,\"owner\":\"n\"}}}",
              lines, 2);
}

static void blocked_is_seen(void **state)
{
    (void)state;
    json_t *blocked = load("{\"places\":{\"a\":{\"blocked\":false},\"b\":{\"blocked\":true}}}");
    json_t *well = load("{\"places\":{\"a\":{\"blocked\":false}}}");
    assert_true(status_outward_is_blocked(blocked));
    assert_false(status_outward_is_blocked(well));
    assert_false(status_outward_is_blocked(NULL));
    json_decref(blocked);
    json_decref(well);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_way_out_says_nothing),
        cmocka_unit_test(what_is_wrong_on_the_way_out_is_named),
        cmocka_unit_test(a_freeze_stands_above_all_else),
        cmocka_unit_test(what_is_over_or_well_is_not_in_it),
        cmocka_unit_test(a_place_nobody_sends_at_is_told),
        cmocka_unit_test(blocked_is_seen),
    };
    return cmocka_run_group_tests(tests, in_wales, NULL);
}
