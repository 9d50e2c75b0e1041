/* signals - SIGTERM, SIGINT and SIGHUP as something to wait for, together with a wake-up from any
 * thread. signals_open() blocks them in the calling thread, so it comes before the first thread is
 * started: all then inherit the mask, and a handler that a library installs never runs. */
#ifndef DESG_SERVICE_SIGNALS_H
#define DESG_SERVICE_SIGNALS_H

#include "error/error.h"

struct signals {
    int signal_fd;
    int wake_fd;
};

enum signals_event {
    SIGNALS_NONE, /* time is over */
    SIGNALS_STOP,
    SIGNALS_RELOAD,
    SIGNALS_WOKEN,
};

int signals_open(struct signals *self, struct error *err) MUST_USE;
void signals_close(struct signals *self);

/* Waits at most timeout_ms (-1: for ever). A wake-up is told before a signal. */
enum signals_event signals_wait(struct signals *self, int timeout_ms);

/* From any thread: ends a wait, now and at each later one. */
void signals_wake(struct signals *self);

#endif
