#include <assert.h>
#include <string.h>

#include "clock/clock.h"
#include "link/link_private.h"
#include "log/log.h"

enum { PROTOCOL_VERSION = 1, REFUSAL_LOG_INTERVAL_MS = 1000 };

const char *protocol_refusal_name(enum refusal refusal)
{
    static const char *const names[REFUSAL_COUNT] = { "undecodable", "unknown_kind", "stranger",
                                                      "ready",       "shape",        "full",
                                                      "handshake",   "key" };
    return names[refusal];
}

/* Counts each, logs one a second: whoever sends rubbish must not fill the log. */
void protocol_refuse(struct link *self, enum refusal refusal, size_t frame_bytes)
{
    counter_add(self->counters.refused[refusal], 1);
    self->refusals_unlogged++;
    if (self->now_ms - self->refusal_logged_at_ms < REFUSAL_LOG_INTERVAL_MS)
        return;
    log_warn("packet_refused", KV("link", self->options.label),
             KV("reason", protocol_refusal_name(refusal)), KV("bytes", frame_bytes),
             KV("refused", self->refusals_unlogged));
    self->refusal_logged_at_ms = self->now_ms;
    self->refusals_unlogged = 0;
}

bool frame_is_whole(void *socket, zmq_msg_t *frame)
{
    if (!zmq_msg_more(frame))
        return true;
    zmq_msg_t rest;
    (void)zmq_msg_init(&rest); /* cannot fail */
    do {
        if (zmq_msg_recv(&rest, socket, ZMQ_DONTWAIT) < 0)
            break;
    } while (zmq_msg_more(&rest));
    (void)zmq_msg_close(&rest);
    return false;
}

static enum sent send_packet(struct link *self, const struct place *place,
                             const Desg__V1__Packet *packet)
{
    zmq_msg_t frame;
    return packet_write(packet, &frame, NULL) == 0 ? link_transmit(self, place, &frame)
                                                   : SENT_NOT_NOW;
}

static enum sent say_ping(struct link *self, const struct place *place, bool is_stranger)
{
    Desg__V1__Ping ping = DESG__V1__PING__INIT;
    ping.progress = self->handled;
    ping.is_stranger = is_stranger;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_PING;
    packet.ping = &ping;
    return send_packet(self, place, &packet);
}

enum sent protocol_say_ready(struct link *self, const struct place *place)
{
    Desg__V1__Ready ready = DESG__V1__READY__INIT;
    ready.service = self->texts[0];
    ready.name = self->texts[1];
    ready.instance = (ProtobufCBinaryData){ ID_BYTES, self->instance.bytes };
    ready.credit = self->is_draining ? 0 : self->options.credit;
    ready.n_channels = self->options.channel_count;
    ready.channels = self->channels;
    ready.protocol = PROTOCOL_VERSION;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_READY;
    packet.ready = &ready;
    return send_packet(self, place, &packet);
}

void protocol_ping(struct link *self, struct peer *peer)
{
    enum sent sent = say_ping(self, &peer->place, false);
    if (sent == SENT)
        peer->sent_at_ms = self->now_ms;
    else if (sent == SENT_NOBODY)
        protocol_reap_soon(self, peer);
}

/* A peer that a send found gone is taken down by the loop, not inside the sender's call. */
static int on_reap(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct link *self = arg;
    self->reap_timer = -1;
    self->now_ms = clock_monotonic_ms();
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(self->peers, &cursor));)
        if (peer->is_lost)
            protocol_peer_down(self, peer, "unreachable");
    return 0;
}

void protocol_reap_soon(struct link *self, struct peer *peer)
{
    peer->is_lost = true;
    if (self->reap_timer < 0)
        self->reap_timer = zloop_timer(self->options.loop, 1, 1, on_reap, self);
}

static void call_peer_up(struct link *self, struct peer *peer)
{
    self->is_handling = true;
    if (self->options.handler.peer_up)
        self->options.handler.peer_up(self->options.arg, peer->id, &peer->info);
    self->is_handling = false;
}

