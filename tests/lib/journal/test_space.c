#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "journal/space.h"

static const uint64_t gib = UINT64_C(1) << 30;

static enum journal_state state_with(uint64_t reusable_bytes, enum journal_state was)
{
    const struct space space = { .max_bytes = gib, .reusable_bytes = reusable_bytes };
    return space_state(&space, was);
}

static void states_follow_the_room_and_do_not_flap(void **state)
{
    (void)state;
    uint64_t percent = gib / 100;
    assert_int_equal(state_with(31 * percent, JOURNAL_ROOMY), JOURNAL_ROOMY);
    assert_int_equal(state_with(29 * percent, JOURNAL_ROOMY), JOURNAL_GETTING_FULL);
    assert_int_equal(state_with(31 * percent, JOURNAL_GETTING_FULL), JOURNAL_GETTING_FULL);
    assert_int_equal(state_with(36 * percent, JOURNAL_GETTING_FULL), JOURNAL_ROOMY);
    uint64_t reserve_bytes = space_reserve_bytes(gib);
    assert_int_equal(state_with(reserve_bytes * 10 / 8, JOURNAL_GETTING_FULL),
                     JOURNAL_GETTING_FULL);
    assert_int_equal(state_with(reserve_bytes, JOURNAL_GETTING_FULL), JOURNAL_FULL);
    assert_int_equal(state_with(reserve_bytes * 10 / 8, JOURNAL_FULL), JOURNAL_FULL);
    assert_int_equal(state_with(reserve_bytes * 2, JOURNAL_FULL), JOURNAL_GETTING_FULL);
    assert_int_equal(state_with(0, JOURNAL_ROOMY), JOURNAL_FULL);
}

static void the_cost_of_a_value_is_never_too_low(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < 70000; bytes += 7)
        assert_true(space_cost_bytes(bytes, 4096) >= bytes);
    assert_true(space_cost_bytes(1900, 4096) >= 2048); /* two to a page */
    assert_true(space_cost_bytes(2100, 4096) >= 4096); /* one to a page */
}

static void full_is_told_from_broken(void **state)
{
    (void)state;
    assert_true(space_is_exhausted(MDB_MAP_FULL, "/tmp"));
    assert_true(space_is_exhausted(ENOSPC, "/tmp"));
    assert_true(space_is_exhausted(EDQUOT, "/tmp"));
    assert_false(space_is_exhausted(EIO, "/tmp"));                 /* the disk has room */
    assert_false(space_is_exhausted(EIO, "/nonexistent/journal")); /* broken altogether */
    assert_false(space_is_exhausted(MDB_PANIC, "/tmp"));
    assert_false(space_is_exhausted(MDB_CORRUPTED, "/tmp"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_follow_the_room_and_do_not_flap),
        cmocka_unit_test(the_cost_of_a_value_is_never_too_low),
        cmocka_unit_test(full_is_told_from_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
