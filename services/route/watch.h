/* watch - is Redis there? One thread with a connection of its own asks, so that no lane ever waits
 * for a Redis known to be silent, and refreshes what is shown of the queues. A lane whose apply
 * failed reports it; from then on Redis counts as silent until a writing call has gone through.
 * Threads: watch_is_silent and watch_report from any; describe from any. */
#ifndef DESG_ROUTE_WATCH_H
#define DESG_ROUTE_WATCH_H

#include <stdbool.h>

#include <jansson.h>

#include "route/route_config.h"
#include "service/service.h"

struct watch;

/* heartbeat may be NULL (tests). Everything is borrowed and outlives the watch. */
struct watch *watch_new(const struct config_common *common, const struct route_config *config,
                        struct metrics *metrics, struct heartbeat *heartbeat,
                        struct error *err) MUST_USE;
/* Ends its thread. */
void watch_destroy(struct watch **self_p);

bool watch_is_silent(const struct watch *self);

/* A lane's call failed: problem is what its store says. */
void watch_report(struct watch *self, const char *problem);

/* Whether Redis was reached and refuses us, or is set up so that it may lose things: a person has
 * to change something (watch_describe says what). Any thread. */
bool watch_is_refused(const struct watch *self);

/* Adds "redis" and "queues" to detail. */
void watch_describe(struct watch *self, json_t *detail);

#endif
