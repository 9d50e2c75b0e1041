#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/standing_test.h"

static const struct id ONE = { { 1 } };
static const struct id TWO = { { 2 } };

static void begins_soon_after_start_and_then_by_interval(void **state)
{
    (void)state;
    struct standing_test test;
    standing_test_init(&test, 300000, 1000);
    assert_int_equal(standing_test_tick(&test, 2999), STANDING_TEST_NOTHING);
    assert_int_equal(standing_test_tick(&test, 3000), STANDING_TEST_BEGIN);
    standing_test_begun(&test, &ONE, 3000);
    assert_int_equal(standing_test_tick(&test, 3001), STANDING_TEST_NOTHING);
    assert_true(standing_test_came_back(&test, &ONE, 77));
    assert_int_equal(test.came_back_unix_ms, 77);
    assert_int_equal(standing_test_tick(&test, 302999), STANDING_TEST_NOTHING);
    assert_int_equal(standing_test_tick(&test, 303000), STANDING_TEST_BEGIN);
}

static void fails_after_a_minute_until_the_next_comes_back(void **state)
{
    (void)state;
    struct standing_test test;
    standing_test_init(&test, 300000, 0);
    standing_test_begun(&test, &ONE, 0);
    assert_false(standing_test_came_back(&test, &TWO, 5));
    assert_int_equal(standing_test_tick(&test, 59999), STANDING_TEST_NOTHING);
    assert_int_equal(standing_test_tick(&test, 60000), STANDING_TEST_FAILED);
    assert_true(test.is_failed);
    assert_false(standing_test_came_back(&test, &ONE, 5)); /* too late is not back */
    assert_int_equal(standing_test_tick(&test, 300000), STANDING_TEST_BEGIN);
    standing_test_begun(&test, &TWO, 300000);
    assert_true(test.is_failed);
    assert_true(standing_test_came_back(&test, &TWO, 300));
    assert_false(test.is_failed);
}

static void is_off_when_the_interval_is_none(void **state)
{
    (void)state;
    struct standing_test test;
    standing_test_init(&test, 0, 0);
    assert_int_equal(standing_test_tick(&test, 100000000), STANDING_TEST_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_soon_after_start_and_then_by_interval),
        cmocka_unit_test(fails_after_a_minute_until_the_next_comes_back),
        cmocka_unit_test(is_off_when_the_interval_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
