/* custody_time - what silence means: hedges, bypasses, retries, lost credits. */
#include "ingest/custody_state.h"

enum { UNALERTED_RETRY_MAX_MS = 5000 };

static bool take_hedge_token(struct custody *self)
{
    if (self->hedge_tokens < 1)
        return false;
    self->hedge_tokens -= 1;
    return true;
}

static bool has_other_worker(const struct custody *self, const struct held_event *event)
{
    for (size_t i = 0; i < self->holder_count; i++) {
        const struct holder *holder = &self->holders[i];
        if (!holder->is_route && holder->peer != event->peer && custody_takes_more(holder) &&
            custody_serves(holder, event))
            return true;
    }
    return false;
}

static int64_t doubled(int64_t base_ms, uint32_t sends, int64_t most_ms)
{
    for (uint32_t i = 1; i < sends && base_ms < most_ms; i++)
        base_ms *= 2;
    return base_ms < most_ms ? base_ms : most_ms;
}

static void tick_unseen(struct custody *self, struct held_event *event, bool has_route,
                        int64_t now_ms)
{
    const struct held_record *record = event->record;
    int64_t patience_ms =
        record->is_replayed ? self->limits.bypass_replayed_ms : self->limits.bypass_ms;
    if (has_route && now_ms - event->offered_at_ms >= patience_ms) {
        custody_bypass(self, event);
    } else if (event->state == HELD_SENT && !event->is_suspect && event->list == NULL &&
               now_ms - event->sent_at_ms >= doubled(self->limits.hedge_ms, event->sends, 2000) &&
               has_other_worker(self, event) && take_hedge_token(self)) {
        self->counts.hedges++;
        custody_enqueue(&self->waiting, event, true);
    }
}

static void tick_unanswered(struct custody *self, struct held_event *event, int64_t now_ms)
{
    bool is_urgent = event->severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW;
    int64_t base_ms = event->state == HELD_ROUTED ? 1000
                      : is_urgent                 ? self->limits.hedge_ms
                                                  : self->limits.retry_ms;
    bool is_owed =
        custody_is_alert_owed(self, event) && (self->is_route_busy || event->state == HELD_SEEN);
    int64_t most_ms = is_owed ? UNALERTED_RETRY_MAX_MS : self->limits.retry_max_ms;
    if (now_ms - event->sent_at_ms < doubled(base_ms, event->sends, most_ms))
        return;
    if (event->state == HELD_ROUTED) {
        self->counts.retries++;
        custody_bypass(self, event);
        return;
    }
    if (is_urgent && !take_hedge_token(self))
        return;
    is_urgent ? self->counts.hedges++ : self->counts.retries++;
    custody_offer_again(event, now_ms);
    custody_enqueue(&self->waiting, event, true);
}

/* A frame can vanish on a connection that lives on; its credit must not. The event has its own
 * time-outs. */
static void take_back_lost_credits(struct custody *self, struct holder *holder, int64_t now_ms)
{
    for (uint32_t i = holder->count; i > 0; i--) {
        struct position held = holder->held[i - 1];
        if (now_ms - held.sent_at_ms < self->limits.lost_ms)
            continue;
        (void)custody_give_back(holder, held.sequence, held.index);
        self->counts.lost_credits++;
    }
}

static bool has_staying(const struct custody *self, bool is_route)
{
    for (size_t i = 0; i < self->holder_count; i++)
        if (self->holders[i].is_route == is_route && !self->holders[i].is_draining)
            return true;
    return false;
}

void custody_tick(struct custody *self, int64_t now_ms)
{
    self->hedge_tokens += 0.002 * (double)(now_ms - self->ticked_at_ms);
    if (self->hedge_tokens > 64)
        self->hedge_tokens = 64;
    custody_convict_late(self, now_ms - self->ticked_at_ms);
    self->ticked_at_ms = now_ms;
    if (now_ms - self->provisional_at_ms >= self->limits.retry_ms) {
        self->provisional_at_ms = now_ms;
        custody_offer_provisional(self, NULL);
    }
    for (size_t i = 0; i < self->holder_count; i++)
        take_back_lost_credits(self, &self->holders[i], now_ms);
    bool has_route = has_staying(self, true);
    if (!has_route && has_staying(self, false))
        custody_offer_bypassed(self, now_ms);
    struct held_record *record;
    LIST_FOREACH(record, &self->records, all)
    for (size_t i = 0; i < record->count; i++) {
        struct held_event *event = &record->events[i];
        if (event->state == HELD_WAITING || event->state == HELD_SENT)
            tick_unseen(self, event, has_route, now_ms);
        else if (event->state == HELD_SEEN || event->state == HELD_ROUTED)
            tick_unanswered(self, event, now_ms);
    }
}
