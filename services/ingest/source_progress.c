#include "ingest/source_progress.h"

#include <string.h>

enum {
    NOTE_VERDICT = 3, /* journal note kinds: per event its id and the verdict that stands. (1 was
                         a verdict without the id.) */
    NOTE_CUSTODY = 2, /* one byte of NOTE_* bits and deaths */
    NOTE_ALERTED_BIT = 0x80,
    NOTE_SUSPECT_BIT = 0x40,
    NOTE_DEATHS_MASK = 0x3f,
    NOTES_MAX = 256,
    OLD_MS = 600000, /* received longer ago: marked replayed, so that nobody is alarmed late without
                        being told */
};

void source_progress_init(struct source_progress *self, struct custody *custody,
                          const struct source_journal *journal, const struct id *source,
                          uint64_t incarnation, const struct source_found *found)
{
    *self = (struct source_progress){ .custody = custody,
                                      .journal = *journal,
                                      .source = *source,
                                      .incarnation = incarnation,
                                      .found_at_start = found->newest,
                                      .firm = found->released };
}

uint64_t source_progress_fence(const struct source_progress *self)
{
    return self->incarnation + custody_fence(self->custody);
}

static bool is_ours(const struct source_progress *self, const ProtobufCBinaryData *source)
{
    return source->len == ID_BYTES && memcmp(source->data, self->source.bytes, ID_BYTES) == 0;
}

/* --- answers about events --- */

static bool is_current(struct source_progress *self, const ProtobufCBinaryData *source,
                       uint64_t incarnation)
{
    if (is_ours(self, source) && incarnation == source_progress_fence(self))
        return true;
    self->counts.foreign++;
    return false;
}

static void answer(struct source_progress *self, uint64_t peer, const Desg__V1__Position *position,
                   enum custody_answer kind, bool is_alerted, bool is_fenced, int64_t now_ms)
{
    if (!position)
        return;
    if (!is_fenced) {
        custody_answered_stale(self->custody, peer, position->sequence, position->index);
        return;
    }
    self->counts.answers[kind]++;
    (void)custody_answered(self->custody, peer, position->sequence, position->index, kind, "",
                           is_alerted, now_ms);
}

/* With the event's id: a later version may split the record into other events. */
static void keep_verdict(struct source_progress *self, const Desg__V1__DoneItem *item,
                         const struct id *event)
{
    uint8_t bytes[JOURNAL_NOTE_MAX_BYTES];
    if (item->verdict.len == 0 || item->verdict.len > sizeof bytes - ID_BYTES)
        return; /* it will be classified anew */
    memcpy(bytes, event->bytes, ID_BYTES);
    memcpy(bytes + ID_BYTES, item->verdict.data, item->verdict.len);
    self->journal.note(self->journal.arg, item->position->sequence, item->position->index,
                       NOTE_VERDICT, bytes, ID_BYTES + item->verdict.len);
    noted_verdicts_keep(&self->noted, item->position->sequence, item->position->index, event,
                        item->verdict.data, item->verdict.len);
    custody_keep_verdict(self->custody, item->position->sequence, item->position->index,
                         item->verdict.data, item->verdict.len);
}

static void done_item(struct source_progress *self, uint64_t peer, const Desg__V1__DoneItem *item,
                      const char *history, int64_t now_ms)
{
    bool is_provisional = item->outcome == DESG__V1__DONE_OUTCOME__DONE_OUTCOME_PROVISIONAL;
    enum custody_answer kind = is_provisional ? CUSTODY_PROVISIONAL : CUSTODY_DONE;
    struct id event;
    bool is_held =
        custody_event_id(self->custody, item->position->sequence, item->position->index, &event);
    self->counts.answers[kind]++;
    bool is_done = custody_answered(self->custody, peer, item->position->sequence,
                                    item->position->index, kind, history, false, now_ms);
    bool is_judged = item->outcome != DESG__V1__DONE_OUTCOME__DONE_OUTCOME_QUARANTINED;
    if (is_held && is_done && is_judged)
        keep_verdict(self, item, &event);
}

static void on_done(struct source_progress *self, uint64_t peer, const Desg__V1__Done *done,
                    int64_t now_ms)
{
    bool is_fenced = is_current(self, &done->source, done->incarnation);
    for (size_t i = 0; i < done->n_items; i++) {
        const Desg__V1__DoneItem *item = done->items[i];
        if (item->position && is_fenced)
            done_item(self, peer, item, done->history, now_ms);
        else if (item->position)
            custody_answered_stale(self->custody, peer, item->position->sequence,
                                   item->position->index);
    }
}

