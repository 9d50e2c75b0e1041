#include "route/applying.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "route/applier.h"
#include "route/provisional.h"
#include "route/source_marks.h"

enum { HELD_MAX = 2048 }; /* taken and not yet applied; more are BUSY */

struct lane_counters {
    struct counter *busy;
    struct counter *refused;
    struct counter *provisional_alerts;
};

struct applying {
    const char *word; /* urgent, bulk */
    const struct store_queues *queues;
    struct route_hands hands;
    struct source_marks marks;
    struct applier *applier;
    struct provisional *provisional;
    struct held held[HELD_MAX];
    size_t held_count;
    struct lane_counters counters;
};

static bool is_silent(const struct applying *self)
{
    return self->hands.is_silent(self->hands.arg);
}

/* --- answers --- */

static void send_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct applying *self = arg;
    struct error err = { 0 };
    if (self->hands.answer(self->hands.arg, peer, packet, &err) != 0)
        log_debug("answer_not_sent", KV("lane", self->word), KV("error", err.text));
}

static void answer(struct applying *self, struct answer *answers, size_t count, const char *history)
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

static int send_order(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct applying *self = arg;
    struct error err = { 0 };
    return self->hands.order(self->hands.arg, peer, packet, &err);
}

/* BUSY for count events, after notify has been told of those that cannot wait. */
static void defer(struct applying *self, const struct held *events, size_t count,
                  struct applying_time at)
{
    bool needs_alert[STORE_APPLY_MAX];
    for (size_t i = 0; i < count; i++)
        needs_alert[i] = held_needs_alert(&events[i], self->queues, at.unix_ms);
    size_t sent =
        provisional_order(self->provisional, events, needs_alert, count, "redis silent", at.now_ms);
    counter_add(self->counters.provisional_alerts, sent);
}

/* --- applying --- */

void applying_flush(struct applying *self, struct applying_time at)
{
    for (size_t first = 0; first < self->held_count;) {
        size_t count = self->held_count - first;
        if (count > STORE_APPLY_MAX)
            count = STORE_APPLY_MAX;
        if (is_silent(self)) {
            defer(self, &self->held[first], count, at);
        } else if (applier_apply(self->applier, &self->held[first], count) != 0) {
            self->hands.report(self->hands.arg, self->hands.problem(self->hands.arg));
            defer(self, &self->held[first], count, at);
        }
        first += count;
    }
    for (size_t i = 0; i < self->held_count; i++)
        held_clear(&self->held[i]);
    self->held_count = 0;
}

static void refuse(struct applying *self, const struct address *from, const struct error *err)
{
    char source[ID_TEXT_BYTES];
    id_text(from->source.bytes, source);
    log_warn("event_refused", KV("lane", self->word), KV("source", source),
             KV("sequence", from->sequence), KV("index", from->index), KV("error", err->text));
    struct answer refusal = { .to = *from, .kind = ANSWER_REFUSED, .reason = "not decodable" };
    answer(self, &refusal, 1, "");
}

static void put_off(struct applying *self, const struct address *from, bool is_alerted)
{
    struct answer busy = {
        .to = *from, .kind = ANSWER_BUSY, .is_alerted = is_alerted, .reason = "queue full"
    };
    answer(self, &busy, 1, "");
}

static void take_item(struct applying *self, const struct address *from, const Desg__V1__Item *item,
                      int64_t unix_ms)
{
    if (self->held_count == HELD_MAX) {
        put_off(self, from, item->is_alerted);
        return;
    }
    struct error err = { 0 };
    if (held_take(&self->held[self->held_count], from, item, unix_ms, &err) == 0)
        self->held_count++;
    else if (err.kind == ERROR_INVALID)
        refuse(self, from, &err);
    else
        put_off(self, from, item->is_alerted);
}

