/* route - verdicts into Redis, one thread per lane, and alerts past a silent Redis. */
#ifndef DESG_ROUTE_ROUTE_H
#define DESG_ROUTE_ROUTE_H

#include <stdbool.h>

#include <jansson.h>

#include "outward/outward_config.h"
#include "route/route_config.h"
#include "service/service.h"

struct route;

struct route_options {
    const struct config_common *common;
    const struct route_config *config;    /* checked */
    const struct outward_config *outward; /* for automatic receipts; NULL: none are ordered */
    const char *name;
    const struct id *instance;
    struct metrics *metrics;
    struct service *service; /* for heartbeats; NULL in tests */
};

/* Everything in options is borrowed. ERROR_CONFIG: an endpoint that cannot be bound. */
struct route *route_new(const struct route_options *options, struct error *err) MUST_USE;
void route_destroy(struct route **self_p);

void route_drain(struct route *self);
bool route_is_drained(struct route *self);
/* Listening, not draining, let in where it calls, and not refused by Redis. A Redis that is merely
 * away changes nothing. */
bool route_is_ready(struct route *self);
void route_describe(struct route *self, json_t *detail);

#endif
