#include <stdlib.h>
#include <string.h>

#include "oracle.h"
#include "route/applying.h"
#include "sim_events.h"
#include "sim_ingest.h"
#include "sim_workers.h"
#include "store/plan.h"

enum { URGENT, BULK, LANES };
enum { PROBE_US = 250000, FLUSH_US = 300 };

struct route_lane {
    struct sim_route *route;
    struct applying *applying;
    struct redis_client client;
    bool is_flush_planned;
    bool is_expiring;
    struct redis_command commands[STORE_APPLY_MAX];
    struct model_outcome outcomes[STORE_APPLY_MAX];
};

struct sim_route {
    struct world *world;
    struct process *process;
    struct route_lane lanes[LANES];
    struct redis_client watch;
    bool is_silent;
    struct store_queues queues;
};

static struct applying_time time_now(const struct sim_route *self)
{
    return (struct applying_time){ process_now_ms(self->world, self->process),
                                   process_unix_ms(self->world, self->process) };
}

/* --- events into the model, as apply.c of the store sends them --- */

static bool make_offer(const struct sim_route *self, const struct store_event *given,
                       struct model_offer *offer)
{
    const Desg__V1__Event *event = given->event;
    int number = event_of(self->world, event->id.data, &event->raw);
    if (number == NO_EVENT || given->verdict_length > MODEL_VERDICT_BYTES - 8)
        return false;
    const struct sim_event *known = &self->world->events[number];
    struct store_plan plan;
    store_plan_make(&plan, event, given->verdict, &self->queues);
    *offer = (struct model_offer){
        .event = (uint16_t)number,
        .severity = (uint8_t)plan.severity,
        .certainty = plan.is_provisional ? MODEL_UNCLASSIFIED : MODEL_REAL,
        .is_work = plan.opens_work,
        .has_order = plan.may_alert,
        .breaks_function = known->nature == NATURE_BREAKS_FUNCTION,
        .received_ms = event->received_at_ms,
        .verdict_length = (uint8_t)given->verdict_length,
    };
    if (given->verdict_length > 0)
        memcpy(offer->verdict, given->verdict_bytes, given->verdict_length);
    return true;
}

static void read_outcome(const struct model_outcome *outcome, struct store_result *result)
{
    static const char letters[] = { [STORE_NEW] = 'n',
                                    [STORE_DUPLICATE] = 'd',
                                    [STORE_RAISED] = 'r',
                                    [STORE_PROVISIONAL] = 'p',
                                    [STORE_QUARANTINED] = 'q' };
    const char *letter = memchr(letters, outcome->letter, sizeof letters);
    *result =
        (struct store_result){ .outcome =
                                   letter ? (enum store_outcome)(letter - letters) : STORE_ERROR,
                               .standing_verdict = outcome->has_verdict ? outcome->verdict : NULL,
                               .standing_verdict_length = outcome->verdict_length };
}

static int apply_batch(struct route_lane *lane, const struct store_event *events, size_t count,
                       struct store_result *results, char *history)
{
    struct redis_command *commands = lane->commands;
    size_t index[STORE_APPLY_MAX];
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].quarantine_reason)
            continue;
        commands[sent] = (struct redis_command){ .kind = REDIS_APPLY };
        if (!make_offer(lane->route, &events[i], &commands[sent].as.offer))
            abort();
        index[sent++] = i;
    }
    if (redis_call(lane->route->world, &lane->client, commands, sent, lane->outcomes, NULL,
                   history) != 0)
        return -1;
    for (size_t i = 0; i < sent; i++)
        read_outcome(&lane->outcomes[i], &results[index[i]]);
    return 0;
}

