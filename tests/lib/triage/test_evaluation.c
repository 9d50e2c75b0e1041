#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "triage/evaluation.h"

static void near(double got, double expected)
{
    if (fabs(got - expected) > 0.0005 || isnan(got))
        fail_msg("%f is not %f", got, expected);
}

static struct evaluation_interval auc_of(const struct evaluation_row *rows, size_t count)
{
    struct error err = { 0 };
    struct evaluation_interval auc;
    assert_int_equal(evaluation_auc(rows, count, &auc, &err), 0);
    return auc;
}

static double recall_at(const struct evaluation_row *rows, size_t count, double share)
{
    struct error err = { 0 };
    struct evaluation_share recall;
    assert_int_equal(evaluation_recall_at(rows, count, share, &recall, &err), 0);
    return recall.share.value;
}

/* Against published examples of Wilson's score interval. */
static void a_share_comes_with_wilsons_interval(void **state)
{
    (void)state;
    struct evaluation_share share = evaluation_share(81, 263);
    near(share.share.value, 0.3080);
    near(share.share.low, 0.2553);
    near(share.share.high, 0.3662);
    share = evaluation_share(0, 20);
    near(share.share.low, 0);
    near(share.share.high, 0.1611);
    share = evaluation_share(20, 20);
    near(share.share.low, 0.8389);
    near(share.share.high, 1);
    assert_true(isnan(evaluation_share(0, 0).share.value));
}

static void flags_are_counted_both_ways(void **state)
{
    (void)state;
    static const struct evaluation_row rows[] = { { true, true, 0.9 },  { true, true, 0.8 },
                                                  { true, false, 0.1 }, { false, true, 0.7 },
                                                  { false, false, 0 },  { false, false, 0 },
                                                  { false, false, 0 },  { false, false, 0.2 } };
    struct evaluation_flags flags;
    evaluation_flags(rows, 8, &flags);
    assert_int_equal(flags.urgent, 3);
    near(flags.recall.share.value, 2.0 / 3);
    near(flags.precision.share.value, 2.0 / 3);
    near(flags.false_alarms.share.value, 0.2);
    near(flags.f1.value, 2.0 / 3);
    assert_true(flags.f1.low < flags.f1.value && flags.f1.value < flags.f1.high);
}

static void nothing_is_said_of_nothing(void **state)
{
    (void)state;
    static const struct evaluation_row calm[] = { { false, false, 0 } };
    struct evaluation_flags flags;
    evaluation_flags(NULL, 0, &flags);
    assert_true(isnan(flags.recall.share.value) && isnan(flags.f1.value));
    evaluation_flags(calm, 1, &flags);
    assert_true(isnan(flags.recall.share.value) && isnan(flags.precision.share.value));
    near(flags.false_alarms.share.value, 0);
    assert_true(isnan(auc_of(calm, 1).value));
    assert_true(isnan(recall_at(calm, 1, 0.5)));
    assert_true(isnan(evaluation_macro_f1(NULL, 0, 3).value));
    assert_int_equal(evaluation_quantile(NULL, 0, 0.5), 0);
}

/* AUC is the share of pairs in the right order, ties half; the variance is DeLong's, computed here
 * pair by pair. */
static void the_area_is_the_share_of_pairs_in_order(void **state)
{
    (void)state;
    static const struct evaluation_row rows[] = { { true, false, 0.9 },  { true, false, 0.6 },
                                                  { true, false, 0.6 },  { true, false, 0.2 },
                                                  { false, false, 0.6 }, { false, false, 0.3 },
                                                  { false, false, 0.2 }, { false, false, 0.1 },
                                                  { false, false, 0.1 } };
    enum { URGENT = 4, OTHERS = 5 };
    double components[2][OTHERS] = { { 0 } };
    double variance = 0;
    double pairs = 0;
    for (int i = 0; i < URGENT; i++)
        for (int j = 0; j < OTHERS; j++) {
            double left = rows[i].score;
            double right = rows[URGENT + j].score;
            double won = left > right ? 1 : left < right ? 0 : 0.5;
            components[1][i] += won / OTHERS;
            components[0][j] += won / URGENT;
            pairs += won;
        }
    double area = pairs / (URGENT * OTHERS);
    for (int kind = 0; kind < 2; kind++) {
        int count = kind ? URGENT : OTHERS;
        double sum = 0;
        for (int i = 0; i < count; i++)
            sum += (components[kind][i] - area) * (components[kind][i] - area);
        variance += sum / (count - 1) / count;
    }
    struct evaluation_interval auc = auc_of(rows, URGENT + OTHERS);
    near(auc.value, area);
    near(auc.low, area - 1.96 * sqrt(variance));
    near(auc.high, fmin(1, area + 1.96 * sqrt(variance)));
}