void protocol_peer_down(struct link *self, struct peer *peer, const char *reason)
{
    char instance[ID_TEXT_BYTES];
    id_text(peer->info.instance.bytes, instance);
    log_info("peer_down", KV("link", self->options.label), KV("service", peer->info.service),
             KV("name", peer->info.name), KV("instance", instance), KV("reason", reason),
             KV("drained", peer->is_draining), KV("outstanding", peer->outstanding));
    link_peer id = peer->id;
    bool is_drain = peer->is_draining;
    if (peer->place.connection)
        connection_lost(peer->place.connection);
    peer->is_lost = true; /* the handler cannot send to it any more */
    self->is_handling = true;
    if (self->options.handler.peer_down)
        self->options.handler.peer_down(self->options.arg, id, is_drain);
    self->is_handling = false;
    peer_table_remove(self->peers, peer);
    gauge_set(self->counters.peers, (int64_t)peer_table_count(self->peers));
}

static void log_peer_up(const struct link *self, const struct peer *peer)
{
    char instance[ID_TEXT_BYTES];
    id_text(peer->info.instance.bytes, instance);
    log_info("peer_up", KV("link", self->options.label), KV("service", peer->info.service),
             KV("name", peer->info.name), KV("instance", instance), KV("credit", peer->granted));
}

void protocol_say_drain(struct link *self, const struct place *place, const char *reason)
{
    Desg__V1__Drain drain = DESG__V1__DRAIN__INIT;
    drain.reason = (char *)reason; /* packed, not changed */
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_DRAIN;
    packet.drain = &drain;
    (void)send_packet(self, place, &packet); /* not taken: it learns by our end */
}

/* The answer goes first: whatever the handler sends must find us known. */
static void welcome(struct link *self, const struct place *place, const Desg__V1__Ready *ready,
                    size_t frame_bytes)
{
    if (!place->connection && protocol_say_ready(self, place) != SENT)
        return; /* gone again, or not taking: it will say Ready anew */
    struct peer *peer = peer_table_add(self->peers, place, ready);
    if (!peer) {
        protocol_refuse(self, REFUSAL_FULL, frame_bytes);
        return;
    }
    peer->heard_at_ms = self->now_ms;
    peer->sent_at_ms = self->now_ms;
    gauge_set(self->counters.peers, (int64_t)peer_table_count(self->peers));
    log_peer_up(self, peer);
    if (place->connection)
        connection_answered(place->connection);
    if (self->is_draining)
        protocol_say_drain(self, place, "draining");
    call_peer_up(self, peer);
}

/* One instance, one connection: the newest wins, as both ends see it. */
static void replace_instance(struct link *self, const struct place *place,
                             const Desg__V1__Ready *ready)
{
    struct id instance;
    memcpy(instance.bytes, ready->instance.data, ID_BYTES);
    struct peer *former = peer_table_instance(self->peers, &instance);
    if (!former)
        return;
    struct connection *connection = former->place.connection;
    protocol_peer_down(self, former, "replaced");
    if (connection && connection != place->connection)
        connection_park(connection, &instance);
}

/* The bound side only ever answers. A connecting side says Ready until it has an answer; once it
 * has said something else, a further Ready means that it had given us up and begins anew: whatever
 * was on its way is lost. */
static bool is_repeated(const struct peer *peer, const Desg__V1__Ready *ready)
{
    bool is_same_process = memcmp(peer->info.instance.bytes, ready->instance.data, ID_BYTES) == 0;
    return is_same_process && !peer->is_lost && (peer->place.connection || !peer->has_spoken);
}

static void hear_ready_again(struct link *self, struct peer *peer, const Desg__V1__Ready *ready)
{
    peer->heard_at_ms = self->now_ms;
    if (!peer->place.connection && protocol_say_ready(self, &peer->place) == SENT_NOBODY) {
        protocol_reap_soon(self, peer);
        return;
    }
    if (!peer_says_the_same(peer, ready) && peer_update(peer, ready))
        call_peer_up(self, peer);
}

