#include "ingest/platform_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void reads_every_way_platforms_write_a_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_ms;
    } cases[] = {
        { "1770832920874", 1770832920874 },
        { "1770832920", 1770832920000 },
        { "2026-02-11T17:42:00Z", 1770831720000 },
        { "2026-02-11T17:42:00.250+00:00", 1770831720250 },
        { "2026-02-11T18:42:00+0100", 1770831720000 },
        { "Wed Feb 11 17:42:00 +0000 2026", 1770831720000 },
        { "Wed Feb 11 18:42:00 +0100 2026", 1770831720000 },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (platform_time_from_text(cases[i].text) != cases[i].unix_ms)
            fail_msg("%s: %lld", cases[i].text, (long long)platform_time_from_text(cases[i].text));
    assert_int_equal(platform_time_from_number(1770832920), 1770832920000);
    assert_int_equal(platform_time_from_number(1770832920874), 1770832920874);
    assert_int_equal(platform_time_from_real(1770832920.5), 1770832920500);
}

static void gives_none_for_what_is_no_time(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",           "yesterday",      "-5", "0", "99999999999999999", "9999999999999999999999",
        "2026", /* seconds of 1970 */
        "2026-02-11", "Wed Feb 11 2026"
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (platform_time_from_text(cases[i]) > 2026000)
            fail_msg("%s: %lld", cases[i], (long long)platform_time_from_text(cases[i]));
    assert_int_equal(platform_time_from_number(-1), 0);
    assert_int_equal(platform_time_from_number(INT64_MAX), 0);
    assert_int_equal(platform_time_from_real(1e300), 0);
    assert_int_equal(platform_time_from_real(-1e300), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_way_platforms_write_a_time),
        cmocka_unit_test(gives_none_for_what_is_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
