/* bench_chain_raw - the limit for lib/link: the same three stages on bare libzmq. Frames are packed
 * once and sent again and again, each is unpacked once at every stage, nothing is checked, counted
 * or packed anew on the way. */
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "chain.h"
#include "figures.h"

enum { HIGH_WATER = 20000, WAIT_MS = 10, IDENTITY_MAX_BYTES = 64 };

struct frame {
    uint8_t *bytes;
    size_t length;
};

struct stage {
    struct chain *chain;
    void *context;
    void *router; /* bound, or NULL */
    char identity[IDENTITY_MAX_BYTES];
    size_t identity_bytes;
};

static struct frame pack(const Desg__V1__Packet *packet)
{
    struct frame frame = { .length = desg__v1__packet__get_packed_size(packet) };
    frame.bytes = malloc(frame.length);
    if (!frame.bytes)
        give_up("no memory");
    (void)desg__v1__packet__pack(packet, frame.bytes); /* always writes length bytes */
    return frame;
}

static void *open_socket(void *context, int type, const char *endpoint)
{
    const int high_water = HIGH_WATER;
    const int no_linger = 0;
    void *socket = zmq_socket(context, type);
    (void)zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
    (void)zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water);
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    int rc = type == ZMQ_ROUTER ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint);
    if (rc != 0)
        give_up("cannot open %s: %s", endpoint, zmq_strerror(zmq_errno()));
    return socket;
}

static void send_bytes(struct stage *self, void *socket, const struct frame *frame)
{
    zmq_msg_t message;
    if (socket == self->router)
        (void)zmq_send(socket, self->identity, self->identity_bytes, ZMQ_SNDMORE);
    if (zmq_msg_init_size(&message, frame->length) != 0)
        give_up("no memory");
    memcpy(zmq_msg_data(&message), frame->bytes, frame->length);
    if (zmq_msg_send(&message, socket, 0) < 0)
        give_up("not sent: %s", zmq_strerror(zmq_errno()));
}

/* The next frame's body, unpacked; NULL: nothing there. A ROUTER's sender is remembered. */
static Desg__V1__Packet *receive(struct stage *self, void *socket, zmq_msg_t *message)
{
    if (socket == self->router) {
        int length = zmq_recv(socket, self->identity, sizeof self->identity, ZMQ_DONTWAIT);
        if (length < 0)
            return NULL;
        self->identity_bytes = (size_t)length;
    }
    if (zmq_msg_recv(message, socket, ZMQ_DONTWAIT) < 0)
        return NULL;
    Desg__V1__Packet *packet =
        desg__v1__packet__unpack(NULL, zmq_msg_size(message), zmq_msg_data(message));
    if (!packet)
        give_up("not a packet");
    return packet;
}

static struct frame batch_frame(size_t count)
{
    struct chain_batch batch;
    chain_batch_fill(&batch, count, 1);
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_BATCH;
    packet.batch = &batch.message;
    return pack(&packet);
}

static struct frame done_frame(size_t count)
{
    static uint8_t verdict[CHAIN_VERDICT_BYTES] = { 7 };
    Desg__V1__DoneItem items[CHAIN_BATCH_MAX];
    Desg__V1__DoneItem *pointers[CHAIN_BATCH_MAX];
    Desg__V1__Position position = DESG__V1__POSITION__INIT;
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    position.sequence = 1;
    for (size_t i = 0; i < count; i++) {
        items[i] = (Desg__V1__DoneItem)DESG__V1__DONE_ITEM__INIT;
        items[i].position = &position;
        items[i].verdict = (ProtobufCBinaryData){ sizeof verdict, verdict };
        pointers[i] = &items[i];
    }
    done.history = (char *)"0123456789abcdef0123456789abcdef01234567";
    done.items = pointers;
    done.n_items = count;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_DONE;
    packet.done = &done;
    return pack(&packet);
}

