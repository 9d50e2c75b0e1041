#include "route/lane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock/clock.h"
#include "log/log.h"
#include "route/applying.h"

enum {
    TICK_MS = 500,
    DRAIN_TICK_MS = 20,
    DRAIN_QUIET_MS = 100, /* what was on its way when we said Drain */
};

struct lane {
    struct lane_options options;
    const char *word; /* urgent, bulk */
    zloop_t *loop;
    struct link *input;
    struct link *notify; /* NULL: none configured */
    struct id notify_instance;
    struct store *store;
    struct histogram *apply_seconds;
    struct applying *applying;
    int expiry_timer; /* -1: nothing waits for notify */
    int wake_fd;
    bool is_wake_set;
    int64_t drained_at_ms; /* 0: not draining */
    uint64_t applied_at_tick;
    pthread_t thread;
    bool is_started;
    atomic_bool is_drain_wanted;
    atomic_bool is_end_wanted;
    atomic_bool is_drained;
    atomic_size_t held_shown;
    atomic_size_t waiting_shown;
    atomic_size_t peers_shown;
    atomic_uint_fast64_t rate_shown; /* events a second, over the last tick */
    atomic_uint_fast64_t busy_shown;
};

static void wake(struct lane *self)
{
    uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof one);
    (void)written; /* full means it is set already */
}

static struct applying_time time_now(void)
{
    return (struct applying_time){ clock_monotonic_ms(), clock_unix_ms() };
}

/* --- what applying asks for --- */

static int apply(void *arg, const struct store_event *events, size_t count,
                 struct store_result *results, char history[static STORE_HISTORY_BYTES],
                 struct error *err)
{
    struct lane *self = arg;
    int64_t begun_us = clock_monotonic_us();
    if (store_apply(self->store, events, count, results, history, err) != 0)
        return -1;
    histogram_observe(self->apply_seconds, (double)(clock_monotonic_us() - begun_us) / 1e6);
    return 0;
}

static int hello(void *arg, const struct id *source, struct store_mark *mark,
                 char history[static STORE_HISTORY_BYTES], struct error *err)
{
    struct lane *self = arg;
    return store_hello(self->store, source, mark, history, err);
}

static int set_mark(void *arg, const struct id *source, const struct store_mark *mark,
                    const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                    bool *is_stored, struct error *err)
{
    struct lane *self = arg;
    return store_set_mark(self->store, source, mark, previous, history, is_stored, err);
}

static const char *problem(void *arg)
{
    const struct lane *self = arg;
    return store_problem(self->store);
}

static bool is_silent(void *arg)
{
    const struct lane *self = arg;
    return watch_is_silent(self->options.watch);
}

static void report(void *arg, const char *text)
{
    struct lane *self = arg;
    watch_report(self->options.watch, text);
}

static int send_answer(void *arg, link_peer peer, const Desg__V1__Packet *packet, struct error *err)
{
    struct lane *self = arg;
    return link_send(self->input, peer, packet, err);
}

static int send_order(void *arg, link_peer peer, const Desg__V1__Packet *packet, struct error *err)
{
    struct lane *self = arg;
    return self->notify ? link_send(self->notify, peer, packet, err) : -1;
}

/* --- what happens --- */

static int on_expiry(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    struct lane *self = arg;
    applying_expire(self->applying, clock_monotonic_ms());
    if (applying_waiting(self->applying) == 0) {
        (void)zloop_timer_end(self->loop, timer);
        self->expiry_timer = -1;
    }
    return 0;
}

static void watch_waiting(struct lane *self)
{
    if (applying_waiting(self->applying) > 0 && self->expiry_timer < 0)
        self->expiry_timer = zloop_timer(self->loop, APPLYING_EXPIRY_MS, 0, on_expiry, self);
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct lane *self = arg;
    applying_packet(self->applying, peer, packet, time_now());
    watch_waiting(self);
    if (applying_wants_flush(self->applying) && !self->is_wake_set) {
        /* Our own wake-up comes after all sockets that are readable now: what is queued there
         * joins this call, and nothing waits when nothing is. */
        self->is_wake_set = true;
        wake(self);
    }
}

