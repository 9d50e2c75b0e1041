/* A broadcast as somebody wrote it down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/broadcast_file.h"

static const int64_t NOW_MS = 1770831720000;
static const int64_t HOUR_MS = 3600000;

static json_t *parse(const char *text, struct error *err)
{
    return broadcast_file_parse("draft", text, strlen(text), NOW_MS, err);
}

static json_t *parse_or_fail(const char *text)
{
    struct error err = { 0 };
    json_t *value = parse(text, &err);
    if (!value)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static void is_the_same(const char *written, const char *expected)
{
    json_t *got = parse_or_fail(written);
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(got, wanted)) {
        char *text = json_dumps(got, JSON_SORT_KEYS);
        fail_msg("%s became %s", written, text);
    }
    json_decref(got);
    json_decref(wanted);
}

static const char closure[] = "# a road\n"
                              "kind: road-closure\n"
                              "road: A465\n"
                              "road_state: road-closed\n"
                              "incident: 0042\n"
                              "en:\n"
                              "  headline: A465 closed\n"
                              "  text: >\n"
                              "    Closed both ways\n"
                              "    at Gilwern.\n"
                              "cy: { headline: A465 ar gau, text: 'Ar gau: i gyd' }\n"
                              "area:\n"
                              "  centre: { latitude: 51.82, longitude: -3.09 }\n"
                              "  radius_km: 2\n"
                              "starts_at_ms: 1770831000000\n"
                              "expires_at: 2h\n"
                              "outlets: [ facebook, x, 42 ]\n"
                              "says_ended: true\n"
                              "may_thread: false\n";

static void yaml_becomes_what_the_api_takes(void **state)
{
    (void)state;
    is_the_same(closure,
                "{\"kind\":\"road-closure\",\"road\":\"A465\",\"road_state\":\"road-closed\","
                "\"incident\":\"0042\",\"en\":{\"headline\":\"A465 closed\",\"text\":"
                "\"Closed both ways at Gilwern.\\n\"},\"cy\":{\"headline\":\"A465 ar gau\","
                "\"text\":\"Ar gau: i gyd\"},\"area\":{\"centre\":{\"latitude\":51.82,"
                "\"longitude\":-3.09},\"radius_km\":2.0},\"starts_at_ms\":1770831000000,"
                "\"expires_at_ms\":1770838920000,\"outlets\":[\"facebook\",\"x\",\"42\"],"
                "\"says_ended\":true,\"may_thread\":false}");
}

static void a_text_stays_a_text_whatever_it_looks_like(void **state)
{
    (void)state;
    is_the_same("road: 465\nen: { headline: no, text: true, area: 1e3, instruction: 999 }",
                "{\"road\":\"465\",\"en\":{\"headline\":\"no\",\"text\":\"true\",\"area\":\"1e3\","
                "\"instruction\":\"999\"}}");
    is_the_same("road: 'null'\nincident: \"\"\ncy:\narea: ~",
                "{\"road\":\"null\",\"incident\":\"\",\"cy\":null,\"area\":null}");
}

static void json_is_taken_as_it_is_and_times_in_words_too(void **state)
{
    (void)state;
    is_the_same(" {\"kind\":\"advice\",\"en\":{\"headline\":\"\\ud83d\\ude97 x\"},\"expires_at\":"
                "\"3h\",\"welsh_owed\":{\"reason\":\"r\",\"due_at\":\"1h\"}}",
                "{\"kind\":\"advice\",\"en\":{\"headline\":\"\\ud83d\\ude97 x\"},\"expires_at_ms\":"
                "1770842520000,\"welsh_owed\":{\"reason\":\"r\",\"due_at_ms\":1770835320000}}");
}

static void what_desk_showed_may_be_handed_back(void **state)
{
    (void)state;
    is_the_same("{\"id\":\"ab\",\"version\":2,\"author\":\"anna\",\"written_at_ms\":1,"
                "\"earlier_ms\":[1,2],\"kind\":\"advice\"}",
                "{\"kind\":\"advice\"}");
    is_the_same(
        "id: ab\nversion: 2\nauthor: anna\nwritten_at_ms: 1\nearlier_ms: [1, 2]\nkind: advice",
        "{\"kind\":\"advice\"}");
}

static void a_polygon_is_a_list_of_points(void **state)
{
    (void)state;
    is_the_same("area:\n  polygon:\n    - { latitude: 51.5, longitude: -3 }\n"
                "    - latitude: 52\n      longitude: -3.5\n",
                "{\"area\":{\"polygon\":[{\"latitude\":51.5,\"longitude\":-3.0},{\"latitude\":52.0,"
                "\"longitude\":-3.5}]}}");
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        { "", "draft:", "is empty" },
        { "just words", "draft:1:1:", "write members" },
        { "- kind: advice", "draft:1:1:", "write members" },
        { "kind: advice\nsurprise: 1", "draft:2:1:", "surprise" },
        { "en:\n  headlin: x", "draft:2:3:", "headlin" },
        { "kind: advice\nkind: appeal", "draft:2:1:", "twice" },
        { "en: words", "draft:1:5:", "below" },
        { "outlets: facebook", "draft:1:10:", "list" },
        { "outlets: [ [ x ] ]", "draft:1:12:", "name" },
        { "area: { polygon: [ 1 ] }", "draft:1:20:", "latitude" },
        { "says_ended: maybe", "draft:1:13:", "true or false" },
        { "area: { radius_km: wide }", "draft:1:20:", "number" },
        { "area: { radius_km: nan }", "draft:1:20:", "number" },
        { "expires_at_ms: 12.5", "draft:1:16:", "whole number" },
        { "expires_at_ms: 99999999999999999999", "draft:1:16:", "whole number" },
        { "en: { text: [ a ] }", "draft:1:13:", "quotes" },
        { "en:\n  text: A465: closed", "draft:2:", "not YAML" },
        { "\tkind: x", "draft:1:", "not YAML" },
        { "kind: \"\xff\"", "draft:", "UTF-8" },
        { "expires_at: yesterday", "expires_at:", "18:30" },
        { "expires_at: 2020-01-01", "expires_at:", "future" },
        { "expires_at: 2h\nexpires_at_ms: 1", "expires_at_ms", "one of them" },
        { "{\"kind\": }", "draft:1:", "not JSON" },
        { "{\"surprise\":1}", "draft:", "surprise" },
        { "{\"en\":{\"sur\\u0007prise\":1}}", "draft:", "sur?prise" },
        { "{\"kind\":\"a\",\"kind\":\"b\"}", "draft:1:", "duplicate" },
        { "{\"expires_at\":5}", "expires_at", "18:30" },
        { "&a en: { text: x }\nids: 1", "draft:2:1:", "not known" },
        { "en: &a { headline: *a }", "draft:", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        json_t *value = parse(cases[i].text, &err);
        if (value)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(err.kind, ERROR_INVALID);
        if (!strstr(err.text, cases[i].where) || !strstr(err.text, cases[i].what))
            fail_msg("'%s': %s", cases[i].text, err.text);
    }
}

static void a_start_may_lie_behind_and_an_end_may_not(void **state)
{
    (void)state;
    json_t *value = parse_or_fail("starts_at: 2026-02-11T17:00:00Z");
    assert_int_equal(json_integer_value(json_object_get(value, "starts_at_ms")), 1770829200000);
    json_decref(value);
    value = parse_or_fail("publish_at: 1h");
    assert_int_equal(json_integer_value(json_object_get(value, "publish_at_ms")), NOW_MS + HOUR_MS);
    json_decref(value);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(broadcast_file_read("/nowhere/draft.yaml", NOW_MS, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "/nowhere/draft.yaml"));
    assert_null(broadcast_file_read("/", NOW_MS, &err));
    assert_non_null(strstr(err.text, "cannot be read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_becomes_what_the_api_takes),
        cmocka_unit_test(a_text_stays_a_text_whatever_it_looks_like),
        cmocka_unit_test(json_is_taken_as_it_is_and_times_in_words_too),
        cmocka_unit_test(what_desk_showed_may_be_handed_back),
        cmocka_unit_test(a_polygon_is_a_list_of_points),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(a_start_may_lie_behind_and_an_end_may_not),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