static void on_seen(struct source_progress *self, uint64_t peer, const Desg__V1__Seen *seen,
                    int64_t now_ms)
{
    bool is_fenced = is_current(self, &seen->source, seen->incarnation);
    for (size_t i = 0; i < seen->n_items; i++) {
        const Desg__V1__SeenItem *item = seen->items[i];
        if (item->position && is_fenced)
            custody_seen(self->custody, peer, item->position->sequence, item->position->index,
                         item->severity, now_ms);
        else if (item->position)
            custody_answered_stale(self->custody, peer, item->position->sequence,
                                   item->position->index);
    }
}

static void on_busy(struct source_progress *self, uint64_t peer, const Desg__V1__Busy *busy,
                    int64_t now_ms)
{
    bool is_fenced = is_current(self, &busy->source, busy->incarnation);
    for (size_t i = 0; i < busy->n_items; i++)
        answer(self, peer, busy->items[i]->position, CUSTODY_BUSY, busy->items[i]->is_alerted,
               is_fenced, now_ms);
}

static void on_refused(struct source_progress *self, uint64_t peer,
                       const Desg__V1__Refused *refused, int64_t now_ms)
{
    bool is_fenced = is_current(self, &refused->source, refused->incarnation);
    for (size_t i = 0; i < refused->n_positions; i++)
        answer(self, peer, refused->positions[i], CUSTODY_REFUSED, false, is_fenced, now_ms);
}

bool source_progress_answers(struct source_progress *self, uint64_t peer,
                             const Desg__V1__Packet *packet, int64_t now_ms)
{
    switch (packet->kind_case) {
    case DESG__V1__PACKET__KIND_SEEN:
        on_seen(self, peer, packet->seen, now_ms);
        return true;
    case DESG__V1__PACKET__KIND_DONE:
        on_done(self, peer, packet->done, now_ms);
        return true;
    case DESG__V1__PACKET__KIND_BUSY:
        on_busy(self, peer, packet->busy, now_ms);
        return true;
    case DESG__V1__PACKET__KIND_REFUSED:
        on_refused(self, peer, packet->refused, now_ms);
        return true;
    case DESG__V1__PACKET__KIND_DRAIN:
        custody_drains(self->custody, peer);
        return true;
    default:
        return false;
    }
}

/* --- history and mark --- */

/* How far the mark found in Redis goes in our journal: 0 if it is of an incarnation we do not know.
 */
static uint64_t known_part(const struct source_progress *self, const Desg__V1__History *history,
                           bool *is_unknown)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (history->mark_incarnation == 0)
        return 0;
    if (!self->journal.find_incarnation(self->journal.arg, history->mark_incarnation, &first,
                                        &last)) {
        *is_unknown = true;
        return 0;
    }
    return history->mark_sequence < last ? history->mark_sequence : last;
}

/* Its data are those of the last history when that mark was stored, and more. */
static bool comes_of_last_history(const struct source_progress *self, uint64_t beat)
{
    uint64_t number = beat - self->incarnation;
    return self->began_at_mark > 0 && number >= self->began_at_mark && number <= self->marks_sent;
}

/* From where to replay if this is another Redis. One that does not come of the last history lacks
 * what was applied, and perhaps judged anew, under that one; its own mark says nothing of it. What
 * stood for a minute is in both. */
static uint64_t replay_from(const struct source_progress *self, uint64_t found, uint64_t beat)
{
    return comes_of_last_history(self, beat) || found < self->firm ? found : self->firm;
}

static void keep_from(struct source_progress *self, uint64_t mark)
{
    self->stored_count = 0;
    if (mark < self->firm)
        self->firm = mark;
    self->journal.retain(self->journal.arg, mark); /* or retention deletes what is to be replayed */
}

/* Redis has just said that it still has the mark: what it had long ago may go. */
static void release_old(struct source_progress *self, int64_t now_ms)
{
    size_t old = 0;
    while (old < self->stored_count && now_ms - self->stored[old].at_ms >= SOURCE_RELEASE_AFTER_MS)
        old++;
    if (old == 0)
        return;
    uint64_t sequence = self->stored[old - 1].sequence;
    self->journal.release(self->journal.arg, sequence);
    if (sequence > self->firm)
        self->firm = sequence;
    self->stored_count -= old;
    memmove(self->stored, self->stored + old, self->stored_count * sizeof self->stored[0]);
}

/* A few of the marks are enough: one every so often, the newest always. */
static void remember_stored(struct source_progress *self, uint64_t sequence, int64_t now_ms)
{
    const int64_t apart_ms = SOURCE_RELEASE_AFTER_MS / (SOURCE_STORED_MARKS_MAX - 2);
    size_t count = self->stored_count;
    bool is_near = count >= 2 && now_ms - self->stored[count - 2].at_ms < apart_ms;
    if (!is_near && count < SOURCE_STORED_MARKS_MAX)
        self->stored_count = ++count;
    self->stored[count - 1] = (struct source_stored_mark){ sequence, now_ms };
}

