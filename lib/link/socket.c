#include "link/socket.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "link/link.h"

struct option {
    int name;
    int value;
};

static const struct option common_options[] = {
    { ZMQ_LINGER, 0 },     /* whoever needs delivery waits for an answer, not for a close */
    { ZMQ_SNDHWM, 20000 }, /* never reached: credit is the bound */
    { ZMQ_RCVHWM, 20000 },       { ZMQ_IPV6, 1 },
    { ZMQ_HEARTBEAT_IVL, 1000 }, { ZMQ_HEARTBEAT_TIMEOUT, 3000 },
    { ZMQ_HEARTBEAT_TTL, 3000 }, { ZMQ_HANDSHAKE_IVL, 3000 },
    { ZMQ_TCP_MAXRT, 5000 },
};

static const struct option router_options[] = {
    { ZMQ_ROUTER_MANDATORY, 1 }, /* else a packet for nobody is dropped without a word */
    { ZMQ_BACKLOG, 256 },
};

static const struct option dealer_options[] = {
    { ZMQ_IMMEDIATE, 1 }, /* else packets queue up for an address that never answers */
    { ZMQ_CONNECT_TIMEOUT, 2000 },
    { ZMQ_RECONNECT_IVL, 100 },
    { ZMQ_RECONNECT_IVL_MAX, 2000 },
};

static int set_options(void *socket, const struct option *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) != 0)
            return -1;
    return 0;
}

static void *socket_new(void *context, int type, const struct option *options, size_t count,
                        struct error *err)
{
    assert(context);
    const int64_t frame_max_bytes = LINK_FRAME_MAX_BYTES;
    void *socket = zmq_socket(context, type);
    if (socket &&
        set_options(socket, common_options, sizeof common_options / sizeof common_options[0]) ==
            0 &&
        set_options(socket, options, count) == 0 &&
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max_bytes, sizeof frame_max_bytes) == 0)
        return socket;
    (void)error_set(err, ERROR_SYSTEM, "cannot make a socket: %s", zmq_strerror(zmq_errno()));
    if (socket)
        (void)zmq_close(socket); /* fails only for what is no socket */
    return NULL;
}

void *socket_router(void *context, struct error *err)
{
    return socket_new(context, ZMQ_ROUTER, router_options,
                      sizeof router_options / sizeof router_options[0], err);
}

void *socket_dealer(void *context, struct error *err)
{
    return socket_new(context, ZMQ_DEALER, dealer_options,
                      sizeof dealer_options / sizeof dealer_options[0], err);
}
