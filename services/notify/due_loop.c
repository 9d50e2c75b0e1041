#include "notify/due_loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clock/clock.h"

struct due_loop {
    struct due_loop_options options;
    zloop_t *loop;
    int timer; /* 0: none armed */
    int64_t timer_due_ms;
    pthread_t thread;
    bool has_thread;
    bool is_stopping; /* the loop's own */
};

static int on_due(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    struct due_loop *self = arg;
    if (timer == self->timer)
        self->timer = 0;
    due_loop_go_on(self);
    return 0;
}

void due_loop_go_on(struct due_loop *self)
{
    int64_t due_ms = self->options.run(self->options.arg);
    int64_t now_ms = clock_monotonic_ms();
    if (self->timer != 0 && self->timer_due_ms == due_ms)
        return;
    if (self->timer != 0)
        (void)zloop_timer_end(self->loop, self->timer); /* it is there, or has just run */
    self->timer = 0;
    if (due_ms > now_ms + self->options.tick_ms)
        return;
    size_t delay_ms = due_ms > now_ms ? (size_t)(due_ms - now_ms) : 1;
    self->timer = zloop_timer(self->loop, delay_ms, 1, on_due, self);
    self->timer_due_ms = due_ms;
    if (self->timer < 0)
        self->timer = 0; /* no memory: the tick does it */
}

static int on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct due_loop *self = arg;
    self->options.tick(self->options.arg);
    return 0;
}

static int on_inbox(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    struct due_loop *self = arg;
    inbox_run(self->options.inbox);
    due_loop_go_on(self);
    return self->is_stopping ? -1 : 0;
}

static int open_loop(struct due_loop *self)
{
    zmq_pollitem_t inbox = { .fd = inbox_descriptor(self->options.inbox), .events = ZMQ_POLLIN };
    self->loop = zloop_new();
    if (!self->loop)
        return -1;
    zloop_set_nonstop(self->loop, true); /* signals are the service's */
    if (zloop_poller(self->loop, &inbox, on_inbox, self) != 0 ||
        zloop_timer(self->loop, (size_t)self->options.tick_ms, 0, on_tick, self) < 0)
        return -1;
    zloop_poller_set_tolerant(self->loop, &inbox);
    return 0;
}

struct due_loop *due_loop_new(const struct due_loop_options *options, struct error *err)
{
    struct due_loop *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the loop '%s'", options->name);
        return NULL;
    }
    self->options = *options;
    if (open_loop(self) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot start the loop '%s'", options->name);
        due_loop_destroy(&self);
    }
    return self;
}

void due_loop_destroy(struct due_loop **self_p)
{
    struct due_loop *self = *self_p;
    if (!self)
        return;
    due_loop_stop(self);
    zloop_destroy(&self->loop);
    free(self);
    *self_p = NULL;
}

zloop_t *due_loop_zloop(struct due_loop *self)
{
    return self->loop;
}

static void *loop_thread(void *arg)
{
    struct due_loop *self = arg;
    (void)pthread_setname_np(pthread_self(), self->options.name);
    (void)zloop_start(self->loop); /* ends when on_inbox says so */
    return NULL;
}

int due_loop_start(struct due_loop *self, struct error *err)
{
    if (pthread_create(&self->thread, NULL, loop_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the thread '%s'", self->options.name);
    self->has_thread = true;
    return 0;
}

struct stop_item {
    struct inbox_item item;
    struct due_loop *loop;
};

static void discard_stop(struct inbox_item *item)
{
    free(item);
}

static void run_stop(struct inbox_item *item)
{
    ((struct stop_item *)item)->loop->is_stopping = true;
    free(item);
}

void due_loop_stop(struct due_loop *self)
{
    if (!self || !self->has_thread)
        return;
    struct stop_item *stop = calloc(1, sizeof *stop);
    if (!stop)
        abort();
    stop->item.run = run_stop;
    stop->item.discard = discard_stop;
    stop->loop = self;
    inbox_post(self->options.inbox, &stop->item);
    (void)pthread_join(self->thread, NULL);
    self->has_thread = false;
}
