/* lane - one of the two ways to route (urgent, bulk): the peers behind it, what waits for them, and
 * sending as much as they have credit for. Threads: the forwarder's. */
#ifndef DESG_CLASSIFY_LANE_H
#define DESG_CLASSIFY_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "classify/hold.h"
#include "classify/outlets.h"

enum { LANE_PEERS_MAX = 64, LANE_UNANSWERED_MS = 15000 };

struct lane_peer {
    link_peer peer;
    uint32_t in_flight; /* events sent that it has not answered for */
    uint32_t old;       /* of them: sent before the last look for what is lost */
};

struct lane {
    const struct outlets *outlets; /* borrowed */
    enum outlet outlet;
    Desg__V1__Lane number;
    struct lane_peer peers[LANE_PEERS_MAX];
    size_t peer_count;
    int64_t looked_at_ms; /* for what is lost */
    struct hold hold;
};

void lane_peer_up(struct lane *self, link_peer peer);
void lane_peer_down(struct lane *self, link_peer peer);

/* peer answered for this many events: gives their credit back. */
void lane_answered(struct lane *self, link_peer peer, size_t events);

/* An answer may get lost on a connection that lives; its credit must not. What was not answered for
 * LANE_UNANSWERED_MS will not be (ingest has offered it again by then): its credit is taken back.
 * Returns how many events that were. */
size_t lane_forget_unanswered(struct lane *self, int64_t now_ms);

/* Sends items, in order, as far as the peers' credit goes. Returns how many went. */
size_t lane_send(struct lane *self, const struct id *source, uint64_t incarnation,
                 Desg__V1__Item *const *items, size_t count);

/* Sends what is held, as far as it goes. Returns how many went. */
size_t lane_send_held(struct lane *self);

size_t lane_in_flight(const struct lane *self);

#endif
