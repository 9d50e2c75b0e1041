#include "link/packet.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

#include "link/link.h"

enum { FIRST_BLOCK_BYTES = 16 << 10 };

struct block {
    struct block *next;
    size_t size_bytes;
    size_t used_bytes;
    alignas(max_align_t) uint8_t data[];
};

/* Memory for one packet, given back all at once. protobuf-c allocates each message, string and
 * array by itself: with malloc that is a dozen calls an event. */
struct packet_reader {
    ProtobufCAllocator allocator;
    struct block *blocks; /* newest first */
    size_t total_bytes;
};

static struct block *block_new(size_t size_bytes, struct block *next)
{
    struct block *block = malloc(sizeof *block + size_bytes);
    if (block)
        *block = (struct block){ .next = next, .size_bytes = size_bytes };
    return block;
}

static void *arena_alloc(void *arg, size_t size)
{
    struct packet_reader *self = arg;
    if (size > PACKET_ARENA_MAX_BYTES)
        return NULL;
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct block *block = self->blocks;
    if (!block || block->size_bytes - block->used_bytes < rounded) {
        size_t wanted = block ? block->size_bytes * 2 : FIRST_BLOCK_BYTES;
        size_t room = PACKET_ARENA_MAX_BYTES - self->total_bytes;
        wanted = wanted < rounded ? rounded : wanted;
        wanted = wanted > room ? room : wanted;
        if (wanted < rounded || !(block = block_new(wanted, self->blocks)))
            return NULL;
        self->blocks = block;
        self->total_bytes += wanted;
    }
    void *result = block->data + block->used_bytes;
    block->used_bytes += rounded;
    return result;
}

static void arena_free(void *arg, void *pointer)
{
    (void)arg;
    (void)pointer; /* arena_reset gives everything back */
}

static void arena_clear(struct packet_reader *self)
{
    while (self->blocks) {
        struct block *next = self->blocks->next;
        free(self->blocks);
        self->blocks = next;
    }
    self->total_bytes = 0;
}

/* Packets of one link are alike: what took several blocks gets one that fits next time. */
static void arena_reset(struct packet_reader *self)
{
    bool is_one_block = self->blocks && !self->blocks->next;
    if (is_one_block && self->total_bytes <= PACKET_ARENA_KEPT_BYTES) {
        self->blocks->used_bytes = 0;
        return;
    }
    size_t wanted = self->total_bytes;
    arena_clear(self);
    if (wanted == 0 || wanted > PACKET_ARENA_KEPT_BYTES)
        return;
    self->blocks = block_new(wanted, NULL);
    self->total_bytes = self->blocks ? wanted : 0;
}

struct packet_reader *packet_reader_new(void)
{
    struct packet_reader *self = calloc(1, sizeof *self);
    if (self)
        self->allocator = (ProtobufCAllocator){ arena_alloc, arena_free, self };
    return self;
}

void packet_reader_destroy(struct packet_reader **self_p)
{
    if (!self_p || !*self_p)
        return;
    arena_clear(*self_p);
    free(*self_p);
    *self_p = NULL;
}

const Desg__V1__Packet *packet_read(struct packet_reader *self, const uint8_t *frame, size_t length)
{
    assert(self && (frame || length == 0));
    arena_reset(self);
    if (length > LINK_FRAME_MAX_BYTES)
        return NULL;
    return desg__v1__packet__unpack(&self->allocator, length, frame);
}

size_t packet_reader_bytes(const struct packet_reader *self)
{
    return self->total_bytes;
}

int packet_write(const Desg__V1__Packet *packet, zmq_msg_t *frame, struct error *err)
{
    assert(packet && frame);
    size_t length = desg__v1__packet__get_packed_size(packet);
    if (length > LINK_FRAME_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "a %s packet of %zu bytes: a frame takes %d",
                         packet_kind(packet), length, LINK_FRAME_MAX_BYTES);
    if (zmq_msg_init_size(frame, length) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "no memory for a frame of %zu bytes", length);
    (void)desg__v1__packet__pack(packet, zmq_msg_data(frame)); /* always writes length bytes */
    return 0;
}

const char *packet_kind(const Desg__V1__Packet *packet)
{
    const ProtobufCFieldDescriptor *field = NULL;
    if (packet->kind_case != DESG__V1__PACKET__KIND__NOT_SET)
        field = protobuf_c_message_descriptor_get_field(&desg__v1__packet__descriptor,
                                                        (unsigned)packet->kind_case);
    return field ? field->name : "unknown";
}

Desg__V1__Packet link_packet_batch(Desg__V1__Batch *batch)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_BATCH;
    packet.batch = batch;
    return packet;
}

Desg__V1__Packet link_packet_seen(Desg__V1__Seen *seen)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_SEEN;
    packet.seen = seen;
    return packet;
}

Desg__V1__Packet link_packet_done(Desg__V1__Done *done)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_DONE;
    packet.done = done;
    return packet;
}

Desg__V1__Packet link_packet_busy(Desg__V1__Busy *busy)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_BUSY;
    packet.busy = busy;
    return packet;
}

Desg__V1__Packet link_packet_refused(Desg__V1__Refused *refused)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_REFUSED;
    packet.refused = refused;
    return packet;
}

Desg__V1__Packet link_packet_hello(Desg__V1__Hello *hello)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_HELLO;
    packet.hello = hello;
    return packet;
}

Desg__V1__Packet link_packet_history(Desg__V1__History *history)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_HISTORY;
    packet.history = history;
    return packet;
}

Desg__V1__Packet link_packet_mark(Desg__V1__Mark *mark)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_MARK;
    packet.mark = mark;
    return packet;
}

Desg__V1__Packet link_packet_marked(Desg__V1__Marked *marked)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_MARKED;
    packet.marked = marked;
    return packet;
}

Desg__V1__Packet link_packet_alert_order(Desg__V1__AlertOrder *order)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_ALERT_ORDER;
    packet.alert_order = order;
    return packet;
}

Desg__V1__Packet link_packet_alerted(Desg__V1__Alerted *alerted)
{
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_ALERTED;
    packet.alerted = alerted;
    return packet;
}
