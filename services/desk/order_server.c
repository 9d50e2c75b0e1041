#include "desk/order_server.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.h>

#include "link/endpoint.h"
#include "link/security.h"
#include "link/socket.h"
#include "log/log.h"
#include "unpack/unpack.h"

enum { FRAMES_MAX = 3, WAITING_MAX = 256, POLL_MS = 1000 };

struct order_server {
    struct order_server_options options;
    void *socket; /* the thread's own once it runs */
    int wake;     /* eventfd */
    pthread_t thread;
    bool has_thread;
    char endpoint[ENDPOINT_ADDRESS_BYTES];
    struct counter *done;
    struct counter *refused;
    struct counter *garbage;
    struct counter *unsent;
    atomic_bool is_draining;
    atomic_bool is_stopping;
    atomic_bool is_busy;
};

/* --- one message --- */

struct message {
    zmq_msg_t frames[FRAMES_MAX + 1]; /* who, (an empty one), an order; room for one too many */
    size_t count;                     /* more than FRAMES_MAX: too many; their rest is gone */
};

/* False: nothing is there. */
static bool receive(struct order_server *self, struct message *out)
{
    out->count = 0;
    for (bool has_more = true; has_more; out->count++) {
        bool is_extra = out->count >= FRAMES_MAX;
        zmq_msg_t *frame = &out->frames[is_extra ? FRAMES_MAX : out->count];
        (void)zmq_msg_init(frame); /* cannot fail */
        if (zmq_msg_recv(frame, self->socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(frame);
            return out->count > 0;
        }
        has_more = zmq_msg_more(frame);
        if (is_extra)
            (void)zmq_msg_close(frame);
    }
    return true;
}

static void close_message(struct message *message)
{
    for (size_t i = 0; i < message->count && i < FRAMES_MAX; i++)
        (void)zmq_msg_close(&message->frames[i]);
}

static bool is_framed(struct message *message)
{
    return message->count >= 2 && message->count <= FRAMES_MAX &&
           (message->count == 2 || zmq_msg_size(&message->frames[1]) == 0);
}

/* NULL: it is none. A want of memory ends the process as elsewhere: the order comes again. */
static Desg__V1__BroadcastOrder *read_order(struct message *message)
{
    zmq_msg_t *frame = &message->frames[message->count - 1];
    Desg__V1__BroadcastOrder *order = unpack_or_end(&desg__v1__broadcast_order__descriptor,
                                                    zmq_msg_data(frame), zmq_msg_size(frame));
    if (order && order->base.n_unknown_fields == 0)
        return order;
    if (order)
        desg__v1__broadcast_order__free_unpacked(order, NULL);
    return NULL;
}

static void send_answer(struct order_server *self, struct message *message,
                        const struct broadcast_order_answer *answer)
{
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i + 1 < message->count; i++)
        rc = zmq_msg_send(&message->frames[i], self->socket, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    if (rc >= 0)
        rc = zmq_send(self->socket, answer->bytes, answer->length, ZMQ_DONTWAIT);
    if (rc < 0)
        counter_add(self->unsent, 1); /* gone, or does not read: it asks again with its key */
}

static void handle(struct order_server *self, struct message *message)
{
    struct broadcast_order_answer answer = { 0 };
    if (!is_framed(message)) {
        counter_add(self->garbage, 1);
        return;
    }
    Desg__V1__BroadcastOrder *order = read_order(message);
    if (order && atomic_load(&self->is_draining))
        broadcast_order_refuse(order, &answer);
    else
        broadcast_order_answer(order, &self->options.asker, &answer);
    counter_add(!order ? self->garbage : answer.status / 100 == 2 ? self->done : self->refused, 1);
    send_answer(self, message, &answer);
    free(answer.bytes);
    if (order)
        desg__v1__broadcast_order__free_unpacked(order, NULL);
}

/* --- the thread --- */

static void take_orders(struct order_server *self)
{
    struct message message;
    for (int i = 0; i < WAITING_MAX && !atomic_load(&self->is_stopping); i++) {
        atomic_store(&self->is_busy, true);
        bool has_one = receive(self, &message);
        if (has_one) {
            handle(self, &message);
            close_message(&message);
        }
        atomic_store(&self->is_busy, false);
        if (!has_one)
            return;
        if (self->options.heartbeat)
            heartbeat_beat(self->options.heartbeat);
    }
}

static void *run(void *arg)
{
    struct order_server *self = arg;
    (void)pthread_setname_np(pthread_self(), "orders");
    while (!atomic_load(&self->is_stopping)) {
        zmq_pollitem_t items[] = { { .fd = self->wake, .events = ZMQ_POLLIN },
                                   { .socket = self->socket, .events = ZMQ_POLLIN } };
        if (zmq_poll(items, 2, POLL_MS) < 0 && errno != EINTR)
            break; /* the context is gone */
        if (self->options.heartbeat)
            heartbeat_beat(self->options.heartbeat);
        if (items[1].revents & ZMQ_POLLIN)
            take_orders(self);
    }
    return NULL;
}

/* --- life --- */

static int check_endpoint(const struct order_server *self, const struct endpoint *endpoint,
                          struct error *err)
{
    if (self->options.security || endpoint_is_local(endpoint))
        return endpoint_check_bind(endpoint, err);
    return error_set(err, ERROR_CONFIG,
                     "'%s' is reached from other machines and tokens would go in the clear: "
                     "configure common.curve, or write 127.0.0.1 or ipc://",
                     self->options.endpoint);
}

static int open_socket(struct order_server *self, struct error *err)
{
    const int64_t max_bytes = ORDER_MAX_BYTES;
    const int waiting_max = WAITING_MAX;
    struct endpoint endpoint;
    char address[ENDPOINT_ADDRESS_BYTES];
    size_t size = sizeof self->endpoint;
    if (endpoint_parse(self->options.endpoint, &endpoint, err) != 0 ||
        check_endpoint(self, &endpoint, err) != 0)
        return error_wrap(err, "desk.order_endpoint");
    self->socket = socket_router(self->options.context, err);
    if (!self->socket || (self->options.security && endpoint.kind != ENDPOINT_IPC &&
                          security_apply_listener(self->options.security, self->socket, err) != 0))
        return -1;
    endpoint_address(&endpoint, NULL, address);
    if (zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) != 0 ||
        zmq_setsockopt(self->socket, ZMQ_RCVHWM, &waiting_max, sizeof waiting_max) != 0 ||
        zmq_setsockopt(self->socket, ZMQ_SNDHWM, &waiting_max, sizeof waiting_max) != 0 ||
        zmq_bind(self->socket, address) != 0)
        return error_set(err, ERROR_CONFIG, "desk.order_endpoint: cannot listen on '%s': %s",
                         self->options.endpoint, zmq_strerror(zmq_errno()));
    if (zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->endpoint, &size) != 0)
        self->endpoint[0] = '\0';
    return 0;
}

