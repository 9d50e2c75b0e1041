/* world - the simulated machine room: one queue of things that will happen, a seeded dice, clocks,
 * processes that can crash at any step, and the connections between them (network.c). Everything in
 * it is decided by the seed alone. */
#ifndef DESG_SIM_WORLD_H
#define DESG_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "link/link.h"
#include "redis_model.h"

enum {
    INGESTS_MAX = 3, /* sources; one journal each */
    WORKERS_MAX = 4,
    ROUTES_MAX = 3,
    NOTIFIES_MAX = 2,
    PROCESSES_MAX = INGESTS_MAX + WORKERS_MAX + ROUTES_MAX + NOTIFIES_MAX,
    NODES = 3,
    DELIVERIES_MAX = 112,
    EVENTS_MAX = MODEL_EVENTS,
    CONNECTIONS_MAX = 96,
    PROBLEM_BYTES = 240
};

enum mutant {
    MUTANT_NONE,
    MUTANT_MARK_WITHOUT_HISTORY,
    MUTANT_NO_FENCE,
    MUTANT_TOKEN_IN_KEY,
    MUTANT_MARK_WITHOUT_BEAT,
    MUTANT_BREAK_IS_DEATH,
    MUTANT_MARK_OF_ANOTHER_PAST
};

struct world;
typedef void world_fn(struct world *world, void *arg, uint64_t token);

enum role { ROLE_INGEST, ROLE_CLASSIFY, ROLE_ROUTE, ROLE_NOTIFY };

/* Which socket of a process a connection ends at. */
enum port { PORT_CLASSIFY, PORT_ROUTE, PORT_INGEST, PORT_URGENT, PORT_BULK, PORT_NOTIFY, PORTS };

struct process {
    enum role role;
    size_t index;
    bool is_up;
    bool is_wanted; /* false: scaled in, stays down until the faults end */
    bool is_paused; /* SIGSTOP: nothing is handled */
    bool is_dying;  /* crashed inside a handler: nothing of it gets out any more */
    bool is_draining;
    uint32_t life;         /* rises with each start */
    int64_t fuse;          /* crashes after so many more effects; negative: does not */
    int64_t busy_until_us; /* blocked in a call */
    int64_t drain_until_us;
    int64_t wall_offset_ms;
    int64_t drift_ppm;
    char name[32];
};

enum event_nature { NATURE_PLAIN, NATURE_KILLS_WORKER, NATURE_UNDECODABLE, NATURE_BREAKS_FUNCTION };

/* An event as the platform made it. */
struct sim_event {
    enum event_nature nature;
    uint8_t severity[2]; /* by edition of the rules */
    uint16_t conversation;
    int64_t received_ms;
    uint8_t bytes[96];
    size_t length;
    struct id id;
    bool is_excused;  /* gone from a Redis older than any journal that was kept */
    bool is_accepted; /* by dispatch */
    uint8_t deaths;   /* workers that went holding it alone and did not soon come back */
};

struct delivery {
    uint16_t first_event;
    uint16_t event_count;
    bool is_posted;
    bool is_answered; /* somebody's 200 left */
    bool is_heard;    /* the platform got it */
};

struct weather { /* chances in a million, per packet or call */
    uint32_t loss, duplication, reorder, refusal;
    uint32_t redis_request_lost, redis_reply_lost, redis_late;
    int64_t delay_us;
};

struct scheduled {
    int64_t at_us;
    uint64_t order;
    world_fn *fn;
    void *arg;
    uint64_t token;
    bool owns_arg; /* arg is freed if the run ends before */
};

struct world_counts {
    uint64_t steps, packets, crashes, failovers, restarts, flushes, restores, rewinds, deletions,
        quarantined, marks;
};

struct world {
    uint64_t seed;
    uint64_t dice;
    enum mutant mutant;
    bool is_traced;
    bool has_failed;
    char problem[PROBLEM_BYTES];
    bool has_faults; /* still */
    int64_t now_us;
    int64_t faults_end_us;
    int64_t marked_us[INGESTS_MAX]; /* when each source last stored a mark in the master */
    int64_t gone_us;                /* when the master last lost more than a failover can */
    uint64_t order;
    struct scheduled *queue;
    size_t queue_length, queue_capacity;
    struct weather weather;
    size_t ingests, workers, routes, notifies;
    int64_t tick_us;
    uint64_t favourite; /* a fault of Redis this run has more of than others */
    uint8_t rules_edition;
    bool has_restless_rules; /* they change often, and many a verdict is not kept */
    bool is_dispatch_away;
    struct process processes[PROCESSES_MAX];
    size_t process_count;
    struct network *network;
    struct sim_redis *redis;
    struct sim_ingest *ingest[INGESTS_MAX];
    struct sim_worker *worker[WORKERS_MAX];
    struct sim_route *route[ROUTES_MAX];
    struct sim_notify *notify[NOTIFIES_MAX];
    struct sim_event events[EVENTS_MAX];
    size_t event_count;
    struct delivery deliveries[DELIVERIES_MAX];
    size_t delivery_count;
    struct metrics *metrics; /* borrowed: of all worlds of this program */
    struct tally *tally;
    struct world_counts counts;
};

/* --- dice --- */
uint64_t world_random(struct world *world);
uint64_t world_dice(struct world *world, uint64_t sides);
int64_t world_between(struct world *world, int64_t low, int64_t high);
bool world_chance(struct world *world, uint32_t in_a_million);

/* --- time --- */
void world_after(struct world *world, int64_t wait_us, world_fn *fn, void *arg, uint64_t token);
/* The same with memory of its own: fn frees arg or plans it again. */
void world_after_owned(struct world *world, int64_t wait_us, world_fn *fn, void *arg,
                       uint64_t token);
void world_drop_queue(struct world *world);
/* Does the next thing. False: nothing is left. */
bool world_step(struct world *world);
int64_t process_now_ms(const struct world *world, const struct process *process);
int64_t process_unix_ms(const struct world *world, const struct process *process);

void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *world, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- processes --- */
/* Whether process can do anything just now; a fuse burns down with each effect. */
bool process_effect(struct world *world, struct process *process);
void process_start(struct world *world, struct process *process);
/* is_clean: after a drain. */
void process_stop(struct world *world, struct process *process, bool is_clean);
/* Ends a process that crashed inside what it just did. After each call into it. */
void process_reap(struct world *world, struct process *process);

/* --- network --- */
void network_make(struct world *world);
void network_destroy(struct world *world);
int network_send(struct world *world, struct process *from, link_peer peer,
                 const Desg__V1__Packet *packet);
uint32_t network_credit(struct world *world, const struct process *owner, link_peer peer);
void network_credit_return(struct world *world, const struct process *owner, link_peer peer,
                           uint32_t events);
void network_drain(struct world *world, struct process *process, enum port port);
void network_started(struct world *world, struct process *process);
void network_stopped(struct world *world, struct process *process, bool is_clean);
void network_paused(struct world *world, struct process *process);
/* Cuts some connection, one way or both, for a while. */
void network_cut(struct world *world, int64_t for_us);
void network_break_one(struct world *world); /* a reset */
void network_heal(struct world *world);

/* What a process gets from its connections. */
void process_peer_up(struct world *world, struct process *process, enum port port, link_peer peer,
                     const struct process *other, uint32_t credit);
void process_peer_down(struct world *world, struct process *process, enum port port, link_peer peer,
                       bool is_drain);
void process_packet(struct world *world, struct process *process, enum port port, link_peer peer,
                    const Desg__V1__Packet *packet);

#endif
