/* applying - route's part of the delivery protocol as a state machine without sockets, threads or
 * clock: takes batches, bounded, applies what is queued in one call, answers DONE; when Redis is
 * silent it answers BUSY, after notify has the alerts. Answers HELLO and MARK too. What happened
 * goes in with the time, everything else goes through the hands given. lane.c runs it; so does the
 * simulator (tests/sim). Threads: the owner's. */
#ifndef DESG_ROUTE_APPLYING_H
#define DESG_ROUTE_APPLYING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "metrics/metrics.h"
#include "route/hands.h"

enum { APPLYING_EXPIRY_MS = 20 };

struct applying;

struct applying_options {
    const char *lane; /* in metrics and logs; a literal */
    const struct store_queues *queues;
    struct metrics *metrics; /* borrowed, as queues */
    struct route_hands hands;
};

/* Both clocks: monotonic for waiting, Unix time for the age of events. */
struct applying_time {
    int64_t now_ms;
    int64_t unix_ms;
};

struct applying *applying_new(const struct applying_options *options, struct error *err) MUST_USE;
void applying_destroy(struct applying **self_p);

void applying_packet(struct applying *self, link_peer peer, const Desg__V1__Packet *packet,
                     struct applying_time at);
/* Whether applying_flush should come as soon as no more packets are at hand: so they share a call.
 */
bool applying_wants_flush(const struct applying *self);
void applying_flush(struct applying *self, struct applying_time at);

void applying_notify_up(struct applying *self, link_peer notify);
void applying_notify_down(struct applying *self, link_peer notify);
void applying_notify_packet(struct applying *self, const Desg__V1__Packet *packet);

/* Answers what waited too long for notify: every APPLYING_EXPIRY_MS while anything waits. */
void applying_expire(struct applying *self, int64_t now_ms);

size_t applying_held(const struct applying *self);
size_t applying_waiting(const struct applying *self);   /* for notify */
uint64_t applying_applied(const struct applying *self); /* events, ever */
uint64_t applying_busy(const struct applying *self);    /* answered BUSY, ever */

#endif
