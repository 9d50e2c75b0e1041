#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "classify/hold.h"

static const struct id source = { { 7 } };

static struct held *add(struct hold *hold, uint64_t sequence, size_t bytes, int64_t now_ms)
{
    Desg__V1__Position position = DESG__V1__POSITION__INIT;
    Desg__V1__Item item = DESG__V1__ITEM__INIT;
    position.sequence = sequence;
    uint8_t *event = calloc(1, bytes + 1);
    item.position = &position;
    item.event = (ProtobufCBinaryData){ bytes, event };
    item.verdict = (ProtobufCBinaryData){ 2, (uint8_t *)"vv" };
    struct held *held = hold_add(hold, &source, 1, &item, now_ms);
    free(event);
    return held;
}

static void keeps_copies_in_order(void **state)
{
    (void)state;
    struct hold hold;
    hold_init(&hold);
    for (uint64_t i = 1; i <= 3; i++)
        assert_non_null(add(&hold, i, 10, 0));
    assert_int_equal(hold.count, 3);
    assert_int_equal(hold.bytes, 36);
    struct held *second = hold_take(&hold, &hold.first->next);
    assert_int_equal(second->position.sequence, 2);
    assert_memory_equal(second->item.verdict.data, "vv", 2);
    free(second);
    struct held *last = hold_take(&hold, &hold.first->next); /* the end moves */
    assert_int_equal(last->position.sequence, 3);
    free(last);
    assert_non_null(add(&hold, 4, 10, 0));
    assert_int_equal(hold.first->next->position.sequence, 4);
    hold_clear(&hold);
    assert_int_equal(hold.count, 0);
    assert_int_equal(hold.bytes, 0);
    assert_non_null(add(&hold, 5, 10, 0));
    hold_clear(&hold);
}

static void is_bounded_by_count_and_bytes(void **state)
{
    (void)state;
    struct hold hold;
    hold_init(&hold);
    for (uint64_t i = 0; i < HOLD_MAX_EVENTS; i++)
        assert_non_null(add(&hold, i, 1, 0));
    assert_null(add(&hold, 9999, 1, 0));
    hold_clear(&hold);
    assert_null(add(&hold, 1, HOLD_MAX_BYTES, 0));
    assert_non_null(add(&hold, 1, HOLD_MAX_BYTES - 2, 0));
    assert_null(add(&hold, 2, 0, 0));
    hold_clear(&hold);
}

static void waits_half_a_second_but_not_for_each(void **state)
{
    (void)state;
    struct hold hold;
    hold_init(&hold);
    struct held *first = add(&hold, 1, 1, 1000);
    assert_false(hold_is_due(&hold, first, 1000 + HOLD_WAIT_MS - 1));
    assert_true(hold_is_due(&hold, first, 1000 + HOLD_WAIT_MS));
    struct held *second = add(&hold, 2, 1, 1400); /* the lane has been blocked since 1000 */
    assert_false(hold_is_due(&hold, second, 1400));
    assert_true(hold_is_due(&hold, second, 1500));
    hold_unblocked(&hold);
    assert_false(hold_is_due(&hold, second, 1500));
    assert_true(hold_is_due(&hold, second, 1400 + HOLD_WAIT_MS));
    hold_clear(&hold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_copies_in_order),
        cmocka_unit_test(is_bounded_by_count_and_bytes),
        cmocka_unit_test(waits_half_a_second_but_not_for_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