static void make_counters(struct order_server *self)
{
    static const char name[] = "desg_desk_orders_total";
    static const char help[] = "Broadcast orders of other programs.";
    struct metrics *metrics = self->options.metrics;
    self->done = metrics_counter(metrics, name, "result=\"done\"", help);
    self->refused = metrics_counter(metrics, name, "result=\"refused\"", help);
    self->garbage = metrics_counter(metrics, name, "result=\"garbage\"", help);
    self->unsent = metrics_counter(metrics, name, "result=\"unsent\"", help);
}

static int start(struct order_server *self, struct error *err)
{
    make_counters(self);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0)
        return error_set(err, ERROR_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    if (open_socket(self, err) != 0)
        return -1;
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the thread for orders");
    self->has_thread = true;
    return 0;
}

struct order_server *order_server_start(const struct order_server_options *options,
                                        struct error *err)
{
    assert(options && options->endpoint && options->context && options->asker.ask);
    struct order_server *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for orders");
        return NULL;
    }
    self->options = *options;
    self->wake = -1;
    if (start(self, err) != 0)
        order_server_destroy(&self);
    return self;
}

const char *order_server_endpoint(const struct order_server *self)
{
    return self->endpoint;
}

void order_server_drain(struct order_server *self)
{
    atomic_store(&self->is_draining, true);
}

bool order_server_is_drained(struct order_server *self)
{
    return atomic_load(&self->is_draining) && !atomic_load(&self->is_busy);
}

void order_server_destroy(struct order_server **self_p)
{
    const uint64_t one = 1;
    struct order_server *self = *self_p;
    if (!self)
        return;
    atomic_store(&self->is_stopping, true);
    if (self->wake >= 0)
        (void)!write(self->wake, &one, sizeof one); /* full: it is awake */
    if (self->has_thread)
        (void)pthread_join(self->thread, NULL); /* ours, joined once */
    if (self->socket)
        (void)zmq_close(self->socket); /* fails only for what is no socket */
    if (self->wake >= 0)
        (void)close(self->wake);
    free(self);
    *self_p = NULL;
}
