/* custody_plan - what to do next, asked by the dispatcher until the answer is "nothing". */
#include <string.h>

#include "ingest/custody_state.h"

enum { LOAD_MAX_RECORDS = 64, PROBE_MAX_RECORDS = 16, TURNS = 16 };

static bool may_load_deferred(const struct custody *self, int64_t now_ms)
{
    /* Offered to the Redis in doubt it would come back at once, and again, as fast as packets go.
     */
    if (self->deferred.count == 0 || self->history[0] == '\0' || self->is_history_doubted)
        return false;
    if (self->is_route_busy)
        return now_ms >= self->probe_at_ms;
    return self->event_count_deferred < self->limits.held_events_max / 2;
}

/* Redis has been silent since the start: what has no verdict yet may be urgent and is offered all
 * the same. */
static bool may_load_unproven(const struct custody *self, int64_t now_ms)
{
    return self->unproven.count > 0 && self->history[0] == '\0' &&
           now_ms - self->started_ms >= self->limits.history_wait_ms;
}

bool custody_next_load(struct custody *self, int64_t now_ms, uint64_t *first, uint64_t *last,
                       size_t *max_records)
{
    if (self->is_draining || self->event_count >= self->limits.held_events_max ||
        self->held_bytes >= self->limits.held_bytes_max)
        return false;
    bool is_new = self->next_new <= self->newest;
    bool is_deferred = may_load_deferred(self, now_ms);
    bool is_unproven = may_load_unproven(self, now_ms);
    if (!is_new && !is_deferred && !is_unproven)
        return false;
    *max_records = LOAD_MAX_RECORDS;
    bool is_their_turn =
        self->turn++ % TURNS == TURNS - 1; /* the floor of what waits behind new ones */
    if (is_new && !(is_their_turn && (is_deferred || is_unproven))) {
        *first = self->next_new;
        *last = self->newest;
        return true;
    }
    const struct ranges *from = is_deferred ? &self->deferred : &self->unproven;
    *first = from->items[0].first;
    *last = from->items[0].last;
    if (self->is_route_busy) {
        *max_records = PROBE_MAX_RECORDS;
        self->probe_at_ms = now_ms + self->limits.probe_ms;
    }
    return true;
}

static void fill_item(struct custody_item *item, const struct held_event *event)
{
    *item = (struct custody_item){
        .sequence = event->record->sequence,
        .index = event->index,
        .event = &event->record->split.events[event->index],
        .verdict = event->verdict,
        .verdict_length = event->verdict_length,
        .is_alerted = event->is_alerted,
        .is_replayed = event->record->is_replayed,
        .quarantine_reason = event->quarantine_reason,
    };
}

static void hand_over(struct custody *self, struct holder *holder, struct held_event *event,
                      struct custody_batch *batch, int64_t now_ms)
{
    custody_dequeue(event);
    event->state = holder->is_route ? HELD_ROUTED : HELD_SENT;
    event->peer = holder->peer;
    event->sent_at_ms = now_ms;
    event->sends++;
    holder->held[holder->count++] =
        (struct position){ event->record->sequence, event->index, now_ms };
    fill_item(&batch->items[batch->count++], event);
    self->hedge_tokens += 0.05;
}

static bool is_open(const struct custody *self, const struct holder *holder, bool is_route,
                    int64_t now_ms)
{
    return holder->is_route == is_route && custody_takes_more(holder) &&
           holder->peer != self->reserved_worker && now_ms >= holder->blocked_until_ms;
}

static struct holder *best_holder(struct custody *self, bool is_route, int64_t now_ms)
{
    struct holder *best = NULL;
    for (size_t i = 0; i < self->holder_count; i++) {
        struct holder *holder = &self->holders[i];
        if (!is_open(self, holder, is_route, now_ms))
            continue;
        if (!best || holder->credit - holder->count > best->credit - best->count)
            best = holder;
    }
    return best;
}

static bool gather(struct custody *self, struct holder *holder, struct held_list *list,
                   struct custody_batch *batch, int64_t now_ms)
{
    *batch = (struct custody_batch){ .peer = holder->peer, .is_to_route = holder->is_route };
    struct held_event *event = TAILQ_FIRST(&list->queue);
    size_t bytes = 0;
    while (event && batch->count < CUSTODY_BATCH_MAX_ITEMS && holder->count < holder->credit) {
        struct held_event *next = TAILQ_NEXT(event, entry);
        bytes += event->record->split.events[event->index].length;
        if (bytes > CUSTODY_BATCH_MAX_BYTES && batch->count > 0)
            break;
        bool is_hedge_to_same = event->state == HELD_SENT && event->peer == holder->peer;
        if (holder->is_route || (custody_serves(holder, event) && !is_hedge_to_same))
            hand_over(self, holder, event, batch, now_ms);
        event = next;
    }
    return batch->count > 0;
}

static struct holder *least_loaded(struct custody *self, const struct held_event *event,
                                   int64_t now_ms)
{
    struct holder *least = NULL;
    for (size_t i = 0; i < self->holder_count; i++) {
        struct holder *holder = &self->holders[i];
        if (!holder->is_route && !holder->is_alone && !holder->is_draining && holder->credit > 0 &&
            now_ms >= holder->blocked_until_ms && custody_serves(holder, event) &&
            (!least || holder->count < least->count))
            least = holder;
    }
    return least;
}

