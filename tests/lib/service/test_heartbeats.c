#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/heartbeats.h"

static int make(void **state)
{
    *state = heartbeats_new();
    return 0;
}

static int drop(void **state)
{
    struct heartbeats *heartbeats = *state;
    heartbeats_destroy(&heartbeats);
    heartbeats_destroy(&heartbeats);
    return heartbeats ? -1 : 0;
}

static void no_loop_no_complaint(void **state)
{
    assert_null(heartbeats_stuck(*state, INT64_MAX));
}

static void a_loop_has_ten_seconds_from_its_start(void **state)
{
    (void)heartbeats_add(*state, "dispatcher", 1000);
    assert_null(heartbeats_stuck(*state, 1000));
    assert_null(heartbeats_stuck(*state, 1000 + HEARTBEAT_LIMIT_MS));
    assert_string_equal(heartbeats_stuck(*state, 1001 + HEARTBEAT_LIMIT_MS), "dispatcher");
}

static void names_the_one_that_is_stuck_and_forgives_it(void **state)
{
    struct heartbeat *first = heartbeats_add(*state, "committer", 0);
    struct heartbeat *second = heartbeats_add(*state, "dispatcher", 0);
    heartbeat_beat_at(first, 20000);
    assert_string_equal(heartbeats_stuck(*state, 20000), "dispatcher");
    heartbeat_beat_at(second, 20000);
    assert_null(heartbeats_stuck(*state, 20000));
    heartbeat_beat_at(second, 40000);
    assert_string_equal(heartbeats_stuck(*state, 40000), "committer");
}

#define with_heartbeats(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_heartbeats(no_loop_no_complaint),
        with_heartbeats(a_loop_has_ten_seconds_from_its_start),
        with_heartbeats(names_the_one_that_is_stuck_and_forgives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
