#include "route/route.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "link/link.h"
#include "route/lane.h"
#include "route/watch.h"
#include "store/outbox.h"

enum { LANES = 2 };

struct route {
    struct route_config config; /* as given, with what the queues need to know of receipts */
    char **receipt_places;
    void *context; /* one I/O thread for both lanes: it moves far more than they can apply */
    struct link_security *security;
    struct watch *watch;
    struct lane *lanes[LANES];
    atomic_bool is_draining;
};

static struct heartbeat *heartbeat_of(const struct route_options *options, const char *loop)
{
    return options->service ? service_heartbeat_new(options->service, loop) : NULL;
}

static int open_context(struct route *self, const struct route_options *options, struct error *err)
{
    self->context = zmq_ctx_new();
    if (!self->context)
        return error_set(err, ERROR_SYSTEM, "cannot make a ZeroMQ context");
    return link_security_open(self->context, options->common->curve, options->metrics,
                              &self->security, err);
}

static struct lane *open_lane(struct route *self, const struct route_options *options,
                              Desg__V1__Lane number, struct error *err)
{
    const struct route_config *config = &self->config;
    bool is_urgent = number == DESG__V1__LANE__LANE_URGENT;
    struct lane_options lane = {
        .lane = number,
        .endpoint = is_urgent ? config->urgent_endpoint : config->bulk_endpoint,
        .credit = is_urgent ? config->urgent_credit : config->bulk_credit,
        .name = options->name,
        .instance = options->instance,
        .common = options->common,
        .config = config,
        .context = self->context,
        .security = self->security,
        .metrics = options->metrics,
        .heartbeat = heartbeat_of(options, is_urgent ? "urgent" : "bulk"),
        .watch = self->watch,
    };
    return lane_new(&lane, err);
}

/* An automatic receipt is ordered where an account can send it, and nowhere else: it would wait for
 * ever. */
static int set_receipts(struct route *self, const struct outward_config *outward, struct error *err)
{
    struct store_queues *queues = &self->config.queues;
    if (!outward || outward->accounts_count == 0 || !*outward->receipts.is_on)
        return 0;
    self->receipt_places = calloc(outward->accounts_count, sizeof *self->receipt_places);
    for (unsigned i = 0; self->receipt_places && i < outward->accounts_count; i++) {
        char place[STORE_PLACE_BYTES];
        store_place_of(outward->accounts[i].channel, outward->accounts[i].account, place);
        self->receipt_places[i] = strdup(place);
        queues->receipt_places_count += self->receipt_places[i] != NULL;
    }
    if (queues->receipt_places_count < outward->accounts_count)
        return error_set(err, ERROR_SYSTEM, "no memory for route");
    queues->receipt_places = self->receipt_places;
    queues->receipt_after_hours = outward->receipts.again_after_hours;
    queues->sensitive_categories = outward->receipts.sensitive_categories;
    queues->sensitive_categories_count = outward->receipts.sensitive_categories_count;
    return 0;
}

static int open_all(struct route *self, const struct route_options *options, struct error *err)
{
    zsys_init(); /* before any thread: czmq sets itself up on first use */
    if (open_context(self, options, err) != 0)
        return -1;
    self->watch = watch_new(options->common, &self->config, options->metrics,
                            heartbeat_of(options, "watch"), err);
    if (!self->watch)
        return -1;
    self->lanes[0] = open_lane(self, options, DESG__V1__LANE__LANE_URGENT, err);
    if (self->lanes[0])
        self->lanes[1] = open_lane(self, options, DESG__V1__LANE__LANE_BULK, err);
    return self->lanes[1] ? 0 : -1;
}

struct route *route_new(const struct route_options *options, struct error *err)
{
    struct route *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for route");
        return NULL;
    }
    self->config = *options->config;
    if (set_receipts(self, options->outward, err) != 0 || open_all(self, options, err) != 0)
        route_destroy(&self);
    return self;
}

void route_destroy(struct route **self_p)
{
    struct route *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < LANES; i++)
        lane_destroy(&self->lanes[i]);
    watch_destroy(&self->watch);
    link_security_destroy(&self->security);
    if (self->context)
        (void)zmq_ctx_term(self->context);
    for (unsigned i = 0; i < self->config.queues.receipt_places_count; i++)
        free(self->receipt_places[i]);
    free(self->receipt_places);
    free(self);
    *self_p = NULL;
}

void route_drain(struct route *self)
{
    atomic_store(&self->is_draining, true);
    for (size_t i = 0; i < LANES; i++)
        lane_drain(self->lanes[i]);
}

bool route_is_drained(struct route *self)
{
    return lane_is_drained(self->lanes[0]) && lane_is_drained(self->lanes[1]);
}

bool route_is_ready(struct route *self)
{
    return !atomic_load(&self->is_draining) && !link_security_is_unwelcome(self->security) &&
           !watch_is_refused(self->watch);
}

void route_describe(struct route *self, json_t *detail)
{
    json_t *lanes = json_object();
    for (size_t i = 0; i < LANES; i++)
        lane_describe(self->lanes[i], lanes);
    (void)json_object_set_new(detail, "lanes", lanes);
    watch_describe(self->watch, detail);
}
