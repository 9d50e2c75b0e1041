/* The outbox's journal: what is written when, what is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/outbox_flow_inside.h"
#include "notify/outbox_journal.h"

enum {
    ALARM_PAUSE_MS = 60000,
    FORGET_PAUSE_MS = 60000,
    CARRIES_MAX = 64,
    CARRY_SLACK_RECORDS = 1000,
    CARRY_SLACK_PER_ITEM = 8,
    UNSTORED_MAX_PER_TICK = 64,
    LATER_TOLD = 3
};

void outflow_not_journalled(struct outbox_flow *self, const struct error *err)
{
    int64_t now_ms = clock_monotonic_ms();
    counter_add(self->metrics.not_journalled, 1);
    if (self->has_journal_alarmed && now_ms - self->journal_alarmed_ms < ALARM_PAUSE_MS)
        return;
    self->has_journal_alarmed = true;
    self->journal_alarmed_ms = now_ms;
    log_error("outbox_journal_refused", KV("error", err->text),
              KV("remedy", "nothing goes out but alerts until the outbox journal has room"));
}

/* Comes back from the committer with what became of a record. */
struct kept_note {
    struct inbox_item item_in;
    struct outbox_flow *flow;
    struct outbox_item *item;
    enum journal_outcome outcome;
    uint64_t sequence;
};

static void discard_note(struct inbox_item *item_in)
{
    free(item_in);
}

static void on_kept(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct kept_note *note = arg;
    note->outcome = outcome;
    note->sequence = sequence;
    inbox_post(note->flow->options.inbox, &note->item_in);
}

static struct kept_note *note_new(struct outbox_flow *self, struct outbox_item *item,
                                  void (*run)(struct inbox_item *item_in))
{
    struct kept_note *note = calloc(1, sizeof *note);
    if (!note)
        abort();
    note->item_in.run = run;
    note->item_in.discard = discard_note;
    note->flow = self;
    note->item = item;
    return note;
}

/* --- accepted --- */

static void run_stored(struct inbox_item *item_in)
{
    struct kept_note *note = (struct kept_note *)item_in;
    struct outbox_flow *self = note->flow;
    (void)pthread_mutex_lock(&self->lock);
    self->storing--;
    outbox_book_stored(note->item, note->outcome == JOURNAL_STORED, note->sequence);
    if (note->outcome == JOURNAL_STORED && note->sequence > self->newest_sequence)
        self->newest_sequence = note->sequence;
    (void)pthread_mutex_unlock(&self->lock);
    free(note);
}

void outflow_store(struct outbox_flow *self, struct outbox_item *item)
{
    struct error err = { 0 };
    struct kept_note *note = note_new(self, item, run_stored);
    if (outbox_journal_accepted(self->options.journal, item->what, on_kept, note, &err) == 0) {
        item->is_storing = true;
        self->storing++;
        return;
    }
    free(note);
    outflow_not_journalled(self, &err);
}

/* --- tells --- */

static void run_told(struct inbox_item *item_in)
{
    struct kept_note *note = (struct kept_note *)item_in;
    struct outbox_flow *self = note->flow;
    (void)pthread_mutex_lock(&self->lock);
    outbox_book_told(note->item, note->outcome == JOURNAL_STORED, note->sequence);
    (void)pthread_mutex_unlock(&self->lock);
    free(note);
}

/* Behind a comma it may name who holds the conversation now: for people, not for the log. */
static void copy_reason(const char *error, char out[static OUTBOX_ERROR_BYTES])
{
    (void)snprintf(out, OUTBOX_ERROR_BYTES, "%.*s", (int)strcspn(error, ","), error);
}

static void log_tell(struct outbox_flow *self, const struct outbox_item *item,
                     const struct outbox_tell *tell)
{
    char id[ID_TEXT_BYTES];
    char reason[OUTBOX_ERROR_BYTES];
    const char *place = item->place->name;
    id_text(tell->item.bytes, id);
    switch (tell->outcome) {
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT:
        if (tell->is_last && tell->at_unix_ms > item->decided_unix_ms)
            histogram_observe(self->metrics.send_seconds[item->class],
                              (double)(tell->at_unix_ms - item->decided_unix_ms) / 1000.0);
        log_info("item_sent", KV("item", id), KV("place", place), KV("part", tell->part),
                 KV("last", tell->is_last), KV("status", tell->http_status));
        break;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER:
        if (item->failures <= LATER_TOLD || (item->failures & (item->failures - 1)) == 0)
            log_warn("item_later", KV("item", id), KV("place", place), KV("part", tell->part),
                     KV("status", tell->http_status), KV("code", tell->code),
                     KV("error", tell->error), KV("tries", item->failures),
                     KV("wait_ms", tell->again_unix_ms - tell->at_unix_ms));
        break;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN:
        log_error("item_unknown", KV("item", id), KV("place", place), KV("part", tell->part),
                  KV("error", tell->error),
                  KV("remedy", "look whether it is there, then: desg unknown there|again ID"));
        break;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED:
        log_warn("item_blocked", KV("item", id), KV("place", place), KV("code", tell->code),
                 KV("error", tell->error));
        break;
    default:
        copy_reason(item->error, reason);
        log_warn("item_refused", KV("item", id), KV("place", place), KV("part", tell->part),
                 KV("status", tell->http_status), KV("code", tell->code), KV("error", reason));
        break;
    }
}