static uint64_t applied(const struct source_progress *self)
{
    return self->counts.answers[CUSTODY_DONE] + self->counts.answers[CUSTODY_PROVISIONAL];
}

/* The mark's beat is the one we know of, or of a mark whose answer got lost. */
static bool is_beat_trusted(const struct source_progress *self, uint64_t beat)
{
    if (beat == self->beat_at_hello)
        return true;
    uint64_t number = beat - self->incarnation; /* 1 … marks_sent if this start stored it */
    uint64_t known = self->beat_at_hello - self->incarnation;
    if (known > self->marks_sent)
        known = 0; /* found in Redis: of an earlier start */
    return number > known && number <= self->marks_sent;
}

struct source_rewind source_progress_history(struct source_progress *self,
                                             const Desg__V1__History *history, int64_t now_ms)
{
    struct source_rewind out = { 0 };
    if (!is_ours(self, &history->source))
        return out;
    out.mark =
        replay_from(self, known_part(self, history, &out.is_mark_unknown), history->mark_beat);
    bool is_last = history->number == self->hello_number;
    if (is_last && history->mark_incarnation != 0 && !is_beat_trusted(self, history->mark_beat))
        custody_distrust(self->custody);
    if (!custody_history(self->custody, history->number, history->history,
                         history->mark_incarnation != 0, out.mark))
        return out;
    self->known_mark_incarnation = history->mark_incarnation;
    self->known_mark_sequence = history->mark_sequence;
    self->known_mark_beat = history->mark_beat;
    if (custody_has_history(self->custody))
        release_old(self, now_ms);
    else
        keep_from(self, out.mark);
    return out;
}

struct source_rewind source_progress_marked(struct source_progress *self,
                                            const Desg__V1__Marked *marked, int64_t now_ms)
{
    struct source_rewind out = { .mark = marked->sequence };
    uint64_t fence = custody_fence(self->custody);
    if (!custody_marked(self->custody, marked->number, marked->history, marked->sequence,
                        marked->is_stored) ||
        !marked->is_stored)
        return out;
    self->known_mark_incarnation = marked->incarnation;
    self->known_mark_sequence = marked->sequence;
    self->known_mark_beat = self->incarnation + self->marks_sent; /* only the last one's counts */
    self->beat_at_ms = self->mark_sent_ms;
    self->applied_at_beat = self->applied_at_sent;
    out.is_rewound = custody_fence(self->custody) != fence;
    if (out.is_rewound) {
        self->applied_at_beat = self->applied_at_sent = applied(self);
        self->began_at_mark = self->marks_sent;
        keep_from(self, marked->sequence);
    } else if (custody_has_history(self->custody)) {
        remember_stored(self, marked->sequence, now_ms);
        release_old(self, now_ms);
    }
    return out;
}

bool source_progress_next_hello(struct source_progress *self, int64_t now_ms, uint64_t *route,
                                Desg__V1__Hello *hello)
{
    uint64_t number = 0;
    if (!custody_next_hello(self->custody, now_ms, route, &number))
        return false;
    *hello = (Desg__V1__Hello)DESG__V1__HELLO__INIT;
    hello->source = (ProtobufCBinaryData){ ID_BYTES, self->source.bytes };
    hello->number = number;
    self->hello_number = number;
    self->beat_at_hello = self->known_mark_beat;
    return true;
}

bool source_progress_next_mark(struct source_progress *self, int64_t now_ms, uint64_t *route,
                               Desg__V1__Mark *mark)
{
    uint64_t sequence = 0;
    uint64_t number = 0;
    const char *history = NULL;
    if (applied(self) != self->applied_at_beat &&
        now_ms - self->beat_at_ms > SOURCE_BEAT_TRUSTED_MS)
        custody_distrust(self->custody);
    if (!custody_next_mark(self->custody, now_ms, route, &number, &history, &sequence))
        return false;
    *mark = (Desg__V1__Mark)DESG__V1__MARK__INIT;
    mark->source = (ProtobufCBinaryData){ ID_BYTES, self->source.bytes };
    mark->history = (char *)history; /* packed, not changed */
    mark->incarnation =
        sequence > 0 ? self->journal.incarnation_of(self->journal.arg, sequence) : 0;
    if (mark->incarnation == 0) /* the first mark, or of records long gone */
        mark->incarnation = self->incarnation;
    mark->sequence = sequence;
    mark->number = number;
    mark->previous_incarnation = self->known_mark_incarnation;
    mark->previous_sequence = self->known_mark_sequence;
    mark->beat = self->incarnation + ++self->marks_sent;
    mark->previous_beat = self->known_mark_beat;
    self->mark_sent_ms = now_ms;
    self->applied_at_sent = applied(self);
    return sequence == 0 || mark->previous_incarnation != 0; /* nothing to quote: a later one */
}

