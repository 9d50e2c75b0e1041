#include "node.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "clock/clock.h"
#include "link/link_private.h"

enum { LOWEST_PORT = 10000, PORTS = 20000, APART = 50 };

#if defined(__SANITIZE_THREAD__)
/* libzmq hands messages over by atomics that ThreadSanitizer cannot see in it. Our own code is
 * watched. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libzmq.so\ncalled_from_lib:libczmq.so\ncalled_from_lib:libsodium."
           "so\nrace:libzmq.so\n";
}
#endif

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/desg-link-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->endpoint, sizeof f->endpoint, "ipc://%s/hop", f->directory);
    f->context = zmq_ctx_new();
    f->loop = zloop_new();
    assert_non_null(f->context);
    assert_non_null(f->loop);
    *state = f;
    return 0;
}

static void *end_context(void *context)
{
    (void)zmq_ctx_term(context);
    return NULL;
}

/* zmq_ctx_term waits for every socket: a test that failed half-way has left some. */
static bool context_ends(void *context)
{
    pthread_t thread;
    struct timespec until;
    assert_int_equal(pthread_create(&thread, NULL, end_context, context), 0);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    zloop_destroy(&f->loop);
    bool has_ended = context_ends(f->context);
    char path[NODE_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/hop", f->directory);
    (void)unlink(path); /* libzmq has done so where a link was bound */
    (void)rmdir(f->directory);
    free(f);
    return has_ended ? 0 : -1;
}

struct watch {
    bool (*done)(void *arg);
    void *arg;
    int64_t until_ms;
    bool is_done;
};

static int on_look(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct watch *watch = arg;
    watch->is_done = watch->done && watch->done(watch->arg);
    return watch->is_done || clock_monotonic_ms() >= watch->until_ms ? -1 : 0;
}

bool run_until(zloop_t *loop, bool (*done)(void *arg), void *arg, int ms)
{
    struct watch watch = { done, arg, clock_monotonic_ms() + ms, false };
    int timer = zloop_timer(loop, 2, 0, on_look, &watch);
    assert_true(timer >= 0);
    (void)zloop_start(loop);
    (void)zloop_timer_end(loop, timer);
    return watch.is_done;
}

void run_for(zloop_t *loop, int ms)
{
    (void)run_until(loop, NULL, NULL, ms);
}

static void on_peer_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    struct node *self = arg;
    assert_non_null(info->service);
    self->peer = peer;
    self->up_count++;
    self->peer_credit_seen = link_credit(self->link, peer);
}

static void on_peer_down(void *arg, link_peer peer, bool is_drain)
{
    struct node *self = arg;
    self->down_count++;
    self->drain_count += is_drain ? 1 : 0;
    assert_int_equal(link_credit(self->link, peer), 0);
}

