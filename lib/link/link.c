#include "link/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "link/link_private.h"
#include "log/log.h"

/* ---- start and end ---- */

static bool copy_options(struct link *self, const struct link_options *options)
{
    self->options = *options;
    self->instance = *options->instance;
    self->options.instance = &self->instance;
    self->texts[0] = strdup(options->service);
    self->texts[1] = strdup(options->name);
    self->texts[2] = strdup(options->label);
    self->channels = calloc(options->channel_count + 1, sizeof *self->channels); /* never 0 bytes */
    if (!self->texts[0] || !self->texts[1] || !self->texts[2] || !self->channels)
        return false;
    self->options.service = self->texts[0];
    self->options.name = self->texts[1];
    self->options.label = self->texts[2];
    self->options.channels = (const char *const *)self->channels;
    for (size_t i = 0; i < options->channel_count; i++)
        if (!(self->channels[i] = strdup(options->channels[i])))
            return false;
    return true;
}

static struct counter *counter_of(struct link *self, const char *name, const char *key,
                                  const char *value, const char *help)
{
    char labels[160];
    if (key)
        (void)snprintf(labels, sizeof labels, "link=\"%.64s\",%s=\"%s\"", self->options.label, key,
                       value);
    else
        (void)snprintf(labels, sizeof labels, "link=\"%.64s\"", self->options.label);
    return metrics_counter(self->options.metrics, name, labels, help);
}

static void register_metrics(struct link *self)
{
    static const char packets[] = "Packets of the hop protocol.";
    static const char bytes[] = "Bytes of packets.";
    struct link_counters *counters = &self->counters;
    counters->packets_in = counter_of(self, "desg_link_packets_total", "direction", "in", packets);
    counters->packets_out =
        counter_of(self, "desg_link_packets_total", "direction", "out", packets);
    counters->bytes_in = counter_of(self, "desg_link_bytes_total", "direction", "in", bytes);
    counters->bytes_out = counter_of(self, "desg_link_bytes_total", "direction", "out", bytes);
    for (int i = 0; i < REFUSAL_COUNT; i++)
        counters->refused[i] = counter_of(self, "desg_link_refused_packets_total", "reason",
                                          protocol_refusal_name((enum refusal)i),
                                          "Packets and connections not taken.");
    counters->send_failed = counter_of(self, "desg_link_send_failed_total", NULL, NULL,
                                       "Packets that libzmq did not take.");
    counters->reconnects = counter_of(self, "desg_link_reconnects_total", NULL, NULL,
                                      "Connections made anew after the first.");
    char labels[96];
    (void)snprintf(labels, sizeof labels, "link=\"%.64s\"", self->options.label);
    counters->peers =
        metrics_gauge(self->options.metrics, "desg_link_peers", labels, "Peers that are up.");
}

static int on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct link *self = arg;
    protocol_tick(self);
    if (self->dialer)
        dialer_tick(self->dialer);
    return 0;
}

static struct link *link_new(const struct link_options *options, struct error *err)
{
    assert(options && options->service && options->name && options->label && options->instance);
    assert(options->context && options->loop && options->metrics);
    zsys_handler_set(NULL); /* signals are the service's, never czmq's */
    struct link *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a link");
        return NULL;
    }
    self->reap_timer = -1;
    self->tick_timer = -1;
    self->now_ms = clock_monotonic_ms();
    self->ticked_at_ms = self->now_ms;
    self->refusal_logged_at_ms = INT64_MIN / 2; /* the first is logged */
    self->reader = packet_reader_new();
    self->peers = peer_table_new();
    if (copy_options(self, options) && self->reader && self->peers)
        self->tick_timer = zloop_timer(options->loop, LINK_TICK_MS, 0, on_tick, self);
    if (self->tick_timer < 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot start link %s: no memory", options->label);
        link_destroy(&self);
        return NULL;
    }
    register_metrics(self);
    return self;
}

struct link *link_bind(const struct link_options *options, const char *endpoint, struct error *err)
{
    assert(endpoint);
    struct link *self = link_new(options, err);
    if (!self)
        return NULL;
    if (!(self->listener = listener_new(self, endpoint, err)))
        link_destroy(&self);
    else
        log_info("link_bound", KV("link", self->options.label),
                 KV("endpoint", listener_endpoint(self->listener)));
    return self;
}

struct link *link_connect_by(const struct link_options *options, const char *const *endpoints,
                             size_t count, const struct resolver_source *source, struct error *err)
{
    assert(endpoints || count == 0);
    struct link *self = link_new(options, err);
    if (self && !(self->dialer = dialer_new(self, endpoints, count, source, err)))
        link_destroy(&self);
    return self;
}

struct link *link_connect(const struct link_options *options, const char *const *endpoints,
                          size_t count, struct error *err)
{
    return link_connect_by(options, endpoints, count, NULL, err);
}

