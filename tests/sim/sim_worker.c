#include <stdlib.h>
#include <string.h>

#include "classify/forwarder.h"
#include "classify/hold.h"
#include "sim_events.h"
#include "sim_workers.h"

struct sim_worker {
    struct world *world;
    struct process *process;
    struct forwarder *forwarder;
    bool is_ticking;
};

static int64_t now_ms(const struct sim_worker *self)
{
    return process_now_ms(self->world, self->process);
}

static int send_packet(void *arg, enum outlet outlet, link_peer peer,
                       const Desg__V1__Packet *packet)
{
    struct sim_worker *self = arg;
    (void)outlet;
    return network_send(self->world, self->process, peer, packet);
}

static uint32_t credit(void *arg, enum outlet outlet, link_peer peer)
{
    const struct sim_worker *self = arg;
    (void)outlet;
    return network_credit(self->world, self->process, peer);
}

static void credit_return(void *arg, enum outlet outlet, link_peer peer, uint32_t events)
{
    struct sim_worker *self = arg;
    (void)outlet;
    network_credit_return(self->world, self->process, peer, events);
}

static void judge(void *arg, const Desg__V1__Event *event, struct verdict *out)
{
    struct sim_worker *self = arg;
    struct world *world = self->world;
    const struct sim_event *known = &world->events[event_number(event->id.data)];
    if (known->nature == NATURE_KILLS_WORKER && !self->process->is_dying) {
        world_trace(world, self->process->name, "is killed by event %zu",
                    event_number(event->id.data));
        self->process->is_dying = true;
    }
    *out = (struct verdict){ .message = DESG__V1__VERDICT__INIT };
    out->message.severity = (Desg__V1__Severity)known->severity[world->rules_edition];
    out->message.is_urgent = out->message.severity >= DESG__V1__SEVERITY__SEVERITY_URGENT;
    out->message.rules_edition = world->rules_edition ? (char *)"b" : (char *)"a";
}

static void on_tick(struct world *world, void *arg, uint64_t token)
{
    struct sim_worker *self = arg;
    if (!self->process->is_up || self->process->life != token)
        return;
    if (!self->process->is_paused)
        forwarder_tick(self->forwarder, now_ms(self));
    self->is_ticking = forwarder_is_holding(self->forwarder);
    if (self->is_ticking)
        world_after(world, FORWARDER_TICK_MS * 1000LL, on_tick, self, token);
    struct forwarder_status status;
    forwarder_status(self->forwarder, &status);
    if (status.held > 2 * (size_t)HOLD_MAX_EVENTS)
        world_fail(world, "%s holds %zu events", self->process->name, status.held);
    process_reap(world, self->process);
}

static void watch_held(struct sim_worker *self)
{
    if (self->is_ticking || !forwarder_is_holding(self->forwarder))
        return;
    self->is_ticking = true;
    world_after(self->world, FORWARDER_TICK_MS * 1000LL, on_tick, self, self->process->life);
}

void sim_worker_peer_up(struct sim_worker *self, enum port port, link_peer peer)
{
    if (port == PORT_URGENT)
        forwarder_route_up(self->forwarder, OUTLET_URGENT, peer);
    else if (port == PORT_BULK)
        forwarder_route_up(self->forwarder, OUTLET_BULK, peer);
    else if (port == PORT_NOTIFY)
        forwarder_notify_up(self->forwarder, peer);
}

void sim_worker_peer_down(struct sim_worker *self, enum port port, link_peer peer)
{
    if (port == PORT_URGENT)
        forwarder_route_down(self->forwarder, OUTLET_URGENT, peer);
    else if (port == PORT_BULK)
        forwarder_route_down(self->forwarder, OUTLET_BULK, peer);
    else if (port == PORT_NOTIFY)
        forwarder_notify_down(self->forwarder, peer);
    else
        forwarder_ingest_down(self->forwarder, peer);
}

void sim_worker_packet(struct sim_worker *self, enum port port, link_peer peer,
                       const Desg__V1__Packet *packet)
{
    if (port == PORT_INGEST)
        forwarder_ingest_packet(self->forwarder, peer, packet, now_ms(self));
    else if (port == PORT_NOTIFY)
        forwarder_notify_packet(self->forwarder, packet);
    else
        forwarder_route_packet(self->forwarder, port == PORT_URGENT ? OUTLET_URGENT : OUTLET_BULK,
                               peer, packet, now_ms(self));
    watch_held(self);
}

void sim_worker_start(struct sim_worker *self)
{
    struct error err = { 0 };
    const struct forwarder_options options = {
        .tally = self->world->tally,
        .outlets = { send_packet, credit, credit_return, self },
        .judge = judge,
        .judge_arg = self,
    };
    self->forwarder = forwarder_new(&options, &err);
    if (!self->forwarder)
        abort();
    self->is_ticking = false;
}

void sim_worker_stop(struct sim_worker *self)
{
    forwarder_destroy(&self->forwarder);
}

void sim_worker_drain(struct sim_worker *self)
{
    forwarder_drain(self->forwarder, now_ms(self));
    network_drain(self->world, self->process, PORT_INGEST);
}

bool sim_worker_is_drained(const struct sim_worker *self)
{
    return forwarder_is_idle(self->forwarder, now_ms(self));
}

struct sim_worker *sim_worker_new(struct world *world, struct process *process)
{
    struct sim_worker *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->world = world;
    self->process = process;
    return self;
}

void sim_worker_destroy(struct sim_worker **self_p)
{
    if (*self_p)
        forwarder_destroy(&(*self_p)->forwarder);
    free(*self_p);
    *self_p = NULL;
}
