#include <stdlib.h>
#include <string.h>

#include "sim_events.h"
#include "sim_workers.h"

enum { READ_US = 400000, STREAM_READ_MAX = 16, ORDER_ALERTS_MAX = 64 };

struct sim_notify {
    struct world *world;
    struct process *process;
    struct redis_client client;
    bool is_journalled[EVENTS_MAX]; /* on its disk */
    bool is_posting[EVENTS_MAX];
};

static void on_post(struct world *world, void *arg, uint64_t token)
{
    struct sim_notify *self = arg;
    size_t event = token & 0xffff;
    if (!self->process->is_up || self->process->life != token >> 16) {
        return;
    }
    self->is_posting[event] = false;
    if (world->is_dispatch_away || self->process->is_paused || world_dice(world, 20) == 0) {
        self->is_posting[event] = true;
        world_after(world, world_between(world, 500000, 5000000), on_post, self, token);
        return;
    }
    if (!world->events[event].is_accepted)
        world_trace(world, "dispatch", "accepts the alert of event %zu", event);
    world->events[event].is_accepted = true;
}

static void post(struct sim_notify *self, size_t event)
{
    if (self->world->events[event].is_accepted || self->is_posting[event])
        return;
    self->is_posting[event] = true;
    world_after(self->world, world_between(self->world, 2000, 200000), on_post, self,
                (uint64_t)self->process->life << 16 | event);
}

/* An order on its way to the disk. */
struct order {
    struct sim_notify *notify;
    uint32_t life;
    link_peer peer; /* 0: from the stream */
    size_t count;
    uint16_t events[ORDER_ALERTS_MAX];
    struct id alerts[ORDER_ALERTS_MAX];
};

static void say_alerted(struct sim_notify *self, struct order *order)
{
    ProtobufCBinaryData ids[ORDER_ALERTS_MAX];
    for (size_t i = 0; i < order->count; i++)
        ids[i] = (ProtobufCBinaryData){ ID_BYTES, order->alerts[i].bytes };
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    alerted.n_alert_ids = order->count;
    alerted.alert_ids = ids;
    Desg__V1__Packet packet = link_packet_alerted(&alerted);
    (void)network_send(self->world, self->process, order->peer, &packet);
}

static void acknowledge(struct sim_notify *self, const struct order *order)
{
    char history[MODEL_HISTORY_BYTES];
    for (size_t i = 0; i < order->count; i++) {
        struct redis_command command = { .kind = REDIS_ACK };
        command.as.event = order->events[i];
        (void)redis_call(self->world, &self->client, &command, 1, NULL, NULL, history);
    }
}

static void on_journalled(struct world *world, void *arg, uint64_t token)
{
    (void)token;
    struct order *order = arg;
    struct sim_notify *self = order->notify;
    if (self->process->is_up && self->process->life == order->life) {
        for (size_t i = 0; i < order->count; i++) {
            self->is_journalled[order->events[i]] = true;
            world_trace(world, self->process->name, "has the alert of event %u from %s",
                        order->events[i], order->peer ? "a neighbour" : "the stream");
            post(self, order->events[i]);
        }
        if (order->peer)
            say_alerted(self, order);
        else
            acknowledge(self, order);
        process_reap(world, self->process);
    }
    free(order);
}

static struct order *new_order(struct sim_notify *self, link_peer peer)
{
    struct order *order = calloc(1, sizeof *order);
    if (!order)
        abort();
    order->notify = self;
    order->life = self->process->life;
    order->peer = peer;
    return order;
}

void sim_notify_packet(struct sim_notify *self, link_peer peer, const Desg__V1__Packet *packet)
{
    if (packet->kind_case != DESG__V1__PACKET__KIND_ALERT_ORDER)
        return;
    struct order *order = new_order(self, peer);
    const Desg__V1__AlertOrder *given = packet->alert_order;
    for (size_t i = 0; i < given->n_alerts && order->count < ORDER_ALERTS_MAX; i++) {
        int event = event_of_alert(self->world, &given->alerts[i]->alert_id);
        if (event == NO_EVENT)
            continue; /* of poison that has no id of its own */
        memcpy(order->alerts[order->count].bytes, given->alerts[i]->alert_id.data, ID_BYTES);
        order->events[order->count++] = (uint16_t)event;
    }
    world_after_owned(self->world, world_between(self->world, 300, 10000), on_journalled, order, 0);
}

static void on_read(struct world *world, void *arg, uint64_t token)
{
    struct sim_notify *self = arg;
    if (!self->process->is_up || self->process->life != token)
        return;
    world_after(world, READ_US, on_read, self, token);
    const struct model_state *state =
        self->process->is_paused ? NULL : redis_read(world, &self->client);
    if (!state || state->stream_length == 0)
        return;
    struct order *order = new_order(self, 0);
    for (size_t i = 0; i < state->stream_length && order->count < STREAM_READ_MAX; i++)
        order->events[order->count++] = state->stream[i].event;
    world_after_owned(world, world_between(world, 300, 10000), on_journalled, order, 0);
}

void sim_notify_start(struct sim_notify *self)
{
    self->client.node = -1;
    self->client.not_before_us = 0;
    memset(self->is_posting, 0, sizeof self->is_posting);
    for (size_t i = 0; i < EVENTS_MAX; i++)
        if (self->is_journalled[i])
            post(self, i);
    world_after(self->world, world_between(self->world, 0, READ_US), on_read, self,
                self->process->life);
}

void sim_notify_stop(struct sim_notify *self)
{
    (void)self;
}

struct redis_client *sim_notify_client(struct sim_notify *self)
{
    return &self->client;
}

struct sim_notify *sim_notify_new(struct world *world, struct process *process)
{
    struct sim_notify *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->world = world;
    self->process = process;
    self->client.process = process;
    return self;
}

void sim_notify_destroy(struct sim_notify **self_p)
{
    free(*self_p);
    *self_p = NULL;
}
