/* pause - how a service's own thread waits: for a time, until there is something to do, or until it
 * is to end, whichever comes first. By the monotonic clock: a wall clock set back keeps nobody
 * waiting. Threads: one thread waits; any may wake and stop it. What tells it what to do has its
 * own lock: it is put there first, then comes the wake, which is kept while nobody waits. */
#ifndef DESG_PAUSE_H
#define DESG_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

struct pause;

/* Never NULL: ends the program for want of memory. The caller releases it with pause_destroy, once
 * the thread that waits has been joined. */
struct pause *pause_new(void);
void pause_destroy(struct pause **self_p);

/* Waits for ms milliseconds, or until pause_wake or pause_stop. A wake since the last such wait
 * ends it at once, and so does a stop for good. */
void pause_wait(struct pause *self, int64_t ms);

/* As pause_wait, but a wake does not end it; it is kept for the next pause_wait. */
void pause_rest(struct pause *self, int64_t ms);

/* There is something to do. Several before a wait are one. */
void pause_wake(struct pause *self);

/* The thread is to end: no wait waits any more. */
void pause_stop(struct pause *self);
bool pause_is_stopped(struct pause *self);

#endif
