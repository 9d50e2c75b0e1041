/* monitor - what libzmq says of one socket's connections. It is the only place that tells of a
 * protocol error, after which libzmq never connects again.
 * Threads: a monitor belongs to the thread of its socket. */
#ifndef DESG_LINK_MONITOR_H
#define DESG_LINK_MONITOR_H

#include "error/error.h"

enum monitor_event {
    MONITOR_NONE,             /* nothing more to read now */
    MONITOR_CONNECTED,        /* the other end took the connection; no handshake yet */
    MONITOR_OPENED,           /* handshake done: packets can be sent */
    MONITOR_CLOSED,           /* an open connection ended */
    MONITOR_REFUSED_PROTOCOL, /* the other end speaks something else */
    MONITOR_REFUSED_KEY,      /* CURVE: a key was refused */
    MONITOR_REFUSED           /* handshake failed otherwise */
};

/* Watches socket; returns the socket to poll and read from, or NULL (ERROR_SYSTEM). Call it before
 * binding or connecting. */
void *monitor_open(void *context, void *socket, struct error *err) MUST_USE;

/* Ends the watch. Call it before closing socket. */
void monitor_close(void **monitor_p, void *socket);

enum monitor_event monitor_next(void *monitor);

/* For logs: refused_protocol, closed … */
const char *monitor_event_name(enum monitor_event event);

#endif
