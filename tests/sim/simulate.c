#include "simulate.h"

#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "oracle.h"
#include "processes.h"
#include "sim_events.h"
#include "sim_settings.h"

enum { LOOK_US = 1000000, RESTLESS_EACH = 4 /* run */ };

static struct world *make_world(const struct run_options *options)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        abort();
    world->seed = options->seed;
    world->dice = options->seed * 0x2545f4914f6cdd1d + 1;
    world->mutant = options->mutant;
    world->has_restless_rules =
        options->seed % RESTLESS_EACH == 0 || options->mutant == MUTANT_MARK_OF_ANOTHER_PAST;
    world->is_traced = options->is_traced;
    world->metrics = options->metrics;
    world->tally = options->tally;
    faults_choose(world);
    processes_make(world);
    events_make(world);
    network_make(world);
    redis_make(world);
    for (size_t i = 0; i < world->process_count; i++)
        process_start(world, &world->processes[i]);
    faults_begin(world);
    return world;
}

static void destroy_world(struct world *world)
{
    world_drop_queue(world);
    processes_destroy(world);
    network_destroy(world);
    redis_destroy(world);
    free(world);
}

static void run_until(struct world *world, int64_t until_us)
{
    while (!world->has_failed && world->queue_length > 0 && world->queue[0].at_us <= until_us)
        if (world_step(world) && world->counts.steps > SIM_STEPS_MAX)
            world_fail(world, "a storm: %d steps, and no end", SIM_STEPS_MAX);
    if (!world->has_failed)
        world->now_us = until_us;
}

void simulate(const struct run_options *options, struct run_result *result)
{
    struct world *world = make_world(options);
    run_until(world, world->faults_end_us);
    int64_t faulty_us = world->now_us;
    if (!world->has_failed)
        faults_end(world);
    int64_t deadline_us = world->now_us + SIM_SETTLE_US;
    while (!world->has_failed && world->now_us < deadline_us && !oracle_is_settled(world))
        run_until(world, world->now_us + LOOK_US);
    if (!world->has_failed)
        oracle_judge(world);
    *result = (struct run_result){ .has_failed = world->has_failed,
                                   .simulated_us = world->now_us,
                                   .faulty_us = faulty_us,
                                   .counts = world->counts };
    memcpy(result->problem, world->problem, sizeof result->problem);
    destroy_world(world);
}
