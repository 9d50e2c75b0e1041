#include "sim_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

enum { NOBODY = -1, TIMEOUT_US = 250000, RATE = 5 };

struct node {
    char name[32];
    bool is_up;
    bool is_master;
    int64_t hung_until_us;
    uint32_t life;
    char replid[MODEL_HISTORY_BYTES];
    struct model_state live;
    struct model_state durable;
    struct redis_command *log;
    size_t log_count, log_capacity, log_durable; /* the first log_durable are in durable */
    uint32_t log_epoch;
    int following; /* a replica: whom; NOBODY: none yet */
    size_t taken;  /* of the master's log */
    uint32_t taken_epoch;
    int64_t lag_until_us;
    bool is_pulling;
};

struct image {
    bool is_there;
    size_t node;
    int64_t at_us;
    int64_t restored_us;
    char replid[MODEL_HISTORY_BYTES];
    struct model_state state;
};

struct sim_redis {
    struct node nodes[NODES];
    size_t master; /* by Sentinel's word */
    struct model_rules rules;
    struct image image;
};

static void new_replid(struct world *world, struct node *node)
{
    (void)snprintf(node->replid, sizeof node->replid, "%016" PRIx64 "%016" PRIx64 "%08" PRIx64,
                   world_random(world), world_random(world), world_random(world) >> 32);
}

static void history_of(const struct world *world, const struct node *node,
                       char out[static MODEL_HISTORY_BYTES])
{
    if (world->mutant == MUTANT_TOKEN_IN_KEY)
        (void)snprintf(out, MODEL_HISTORY_BYTES, "%040" PRIx64, node->live.token);
    else
        memcpy(out, node->replid, MODEL_HISTORY_BYTES);
}

/* --- commands --- */

static void run(struct world *world, struct node *node, struct model_state *state,
                const struct redis_command *command, struct model_outcome *outcome, bool *is_stored)
{
    const struct model_rules *rules = &world->redis->rules;
    struct model_outcome ignored;
    char live[MODEL_HISTORY_BYTES];
    switch (command->kind) {
    case REDIS_APPLY:
        model_apply(state, rules, &command->as.offer, outcome ? outcome : &ignored);
        break;
    case REDIS_QUARANTINE:
        model_quarantine(state, rules, &command->as.offer, outcome ? outcome : &ignored);
        break;
    case REDIS_MARK:
        history_of(world, node, live);
        *is_stored =
            model_mark(state, rules, command->as.mark.source, live, command->as.mark.quoted,
                       command->as.mark.wanted, command->as.mark.previous);
        break;
    case REDIS_ACK:
        model_acknowledge(state, command->as.event);
        break;
    case REDIS_FLUSH:
        memset(state, 0, sizeof *state);
        break;
    case REDIS_TOKEN:
        state->token = command->as.token;
        break;
    }
}

/* What the file and the replicas get is the effect: a mark that was stored is stored there too. */
static void run_effect(struct world *world, struct node *node, struct model_state *state,
                       const struct redis_command *command)
{
    if (command->kind == REDIS_MARK)
        state->marks[command->as.mark.source] = command->as.mark.wanted;
    else
        run(world, node, state, command, NULL, NULL);
}

static void pull(struct world *world, void *arg, uint64_t token);

static void plan_pull(struct world *world, struct node *replica, int64_t wait_us)
{
    if (replica->is_pulling)
        return;
    replica->is_pulling = true;
    world_after(world, wait_us, pull, replica, 0);
}

static void wake_replicas(struct world *world, const struct node *master)
{
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &world->redis->nodes[i];
        if (node->is_up && !node->is_master && node->following >= 0 &&
            &world->redis->nodes[node->following] == master)
            plan_pull(world, node, world_between(world, 200, 3000));
    }
}

static void append(struct world *world, struct node *node, const struct redis_command *command)
{
    if (node->log_count == node->log_capacity) {
        node->log_capacity = node->log_capacity ? 2 * node->log_capacity : 256;
        node->log = realloc(node->log, node->log_capacity * sizeof *node->log);
        if (!node->log)
            abort();
    }
    node->log[node->log_count] = *command;
    node->log[node->log_count++].at_us = world->now_us;
}

/* The file is synced once a second: what is older is in durable, but only when somebody asks. */
static void sync_file(struct world *world, struct node *node, int64_t until_us)
{
    while (node->log_durable < node->log_count && node->log[node->log_durable].at_us <= until_us)
        run_effect(world, node, &node->durable, &node->log[node->log_durable++]);
}

