/* custody_peers - workers and routes: who is there, what each holds unanswered, and where that goes
 * when one is gone. */
#include <stdlib.h>
#include <string.h>

#include "ingest/custody_state.h"

struct holder *custody_holder(struct custody *self, uint64_t peer)
{
    for (size_t i = 0; i < self->holder_count; i++)
        if (self->holders[i].peer == peer)
            return &self->holders[i];
    return NULL;
}

size_t custody_count_holders(const struct custody *self, bool is_route)
{
    size_t count = 0;
    for (size_t i = 0; i < self->holder_count; i++)
        count += self->holders[i].is_route == is_route;
    return count;
}

static struct holder *add_holder(struct custody *self, uint64_t peer, uint32_t credit)
{
    struct holder *holder = custody_holder(self, peer);
    if (!holder) {
        if (self->holder_count == HOLDERS_MAX)
            return NULL;
        holder = &self->holders[self->holder_count];
        *holder = (struct holder){ .peer = peer };
        self->holder_count++;
    }
    holder->is_draining = holder->is_draining && credit == 0;
    if (credit > holder->credit) {
        struct position *held = realloc(holder->held, credit * sizeof *held);
        if (!held)
            return holder;
        holder->held = held;
        holder->credit = credit;
    }
    return holder;
}

static bool serves_channel(const struct holder *holder, const char *channel)
{
    bool is_anybodys = channel[0] == '\0' || strcmp(channel, "other") == 0; /* damaged, unknown */
    if (is_anybodys || holder->channel_count == 0)
        return true;
    for (size_t i = 0; i < holder->channel_count; i++)
        if (strcmp(holder->channels[i], channel) == 0)
            return true;
    return false;
}

bool custody_serves(const struct holder *holder, const struct held_event *event)
{
    return serves_channel(holder, event->record->split.events[event->index].channel);
}

bool custody_is_served(const struct custody *self, const char *channel)
{
    for (size_t i = 0; i < self->holder_count; i++) {
        const struct holder *holder = &self->holders[i];
        if (!holder->is_route && !holder->is_draining && serves_channel(holder, channel))
            return true;
    }
    return false;
}

void custody_offer_provisional(struct custody *self, const struct holder *worker)
{
    for (size_t i = 0; i < self->channel_count; i++) {
        struct held_channel *channel = &self->channels[i];
        if (channel->provisional.count > 0 && (worker ? serves_channel(worker, channel->name)
                                                      : custody_is_served(self, channel->name)))
            ranges_take(&self->deferred, &channel->provisional);
    }
}

void custody_worker_up(struct custody *self, uint64_t worker, const struct custody_worker *who,
                       int64_t now_ms)
{
    custody_acquit_worker(self, &who->instance);
    struct holder *holder = add_holder(self, worker, who->credit);
    if (!holder)
        return;
    holder->instance = who->instance;
    holder->channels = who->channels;
    holder->channel_count = who->channel_count;
    custody_offer_provisional(self, holder); /* triage is back */
    custody_offer_bypassed(self, now_ms);
}

void custody_route_up(struct custody *self, uint64_t route, uint32_t credit)
{
    struct holder *holder = add_holder(self, route, credit);
    if (holder)
        holder->is_route = true;
    self->is_hello_wanted = true;
}

void custody_drains(struct custody *self, uint64_t peer)
{
    struct holder *holder = custody_holder(self, peer);
    if (holder)
        holder->is_draining = true;
}

bool custody_takes_more(const struct holder *holder)
{
    return !holder->is_draining && !holder->is_alone && holder->count < holder->credit;
}

bool custody_give_back(struct holder *holder, uint64_t sequence, uint32_t index)
{
    for (uint32_t i = 0; i < holder->count; i++) {
        if (holder->held[i].sequence != sequence || holder->held[i].index != index)
            continue;
        holder->held[i] = holder->held[--holder->count];
        holder->returned++;
        if (holder->count == 0)
            holder->is_alone = false;
        return true;
    }
    return false;
}

uint32_t custody_take_returned(struct custody *self, uint64_t peer)
{
    struct holder *holder = custody_holder(self, peer);
    if (!holder)
        return 0;
    uint32_t returned = holder->returned;
    holder->returned = 0;
    return returned;
}

/* Its worker went holding it: alone, that is a charge; among others it only makes it suspect. */
static void suspect(struct custody *self, struct held_event *event, const struct holder *worker)
{
    event->is_suspect = true;
    if (worker->is_alone)
        custody_charge(self, event, &worker->instance);
    self->counts.suspects++;
    custody_note_event(self, event);
    event->state = HELD_WAITING;
    custody_start_event(self, event);
}

static void drop_holder(struct custody *self, struct holder *holder)
{
    if (self->reserved_worker == holder->peer)
        self->reserved_worker = 0;
    free(holder->held);
    *holder = self->holders[--self->holder_count];
}

/* What triage had seen and passed on, or not, when its worker went: again at once, duplicates are
 * free. */
static void send_seen_again(struct custody *self, uint64_t worker, int64_t now_ms)
{
    struct held_record *record;
    LIST_FOREACH(record, &self->records, all)
    for (size_t i = 0; i < record->count; i++) {
        struct held_event *event = &record->events[i];
        if (event->peer != worker || event->state != HELD_SEEN)
            continue;
        event->sends = 0; /* its end was told: no sign that the next try needs more patience */
        custody_offer_again(event, now_ms);
        custody_enqueue(&self->waiting, event, true);
    }
}

void custody_worker_down(struct custody *self, uint64_t worker, bool is_drain, int64_t now_ms)
{
    struct holder *holder = custody_holder(self, worker);
    if (!holder)
        return;
    for (uint32_t i = 0; i < holder->count; i++) {
        struct held_event *event =
            custody_find_event(self, holder->held[i].sequence, holder->held[i].index);
        if (!event || event->peer != worker || event->state != HELD_SENT)
            continue;
        if (is_drain) {
            event->state = HELD_WAITING;
            custody_enqueue(&self->waiting, event, true);
        } else {
            suspect(self, event, holder);
        }
    }
    drop_holder(self, holder);
    send_seen_again(self, worker, now_ms);
}

void custody_route_down(struct custody *self, uint64_t route, int64_t now_ms)
{
    (void)now_ms;
    struct holder *holder = custody_holder(self, route);
    if (!holder)
        return;
    for (uint32_t i = 0; i < holder->count; i++) {
        struct held_event *event =
            custody_find_event(self, holder->held[i].sequence, holder->held[i].index);
        if (event && event->peer == route && event->state == HELD_ROUTED) {
            event->sends = 0;
            custody_bypass(self, event);
        }
    }
    drop_holder(self, holder);
}

void custody_take_back(struct custody *self, struct holder *holder, uint64_t sequence,
                       uint32_t index)
{
    if (custody_give_back(holder, sequence, index))
        holder->returned--; /* it was never taken from the link's account */
    struct held_event *event = custody_find_event(self, sequence, index);
    if (!event || event->peer != holder->peer)
        return;
    event->state = holder->is_route ? HELD_TO_ROUTE : HELD_WAITING;
    struct held_list *list = holder->is_route    ? &self->to_route
                             : event->is_suspect ? &self->suspects
                                                 : &self->waiting;
    custody_enqueue(list, event, true);
}
