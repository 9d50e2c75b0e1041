/* lane - one way through route (urgent or bulk): its own thread, loop, socket and connection to
 * Redis. The hands and feet of applying.h, which decides.
 * Threads: lane_drain, lane_is_drained, lane_describe from any. */
#ifndef DESG_ROUTE_LANE_H
#define DESG_ROUTE_LANE_H

#include <stdbool.h>

#include <jansson.h>

#include "link/link.h"
#include "route/route_config.h"
#include "route/watch.h"
#include "service/service.h"

struct lane;

struct lane_options {
    Desg__V1__Lane lane;
    const char *endpoint;
    uint32_t credit;
    const char *name; /* of the process, in Ready */
    const struct id *instance;
    const struct config_common *common;
    const struct route_config *config;
    void *context; /* ZeroMQ */
    const struct link_security *security;
    struct metrics *metrics;
    struct heartbeat *heartbeat; /* may be NULL (tests) */
    struct watch *watch;
};

/* Binds and starts the thread. Everything in options is borrowed and outlives the lane. */
struct lane *lane_new(const struct lane_options *options, struct error *err) MUST_USE;
/* Ends the thread. */
void lane_destroy(struct lane **self_p);

void lane_drain(struct lane *self);
bool lane_is_drained(const struct lane *self);
void lane_describe(struct lane *self, json_t *lanes);

#endif
