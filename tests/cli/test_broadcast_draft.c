/* A broadcast put together from what stood, a file and options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "cli/broadcast_draft.h"

static const int64_t NOW_MS = 1770831720000;

static struct command_line line_of(const struct command_given *given, size_t count)
{
    struct command_line line = { 0 };
    for (size_t i = 0; i < count; i++)
        line.given[line.given_count++] = given[i];
    return line;
}
#define LINE(...)                                                                                  \
    line_of((const struct command_given[]){ __VA_ARGS__ },                                         \
            sizeof((const struct command_given[]){ __VA_ARGS__ }) / sizeof(struct command_given))

static void check(const struct command_line *line, const char *base, const char *expected)
{
    struct error err = { 0 };
    json_t *stands = base ? json_loads(base, 0, NULL) : NULL;
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    json_t *got = broadcast_draft_make(line, stands, NOW_MS, &err);
    if (!got)
        fail_msg("%s", err.text);
    if (!json_equal(got, wanted))
        fail_msg("became %s", json_dumps(got, JSON_SORT_KEYS));
    json_decref(got);
    json_decref(wanted);
    json_decref(stands);
}

static void options_say_members(void **state)
{
    (void)state;
    struct command_line line =
        LINE({ "kind", "advice" }, { "headline-en", "Scam" }, { "headline-cy", "Sgam" },
             { "text-en", "no" }, { "outlet", "facebook" }, { "outlet", "feed" },
             { "centre", "51.65,-3" }, { "radius-km", "25" }, { "expires", "2h" },
             { "says-ended", NULL }, { "welsh-owed", "urgent" }, { "welsh-due", "1h" });
    check(
        &line, NULL,
        "{\"kind\":\"advice\",\"en\":{\"headline\":\"Scam\",\"text\":\"no\"},\"cy\":{\"headline\":"
        "\"Sgam\"},\"outlets\":[\"facebook\",\"feed\"],\"area\":{\"centre\":{\"latitude\":51.65,"
        "\"longitude\":-3.0},\"radius_km\":25.0},\"starts_at_ms\":1770831720000,"
        "\"expires_at_ms\":1770838920000,\"says_ended\":true,\"welsh_owed\":{\"reason\":"
        "\"urgent\",\"due_at_ms\":1770835320000}}");
}

static const char stands[] =
    "{\"id\":\"00000000000000000000000000000001\",\"version\":3,\"author\":\"anna\","
    "\"written_at_ms\":1,\"earlier_ms\":[1,2],\"kind\":\"advice\",\"en\":{\"headline\":\"Scam\","
    "\"instruction\":\"Call\"},\"outlets\":[\"facebook\",\"feed\"],\"area\":{\"centre\":{"
    "\"latitude\":51.5,\"longitude\":-3.0},\"radius_km\":2.0},\"starts_at_ms\":5,"
    "\"expires_at_ms\":1770838920000,\"publish_at_ms\":7,\"welsh_owed\":{\"reason\":\"r\"}}";

static void an_update_changes_what_is_named_and_keeps_the_rest(void **state)
{
    (void)state;
    struct command_line line = LINE({ "expires", "3h" });
    check(
        &line, stands,
        "{\"kind\":\"advice\",\"en\":{\"headline\":\"Scam\",\"instruction\":\"Call\"},\"outlets\":"
        "[\"facebook\",\"feed\"],\"area\":{\"centre\":{\"latitude\":51.5,\"longitude\":-3.0},"
        "\"radius_km\":2.0},\"starts_at_ms\":5,\"expires_at_ms\":1770842520000,\"welsh_owed\":{"
        "\"reason\":\"r\"}}");
}

static void what_takes_the_place_of_something_does_so(void **state)
{
    (void)state;
    struct command_line line =
        LINE({ "polygon", "51.1,-3 51.2,-3  51.2,-3.1 51.1,-3" }, { "outlet", "x" },
             { "instruction-en", "" }, { "headline-cy", "Sgam" });
    check(&line, stands,
          "{\"kind\":\"advice\",\"en\":{\"headline\":\"Scam\"},\"cy\":{\"headline\":\"Sgam\"},"
          "\"outlets\":[\"x\"],\"area\":{\"polygon\":[{\"latitude\":51.1,\"longitude\":-3.0},{"
          "\"latitude\":51.2,\"longitude\":-3.0},{\"latitude\":51.2,\"longitude\":-3.1},{"
          "\"latitude\":51.1,\"longitude\":-3.0}]},\"starts_at_ms\":5,\"expires_at_ms\":"
          "1770838920000}");
}

static void a_file_takes_the_place_of_all_and_options_go_before_it(void **state)
{
    (void)state;
    char path[] = "/tmp/desg-draft-XXXXXX";
    int file = mkstemp(path);
    static const char text[] = "kind: appeal\nexpires_at: 1h\nroad: A1\n";
    assert_int_equal(write(file, text, sizeof text - 1), sizeof text - 1);
    (void)close(file);
    struct command_line line = LINE({ "road", "A2" });
    line.file = path;
    check(&line, stands,
          "{\"kind\":\"appeal\",\"expires_at_ms\":1770835320000,\"road\":\"A2\",\"starts_at_ms\":"
          "1770831720000}");
    (void)unlink(path);
}

static void what_is_wrong_is_named_by_its_option(void **state)
{
    (void)state;
    static const struct command_given wrong[] = {
        { "expires", "yesterday" },      { "expires", "2020-01-01" }, { "radius-km", "wide" },
        { "radius-km", "2km" },          { "centre", "51.6" },        { "centre", "51.6,-3,4" },
        { "polygon", "51.6 -3" },        { "polygon", "51,3;52,3" },  { "kind", "\xff" },
        { "except", "outlet:mastodon" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = { 0 };
        struct command_line line = line_of(&wrong[i], 1);
        json_t *got = broadcast_draft_make(&line, NULL, NOW_MS, &err);
        if (got)
            fail_msg("--%s '%s' was taken", wrong[i].name, wrong[i].value);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, wrong[i].name));
    }
}

static void one_language_changed_alone_is_noticed(void **state)
{
    (void)state;
    json_t *before = json_pack("{s:{s:s}, s:{s:s}}", "en", "text", "one", "cy", "text", "un");
    json_t *both = json_pack("{s:{s:s}, s:{s:s}}", "en", "text", "two", "cy", "text", "dau");
    json_t *half = json_pack("{s:{s:s}, s:{s:s}}", "en", "text", "two", "cy", "text", "un");
    json_t *alone = json_pack("{s:{s:s}}", "en", "text", "two");
    assert_false(broadcast_draft_is_lopsided(before, before));
    assert_false(broadcast_draft_is_lopsided(before, both));
    assert_true(broadcast_draft_is_lopsided(before, half));
    assert_false(broadcast_draft_is_lopsided(before, alone)); /* refused, or owed by name */
    json_decref(before);
    json_decref(both);
    json_decref(half);
    json_decref(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_say_members),
        cmocka_unit_test(an_update_changes_what_is_named_and_keeps_the_rest),
        cmocka_unit_test(what_takes_the_place_of_something_does_so),
        cmocka_unit_test(a_file_takes_the_place_of_all_and_options_go_before_it),
        cmocka_unit_test(what_is_wrong_is_named_by_its_option),
        cmocka_unit_test(one_language_changed_alone_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
