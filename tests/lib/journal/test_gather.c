#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "journal/gather.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct gathering));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    gathering_clear(*state);
    free(*state);
    return 0;
}

static int add(struct gathering *gathering, const void *body, uint32_t length, struct error *err)
{
    const struct append append = { .kind = 1, .length = length };
    return gathering_append(gathering, &append, body, err);
}

static void copies_bodies_in_order(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    char body[] = "a0";
    for (int i = 0; i < 10; i++) {
        body[1] = (char)('0' + i);
        assert_int_equal(add(gathering, body, 2, &err), 0);
    }
    struct group *group = gathering_take(gathering);
    assert_int_equal(group->append_count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(group->arena[group->appends[i].offset + 1], '0' + i);
    assert_null(gathering_take(gathering));
    gathering_give_back(gathering, &group);
    assert_null(group);
    assert_int_equal(gathering->waiting_bytes, 0);
}

static void a_group_holds_1024_records_or_8_mib(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    for (int i = 0; i < GROUP_APPENDS + 1; i++)
        assert_int_equal(add(gathering, "x", 1, &err), 0);
    struct group *group = gathering_take(gathering);
    assert_int_equal(group->append_count, GROUP_APPENDS);
    gathering_give_back(gathering, &group);
    group = gathering_take(gathering);
    assert_int_equal(group->append_count, 1);
    gathering_give_back(gathering, &group);

    uint8_t *body = calloc(1, 5 << 20);
    assert_non_null(body);
    assert_int_equal(add(gathering, body, 5 << 20, &err), 0);
    assert_int_equal(add(gathering, body, 3 << 20, &err), 0);
    assert_int_equal(add(gathering, body, 1, &err), 0);
    group = gathering_take(gathering);
    assert_int_equal(group->append_count, 2);
    assert_int_equal(group->arena_used, GROUP_ARENA_BYTES);
    gathering_give_back(gathering, &group);
    free(body);
}

static void notes_ride_in_the_same_group_and_fill_it_too(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    assert_int_equal(add(gathering, "x", 1, &err), 0);
    const struct waiting_note note = { .sequence = 1, .length = 4 };
    for (int i = 0; i < GROUP_NOTES + 1; i++)
        assert_int_equal(gathering_note(gathering, &note, "note", &err), 0);
    struct group *group = gathering_take(gathering);
    assert_int_equal(group->append_count, 1);
    assert_int_equal(group->note_count, GROUP_NOTES);
    assert_memory_equal(group->arena + group->notes[GROUP_NOTES - 1].offset, "note", 4);
    gathering_give_back(gathering, &group);
}

static void refuses_more_than_64_mib(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    uint8_t *body = calloc(1, 5 << 20);
    assert_non_null(body);
    for (int i = 0; i < 12; i++)
        assert_int_equal(add(gathering, body, 5 << 20, &err), 0);
    assert_int_equal(add(gathering, body, 5 << 20, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(add(gathering, body, 1, &err), 0); /* a small one still fits */
    struct group *group = gathering_take(gathering);
    assert_int_equal(add(gathering, body, 5 << 20, &err), -1); /* it waits until given back */
    gathering_give_back(gathering, &group);
    assert_int_equal(add(gathering, body, 5 << 20, &err), 0);
    free(body);
}

static void empty_bodies_are_not_free(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    size_t taken = 0;
    while (taken < 10000000 && add(gathering, NULL, 0, &err) == 0)
        taken++;
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(taken, GATHERING_MAX_BYTES / WAITING_COST_BYTES);
}

static void keeps_one_small_group_for_reuse(void **state)
{
    struct gathering *gathering = *state;
    struct error err = { 0 };
    assert_int_equal(add(gathering, "x", 1, &err), 0);
    struct group *group = gathering_take(gathering);
    const struct group *first = group;
    gathering_give_back(gathering, &group);
    assert_ptr_equal(gathering->spare, first);
    assert_int_equal(add(gathering, "y", 1, &err), 0);
    assert_ptr_equal(gathering->head, first);
    assert_int_equal(gathering->head->append_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_bodies_in_order),
        TEST(a_group_holds_1024_records_or_8_mib),
        TEST(notes_ride_in_the_same_group_and_fill_it_too),
        TEST(refuses_more_than_64_mib),
        TEST(empty_bodies_are_not_free),
        TEST(keeps_one_small_group_for_reuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