static void take_batch(struct applying *self, link_peer peer, const Desg__V1__Batch *batch,
                       struct applying_time at)
{
    if (batch->source.len != ID_BYTES) {
        log_warn("batch_refused", KV("lane", self->word),
                 KV("error", "its source id is not 16 bytes"));
        counter_add(self->counters.refused, batch->n_items);
        return;
    }
    struct address from = { .peer = peer, .incarnation = batch->incarnation };
    memcpy(from.source.bytes, batch->source.data, ID_BYTES);
    for (size_t i = 0; i < batch->n_items; i++) {
        const Desg__V1__Position *position = batch->items[i]->position;
        from.sequence = position ? position->sequence : 0;
        from.index = position ? position->index : 0;
        take_item(self, &from, batch->items[i], at.unix_ms);
    }
    if (self->held_count >= STORE_APPLY_MAX)
        applying_flush(self, at);
}

void applying_packet(struct applying *self, link_peer peer, const Desg__V1__Packet *packet,
                     struct applying_time at)
{
    switch (packet->kind_case) {
    case DESG__V1__PACKET__KIND_BATCH:
        take_batch(self, peer, packet->batch, at);
        break;
    case DESG__V1__PACKET__KIND_HELLO:
        source_marks_hello(&self->hands, peer, packet->hello);
        break;
    case DESG__V1__PACKET__KIND_MARK:
        source_marks_mark(&self->marks, &self->hands, peer, packet->mark);
        break;
    default:
        break; /* not for us: link has counted it */
    }
}

bool applying_wants_flush(const struct applying *self)
{
    return self->held_count > 0;
}

/* --- notify --- */

void applying_notify_up(struct applying *self, link_peer notify)
{
    provisional_peer_up(self->provisional, notify);
}

void applying_notify_down(struct applying *self, link_peer notify)
{
    provisional_peer_down(self->provisional, notify);
}

void applying_notify_packet(struct applying *self, const Desg__V1__Packet *packet)
{
    if (packet->kind_case == DESG__V1__PACKET__KIND_ALERTED)
        provisional_alerted(self->provisional, packet->alerted);
}

void applying_expire(struct applying *self, int64_t now_ms)
{
    provisional_expire(self->provisional, now_ms);
}

/* --- how it stands, making --- */

size_t applying_held(const struct applying *self)
{
    return self->held_count;
}

size_t applying_waiting(const struct applying *self)
{
    return provisional_waiting(self->provisional);
}

uint64_t applying_applied(const struct applying *self)
{
    return applier_applied(self->applier);
}

uint64_t applying_busy(const struct applying *self)
{
    return counter_value(self->counters.busy);
}

static void register_counters(struct applying *self, struct metrics *metrics)
{
    char labels[32];
    (void)snprintf(labels, sizeof labels, "lane=\"%s\"", self->word);
    self->counters.busy = metrics_counter(metrics, "desg_route_busy_total", labels,
                                          "Events answered BUSY: to be offered again");
    self->counters.refused = metrics_counter(metrics, "desg_route_refused_total", labels,
                                             "Events answered REFUSED: not decodable");
    self->counters.provisional_alerts =
        metrics_counter(metrics, "desg_route_provisional_alerts_total", labels,
                        "Alerts told to notify because Redis was silent");
}

struct applying *applying_new(const struct applying_options *options, struct error *err)
{
    struct applying *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a lane");
        return NULL;
    }
    self->word = options->lane;
    self->queues = options->queues;
    self->hands = options->hands;
    register_counters(self, options->metrics);
    const struct applier_options applier = { .hands = &self->hands,
                                             .lane = options->lane,
                                             .metrics = options->metrics,
                                             .done = on_applied,
                                             .arg = self };
    self->applier = applier_new(&applier, err);
    if (!self->applier) {
        applying_destroy(&self);
        return NULL;
    }
    self->provisional = provisional_new(&(struct provisional_options){
        .send = send_order,
        .answer = on_provisional_answer,
        .arg = self,
        .unclassified_per_minute = options->queues->unclassified_alerts_per_minute });
    return self;
}

void applying_destroy(struct applying **self_p)
{
    struct applying *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->held_count; i++)
        held_clear(&self->held[i]);
    provisional_destroy(&self->provisional);
    applier_destroy(&self->applier);
    free(self);
    *self_p = NULL;
}
