#include "notify/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/eventfd.h>
#include <unistd.h>

struct inbox {
    int descriptor;
    pthread_mutex_t lock; /* guards both below */
    struct inbox_item *first;
    struct inbox_item **end;
};

struct inbox *inbox_new(struct error *err)
{
    struct inbox *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the inbox");
        return NULL;
    }
    self->end = &self->first;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    self->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->descriptor < 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
        inbox_destroy(&self);
    }
    return self;
}

void inbox_destroy(struct inbox **self_p)
{
    struct inbox *self = *self_p;
    if (!self)
        return;
    while (self->first) {
        struct inbox_item *item = self->first;
        self->first = item->next;
        item->discard(item);
    }
    if (self->descriptor >= 0)
        (void)close(self->descriptor);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void inbox_post(struct inbox *self, struct inbox_item *item)
{
    item->next = NULL;
    (void)pthread_mutex_lock(&self->lock);
    *self->end = item;
    self->end = &item->next;
    (void)pthread_mutex_unlock(&self->lock);
    uint64_t one = 1;
    if (write(self->descriptor, &one, sizeof one) < 0 && errno != EAGAIN)
        abort(); /* a full counter (EAGAIN) wakes as well; nothing else can happen to an eventfd */
}

int inbox_descriptor(const struct inbox *self)
{
    return self->descriptor;
}

void inbox_run(struct inbox *self)
{
    uint64_t posts = 0;
    if (read(self->descriptor, &posts, sizeof posts) < 0 && errno != EAGAIN && errno != EINTR)
        abort();
    (void)pthread_mutex_lock(&self->lock);
    struct inbox_item *item = self->first;
    self->first = NULL;
    self->end = &self->first;
    (void)pthread_mutex_unlock(&self->lock);
    while (item) {
        struct inbox_item *next = item->next;
        item->run(item);
        item = next;
    }
}
