#include "route/provisional.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert.h"
#include "store/plan.h"

enum { ACCOUNTS_MAX = 64, ACCOUNT_BYTES = 96, MINUTE_MS = 60000 };

struct waiting {
    struct id alert;
    struct answer answer;
    int64_t until_ms;
};

struct account_rate {
    char account[ACCOUNT_BYTES]; /* channel/account of the force's own; no person's */
    int64_t minute;
    uint32_t count;
};

struct provisional {
    struct provisional_options options;
    link_peer peers[PROVISIONAL_PEERS_MAX];
    size_t peer_count;
    size_t next_peer;
    struct waiting waiting[PROVISIONAL_MAX];
    size_t waiting_count;
    struct account_rate rates[ACCOUNTS_MAX];
    struct answer due[PROVISIONAL_MAX]; /* scratch: what may be answered now */
};

struct provisional *provisional_new(const struct provisional_options *options)
{
    struct provisional *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* start-up only */
    self->options = *options;
    return self;
}

void provisional_destroy(struct provisional **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

void provisional_peer_up(struct provisional *self, link_peer notify)
{
    provisional_peer_down(self, notify);
    if (self->peer_count < PROVISIONAL_PEERS_MAX)
        self->peers[self->peer_count++] = notify;
}

void provisional_peer_down(struct provisional *self, link_peer notify)
{
    for (size_t i = 0; i < self->peer_count; i++)
        if (self->peers[i] == notify) {
            self->peers[i] = self->peers[--self->peer_count];
            return;
        }
}

size_t provisional_waiting(const struct provisional *self)
{
    return self->waiting_count;
}

static void answer_all(struct provisional *self, size_t count)
{
    if (count > 0)
        self->options.answer(self->options.arg, self->due, count);
}

/* The counter of the event's account; the least busy one is given away if all are taken. */
static struct account_rate *rate_of(struct provisional *self, const Desg__V1__Event *event,
                                    int64_t minute)
{
    char account[ACCOUNT_BYTES];
    (void)snprintf(account, sizeof account, "%.31s/%.60s", event->channel, event->account);
    struct account_rate *free_one = &self->rates[0];
    for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
        struct account_rate *rate = &self->rates[i];
        if (strcmp(rate->account, account) == 0) {
            free_one = rate;
            break;
        }
        if (rate->minute < free_one->minute)
            free_one = rate;
    }
    if (strcmp(free_one->account, account) != 0 || free_one->minute != minute) {
        (void)snprintf(free_one->account, sizeof free_one->account, "%s", account);
        free_one->minute = minute;
        free_one->count = 0;
    }
    return free_one;
}

static bool is_digest_member(struct provisional *self, const struct held *event)
{
    if (event->verdict->is_urgent ||
        event->verdict->severity >= DESG__V1__SEVERITY__SEVERITY_URGENT)
        return false;
    struct account_rate *rate =
        rate_of(self, event->event, event->event->received_at_ms / MINUTE_MS);
    return ++rate->count > self->options.unclassified_per_minute;
}

static int send_order(struct provisional *self, Desg__V1__Alert **alerts, size_t count)
{
    Desg__V1__AlertOrder order = DESG__V1__ALERT_ORDER__INIT;
    order.n_alerts = count;
    order.alerts = alerts;
    Desg__V1__Packet packet = link_packet_alert_order(&order);
    for (size_t tries = 0; tries < self->peer_count; tries++) {
        link_peer peer = self->peers[self->next_peer % self->peer_count];
        if (self->options.send(self->options.arg, peer, &packet) == 0)
            return 0;
        self->next_peer++;
    }
    return -1;
}

static struct answer busy_answer(const struct held *event, const char *reason)
{
    return (struct answer){
        .to = event->from, .kind = ANSWER_BUSY, .is_alerted = event->is_alerted, .reason = reason
    };
}

/* Up to STORE_APPLY_MAX alerts in one order: what one batch can hold. */
struct order {
    Desg__V1__Alert alerts[STORE_APPLY_MAX];
    Desg__V1__Alert *pointers[STORE_APPLY_MAX];
    struct id ids[STORE_APPLY_MAX];
    const struct held *events[STORE_APPLY_MAX];
    size_t count;
};

static void add_alert(struct provisional *self, struct order *order, const struct held *event)
{
    Desg__V1__Alert *alert = &order->alerts[order->count];
    struct store_event given = held_event(event);
    alert_order_init(alert, &order->ids[order->count], event->event->id.data, given.event_bytes,
                     given.event_length, given.verdict_bytes, given.verdict_length);
    alert->is_provisional = true;
    alert->is_digest_member = is_digest_member(self, event);
    order->pointers[order->count] = alert;
    order->events[order->count++] = event;
}

/* Sends the order and notes whom to answer; returns how many were sent. */
static size_t place_order(struct provisional *self, struct order *order, const char *reason,
                          int64_t now_ms)
{
    bool is_sent = order->count > 0 && order->count <= PROVISIONAL_MAX - self->waiting_count &&
                   send_order(self, order->pointers, order->count) == 0;
    for (size_t i = 0; i < order->count; i++) {
        struct answer answer = busy_answer(order->events[i], reason);
        if (!is_sent) {
            self->options.answer(self->options.arg, &answer, 1);
            continue;
        }
        self->waiting[self->waiting_count++] = (struct waiting){
            .alert = order->ids[i], .answer = answer, .until_ms = now_ms + PROVISIONAL_WAIT_MS
        };
    }
    return is_sent ? order->count : 0;
}

size_t provisional_order(struct provisional *self, const struct held *events,
                         const bool *needs_alert, size_t count, const char *reason, int64_t now_ms)
{
    struct order order = { .count = 0 };
    size_t due_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (needs_alert[i] && order.count < STORE_APPLY_MAX)
            add_alert(self, &order, &events[i]);
        else
            self->due[due_count++] = busy_answer(&events[i], reason);
    }
    answer_all(self, due_count);
    return place_order(self, &order, reason, now_ms);
}

static void take_out(struct provisional *self, size_t at)
{
    self->waiting[at] = self->waiting[--self->waiting_count];
}

void provisional_alerted(struct provisional *self, const Desg__V1__Alerted *alerted)
{
    size_t due_count = 0;
    for (size_t n = 0; n < alerted->n_alert_ids; n++) {
        const ProtobufCBinaryData *id = &alerted->alert_ids[n];
        for (size_t i = self->waiting_count; id->len == ID_BYTES && i-- > 0;) {
            if (memcmp(self->waiting[i].alert.bytes, id->data, ID_BYTES) != 0)
                continue;
            self->due[due_count] = self->waiting[i].answer;
            self->due[due_count++].is_alerted = true;
            take_out(self, i);
        }
    }
    answer_all(self, due_count);
}

void provisional_expire(struct provisional *self, int64_t now_ms)
{
    size_t due_count = 0;
    for (size_t i = self->waiting_count; i-- > 0;) {
        if (self->waiting[i].until_ms > now_ms)
            continue;
        self->due[due_count++] = self->waiting[i].answer;
        take_out(self, i);
    }
    if (due_count > 0)
        self->next_peer++; /* that one does not answer: the next order goes to another */
    answer_all(self, due_count);
}
