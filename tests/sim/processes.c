/* processes - which code an event of the world goes to, and how processes start, crash, drain and
 * come back. */
#include <stdio.h>
#include <string.h>

#include "processes.h"
#include "sim_ingest.h"
#include "sim_workers.h"

static void add(struct world *world, enum role role, const char *word, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct process *process = &world->processes[world->process_count++];
        *process = (struct process){ .role = role, .index = i, .is_wanted = true, .fuse = -1 };
        (void)snprintf(process->name, sizeof process->name, "%s-%zu", word, i);
    }
}

void processes_make(struct world *world)
{
    add(world, ROLE_INGEST, "ingest", world->ingests);
    add(world, ROLE_CLASSIFY, "classify", world->workers);
    add(world, ROLE_ROUTE, "route", world->routes);
    add(world, ROLE_NOTIFY, "notify", world->notifies);
    for (size_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        process->drift_ppm = world_between(world, -500, 500);
        switch (process->role) {
        case ROLE_INGEST:
            world->ingest[process->index] = sim_ingest_new(world, process);
            break;
        case ROLE_CLASSIFY:
            world->worker[process->index] = sim_worker_new(world, process);
            break;
        case ROLE_ROUTE:
            world->route[process->index] = sim_route_new(world, process);
            break;
        case ROLE_NOTIFY:
            world->notify[process->index] = sim_notify_new(world, process);
            break;
        }
    }
}

void processes_destroy(struct world *world)
{
    for (size_t i = 0; i < INGESTS_MAX; i++)
        sim_ingest_destroy(&world->ingest[i]);
    for (size_t i = 0; i < WORKERS_MAX; i++)
        sim_worker_destroy(&world->worker[i]);
    for (size_t i = 0; i < ROUTES_MAX; i++)
        sim_route_destroy(&world->route[i]);
    for (size_t i = 0; i < NOTIFIES_MAX; i++)
        sim_notify_destroy(&world->notify[i]);
}

void process_start(struct world *world, struct process *process)
{
    if (process->is_up)
        return;
    process->is_up = true;
    process->is_dying = process->is_draining = process->is_paused = false;
    process->fuse = -1;
    process->busy_until_us = 0;
    process->life++;
    world_trace(world, process->name, "starts");
    switch (process->role) {
    case ROLE_INGEST:
        sim_ingest_start(world->ingest[process->index]);
        break;
    case ROLE_CLASSIFY:
        sim_worker_start(world->worker[process->index]);
        break;
    case ROLE_ROUTE:
        sim_route_start(world->route[process->index]);
        break;
    case ROLE_NOTIFY:
        sim_notify_start(world->notify[process->index]);
        break;
    }
    network_started(world, process);
}

static void on_restart(struct world *world, void *arg, uint64_t token)
{
    struct process *process = arg;
    if (process->life == token && process->is_wanted)
        process_start(world, process);
}

void process_stop(struct world *world, struct process *process, bool is_clean)
{
    if (!process->is_up)
        return;
    process->is_up = false;
    process->is_dying = false;
    world_trace(world, process->name, is_clean ? "ends" : "is gone");
    switch (process->role) {
    case ROLE_INGEST:
        sim_ingest_stop(world->ingest[process->index]);
        break;
    case ROLE_CLASSIFY:
        sim_worker_stop(world->worker[process->index]);
        break;
    case ROLE_ROUTE:
        sim_route_stop(world->route[process->index]);
        break;
    case ROLE_NOTIFY:
        sim_notify_stop(world->notify[process->index]);
        break;
    }
    network_stopped(world, process, is_clean);
    int64_t away_us = world_dice(world, 4) && world->has_faults
                          ? world_between(world, 50000, 3000000)
                          : world_between(world, 50000, world->has_faults ? 60000000 : 1000000);
    world_after(world, away_us, on_restart, process, process->life);
}

void process_reap(struct world *world, struct process *process)
{
    if (!process->is_dying)
        return;
    world->counts.crashes++;
    process_stop(world, process, false);
}

static bool is_drained(const struct world *world, const struct process *process)
{
    switch (process->role) {
    case ROLE_INGEST:
        return sim_ingest_is_drained(world->ingest[process->index]);
    case ROLE_CLASSIFY:
        return sim_worker_is_drained(world->worker[process->index]);
    case ROLE_ROUTE:
        return sim_route_is_drained(world->route[process->index]);
    case ROLE_NOTIFY:
        return true;
    }
    return true;
}

static void on_drain_tick(struct world *world, void *arg, uint64_t token)
{
    struct process *process = arg;
    bool is_over = world->now_us >= process->drain_until_us; /* the grace period */
    if (!process->is_up || process->life != token)
        return;
    if (!process->is_paused && (is_over || is_drained(world, process)))
        process_stop(world, process, true);
    else
        world_after(world, 100000, on_drain_tick, process, token);
}

void process_drain(struct world *world, struct process *process)
{
    if (!process->is_up || process->is_draining)
        return;
    world_trace(world, process->name, "drains");
    process->is_draining = true;
    process->drain_until_us = world->now_us + 10000000;
    switch (process->role) {
    case ROLE_INGEST:
        sim_ingest_drain(world->ingest[process->index]);
        break;
    case ROLE_CLASSIFY:
        sim_worker_drain(world->worker[process->index]);
        break;
    case ROLE_ROUTE:
        network_drain(world, process, PORT_URGENT);
        network_drain(world, process, PORT_BULK);
        break;
    case ROLE_NOTIFY:
        break;
    }
    world_after(world, 200000, on_drain_tick, process, process->life);
}

/* --- from the network --- */

void process_peer_up(struct world *world, struct process *process, enum port port, link_peer peer,
                     const struct process *other, uint32_t credit)
{
    if (process->role == ROLE_INGEST)
        sim_ingest_peer_up(world->ingest[process->index], port, peer, other, credit);
    else if (process->role == ROLE_CLASSIFY)
        sim_worker_peer_up(world->worker[process->index], port, peer);
    else if (process->role == ROLE_ROUTE)
        sim_route_peer_up(world->route[process->index], port, peer);
}

void process_peer_down(struct world *world, struct process *process, enum port port, link_peer peer,
                       bool is_drain)
{
    if (process->role == ROLE_INGEST)
        sim_ingest_peer_down(world->ingest[process->index], port, peer, is_drain);
    else if (process->role == ROLE_CLASSIFY)
        sim_worker_peer_down(world->worker[process->index], port, peer);
    else if (process->role == ROLE_ROUTE)
        sim_route_peer_down(world->route[process->index], port, peer);
}

void process_packet(struct world *world, struct process *process, enum port port, link_peer peer,
                    const Desg__V1__Packet *packet)
{
    switch (process->role) {
    case ROLE_INGEST:
        sim_ingest_packet(world->ingest[process->index], port, peer, packet);
        break;
    case ROLE_CLASSIFY:
        sim_worker_packet(world->worker[process->index], port, peer, packet);
        break;
    case ROLE_ROUTE:
        sim_route_packet(world->route[process->index], port, peer, packet);
        break;
    case ROLE_NOTIFY:
        sim_notify_packet(world->notify[process->index], peer, packet);
        break;
    }
}