static void execute(struct world *world, struct node *node, const struct redis_command *command,
                    struct model_outcome *outcome, bool *is_stored)
{
    bool is_marked = false;
    run(world, node, &node->live, command, outcome, &is_marked);
    if (is_stored)
        *is_stored = is_marked;
    if (command->kind == REDIS_MARK) {
        if (!is_marked)
            return; /* changed nothing */
        world->counts.marks++;
        oracle_mark_stored(world, node->name, &node->live, command->as.mark.source);
    }
    if (command->kind == REDIS_APPLY || command->kind == REDIS_QUARANTINE)
        world_trace(world, node->name, "%s event %u, severity %u, certainty %u: %c",
                    command->kind == REDIS_APPLY ? "applies" : "quarantines",
                    command->as.offer.event, command->as.offer.severity,
                    command->as.offer.certainty, outcome ? outcome->letter : '?');
    append(world, node, command);
    wake_replicas(world, node);
}

/* --- replicas --- */

static void full_copy(struct world *world, struct node *replica, const struct node *master)
{
    replica->live = master->live;
    replica->durable = master->live;
    replica->log_count = replica->log_durable = 0;
    replica->log_epoch++;
    replica->taken = master->log_count;
    replica->taken_epoch = master->log_epoch;
    memcpy(replica->replid, master->replid, sizeof replica->replid);
    world_trace(world, replica->name, "copies all of %s", master->name);
}

static void pull(struct world *world, void *arg, uint64_t token)
{
    (void)token;
    struct node *replica = arg;
    replica->is_pulling = false;
    if (!replica->is_up || replica->is_master || replica->following < 0)
        return;
    const struct node *master = &world->redis->nodes[replica->following];
    if (!master->is_up || !master->is_master || world->now_us < replica->lag_until_us ||
        world->now_us < master->hung_until_us) {
        plan_pull(world, replica, world_between(world, 100000, 500000));
        return;
    }
    if (replica->taken_epoch != master->log_epoch) {
        full_copy(world, replica, master);
        return;
    }
    while (replica->taken < master->log_count) {
        const struct redis_command *command = &master->log[replica->taken++];
        run_effect(world, replica, &replica->live, command);
        append(world, replica, command);
    }
}

static void follow(struct world *world, struct node *replica, size_t master, int64_t wait_us)
{
    replica->is_master = false;
    replica->following = (int)master;
    replica->taken_epoch = UINT32_MAX; /* a full copy first */
    plan_pull(world, replica, wait_us);
}

/* --- clients --- */

enum fate { FATE_DONE, FATE_NOT_DONE, FATE_REPLY_LOST, FATE_LATE };

static struct node *connected(struct world *world, struct redis_client *client)
{
    struct sim_redis *redis = world->redis;
    if (client->node >= 0 && redis->nodes[client->node].is_up &&
        redis->nodes[client->node].life == client->life)
        return &redis->nodes[client->node];
    client->node = NOBODY;
    if (world->now_us < client->not_before_us)
        return NULL;
    client->not_before_us = world->now_us + 200000;
    struct node *node = &redis->nodes[client->view];
    if (!node->is_up || !node->is_master || world->now_us < node->hung_until_us)
        return NULL;
    client->node = (int)client->view;
    client->life = node->life;
    return node;
}

static void lose(struct redis_client *client)
{
    client->node = NOBODY;
}

static void time_out(struct world *world, struct redis_client *client)
{
    lose(client);
    client->process->busy_until_us = world->now_us + TIMEOUT_US;
}

static enum fate fate_of(struct world *world, struct node *node)
{
    if (world->now_us < node->hung_until_us)
        return world_dice(world, 2) ? FATE_LATE : FATE_NOT_DONE;
    if (world_chance(world, world->weather.redis_request_lost))
        return FATE_NOT_DONE;
    if (world_chance(world, world->weather.redis_reply_lost))
        return FATE_REPLY_LOST;
    return world_chance(world, world->weather.redis_late) ? FATE_LATE : FATE_DONE;
}

struct late_call {
    struct node *node;
    uint32_t life;
    size_t count;
    struct redis_command commands[];
};

