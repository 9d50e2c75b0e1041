#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "outward/window.h"

static const int64_t HOUR_MS = 3600000;
static const int64_t LAST_MS = INT64_C(1790000000123); /* September 2026 */
static const struct outward_config built_in;

static void check(const struct window *window, enum window_state state, int64_t until_ms)
{
    assert_int_equal(window->state, state);
    assert_int_equal(window->until_ms, until_ms);
}

static void closes_to_the_millisecond_after_a_day(void **state)
{
    (void)state;
    const int64_t end_ms = LAST_MS + 24 * HOUR_MS;
    static const char *const channels[] = { "facebook", "instagram", "whatsapp" };
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        struct window window = window_of(&built_in, channels[i], false, LAST_MS, end_ms - 1);
        check(&window, WINDOW_OPEN, end_ms);
        window = window_of(&built_in, channels[i], false, LAST_MS, end_ms);
        check(&window, WINDOW_CLOSED, INT64_MAX);
    }
}

static void lets_a_person_answer_for_seven_days(void **state)
{
    (void)state;
    const int64_t day_ms = 24 * HOUR_MS;
    const int64_t end_ms = LAST_MS + 7 * day_ms;
    static const char *const channels[] = { "facebook", "instagram" };
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        struct window window = window_of(&built_in, channels[i], true, LAST_MS, LAST_MS);
        check(&window, WINDOW_OPEN, LAST_MS + day_ms);
        assert_int_equal(window.human_until_ms, end_ms);
        window = window_of(&built_in, channels[i], true, LAST_MS, LAST_MS + day_ms);
        check(&window, WINDOW_HUMAN, end_ms);
        window = window_of(&built_in, channels[i], true, LAST_MS, end_ms - 1);
        check(&window, WINDOW_HUMAN, end_ms);
        window = window_of(&built_in, channels[i], true, LAST_MS, end_ms);
        check(&window, WINDOW_CLOSED, INT64_MAX);
    }
}

static void has_no_longer_time_without_the_permission_or_on_whatsapp(void **state)
{
    (void)state;
    const int64_t now_ms = LAST_MS + 25 * HOUR_MS;
    struct window window = window_of(&built_in, "facebook", false, LAST_MS, now_ms);
    check(&window, WINDOW_CLOSED, INT64_MAX);
    assert_int_equal(window.human_until_ms, 0);
    window = window_of(&built_in, "whatsapp", true, LAST_MS, now_ms);
    check(&window, WINDOW_CLOSED, INT64_MAX);
    assert_int_equal(window.human_until_ms, 0);
}

static void is_always_open_where_there_is_no_limit(void **state)
{
    (void)state;
    struct window window = window_of(&built_in, "x", false, LAST_MS, LAST_MS + 90000 * HOUR_MS);
    check(&window, WINDOW_OPEN, INT64_MAX);
    window = window_of(&built_in, "web", false, 0, LAST_MS);
    check(&window, WINDOW_OPEN, INT64_MAX);
}

static void is_closed_to_who_never_wrote_and_on_unknown_channels(void **state)
{
    (void)state;
    struct window window = window_of(&built_in, "facebook", true, 0, LAST_MS);
    check(&window, WINDOW_CLOSED, INT64_MAX);
    assert_int_equal(window.human_until_ms, 0);
    window = window_of(&built_in, "telegram", true, LAST_MS, LAST_MS);
    check(&window, WINDOW_CLOSED, INT64_MAX);
}

static void says_how_long_a_message_may_be(void **state)
{
    (void)state;
    static const struct {
        const char *channel;
        uint32_t text_max;
        bool is_in_bytes;
    } cases[] = { { "facebook", 1900, false },
                  { "instagram", 1000, true },
                  { "whatsapp", 4096, false },
                  { "x", 10000, false } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct window window = window_of(&built_in, cases[i].channel, false, LAST_MS, LAST_MS);
        assert_int_equal(window.text_max, cases[i].text_max);
        assert_int_equal(window.is_in_bytes, cases[i].is_in_bytes);
    }
}

static void holds_before_its_first_date_too(void **state)
{
    (void)state;
    const int64_t long_ago_ms = INT64_C(1500000000000);
    struct window window = window_of(&built_in, "facebook", false, long_ago_ms, long_ago_ms);
    check(&window, WINDOW_OPEN, long_ago_ms + 24 * HOUR_MS);
}

