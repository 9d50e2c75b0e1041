/* sim_redis - Redis nodes: a master, replicas that follow asynchronously, each with an append-only
 * file synced once a second; master_replid as Redis keeps it. Clients find the master through a
 * view that may be out of date and keep their connection to a node that was demoted. */
#ifndef DESG_SIM_REDIS_H
#define DESG_SIM_REDIS_H

#include "world.h"

struct sim_redis;

struct redis_client {
    struct process *process;
    size_t view;           /* the node it takes for the master */
    int node;              /* connected to; -1: none */
    uint32_t life;         /* of that node then */
    int64_t not_before_us; /* next try to connect */
};

enum redis_kind { REDIS_APPLY, REDIS_QUARANTINE, REDIS_MARK, REDIS_ACK, REDIS_FLUSH, REDIS_TOKEN };

struct redis_command {
    enum redis_kind kind;
    int64_t at_us;
    union {
        struct model_offer offer;
        struct {
            size_t source;
            char quoted[MODEL_HISTORY_BYTES];
            struct model_mark wanted;
            struct model_mark previous;
        } mark;
        uint16_t event; /* ACK */
        uint64_t token;
    } as;
};

void redis_make(struct world *world);
void redis_destroy(struct world *world);

/* One call of count commands on the client's node, all or nothing. 0: done, outcomes (of APPLY and
 * QUARANTINE) and history filled; is_stored of MARK. -1: failed, perhaps done all the same. */
int redis_call(struct world *world, struct redis_client *client,
               const struct redis_command *commands, size_t count, struct model_outcome *outcomes,
               bool *is_stored, char history[static MODEL_HISTORY_BYTES]);
/* HELLO. */
int redis_hello(struct world *world, struct redis_client *client, size_t source,
                struct model_mark *mark, char history[static MODEL_HISTORY_BYTES]);
/* What the client sees of the node it is connected to, to read; NULL: away. */
const struct model_state *redis_read(struct world *world, struct redis_client *client);
bool redis_probe(struct world *world, struct redis_client *client);

/* The state of the node that is master by Sentinel's word. */
const struct model_state *redis_master(const struct world *world);
bool redis_is_there(const struct world *world);

/* --- faults --- */
enum { REDIS_FAULTS = 16 };
void redis_fault(struct world *world, uint64_t kind);
/* All nodes up, one master, known to all. */
void redis_heal(struct world *world);
void redis_heal_node(struct world *world, void *node, uint64_t life);

#endif
