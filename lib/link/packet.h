/* packet - one frame, one Packet: read into an arena, written straight into a ZeroMQ message.
 * Threads: a reader belongs to one thread. */
#ifndef DESG_LINK_PACKET_H
#define DESG_LINK_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "desg/v1/packet.pb-c.h"
#include "error/error.h"

enum {
    /* What one frame may unpack to. A frame of empty items takes some 50 times its size. */
    PACKET_ARENA_MAX_BYTES = 64 << 20,
    PACKET_ARENA_KEPT_BYTES = 1 << 20 /* between two frames */
};

struct packet_reader;

struct packet_reader *packet_reader_new(void); /* NULL: no memory */
void packet_reader_destroy(struct packet_reader **self_p);

/* Decodes frame[0..length). The packet and all it points to live until the next call. NULL: not a
 * Packet, or larger than the arena may grow. */
const Desg__V1__Packet *packet_read(struct packet_reader *self, const uint8_t *frame,
                                    size_t length);

/* Bytes the reader holds now. */
size_t packet_reader_bytes(const struct packet_reader *self);

/* Packs packet into a new message, which the caller sends or closes. ERROR_INVALID: over
 * LINK_FRAME_MAX_BYTES. ERROR_UNAVAILABLE: no memory. */
int packet_write(const Desg__V1__Packet *packet, zmq_msg_t *frame, struct error *err) MUST_USE;

/* The name of a packet's kind for logs, such as batch. */
const char *packet_kind(const Desg__V1__Packet *packet);

#endif