/* What it had sent will be offered again by whoever keeps it; applying it all the same is free. */
static void on_peer_down(void *arg, link_peer peer, bool is_drain)
{
    (void)arg;
    (void)peer;
    (void)is_drain;
}

static void on_notify_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)info;
    struct lane *self = arg;
    applying_notify_up(self->applying, peer);
}

static void on_notify_down(void *arg, link_peer peer, bool is_drain)
{
    (void)is_drain;
    struct lane *self = arg;
    applying_notify_down(self->applying, peer);
}

static void on_notify_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    (void)peer;
    struct lane *self = arg;
    applying_notify_packet(self->applying, packet);
}

/* --- the loop --- */

static void show(struct lane *self)
{
    atomic_store(&self->held_shown, applying_held(self->applying));
    atomic_store(&self->waiting_shown, applying_waiting(self->applying));
    atomic_store(&self->busy_shown, applying_busy(self->applying));
    atomic_store(&self->peers_shown, link_peer_count(self->input));
}

static bool is_drain_over(const struct lane *self)
{
    return applying_held(self->applying) == 0 && applying_waiting(self->applying) == 0 &&
           clock_monotonic_ms() - self->drained_at_ms >= DRAIN_QUIET_MS;
}

static int on_drain_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct lane *self = arg;
    if (is_drain_over(self))
        atomic_store(&self->is_drained, true);
    return 0;
}

static void begin_drain(struct lane *self)
{
    if (self->drained_at_ms != 0 || !atomic_load(&self->is_drain_wanted))
        return;
    self->drained_at_ms = clock_monotonic_ms();
    link_drain(self->input, "stopping");
    (void)zloop_timer(self->loop, DRAIN_TICK_MS, 0, on_drain_tick,
                      self); /* -1 only without memory */
}

static int on_wake(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    struct lane *self = arg;
    uint64_t count = 0;
    ssize_t length = read(item->fd, &count, sizeof count);
    (void)length; /* nothing to read is nothing to do */
    self->is_wake_set = false;
    applying_flush(self->applying, time_now());
    watch_waiting(self);
    begin_drain(self);
    show(self);
    return atomic_load(&self->is_end_wanted) ? -1 : 0;
}

static int on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct lane *self = arg;
    if (self->options.heartbeat)
        heartbeat_beat(self->options.heartbeat);
    uint64_t applied = applying_applied(self->applying);
    atomic_store(&self->rate_shown, (applied - self->applied_at_tick) * 1000 / TICK_MS);
    self->applied_at_tick = applied;
    show(self);
    return 0;
}

static void *run(void *arg)
{
    struct lane *self = arg;
    (void)zloop_start(self->loop);
    link_destroy(&self->notify);
    link_destroy(&self->input);
    return NULL;
}

/* --- making --- */

static struct link_options link_options_of(struct lane *self, const char *label)
{
    return (struct link_options){
        .service = "route",
        .name = self->options.name,
        .instance = self->options.instance,
        .label = label,
        .context = self->options.context,
        .loop = self->loop,
        .metrics = self->options.metrics,
        .security = self->options.security,
        .arg = self,
    };
}

static int open_links(struct lane *self, struct error *err)
{
    bool is_urgent = self->options.lane == DESG__V1__LANE__LANE_URGENT;
    struct link_options input = link_options_of(self, is_urgent ? "route-urgent" : "route-bulk");
    input.credit = self->options.credit;
    input.handler = (struct link_handler){ .peer_down = on_peer_down, .packet = on_packet };
    self->input = link_bind(&input, self->options.endpoint, err);
    if (!self->input)
        return -1;
    const struct route_config *config = self->options.config;
    if (config->notify_endpoints_count == 0)
        return 0;
    struct link_options notify = link_options_of(self, is_urgent ? "notify-urgent" : "notify-bulk");
    /* To one socket of notify each lane is a peer of its own: the same instance would replace the
     * other lane's connection. */
    self->notify_instance = id_random();
    notify.instance = &self->notify_instance;
    notify.handler = (struct link_handler){ .peer_up = on_notify_up,
                                            .peer_down = on_notify_down,
                                            .packet = on_notify_packet };
    self->notify = link_connect(&notify, (const char *const *)config->notify_endpoints,
                                config->notify_endpoints_count, err);
    return self->notify ? 0 : -1;
}

