/* Frames as anybody on the network may send them: read, judged, kept as a peer if they are a Ready,
 * and written again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "link/packet.h"
#include "link/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep_peer(const Desg__V1__Ready *ready)
{
    struct peer_table *peers = peer_table_new();
    const struct place place = { .route = 1 };
    struct peer *peer = peers ? peer_table_add(peers, &place, ready) : NULL;
    if (peer) {
        assert(peer_says_the_same(peer, ready));
        assert(peer_table_find(peers, peer->id) == peer);
        assert(peer_table_at(peers, &place) == peer);
        (void)peer_update(peer, ready);
        peer_table_remove(peers, peer);
    }
    peer_table_destroy(&peers);
}

/* What we read we can write. It need not read again: protobuf-c takes an unknown field of number 0,
 * which does not survive being written. */
static void write_again(const Desg__V1__Packet *packet)
{
    zmq_msg_t frame;
    if (packet_write(packet, &frame, NULL) != 0)
        return; /* shortest forms written long may grow over the limit */
    Desg__V1__Packet *again =
        desg__v1__packet__unpack(NULL, zmq_msg_size(&frame), zmq_msg_data(&frame));
    if (again) {
        assert(again->kind_case == packet->kind_case);
        desg__v1__packet__free_unpacked(again, NULL);
    }
    (void)zmq_msg_close(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packet_reader *reader = packet_reader_new();
    const Desg__V1__Packet *packet = reader ? packet_read(reader, data, size) : NULL;
    if (packet) {
        assert(strlen(packet_kind(packet)) > 0);
        if (packet->kind_case == DESG__V1__PACKET__KIND_READY && peer_is_acceptable(packet->ready))
            keep_peer(packet->ready);
        write_again(packet);
    }
    packet_reader_destroy(&reader);
    /* The arena hides overruns from AddressSanitizer: once more with malloc. */
    Desg__V1__Packet *plain = desg__v1__packet__unpack(NULL, size, data);
    if (plain)
        desg__v1__packet__free_unpacked(plain, NULL);
    return 0;
}
