#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/calibrate.h"
#include "train/settings.h"

static void tells_how_well_scores_are_in_order(void **state)
{
    (void)state;
    struct scored right[] = { { 1, false }, { 2, false }, { 3, true }, { 4, true } };
    struct scored wrong[] = { { 1, true }, { 2, true }, { 3, false } };
    struct scored ties[] = { { 1, true }, { 1, false }, { 1, false } };
    struct scored mixed[] = { { 4, true }, { 3, false }, { 2, true }, { 1, false } };
    assert_float_equal(calibrate_auc(right, 4), 1, 1e-9);
    assert_float_equal(calibrate_auc(wrong, 3), 0, 1e-9);
    assert_float_equal(calibrate_auc(ties, 3), 0.5, 1e-9);
    assert_float_equal(calibrate_auc(mixed, 4), 0.75, 1e-9);
    assert_true(isnan(calibrate_auc(right, 0)));
}

static void finds_limits_by_alarms_and_by_precision(void **state)
{
    (void)state;
    struct scored scored[] = { { 9, true },  { 8, false }, { 7, true }, { 6, true },
                               { 5, false }, { 4, false }, { 3, true }, { 2, false } };
    float none = calibrate_alarm_limit(scored, 8, 0);
    assert_true(none > 8 && none < 9);
    float half = calibrate_alarm_limit(scored, 8, 0.5); /* two of four */
    assert_true(half > 4 && half < 5);
    assert_float_equal(calibrate_alarms(scored, 8, half), 0.5, 1e-9);
    assert_float_equal(calibrate_recall(scored, 8, half), 0.75, 1e-9);
    assert_float_equal(calibrate_precision(scored, 8, half), 0.6, 1e-9);
    assert_float_equal(calibrate_precision_limit(scored, 8, 0.75), 6, 1e-6);
    assert_true(isinf(calibrate_alarm_limit(scored, 8, 1)));
}

static void likelihoods_are_shares(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    struct scored scored[COUNT];
    for (int i = 0; i < COUNT; i++) /* a quarter at 0, three quarters at 2 */
        scored[i] =
            i < COUNT / 2 ? (struct scored){ 0, i % 4 == 0 } : (struct scored){ 2, i % 4 != 0 };
    struct calibration at = calibrate_logistic(scored, COUNT);
    assert_float_equal(1 / (1 + exp(-at.offset)), 0.25, 0.01);
    assert_float_equal(1 / (1 + exp(-(2 * at.scale + at.offset))), 0.75, 0.01);
    for (int i = 0; i < COUNT; i++)
        scored[i].is_positive = !scored[i].is_positive;
    assert_true(calibrate_logistic(scored, COUNT).scale > 0); /* never upside down */
}

static void settings_are_set_by_name_within_bounds(void **state)
{
    (void)state;
    struct train_settings settings = train_settings_usual;
    struct error err = { 0 };
    assert_int_equal(train_settings_set(&settings, "urgent_c=2.5", &err), 0);
    assert_float_equal(settings.urgent_c, 2.5, 1e-9);
    assert_int_equal(train_settings_set(&settings, "topic_bits=12", &err), 0);
    assert_int_equal(settings.topic_bits, 12);
    static const char *const wrong[] = {
        "urgent_c",        "urgent_c=",     "urgent_c=x", "urgent_c=-1",
        "topic_bits=12.5", "topic_bits=99", "nothing=1",  ""
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (train_settings_set(&settings, wrong[i], &err) == 0)
            fail_msg("'%s' taken", wrong[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    assert_int_equal(settings.topic_bits, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_how_well_scores_are_in_order),
        cmocka_unit_test(finds_limits_by_alarms_and_by_precision),
        cmocka_unit_test(likelihoods_are_shares),
        cmocka_unit_test(settings_are_set_by_name_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
