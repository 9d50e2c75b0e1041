/* custody_history - what makes ingest offer again what was answered: another history of Redis, and
 * a person. */
#include <stdlib.h>
#include <string.h>

#include "ingest/custody_state.h"

/* All answers until now are void: whoever still holds something of it answers to an older fence. */
static void offer_held_again(struct custody *self)
{
    struct held_record *record;
    LIST_FOREACH(record, &self->records, all)
    {
        record->active = record->count;
        for (size_t i = 0; i < record->count; i++) {
            struct held_event *event = &record->events[i];
            if (event->state == HELD_SEEN || event->state == HELD_DONE ||
                event->state == HELD_DEFERRED)
                custody_offer_again(event, self->ticked_at_ms);
            event->state = HELD_WAITING;
            custody_start_event(self, event);
        }
    }
}

static void rewind_to(struct custody *self, const char *history, uint64_t mark)
{
    if (mark >= self->next_new)
        mark = self->next_new - 1;
    if (history != self->history)
        (void)memcpy(self->history, history, strlen(history) + 1);
    self->candidate[0] = '\0';
    ranges_clear(&self->done);
    ranges_clear(&self->deferred);
    ranges_clear(&self->unproven);
    ranges_clear(&self->replaying);
    for (size_t i = 0; i < self->channel_count; i++)
        ranges_clear(&self->channels[i].provisional);
    uint64_t from = mark + 1 > self->oldest ? mark + 1 : self->oldest;
    self->done_through = from - 1;
    self->marked = mark;
    self->marked_since_ms = self->ticked_at_ms;
    self->marked_at_hello = 0; /* an answer on its way may still tell of the time before */
    if (from < self->next_new)
        ranges_add(&self->replaying, from, self->next_new - 1);
    ranges_add_all(&self->replaying, &self->asked);
    ranges_add_all(&self->deferred, &self->replaying);
    const struct held_record *record;
    LIST_FOREACH(record, &self->records, all)
    ranges_remove(&self->deferred, record->sequence, record->sequence);
    offer_held_again(self);
    self->counts.rewinds++;
}

static void move_mark(struct custody *self, uint64_t sequence)
{
    self->marked = sequence;
    self->marked_since_ms = self->ticked_at_ms;
    self->confirmed_at_ms = self->ticked_at_ms;
}

bool custody_history(struct custody *self, uint64_t number, const char *history, bool has_mark,
                     uint64_t mark)
{
    if (number != self->hello_number || history[0] == '\0' ||
        strlen(history) >= sizeof self->history)
        return false;
    self->is_history_doubted = false;
    self->hello_wait_ms = CUSTODY_HELLO_WAIT_MS;
    self->confirmed_at_ms = has_mark && mark >= self->marked ? self->ticked_at_ms : -1;
    if (!has_mark || self->is_distrusted || strcmp(history, self->history) != 0 ||
        mark < self->marked_at_hello) {
        (void)memcpy(self->candidate, history, strlen(history) + 1);
        self->candidate_mark = has_mark ? mark : 0;
        self->is_first_mark_due = true;
        self->history[0] = '\0';
    }
    return true;
}

/* Without the candidate, or the next first mark, sent with the Hello, would make its answer void;
 * and so on for ever. */
static void ask_again(struct custody *self)
{
    self->candidate[0] = '\0';
    self->is_hello_wanted = true;
}

/* Its first mark is stored: whatever is acknowledged from now on came after it, and an image of
 * Redis without it is known by that. */
static void begin_history(struct custody *self, const char *history, uint64_t mark)
{
    self->is_distrusted = false;
    rewind_to(self, history, mark);
    self->confirmed_at_ms = self->ticked_at_ms;
}

bool custody_marked(struct custody *self, uint64_t number, const char *history, uint64_t sequence,
                    bool is_stored)
{
    if (number != self->mark_number)
        return false;
    self->first_mark_wait_ms = CUSTODY_FIRST_MARK_WAIT_MS;
    if (is_stored && self->candidate[0] != '\0' && strcmp(history, self->candidate) == 0)
        begin_history(self, history, sequence);
    else if (!is_stored || strcmp(history, self->history) != 0)
        ask_again(self);
    else if (sequence > self->marked && sequence <= self->done_through)
        move_mark(self, sequence);
    return true;
}

bool custody_has_history(const struct custody *self)
{
    return self->history[0] != '\0';
}

void custody_distrust(struct custody *self)
{
    self->is_distrusted = true;
    self->is_hello_wanted = true;
    self->confirmed_at_ms = -1;
}

uint64_t custody_fence(const struct custody *self)
{
    return self->counts.rewinds;
}

/* --- what a person asks for --- */

void custody_forgive(struct custody *self, struct held_record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        struct held_event *event = &record->events[i];
        event->quarantine_reason = event->state < HELD_TO_ROUTE ? NULL : event->quarantine_reason;
        custody_acquit_event(self, event);
        if (!event->is_suspect && event->deaths == 0 && event->refusals == 0)
            continue;
        event->is_suspect = false;
        event->deaths = 0;
        event->refusals = 0;
        free(event->verdict); /* it may be what was refused: triage judges anew */
        event->verdict = NULL;
        event->verdict_length = 0;
        custody_note_event(self, event);
    }
}

/* In memory: what waits for quarantine goes to triage at once, what is on its way comes back once
 * more. */
static void forgive_held(struct custody *self, struct held_record *record)
{
    custody_forgive(self, record);
    record->is_asked_again = true;
    for (size_t i = 0; i < record->count; i++) {
        struct held_event *event = &record->events[i];
        bool is_waiting_for_route = event->state == HELD_TO_ROUTE && event->quarantine_reason;
        bool is_waiting_alone =
            event->state == HELD_WAITING && (event->list == &self->suspects || !event->list);
        if (!is_waiting_for_route && !is_waiting_alone)
            continue;
        event->quarantine_reason = NULL;
        custody_offer_again(event, self->ticked_at_ms);
        custody_start_event(self, event);
    }
}

uint64_t custody_replay(struct custody *self, uint64_t first, uint64_t last)
{
    first = first > self->oldest ? first : self->oldest;
    last = last < self->next_new ? last : self->next_new - 1;
    if (first > last)
        return 0;
    ranges_add(&self->asked, first, last);
    ranges_add(&self->replaying, first, last);
    ranges_add(&self->deferred, first, last);
    struct held_record *record;
    LIST_FOREACH(record, &self->records, all)
    {
        if (record->sequence < first || record->sequence > last)
            continue;
        record->is_asked_again = true; /* some of it may have been answered already */
        ranges_remove(&self->deferred, record->sequence, record->sequence);
    }
    return last - first + 1;
}

bool custody_retry(struct custody *self, uint64_t sequence)
{
    if (sequence < self->oldest || sequence >= self->next_new)
        return false;
    struct held_record *record = custody_find_record(self, sequence);
    if (record)
        forgive_held(self, record);
    else
        ranges_add(&self->forgiven, sequence, sequence);
    (void)custody_replay(self, sequence, sequence);
    return true;
}
