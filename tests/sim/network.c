/* network - connections between processes as lib/link makes them: both sides know the other under a
 * number of their own, each grants credit, either may think the connection dead before the other
 * does. Packets are real ones, packed and unpacked; they get lost, doubled, late and out of order.
 */
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { ARENA_BYTES = 512 << 10, SILENCE_US = 3000000, RECONNECT_US = 100000 };

struct side {
    struct process *process;
    enum port port;
    bool is_up;
    bool is_other_draining;
    uint32_t generation;
    link_peer peer; /* the other, as this side names it */
    uint32_t granted;
    uint32_t outstanding;
};

struct connection {
    struct side sides[2];
    uint32_t generation;
    bool is_cut[2]; /* what side i sends gets lost */
    bool is_trying;
};

struct network {
    struct connection connections[CONNECTIONS_MAX];
    size_t count;
    uint64_t peers;
    uint8_t *arena;
    size_t arena_used;
};

struct packet_on_its_way {
    size_t connection;
    size_t to;
    uint32_t generation;
    size_t length;
    uint8_t bytes[];
};

/* --- making --- */

static void add(struct world *world, struct process *a, enum port at_a, struct process *b,
                enum port at_b)
{
    struct network *network = world->network;
    if (network->count == CONNECTIONS_MAX)
        abort();
    network->connections[network->count++] =
        (struct connection){ .sides = { { .process = a, .port = at_a },
                                        { .process = b, .port = at_b } } };
}

static void connect_pair(struct world *world, struct process *a, struct process *b)
{
    if (a->role == ROLE_INGEST && b->role == ROLE_CLASSIFY) {
        add(world, a, PORT_CLASSIFY, b, PORT_INGEST);
    } else if (a->role == ROLE_INGEST && b->role == ROLE_ROUTE) {
        add(world, a, PORT_ROUTE, b, PORT_URGENT);
    } else if (a->role == ROLE_CLASSIFY && b->role == ROLE_ROUTE) {
        add(world, a, PORT_URGENT, b, PORT_URGENT);
        add(world, a, PORT_BULK, b, PORT_BULK);
    } else if ((a->role == ROLE_CLASSIFY || a->role == ROLE_ROUTE) && b->role == ROLE_NOTIFY) {
        add(world, a, PORT_NOTIFY, b, PORT_NOTIFY);
    }
}

void network_make(struct world *world)
{
    world->network = calloc(1, sizeof *world->network);
    if (!world->network || !(world->network->arena = malloc(ARENA_BYTES)))
        abort();
    for (size_t a = 0; a < world->process_count; a++)
        for (size_t b = a + 1; b < world->process_count; b++)
            connect_pair(world, &world->processes[a], &world->processes[b]);
}

void network_destroy(struct world *world)
{
    if (world->network)
        free(world->network->arena);
    free(world->network);
    world->network = NULL;
}

/* --- up and down --- */

static void try_connect(struct world *world, void *arg, uint64_t token);

static uint32_t credit_granted_by(const struct side *side)
{
    if (side->process->role == ROLE_CLASSIFY && side->port == PORT_INGEST)
        return 64;
    if (side->process->role == ROLE_ROUTE && side->port == PORT_URGENT)
        return 256;
    if (side->process->role == ROLE_ROUTE && side->port == PORT_BULK)
        return 1024;
    return 0;
}

static void plan_try(struct world *world, struct connection *connection, int64_t wait_us)
{
    if (connection->is_trying)
        return;
    connection->is_trying = true;
    world_after(world, wait_us, try_connect, connection, 0);
}

static void side_down(struct world *world, struct connection *connection, size_t s);

static void on_down(struct world *world, void *arg, uint64_t token)
{
    struct connection *connection = arg;
    size_t s = token & 1;
    struct side *side = &connection->sides[s];
    if (!side->is_up || side->generation != token >> 1)
        return;
    if (side->process->is_paused) /* it will notice when it goes on */
        world_after(world, 50000, on_down, connection, token);
    else
        side_down(world, connection, s);
}