static void run_late(struct world *world, void *arg, uint64_t token)
{
    (void)token;
    struct late_call *late = arg;
    struct node *node = late->node;
    if (node->is_up && node->life == late->life && node->is_master) {
        world_trace(world, node->name, "runs a call nobody waits for any more");
        for (size_t i = 0; i < late->count; i++)
            execute(world, node, &late->commands[i], NULL, NULL);
    }
    free(late);
}

static void leave_for_later(struct world *world, struct node *node,
                            const struct redis_command *commands, size_t count)
{
    struct late_call *late = malloc(sizeof *late + count * sizeof commands[0]);
    if (!late)
        abort();
    *late = (struct late_call){ .node = node, .life = node->life, .count = count };
    memcpy(late->commands, commands, count * sizeof commands[0]);
    int64_t wait_us = world_between(world, TIMEOUT_US, 2000000);
    if (node->hung_until_us > world->now_us)
        wait_us = node->hung_until_us - world->now_us + world_between(world, 0, 1000);
    world_after_owned(world, wait_us, run_late, late, 0);
}

int redis_call(struct world *world, struct redis_client *client,
               const struct redis_command *commands, size_t count, struct model_outcome *outcomes,
               bool *is_stored, char history[static MODEL_HISTORY_BYTES])
{
    if (!process_effect(world, client->process))
        return -1;
    struct node *node = connected(world, client);
    if (!node)
        return -1;
    if (!node->is_master) { /* READONLY */
        lose(client);
        return -1;
    }
    enum fate fate = fate_of(world, node);
    if (fate == FATE_LATE)
        leave_for_later(world, node, commands, count);
    if (fate == FATE_DONE || fate == FATE_REPLY_LOST)
        for (size_t i = 0; i < count; i++)
            execute(world, node, &commands[i], outcomes ? &outcomes[i] : NULL, is_stored);
    if (fate != FATE_DONE || !process_effect(world, client->process)) {
        time_out(world, client);
        return -1;
    }
    history_of(world, node, history);
    return 0;
}

int redis_hello(struct world *world, struct redis_client *client, size_t source,
                struct model_mark *mark, char history[static MODEL_HISTORY_BYTES])
{
    struct node *node = process_effect(world, client->process) ? connected(world, client) : NULL;
    if (!node)
        return -1;
    if (fate_of(world, node) != FATE_DONE) {
        time_out(world, client);
        return -1;
    }
    *mark = node->live.marks[source];
    history_of(world, node, history);
    return 0;
}

const struct model_state *redis_read(struct world *world, struct redis_client *client)
{
    return redis_probe(world, client) ? &world->redis->nodes[client->node].live : NULL;
}

bool redis_probe(struct world *world, struct redis_client *client)
{
    struct node *node = connected(world, client);
    if (node && !node->is_master)
        lose(client);
    return node && node->is_master && world->now_us >= node->hung_until_us;
}

const struct model_state *redis_master(const struct world *world)
{
    return &world->redis->nodes[world->redis->master].live;
}

bool redis_is_there(const struct world *world)
{
    const struct node *node = &world->redis->nodes[world->redis->master];
    return node->is_up && node->is_master && world->now_us >= node->hung_until_us;
}

/* --- Sentinel --- */

static void see(struct world *world, void *arg, uint64_t token)
{
    struct redis_client *client = arg;
    (void)token;
    client->view = world->redis->master;
}

static void tell_clients(struct world *world, int64_t within_us)
{
    struct redis_client *clients[2 * ROUTES_MAX + NOTIFIES_MAX + ROUTES_MAX];
    size_t count = oracle_redis_clients(world, clients);
    for (size_t i = 0; i < count; i++)
        world_after(world, world_between(world, 0, within_us), see, clients[i], 0);
}

/* The broken variant: whoever promotes or starts a master writes a new token, a little later. */
static void write_token(struct world *world, void *arg, uint64_t token)
{
    struct node *node = arg;
    if (!node->is_up || !node->is_master || node->life != token)
        return;
    struct redis_command command = { .kind = REDIS_TOKEN };
    command.as.token = world_random(world) | 1;
    execute(world, node, &command, NULL, NULL);
}

static void plan_token(struct world *world, struct node *node)
{
    if (world->mutant == MUTANT_TOKEN_IN_KEY)
        world_after(world, world_between(world, 0, 300000), write_token, node, node->life);
}

static void become_master(struct world *world, struct node *node)
{
    node->is_master = true;
    node->following = NOBODY;
    new_replid(world, node);
    plan_token(world, node);
    oracle_state_changed(world, node->name, &node->live);
}