/* --- notes and records --- */

void source_progress_flush_notes(struct source_progress *self)
{
    uint64_t sequence = 0;
    struct custody_note note;
    while (custody_next_note(self->custody, &sequence, &note)) {
        uint8_t deaths = note.deaths < NOTE_DEATHS_MASK ? note.deaths : NOTE_DEATHS_MASK;
        uint8_t byte = (uint8_t)((note.is_alerted ? NOTE_ALERTED_BIT : 0) |
                                 (note.is_suspect ? NOTE_SUSPECT_BIT : 0) | deaths);
        self->journal.note(self->journal.arg, sequence, note.index, NOTE_CUSTODY, &byte, 1);
    }
}

static size_t read_notes(const struct journal_record *record, struct custody_note *notes)
{
    size_t count = 0;
    for (size_t i = 0; i < record->note_count && count < NOTES_MAX; i++) {
        const struct journal_note *kept = &record->notes[i];
        struct custody_note note = { .index = kept->index };
        if (kept->kind == NOTE_VERDICT && kept->length > ID_BYTES) {
            memcpy(note.event_id.bytes, kept->bytes, ID_BYTES);
            note.verdict = kept->bytes + ID_BYTES;
            note.verdict_length = kept->length - ID_BYTES;
        } else if (kept->kind == NOTE_CUSTODY && kept->length == 1) {
            note.is_alerted = kept->bytes[0] & NOTE_ALERTED_BIT;
            note.is_suspect = kept->bytes[0] & NOTE_SUSPECT_BIT;
            note.deaths = kept->bytes[0] & NOTE_DEATHS_MASK;
        } else {
            continue;
        }
        notes[count++] = note;
    }
    return count;
}

/* What was noted last stands for what the journal has, if it has it yet. Returns the new count. */
static size_t add_noted(const struct source_progress *self, uint64_t sequence,
                        struct custody_note *notes, size_t count)
{
    const struct noted_verdict *noted = NULL;
    for (size_t at = 0; (noted = noted_verdicts_next(&self->noted, sequence, &at)) != NULL;) {
        size_t slot = 0;
        while (slot < count && !(notes[slot].verdict && notes[slot].index == noted->index))
            slot++;
        if (slot == NOTES_MAX)
            continue;
        notes[slot] = (struct custody_note){ .index = noted->index,
                                             .event_id = noted->event_id,
                                             .verdict = noted->bytes,
                                             .verdict_length = noted->length };
        count += slot == count;
    }
    return count;
}

static void load_record(struct source_progress *self, const struct journal_record *record,
                        int64_t now_ms, int64_t now_unix_ms)
{
    struct split split = { 0 };
    /* By sequence: a clock set back must not make a new message look like an old one. */
    bool is_replayed =
        record->sequence <= self->found_at_start || now_unix_ms - record->stored_at_ms > OLD_MS;
    self->journal.split(self->journal.arg, record, is_replayed, &split);
    /* Out of an archive it was stored anew, long after it came in. */
    int64_t received_at_ms = split.received_at_ms > 0 ? split.received_at_ms : record->stored_at_ms;
    bool is_old = now_unix_ms - received_at_ms > OLD_MS;
    is_replayed |= is_old;
    struct custody_note notes[NOTES_MAX];
    size_t note_count = add_noted(self, record->sequence, notes, read_notes(record, notes));
    struct custody_record loaded = {
        .sequence = record->sequence,
        .is_replayed = is_replayed,
        .is_old = is_old,
        .split = &split,
        .notes = notes,
        .note_count = note_count,
    };
    custody_load(self->custody, &loaded, now_ms);
}

static void pass_over(struct source_progress *self, uint64_t first, uint64_t last, source_gap *gap,
                      void *gap_arg)
{
    if (gap)
        gap(gap_arg, first, last);
    custody_absent(self->custody, first, last);
}

void source_progress_load(struct source_progress *self, const struct journal_page *page,
                          uint64_t first, uint64_t last, int64_t now_ms, int64_t now_unix_ms,
                          source_gap *gap, void *gap_arg)
{
    uint64_t expected = first;
    for (size_t i = 0; i < page->count && page->records[i].sequence <= last; i++) {
        const struct journal_record *record = &page->records[i];
        if (record->sequence > expected)
            pass_over(self, expected, record->sequence - 1, gap, gap_arg);
        load_record(self, record, now_ms, now_unix_ms);
        expected = record->sequence + 1;
    }
    /* The page ended behind the range, or the journal ended before it: what was not there is not
     * there. */
    bool is_past = page->count == 0 || page->records[page->count - 1].sequence > last;
    if (is_past && expected <= last)
        pass_over(self, expected, last, gap, gap_arg);
}
