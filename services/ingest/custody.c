#include "ingest/custody.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/custody_state.h"

struct custody_limits custody_default_limits(void)
{
    return (struct custody_limits){
        .held_events_max = 4096,
        .held_bytes_max = 64 << 20,
        .hedge_ms = 250,
        .bypass_ms = 2000,
        .bypass_replayed_ms = 60000,
        .retry_ms = 10000,
        .retry_max_ms = 60000,
        .return_ms = 10000,
        .lost_ms = 30000,
        .probe_ms = 1000,
        .hello_ms = 2000,
        .mark_ms = 1000,
        .beat_ms = 5000,
        .settles_ms = 3000, /* Redis syncs its file once a second and may be one behind */
        .history_wait_ms = 2000,
    };
}

struct custody *custody_new(const struct custody_limits *limits, uint64_t oldest, uint64_t newest,
                            int64_t now_ms)
{
    struct custody *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* start-up only */
    self->limits = *limits;
    self->started_ms = now_ms;
    self->newest = newest;
    self->next_new = newest + 1; /* what was there at start is replayed, not new */
    self->oldest = oldest > 0 ? oldest : newest + 1;
    self->done_through = self->oldest - 1;
    if (oldest > 0 && oldest <= newest)
        ranges_add(&self->unproven, oldest, newest);
    self->hello_at_ms = now_ms - limits->hello_ms;
    self->mark_at_ms = now_ms;
    self->hello_wait_ms = CUSTODY_HELLO_WAIT_MS;
    self->first_mark_wait_ms = CUSTODY_FIRST_MARK_WAIT_MS;
    self->ticked_at_ms = now_ms;
    self->hedge_tokens = 8;
    TAILQ_INIT(&self->waiting.queue);
    TAILQ_INIT(&self->suspects.queue);
    TAILQ_INIT(&self->to_route.queue);
    LIST_INIT(&self->records);
    return self;
}

/* --- records in memory --- */

static struct held_record **bucket_of(struct custody *self, uint64_t sequence)
{
    return &self->buckets[sequence % BUCKETS];
}

struct held_record *custody_find_record(struct custody *self, uint64_t sequence)
{
    struct held_record *record = *bucket_of(self, sequence);
    while (record && record->sequence != sequence)
        record = record->next;
    return record;
}

struct held_event *custody_find_event(struct custody *self, uint64_t sequence, uint32_t index)
{
    struct held_record *record = custody_find_record(self, sequence);
    return record && index < record->count ? &record->events[index] : NULL;
}

bool custody_event_id(struct custody *self, uint64_t sequence, uint32_t index, struct id *out)
{
    const struct held_event *event = custody_find_event(self, sequence, index);
    if (event)
        *out = event->record->split.events[index].id;
    return event != NULL;
}

static void forget_record(struct custody *self, struct held_record *record)
{
    struct held_record **link = bucket_of(self, record->sequence);
    while (*link != record)
        link = &(*link)->next;
    *link = record->next;
    LIST_REMOVE(record, all);
    self->record_count--;
    self->event_count -= record->count;
    self->held_bytes -= record->bytes;
    if (record->was_deferred)
        self->event_count_deferred -= record->count;
    for (size_t i = 0; i < record->count; i++) {
        custody_dequeue(&record->events[i]);
        free(record->events[i].verdict);
    }
    split_clear(&record->split);
    free(record);
}

void custody_enqueue(struct held_list *list, struct held_event *event, bool is_first)
{
    custody_dequeue(event);
    if (is_first)
        TAILQ_INSERT_HEAD(&list->queue, event, entry);
    else
        TAILQ_INSERT_TAIL(&list->queue, event, entry);
    event->list = list;
}

void custody_dequeue(struct held_event *event)
{
    if (!event->list)
        return;
    TAILQ_REMOVE(&event->list->queue, event, entry);
    event->list = NULL;
}

static void advance_done(struct custody *self)
{
    if (self->done.count > 0 && self->done.items[0].first <= self->done_through + 1) {
        if (self->done.items[0].last > self->done_through)
            self->done_through = self->done.items[0].last;
        ranges_remove(&self->done, self->done.items[0].first, self->done.items[0].last);
    }
}

static void add_done(struct custody *self, uint64_t first, uint64_t last)
{
    if (last <= self->done_through)
        return;
    ranges_add(&self->done, first, last);
    advance_done(self);
}

/* No event of it is expected to be answered any more: it is done, or lies in the journal for later.
 */
