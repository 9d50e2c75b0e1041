/* sim_workers - the stages behind ingest: classify's forwarder and route's applying, the code of
 * the services, with hands of this world; notify as a model (journal, dispatch). */
#ifndef DESG_SIM_WORKERS_H
#define DESG_SIM_WORKERS_H

#include "sim_redis.h"

struct sim_worker;
struct sim_worker *sim_worker_new(struct world *world, struct process *process);
void sim_worker_destroy(struct sim_worker **self_p);
void sim_worker_start(struct sim_worker *self);
void sim_worker_stop(struct sim_worker *self);
void sim_worker_peer_up(struct sim_worker *self, enum port port, link_peer peer);
void sim_worker_peer_down(struct sim_worker *self, enum port port, link_peer peer);
void sim_worker_packet(struct sim_worker *self, enum port port, link_peer peer,
                       const Desg__V1__Packet *packet);
void sim_worker_drain(struct sim_worker *self);
bool sim_worker_is_drained(const struct sim_worker *self);

struct sim_route;
struct sim_route *sim_route_new(struct world *world, struct process *process);
void sim_route_destroy(struct sim_route **self_p);
void sim_route_start(struct sim_route *self);
void sim_route_stop(struct sim_route *self);
void sim_route_peer_up(struct sim_route *self, enum port port, link_peer peer);
void sim_route_peer_down(struct sim_route *self, enum port port, link_peer peer);
void sim_route_packet(struct sim_route *self, enum port port, link_peer peer,
                      const Desg__V1__Packet *packet);
bool sim_route_is_drained(const struct sim_route *self);
size_t sim_route_clients(struct sim_route *self, struct redis_client **clients);

struct sim_notify;
struct sim_notify *sim_notify_new(struct world *world, struct process *process);
void sim_notify_destroy(struct sim_notify **self_p);
void sim_notify_start(struct sim_notify *self);
void sim_notify_stop(struct sim_notify *self);
void sim_notify_packet(struct sim_notify *self, link_peer peer, const Desg__V1__Packet *packet);
struct redis_client *sim_notify_client(struct sim_notify *self);

#endif