static int apply(void *arg, const struct store_event *events, size_t count,
                 struct store_result *results, char history[static STORE_HISTORY_BYTES],
                 struct error *err)
{
    struct route_lane *lane = arg;
    (void)err;
    if (apply_batch(lane, events, count, results, history) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!events[i].quarantine_reason)
            continue;
        struct redis_command command = { .kind = REDIS_QUARANTINE };
        struct model_outcome outcome;
        char later[STORE_HISTORY_BYTES];
        if (!make_offer(lane->route, &events[i], &command.as.offer))
            abort();
        if (redis_call(lane->route->world, &lane->client, &command, 1, &outcome, NULL, later) != 0)
            return -1;
        if (strcmp(later, history) != 0)
            return -1; /* two histories in one answer */
        read_outcome(&outcome, &results[i]);
        lane->route->world->counts.quarantined++;
    }
    return 0;
}

static size_t source_number(const struct world *world, const struct id *source)
{
    for (size_t i = 0; i < world->ingests; i++)
        if (memcmp(sim_ingest_source(world->ingest[i])->bytes, source->bytes, ID_BYTES) == 0)
            return i;
    abort();
}

static int hello(void *arg, const struct id *source, struct store_mark *mark,
                 char history[static STORE_HISTORY_BYTES], struct error *err)
{
    struct route_lane *lane = arg;
    struct world *world = lane->route->world;
    struct model_mark found = { 0 };
    (void)err;
    if (redis_hello(world, &lane->client, source_number(world, source), &found, history) != 0)
        return -1;
    *mark = (struct store_mark){ found.incarnation, found.sequence, found.beat };
    return 0;
}

static int set_mark(void *arg, const struct id *source, const struct store_mark *mark,
                    const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                    bool *is_stored, struct error *err)
{
    struct route_lane *lane = arg;
    struct world *world = lane->route->world;
    struct redis_command command = { .kind = REDIS_MARK };
    (void)err;
    command.as.mark.source = source_number(world, source);
    command.as.mark.wanted = (struct model_mark){ mark->incarnation, mark->sequence, mark->beat };
    command.as.mark.previous =
        (struct model_mark){ previous->incarnation, previous->sequence, previous->beat };
    memcpy(command.as.mark.quoted, history, STORE_HISTORY_BYTES);
    *is_stored = false;
    return redis_call(world, &lane->client, &command, 1, NULL, is_stored, history);
}

static const char *problem(void *arg)
{
    (void)arg;
    return "away";
}

static bool is_silent(void *arg)
{
    const struct route_lane *lane = arg;
    return lane->route->is_silent;
}

static void on_probe(struct world *world, void *arg, uint64_t token)
{
    struct sim_route *self = arg;
    if (!self->process->is_up || self->process->life != token || !self->is_silent)
        return;
    if (!self->process->is_paused && redis_probe(world, &self->watch))
        self->is_silent = false;
    else
        world_after(world, PROBE_US, on_probe, self, token);
}

static void report(void *arg, const char *text)
{
    struct route_lane *lane = arg;
    struct sim_route *self = lane->route;
    (void)text;
    if (self->is_silent)
        return;
    self->is_silent = true;
    world_trace(self->world, self->process->name, "takes Redis for silent");
    world_after(self->world, PROBE_US, on_probe, self, self->process->life);
}

static int send_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet, struct error *err)
{
    struct route_lane *lane = arg;
    (void)err;
    return network_send(lane->route->world, lane->route->process, peer, packet);
}

/* --- what happens --- */

static void on_expiry(struct world *world, void *arg, uint64_t token)
{
    struct route_lane *lane = arg;
    struct sim_route *self = lane->route;
    if (!self->process->is_up || self->process->life != token)
        return;
    if (!self->process->is_paused)
        applying_expire(lane->applying, time_now(self).now_ms);
    lane->is_expiring = applying_waiting(lane->applying) > 0;
    if (lane->is_expiring)
        world_after(world, APPLYING_EXPIRY_MS * 1000LL, on_expiry, lane, token);
    process_reap(world, self->process);
}

