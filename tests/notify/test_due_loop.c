/* The loop that alerts and the outbox each have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "notify/due_loop.h"

enum { LONG_MS = 20000 };

struct fixture {
    struct inbox *inbox;
    struct due_loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t due_ms; /* guarded by lock, as all below */
    unsigned runs;
    unsigned due_runs; /* with something due */
    unsigned ticks;
    unsigned items;
    char thread[16];
};

static int64_t run(void *arg)
{
    struct fixture *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    f->runs++;
    if (f->due_ms <= clock_monotonic_ms()) {
        f->due_runs++;
        f->due_ms = INT64_MAX;
    }
    int64_t due_ms = f->due_ms;
    (void)pthread_getname_np(pthread_self(), f->thread, sizeof f->thread);
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
    return due_ms;
}

static void tick(void *arg)
{
    struct fixture *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    f->ticks++;
    (void)pthread_mutex_unlock(&f->lock);
    due_loop_go_on(f->loop);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    assert_non_null(f);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    f->due_ms = INT64_MAX;
    f->inbox = inbox_new(&err);
    assert_non_null(f->inbox);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    due_loop_destroy(&f->loop);
    inbox_destroy(&f->inbox);
    (void)pthread_cond_destroy(&f->changed);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void start(struct fixture *f, int64_t tick_ms)
{
    struct error err = { 0 };
    const struct due_loop_options options = { .name = "test-loop",
                                              .inbox = f->inbox,
                                              .tick_ms = tick_ms,
                                              .run = run,
                                              .tick = tick,
                                              .arg = f };
    f->loop = due_loop_new(&options, &err);
    assert_non_null(f->loop);
    assert_int_equal(due_loop_start(f->loop, &err), 0);
}

struct item {
    struct inbox_item item;
    struct fixture *fixture;
    int64_t due_ms;
};

static void discard_item(struct inbox_item *item)
{
    free(item);
}

static void run_item(struct inbox_item *item_in)
{
    struct item *item = (struct item *)item_in;
    struct fixture *f = item->fixture;
    (void)pthread_mutex_lock(&f->lock);
    f->items++;
    f->due_ms = item->due_ms;
    (void)pthread_mutex_unlock(&f->lock);
    free(item);
}

static void post(struct fixture *f, int64_t due_ms)
{
    struct item *item = calloc(1, sizeof *item);
    assert_non_null(item);
    item->item.run = run_item;
    item->item.discard = discard_item;
    item->fixture = f;
    item->due_ms = due_ms;
    inbox_post(f->inbox, &item->item);
}

static void wait_for(struct fixture *f, const unsigned *count, unsigned wanted)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LONG_MS / 1000;
    (void)pthread_mutex_lock(&f->lock);
    int rc = 0;
    while (*count < wanted && rc == 0)
        rc = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    bool is_there = *count >= wanted;
    (void)pthread_mutex_unlock(&f->lock);
    assert_true(is_there);
}

/* Nothing but the posted item can have run it: the tick is an hour away. */
static void what_is_posted_runs_at_once_and_what_is_due_after_it(void **state)
{
    struct fixture *f = *state;
    start(f, 3600000);
    post(f, 0);
    wait_for(f, &f->due_runs, 1);
    assert_int_equal(f->items, 1);
    assert_string_equal(f->thread, "test-loop");
}

static void what_is_due_before_the_tick_gets_a_timer(void **state)
{
    struct fixture *f = *state;
    start(f, 3600000);
    post(f, clock_monotonic_ms() + 20);
    wait_for(f, &f->due_runs, 1);
    due_loop_stop(f->loop);
    assert_int_equal(f->ticks, 0);
}

static void an_earlier_moment_takes_the_timers_place(void **state)
{
    struct fixture *f = *state;
    start(f, 3600000);
    post(f, clock_monotonic_ms() + 3500000);
    wait_for(f, &f->runs, 1);
    post(f, clock_monotonic_ms() + 10);
    wait_for(f, &f->due_runs, 1);
    due_loop_stop(f->loop);
    assert_int_equal(f->ticks, 0);
}

static void the_tick_comes_again_and_again(void **state)
{
    struct fixture *f = *state;
    start(f, 5);
    wait_for(f, &f->ticks, 3);
    assert_int_equal(f->due_runs, 0);
}

static void what_was_posted_before_the_end_is_run(void **state)
{
    struct fixture *f = *state;
    start(f, 3600000);
    for (unsigned i = 0; i < 1000; i++)
        post(f, INT64_MAX);
    due_loop_stop(f->loop);
    assert_int_equal(f->items, 1000);
    post(f, INT64_MAX); /* too late: discarded with the inbox */
    due_loop_stop(f->loop);
    assert_int_equal(f->items, 1000);
}

static void a_loop_that_was_not_started_ends_too(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    const struct due_loop_options options = {
        .name = "idle", .inbox = f->inbox, .tick_ms = 5, .run = run, .tick = tick, .arg = f
    };
    f->loop = due_loop_new(&options, &err);
    assert_non_null(f->loop);
    assert_non_null(due_loop_zloop(f->loop));
    due_loop_destroy(&f->loop);
    due_loop_stop(f->loop);
    assert_int_equal(f->runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_posted_runs_at_once_and_what_is_due_after_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_due_before_the_tick_gets_a_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(an_earlier_moment_takes_the_timers_place, setup, teardown),
        cmocka_unit_test_setup_teardown(the_tick_comes_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_posted_before_the_end_is_run, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_that_was_not_started_ends_too, setup, teardown),
    };
    return cmocka_run_group_tests_name("due_loop", tests, NULL, NULL);
}