static void finish_record(struct custody *self, struct held_record *record)
{
    bool is_deferred = record->is_asked_again;
    bool is_provisional = false;
    uint64_t sequence = record->sequence;
    for (size_t i = 0; i < record->count; i++)
        is_deferred |= record->events[i].state == HELD_DEFERRED;
    for (size_t i = 0; i < record->count && !is_deferred; i++) {
        if (record->events[i].state != HELD_PROVISIONAL)
            continue;
        is_provisional = true;
        ranges_add(&self->channels[record->events[i].channel].provisional, sequence, sequence);
    }
    forget_record(self, record);
    if (is_deferred) {
        ranges_add(&self->deferred, sequence, sequence);
        return;
    }
    ranges_remove(&self->asked, sequence, sequence);
    ranges_remove(&self->replaying, sequence, sequence);
    if (!is_provisional)
        add_done(self, sequence, sequence);
}

static void settle(struct custody *self, struct held_event *event, enum held_state state)
{
    assert(state >= HELD_DONE && event->state < HELD_DONE);
    custody_dequeue(event);
    event->state = state;
    if (state == HELD_DONE)
        custody_acquit_event(self, event);
    if (--event->record->active == 0)
        finish_record(self, event->record);
}

void custody_destroy(struct custody **self_p)
{
    struct custody *self = *self_p;
    if (!self)
        return;
    while (!LIST_EMPTY(&self->records))
        forget_record(self, LIST_FIRST(&self->records));
    for (size_t i = 0; i < self->holder_count; i++)
        free(self->holders[i].held);
    ranges_clear(&self->done);
    ranges_clear(&self->deferred);
    for (size_t i = 0; i < self->channel_count; i++)
        ranges_clear(&self->channels[i].provisional);
    ranges_clear(&self->unproven);
    ranges_clear(&self->forgiven);
    ranges_clear(&self->asked);
    ranges_clear(&self->replaying);
    free(self->notes);
    free(self);
    *self_p = NULL;
}

/* --- notes for the journal --- */

void custody_note_event(struct custody *self, const struct held_event *event)
{
    if (self->note_first + self->note_count == self->note_capacity) {
        size_t capacity = self->note_capacity ? 2 * self->note_capacity : 16;
        struct pending_note *notes = realloc(self->notes, capacity * sizeof *notes);
        if (!notes)
            return; /* a note only saves work after a restart */
        self->notes = notes;
        self->note_capacity = capacity;
    }
    self->notes[self->note_first + self->note_count++] = (struct pending_note){
        .sequence = event->record->sequence,
        .note = { .index = event->index,
                  .is_alerted = event->is_alerted,
                  .is_suspect = event->is_suspect,
                  .deaths = event->deaths },
    };
}

bool custody_next_note(struct custody *self, uint64_t *sequence, struct custody_note *out)
{
    if (self->note_count == 0)
        return false;
    *sequence = self->notes[self->note_first].sequence;
    *out = self->notes[self->note_first].note;
    self->note_first++;
    if (--self->note_count == 0)
        self->note_first = 0;
    return true;
}

/* --- the journal --- */

void custody_committed(struct custody *self, uint64_t newest)
{
    if (newest > self->newest)
        self->newest = newest;
}

static void take_out(struct custody *self, uint64_t first, uint64_t last)
{
    ranges_remove(&self->deferred, first, last);
    for (size_t i = 0; i < self->channel_count; i++)
        ranges_remove(&self->channels[i].provisional, first, last);
    ranges_remove(&self->unproven, first, last);
    if (last >= self->next_new)
        self->next_new = last + 1;
}

void custody_absent(struct custody *self, uint64_t first, uint64_t last)
{
    take_out(self, first, last);
    ranges_remove(&self->asked, first, last);
    ranges_remove(&self->replaying, first, last);
    add_done(self, first, last);
}

static bool is_verdict_of(const struct custody_note *kept, const struct split *split)
{
    return kept->verdict && kept->verdict_length > 0 && kept->index < split->count &&
           memcmp(&kept->event_id, &split->events[kept->index].id, sizeof kept->event_id) == 0;
}

static void set_verdict(struct held_event *event, const uint8_t *verdict, size_t length)
{
    uint8_t *copy = malloc(length);
    if (!copy)
        return; /* it will be classified anew */
    memcpy(copy, verdict, length);
    free(event->verdict);
    event->verdict = copy;
    event->verdict_length = length;
}

void custody_keep_verdict(struct custody *self, uint64_t sequence, uint32_t index,
                          const uint8_t *verdict, size_t length)
{
    struct held_event *event = custody_find_event(self, sequence, index);
    if (event && length > 0)
        set_verdict(event, verdict, length);
}

static void apply_note(struct held_event *event, const struct custody_note *kept)
{
    event->is_alerted |= kept->is_alerted;
    event->is_suspect |= kept->is_suspect || kept->deaths > 0;
    if (kept->deaths > event->deaths)
        event->deaths = kept->deaths;
    if (!event->verdict && is_verdict_of(kept, &event->record->split))
        set_verdict(event, kept->verdict, kept->verdict_length);
}

