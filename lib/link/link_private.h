/* link_private - what the parts of a link share: link.c (the interface), protocol.c (packets and
 * peers), listen.c (the bound side), dial.c (the connecting side). */
#ifndef DESG_LINK_PRIVATE_H
#define DESG_LINK_PRIVATE_H

#include <zmq.h>

#include "link/link.h"
#include "link/packet.h"
#include "link/peer.h"
#include "link/resolver.h"

enum {
    LINK_TICK_MS = 250,
    LINK_AWAY_AFTER_MS = 1000, /* without a tick of our own */
    LINK_PING_AFTER_MS = 1000, /* of sending nothing */
    LINK_SILENT_AFTER_MS = 3000,
    LINK_READY_AGAIN_MS = 1000, /* while unanswered */
    LINK_REBUILD_AFTER_MS = 4000,
    LINK_PACKETS_PER_WAKE = 64 /* then the loop's other readers have their turn */
};

/* Why a packet was refused: labels of desg_link_refused_packets_total. */
enum refusal {
    REFUSAL_UNDECODABLE,  /* no Packet, or too large unpacked */
    REFUSAL_UNKNOWN_KIND, /* a Packet of a kind this version does not know */
    REFUSAL_STRANGER,     /* from a peer that has not said Ready */
    REFUSAL_READY,        /* a Ready without what it must hold */
    REFUSAL_SHAPE,        /* not one frame, or from a peer that chose its own routing id */
    REFUSAL_FULL,         /* more peers than a link takes */
    REFUSAL_HANDSHAKE,    /* a connection: no ZeroMQ, the wrong kind of socket, plain speech */
    REFUSAL_KEY,          /* a connection: its CURVE key is not allowed */
    REFUSAL_COUNT
};

struct link_counters {
    struct counter *packets_in;
    struct counter *packets_out;
    struct counter *bytes_in;
    struct counter *bytes_out;
    struct counter *refused[REFUSAL_COUNT];
    struct counter *send_failed;
    struct counter *reconnects;
    struct gauge *peers;
};

struct dialer;
struct listener;

struct link {
    struct link_options options; /* its strings and lists are the link's own copies */
    struct id instance;
    char **channels;
    char *texts[3];
    struct link_counters counters;
    struct packet_reader *reader;
    struct peer_table *peers;
    struct listener *listener; /* one of these two */
    struct dialer *dialer;
    int64_t now_ms; /* of this turn of the loop: near enough for time-outs, read once */
    int64_t ticked_at_ms;
    uint64_t handled; /* packets: the progress in our Pings */
    int64_t refusal_logged_at_ms;
    uint64_t refusals_unlogged;
    int tick_timer;
    int reap_timer; /* -1: none; set when a send found its peer gone */
    bool is_draining;
    bool is_handling; /* a handler is running: link_destroy would pull the ground from under it */
};

enum sent { SENT, SENT_NOT_NOW, SENT_NOBODY };

/* link.c: sends frame, which is closed in any case. */
enum sent link_transmit(struct link *self, const struct place *place, zmq_msg_t *frame);

/* protocol.c */
void protocol_take(struct link *self, const struct place *place, zmq_msg_t *frame);
void protocol_refuse(struct link *self, enum refusal refusal, size_t frame_bytes);
const char *protocol_refusal_name(enum refusal refusal);
enum sent protocol_say_ready(struct link *self, const struct place *place);
void protocol_say_drain(struct link *self, const struct place *place, const char *reason);
void protocol_ping(struct link *self, struct peer *peer);
void protocol_peer_down(struct link *self, struct peer *peer, const char *reason);
void protocol_tick(struct link *self);
void protocol_reap_soon(struct link *self, struct peer *peer);

/* Tells whether the part of the message just read is its only one; throws away the others. */
bool frame_is_whole(void *socket, zmq_msg_t *frame);

/* listen.c */
struct listener *listener_new(struct link *link, const char *endpoint, struct error *err) MUST_USE;
void listener_destroy(struct listener **self_p);
const char *listener_endpoint(const struct listener *self);
enum sent listener_transmit(struct listener *self, uint64_t route, zmq_msg_t *frame);

/* dial.c */
struct dialer *dialer_new(struct link *link, const char *const *endpoints, size_t count,
                          const struct resolver_source *source, struct error *err) MUST_USE;
void dialer_destroy(struct dialer **self_p);
void dialer_tick(struct dialer *self);
void dialer_describe(const struct dialer *self, json_t *peers);
enum sent connection_transmit(struct connection *self, zmq_msg_t *frame);
/* Takes note of what libzmq said of the connection before the packet now in hand. */
void connection_catch_up(struct connection *self);
/* Its peer said Ready / is gone. */
void connection_answered(struct connection *self);
void connection_lost(struct connection *self);
/* Another connection leads to the same process: closed until that is gone. */
void connection_park(struct connection *self, const struct id *instance);

/* As link_connect, with another way to resolve names (tests). */
struct link *link_connect_by(const struct link_options *options, const char *const *endpoints,
                             size_t count, const struct resolver_source *source,
                             struct error *err) MUST_USE;

#endif
