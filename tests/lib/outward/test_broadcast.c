#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "sample.h"

static struct broadcast_problems check(const struct sample *sample)
{
    struct broadcast_problems problems;
    broadcast_check(&sample->config, &sample->broadcast, SAMPLE_NOW_MS, &problems);
    return problems;
}

static void expect_nothing(const struct sample *sample)
{
    struct broadcast_problems problems = check(sample);
    if (problems.count > 0)
        fail_msg("%s", problems.lines[0]);
}

/* Exactly one line, that says this. */
static void expect(const struct sample *sample, const char *said)
{
    struct broadcast_problems problems = check(sample);
    if (problems.count == 0)
        fail_msg("nothing said of '%s'", said);
    if (!strstr(problems.lines[0], said))
        fail_msg("'%s' does not say '%s'", problems.lines[0], said);
    if (problems.count > 1)
        fail_msg("beside '%s': '%s'", said, problems.lines[1]);
}

static void finds_nothing_wrong_with_a_good_one(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    expect_nothing(&sample);
}

static void wants_both_languages(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.n_outlets = 5; /* the last takes Welsh alone */
    sample.broadcast.cy = NULL;
    expect(&sample, "cy.headline is missing");
    sample.broadcast.cy = &sample.cy;
    sample.cy.headline = (char *)"";
    expect(&sample, "cy.headline is missing");
    sample_init(&sample);
    sample.broadcast.en = NULL;
    expect(&sample, "en.headline is missing");
}

static void takes_a_named_override_for_welsh(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.n_outlets = 5;
    sample.broadcast.cy = NULL;
    sample.broadcast.welsh_owed = &sample.owed;
    sample.owed.by = (char *)"comms-1";
    sample.owed.reason = (char *)"translator away";
    sample.owed.due_at_ms = SAMPLE_NOW_MS + 1;
    expect_nothing(&sample);
    sample.owed.due_at_ms = SAMPLE_NOW_MS;
    expect(&sample, "welsh_owed.due_at_ms");
    sample.owed.due_at_ms = SAMPLE_NOW_MS + 1;
    sample.owed.by = (char *)"";
    expect(&sample, "welsh_owed.by");
    sample.owed.by = (char *)"comms-1";
    sample.owed.reason = (char *)"";
    expect(&sample, "welsh_owed.reason");
}

static void names_the_outlet_that_takes_only_the_language_there_is_not(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.cy = NULL;
    sample.broadcast.welsh_owed = &sample.owed;
    sample.owed.by = (char *)"comms-1";
    sample.owed.reason = (char *)"translator away";
    sample.owed.due_at_ms = SAMPLE_NOW_MS + 1;
    expect(&sample, "outlet 'x-cymraeg' takes Welsh alone");
}

static void wants_the_same_said_in_both(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.cy.instruction = (char *)"";
    expect(&sample, "cy.instruction is missing");
    sample_init(&sample);
    sample.cy.ended = (char *)"Ar agor.";
    expect(&sample, "en.ended is missing");
    sample_init(&sample);
    sample.cy.text = (char *)"";
    expect(&sample, "cy.text is missing");
    sample_init(&sample);
    sample.cy.area = (char *)"";
    expect(&sample, "cy.area is missing");
}

static void wants_kind_and_road(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.road = (char *)"";
    expect(&sample, "road is missing");
    sample_init(&sample);
    sample.broadcast.road_state = 0;
    expect(&sample, "road_state is missing");
    sample_init(&sample);
    sample.broadcast.road_state = 17;
    expect(&sample, "road_state is not known");
    sample_init(&sample);
    sample.broadcast.kind = 0;
    expect(&sample, "kind is missing");
    sample.broadcast.kind = 99;
    expect(&sample, "kind is missing");
    sample_init(&sample);
    sample.broadcast.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ADVICE;
    sample.broadcast.road = (char *)"";
    sample.broadcast.road_state = 0;
    expect_nothing(&sample);
}

