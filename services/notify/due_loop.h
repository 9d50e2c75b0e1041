/* due_loop - a thread that runs what an inbox brings and does what is due when it is due: what
 * alerts and the outbox each have one of. */
#ifndef DESG_NOTIFY_DUE_LOOP_H
#define DESG_NOTIFY_DUE_LOOP_H

#include <stdint.h>

#include <czmq.h>

#include "error/error.h"
#include "notify/inbox.h"

struct due_loop;

struct due_loop_options {
    const char *name;    /* of the thread, at most 15 characters; literal */
    struct inbox *inbox; /* borrowed; outlives the loop */
    int64_t tick_ms;
    /* Does what is due, and says when something will be next (monotonic, INT64_MAX: never). Called
     * after everything the loop did, on its thread. */
    int64_t (*run)(void *arg);
    /* Every tick_ms, on the loop's thread. It says itself when to go on: due_loop_go_on. */
    void (*tick)(void *arg);
    void *arg;
};

/* No thread yet: what else the loop serves is added to due_loop_zloop before due_loop_start. */
struct due_loop *due_loop_new(const struct due_loop_options *options, struct error *err) MUST_USE;
/* Stops it. */
void due_loop_destroy(struct due_loop **self_p);

int due_loop_start(struct due_loop *self, struct error *err) MUST_USE;
/* Runs what was posted before, then the thread ends. Any thread but the loop's; nothing for NULL
 * or a loop that was not started. */
void due_loop_stop(struct due_loop *self);

zloop_t *due_loop_zloop(struct due_loop *self);

/* Calls run and arms a timer for what will be due before the next tick. On the loop's thread. */
void due_loop_go_on(struct due_loop *self);

#endif