/* A suspect goes alone to a worker that holds nothing; one worker is kept free for it. One that no
 * worker serves holds up neither. */
static bool next_suspect(struct custody *self, int64_t now_ms, struct custody_batch *batch)
{
    struct held_event *event = NULL;
    struct holder *least = NULL;
    self->reserved_worker = 0;
    TAILQ_FOREACH(event, &self->suspects.queue, entry)
    if ((least = least_loaded(self, event, now_ms)))
        break;
    if (!least)
        return false;
    if (least->count > 0) {
        self->reserved_worker = least->peer;
        return false;
    }
    *batch = (struct custody_batch){ .peer = least->peer };
    hand_over(self, least, event, batch, now_ms);
    least->is_alone = true;
    return true;
}

/* Workers in turn of their free credit; one that serves none of what waits does not hide the next.
 */
static bool next_for_workers(struct custody *self, int64_t now_ms, struct custody_batch *batch)
{
    if (TAILQ_EMPTY(&self->waiting.queue))
        return false;
    struct holder *best = best_holder(self, false, now_ms);
    if (best && gather(self, best, &self->waiting, batch, now_ms))
        return true;
    for (size_t i = 0; best && i < self->holder_count; i++) {
        struct holder *holder = &self->holders[i];
        if (holder != best && is_open(self, holder, false, now_ms) &&
            gather(self, holder, &self->waiting, batch, now_ms))
            return true;
    }
    return false;
}

bool custody_next_batch(struct custody *self, int64_t now_ms, struct custody_batch *batch)
{
    if (!TAILQ_EMPTY(&self->to_route.queue)) {
        struct holder *route = best_holder(self, true, now_ms);
        if (route && gather(self, route, &self->to_route, batch, now_ms))
            return true;
    }
    return next_suspect(self, now_ms, batch) || next_for_workers(self, now_ms, batch);
}

void custody_not_sent(struct custody *self, const struct custody_batch *batch, int64_t now_ms)
{
    struct holder *holder = custody_holder(self, batch->peer);
    if (!holder)
        return;
    holder->blocked_until_ms = now_ms + 100; /* it is going, or slow: others first */
    for (size_t i = batch->count; i > 0; i--)
        custody_take_back(self, holder, batch->items[i - 1].sequence, batch->items[i - 1].index);
    holder->is_alone = false;
}

static struct holder *any_route(struct custody *self)
{
    for (size_t i = 0; i < self->holder_count; i++)
        if (self->holders[i].is_route)
            return &self->holders[i];
    return NULL;
}

static int64_t asked_again(int64_t wait_ms)
{
    return wait_ms * 2 < CUSTODY_ASK_WAIT_MAX_MS ? wait_ms * 2 : CUSTODY_ASK_WAIT_MAX_MS;
}

/* A first mark is on its way: its answer tells more than a Hello's, which would be void. */
static bool is_first_mark_waited_for(const struct custody *self, int64_t now_ms)
{
    return self->candidate[0] != '\0' && !self->is_first_mark_due &&
           now_ms - self->mark_at_ms < self->first_mark_wait_ms;
}

bool custody_next_hello(struct custody *self, int64_t now_ms, uint64_t *route, uint64_t *number)
{
    bool is_soon = self->is_hello_wanted && self->hello_wait_ms < self->limits.hello_ms;
    int64_t wait_ms = is_soon ? self->hello_wait_ms : self->limits.hello_ms;
    struct holder *holder = any_route(self);
    if (!holder || now_ms - self->hello_at_ms < wait_ms || is_first_mark_waited_for(self, now_ms))
        return false;
    self->hello_wait_ms = asked_again(self->hello_wait_ms);
    self->hello_at_ms = now_ms;
    self->is_hello_wanted = false;
    self->marked_at_hello = self->marked;
    *route = holder->peer;
    *number = ++self->hello_number;
    return true;
}

static bool is_mark_due(const struct custody *self, int64_t now_ms)
{
    int64_t since_ms = now_ms - self->mark_at_ms;
    if (self->candidate[0] != '\0')
        return self->is_first_mark_due || since_ms >= self->first_mark_wait_ms;
    if (self->history[0] == '\0' || self->is_distrusted)
        return false;
    return since_ms >=
           (self->done_through > self->marked ? self->limits.mark_ms : self->limits.beat_ms);
}

bool custody_next_mark(struct custody *self, int64_t now_ms, uint64_t *route, uint64_t *number,
                       const char **history, uint64_t *sequence)
{
    struct holder *holder = any_route(self);
    bool is_first = self->candidate[0] != '\0';
    if (!holder || !is_mark_due(self, now_ms))
        return false;
    self->mark_at_ms = now_ms;
    if (is_first && !self->is_first_mark_due)
        self->first_mark_wait_ms = asked_again(self->first_mark_wait_ms);
    self->is_first_mark_due = false;
    *route = holder->peer;
    *number = ++self->mark_number;
    *history = is_first ? self->candidate : self->history;
    *sequence = is_first ? self->candidate_mark : self->done_through;
    if (is_first)
        self->hello_number++; /* an answer on its way knows nothing of this mark */
    return true;
}
