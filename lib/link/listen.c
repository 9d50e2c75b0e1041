#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "link/endpoint.h"
#include "link/link_private.h"
#include "link/monitor.h"
#include "link/security.h"
#include "link/socket.h"
#include "log/log.h"

enum { ROUTE_BYTES = 5 }; /* of the ids that a ROUTER makes itself */

struct listener {
    struct link *link;
    void *router;
    void *monitor;
    int probe_timer; /* -1: none */
    char endpoint[ENDPOINT_ADDRESS_BYTES];
};

static uint64_t route_of(const void *bytes)
{
    uint8_t route[sizeof(uint64_t)] = { [sizeof(uint64_t) - 1] = 1 }; /* never 0 */
    uint64_t result = 0;
    memcpy(route, bytes, ROUTE_BYTES);
    memcpy(&result, route, sizeof result);
    return result;
}

/* Reads one packet. Returns false when there is none. */
static bool take_one(struct listener *self, zmq_msg_t *head, zmq_msg_t *frame)
{
    if (zmq_msg_recv(head, self->router, ZMQ_DONTWAIT) < 0)
        return false;
    if (!zmq_msg_more(head) || zmq_msg_recv(frame, self->router, ZMQ_DONTWAIT) < 0)
        return true; /* a ROUTER always gives an id and a frame */
    bool is_whole = frame_is_whole(self->router, frame);
    struct place place = { 0 };
    if (zmq_msg_size(head) == ROUTE_BYTES)
        place.route = route_of(zmq_msg_data(head));
    if (is_whole && place.route != 0)
        protocol_take(self->link, &place, frame);
    else
        protocol_refuse(self->link, REFUSAL_SHAPE, zmq_msg_size(frame));
    return true;
}

static int on_readable(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    struct listener *self = arg;
    self->link->now_ms = clock_monotonic_ms();
    zmq_msg_t head;
    zmq_msg_t frame;
    (void)zmq_msg_init(&head); /* cannot fail */
    (void)zmq_msg_init(&frame);
    for (int i = 0; i < LINK_PACKETS_PER_WAKE && take_one(self, &head, &frame); i++)
        ;
    (void)zmq_msg_close(&head);
    (void)zmq_msg_close(&frame);
    return 0;
}

static int on_probe(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct listener *self = arg;
    self->probe_timer = -1;
    self->link->now_ms = clock_monotonic_ms();
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(self->link->peers, &cursor));)
        protocol_ping(self->link, peer);
    return 0;
}

/* libzmq does not say whose connection ended. A Ping to each finds out: a ROUTER refuses to send to
 * one it no longer has. A moment later, as it learns of it by another way than we do. */
static int on_monitor(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)item;
    struct listener *self = arg;
    self->link->now_ms = clock_monotonic_ms();
    for (enum monitor_event event; (event = monitor_next(self->monitor)) != MONITOR_NONE;) {
        if (event == MONITOR_CLOSED && self->probe_timer < 0)
            self->probe_timer = zloop_timer(loop, 20, 1, on_probe, self);
        else if (event == MONITOR_REFUSED_PROTOCOL)
            protocol_refuse(self->link, REFUSAL_HANDSHAKE, 0);
        else if (event == MONITOR_REFUSED_KEY)
            counter_add(self->link->counters.refused[REFUSAL_KEY], 1); /* key_refused is logged */
    }
    return 0;
}

static int bind_router(struct listener *self, const struct endpoint *endpoint, struct error *err)
{
    const struct link_security *security = self->link->options.security;
    char address[ENDPOINT_ADDRESS_BYTES];
    endpoint_address(endpoint, NULL, address);
    if (endpoint_check_bind(endpoint, err) != 0)
        return -1;
    if (security && endpoint->kind != ENDPOINT_IPC &&
        security_apply_listener(security, self->router, err) != 0)
        return -1;
    if (zmq_bind(self->router, address) != 0)
        return error_set(err, ERROR_CONFIG, "cannot bind %s: %s", address,
                         zmq_strerror(zmq_errno()));
    size_t size = sizeof self->endpoint;
    if (zmq_getsockopt(self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &size) != 0)
        memcpy(self->endpoint, address, sizeof address);
    if (!security && !endpoint_is_local(endpoint))
        log_warn("link_unprotected", KV("link", self->link->options.label),
                 KV("endpoint", self->endpoint), KV("remedy", "configure curve"));
    return 0;
}

static int watch(struct listener *self, struct error *err)
{
    zmq_pollitem_t news = { .socket = self->monitor, .events = ZMQ_POLLIN };
    zmq_pollitem_t packets = { .socket = self->router, .events = ZMQ_POLLIN };
    zloop_t *loop = self->link->options.loop;
    if (zloop_poller(loop, &news, on_monitor, self) != 0 ||
        zloop_poller(loop, &packets, on_readable, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot watch %s", self->endpoint);
    zloop_poller_set_tolerant(loop, &news); /* else zloop drops one at its first error */
    zloop_poller_set_tolerant(loop, &packets);
    return 0;
}

struct listener *listener_new(struct link *link, const char *text, struct error *err)
{
    struct endpoint endpoint;
    if (endpoint_parse(text, &endpoint, err) != 0)
        return NULL;
    struct listener *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a listener");
        return NULL;
    }
    self->link = link;
    self->probe_timer = -1;
    self->router = socket_router(link->options.context, err);
    if (self->router)
        self->monitor = monitor_open(link->options.context, self->router, err);
    if (!self->monitor || bind_router(self, &endpoint, err) != 0 || watch(self, err) != 0)
        listener_destroy(&self);
    return self;
}

void listener_destroy(struct listener **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct listener *self = *self_p;
    zloop_t *loop = self->link->options.loop;
    if (self->probe_timer >= 0)
        (void)zloop_timer_end(loop, self->probe_timer);
    if (self->router) {
        zmq_pollitem_t packets = { .socket = self->router };
        zmq_pollitem_t news = { .socket = self->monitor };
        zloop_poller_end(loop, &packets);
        if (self->monitor)
            zloop_poller_end(loop, &news);
        monitor_close(&self->monitor, self->router);
        (void)zmq_close(self->router); /* fails only for what is no socket */
    }
    free(self);
    *self_p = NULL;
}

const char *listener_endpoint(const struct listener *self)
{
    return self->endpoint;
}

enum sent listener_transmit(struct listener *self, uint64_t route, zmq_msg_t *frame)
{
    /* The id first: only here does ROUTER say that there is nobody, or no room. */
    if (zmq_send(self->router, &route, ROUTE_BYTES, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return zmq_errno() == EHOSTUNREACH ? SENT_NOBODY : SENT_NOT_NOW;
    return zmq_msg_send(frame, self->router, ZMQ_DONTWAIT) < 0 ? SENT_NOT_NOW : SENT;
}
