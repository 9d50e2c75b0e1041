/* What is carried forward counts as moved once all its records are there, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "notify/carries.h"

struct fixture {
    pthread_mutex_t lock;
    struct inbox *inbox;
    struct carries carries;
    unsigned moved;
    struct id id;
    uint64_t old_sequence;
    uint64_t sequence;
};

static const struct id some = { { 1, 2, 3 } };
static const struct id other = { { 4, 5, 6 } };

static void on_moved(void *arg, const struct id *id, uint64_t old_sequence, uint64_t sequence)
{
    struct fixture *f = arg;
    assert_int_not_equal(pthread_mutex_trylock(&f->lock), 0); /* it is held */
    f->moved++;
    f->id = *id;
    f->old_sequence = old_sequence;
    f->sequence = sequence;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    assert_non_null(f);
    (void)pthread_mutex_init(&f->lock, NULL);
    f->inbox = inbox_new(&err);
    assert_non_null(f->inbox);
    f->carries =
        (struct carries){ .lock = &f->lock, .inbox = f->inbox, .moved = on_moved, .arg = f };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    carries_clear(&f->carries);
    inbox_destroy(&f->inbox);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static struct carry *begin(struct fixture *f, const struct id *id, unsigned records, bool is_whole)
{
    (void)pthread_mutex_lock(&f->lock);
    struct carry *carry = carries_begin(&f->carries, id, 7);
    carries_queued(carry, records, is_whole);
    (void)pthread_mutex_unlock(&f->lock);
    return carry;
}

static void it_moves_to_the_first_record_once_all_are_stored(void **state)
{
    struct fixture *f = *state;
    struct carry *carry = begin(f, &some, 3, true);
    carries_stored(carry, JOURNAL_STORED, 41);
    carries_stored(carry, JOURNAL_STORED, 42);
    inbox_run(f->inbox);
    assert_int_equal(f->moved, 0);
    assert_int_equal(f->carries.count, 1);
    carries_stored(carry, JOURNAL_STORED, 43);
    inbox_run(f->inbox);
    assert_int_equal(f->moved, 1);
    assert_memory_equal(f->id.bytes, some.bytes, ID_BYTES);
    assert_int_equal(f->old_sequence, 7);
    assert_int_equal(f->sequence, 41);
    assert_int_equal(f->carries.count, 0);
}

static void a_record_that_was_not_stored_leaves_it_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct carry *carry = begin(f, &some, 2, true);
    carries_stored(carry, JOURNAL_FAILED, 0);
    carries_stored(carry, JOURNAL_STORED, 42);
    inbox_run(f->inbox);
    assert_int_equal(f->moved, 0);
    assert_int_equal(f->carries.count, 0);
}

static void half_of_the_records_leave_it_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct carry *carry = begin(f, &some, 1, false);
    assert_int_equal(f->carries.count, 1); /* the one that was queued comes back */
    carries_stored(carry, JOURNAL_STORED, 41);
    inbox_run(f->inbox);
    assert_int_equal(f->moved, 0);
    assert_int_equal(f->carries.count, 0);
}

static void nothing_queued_is_over_at_once(void **state)
{
    struct fixture *f = *state;
    (void)begin(f, &some, 0, false);
    assert_int_equal(f->moved, 0);
    assert_int_equal(f->carries.count, 0);
}

static void several_end_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct carry *first = begin(f, &some, 1, true);
    struct carry *second = begin(f, &other, 1, true);
    carries_stored(first, JOURNAL_STORED, 51);
    inbox_run(f->inbox);
    assert_memory_equal(f->id.bytes, some.bytes, ID_BYTES);
    carries_stored(second, JOURNAL_STORED, 52);
    inbox_run(f->inbox);
    assert_memory_equal(f->id.bytes, other.bytes, ID_BYTES);
    assert_int_equal(f->sequence, 52);
    assert_int_equal(f->carries.count, 0);
}

/* The loop has ended: what the committer still says is discarded with the inbox. */
static void what_is_under_way_at_the_end_is_freed(void **state)
{
    struct fixture *f = *state;
    carries_stored(begin(f, &some, 2, true), JOURNAL_STORED, 41);
    (void)begin(f, &other, 1, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_moves_to_the_first_record_once_all_are_stored, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_record_that_was_not_stored_leaves_it_where_it_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(half_of_the_records_leave_it_where_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_queued_is_over_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(several_end_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_at_the_end_is_freed, setup, teardown),
    };
    return cmocka_run_group_tests_name("carries", tests, NULL, NULL);
}
