#include "ingest/http_waiting.h"

#include <pthread.h>
#include <stdlib.h>

struct waiting {
    pthread_mutex_t lock;
    struct waiter *first;
    size_t count;
};

struct waiting *waiting_new(struct error *err)
{
    struct waiting *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the list of waiting requests");
        return NULL;
    }
    (void)pthread_mutex_init(&self->lock, NULL);
    return self;
}

void waiting_destroy(struct waiting **self_p)
{
    if (!*self_p)
        return;
    (void)pthread_mutex_destroy(&(*self_p)->lock);
    free(*self_p);
    *self_p = NULL;
}

void waiting_add(struct waiting *self, struct waiter *waiter)
{
    MHD_suspend_connection(waiter->connection); /* before anybody could resume it */
    (void)pthread_mutex_lock(&self->lock);
    waiter->previous = NULL;
    waiter->next = self->first;
    if (self->first)
        self->first->previous = waiter;
    self->first = waiter;
    waiter->is_listed = true;
    self->count++;
    (void)pthread_mutex_unlock(&self->lock);
}

static void unlist(struct waiting *self, struct waiter *waiter, enum answer answer)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        self->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    waiter->is_listed = false;
    waiter->answer = answer;
    self->count--;
}

bool waiting_end(struct waiting *self, struct waiter *waiter, enum answer answer)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_mine = waiter->is_listed;
    if (is_mine)
        unlist(self, waiter, answer);
    (void)pthread_mutex_unlock(&self->lock);
    if (is_mine)
        MHD_resume_connection(waiter->connection);
    return is_mine;
}

size_t waiting_sweep(struct waiting *self, int64_t now_ms, enum answer answer)
{
    struct waiter *over = NULL;
    size_t count = 0;
    (void)pthread_mutex_lock(&self->lock);
    for (struct waiter *waiter = self->first, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->ends_at_ms > now_ms)
            continue;
        unlist(self, waiter, answer);
        waiter->next = over;
        over = waiter;
        count++;
    }
    (void)pthread_mutex_unlock(&self->lock);
    while (over) {
        struct waiter *next = over->next; /* resumed, it may be gone at once */
        MHD_resume_connection(over->connection);
        over = next;
    }
    return count;
}

size_t waiting_count(struct waiting *self)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = self->count;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}