static void wants_times_that_make_sense(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.starts_at_ms = 0;
    expect(&sample, "starts_at_ms is missing");
    sample_init(&sample);
    sample.broadcast.expires_at_ms = 0;
    expect(&sample, "expires_at_ms is missing");
    sample_init(&sample);
    sample.broadcast.starts_at_ms = SAMPLE_NOW_MS - SAMPLE_HOUR_MS;
    sample.broadcast.expires_at_ms = SAMPLE_NOW_MS;
    expect(&sample, "expires_at_ms is in the past");
    sample.broadcast.expires_at_ms = SAMPLE_NOW_MS + 1;
    expect_nothing(&sample);
    sample_init(&sample);
    sample.broadcast.starts_at_ms = sample.broadcast.expires_at_ms;
    expect(&sample, "not after starts_at_ms");
    sample_init(&sample);
    sample.broadcast.publish_at_ms = sample.broadcast.expires_at_ms - 1;
    expect_nothing(&sample);
    sample.broadcast.publish_at_ms = sample.broadcast.expires_at_ms;
    expect(&sample, "publish_at_ms is not before");
    sample_init(&sample);
    sample.broadcast.expires_at_ms = SAMPLE_NOW_MS + 9600 * SAMPLE_HOUR_MS;
    expect_nothing(&sample);
    sample.broadcast.expires_at_ms++;
    expect(&sample, "more than 400 days");
    sample.broadcast.expires_at_ms = INT64_MAX;
    expect(&sample, "more than 400 days");
}

static void wants_to_know_where(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.en.area = sample.cy.area = (char *)"";
    expect(&sample, "where it holds is missing");
    static const double square[] = { 53, -4, 53, -3, 54, -3, 54, -4, 53, -4 };
    sample_draw(&sample, square, 5);
    expect_nothing(&sample);
}

static void takes_polygons_that_are_closed_and_cross_nowhere(void **state)
{
    (void)state;
    static const double triangle[] = { 53, -4, 53, -3, 54, -3, 53, -4 };
    static const double dented[] = { 53, -4, 53, -3, 54, -3, 53.3, -3.5, 54, -4, 53, -4 };
    static const double straight_on[] = { 53, -4, 53, -3.5, 53, -3, 54, -3, 53, -4 };
    struct sample sample;
    sample_init(&sample);
    sample_draw(&sample, triangle, 4);
    expect_nothing(&sample);
    sample_draw(&sample, dented, 6);
    expect_nothing(&sample);
    sample_draw(&sample, straight_on, 5);
    expect_nothing(&sample);
}

