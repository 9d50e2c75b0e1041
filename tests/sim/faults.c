#include "faults.h"

#include "processes.h"
#include "sim_ingest.h"
#include "sim_redis.h"

static const int64_t second_us = 1000000;

/* Not every run has every kind of trouble: a rare mishap needs quiet around it. */
static void choose_weather(struct world *world)
{
    static const uint32_t chances[] = { 0, 0, 500, 5000, 30000, 150000, 400000 };
    enum { CHANCES = sizeof chances / sizeof chances[0] };
    struct weather *weather = &world->weather;
    weather->loss = chances[world_dice(world, CHANCES)];
    weather->duplication = chances[world_dice(world, CHANCES)];
    weather->reorder = chances[world_dice(world, CHANCES)];
    weather->refusal = chances[world_dice(world, CHANCES)] / 4;
    weather->redis_request_lost = chances[world_dice(world, CHANCES)] / 4;
    weather->redis_reply_lost = chances[world_dice(world, CHANCES)] / 4;
    weather->redis_late = chances[world_dice(world, CHANCES)] / 8;
    weather->delay_us = world_dice(world, 2) ? 20000 : 8000000;
}

void faults_choose(struct world *world)
{
    world->ingests = 1 + world_dice(world, INGESTS_MAX);
    world->workers = 1 + world_dice(world, WORKERS_MAX);
    world->routes = 1 + world_dice(world, ROUTES_MAX);
    world->notifies = 1 + world_dice(world, NOTIFIES_MAX);
    world->tick_us = world_between(world, 25, 250) * 1000;
    world->has_faults = true;
    world->faults_end_us = world_between(world, 120, 2400) * second_us;
    choose_weather(world);
    world->favourite = world_dice(world, 2) ? REDIS_FAULTS : world_dice(world, REDIS_FAULTS);
}

/* --- what the platforms send --- */

static void on_post(struct world *world, void *arg, uint64_t token)
{
    struct delivery *delivery = arg;
    (void)token;
    if (delivery->is_heard)
        return;
    delivery->is_posted = true;
    sim_ingest_post(world->ingest[world_dice(world, world->ingests)],
                    (size_t)(delivery - world->deliveries));
    world_after(world, world_between(world, second_us, 20 * second_us), on_post, delivery, 0);
}

static void plan_posts(struct world *world)
{
    int64_t at_us = 0;
    int64_t mean_us = world->faults_end_us / (int64_t)world->delivery_count;
    for (size_t i = 0; i < world->delivery_count; i++) {
        world_after(world, at_us, on_post, &world->deliveries[i], 0);
        bool is_burst = world_dice(world, 3) == 0;
        at_us += is_burst ? world_between(world, 0, 2000) : world_between(world, 0, 2 * mean_us);
        if (at_us > world->faults_end_us)
            at_us = world_between(world, 0, world->faults_end_us);
    }
}

/* --- processes --- */

static struct process *any_process(struct world *world)
{
    return &world->processes[world_dice(world, world->process_count)];
}

static void kill_some(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct process *process = any_process(world);
        if (!process->is_up)
            continue;
        if (world_dice(world, 3)) { /* at its next step, or one soon after */
            process->fuse = world_between(world, 0, 12);
        } else {
            world->counts.crashes++;
            process_stop(world, process, false);
        }
    }
}

static void on_resume(struct world *world, void *arg, uint64_t token)
{
    struct process *process = arg;
    if (process->life == token)
        process->is_paused = false;
    world_trace(world, process->name, "goes on");
}

static void pause_one(struct world *world)
{
    struct process *process = any_process(world);
    if (!process->is_up || process->is_paused)
        return;
    process->is_paused = true;
    world_trace(world, process->name, "is stopped");
    network_paused(world, process);
    world_after(world, world_between(world, 100000, 20 * second_us), on_resume, process,
                process->life);
}

static void on_scaled_back(struct world *world, void *arg, uint64_t token)
{
    struct process *process = arg;
    (void)token;
    process->is_wanted = true;
    process_start(world, process);
}

/* Scaled in with whatever it holds; for an ingest, an adopter opens its journal much later. */
static void scale_in(struct world *world)
{
    struct process *process = any_process(world);
    if (!process->is_wanted)
        return;
    process->is_wanted = false;
    world_trace(world, process->name, "is scaled in");
    process_drain(world, process);
    world_after(world, world_between(world, 10, 300) * second_us, on_scaled_back, process, 0);
}