static void a_perfect_order_and_a_turned_one(void **state)
{
    (void)state;
    static const struct evaluation_row good[] = { { true, true, 2 }, { false, true, 1 } };
    static const struct evaluation_row bad[] = { { true, true, 1 }, { false, true, 2 } };
    near(auc_of(good, 2).value, 1);
    near(auc_of(bad, 2).value, 0);
}

static void the_highest_scores_are_looked_at_first(void **state)
{
    (void)state;
    struct evaluation_row rows[100];
    for (size_t i = 0; i < 100; i++)
        rows[i] = (struct evaluation_row){ .is_urgent = i >= 90, .score = (double)i };
    near(recall_at(rows, 100, 0.05), 0.5);
    near(recall_at(rows, 100, 0.10), 1);
    near(recall_at(rows, 100, 0), 0);
    for (size_t i = 0; i < 100; i++)
        rows[i].score = 0; /* no order at all: chance */
    near(recall_at(rows, 100, 0.05), 0.05);
    near(recall_at(rows, 100, 1), 1);
}

static void classes_are_measured_one_against_the_rest(void **state)
{
    (void)state;
    static const struct evaluation_pair pairs[] = { { 0, 0 }, { 0, 0 }, { 0, 1 },
                                                    { 1, 1 }, { 1, 9 }, { 0, 2 } };
    struct evaluation_class classes[3];
    evaluation_classes(pairs, 6, 3, classes);
    assert_int_equal(classes[0].rows, 4);
    assert_int_equal(classes[0].right, 2);
    near(classes[0].recall, 0.5);
    near(classes[0].precision, 1);
    near(classes[0].f1, 2.0 / 3);
    near(classes[1].f1, 0.5);
    assert_true(isnan(classes[2].recall));
    near(classes[2].f1, 0);
    struct evaluation_interval macro = evaluation_macro_f1(pairs, 6, 3);
    near(macro.value, (2.0 / 3 + 0.5) / 2); /* the third is nobody's truth */
    assert_true(macro.low <= macro.value && macro.value <= macro.high);
}

static void the_same_rows_give_the_same_interval(void **state)
{
    (void)state;
    struct evaluation_pair pairs[200];
    for (size_t i = 0; i < 200; i++)
        pairs[i] = (struct evaluation_pair){ (uint16_t)(i % 4), (uint16_t)(i % 7 ? i % 4 : 1) };
    struct evaluation_interval first = evaluation_macro_f1(pairs, 200, 4);
    struct evaluation_interval second = evaluation_macro_f1(pairs, 200, 4);
    assert_memory_equal(&first, &second, sizeof first);
    assert_true(first.low < first.value && first.value < first.high);
    assert_true(first.high - first.low < 0.2);
}

static void quantiles_are_values_that_occurred(void **state)
{
    (void)state;
    static const int64_t sorted[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1000 };
    assert_int_equal(evaluation_quantile(sorted, 10, 0.5), 5);
    assert_int_equal(evaluation_quantile(sorted, 10, 0.99), 1000);
    assert_int_equal(evaluation_quantile(sorted, 10, 0), 1);
    assert_int_equal(evaluation_quantile(sorted, 10, 1), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_comes_with_wilsons_interval),
        cmocka_unit_test(flags_are_counted_both_ways),
        cmocka_unit_test(nothing_is_said_of_nothing),
        cmocka_unit_test(the_area_is_the_share_of_pairs_in_order),
        cmocka_unit_test(a_perfect_order_and_a_turned_one),
        cmocka_unit_test(the_highest_scores_are_looked_at_first),
        cmocka_unit_test(classes_are_measured_one_against_the_rest),
        cmocka_unit_test(the_same_rows_give_the_same_interval),
        cmocka_unit_test(quantiles_are_values_that_occurred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
