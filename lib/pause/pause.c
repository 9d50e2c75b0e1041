#include "pause/pause.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct pause {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool is_woken;
    bool is_stopped;
};

struct pause *pause_new(void)
{
    struct pause *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* before the thread there is nothing to lose */
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&self->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return self;
}

void pause_destroy(struct pause **self_p)
{
    struct pause *self = *self_p;
    if (!self)
        return;
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

static struct timespec after_ms(int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (ms < 0)
        ms = 0;
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

static void wait_for(struct pause *self, int64_t ms, bool may_be_woken)
{
    const struct timespec until = after_ms(ms);
    int rc = 0;
    (void)pthread_mutex_lock(&self->lock);
    while (rc != ETIMEDOUT && !self->is_stopped && !(may_be_woken && self->is_woken))
        rc = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    if (may_be_woken)
        self->is_woken = false;
    (void)pthread_mutex_unlock(&self->lock);
}

void pause_wait(struct pause *self, int64_t ms)
{
    wait_for(self, ms, true);
}

void pause_rest(struct pause *self, int64_t ms)
{
    wait_for(self, ms, false);
}

void pause_wake(struct pause *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_woken = true;
    (void)pthread_cond_signal(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
}

void pause_stop(struct pause *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_stopped = true;
    (void)pthread_cond_signal(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
}

bool pause_is_stopped(struct pause *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_stopped = self->is_stopped;
    (void)pthread_mutex_unlock(&self->lock);
    return is_stopped;
}
