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
#include "route/applier.h"
#include "route/provisional.h"
#include "route/source_marks.h"

enum {
    HELD_MAX = 2048, /* taken and not yet applied; more are BUSY */
    TICK_MS = 500,
    EXPIRY_MS = 20,
    DRAIN_QUIET_MS = 100, /* what was on its way when we said Drain */
};

struct lane_counters {
    struct counter *busy;
    struct counter *refused;
    struct counter *provisional_alerts;
};

struct lane {
    struct lane_options options;
    const char *word; /* urgent, bulk */
    zloop_t *loop;
    struct link *input;
    struct link *notify; /* NULL: none configured */
    struct id notify_instance;
    struct applier *applier;
    struct source_marks *marks;
    struct provisional *provisional;
    struct held held[HELD_MAX];
    size_t held_count;
    int expiry_timer; /* -1: nothing waits for notify */
    int wake_fd;
    bool is_wake_set;
    int64_t drained_at_ms; /* 0: not draining */
    uint64_t applied_at_tick;
    struct lane_counters counters;
    pthread_t thread;
    bool is_started;
    atomic_bool is_drain_wanted;
    atomic_bool is_end_wanted;
    atomic_bool is_drained;
    atomic_size_t held_shown;
    atomic_size_t waiting_shown;
    atomic_size_t peers_shown;
    atomic_uint_fast64_t rate_shown; /* events a second, over the last tick */
};

static void wake(struct lane *self)
{
    uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof one);
    (void)written; /* full means it is set already */
}

/* --- answers --- */

static void send_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct lane *self = arg;
    struct error err = { 0 };
    if (link_send(self->input, peer, packet, &err) != 0)
        log_debug("answer_not_sent", KV("lane", self->word), KV("error", err.text));
}

static void answer(struct lane *self, struct answer *answers, size_t count, const char *history)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].kind == ANSWER_BUSY)
            counter_add(self->counters.busy, 1);
        else if (answers[i].kind == ANSWER_REFUSED)
            counter_add(self->counters.refused, 1);
    }
    answers_send(answers, count, history, send_packet, self);
}

static void on_applied(void *arg, struct answer *answers, size_t count, const char *history)
{
    answer(arg, answers, count, history);
}

static void on_provisional_answer(void *arg, struct answer *answers, size_t count)
{
    answer(arg, answers, count, "");
}

/* --- Redis silent --- */

static int on_expiry(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct lane *self = arg;
    provisional_expire(self->provisional, clock_monotonic_ms());
    if (provisional_waiting(self->provisional) == 0) {
        (void)zloop_timer_end(self->loop, self->expiry_timer);
        self->expiry_timer = -1;
    }
    return 0;
}

static int send_order(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct lane *self = arg;
    struct error err = { 0 };
    if (!self->notify || link_send(self->notify, peer, packet, &err) != 0)
        return -1;
    return 0;
}

/* BUSY for count events, after notify has been told of those that cannot wait. */
static void defer(struct lane *self, const struct held *events, size_t count)
{
    bool needs_alert[STORE_APPLY_MAX];
    const struct store_queues *queues = &self->options.config->queues;
    int64_t unix_ms = clock_unix_ms();
    for (size_t i = 0; i < count; i++)
        needs_alert[i] = held_needs_alert(&events[i], queues, unix_ms);
    size_t sent = provisional_order(self->provisional, events, needs_alert, count, "redis silent",
                                    clock_monotonic_ms());
    counter_add(self->counters.provisional_alerts, sent);
    if (provisional_waiting(self->provisional) > 0 && self->expiry_timer < 0)
        self->expiry_timer = zloop_timer(self->loop, EXPIRY_MS, 0, on_expiry, self);
}

/* --- applying --- */

static void flush(struct lane *self)
{
    for (size_t at = 0; at < self->held_count;) {
        size_t count = self->held_count - at;
        if (count > STORE_APPLY_MAX)
            count = STORE_APPLY_MAX;
        if (watch_is_silent(self->options.watch))
            defer(self, &self->held[at], count);
        else if (applier_apply(self->applier, &self->held[at], count) != 0) {
            watch_report(self->options.watch, applier_problem(self->applier));
            defer(self, &self->held[at], count);
        }
        at += count;
    }
    for (size_t i = 0; i < self->held_count; i++)
        held_clear(&self->held[i]);
    self->held_count = 0;
}

static void refuse(struct lane *self, const struct address *from, const struct error *err)
{
    char source[ID_TEXT_BYTES];
    id_text(from->source.bytes, source);
    log_warn("event_refused", KV("lane", self->word), KV("source", source),
             KV("sequence", from->sequence), KV("index", from->index), KV("error", err->text));
    struct answer refusal = { .to = *from, .kind = ANSWER_REFUSED, .reason = "not decodable" };
    answer(self, &refusal, 1, "");
}

static void put_off(struct lane *self, const struct address *from, bool is_alerted)
{
    struct answer busy = {
        .to = *from, .kind = ANSWER_BUSY, .is_alerted = is_alerted, .reason = "queue full"
    };
    answer(self, &busy, 1, "");
}