static void plan_down(struct world *world, struct connection *connection, size_t s, int64_t wait_us)
{
    const struct side *side = &connection->sides[s];
    if (side->is_up)
        world_after(world, wait_us, on_down, connection, ((uint64_t)side->generation << 1) | s);
}

/* This side takes the connection for dead; the other finds out. */
static void side_down(struct world *world, struct connection *connection, size_t s)
{
    struct side *side = &connection->sides[s];
    side->is_up = false;
    plan_down(world, connection, 1 - s, world_between(world, 0, SILENCE_US));
    plan_try(world, connection, world_between(world, 1000, RECONNECT_US));
    world_trace(world, side->process->name, "loses %s", connection->sides[1 - s].process->name);
    process_peer_down(world, side->process, side->port, side->peer, side->is_other_draining);
    process_reap(world, side->process);
}

static void on_up(struct world *world, void *arg, uint64_t token)
{
    struct connection *connection = arg;
    size_t s = token & 1;
    struct side *side = &connection->sides[s];
    if (connection->generation != token >> 1 || !side->process->is_up || side->is_up)
        return;
    if (side->process->is_paused) {
        world_after(world, 50000, on_up, connection, token);
        return;
    }
    size_t index = (size_t)(connection - world->network->connections);
    side->is_up = true;
    side->generation = connection->generation;
    side->peer = (++world->network->peers << 8) | (index + 1);
    side->granted = credit_granted_by(&connection->sides[1 - s]);
    side->outstanding = 0;
    side->is_other_draining = connection->sides[1 - s].process->is_draining;
    if (side->is_other_draining)
        side->granted = 0;
    process_peer_up(world, side->process, side->port, side->peer, connection->sides[1 - s].process,
                    side->granted);
    process_reap(world, side->process);
}

static void try_connect(struct world *world, void *arg, uint64_t token)
{
    (void)token;
    struct connection *connection = arg;
    connection->is_trying = false;
    if (connection->is_cut[0] || connection->is_cut[1])
        return; /* the healing tries again */
    for (size_t s = 0; s < 2; s++)
        if (!connection->sides[s].process->is_up || connection->sides[s].process->is_draining)
            return; /* its start tries again */
    for (size_t s = 0; s < 2; s++)
        if (connection->sides[s].process->is_paused) {
            plan_try(world, connection, RECONNECT_US);
            return;
        }
    if (connection->sides[0].is_up && connection->sides[1].is_up &&
        connection->sides[0].generation == connection->sides[1].generation)
        return;
    for (size_t s = 0; s < 2; s++) {
        struct side *side = &connection->sides[s];
        if (!side->is_up)
            continue;
        side->is_up = false; /* replaced by the new one */
        process_peer_down(world, side->process, side->port, side->peer, side->is_other_draining);
        process_reap(world, side->process);
    }
    connection->generation++;
    for (size_t s = 0; s < 2; s++)
        world_after(world, world_between(world, 0, 20000), on_up, connection,
                    ((uint64_t)connection->generation << 1) | s);
}

static bool touches(const struct connection *connection, const struct process *process, size_t *s)
{
    for (*s = 0; *s < 2; (*s)++)
        if (connection->sides[*s].process == process)
            return true;
    return false;
}

void network_started(struct world *world, struct process *process)
{
    size_t s = 0;
    for (size_t i = 0; i < world->network->count; i++)
        if (touches(&world->network->connections[i], process, &s))
            plan_try(world, &world->network->connections[i], world_between(world, 0, 50000));
}

void network_stopped(struct world *world, struct process *process, bool is_clean)
{
    size_t s = 0;
    for (size_t i = 0; i < world->network->count; i++) {
        struct connection *connection = &world->network->connections[i];
        if (!touches(connection, process, &s))
            continue;
        connection->sides[s].is_up = false;
        bool is_noticed = is_clean || world_dice(world, 10) > 0;
        plan_down(world, connection, 1 - s,
                  is_noticed ? world_between(world, 0, 50000) : SILENCE_US);
    }
}