void link_destroy(struct link **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct link *self = *self_p;
    assert(!self->is_handling);
    listener_destroy(&self->listener);
    dialer_destroy(&self->dialer);
    if (self->tick_timer >= 0)
        (void)zloop_timer_end(self->options.loop, self->tick_timer);
    if (self->reap_timer >= 0)
        (void)zloop_timer_end(self->options.loop, self->reap_timer);
    if (self->counters.peers)
        gauge_set(self->counters.peers, 0);
    peer_table_destroy(&self->peers);
    packet_reader_destroy(&self->reader);
    for (size_t i = 0; self->channels && self->channels[i]; i++)
        free(self->channels[i]);
    free(self->channels);
    for (size_t i = 0; i < sizeof self->texts / sizeof self->texts[0]; i++)
        free(self->texts[i]);
    free(self);
    *self_p = NULL;
}

const char *link_endpoint(const struct link *self)
{
    return self->listener ? listener_endpoint(self->listener) : "";
}

/* ---- sending ---- */

enum sent link_transmit(struct link *self, const struct place *place, zmq_msg_t *frame)
{
    size_t frame_bytes = zmq_msg_size(frame);
    enum sent sent = place->connection ? connection_transmit(place->connection, frame)
                                       : listener_transmit(self->listener, place->route, frame);
    if (sent == SENT) {
        counter_add(self->counters.packets_out, 1);
        counter_add(self->counters.bytes_out, frame_bytes);
    } else {
        counter_add(self->counters.send_failed, 1);
    }
    (void)zmq_msg_close(frame); /* empty if it was sent */
    return sent;
}

int link_send(struct link *self, link_peer id, const Desg__V1__Packet *packet, struct error *err)
{
    assert(self && packet);
    struct peer *peer = peer_table_find(self->peers, id);
    if (!peer || peer->is_lost)
        return error_set(err, ERROR_UNAVAILABLE, "link %s: the peer is gone", self->options.label);
    zmq_msg_t frame;
    if (packet_write(packet, &frame, err) != 0)
        return error_wrap(err, "link %s", self->options.label);
    enum sent sent = link_transmit(self, &peer->place, &frame);
    if (sent == SENT_NOBODY)
        protocol_reap_soon(self, peer);
    if (sent != SENT)
        return error_set(err, ERROR_UNAVAILABLE, "link %s: peer %s %s", self->options.label,
                         peer->info.name, sent == SENT_NOBODY ? "is gone" : "does not take it now");
    peer->sent_at_ms = self->now_ms;
    if (packet->kind_case == DESG__V1__PACKET__KIND_BATCH)
        peer->outstanding += (uint32_t)packet->batch->n_items;
    return 0;
}

static uint32_t credit_of(const struct peer *peer)
{
    bool takes_more = !peer->is_draining && !peer->is_lost && peer->granted > peer->outstanding;
    return takes_more ? peer->granted - peer->outstanding : 0;
}

uint32_t link_credit(const struct link *self, link_peer id)
{
    const struct peer *peer = peer_table_find(self->peers, id);
    return peer ? credit_of(peer) : 0;
}

void link_credit_return(struct link *self, link_peer id, uint32_t events)
{
    struct peer *peer = peer_table_find(self->peers, id);
    if (peer) /* else its end has returned all */
        peer->outstanding -= events < peer->outstanding ? events : peer->outstanding;
}

void link_drain(struct link *self, const char *reason)
{
    assert(self && reason);
    if (self->is_draining)
        return;
    self->is_draining = true;
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(self->peers, &cursor));)
        protocol_say_drain(self, &peer->place, reason);
    log_info("link_drained", KV("link", self->options.label), KV("reason", reason));
}

/* ---- telling ---- */

size_t link_peer_count(const struct link *self)
{
    return peer_table_count(self->peers);
}

static json_t *describe_peer(const struct peer *peer, int64_t now_ms)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "service", peer->info.service, "name",
                     peer->info.name, "state", peer->is_draining ? "draining" : "up", "credit",
                     (json_int_t)credit_of(peer), "outstanding", (json_int_t)peer->outstanding,
                     "silent_ms", (json_int_t)(now_ms - peer->heard_at_ms));
}

json_t *link_describe(const struct link *self)
{
    json_t *peers = json_array();
    int64_t now_ms = clock_monotonic_ms();
    size_t cursor = 0;
    for (struct peer *peer; peers && (peer = peer_table_next(self->peers, &cursor));) {
        json_t *entry = describe_peer(peer, now_ms);
        if (entry)
            (void)json_array_append_new(peers, entry); /* no memory: a shorter status */
    }
    if (peers && self->dialer)
        dialer_describe(self->dialer, peers);
    return peers;
}
