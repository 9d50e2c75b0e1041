#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "desk/fact_index.h"

static struct id numbered(uint32_t number)
{
    struct id id = { { 0 } };
    memcpy(id.bytes, &number, sizeof number);
    id.bytes[15] = 7;
    return id;
}

static void a_fact_is_in_hand_once_and_then_stored(void **state)
{
    (void)state;
    struct fact_index *index = fact_index_new(8);
    struct id one = numbered(1);
    uint64_t sequence = 0;
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_UNKNOWN);
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_IN_HAND);
    fact_index_put(index, &one, 42);
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_STORED);
    assert_int_equal(sequence, 42);
    fact_index_destroy(&index);
}

static void what_came_to_nothing_may_be_tried_again(void **state)
{
    (void)state;
    struct fact_index *index = fact_index_new(8);
    struct id one = numbered(1);
    uint64_t sequence = 0;
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_UNKNOWN);
    fact_index_drop(index, &one);
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_UNKNOWN);
    fact_index_put(index, &one, 3);
    fact_index_drop(index, &one); /* stored: stays */
    assert_int_equal(fact_index_begin(index, &one, &sequence), FACT_STORED);
    fact_index_destroy(&index);
}

/* Buckets collide, the ring goes round many times: the newest are always there, the oldest never.
 */
static void holds_the_newest_and_forgets_the_rest(void **state)
{
    (void)state;
    enum { SIZE = 64, FACTS = 10000 };
    struct fact_index *index = fact_index_new(SIZE);
    uint64_t sequence = 0;
    for (uint32_t i = 1; i <= FACTS; i++) {
        struct id id = numbered(i * 64); /* many in few buckets */
        fact_index_put(index, &id, i);
    }
    for (uint32_t i = FACTS - SIZE + 1; i <= FACTS; i++) {
        struct id id = numbered(i * 64);
        assert_int_equal(fact_index_begin(index, &id, &sequence), FACT_STORED);
        assert_int_equal(sequence, i);
    }
    struct id old = numbered((FACTS - SIZE) * 64);
    assert_int_equal(fact_index_begin(index, &old, &sequence), FACT_UNKNOWN);
    fact_index_destroy(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fact_is_in_hand_once_and_then_stored),
        cmocka_unit_test(what_came_to_nothing_may_be_tried_again),
        cmocka_unit_test(holds_the_newest_and_forgets_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