static void hear_ready(struct link *self, const struct place *place, const Desg__V1__Ready *ready,
                       size_t frame_bytes)
{
    if (!peer_is_acceptable(ready)) {
        protocol_refuse(self, REFUSAL_READY, frame_bytes);
        return;
    }
    if (place->connection)
        connection_catch_up(place->connection);
    struct peer *peer = peer_table_at(self->peers, place);
    if (peer && is_repeated(peer, ready)) {
        hear_ready_again(self, peer, ready);
        return;
    }
    if (peer)
        protocol_peer_down(self, peer, "began_anew");
    replace_instance(self, place, ready);
    welcome(self, place, ready, frame_bytes);
}

static void hear_ping(struct link *self, const struct place *place, struct peer *peer,
                      const Desg__V1__Ping *ping)
{
    if (!ping->is_stranger)
        return;
    if (peer) /* it forgot us, and with us whatever it held for us */
        protocol_peer_down(self, peer, "forgot_us");
    if (place->connection)
        (void)protocol_say_ready(self, place); /* else the next tick does */
}

static void hand_over(struct link *self, struct peer *peer, const Desg__V1__Packet *packet)
{
    if (packet->kind_case == DESG__V1__PACKET__KIND_DRAIN) {
        log_info("peer_draining", KV("link", self->options.label),
                 KV("service", peer->info.service), KV("name", peer->info.name),
                 KV("outstanding", peer->outstanding));
        peer->is_draining = true;
    }
    self->is_handling = true;
    if (self->options.handler.packet)
        self->options.handler.packet(self->options.arg, peer->id, packet);
    self->is_handling = false;
}

static void hear_other(struct link *self, const struct place *place, struct peer *peer,
                       const Desg__V1__Packet *packet, size_t frame_bytes)
{
    if (packet->kind_case == DESG__V1__PACKET__KIND__NOT_SET)
        protocol_refuse(self, REFUSAL_UNKNOWN_KIND, frame_bytes);
    else if (peer)
        hand_over(self, peer, packet);
    else if (place->connection)
        protocol_refuse(self, REFUSAL_STRANGER, frame_bytes); /* our Ready is on its way */
    else {
        protocol_refuse(self, REFUSAL_STRANGER, frame_bytes);
        (void)say_ping(self, place, true); /* it will try again */
    }
}

void protocol_take(struct link *self, const struct place *place, zmq_msg_t *frame)
{
    size_t frame_bytes = zmq_msg_size(frame);
    counter_add(self->counters.packets_in, 1);
    counter_add(self->counters.bytes_in, frame_bytes);
    self->handled++;
    const Desg__V1__Packet *packet = packet_read(self->reader, zmq_msg_data(frame), frame_bytes);
    if (!packet) {
        protocol_refuse(self, REFUSAL_UNDECODABLE, frame_bytes);
        return;
    }
    if (packet->kind_case == DESG__V1__PACKET__KIND_READY) {
        hear_ready(self, place, packet->ready, frame_bytes);
        return;
    }
    struct peer *peer = peer_table_at(self->peers, place);
    if (peer) {
        peer->heard_at_ms = self->now_ms;
        peer->has_spoken = true;
    }
    if (packet->kind_case != DESG__V1__PACKET__KIND_PING)
        hear_other(self, place, peer, packet, frame_bytes);
    else if (peer || place->connection || packet->ping->is_stranger)
        hear_ping(self, place, peer, packet->ping);
    else
        (void)say_ping(self, place, true);
}

static void tick_peer(struct link *self, struct peer *peer)
{
    if (peer->is_lost)
        protocol_peer_down(self, peer, "unreachable");
    else if (self->now_ms - peer->heard_at_ms >= LINK_SILENT_AFTER_MS)
        protocol_peer_down(self, peer, "silent");
    else if (self->now_ms - peer->sent_at_ms >= LINK_PING_AFTER_MS)
        protocol_ping(self, peer);
}

void protocol_tick(struct link *self)
{
    self->now_ms = clock_monotonic_ms();
    /* We slept ourselves (stopped, or a long turn of the loop): what the peers said meanwhile waits
     * in the sockets, so their silence counts from now. */
    bool was_away = self->now_ms - self->ticked_at_ms > LINK_AWAY_AFTER_MS;
    self->ticked_at_ms = self->now_ms;
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(self->peers, &cursor));) {
        if (was_away)
            peer->heard_at_ms = self->now_ms;
        tick_peer(self, peer);
    }
}
