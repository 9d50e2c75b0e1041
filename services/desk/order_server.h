/* order_server - broadcasts of other programs over ZeroMQ: a ROUTER that takes a BroadcastOrder a
 * message, from a DEALER (or a REQ, with its empty frame), and answers each with a BroadcastAnswer.
 * One order at a time, in the order they come; what is none is answered with 400 or, framed wrong,
 * dropped and counted. Threads: one of its own. */
#ifndef DESG_DESK_ORDER_SERVER_H
#define DESG_DESK_ORDER_SERVER_H

#include <stdbool.h>

#include "desk/broadcast_order.h"
#include "error/error.h"
#include "metrics/metrics.h"
#include "service/service.h"

enum { ORDER_MAX_BYTES = 128 << 10 };

struct order_server;
struct link_security;

struct order_server_options {
    const char *endpoint;                 /* tcp://127.0.0.1:5611, ipc:///run/desg/orders */
    void *context;                        /* ZeroMQ's; borrowed, as all below */
    const struct link_security *security; /* NULL: plain, which is refused off this machine */
    struct broadcast_order_asker asker;   /* called by the server's thread */
    struct metrics *metrics;
    struct heartbeat *heartbeat; /* may be NULL */
};

struct order_server *order_server_start(const struct order_server_options *options,
                                        struct error *err) MUST_USE;
/* As libzmq says it: tells the port chosen for tcp://127.0.0.1:0. */
const char *order_server_endpoint(const struct order_server *self);

/* From now on orders get 503; the one in hand still gets its answer. */
void order_server_drain(struct order_server *self);
bool order_server_is_drained(struct order_server *self);
/* Finishes what is in hand, stops listening, joins the thread. Before the context ends. */
void order_server_destroy(struct order_server **self_p);

#endif