static void on_paused_long(struct world *world, void *arg, uint64_t token)
{
    struct process *process = arg;
    size_t s = 0;
    if (!process->is_paused || process->life != token)
        return;
    for (size_t i = 0; i < world->network->count; i++)
        if (touches(&world->network->connections[i], process, &s))
            plan_down(world, &world->network->connections[i], 1 - s,
                      world_between(world, 0, 200000));
}

void network_paused(struct world *world, struct process *process)
{
    world_after(world, SILENCE_US, on_paused_long, process, process->life);
}

void network_drain(struct world *world, struct process *process, enum port port)
{
    Desg__V1__Drain drain = DESG__V1__DRAIN__INIT;
    drain.reason = (char *)"stopping";
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_DRAIN;
    packet.drain = &drain;
    size_t s = 0;
    for (size_t i = 0; i < world->network->count; i++) {
        struct connection *connection = &world->network->connections[i];
        if (touches(connection, process, &s) && connection->sides[s].port == port &&
            connection->sides[s].is_up)
            (void)network_send(world, process, connection->sides[s].peer, &packet);
    }
}

/* --- faults --- */

static void on_uncut(struct world *world, void *arg, uint64_t token)
{
    struct connection *connection = arg;
    connection->is_cut[0] = connection->is_cut[1] = false;
    plan_try(world, connection, world_between(world, 0, 2000000));
    (void)token;
}

static void on_cut_long(struct world *world, void *arg, uint64_t token)
{
    struct connection *connection = arg;
    for (size_t s = 0; s < 2; s++)
        if (connection->is_cut[1 - s] && connection->generation == token)
            plan_down(world, connection, s, 0);
}

void network_cut(struct world *world, int64_t for_us)
{
    struct connection *connection =
        &world->network->connections[world_dice(world, world->network->count)];
    uint64_t way = world_dice(world, 3);
    connection->is_cut[0] |= way != 1;
    connection->is_cut[1] |= way != 0;
    world_trace(world, "network", "cut between %s and %s (%s)", connection->sides[0].process->name,
                connection->sides[1].process->name, way == 2 ? "both ways" : "one way");
    world_after(world, SILENCE_US, on_cut_long, connection, connection->generation);
    world_after(world, for_us, on_uncut, connection, 0);
}

void network_break_one(struct world *world)
{
    struct connection *connection =
        &world->network->connections[world_dice(world, world->network->count)];
    for (size_t s = 0; s < 2; s++)
        plan_down(world, connection, s, world_between(world, 0, 5000));
}

void network_heal(struct world *world)
{
    for (size_t i = 0; i < world->network->count; i++)
        on_uncut(world, &world->network->connections[i], 0);
}

/* --- packets --- */

static struct side *side_of(const struct world *world, const struct process *owner, link_peer peer,
                            struct connection **connection)
{
    size_t index = (size_t)(peer & 0xff) - 1;
    if (index >= world->network->count)
        return NULL;
    *connection = &world->network->connections[index];
    for (size_t s = 0; s < 2; s++) {
        struct side *side = &(*connection)->sides[s];
        if (side->process == owner && side->is_up && side->peer == peer)
            return side;
    }
    return NULL;
}

uint32_t network_credit(struct world *world, const struct process *owner, link_peer peer)
{
    struct connection *connection = NULL;
    const struct side *side = side_of(world, owner, peer, &connection);
    return side && side->granted > side->outstanding ? side->granted - side->outstanding : 0;
}

void network_credit_return(struct world *world, const struct process *owner, link_peer peer,
                           uint32_t events)
{
    struct connection *connection = NULL;
    struct side *side = side_of(world, owner, peer, &connection);
    if (side)
        side->outstanding -= events < side->outstanding ? events : side->outstanding;
}

static void *arena_alloc(void *data, size_t size)
{
    struct network *network = data;
    size_t at = (network->arena_used + 15) & ~(size_t)15;
    if (at + size > ARENA_BYTES)
        return NULL;
    network->arena_used = at + size;
    return network->arena + at;
}