/* The last place is for all that came after the others were taken. */
static size_t place_of_channel(struct custody *self, const char *name)
{
    size_t place = 0;
    while (place < self->channel_count && strcmp(self->channels[place].name, name) != 0)
        place++;
    if (place < self->channel_count)
        return place;
    if (self->channel_count == CUSTODY_CHANNELS_MAX)
        return CUSTODY_CHANNELS_MAX - 1;
    self->channel_count++;
    bool is_last = place == CUSTODY_CHANNELS_MAX - 1 || strlen(name) >= CUSTODY_CHANNEL_BYTES;
    if (!is_last)
        (void)memcpy(self->channels[place].name, name, strlen(name) + 1);
    return place;
}

static bool has_all_verdicts(const struct custody_record *from)
{
    size_t kept = 0;
    for (size_t i = 0; i < from->note_count; i++)
        kept += is_verdict_of(&from->notes[i], from->split);
    return kept >= from->split->count;
}

static struct held_record *hold(struct custody *self, const struct custody_record *from,
                                int64_t now_ms)
{
    size_t count = from->split->count;
    struct held_record *record = calloc(1, sizeof *record + count * sizeof record->events[0]);
    if (!record)
        return NULL;
    record->sequence = from->sequence;
    record->loaded_at_ms = now_ms;
    record->is_replayed = from->is_replayed;
    record->is_old = from->is_old;
    record->split = *from->split;
    *from->split = (struct split){ 0 };
    record->count = count;
    record->active = count;
    record->next = *bucket_of(self, record->sequence);
    *bucket_of(self, record->sequence) = record;
    LIST_INSERT_HEAD(&self->records, record, all);
    self->record_count++;
    self->event_count += count;
    for (size_t i = 0; i < count; i++)
        record->bytes += record->split.events[i].length;
    self->held_bytes += record->bytes;
    return record;
}

void custody_offer_again(struct held_event *event, int64_t now_ms)
{
    event->state = HELD_WAITING;
    event->offered_at_ms = now_ms;
}

void custody_start_event(struct custody *self, struct held_event *event)
{
    if (event->deaths >= DEATHS_MAX)
        event->quarantine_reason = "two classify workers died holding it alone";
    if (event->quarantine_reason)
        custody_bypass(self, event);
    else if (event->deaths + custody_charges(self, event) >= DEATHS_MAX)
        custody_dequeue(event); /* no worker more until it is decided; its patience goes on */
    else
        custody_enqueue(event->is_suspect ? &self->suspects : &self->waiting, event, false);
}

void custody_bypass(struct custody *self, struct held_event *event)
{
    if (event->state == HELD_WAITING || event->state == HELD_SENT)
        event->quarantine_reason ? self->counts.quarantined++ : self->counts.bypasses++;
    event->state = HELD_TO_ROUTE;
    custody_enqueue(&self->to_route, event, false);
}

void custody_offer_bypassed(struct custody *self, int64_t now_ms)
{
    struct held_event *event = TAILQ_FIRST(&self->to_route.queue);
    while (event) {
        struct held_event *next = TAILQ_NEXT(event, entry);
        if (!event->quarantine_reason) {
            event->state = HELD_WAITING;
            event->offered_at_ms = now_ms;
            custody_start_event(self, event);
        }
        event = next;
    }
}

void custody_load(struct custody *self, const struct custody_record *from, int64_t now_ms)
{
    bool is_found_at_start = ranges_contain(&self->unproven, from->sequence);
    bool was_deferred = ranges_contain(&self->deferred, from->sequence);
    take_out(self, from->sequence, from->sequence);
    if (custody_find_record(self, from->sequence)) {
        split_clear(from->split);
        return;
    }
    if (from->split->count == 0) {
        split_clear(from->split);
        custody_absent(self, from->sequence, from->sequence);
        return;
    }
    if (is_found_at_start && has_all_verdicts(from)) {
        split_clear(from->split); /* was applied once; the history will tell whether it still is */
        return;
    }
    struct held_record *record = hold(self, from, now_ms);
    if (!record) {
        ranges_add(&self->deferred, from->sequence, from->sequence);
        split_clear(from->split);
        return;
    }
    record->was_deferred = was_deferred;
    if (was_deferred)
        self->event_count_deferred += record->count;
    for (size_t i = 0; i < record->count; i++) {
        record->events[i].record = record;
        record->events[i].index = (uint32_t)i;
        record->events[i].channel = place_of_channel(self, record->split.events[i].channel);
        record->events[i].offered_at_ms = now_ms;
    }
    for (size_t i = 0; i < from->note_count; i++)
        if (from->notes[i].index < record->count)
            apply_note(&record->events[from->notes[i].index], &from->notes[i]);
    for (size_t i = 0; i < record->count; i++)
        record->events[i].quarantine_reason = record->split.poison;
    if (ranges_contain(&self->forgiven, from->sequence)) {
        ranges_remove(&self->forgiven, from->sequence, from->sequence);
        custody_forgive(self, record);
    }
    for (size_t i = 0; i < record->count; i++)
        custody_start_event(self, &record->events[i]);
}

