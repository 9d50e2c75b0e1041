/* A wait that another thread can end. Long waits here are an hour: a wake or stop that does not
 * work runs into the test's time limit, never into luck. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "clock/clock.h"
#include "pause/pause.h"

enum { HOUR_MS = 3600000, SHORT_MS = 30 };

static int setup(void **state)
{
    *state = pause_new();
    return 0;
}

static int teardown(void **state)
{
    struct pause *pause = *state;
    pause_destroy(&pause);
    assert_null(pause);
    pause_destroy(&pause); /* nothing is nothing */
    return 0;
}

static void it_waits_as_long_as_told(void **state)
{
    struct pause *pause = *state;
    int64_t began_ms = clock_monotonic_ms();
    pause_wait(pause, SHORT_MS);
    assert_true(clock_monotonic_ms() - began_ms >= SHORT_MS - 1);
    began_ms = clock_monotonic_ms();
    pause_rest(pause, SHORT_MS);
    assert_true(clock_monotonic_ms() - began_ms >= SHORT_MS - 1);
    assert_false(pause_is_stopped(pause));
}

static void no_time_or_less_is_no_wait(void **state)
{
    struct pause *pause = *state;
    pause_wait(pause, 0);
    pause_wait(pause, -HOUR_MS);
    pause_rest(pause, -1);
}

static void a_wake_before_it_waits_is_kept_once(void **state)
{
    struct pause *pause = *state;
    pause_wake(pause);
    pause_wake(pause);
    pause_wait(pause, HOUR_MS);
    int64_t began_ms = clock_monotonic_ms();
    pause_wait(pause, SHORT_MS); /* two wakes were one */
    assert_true(clock_monotonic_ms() - began_ms >= SHORT_MS - 1);
}

static void a_rest_is_not_ended_by_a_wake_and_keeps_it(void **state)
{
    struct pause *pause = *state;
    pause_wake(pause);
    int64_t began_ms = clock_monotonic_ms();
    pause_rest(pause, SHORT_MS);
    assert_true(clock_monotonic_ms() - began_ms >= SHORT_MS - 1);
    pause_wait(pause, HOUR_MS);
}

static void stopped_it_never_waits_again(void **state)
{
    struct pause *pause = *state;
    pause_stop(pause);
    assert_true(pause_is_stopped(pause));
    pause_wait(pause, HOUR_MS);
    pause_wait(pause, HOUR_MS);
    pause_rest(pause, HOUR_MS);
    assert_true(pause_is_stopped(pause));
}

/* --- from another thread --- */

struct waiter {
    struct pause *pause;
    atomic_bool is_resting; /* else it waits */
    atomic_uint waits;      /* that ended */
};

static void *wait_until_stopped(void *arg)
{
    struct waiter *waiter = arg;
    while (!pause_is_stopped(waiter->pause)) {
        if (atomic_load(&waiter->is_resting))
            pause_rest(waiter->pause, HOUR_MS);
        else
            pause_wait(waiter->pause, HOUR_MS);
        (void)atomic_fetch_add(&waiter->waits, 1);
    }
    return NULL;
}

static void stop_and_join(struct waiter *waiter, pthread_t thread)
{
    pause_stop(waiter->pause);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_stop_wakes_at_once_whoever_waits_or_rests(void **state)
{
    for (int is_resting = 0; is_resting < 2; is_resting++) {
        struct pause *pause = pause_new();
        struct waiter waiter = { .pause = pause, .is_resting = is_resting };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wait_until_stopped, &waiter), 0);
        stop_and_join(&waiter, thread);
        pause_destroy(&pause);
    }
    (void)state;
}

static void no_wake_is_lost_however_it_falls(void **state)
{
    enum { WAKES = 2000 };
    struct waiter waiter = { .pause = *state };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_until_stopped, &waiter), 0);
    for (unsigned n = 1; n <= WAKES; n++) {
        pause_wake(waiter.pause);
        while (atomic_load(&waiter.waits) < n)
            (void)sched_yield();
    }
    assert_int_equal(atomic_load(&waiter.waits), WAKES); /* and none was felt twice */
    stop_and_join(&waiter, thread);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_waits_as_long_as_told),
        T(no_time_or_less_is_no_wait),
        T(a_wake_before_it_waits_is_kept_once),
        T(a_rest_is_not_ended_by_a_wake_and_keeps_it),
        T(stopped_it_never_waits_again),
        T(a_stop_wakes_at_once_whoever_waits_or_rests),
        T(no_wake_is_lost_however_it_falls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