/* 2026-10-01 00:00 UTC */
static const int64_t OCTOBER_MS = INT64_C(1790812800000);

static void takes_the_newest_row_that_is_not_in_the_future(void **state)
{
    (void)state;
    struct outward_window rows[] = {
        { (char *)"facebook", (char *)"2026-10-01", 12, 48, 500, (char *)"bytes" },
        { (char *)"facebook", (char *)"2026-09-01", 36, 0, 700, (char *)"characters" },
        { (char *)"facebook", (char *)"2026-08-01", 1, 0, 100, (char *)"characters" },
        { (char *)"whatsapp", (char *)"2027-01-01", 1, 0, 100, (char *)"characters" },
    };
    const struct outward_config config = { .windows = rows, .windows_count = 4 };
    struct window window = window_of(&config, "facebook", true, OCTOBER_MS - 1, OCTOBER_MS - 1);
    check(&window, WINDOW_OPEN, OCTOBER_MS - 1 + 36 * HOUR_MS);
    assert_int_equal(window.text_max, 700);
    window = window_of(&config, "facebook", true, OCTOBER_MS, OCTOBER_MS);
    check(&window, WINDOW_OPEN, OCTOBER_MS + 12 * HOUR_MS);
    assert_int_equal(window.human_until_ms, OCTOBER_MS + 48 * HOUR_MS);
    assert_true(window.is_in_bytes);
    window = window_of(&config, "whatsapp", true, OCTOBER_MS, OCTOBER_MS);
    check(&window, WINDOW_OPEN, OCTOBER_MS + 24 * HOUR_MS); /* built in: the force's own is ahead */
    window = window_of(&config, "instagram", true, OCTOBER_MS, OCTOBER_MS);
    check(&window, WINDOW_OPEN, OCTOBER_MS + 24 * HOUR_MS);
}

static void does_not_run_over_at_the_end_of_time(void **state)
{
    (void)state;
    struct window window = window_of(&built_in, "facebook", true, INT64_MAX - 1, LAST_MS);
    check(&window, WINDOW_OPEN, INT64_MAX);
}

static void explains(const char *channel, bool has_human_agent, int64_t later_ms, const char *said)
{
    char line[240];
    struct window window =
        window_of(&built_in, channel, has_human_agent, LAST_MS, LAST_MS + later_ms);
    window_explain(&window, channel, LAST_MS + later_ms, line, sizeof line);
    if (!strstr(line, said))
        fail_msg("'%s' does not say '%s'", line, said);
    assert_true(strlen(line) < 128); /* fits where it is shown */
}

static void explains_itself_in_a_line(void **state)
{
    (void)state;
    explains("facebook", true, 0, "open for another 24 h 0 min");
    explains("facebook", true, 23 * HOUR_MS + 1, "open for another 59 min");
    explains("facebook", true, 24 * HOUR_MS - 1, "less than a minute");
    explains("facebook", true, 24 * HOUR_MS, "only text a person wrote");
    explains("facebook", true, 24 * HOUR_MS, "6 d 0 h");
    explains("facebook", true, 168 * HOUR_MS, "closed");
    explains("facebook", true, 168 * HOUR_MS, "telephone");
    explains("whatsapp", true, 24 * HOUR_MS, "template");
    explains("x", true, 24 * HOUR_MS, "no time limit");
}

static void cuts_an_explanation_to_the_room_there_is(void **state)
{
    (void)state;
    char line[8];
    struct window window = window_of(&built_in, "x", false, LAST_MS, LAST_MS);
    window_explain(&window, "x", LAST_MS, line, sizeof line);
    assert_int_equal(strlen(line), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closes_to_the_millisecond_after_a_day),
        cmocka_unit_test(lets_a_person_answer_for_seven_days),
        cmocka_unit_test(has_no_longer_time_without_the_permission_or_on_whatsapp),
        cmocka_unit_test(is_always_open_where_there_is_no_limit),
        cmocka_unit_test(is_closed_to_who_never_wrote_and_on_unknown_channels),
        cmocka_unit_test(says_how_long_a_message_may_be),
        cmocka_unit_test(holds_before_its_first_date_too),
        cmocka_unit_test(takes_the_newest_row_that_is_not_in_the_future),
        cmocka_unit_test(does_not_run_over_at_the_end_of_time),
        cmocka_unit_test(explains_itself_in_a_line),
        cmocka_unit_test(cuts_an_explanation_to_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
