#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/outbox_rate.h"

enum { T0 = 1000000, SHARE = 20 };

/* How many calls may be made at once at now_ms. */
static unsigned burst(struct outbox_rate *rate, bool is_urgent, int64_t now_ms)
{
    unsigned count = 0;
    while (outbox_rate_due_ms(rate, is_urgent, now_ms) <= now_ms) {
        outbox_rate_take(rate, now_ms);
        count++;
    }
    return count;
}

static void calls_no_faster_than_it_may(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 600, SHARE, 1, T0);
    unsigned count = burst(&rate, true, T0);
    assert_int_equal(count, 100); /* ten seconds' worth */
    for (int64_t now_ms = T0; now_ms < T0 + 60000; now_ms += 10)
        count += burst(&rate, true, now_ms);
    assert_in_range(count, 690, 700);
}

static void says_when_the_next_may_go(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 60, SHARE, 1, T0);
    (void)burst(&rate, true, T0);
    int64_t due_ms = outbox_rate_due_ms(&rate, true, T0);
    assert_in_range(due_ms, T0 + 1, T0 + 1000);
    assert_true(outbox_rate_due_ms(&rate, true, due_ms) <= due_ms);
}

static void keeps_a_share_for_urgent_replies(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 600, SHARE, 1, T0);
    assert_int_equal(burst(&rate, false, T0), 80);
    assert_int_equal(burst(&rate, true, T0), 20);
    assert_int_equal(burst(&rate, true, T0), 0);
}

/* Six a minute hold two at once: a fifth of that is less than one. */
static void a_small_bucket_lets_everybody_have_a_turn(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 6, SHARE, 1, T0);
    assert_true(burst(&rate, false, T0) >= 1);
    assert_true(outbox_rate_due_ms(&rate, false, T0 + 60000) <= T0 + 60000);
}

static void near_its_limit_urgent_replies_alone(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 600, SHARE, 1, T0);
    outbox_rate_usage(&rate, 85, 30000, T0);
    assert_int_equal(outbox_rate_due_ms(&rate, false, T0), T0 + 30000);
    assert_true(outbox_rate_due_ms(&rate, true, T0) <= T0);
    outbox_rate_usage(&rate, 40, 0, T0); /* it has room again */
    assert_true(outbox_rate_due_ms(&rate, false, T0) <= T0);
}

static void at_its_limit_nobody(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 600, SHARE, 1, T0);
    outbox_rate_usage(&rate, 100, 0, T0);
    assert_int_equal(outbox_rate_due_ms(&rate, true, T0), T0 + OUTBOX_RATE_RESET_MS);
}

static void waits_as_long_as_it_is_asked_to(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 600, SHARE, 1, T0);
    outbox_rate_hold(&rate, 7000, T0);
    outbox_rate_hold(&rate, 3000, T0); /* a shorter one takes nothing back */
    assert_int_equal(outbox_rate_due_ms(&rate, true, T0), T0 + 7000);
    outbox_rate_hold(&rate, INT64_MAX / 4, T0);
    assert_int_equal(outbox_rate_due_ms(&rate, true, T0), T0 + OUTBOX_RATE_WAIT_MAX_MS);
}

static void five_failures_in_a_row_and_one_try_at_a_time(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 60000, SHARE, 1, T0);
    for (int i = 0; i < OUTBOX_RATE_BREAKS_AFTER; i++) {
        assert_false(outbox_rate_is_broken(&rate));
        outbox_rate_failed(&rate, T0);
    }
    assert_true(outbox_rate_is_broken(&rate));
    int64_t due_ms = outbox_rate_due_ms(&rate, true, T0);
    assert_in_range(due_ms, T0 + 1, T0 + OUTBOX_RATE_CAP_MS);
    outbox_rate_take(&rate, due_ms);
    assert_true(outbox_rate_due_ms(&rate, true, due_ms) > due_ms);
    outbox_rate_worked(&rate);
    assert_true(outbox_rate_due_ms(&rate, true, due_ms) <= due_ms);
}

static void backs_off_with_full_jitter(void **state)
{
    (void)state;
    struct outbox_rate rate;
    outbox_rate_init(&rate, 60, SHARE, 7, T0);
    int64_t limit_ms = OUTBOX_RATE_BASE_MS;
    for (uint32_t failures = 1; failures < 20; failures++) {
        for (int i = 0; i < 50; i++)
            assert_in_range(outbox_rate_delay_ms(&rate, failures, 0), 1, limit_ms);
        limit_ms = limit_ms * 2 > OUTBOX_RATE_CAP_MS ? OUTBOX_RATE_CAP_MS : limit_ms * 2;
    }
    assert_true(outbox_rate_delay_ms(&rate, 1, 90000) >= 90000); /* as asked for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_no_faster_than_it_may),
        cmocka_unit_test(says_when_the_next_may_go),
        cmocka_unit_test(keeps_a_share_for_urgent_replies),
        cmocka_unit_test(a_small_bucket_lets_everybody_have_a_turn),
        cmocka_unit_test(near_its_limit_urgent_replies_alone),
        cmocka_unit_test(at_its_limit_nobody),
        cmocka_unit_test(waits_as_long_as_it_is_asked_to),
        cmocka_unit_test(five_failures_in_a_row_and_one_try_at_a_time),
        cmocka_unit_test(backs_off_with_full_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