void outflow_tell(struct outbox_flow *self, const struct outbox_tell *tell)
{
    struct error err = { 0 };
    struct outbox_item *item = outbox_book_find(self->book, &tell->item);
    struct kept_note *note = tell->is_last ? note_new(self, item, run_told) : NULL;
    log_tell(self, item, tell);
    if (outbox_journal_tell(self->options.journal, tell, note ? on_kept : NULL, note, &err) == 0)
        return;
    free(note);
    outflow_not_journalled(self, &err);
    if (tell->is_last)
        outbox_book_told(item, false, 0); /* told again with the next tick */
}

/* --- carrying forward --- */

void outflow_moved(void *arg, const struct id *id, uint64_t old_sequence, uint64_t sequence)
{
    struct outbox_flow *self = arg;
    struct outbox_item *item = outbox_book_find(self->book, id);
    if (item && item->sequence == old_sequence)
        item->sequence = sequence;
}

static void carry(struct outbox_flow *self, const struct outbox_item *item)
{
    struct error err = { 0 };
    struct carry *carry = carries_begin(&self->carries, &item->id, item->sequence);
    unsigned records = 0;
    int rc =
        outbox_journal_carry(self->options.journal, item, carries_stored, carry, &records, &err);
    if (rc != 0)
        outflow_not_journalled(self, &err);
    carries_queued(carry, records, rc == 0);
}

/* Items at rest alone: what is written of one under way would come after what it says. */
static void carry_oldest(struct outbox_flow *self, uint64_t before)
{
    struct outbox_place *place = NULL;
    unsigned count = 0;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++)
        for (struct outbox_item *item = place->first; item && count < CARRIES_MAX;
             item = item->next)
            if (item->stage != OUTBOX_OVER && item->is_stored && !item->is_out &&
                item->sequence != 0 && item->sequence < before) {
                carry(self, item);
                count++;
            }
    log_info("items_carried", KV("items", count));
}

static void store_unstored(struct outbox_flow *self)
{
    struct outbox_place *place = NULL;
    unsigned tried = 0;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++)
        for (struct outbox_item *item = place->first; item; item = item->next)
            if (!item->is_stored && !item->is_storing && item->stage != OUTBOX_OVER &&
                tried++ < UNSTORED_MAX_PER_TICK)
                outflow_store(self, item);
}

void outflow_keep_journal(struct outbox_flow *self, int64_t now_ms)
{
    struct journal_stats stats;
    journal_stats(self->options.journal, &stats);
    if (stats.state == JOURNAL_DEAD) {
        struct error err = { 0 };
        outbox_book_drain(self->book);
        (void)error_set(&err, ERROR_SYSTEM,
                        "the outbox journal failed twice: see journal lines above");
        self->options.failed(self->options.arg, &err);
        return;
    }
    if (self->storing > 0 || self->carries.count > 0)
        return;
    if (now_ms >= self->forget_ms) {
        outbox_book_forget(self->book, now_ms);
        self->forget_ms = now_ms + FORGET_PAUSE_MS;
    }
    store_unstored(self);
    uint64_t needed = outbox_book_needed_from(self->book, self->newest_sequence);
    if (needed > 1)
        journal_release(self->options.journal, needed - 1);
    uint64_t pinned = stats.newest_sequence >= needed ? stats.newest_sequence - needed : 0;
    if (stats.state != JOURNAL_ROOMY &&
        pinned >
            CARRY_SLACK_RECORDS + CARRY_SLACK_PER_ITEM * (uint64_t)outbox_book_known(self->book))
        carry_oldest(self, stats.newest_sequence - pinned / 2);
}

/* --- at start --- */

int outflow_replay(struct outbox_flow *self, struct error *err)
{
    struct outbox_replayed replayed;
    if (outbox_journal_replay(self->options.journal, self->book, clock_monotonic_ms(),
                              clock_unix_ms(), &replayed, err) != 0)
        return -1;
    self->newest_sequence = replayed.newest_sequence;
    log_info("outbox_journal_replayed", KV("records", replayed.records),
             KV("items", outbox_book_known(self->book)), KV("unknown", replayed.unknown));
    if (replayed.damaged > 0)
        log_error("outbox_journal_damaged", KV("records", replayed.damaged),
                  KV("remedy", "what was sent may be missing from it: compare replies and "
                               "broadcasts with the platforms"));
    return 0;
}