static void arena_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

static void trace_packet(struct world *world, const struct connection *connection, size_t to,
                         const Desg__V1__Packet *packet)
{
    static const char *const words[] = { "nothing", "ready",   "batch",   "seen",    "done",
                                         "busy",    "refused", "hello",   "history", "mark",
                                         "marked",  "order",   "alerted", "ping",    "drain" };
    if (!world->is_traced)
        return;
    const Desg__V1__Position *first = NULL;
    if (packet->kind_case == DESG__V1__PACKET__KIND_BATCH && packet->batch->n_items > 0)
        first = packet->batch->items[0]->position;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_DONE && packet->done->n_items > 0)
        first = packet->done->items[0]->position;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY && packet->busy->n_items > 0)
        first = packet->busy->items[0]->position;
    else if (packet->kind_case == DESG__V1__PACKET__KIND_SEEN && packet->seen->n_items > 0)
        first = packet->seen->items[0]->position;
    world_trace(world, connection->sides[to].process->name, "gets %s from %s, record %lld",
                words[packet->kind_case], connection->sides[1 - to].process->name,
                first ? (long long)first->sequence : -1LL);
}

static void deliver(struct world *world, void *arg, uint64_t token)
{
    struct packet_on_its_way *flying = arg;
    struct network *network = world->network;
    struct side *side = &network->connections[flying->connection].sides[flying->to];
    struct process *process = side->process;
    if (!process->is_up || !side->is_up || side->generation != flying->generation) {
        free(flying);
        return;
    }
    if (process->is_paused || process->busy_until_us > world->now_us) {
        int64_t wait_us =
            process->is_paused ? 50000 : process->busy_until_us - world->now_us + (int64_t)token;
        world_after_owned(world, wait_us, deliver, flying, token);
        return;
    }
    network->arena_used = 0;
    ProtobufCAllocator allocator = { arena_alloc, arena_free, network };
    Desg__V1__Packet *packet = desg__v1__packet__unpack(&allocator, flying->length, flying->bytes);
    if (!packet)
        abort();
    world->counts.packets++;
    trace_packet(world, &network->connections[flying->connection], flying->to, packet);
    if (packet->kind_case == DESG__V1__PACKET__KIND_DRAIN) {
        side->granted = 0;
        side->is_other_draining = true;
    }
    process_packet(world, process, side->port, side->peer, packet);
    free(flying);
    process_reap(world, process);
}

static void launch(struct world *world, const struct connection *connection, size_t to,
                   uint32_t generation, const Desg__V1__Packet *packet)
{
    size_t length = desg__v1__packet__get_packed_size(packet);
    int copies = world_chance(world, world->weather.duplication) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        struct packet_on_its_way *flying = malloc(sizeof *flying + length);
        if (!flying)
            abort();
        *flying = (struct packet_on_its_way){ .connection = (size_t)(connection -
                                                                     world->network->connections),
                                              .to = to,
                                              .generation = generation,
                                              .length = length };
        (void)desg__v1__packet__pack(packet, flying->bytes);
        int64_t wait_us = 100 + (int64_t)world_dice(world, 200);
        if (world_chance(world, world->weather.reorder))
            wait_us += world_between(world, 0, world->weather.delay_us);
        world_after_owned(world, wait_us, deliver, flying, 0);
    }
}

int network_send(struct world *world, struct process *from, link_peer peer,
                 const Desg__V1__Packet *packet)
{
    if (!process_effect(world, from))
        return 0;
    struct connection *connection = NULL;
    struct side *side = side_of(world, from, peer, &connection);
    if (!side || world_chance(world, world->weather.refusal))
        return -1;
    if (packet->kind_case == DESG__V1__PACKET__KIND_BATCH)
        side->outstanding += (uint32_t)packet->batch->n_items;
    size_t s = (size_t)(side - connection->sides);
    if (connection->is_cut[s] || world_chance(world, world->weather.loss))
        return 0;
    launch(world, connection, 1 - s, side->generation, packet);
    return 0;
}
