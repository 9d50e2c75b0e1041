/* inbox - how other threads speak to the loop: they post items, the loop runs them in order. Only
 * items cross threads, each with one owner at a time. */
#ifndef DESG_NOTIFY_INBOX_H
#define DESG_NOTIFY_INBOX_H

#include "error/error.h"

/* First member of what is posted. */
struct inbox_item {
    struct inbox_item *next;
    void (*run)(struct inbox_item *item);     /* on the loop's thread; takes the item */
    void (*discard)(struct inbox_item *item); /* instead of run, once the loop has ended */
};

struct inbox;

struct inbox *inbox_new(struct error *err) MUST_USE;
/* Discards what is left. No thread may post any more. */
void inbox_destroy(struct inbox **self_p);

/* Any thread. Takes the item. */
void inbox_post(struct inbox *self, struct inbox_item *item);

/* Readable while items wait. */
int inbox_descriptor(const struct inbox *self);

/* Runs what waits now. The loop's thread only. */
void inbox_run(struct inbox *self);

#endif
