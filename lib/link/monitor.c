#include "link/monitor.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "ids/ids.h"

/* Connects to the watch at address. It must take any number of events: libzmq's I/O thread blocks
 * on a full one, and all sockets with it. */
static void *watch(void *context, const char *address)
{
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (!monitor)
        return NULL;
    const int unlimited = 0;
    const int linger_ms = 0;
    if (zmq_setsockopt(monitor, ZMQ_RCVHWM, &unlimited, sizeof unlimited) == 0 &&
        zmq_setsockopt(monitor, ZMQ_LINGER, &linger_ms, sizeof linger_ms) == 0 &&
        zmq_connect(monitor, address) == 0)
        return monitor;
    (void)zmq_close(monitor); /* fails only for what is no socket */
    return NULL;
}

void *monitor_open(void *context, void *socket, struct error *err)
{
    assert(context && socket);
    const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    const struct id id = id_random(); /* libzmq frees a name some time after the close */
    char text[ID_TEXT_BYTES];
    id_text(id.bytes, text);
    char address[64];
    (void)snprintf(address, sizeof address, "inproc://link-monitor-%s", text); /* always fits */
    if (zmq_socket_monitor(socket, address, events) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot watch a socket: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    void *monitor = watch(context, address);
    if (!monitor) {
        (void)error_set(err, ERROR_SYSTEM, "cannot watch a socket: %s", zmq_strerror(zmq_errno()));
        (void)zmq_socket_monitor(socket, NULL, 0);
    }
    return monitor;
}

void monitor_close(void **monitor_p, void *socket)
{
    if (!*monitor_p)
        return;
    (void)zmq_socket_monitor(socket, NULL, 0);
    (void)zmq_close(*monitor_p);
    *monitor_p = NULL;
}

static enum monitor_event event_of(uint16_t number)
{
    switch (number) {
    case ZMQ_EVENT_CONNECTED:
        return MONITOR_CONNECTED;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return MONITOR_OPENED;
    case ZMQ_EVENT_DISCONNECTED:
        return MONITOR_CLOSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return MONITOR_REFUSED_PROTOCOL;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return MONITOR_REFUSED_KEY;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return MONITOR_REFUSED;
    default:
        return MONITOR_NONE; /* such as MONITOR_STOPPED, which comes whether asked for or not */
    }
}

enum monitor_event monitor_next(void *monitor)
{
    assert(monitor);
    for (;;) {
        uint8_t head[8];
        int length = zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT);
        if (length < 0)
            return MONITOR_NONE;
        (void)zmq_recv(monitor, NULL, 0, ZMQ_DONTWAIT); /* the address: parts come together */
        uint16_t number = 0;
        if (length >= (int)sizeof number)
            memcpy(&number, head, sizeof number);
        enum monitor_event event = event_of(number);
        if (event != MONITOR_NONE)
            return event;
    }
}

const char *monitor_event_name(enum monitor_event event)
{
    static const char *const names[] = { "none",   "connected",        "opened",
                                         "closed", "refused_protocol", "refused_key",
                                         "refused" };
    return names[event];
}
