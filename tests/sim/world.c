#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t unix_start_ms = 1763800000000;
enum { UPTIME_MS = 1000000 };

/* splitmix64: small, fast, good enough for choosing faults. */
uint64_t world_random(struct world *world)
{
    uint64_t z = (world->dice += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t world_dice(struct world *world, uint64_t sides)
{
    return world_random(world) % sides;
}

int64_t world_between(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)world_dice(world, (uint64_t)(high - low + 1));
}

bool world_chance(struct world *world, uint32_t in_a_million)
{
    return in_a_million > 0 && world_dice(world, 1000000) < in_a_million;
}

/* --- what will happen: a binary heap by time, then by order of planning --- */

static bool is_before(const struct scheduled *a, const struct scheduled *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct scheduled *a, struct scheduled *b)
{
    struct scheduled kept = *a;
    *a = *b;
    *b = kept;
}

static void plan(struct world *world, int64_t wait_us, const struct scheduled *what)
{
    if (world->queue_length == world->queue_capacity) {
        world->queue_capacity = world->queue_capacity ? 2 * world->queue_capacity : 256;
        world->queue = realloc(world->queue, world->queue_capacity * sizeof *world->queue);
        if (!world->queue)
            abort();
    }
    size_t at = world->queue_length++;
    world->queue[at] = *what;
    world->queue[at].at_us = world->now_us + (wait_us > 0 ? wait_us : 0);
    world->queue[at].order = ++world->order;
    while (at > 0 && is_before(&world->queue[at], &world->queue[(at - 1) / 2])) {
        swap(&world->queue[at], &world->queue[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

void world_after(struct world *world, int64_t wait_us, world_fn *fn, void *arg, uint64_t token)
{
    plan(world, wait_us, &(struct scheduled){ .fn = fn, .arg = arg, .token = token });
}

void world_after_owned(struct world *world, int64_t wait_us, world_fn *fn, void *arg,
                       uint64_t token)
{
    plan(world, wait_us,
         &(struct scheduled){ .fn = fn, .arg = arg, .token = token, .owns_arg = true });
}

void world_drop_queue(struct world *world)
{
    for (size_t i = 0; i < world->queue_length; i++)
        if (world->queue[i].owns_arg)
            free(world->queue[i].arg);
    free(world->queue);
    world->queue = NULL;
    world->queue_length = world->queue_capacity = 0;
}

static struct scheduled take_next(struct world *world)
{
    struct scheduled next = world->queue[0];
    world->queue[0] = world->queue[--world->queue_length];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < world->queue_length &&
                is_before(&world->queue[child], &world->queue[least]))
                least = child;
        if (least == at)
            return next;
        swap(&world->queue[at], &world->queue[least]);
        at = least;
    }
}

bool world_step(struct world *world)
{
    if (world->queue_length == 0)
        return false;
    struct scheduled next = take_next(world);
    world->now_us = next.at_us;
    world->counts.steps++;
    next.fn(world, next.arg, next.token);
    return true;
}

int64_t process_now_ms(const struct world *world, const struct process *process)
{
    int64_t now_ms = world->now_us / 1000;
    return UPTIME_MS + now_ms + now_ms * process->drift_ppm / 1000000;
}

int64_t process_unix_ms(const struct world *world, const struct process *process)
{
    return unix_start_ms + process_now_ms(world, process) + process->wall_offset_ms;
}

/* --- what is told --- */

void world_fail(struct world *world, const char *format, ...)
{
    if (world->has_failed)
        return;
    world->has_failed = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(world->problem, sizeof world->problem, format, args);
    va_end(args);
    world_trace(world, "oracle", "VIOLATION: %s", world->problem);
}

void world_trace(struct world *world, const char *who, const char *format, ...)
{
    if (!world->is_traced)
        return;
    (void)printf("%12.6f %-10s ", (double)world->now_us / 1e6, who);
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

bool process_effect(struct world *world, struct process *process)
{
    if (!process->is_up || process->is_dying)
        return false;
    if (process->fuse < 0 || process->fuse-- > 0)
        return true;
    world_trace(world, process->name, "crashes in the middle of it");
    process->is_dying = true;
    return false;
}