/* --- answers --- */

void custody_seen(struct custody *self, uint64_t worker, uint64_t sequence, uint32_t index,
                  Desg__V1__Severity severity, int64_t now_ms)
{
    (void)now_ms;
    struct holder *holder = custody_holder(self, worker);
    if (holder) {
        (void)custody_give_back(holder, sequence, index);
        custody_offer_provisional(self, holder); /* triage is back */
    }
    struct held_event *event = custody_find_event(self, sequence, index);
    if (!event || event->quarantine_reason ||
        (event->state != HELD_SENT && event->state != HELD_WAITING &&
         event->state != HELD_TO_ROUTE))
        return;
    custody_acquit_event(self, event); /* a worker looked at it and lives */
    custody_dequeue(event);            /* a hedge or bypass that is not needed any more */
    event->state = HELD_SEEN;
    event->severity = severity;
    event->peer = worker;
}

/* Of a copy sent before, it says nothing of where the event is now: counted, one refusal told twice
 * would take an event out of the line to quarantine and send it round again, for ever. */
static bool is_out_to(const struct held_event *event, uint64_t peer)
{
    return event->peer == peer &&
           (event->state == HELD_SENT || event->state == HELD_SEEN || event->state == HELD_ROUTED);
}

static void on_refused(struct custody *self, struct held_event *event)
{
    event->refusals++;
    if (event->quarantine_reason) {
        settle(self, event, HELD_DEFERRED); /* even quarantine refused it: keep it for later */
        return;
    }
    event->is_suspect = true;
    custody_note_event(self, event);
    if (event->refusals >= 2) {
        event->quarantine_reason = "refused twice";
        event->state = HELD_WAITING;
        custody_bypass(self, event);
    } else {
        event->state = HELD_WAITING;
        custody_enqueue(&self->suspects, event, false);
    }
}

bool custody_is_alert_owed(const struct custody *self, const struct held_event *event)
{
    bool may_be_urgent = event->severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW ||
                         event->severity == DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    return may_be_urgent && !event->is_alerted && !event->record->is_old && !self->is_draining &&
           self->event_count < self->limits.held_events_max / 2;
}

static void on_busy(struct custody *self, struct held_event *event, bool is_alerted, int64_t now_ms)
{
    if (!self->is_route_busy)
        self->probe_at_ms = now_ms + self->limits.probe_ms;
    self->is_route_busy = true;
    if (is_alerted && !event->is_alerted) {
        event->is_alerted = true;
        custody_note_event(self, event);
    }
    if (!custody_is_alert_owed(self, event)) {
        settle(self, event, HELD_DEFERRED);
    } else if (!event->list) { /* else it is on its way again already */
        event->state = event->state == HELD_ROUTED ? HELD_ROUTED : HELD_SEEN;
        event->sent_at_ms = now_ms;
    }
}

bool custody_answered(struct custody *self, uint64_t peer, uint64_t sequence, uint32_t index,
                      enum custody_answer answer, const char *history, bool is_alerted,
                      int64_t now_ms)
{
    struct holder *holder = custody_holder(self, peer);
    if (holder)
        (void)custody_give_back(holder, sequence, index);
    if (answer == CUSTODY_DONE || answer == CUSTODY_PROVISIONAL)
        self->is_route_busy = false;
    struct held_event *event = custody_find_event(self, sequence, index);
    if (!event || event->state >= HELD_DONE)
        return false;
    if (answer == CUSTODY_REFUSED) {
        if (is_out_to(event, peer))
            on_refused(self, event);
        return false;
    }
    if (answer == CUSTODY_BUSY) {
        on_busy(self, event, is_alerted, now_ms);
        return false;
    }
    if (self->history[0] == '\0' || strcmp(history, self->history) != 0) {
        self->counts.stale_dones++;
        self->is_hello_wanted = true;
        self->is_history_doubted = true;
        settle(self, event, HELD_DEFERRED); /* applied to a Redis we do not know: offer it again */
        return false;
    }
    /* Triage saw it, whatever came first: a provisional answer must not bury the real verdict's. */
    settle(self, event, answer == CUSTODY_DONE ? HELD_DONE : HELD_PROVISIONAL);
    return answer == CUSTODY_DONE;
}

void custody_answered_stale(struct custody *self, uint64_t peer, uint64_t sequence, uint32_t index)
{
    struct holder *holder = custody_holder(self, peer);
    if (holder)
        (void)custody_give_back(holder, sequence, index);
}

void custody_drain(struct custody *self)
{
    self->is_draining = true;
}
