#include "classify/worker.h"

#include <assert.h>
#include <stdlib.h>

#include "classify/forwarder.h"
#include "clock/clock.h"
#include "log/log.h"

struct worker {
    const struct classify_config *config;
    zloop_t *loop;
    struct tally *tally;
    struct shadow *shadow; /* NULL: none */
    struct triage *triage;
    struct forwarder *forwarder;
    struct link *links[OUTLET_NOTIFY + 1]; /* by enum outlet; no notify: none configured */
    int held_timer;                        /* -1: none */
};

/* --- what the forwarder asks for --- */

static int send_packet(void *arg, enum outlet outlet, link_peer peer,
                       const Desg__V1__Packet *packet)
{
    struct worker *self = arg;
    struct error err = { 0 };
    return link_send(self->links[outlet], peer, packet, &err);
}

static uint32_t credit(void *arg, enum outlet outlet, link_peer peer)
{
    const struct worker *self = arg;
    return link_credit(self->links[outlet], peer);
}

static void credit_return(void *arg, enum outlet outlet, link_peer peer, uint32_t events)
{
    struct worker *self = arg;
    link_credit_return(self->links[outlet], peer, events);
}

static void judge(void *arg, const Desg__V1__Event *event, struct verdict *out)
{
    struct worker *self = arg;
    int64_t started_us = clock_monotonic_us();
    triage_judge(self->triage, event, out);
    tally_verdict(self->tally, event->channel, &out->message, clock_monotonic_us() - started_us);
    if (self->shadow)
        shadow_offer(self->shadow, event, out->message.severity);
}

static int on_held_tick(zloop_t *loop, int timer, void *arg)
{
    struct worker *self = arg;
    forwarder_tick(self->forwarder, clock_monotonic_ms());
    if (!forwarder_is_holding(self->forwarder)) {
        (void)zloop_timer_end(loop, timer);
        self->held_timer = -1;
    }
    return 0;
}

/* --- from ingest --- */

static void on_ingest_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct worker *self = arg;
    forwarder_ingest_packet(self->forwarder, peer, packet, clock_monotonic_ms());
    if (self->held_timer < 0 && forwarder_is_holding(self->forwarder))
        self->held_timer = zloop_timer(self->loop, FORWARDER_TICK_MS, 0, on_held_tick, self);
}

static void on_ingest_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)arg;
    log_info("ingest_came", KV("ingest", info->name), KV("peer", peer));
}

static void on_ingest_down(void *arg, link_peer peer, bool is_drain)
{
    struct worker *self = arg;
    log_info("ingest_went", KV("peer", peer), KV("drained", is_drain));
    forwarder_ingest_down(self->forwarder, peer);
}

/* --- from route --- */

static void on_urgent_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct worker *self = arg;
    forwarder_route_packet(self->forwarder, OUTLET_URGENT, peer, packet, clock_monotonic_ms());
}

static void on_bulk_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct worker *self = arg;
    forwarder_route_packet(self->forwarder, OUTLET_BULK, peer, packet, clock_monotonic_ms());
}

static void lane_came(struct worker *self, enum outlet lane, link_peer peer,
                      const struct link_peer_info *info)
{
    log_info("route_came", KV("route", info->name), KV("peer", peer),
             KV("lane", lane == OUTLET_URGENT ? "urgent" : "bulk"));
    forwarder_route_up(self->forwarder, lane, peer);
}

static void lane_went(struct worker *self, enum outlet lane, link_peer peer, bool is_drain)
{
    log_info("route_went", KV("peer", peer), KV("lane", lane == OUTLET_URGENT ? "urgent" : "bulk"),
             KV("drained", is_drain));
    forwarder_route_down(self->forwarder, lane, peer);
}

static void on_urgent_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    lane_came(arg, OUTLET_URGENT, peer, info);
}

static void on_bulk_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    lane_came(arg, OUTLET_BULK, peer, info);
}

static void on_urgent_down(void *arg, link_peer peer, bool is_drain)
{
    lane_went(arg, OUTLET_URGENT, peer, is_drain);
}

static void on_bulk_down(void *arg, link_peer peer, bool is_drain)
{
    lane_went(arg, OUTLET_BULK, peer, is_drain);
}

/* --- from notify --- */

static void on_notify_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct worker *self = arg;
    (void)peer;
    forwarder_notify_packet(self->forwarder, packet);
}

static void on_notify_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    struct worker *self = arg;
    (void)info;
    forwarder_notify_up(self->forwarder, peer);
}

static void on_notify_down(void *arg, link_peer peer, bool is_drain)
{
    struct worker *self = arg;
    (void)is_drain;
    forwarder_notify_down(self->forwarder, peer);
}

/* --- life --- */

