/* forwarder - classify's part of the delivery protocol as a state machine without sockets or clock:
 * events from ingest are judged, reported as seen, and sent on by lane; what route answers is
 * passed back to the ingest whose journal the event came from; what no route takes is held for half
 * a second, alerted if it is urgent, and given back as busy. Keeps nothing that must not be lost:
 * custody stays with ingest. What happened goes in with now_ms (monotonic), packets go out through
 * the outlets given. worker.c is its hands and feet; the simulator (tests/sim) runs the same code.
 * Threads: the owner's. */
#ifndef DESG_CLASSIFY_FORWARDER_H
#define DESG_CLASSIFY_FORWARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "classify/outlets.h"
#include "classify/tally.h"
#include "error/error.h"
#include "triage/triage.h"

enum { FORWARDER_TICK_MS = 25 };

struct forwarder;

struct forwarder_options {
    struct tally *tally; /* borrowed */
    struct outlets outlets;
    /* Triage; arg goes with it. */
    void (*judge)(void *arg, const Desg__V1__Event *event, struct verdict *out);
    void *judge_arg;
};

struct forwarder *forwarder_new(const struct forwarder_options *options,
                                struct error *err) MUST_USE;
void forwarder_destroy(struct forwarder **self_p);

void forwarder_ingest_packet(struct forwarder *self, link_peer peer, const Desg__V1__Packet *packet,
                             int64_t now_ms);
void forwarder_ingest_down(struct forwarder *self, link_peer peer);

/* lane: OUTLET_URGENT or OUTLET_BULK. */
void forwarder_route_up(struct forwarder *self, enum outlet lane, link_peer peer);
void forwarder_route_down(struct forwarder *self, enum outlet lane, link_peer peer);
void forwarder_route_packet(struct forwarder *self, enum outlet lane, link_peer peer,
                            const Desg__V1__Packet *packet, int64_t now_ms);

void forwarder_notify_up(struct forwarder *self, link_peer peer);
void forwarder_notify_down(struct forwarder *self, link_peer peer);
void forwarder_notify_packet(struct forwarder *self, const Desg__V1__Packet *packet);

/* Every FORWARDER_TICK_MS while something is held: sends it, alerts it or gives it back. An urgent
 * event that a route took counts as held until the route has answered. */
void forwarder_tick(struct forwarder *self, int64_t now_ms);
bool forwarder_is_holding(const struct forwarder *self);

/* Nothing new comes from now on. */
void forwarder_drain(struct forwarder *self, int64_t now_ms);
/* Nothing is held, and route has answered for all that was sent (or has been silent for 2 s). */
bool forwarder_is_idle(const struct forwarder *self, int64_t now_ms);

struct forwarder_status {
    size_t route_urgent_peers;
    size_t route_bulk_peers;
    size_t notify_peers;
    size_t held;
    size_t in_flight;
};
void forwarder_status(const struct forwarder *self, struct forwarder_status *out);

#endif