static int open_loop(struct lane *self, struct error *err)
{
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->loop = zloop_new();
    if (self->wake_fd < 0 || !self->loop)
        return error_set(err, ERROR_SYSTEM, "cannot make the %s lane's loop", self->word);
    if (open_links(self, err) != 0)
        return -1;
    /* After the links: their sockets are looked at first, see take_batch. */
    zmq_pollitem_t item = { .fd = self->wake_fd, .events = ZMQ_POLLIN };
    if (zloop_poller(self->loop, &item, on_wake, self) != 0 ||
        zloop_timer(self->loop, TICK_MS, 0, on_tick, self) < 0)
        return error_set(err, ERROR_SYSTEM, "cannot watch the %s lane", self->word);
    zloop_poller_set_tolerant(self->loop, &item);
    return 0;
}

static int open_parts(struct lane *self, struct error *err)
{
    const struct config_common *common = self->options.common;
    const struct store_queues *queues = &self->options.config->queues;
    struct store_options store = { .redis = &common->redis,
                                   .force = common->force,
                                   .queues = queues,
                                   .metrics = self->options.metrics,
                                   .label = self->word };
    self->store = store_new(&store, err);
    if (!self->store)
        return -1;
    char labels[32];
    (void)snprintf(labels, sizeof labels, "lane=\"%s\"", self->word);
    self->apply_seconds = metrics_histogram(self->options.metrics, "desg_route_apply_seconds",
                                            labels, "Time of one call of the function apply");
    const struct applying_options applying = {
        .lane = self->word,
        .queues = queues,
        .metrics = self->options.metrics,
        .hands = { apply, hello, set_mark, problem, is_silent, report, send_answer, send_order,
                   self },
    };
    self->applying = applying_new(&applying, err);
    if (!self->applying)
        return -1;
    return open_loop(self, err);
}

struct lane *lane_new(const struct lane_options *options, struct error *err)
{
    struct lane *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a lane");
        return NULL;
    }
    self->options = *options;
    self->word = options->lane == DESG__V1__LANE__LANE_URGENT ? "urgent" : "bulk";
    self->wake_fd = -1;
    self->expiry_timer = -1;
    if (open_parts(self, err) != 0) {
        lane_destroy(&self);
        return NULL;
    }
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot start the %s lane's thread", self->word);
        lane_destroy(&self);
        return NULL;
    }
    self->is_started = true;
    return self;
}

void lane_destroy(struct lane **self_p)
{
    struct lane *self = *self_p;
    if (!self)
        return;
    if (self->is_started) {
        atomic_store(&self->is_end_wanted, true);
        wake(self);
        (void)pthread_join(self->thread, NULL);
    }
    link_destroy(&self->notify);
    link_destroy(&self->input);
    zloop_destroy(&self->loop);
    applying_destroy(&self->applying);
    store_destroy(&self->store);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    free(self);
    *self_p = NULL;
}

void lane_drain(struct lane *self)
{
    atomic_store(&self->is_drain_wanted, true);
    wake(self);
}

bool lane_is_drained(const struct lane *self)
{
    return atomic_load(&self->is_drained);
}

void lane_describe(struct lane *self, json_t *lanes)
{
    (void)json_object_set_new(
        lanes, self->word,
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "peers", (json_int_t)atomic_load(&self->peers_shown),
                  "held", (json_int_t)atomic_load(&self->held_shown), "waiting_for_notify",
                  (json_int_t)atomic_load(&self->waiting_shown), "events_per_second",
                  (json_int_t)atomic_load(&self->rate_shown), "busy_total",
                  (json_int_t)atomic_load(&self->busy_shown)));
}
