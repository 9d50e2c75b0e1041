/* applier - held events into Redis, poison included, and their outcomes out as answers.
 * Threads: the lane's. */
#ifndef DESG_ROUTE_APPLIER_H
#define DESG_ROUTE_APPLIER_H

#include "route/answers.h"
#include "route/hands.h"

struct applier;

struct applier_options {
    const struct route_hands *hands; /* borrowed */
    const char *lane;                /* in metrics and logs; a literal */
    struct metrics *metrics;
    /* These were applied under history. Borrowed until it returns; may be reordered. */
    void (*done)(void *arg, struct answer *answers, size_t count, const char *history);
    void *arg;
};

struct applier *applier_new(const struct applier_options *options, struct error *err) MUST_USE;
void applier_destroy(struct applier **self_p);

/* Applies up to STORE_APPLY_MAX events. 0: each has been answered. -1: Redis is away and none has;
 * the hands' problem says why. An event the function refuses is tried once more alone, then put
 * into quarantine; if that fails as well, Redis counts as away for it and it is answered BUSY. */
int applier_apply(struct applier *self, const struct held *events, size_t count) MUST_USE;

uint64_t applier_applied(const struct applier *self); /* events, ever */

#endif
