#include "service/heartbeats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct heartbeat {
    const char *name;
    _Atomic int64_t last_ms;
    struct heartbeat *next;
};

struct heartbeats {
    pthread_mutex_t lock; /* of the list, never held while a loop beats */
    struct heartbeat *first;
};

struct heartbeats *heartbeats_new(void)
{
    struct heartbeats *self = calloc(1, sizeof *self);
    if (!self || pthread_mutex_init(&self->lock, NULL) != 0)
        abort(); /* at start only */
    return self;
}

void heartbeats_destroy(struct heartbeats **self_p)
{
    if (!*self_p)
        return;
    struct heartbeat *next = NULL;
    for (struct heartbeat *each = (*self_p)->first; each; each = next) {
        next = each->next;
        free(each);
    }
    (void)pthread_mutex_destroy(&(*self_p)->lock);
    free(*self_p);
    *self_p = NULL;
}

struct heartbeat *heartbeats_add(struct heartbeats *self, const char *name, int64_t now_ms)
{
    struct heartbeat *made = calloc(1, sizeof *made);
    if (!made)
        abort(); /* at start only */
    made->name = name;
    heartbeat_beat_at(made, now_ms);
    (void)pthread_mutex_lock(&self->lock);
    made->next = self->first;
    self->first = made;
    (void)pthread_mutex_unlock(&self->lock);
    return made;
}

void heartbeat_beat_at(struct heartbeat *self, int64_t now_ms)
{
    atomic_store_explicit(&self->last_ms, now_ms, memory_order_relaxed);
}

const char *heartbeats_stuck(struct heartbeats *self, int64_t now_ms)
{
    const char *stuck = NULL;
    (void)pthread_mutex_lock(&self->lock);
    for (struct heartbeat *each = self->first; each && !stuck; each = each->next)
        if (now_ms - atomic_load_explicit(&each->last_ms, memory_order_relaxed) >
            HEARTBEAT_LIMIT_MS)
            stuck = each->name;
    (void)pthread_mutex_unlock(&self->lock);
    return stuck;
}