/* --- a node goes and comes --- */

static void crash(struct world *world, struct node *node)
{
    world_trace(world, node->name, "crashes");
    node->is_up = false;
    node->life++;
    node->hung_until_us = 0;
}

/* Up to two seconds of the file's tail are gone. */
static void load_file(struct world *world, struct node *node)
{
    size_t had = node->log_count;
    sync_file(world, node, world->now_us - world_between(world, 0, 2000000));
    world_trace(world, node->name, "starts, %zu of %zu commands of its file's tail are lost",
                had - node->log_durable, had);
    node->live = node->durable;
    node->log_count = node->log_durable = 0;
    node->log_epoch++;
    node->is_up = true;
}

static void on_node_back(struct world *world, void *arg, uint64_t token)
{
    struct node *node = arg;
    struct sim_redis *redis = world->redis;
    if (node->is_up || node->life != token)
        return;
    size_t index = (size_t)(node - redis->nodes);
    bool is_empty = world->has_faults && world_dice(world, 40) == 0;
    load_file(world, node);
    if (is_empty) {
        world_trace(world, node->name, "has lost its file");
        memset(&node->live, 0, sizeof node->live);
        memset(&node->durable, 0, sizeof node->durable);
    }
    if (redis->master == index) {
        become_master(world, node);
        if (is_empty)
            oracle_data_gone(world);
        for (size_t i = 0; i < NODES; i++)
            if (i != index && redis->nodes[i].is_up)
                follow(world, &redis->nodes[i], index, world_between(world, 1000, 1000000));
    } else if (world_dice(world, 3) == 0 && world->has_faults) {
        become_master(world, node); /* nobody has told it yet */
        node->following = NOBODY;
        world_after(world, world_between(world, 10000, 5000000), redis_heal_node, node, node->life);
    } else {
        follow(world, node, redis->master, world_between(world, 1000, 1000000));
    }
}

static void restart(struct world *world, struct node *node)
{
    crash(world, node);
    world->counts.restarts++;
    world_after(world, world_between(world, 100000, 8000000), on_node_back, node, node->life);
}

/* An old master is told at last. */
void redis_heal_node(struct world *world, void *arg, uint64_t token)
{
    struct node *node = arg;
    size_t index = (size_t)(node - world->redis->nodes);
    if (!node->is_up || node->life != token || index == world->redis->master)
        return;
    world_trace(world, node->name, "is told that it is a replica");
    if (world_dice(world, 2))
        node->life++; /* connections are dropped; else they outlive the change */
    follow(world, node, world->redis->master, world_between(world, 1000, 500000));
}

static void fail_over(struct world *world, bool is_old_alive)
{
    struct sim_redis *redis = world->redis;
    size_t old = redis->master;
    size_t chosen = (old + 1 + world_dice(world, NODES - 1)) % NODES;
    struct node *node = &redis->nodes[chosen];
    if (!node->is_up || node->is_master || node->following != (int)old ||
        node->taken_epoch == UINT32_MAX)
        return;
    world->counts.failovers++;
    world_trace(world, node->name, "becomes master, %zu commands behind %s which %s",
                redis->nodes[old].log_count - node->taken, redis->nodes[old].name,
                is_old_alive ? "goes on" : "is dead");
    if (!is_old_alive) {
        crash(world, &redis->nodes[old]);
        world_after(world, world_between(world, 1000000, 60000000), on_node_back,
                    &redis->nodes[old], redis->nodes[old].life);
    } else {
        world_after(world, world_between(world, 1000, 25000000), redis_heal_node,
                    &redis->nodes[old], redis->nodes[old].life);
    }
    redis->master = chosen;
    become_master(world, node);
    for (size_t i = 0; i < NODES; i++)
        if (i != chosen && i != old && redis->nodes[i].is_up)
            follow(world, &redis->nodes[i], chosen, world_between(world, 1000, 5000000));
    tell_clients(world, world_dice(world, 3) ? 2000000 : 25000000);
}

static void take_image(struct world *world)
{
    struct sim_redis *redis = world->redis;
    const struct node *node = &redis->nodes[redis->master];
    if (!node->is_up)
        return;
    redis->image = (struct image){
        .is_there = true, .node = redis->master, .at_us = world->now_us, .state = node->live
    };
    memcpy(redis->image.replid, node->replid, sizeof node->replid);
    world_trace(world, node->name, "an image of the machine is taken");
}

