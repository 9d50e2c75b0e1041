/* provisional - alerts told to notify before Redis has them, because Redis is silent. Keeps whom to
 * answer until notify has journalled the alert or time is up. No I/O, no clock of its own: what is
 * to be sent goes through the functions given. Threads: the lane's. */
#ifndef DESG_ROUTE_PROVISIONAL_H
#define DESG_ROUTE_PROVISIONAL_H

#include "route/answers.h"

enum { PROVISIONAL_MAX = 4096, PROVISIONAL_WAIT_MS = 300, PROVISIONAL_PEERS_MAX = 16 };

struct provisional;

struct provisional_options {
    /* Sends an AlertOrder to a notify peer. 0 or -1. */
    int (*send)(void *arg, link_peer notify, const Desg__V1__Packet *packet);
    /* These may be answered now. Borrowed until it returns; may be reordered. */
    void (*answer)(void *arg, struct answer *answers, size_t count);
    void *arg;
    uint32_t unclassified_per_minute; /* per account; above: digest members */
};

struct provisional *provisional_new(const struct provisional_options *options);
void provisional_destroy(struct provisional **self_p);

void provisional_peer_up(struct provisional *self, link_peer notify);
void provisional_peer_down(struct provisional *self, link_peer notify);

/* Orders alerts for the events that need one (needs_alert[i]) and answers every event BUSY with
 * reason: those without an order at once, the others when notify has answered. Returns how many
 * alerts went out. */
size_t provisional_order(struct provisional *self, const struct held *events,
                         const bool *needs_alert, size_t count, const char *reason, int64_t now_ms);

/* notify has journalled these. */
void provisional_alerted(struct provisional *self, const Desg__V1__Alerted *alerted);

/* Answers those that waited too long, without the word that they are alerted. now_ms is monotonic
 * as in provisional_order. */
void provisional_expire(struct provisional *self, int64_t now_ms);

size_t provisional_waiting(const struct provisional *self);

#endif
