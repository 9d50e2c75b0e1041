/* ranges - checked against a plain bitmap over thousands of random additions and removals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ingest/ranges.h"

enum { SPACE = 200 };

static void assert_same(const struct ranges *set, const bool *bitmap)
{
    uint64_t total = 0;
    for (uint64_t value = 0; value < SPACE; value++) {
        assert_int_equal(ranges_contain(set, value), bitmap[value]);
        total += bitmap[value];
    }
    assert_int_equal(ranges_total(set), total);
    for (size_t i = 1; i < set->count; i++) /* sorted, disjoint, not touching */
        assert_true(set->items[i].first > set->items[i - 1].last + 1);
}

static void equals_a_bitmap_after_any_changes(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct ranges set = { 0 };
        bool bitmap[SPACE] = { false };
        for (int step = 0; step < 60; step++) {
            uint64_t first = (uint64_t)(rand_r(&seed) % SPACE);
            uint64_t last = first + (uint64_t)(rand_r(&seed) % 20);
            last = last < SPACE ? last : SPACE - 1;
            bool is_adding = rand_r(&seed) % 2;
            is_adding ? ranges_add(&set, first, last) : ranges_remove(&set, first, last);
            memset(bitmap + first, is_adding, last - first + 1);
            assert_same(&set, bitmap);
        }
        ranges_clear(&set);
    }
}

static void takes_all_of_another_set(void **state)
{
    (void)state;
    struct ranges a = { 0 };
    struct ranges b = { 0 };
    ranges_add(&a, 1, 3);
    ranges_add(&b, 4, 6);
    ranges_add(&b, 9, 9);
    ranges_take(&a, &b);
    assert_int_equal(b.count, 0);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.items[0].last, 6);
    ranges_clear(&a);
}

static void holds_the_largest_numbers(void **state)
{
    (void)state;
    struct ranges set = { 0 };
    ranges_add(&set, UINT64_MAX - 1, UINT64_MAX);
    ranges_add(&set, 0, 0);
    assert_true(ranges_contain(&set, UINT64_MAX));
    assert_false(ranges_contain(&set, 1));
    ranges_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_bitmap_after_any_changes),
        cmocka_unit_test(takes_all_of_another_set),
        cmocka_unit_test(holds_the_largest_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