/* Memory, file and replid of then. */
static void restore_image(struct world *world)
{
    struct sim_redis *redis = world->redis;
    struct node *node = &redis->nodes[redis->master];
    /* Younger than a restore takes, or twice in a row: beyond what the beat of the mark shows. */
    const int64_t least_us = 20000000;
    if (!redis->image.is_there || redis->image.node != redis->master || !node->is_up ||
        world->now_us - redis->image.at_us < least_us ||
        world->now_us - redis->image.restored_us < least_us)
        return;
    redis->image.restored_us = world->now_us;
    world_trace(world, node->name, "is restored from an image %.1f s old",
                (double)(world->now_us - redis->image.at_us) / 1e6);
    world->counts.restores++;
    node->life++;
    node->live = node->durable = redis->image.state;
    memcpy(node->replid, redis->image.replid, sizeof node->replid);
    node->log_count = node->log_durable = 0;
    node->log_epoch++;
    oracle_data_gone(world);
    oracle_state_changed(world, node->name, &node->live);
    for (size_t i = 0; i < NODES; i++)
        if (i != redis->master && redis->nodes[i].is_up)
            follow(world, &redis->nodes[i], redis->master, world_between(world, 1000, 500000));
}

static void flush_all(struct world *world)
{
    struct node *node = &world->redis->nodes[world->redis->master];
    if (!node->is_up || world->now_us < node->hung_until_us)
        return;
    world_trace(world, node->name, "FLUSHALL");
    world->counts.flushes++;
    struct redis_command command = { .kind = REDIS_FLUSH };
    execute(world, node, &command, NULL, NULL);
    oracle_data_gone(world);
}

void redis_fault(struct world *world, uint64_t kind)
{
    struct node *master = &world->redis->nodes[world->redis->master];
    struct node *any = &world->redis->nodes[world_dice(world, NODES)];
    switch (kind) {
    case 0:
    case 1:
    case 2:
        if (any->is_up)
            restart(world, any);
        break;
    case 3:
        if (master->is_up)
            restart(world, master);
        break;
    case 4:
    case 5:
        fail_over(world, false);
        break;
    case 6:
    case 7:
        fail_over(world, true);
        break;
    case 8:
    case 9:
    case 10:
        any->lag_until_us = world->now_us + world_between(world, 10000, 15000000);
        world_trace(world, any->name, "lags as a replica for %.1f s",
                    (double)(any->lag_until_us - world->now_us) / 1e6);
        break;
    case 11:
    case 12:
        any->hung_until_us = world->now_us + world_between(world, 100000, 15000000);
        world_trace(world, any->name, "hangs for %.1f s",
                    (double)(any->hung_until_us - world->now_us) / 1e6);
        break;
    case 13:
        take_image(world);
        break;
    case 14:
        restore_image(world);
        break;
    default:
        flush_all(world);
    }
}

void redis_heal(struct world *world)
{
    struct sim_redis *redis = world->redis;
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &redis->nodes[i];
        node->hung_until_us = node->lag_until_us = 0;
        if (!node->is_up)
            on_node_back(world, node, node->life);
        else if (i != redis->master && node->is_master)
            redis_heal_node(world, node, node->life);
    }
    tell_clients(world, 1000);
}

void redis_make(struct world *world)
{
    struct sim_redis *redis = calloc(1, sizeof *redis);
    if (!redis)
        abort();
    world->redis = redis;
    redis->rules =
        (struct model_rules){ .unclassified_per_minute = RATE,

                              .ignores_beat = world->mutant == MUTANT_MARK_WITHOUT_BEAT,
                              .ignores_history = world->mutant == MUTANT_MARK_WITHOUT_HISTORY };
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &redis->nodes[i];
        (void)snprintf(node->name, sizeof node->name, "redis-%zu", i);
        node->is_up = true;
        node->following = NOBODY;
        node->life = 1;
        new_replid(world, node);
        if (i == 0)
            node->is_master = true;
        else
            follow(world, node, 0, 0);
    }
    redis->nodes[0].live.token = redis->nodes[0].durable.token = world_random(world) | 1;
}

void redis_destroy(struct world *world)
{
    for (size_t i = 0; world->redis && i < NODES; i++)
        free(world->redis->nodes[i].log);
    free(world->redis);
    world->redis = NULL;
}