static void restart_all(struct world *world)
{
    for (size_t i = 0; i < world->process_count; i++)
        if (world->processes[i].is_up)
            process_stop(world, &world->processes[i], false);
}

static void fault_process(struct world *world)
{
    switch (world_dice(world, 12)) {
    case 0:
    case 1:
        pause_one(world);
        break;
    case 2:
    case 3:
        process_drain(world, any_process(world));
        break;
    case 4:
        scale_in(world);
        break;
    case 5:
        if (world_dice(world, 3) == 0)
            restart_all(world);
        break;
    default:
        kill_some(world, 1 + world_dice(world, 3));
    }
}

/* --- disks, clocks, dispatch --- */

static void restore_volume(struct world *world, struct process *process)
{
    if (process->is_up)
        process_stop(world, process, false);
    sim_ingest_restore_snapshot(world->ingest[process->index]);
}

static void fault_disk(struct world *world)
{
    struct process *process = &world->processes[world_dice(world, world->ingests)];
    struct sim_ingest *ingest = world->ingest[process->index];
    switch (world_dice(world, 8)) {
    case 0:
    case 1:
        sim_ingest_slow_disk(ingest, world->now_us + world_between(world, 1, 30) * second_us);
        break;
    case 2:
        if (process->is_up)
            sim_ingest_fail_disk(ingest);
        break;
    case 3:
    case 4:
    case 5:
        sim_ingest_fill_disk(ingest, world->now_us + world_between(world, 1, 60) * second_us);
        world_trace(world, process->name, "its disk is getting full");
        break;
    case 6:
        sim_ingest_take_snapshot(ingest);
        break;
    default:
        restore_volume(world, process);
    }
}

static void fault_clock(struct world *world)
{
    struct process *process = any_process(world);
    process->wall_offset_ms = world_between(world, -3600000, 3600000);
    world_trace(world, process->name, "its wall clock jumps to %+.0f s",
                (double)process->wall_offset_ms / 1000);
}

static void on_dispatch_back(struct world *world, void *arg, uint64_t token)
{
    (void)arg;
    (void)token;
    world->is_dispatch_away = false;
}

static void fault_dispatch(struct world *world)
{
    world->is_dispatch_away = true;
    world_after(world, world_between(world, 1, 60) * second_us, on_dispatch_back, NULL, 0);
}

static void cause_one(struct world *world)
{
    if (world->has_restless_rules && world_dice(world, 2))
        world->rules_edition = (uint8_t)world_dice(world, 2);
    if (world->favourite < REDIS_FAULTS && world_dice(world, 3) == 0) {
        redis_fault(world, world->favourite);
        return;
    }
    switch (world_dice(world, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        fault_process(world);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        redis_fault(world, world_dice(world, REDIS_FAULTS));
        break;
    case 11:
    case 12:
        network_cut(world, world_between(world, 100000, 40 * second_us));
        break;
    case 13:
    case 14:
        network_break_one(world);
        break;
    case 15:
    case 16:
        fault_disk(world);
        break;
    case 17:
        fault_clock(world);
        break;
    case 18:
        fault_dispatch(world);
        break;
    default:
        world->rules_edition = (uint8_t)world_dice(world, 2);
    }
}

static void on_fault(struct world *world, void *arg, uint64_t token)
{
    (void)arg;
    if (!world->has_faults)
        return;
    cause_one(world);
    int64_t mean_us = (int64_t)token;
    world_after(world, world_between(world, 0, world_dice(world, 4) ? 2 * mean_us : mean_us / 20),
                on_fault, NULL, token);
}

void faults_begin(struct world *world)
{
    plan_posts(world);
    int64_t mean_us = world_between(world, 1, 25) * second_us;
    world_after(world, world_between(world, 0, mean_us), on_fault, NULL, (uint64_t)mean_us);
}

void faults_end(struct world *world)
{
    world_trace(world, "world", "all faults end");
    world->has_faults = false;
    world->weather = (struct weather){ .delay_us = 1000 };
    world->is_dispatch_away = false;
    network_heal(world);
    redis_heal(world);
    for (size_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        process->is_wanted = true;
        process->is_paused = false;
        process->fuse = -1;
        process_start(world, process);
    }
}