static void on_flush(struct world *world, void *arg, uint64_t token)
{
    struct route_lane *lane = arg;
    struct sim_route *self = lane->route;
    if (!self->process->is_up || self->process->life != token)
        return;
    int64_t wait_us = self->process->busy_until_us - world->now_us;
    if (self->process->is_paused || wait_us > 0) {
        world_after(world, wait_us > 0 ? wait_us : 50000, on_flush, lane, token);
        return;
    }
    lane->is_flush_planned = false;
    applying_flush(lane->applying, time_now(self));
    if (applying_waiting(lane->applying) > 0 && !lane->is_expiring) {
        lane->is_expiring = true;
        world_after(world, APPLYING_EXPIRY_MS * 1000LL, on_expiry, lane, token);
    }
    process_reap(world, self->process);
}

void sim_route_packet(struct sim_route *self, enum port port, link_peer peer,
                      const Desg__V1__Packet *packet)
{
    if (port == PORT_NOTIFY) { /* both lanes have told it of themselves */
        for (size_t i = 0; i < LANES; i++)
            applying_notify_packet(self->lanes[i].applying, packet);
        return;
    }
    struct route_lane *lane = &self->lanes[port == PORT_URGENT ? URGENT : BULK];
    applying_packet(lane->applying, peer, packet, time_now(self));
    if (applying_wants_flush(lane->applying) && !lane->is_flush_planned) {
        lane->is_flush_planned = true;
        world_after(self->world, world_between(self->world, 0, FLUSH_US), on_flush, lane,
                    self->process->life);
    }
}

void sim_route_peer_up(struct sim_route *self, enum port port, link_peer peer)
{
    for (size_t i = 0; port == PORT_NOTIFY && i < LANES; i++)
        applying_notify_up(self->lanes[i].applying, peer);
}

void sim_route_peer_down(struct sim_route *self, enum port port, link_peer peer)
{
    for (size_t i = 0; port == PORT_NOTIFY && i < LANES; i++)
        applying_notify_down(self->lanes[i].applying, peer);
}

bool sim_route_is_drained(const struct sim_route *self)
{
    for (size_t i = 0; i < LANES; i++)
        if (applying_held(self->lanes[i].applying) + applying_waiting(self->lanes[i].applying) > 0)
            return false;
    return true;
}

size_t sim_route_clients(struct sim_route *self, struct redis_client **clients)
{
    clients[0] = &self->lanes[URGENT].client;
    clients[1] = &self->lanes[BULK].client;
    clients[2] = &self->watch;
    return 3;
}

void sim_route_start(struct sim_route *self)
{
    struct error err = { 0 };
    self->is_silent = false;
    self->watch.node = -1;
    for (size_t i = 0; i < LANES; i++) {
        struct route_lane *lane = &self->lanes[i];
        const struct applying_options options = {
            .lane = i == URGENT ? "urgent" : "bulk",
            .queues = &self->queues,
            .metrics = self->world->metrics,
            .hands = { apply, hello, set_mark, problem, is_silent, report, send_packet, send_packet,
                       lane },
        };
        lane->applying = applying_new(&options, &err);
        if (!lane->applying)
            abort();
        lane->client.node = -1;
        lane->client.not_before_us = 0;
        lane->is_flush_planned = lane->is_expiring = false;
    }
}

void sim_route_stop(struct sim_route *self)
{
    for (size_t i = 0; i < LANES; i++)
        applying_destroy(&self->lanes[i].applying);
}

struct sim_route *sim_route_new(struct world *world, struct process *process)
{
    struct sim_route *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->world = world;
    self->process = process;
    self->queues.unclassified_alerts_per_minute = 5;
    self->watch.process = process;
    for (size_t i = 0; i < LANES; i++) {
        self->lanes[i].route = self;
        self->lanes[i].client.process = process;
    }
    return self;
}

void sim_route_destroy(struct sim_route **self_p)
{
    if (*self_p)
        sim_route_stop(*self_p);
    free(*self_p);
    *self_p = NULL;
}
