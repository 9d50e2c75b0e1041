#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "clock/clock.h"

static void formats_utc_with_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -1000, "1969-12-31T23:59:59.000Z" },
        { 1770831720123, "2026-02-11T17:42:00.123Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { 253402300800000, "1970-01-01T00:00:00.000Z" }, /* beyond what RFC 3339 can say */
        { INT64_MAX, "1970-01-01T00:00:00.000Z" },
        { INT64_MIN, "1970-01-01T00:00:00.000Z" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CLOCK_TEXT_BYTES];
        clock_format_rfc3339(cases[i].unix_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void parses_what_platforms_send(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_ms;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-02-11T17:42:00Z", 1770831720000 },
        { "2026-02-11T17:42:00z", 1770831720000 },
        { "2026-02-11 17:42:00Z", 1770831720000 },
        { "2026-02-11T17:42:00.1Z", 1770831720100 },
        { "2026-02-11T17:42:00.123Z", 1770831720123 },
        { "2026-02-11T17:42:00.123456789Z", 1770831720123 },
        { "2026-02-11T18:42:00+01:00", 1770831720000 },
        { "2026-02-11T17:42:00+0000", 1770831720000 },
        { "2026-02-11T12:12:00-0530", 1770831720000 },
        { "2026-02-11T12:42:00.5-05", 1770831720500 },
        { "2024-02-29T00:00:00Z", 1709164800000 },
        { "2016-12-31T23:59:60Z", 1483228800000 }, /* a leap second is the next second */
        { "1969-12-31T23:59:59.999Z", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got_ms = 77;
        if (clock_parse_rfc3339(cases[i].text, strlen(cases[i].text), &got_ms) != 0)
            fail_msg("'%s' refused", cases[i].text);
        assert_int_equal(got_ms, cases[i].unix_ms);
    }
}

static void refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "now",
        "1770831720",
        "2026-02-11",
        "2026-02-11T17:42:00", /* no zone: whose time? */
        "2026-02-11T17:42:00.123",
        "2026-02-11T17:42Z",
        "2026-02-11T17:42:00ZZ",
        "2026-02-11T17:42:00Z ",
        " 2026-02-11T17:42:00Z",
        "2026-02-11T17:42:00.Z",
        "2026-02-11T17:42:00,5Z",
        "2026-02-11T17:42:00+1:00",
        "2026-02-11T17:42:00+01:0x",
        "2026-02-11T17:42:00+01:00:00",
        "2026-02-11T17:42:00+24:00",
        "2026-02-11T17:42:00+01:60",
        "2026-02-11T17:42:00 01:00",
        "2026-00-11T17:42:00Z",
        "2026-13-11T17:42:00Z",
        "2026-02-00T17:42:00Z",
        "2026-02-29T17:42:00Z",
        "2026-04-31T17:42:00Z",
        "2026-02-32T17:42:00Z",
        "2026-02-11T24:00:00Z",
        "2026-02-11T17:60:00Z",
        "2026-02-11T17:42:61Z",
        "2026/02/11T17:42:00Z",
        "+026-02-11T17:42:00Z",
        "2026-02-11T-7:42:00Z",
        "2026-02-11X17:42:00Z",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got_ms = 77;
        if (clock_parse_rfc3339(cases[i], strlen(cases[i]), &got_ms) == 0)
            fail_msg("'%s' accepted as %lld", cases[i], (long long)got_ms);
        assert_int_equal(got_ms, 77); /* untouched on failure */
    }
}

static void reads_no_byte_past_the_length(void **state)
{
    (void)state;
    const char text[] = "2026-02-11T17:42:00Z+01:00";
    int64_t got_ms = 0;
    assert_int_equal(clock_parse_rfc3339(text, 20, &got_ms), 0);
    assert_int_equal(got_ms, 1770831720000);
    for (size_t length = 0; length < 20; length++)
        assert_int_equal(clock_parse_rfc3339(text, length, &got_ms), -1);
}

static void parses_what_it_formatted(void **state)
{
    (void)state;
    for (int64_t unix_ms = -62135596800000; unix_ms < 253402300800000; unix_ms += 86399123457) {
        char text[CLOCK_TEXT_BYTES];
        int64_t again_ms = 0;
        clock_format_rfc3339(unix_ms, text);
        assert_int_equal(clock_parse_rfc3339(text, strlen(text), &again_ms), 0);
        assert_int_equal(again_ms, unix_ms);
    }
}

static void clocks_agree_with_the_system(void **state)
{
    (void)state;
    int64_t first_us = clock_monotonic_us();
    int64_t second_ms = clock_monotonic_ms();
    assert_true(second_ms >= first_us / 1000 && second_ms < first_us / 1000 + 5000);
    time_t now = time(NULL);
    assert_in_range(clock_unix_ms(), (int64_t)now * 1000 - 1000, (int64_t)now * 1000 + 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_utc_with_milliseconds),
        cmocka_unit_test(parses_what_platforms_send),
        cmocka_unit_test(refuses_what_is_no_time),
        cmocka_unit_test(reads_no_byte_past_the_length),
        cmocka_unit_test(parses_what_it_formatted),
        cmocka_unit_test(clocks_agree_with_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