static void take_item(struct lane *self, const struct address *from, const Desg__V1__Item *item,
                      int64_t now_ms)
{
    if (self->held_count == HELD_MAX) {
        put_off(self, from, item->is_alerted);
        return;
    }
    struct error err = { 0 };
    if (held_take(&self->held[self->held_count], from, item, now_ms, &err) == 0)
        self->held_count++;
    else if (err.kind == ERROR_INVALID)
        refuse(self, from, &err);
    else
        put_off(self, from, item->is_alerted);
}

static void take_batch(struct lane *self, link_peer peer, const Desg__V1__Batch *batch)
{
    if (batch->source.len != ID_BYTES) {
        log_warn("batch_refused", KV("lane", self->word),
                 KV("error", "its source id is not 16 bytes"));
        counter_add(self->counters.refused, batch->n_items);
        return;
    }
    struct address from = { .peer = peer, .incarnation = batch->incarnation };
    memcpy(from.source.bytes, batch->source.data, ID_BYTES);
    int64_t now_ms = clock_unix_ms();
    for (size_t i = 0; i < batch->n_items; i++) {
        const Desg__V1__Position *position = batch->items[i]->position;
        from.sequence = position ? position->sequence : 0;
        from.index = position ? position->index : 0;
        take_item(self, &from, batch->items[i], now_ms);
    }
    if (self->held_count >= STORE_APPLY_MAX) {
        flush(self);
    } else if (!self->is_wake_set) {
        /* Our own wake-up comes after all sockets that are readable now: what is queued there
         * joins this call, and nothing waits when nothing is. */
        self->is_wake_set = true;
        wake(self);
    }
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct lane *self = arg;
    bool is_silent = watch_is_silent(self->options.watch);
    switch (packet->kind_case) {
    case DESG__V1__PACKET__KIND_BATCH:
        take_batch(self, peer, packet->batch);
        break;
    case DESG__V1__PACKET__KIND_HELLO:
        source_marks_hello(self->marks, self->input, peer, packet->hello, is_silent);
        break;
    case DESG__V1__PACKET__KIND_MARK:
        source_marks_mark(self->marks, self->input, peer, packet->mark, is_silent);
        break;
    default:
        break; /* not for us: link has counted it */
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
    provisional_peer_up(self->provisional, peer);
}

static void on_notify_down(void *arg, link_peer peer, bool is_drain)
{
    (void)is_drain;
    struct lane *self = arg;
    provisional_peer_down(self->provisional, peer);
}

static void on_notify_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    (void)peer;
    struct lane *self = arg;
    if (packet->kind_case == DESG__V1__PACKET__KIND_ALERTED)
        provisional_alerted(self->provisional, packet->alerted);
}

/* --- the loop --- */

static void show(struct lane *self)
{
    atomic_store(&self->held_shown, self->held_count);
    atomic_store(&self->waiting_shown, provisional_waiting(self->provisional));
    atomic_store(&self->peers_shown, link_peer_count(self->input));
}

static bool is_drain_over(const struct lane *self)
{
    return self->held_count == 0 && provisional_waiting(self->provisional) == 0 &&
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
    (void)zloop_timer(self->loop, EXPIRY_MS, 0, on_drain_tick, self); /* -1 only without memory */
}

static int on_wake(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    struct lane *self = arg;
    uint64_t count = 0;
    ssize_t length = read(item->fd, &count, sizeof count);
    (void)length; /* nothing to read is nothing to do */
    self->is_wake_set = false;
    flush(self);
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
    uint64_t applied = applier_applied(self->applier);
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

static void register_counters(struct lane *self)
{
    char labels[32];
    (void)snprintf(labels, sizeof labels, "lane=\"%s\"", self->word);
    struct metrics *metrics = self->options.metrics;
    self->counters.busy = metrics_counter(metrics, "desg_route_busy_total", labels,
                                          "Events answered BUSY: to be offered again");
    self->counters.refused = metrics_counter(metrics, "desg_route_refused_total", labels,
                                             "Events answered REFUSED: not decodable");
    self->counters.provisional_alerts =
        metrics_counter(metrics, "desg_route_provisional_alerts_total", labels,
                        "Alerts told to notify because Redis was silent");
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
    self->applier = applier_new(&(struct applier_options){ .store = &store,
                                                           .lane = self->word,
                                                           .metrics = self->options.metrics,
                                                           .done = on_applied,
                                                           .arg = self },
                                err);
    if (!self->applier)
        return -1;
    self->marks = source_marks_new(applier_store(self->applier), self->options.watch);
    self->provisional = provisional_new(&(struct provisional_options){
        .send = send_order,
        .answer = on_provisional_answer,
        .arg = self,
        .unclassified_per_minute = queues->unclassified_alerts_per_minute });
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
    register_counters(self);
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
    for (size_t i = 0; i < self->held_count; i++)
        held_clear(&self->held[i]);
    provisional_destroy(&self->provisional);
    source_marks_destroy(&self->marks);
    applier_destroy(&self->applier);
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
                  (json_int_t)counter_value(self->counters.busy)));
}