static int connect_route(struct worker *self, struct link_options *options, struct error *err)
{
    const struct classify_config *config = self->config;
    options->label = "route-urgent";
    options->handler = (struct link_handler){ on_urgent_up, on_urgent_down, on_urgent_packet };
    self->links[OUTLET_URGENT] =
        link_connect(options, (const char *const *)config->route_urgent_endpoints,
                     config->route_urgent_endpoints_count, err);
    if (!self->links[OUTLET_URGENT])
        return -1;
    options->label = "route-bulk";
    options->handler = (struct link_handler){ on_bulk_up, on_bulk_down, on_bulk_packet };
    self->links[OUTLET_BULK] =
        link_connect(options, (const char *const *)config->route_bulk_endpoints,
                     config->route_bulk_endpoints_count, err);
    return self->links[OUTLET_BULK] ? 0 : -1;
}

/* ingest last: events come only when there is somewhere to send them. */
static int connect_links(struct worker *self, const struct worker_options *given, struct error *err)
{
    const struct classify_config *config = self->config;
    struct link_options options = {
        .service = "classify",
        .name = given->name,
        .instance = given->instance,
        .context = given->context,
        .loop = given->loop,
        .metrics = given->metrics,
        .security = given->security,
        .arg = self,
    };
    if (connect_route(self, &options, err) != 0)
        return -1;
    if (config->notify_endpoints_count > 0) {
        options.label = "notify";
        options.handler = (struct link_handler){ on_notify_up, on_notify_down, on_notify_packet };
        self->links[OUTLET_NOTIFY] =
            link_connect(&options, (const char *const *)config->notify_endpoints,
                         config->notify_endpoints_count, err);
        if (!self->links[OUTLET_NOTIFY])
            return -1;
    }
    options.label = "ingest";
    options.credit = config->credit;
    options.channels = (const char *const *)config->channels;
    options.channel_count = config->channels_count;
    options.handler = (struct link_handler){ on_ingest_up, on_ingest_down, on_ingest_packet };
    self->links[OUTLET_INGEST] =
        link_connect(&options, (const char *const *)config->ingest_endpoints,
                     config->ingest_endpoints_count, err);
    if (!self->links[OUTLET_INGEST])
        return -1;
    return 0;
}

struct worker *worker_new(const struct worker_options *options, struct triage **triage,
                          struct error *err)
{
    assert(options && triage && *triage && err);
    struct worker *self = calloc(1, sizeof *self);
    if (!self) {
        triage_destroy(triage);
        (void)error_set(err, ERROR_SYSTEM, "no memory for a worker");
        return NULL;
    }
    self->config = options->config;
    self->loop = options->loop;
    self->tally = options->tally;
    self->shadow = options->shadow;
    self->held_timer = -1;
    worker_change_triage(self, triage);
    const struct forwarder_options forwarder = {
        .tally = options->tally,
        .outlets = { send_packet, credit, credit_return, self },
        .judge = judge,
        .judge_arg = self,
    };
    self->forwarder = forwarder_new(&forwarder, err);
    if (!self->forwarder || connect_links(self, options, err) != 0)
        worker_destroy(&self);
    return self;
}

void worker_destroy(struct worker **self_p)
{
    struct worker *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i <= OUTLET_NOTIFY; i++)
        link_destroy(&self->links[i]);
    forwarder_destroy(&self->forwarder);
    triage_destroy(&self->triage);
    free(self);
    *self_p = NULL;
}

void worker_change_triage(struct worker *self, struct triage **triage)
{
    triage_destroy(&self->triage);
    self->triage = *triage;
    *triage = NULL;
    const struct rule_set *rules = triage_rules(self->triage);
    const struct model *model = triage_model(self->triage);
    tally_rules(self->tally, rule_set_edition(rules), rule_set_count(rules));
    tally_model(self->tally, model ? model->edition : "");
}

struct model_file *worker_release_model(struct worker *self)
{
    return triage_release_model(self->triage);
}

const struct triage *worker_triage(const struct worker *self)
{
    return self->triage;
}

void worker_drain(struct worker *self)
{
    forwarder_drain(self->forwarder, clock_monotonic_ms());
    link_drain(self->links[OUTLET_INGEST], "stopping");
}

bool worker_is_idle(const struct worker *self, int64_t now_ms)
{
    return forwarder_is_idle(self->forwarder, now_ms);
}

void worker_status(const struct worker *self, struct worker_status *out)
{
    struct forwarder_status status;
    forwarder_status(self->forwarder, &status);
    *out = (struct worker_status){
        .ingest_peers = link_peer_count(self->links[OUTLET_INGEST]),
        .route_urgent_peers = status.route_urgent_peers,
        .route_bulk_peers = status.route_bulk_peers,
        .notify_peers = status.notify_peers,
        .held = status.held,
        .in_flight = status.in_flight,
    };
}