static void answer(struct node *self, link_peer peer, const Desg__V1__Batch *batch)
{
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    Desg__V1__DoneItem items[LINK_BATCH_MAX_ITEMS];
    Desg__V1__DoneItem *pointers[LINK_BATCH_MAX_ITEMS];
    for (size_t i = 0; i < batch->n_items; i++) {
        items[i] = (Desg__V1__DoneItem)DESG__V1__DONE_ITEM__INIT;
        items[i].position = batch->items[i]->position;
        pointers[i] = &items[i];
    }
    done.source = batch->source;
    done.n_items = batch->n_items;
    done.items = pointers;
    Desg__V1__Packet packet = link_packet_done(&done);
    struct error err = { 0 };
    if (link_send(self->link, peer, &packet, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct node *self = arg;
    self->packet_count++;
    self->kind = (int)packet->kind_case;
    if (packet->kind_case == DESG__V1__PACKET__KIND_DONE) {
        self->item_count += packet->done->n_items;
        if (self->returns_credit)
            link_credit_return(self->link, peer, (uint32_t)packet->done->n_items);
    }
    if (packet->kind_case != DESG__V1__PACKET__KIND_BATCH || packet->batch->n_items == 0)
        return;
    const Desg__V1__Item *last = packet->batch->items[packet->batch->n_items - 1];
    self->item_count += packet->batch->n_items;
    self->event_bytes = last->event.len;
    self->event_first = last->event.len > 0 ? last->event.data[0] : 0;
    if (self->is_answering)
        answer(self, peer, packet->batch);
}

void node_init(struct node *self, uint32_t seed)
{
    *self = (struct node){ .metrics = metrics_new(), .returns_credit = true };
    memcpy(self->instance.bytes, &seed, sizeof seed);
}

struct link_options node_options(struct node *self, const struct fixture *f, uint32_t credit)
{
    static const char *const channels[] = { "facebook", "x" };
    return (struct link_options){
        .service = "test",
        .name = "test-1",
        .instance = &self->instance,
        .label = "hop",
        .credit = credit,
        .channels = channels,
        .channel_count = 2,
        .context = f->context,
        .loop = f->loop,
        .metrics = self->metrics,
        .handler = { on_peer_up, on_peer_down, on_packet },
        .arg = self,
    };
}

void node_bind(struct node *self, const struct fixture *f, const char *endpoint, uint32_t credit)
{
    struct link_options options = node_options(self, f, credit);
    struct error err = { 0 };
    self->link = link_bind(&options, endpoint, &err);
    if (!self->link)
        fail_msg("%s", err.text);
}

void node_connect(struct node *self, const struct fixture *f, const char *endpoint, uint32_t credit)
{
    struct link_options options = node_options(self, f, credit);
    struct error err = { 0 };
    self->link = link_connect(&options, &endpoint, 1, &err);
    if (!self->link)
        fail_msg("%s", err.text);
}

void node_connect_by(struct node *self, const struct fixture *f, const char *endpoint,
                     const struct resolver_source *source)
{
    struct link_options options = node_options(self, f, 8);
    struct error err = { 0 };
    self->link = link_connect_by(&options, &endpoint, 1, source, &err);
    if (!self->link)
        fail_msg("%s", err.text);
}

void node_stop(struct node *self)
{
    link_destroy(&self->link);
}

void node_clear(struct node *self)
{
    link_destroy(&self->link);
    metrics_destroy(&self->metrics);
}

int node_send_batch(struct node *self, size_t count, size_t event_bytes, struct error *err)
{
    uint8_t *event = calloc(1, event_bytes + 1);
    Desg__V1__Item *items = calloc(count, sizeof *items);
    Desg__V1__Item **pointers = calloc(count, sizeof(Desg__V1__Item *));
    assert_non_null(event);
    assert_non_null(items);
    assert_non_null(pointers);
    memset(event, 0x5a, event_bytes);
    Desg__V1__Position position = DESG__V1__POSITION__INIT;
    position.sequence = 7;
    for (size_t i = 0; i < count; i++) {
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].position = &position;
        items[i].event = (ProtobufCBinaryData){ event_bytes, event };
        pointers[i] = &items[i];
    }
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.n_items = count;
    batch.items = pointers;
    Desg__V1__Packet packet = link_packet_batch(&batch);
    int rc = link_send(self->link, self->peer, &packet, err);
    free(pointers);
    free(items);
    free(event);
    return rc;
}

uint64_t node_refused(struct node *self, const char *reason)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "link=\"hop\",reason=\"%s\"", reason);
    return counter_value(
        metrics_counter(self->metrics, "desg_link_refused_packets_total", labels, ""));
}

uint64_t node_counter(struct node *self, const char *name)
{
    return counter_value(metrics_counter(self->metrics, name, "link=\"hop\"", ""));
}

bool node_is_up(void *node)
{
    const struct node *self = node;
    return self->link && link_peer_count(self->link) > 0;
}

bool node_is_alone(void *node)
{
    return !node_is_up(node);
}

int bind_to_any(uint16_t *port)
{
    int first = (int)(getpid() * (long)APART % PORTS);
    for (int i = 0; i < PORTS; i++) {
        *port = (uint16_t)(LOWEST_PORT + (first + i) % PORTS);
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(*port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        const int reuse = 1;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        assert_int_equal(close(fd), 0);
    }
    fail_msg("no port is free");
    return -1;
}

void *raw_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);
    const int linger_ms = 0;
    assert_non_null(socket);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms), 0);
    return socket;
}

void raw_send(void *socket, const Desg__V1__Packet *packet)
{
    zmq_msg_t frame;
    struct error err = { 0 };
    assert_int_equal(packet_write(packet, &frame, &err), 0);
    assert_true(zmq_msg_send(&frame, socket, 0) >= 0);
}

struct raw_wait {
    void *socket;
    zmq_msg_t frame;
    bool has_frame;
};

static bool raw_has_frame(void *arg)
{
    struct raw_wait *wait = arg;
    if (!wait->has_frame)
        wait->has_frame = zmq_msg_recv(&wait->frame, wait->socket, ZMQ_DONTWAIT) >= 0;
    return wait->has_frame;
}

Desg__V1__Packet *raw_receive(void *socket, zloop_t *loop, int ms)
{
    struct raw_wait wait = { .socket = socket };
    (void)zmq_msg_init(&wait.frame);
    Desg__V1__Packet *packet = NULL;
    if (run_until(loop, raw_has_frame, &wait, ms))
        packet =
            desg__v1__packet__unpack(NULL, zmq_msg_size(&wait.frame), zmq_msg_data(&wait.frame));
    (void)zmq_msg_close(&wait.frame);
    return packet;
}

void raw_say_ready(void *socket, uint8_t seed, uint32_t credit)
{
    uint8_t instance[ID_BYTES] = { seed };
    Desg__V1__Ready ready = DESG__V1__READY__INIT;
    ready.service = (char *)"raw";
    ready.name = (char *)"raw-1";
    ready.instance = (ProtobufCBinaryData){ sizeof instance, instance };
    ready.credit = credit;
    ready.protocol = 1;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_READY;
    packet.ready = &ready;
    raw_send(socket, &packet);
}