static void refuses_polygons_that_are_none(void **state)
{
    (void)state;
    static const struct {
        size_t points;
        const char *said;
        double numbers[16];
    } cases[] = {
        { 1, "has 1 points", { 53, -4 } },
        { 3, "has 3 points", { 53, -4, 54, -4, 53, -4 } },
        { 4, "is not closed", { 53, -4, 53, -3, 54, -3, 54, -4 } },
        { 5, "crosses itself: side 1 meets side 3", { 53, -4, 54, -3, 53, -3, 54, -4, 53, -4 } },
        { 4, "crosses itself", { 53, -4, 54, -4, 55, -4, 53, -4 } },           /* no inside */
        { 5, "crosses itself", { 53, -4, 53, -3, 53, -3.5, 54, -3, 53, -4 } }, /* runs back */
        { 6, "crosses itself", { 53, -4, 53, -3, 54, -3, 53, -3.5, 54, -4, 53, -4 } }, /* touches */
        { 7, "crosses itself", { 53, -4, 53, -3, 54, -3, 53, -4, 52, -3, 52, -4, 53, -4 } },
        { 5, "points 2 and 3 are the same", { 53, -4, 53, -3, 53, -3, 54, -3, 53, -4 } },
        { 4, "point 2 is nowhere on earth", { 53, -4, 90.1, -3, 54, -3, 53, -4 } },
        { 4, "point 3 is nowhere on earth", { 53, -4, 53, -3, 54, 180.5, 53, -4 } },
        { 4, "point 1 is nowhere on earth", { NAN, -4, 53, -3, 54, -3, NAN, -4 } },
        { 4, "point 2 is nowhere on earth", { 53, -4, INFINITY, -3, 54, -3, 53, -4 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_init(&sample);
        sample_draw(&sample, cases[i].numbers, cases[i].points);
        expect(&sample, cases[i].said);
    }
}

static void takes_circles_that_are_whole(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.area = &sample.area;
    expect_nothing(&sample); /* an empty area: the words say it */
    sample.area.radius_km = 2.5;
    expect(&sample, "area.centre is missing");
    sample.area.centre = &sample.points[0];
    expect_nothing(&sample);
    sample.area.radius_km = 0;
    expect(&sample, "area.radius_km");
    sample.area.radius_km = -1;
    expect(&sample, "area.radius_km");
    sample.area.radius_km = 501;
    expect(&sample, "area.radius_km");
    sample.area.radius_km = NAN;
    expect(&sample, "area.radius_km");
    sample.area.radius_km = 1;
    sample.points[0].latitude = 91;
    expect(&sample, "area.centre is nowhere");
    sample.area.n_polygon = 4;
    expect(&sample, "both polygon and circle");
}

static void knows_the_words_of_cap(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.urgency = (char *)"Immediate";
    sample.broadcast.severity = (char *)"Severe";
    sample.broadcast.certainty = (char *)"Observed";
    expect_nothing(&sample);
    sample.broadcast.urgency = (char *)"immediate";
    expect(&sample, "urgency is not a word of CAP: write one of Immediate, Expected");
    sample.broadcast.urgency = (char *)"";
    sample.broadcast.severity = (char *)"Bad";
    expect(&sample, "severity");
    sample.broadcast.severity = (char *)"";
    sample.broadcast.certainty = (char *)"Sure";
    expect(&sample, "certainty");
}

static void knows_its_outlets(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.broadcast.n_outlets = 0;
    expect(&sample, "outlets are missing");
    sample_init(&sample);
    sample.names[1] = (char *)"elsewhere";
    expect(&sample, "outlets[1] is not in the configuration");
    sample_init(&sample);
    sample.names[1] = sample.names[0];
    expect(&sample, "outlet 'page' is named twice");
}

static void says_of_each_outlet_how_much_is_too_much(void **state)
{
    (void)state;
    struct sample sample;
    char text[300];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sample_init(&sample);
    sample.broadcast.n_outlets = 5;
    sample.en.text = text;
    expect(&sample, "outlet 'x': Welsh 87 and English 363, together 452 long and may be 280: "
                    "shorten it, or allow a thread");
    sample.broadcast.may_thread = 1;
    expect_nothing(&sample);
    sample_init(&sample);
    sample.cy.text = text;
    struct broadcast_problems problems = check(&sample);
    assert_int_equal(problems.count, 2);
    assert_non_null(strstr(problems.lines[1], "outlet 'x-cymraeg': Welsh is 359 long"));
}

static void minds_the_mark_of_an_update(void **state)
{
    (void)state;
    struct sample sample;
    char text[280];
    sample_init(&sample);
    sample.names[0] = sample.outlets[5].name;
    sample.broadcast.n_outlets = 1;
    size_t used = strlen(sample.cy.headline) + strlen(sample.cy.instruction) + 2;
    memset(text, 'a', sizeof text);
    text[280 - used] = '\0';
    sample.cy.text = text;
    expect_nothing(&sample);
    sample.broadcast.version = 2;
    expect(&sample, "outlet 'x-cymraeg': Welsh is 293 long");
}

static void wants_the_end_to_fit_too(void **state)
{
    (void)state;
    struct sample sample;
    char text[150];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sample_init(&sample);
    sample.en.ended = sample.cy.ended = text;
    expect(&sample, "outlet 'x': what is said at the end (ended) is 300 long and may be 280");
    sample.broadcast.may_thread = 1;
    expect_nothing(&sample);
    text[139] = '\0';
    sample.broadcast.may_thread = 0;
    expect_nothing(&sample); /* 139 + 2 + 139 */
}

static void refuses_what_cannot_be_seen(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "a\x01z", "en.headline: a control character at byte 2" },
        { "a\nb", "en.headline: a new line at byte 2" },
        { "a\x7F", "control character" },
        { "ab\xC2\x85", "en.headline: a control character at byte 3" },
        { "a\xE2\x80\xAE!", "control character" },
        { "a\xE2\x81\xA7!", "control character" },
        { "a\uFEFF", "control character" },
        { "a\uFFFF", "control character" },
        { "a\xC3(", "what is not UTF-8 at byte 2" },
        { "\xED\xA0\x80", "what is not UTF-8 at byte 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_init(&sample);
        sample.en.headline = (char *)cases[i].text;
        expect(&sample, cases[i].said);
    }
    struct sample sample;
    sample_init(&sample);
    sample.en.text = (char *)"Lines\nand\ttabs, 👨‍👩‍👧‍👦 and ŵ.";
    expect_nothing(&sample);
    sample.broadcast.incident = (char *)"1\n2";
    expect(&sample, "incident: a new line");
}

static void never_repeats_what_was_written(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.en.headline = (char *)"marker-word\x01";
    sample.en.text = (char *)"marker-word\x01";
    sample.broadcast.road = (char *)"marker-word\x01";
    sample.broadcast.urgency = (char *)"marker-word";
    sample.names[0] = (char *)"marker-word";
    struct broadcast_problems problems = check(&sample);
    assert_int_equal(problems.count, 5);
    for (size_t i = 0; i < problems.count; i++)
        assert_null(strstr(problems.lines[i], "marker"));
}

static void stops_at_sixteen(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    char *many[40];
    for (size_t i = 0; i < 40; i++)
        many[i] = (char *)"elsewhere";
    sample.broadcast.outlets = many;
    sample.broadcast.n_outlets = 40;
    struct broadcast_problems problems = check(&sample);
    assert_int_equal(problems.count, BROADCAST_PROBLEMS_MAX);
    Desg__V1__Broadcast nothing = DESG__V1__BROADCAST__INIT;
    broadcast_check(&sample.config, &nothing, SAMPLE_NOW_MS, &problems);
    assert_true(problems.count >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_wrong_with_a_good_one),
        cmocka_unit_test(wants_both_languages),
        cmocka_unit_test(takes_a_named_override_for_welsh),
        cmocka_unit_test(names_the_outlet_that_takes_only_the_language_there_is_not),
        cmocka_unit_test(wants_the_same_said_in_both),
        cmocka_unit_test(wants_kind_and_road),
        cmocka_unit_test(wants_times_that_make_sense),
        cmocka_unit_test(wants_to_know_where),
        cmocka_unit_test(takes_polygons_that_are_closed_and_cross_nowhere),
        cmocka_unit_test(refuses_polygons_that_are_none),
        cmocka_unit_test(takes_circles_that_are_whole),
        cmocka_unit_test(knows_the_words_of_cap),
        cmocka_unit_test(knows_its_outlets),
        cmocka_unit_test(says_of_each_outlet_how_much_is_too_much),
        cmocka_unit_test(minds_the_mark_of_an_update),
        cmocka_unit_test(wants_the_end_to_fit_too),
        cmocka_unit_test(refuses_what_cannot_be_seen),
        cmocka_unit_test(never_repeats_what_was_written),
        cmocka_unit_test(stops_at_sixteen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
