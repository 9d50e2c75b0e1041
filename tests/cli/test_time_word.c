/* A point in time as people write it, behind and ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/time_word.h"

static const int64_t NOW_MS = 1770831720000; /* 2026-02-11 17:42:00 UTC */
static const int64_t MINUTE_MS = 60000;
static const int64_t HOUR_MS = 3600000;
static const int64_t DAY_MS = 86400000;

static int in_wales(void **state)
{
    (void)state;
    (void)setenv("TZ", "Europe/London", 1);
    tzset();
    return 0;
}

static int64_t ahead_or_fail(const char *text, int64_t now_ms)
{
    struct error err = { 0 };
    int64_t at_ms = 0;
    if (time_word_ahead(text, now_ms, false, &at_ms, &err) != 0)
        fail_msg("'%s': %s", text, err.text);
    return at_ms;
}

static void a_length_is_counted_from_now_on(void **state)
{
    (void)state;
    assert_int_equal(ahead_or_fail("90s", NOW_MS), NOW_MS + 90000);
    assert_int_equal(ahead_or_fail("15m", NOW_MS), NOW_MS + 15 * MINUTE_MS);
    assert_int_equal(ahead_or_fail("2h", NOW_MS), NOW_MS + 2 * HOUR_MS);
    assert_int_equal(ahead_or_fail("3d", NOW_MS), NOW_MS + 3 * DAY_MS);
}

static void a_clock_time_is_the_next_one(void **state)
{
    (void)state;
    assert_int_equal(ahead_or_fail("18:30", NOW_MS), NOW_MS + 48 * MINUTE_MS);
    assert_int_equal(ahead_or_fail("17:43", NOW_MS), NOW_MS + MINUTE_MS);
    assert_int_equal(ahead_or_fail("17:42", NOW_MS), NOW_MS + DAY_MS); /* this minute is over */
    assert_int_equal(ahead_or_fail("09:00", NOW_MS), NOW_MS + 15 * HOUR_MS + 18 * MINUTE_MS);
}

static void a_clock_time_is_kept_where_the_clocks_change(void **state)
{
    (void)state;
    const int64_t night_ms = 1774738800000; /* 2026-03-28 23:00 UTC: at 01:00 it becomes 02:00 */
    assert_int_equal(ahead_or_fail("09:00", night_ms), night_ms + 9 * HOUR_MS);
}

static void a_date_says_the_year(void **state)
{
    (void)state;
    assert_int_equal(ahead_or_fail("2026-02-11 17:45", NOW_MS), NOW_MS + 3 * MINUTE_MS);
    assert_int_equal(ahead_or_fail("2026-02-11T17:45:00Z", NOW_MS), NOW_MS + 3 * MINUTE_MS);
    assert_int_equal(ahead_or_fail("2026-02-11T18:45:00+01:00", NOW_MS), NOW_MS + 3 * MINUTE_MS);
    assert_int_equal(ahead_or_fail("2026-07-01 12:00", NOW_MS), 1782903600000); /* summer time */
}

static void what_is_no_time_or_is_past_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",
                                         "soon",
                                         "25:00",
                                         "18:60",
                                         "1:30",
                                         "18:30h",
                                         "-2h",
                                         "2",
                                         "2 h",
                                         "h",
                                         "18.30",
                                         "99999999999999999999h",
                                         "2026-02-30x",
                                         "2026-02-11 17:41" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = { 0 };
        int64_t at_ms = -1;
        if (time_word_ahead(wrong[i], NOW_MS, false, &at_ms, &err) == 0)
            fail_msg("'%s' accepted as %lld", wrong[i], (long long)at_ms);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_int_equal(at_ms, -1);
        assert_non_null(strstr(err.text, wrong[i]));
    }
}

static void a_start_may_lie_behind(void **state)
{
    (void)state;
    struct error err = { 0 };
    int64_t at_ms = 0;
    assert_int_equal(time_word_ahead("2026-02-11 17:00", NOW_MS, true, &at_ms, &err), 0);
    assert_int_equal(at_ms, NOW_MS - 42 * MINUTE_MS);
}

static void looking_back_the_same_words_are_ago(void **state)
{
    (void)state;
    struct error err = { 0 };
    int64_t at_ms = 0;
    assert_int_equal(time_word_parse("2h", NOW_MS, &at_ms, &err), 0);
    assert_int_equal(at_ms, NOW_MS - 2 * HOUR_MS);
    assert_int_equal(time_word_parse("2026-02-11 17:43", NOW_MS, &at_ms, &err), -1);
    assert_int_equal(time_word_parse("18:30", NOW_MS, &at_ms, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_counted_from_now_on),
        cmocka_unit_test(a_clock_time_is_the_next_one),
        cmocka_unit_test(a_clock_time_is_kept_where_the_clocks_change),
        cmocka_unit_test(a_date_says_the_year),
        cmocka_unit_test(what_is_no_time_or_is_past_is_refused),
        cmocka_unit_test(a_start_may_lie_behind),
        cmocka_unit_test(looking_back_the_same_words_are_ago),
    };
    return cmocka_run_group_tests(tests, in_wales, NULL);
}