static void *run_ingest(void *arg)
{
    struct stage self = { .chain = arg, .context = zmq_ctx_new() };
    self.router = open_socket(self.context, ZMQ_ROUTER, self.chain->ingest_endpoint);
    struct frame frame = batch_frame(self.chain->batch);
    uint64_t credit = 0; /* the worker's first word grants it */
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    while (!atomic_load(&self.chain->is_over)) {
        zmq_pollitem_t item = { .socket = self.router, .events = ZMQ_POLLIN };
        (void)zmq_poll(&item, 1, WAIT_MS);
        for (Desg__V1__Packet *packet; (packet = receive(&self, self.router, &message));) {
            bool is_done = packet->kind_case == DESG__V1__PACKET__KIND_DONE;
            credit += is_done ? packet->done->n_items : CHAIN_CREDIT;
            atomic_fetch_add(&self.chain->done, is_done ? packet->done->n_items : 0);
            desg__v1__packet__free_unpacked(packet, NULL);
        }
        for (; credit >= self.chain->batch; credit -= self.chain->batch)
            send_bytes(&self, self.router, &frame);
    }
    (void)zmq_msg_close(&message);
    free(frame.bytes);
    (void)zmq_close(self.router);
    (void)zmq_ctx_term(self.context);
    return NULL;
}

static void pass_all(struct stage *self, void *from, void *to, zmq_msg_t *message)
{
    for (Desg__V1__Packet *packet; (packet = receive(self, from, message));) {
        desg__v1__packet__free_unpacked(packet, NULL);
        if (zmq_msg_send(message, to, 0) < 0)
            give_up("not sent: %s", zmq_strerror(zmq_errno()));
    }
}

static void *run_classify(void *arg)
{
    struct stage self = { .chain = arg, .context = zmq_ctx_new() };
    void *upstream = open_socket(self.context, ZMQ_DEALER, self.chain->ingest_endpoint);
    void *downstream = open_socket(self.context, ZMQ_DEALER, self.chain->route_endpoint);
    Desg__V1__Ready ready = DESG__V1__READY__INIT;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_READY;
    packet.ready = &ready;
    struct frame hello = pack(&packet);
    send_bytes(&self, upstream, &hello);
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    while (!atomic_load(&self.chain->is_over)) {
        zmq_pollitem_t items[] = { { .socket = upstream, .events = ZMQ_POLLIN },
                                   { .socket = downstream, .events = ZMQ_POLLIN } };
        (void)zmq_poll(items, 2, WAIT_MS);
        pass_all(&self, upstream, downstream, &message);
        pass_all(&self, downstream, upstream, &message);
    }
    (void)zmq_msg_close(&message);
    free(hello.bytes);
    (void)zmq_close(upstream);
    (void)zmq_close(downstream);
    (void)zmq_ctx_term(self.context);
    return NULL;
}

static void *run_route(void *arg)
{
    struct stage self = { .chain = arg, .context = zmq_ctx_new() };
    self.router = open_socket(self.context, ZMQ_ROUTER, self.chain->route_endpoint);
    struct frame frame = done_frame(self.chain->batch);
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    while (!atomic_load(&self.chain->is_over)) {
        zmq_pollitem_t item = { .socket = self.router, .events = ZMQ_POLLIN };
        (void)zmq_poll(&item, 1, WAIT_MS);
        for (Desg__V1__Packet *packet; (packet = receive(&self, self.router, &message));) {
            desg__v1__packet__free_unpacked(packet, NULL);
            send_bytes(&self, self.router, &frame);
        }
    }
    (void)zmq_msg_close(&message);
    free(frame.bytes);
    (void)zmq_close(self.router);
    (void)zmq_ctx_term(self.context);
    return NULL;
}

int main(int argc, char **argv)
{
    static void *(*const stages[3])(void *) = { run_ingest, run_classify, run_route };
    return chain_main(argc, argv, stages);
}
