#include "notify/outbox_book.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/outbox_book_inside.h"

enum { BUCKETS_MIN = 256, TELLS_MIN = 16 };

const char *outbox_class_name(enum outbox_class class)
{
    static const char *const names[] = { [OUTBOX_URGENT_REPLY] = "urgent-reply",
                                         [OUTBOX_REPLY] = "reply",
                                         [OUTBOX_RECEIPT] = "receipt",
                                         [OUTBOX_BROADCAST] = "broadcast" };
    assert((unsigned)class < OUTBOX_CLASS_COUNT);
    return names[class];
}

void book_copy(char *out, size_t bytes, const char *text)
{
    (void)snprintf(out, bytes, "%s", text);
}

/* --- items by id --- */

static size_t bucket_of(const struct outbox_book *self, const struct id *id)
{
    uint64_t hash = 0;
    memcpy(&hash, id->bytes, sizeof hash); /* ids are digests or random: spread already */
    return (size_t)hash & (self->bucket_count - 1);
}

static void put_in_bucket(struct outbox_book *self, struct outbox_item *item)
{
    struct outbox_item **bucket = &self->buckets[bucket_of(self, &item->id)];
    item->next_in_bucket = *bucket;
    *bucket = item;
}

static void grow(struct outbox_book *self)
{
    struct outbox_item **old = self->buckets;
    size_t count = self->bucket_count;
    self->bucket_count = count ? count * 2 : BUCKETS_MIN;
    self->buckets = calloc(self->bucket_count, sizeof(struct outbox_item *));
    if (!self->buckets)
        abort();
    for (size_t i = 0; i < count; i++) {
        while (old[i]) {
            struct outbox_item *item = old[i];
            old[i] = item->next_in_bucket;
            put_in_bucket(self, item);
        }
    }
    free(old);
}

struct outbox_item *outbox_book_find(const struct outbox_book *self, const struct id *id)
{
    struct outbox_item *item = self->buckets[bucket_of(self, id)];
    while (item && memcmp(item->id.bytes, id->bytes, ID_BYTES) != 0)
        item = item->next_in_bucket;
    return item;
}

struct outbox_item *book_add(struct outbox_book *self, const struct id *id)
{
    if (self->known >= self->bucket_count)
        grow(self);
    struct outbox_item *item = calloc(1, sizeof *item);
    if (!item)
        abort();
    item->id = *id;
    put_in_bucket(self, item);
    self->known++;
    return item;
}

static void drop_content(struct outbox_book *self, struct outbox_item *item)
{
    desg__v1__outbox_item__free_unpacked(item->what, NULL);
    item->what = NULL;
    if (item->plan && self->options.free_plan)
        self->options.free_plan(item->plan);
    item->plan = NULL;
    if (item->job && self->options.free_job)
        self->options.free_job(item->job);
    item->job = NULL;
    free(item->objects);
    item->objects = NULL;
}

static void destroy_item(struct outbox_book *self, struct outbox_item *item)
{
    drop_content(self, item);
    free(item->untold);
    free(item);
}

/* --- items at their place --- */

static void copy_thread(struct outbox_item *item, const ProtobufCBinaryData *id)
{
    if (id->len == ID_BYTES)
        memcpy(item->thread.bytes, id->data, ID_BYTES);
    else
        item->thread = item->id; /* alone */
}

void book_describe(struct outbox_item *item)
{
    const Desg__V1__OutboxItem *what = item->what;
    item->decided_unix_ms = what->decided_at_ms;
    item->class = OUTBOX_BROADCAST;
    item->thread = item->id;
    if (what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY) {
        item->class = what->reply->is_urgent ? OUTBOX_URGENT_REPLY : OUTBOX_REPLY;
        copy_thread(item, &what->reply->conversation_id);
    } else if (what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT) {
        item->class = OUTBOX_RECEIPT;
        copy_thread(item, &what->receipt->conversation_id);
    } else if (what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST) {
        copy_thread(item, &what->broadcast->broadcast->id);
    }
}

static bool is_reply(const struct outbox_item *item)
{
    return item->class == OUTBOX_URGENT_REPLY || item->class == OUTBOX_REPLY;
}

/* Receipts stand alone: a freeze that holds them must not hold the replies behind. */
static bool is_same_thread(const struct outbox_item *a, const struct outbox_item *b)
{
    bool is_kind =
        (is_reply(a) && is_reply(b)) || (a->class == OUTBOX_BROADCAST && b->class == a->class);
    return is_kind && memcmp(a->thread.bytes, b->thread.bytes, ID_BYTES) == 0;
}

void book_list(struct outbox_item *item)
{
    struct outbox_place *place = item->place;
    struct outbox_item *before = place->last;
    while (before && !is_same_thread(before, item))
        before = before->previous;
    item->before = before;
    item->after = NULL;
    if (before)
        before->after = item;
    item->previous = place->last;
    item->next = NULL;
    *(place->last ? &place->last->next : &place->first) = item;
    place->last = item;
    item->is_listed = true;
}

void book_unlist(struct outbox_item *item)
{
    struct outbox_place *place = item->place;
    if (!item->is_listed)
        return;
    *(item->previous ? &item->previous->next : &place->first) = item->next;
    *(item->next ? &item->next->previous : &place->last) = item->previous;
    if (item->before)
        item->before->after = item->after;
    if (item->after)
        item->after->before = item->before;
    item->previous = item->next = item->before = item->after = NULL;
    item->is_listed = false;
}

void book_make_room(struct outbox_item *item, uint32_t parts)
{
    if (parts <= item->parts && item->objects)
        return;
    char(*objects)[PLATFORM_OBJECT_BYTES] = calloc(parts + 1, sizeof *objects);
    if (!objects)
        abort();
    if (item->objects)
        memcpy(objects, item->objects, item->parts * sizeof *objects);
    free(item->objects);
    item->objects = objects;
    item->parts = parts;
}

void book_leave_works(struct outbox_item *item)
{
    if (!item->is_in_works)
        return;
    assert(item->place->calls > 0);
    item->is_in_works = false;
    item->place->calls--;
}

void book_end(struct outbox_book *self, struct outbox_item *item, int64_t now_ms)
{
    book_leave_works(item);
    item->stage = OUTBOX_OVER;
    item->is_open = item->is_to_check = false;
    item->over_ms = now_ms;
    drop_content(self, item);
    if (item->stream_id[0] == '\0')
        book_unlist(item);
}

bool outbox_book_is_done(const struct outbox_book *self, const struct outbox_item *item)
{
    return item->stage == OUTBOX_OVER && item->stream_id[0] != '\0' && !item->is_shown_again &&
           !item->is_out && !item->untold && item->told_sequence <= self->projected;
}

void outbox_book_gone(struct outbox_item *item)
{
    assert(item->stage == OUTBOX_OVER);
    item->stream_id[0] = '\0';
    book_unlist(item);
}

/* --- tells --- */

struct outbox_tell *book_tell(struct outbox_book *self, struct outbox_item *item,
                              Desg__V1__SendOutcome outcome, const char *error, int64_t unix_ms)
{
    if (self->tell_count == self->tell_capacity) {
        self->tell_capacity = self->tell_capacity ? self->tell_capacity * 2 : TELLS_MIN;
        self->tells = realloc(self->tells, self->tell_capacity * sizeof *self->tells);
        if (!self->tells)
            abort();
    }
    struct outbox_tell *tell = &self->tells[self->tell_count++];
    if (item->stamp_unix_ms < unix_ms)
        item->stamp_unix_ms = unix_ms;
    *tell = (struct outbox_tell){
        .item = item->id, .part = item->part, .outcome = outcome, .at_unix_ms = item->stamp_unix_ms
    };
    book_copy(tell->error, sizeof tell->error, error);
    return tell;
}

static void keep_untold(struct outbox_item *item, const struct outbox_tell *tell)
{
    if (!item->untold)
        item->untold = malloc(sizeof *item->untold);
    if (!item->untold)
        abort();
    *item->untold = *tell;
    item->is_telling = true;
}

void book_tell_last(struct outbox_book *self, struct outbox_item *item, struct outbox_tell *tell,
                    int64_t now_ms)
{
    tell->is_last = true;
    keep_untold(item, tell);
    book_end(self, item, now_ms);
}

bool outbox_book_next_tell(struct outbox_book *self, struct outbox_tell *out)
{
    if (self->first_tell == self->tell_count) {
        self->first_tell = self->tell_count = 0;
        return false;
    }
    *out = self->tells[self->first_tell++];
    return true;
}

void outbox_book_told(struct outbox_item *item, bool is_stored, uint64_t sequence)
{
    item->is_telling = false;
    if (!is_stored)
        return;
    item->told_sequence = sequence;
    free(item->untold);
    item->untold = NULL;
}

static void tell_again(struct outbox_book *self, struct outbox_item *item)
{
    if (!item->untold || item->is_telling)
        return;
    struct outbox_tell *tell =
        book_tell(self, item, item->untold->outcome, "", item->untold->at_unix_ms);
    *tell = *item->untold;
    item->is_telling = true;
}

/* --- places --- */

struct outbox_place *outbox_book_place(const struct outbox_book *self, const char *name)
{
    for (size_t i = 0; i < self->place_count; i++)
        if (strcmp(self->places[i]->name, name) == 0)
            return self->places[i];
    return NULL;
}

struct outbox_place *outbox_book_place_at(const struct outbox_book *self, size_t index)
{
    return index < self->place_count ? self->places[index] : NULL;
}

struct outbox_place *outbox_book_add_place(struct outbox_book *self,
                                           const struct outbox_place_options *options,
                                           int64_t now_ms)
{
    struct outbox_place **places =
        realloc(self->places, (self->place_count + 1) * sizeof(struct outbox_place *));
    struct outbox_place *place = calloc(1, sizeof *place);
    if (!places || !place)
        abort();
    self->places = places;
    place->options = *options;
    book_copy(place->name, sizeof place->name, options->name);
    place->options.name = place->name;
    place->index = self->place_count;
    self->random = self->random * 6364136223846793005ULL + 1442695040888963407ULL;
    outbox_rate_init(&place->rate, options->per_minute, self->options.urgent_share_percent,
                     self->random, now_ms);
    place->probe_ms = options->can_probe ? now_ms : INT64_MAX;
    self->places[self->place_count++] = place;
    return place;
}

void outbox_book_owned(struct outbox_book *self, struct outbox_place *place, uint64_t fence,
                       int64_t until_ms)
{
    if (place->is_ours && place->fence != fence)
        outbox_book_lost(self, place); /* it was somebody else's in between */
    place->is_ours = true;
    place->fence = fence;
    place->ours_until_ms = until_ms;
}

/* What it waited for is somebody else's now. An intent without a call is taken back. */
static void put_aside(struct outbox_book *self, struct outbox_item *item)
{
    item->stream_id[0] = '\0';
    item->aside_ms = 0;
    if (item->is_out)
        return;
    if (item->stage == OUTBOX_CALL) {
        (void)book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER, "place lost",
                        item->called_unix_ms);
        item->is_open = false;
    }
    if (item->stage == OUTBOX_CALL || item->stage == OUTBOX_WRITE) {
        book_leave_works(item);
        item->stage = OUTBOX_BEGIN;
    }
}

void outbox_book_lost(struct outbox_book *self, struct outbox_place *place)
{
    place->is_ours = place->is_read_through = false;
    for (struct outbox_item *item = place->first, *next = NULL; item; item = next) {
        next = item->next;
        put_aside(self, item);
        if (item->stage == OUTBOX_OVER)
            book_unlist(item);
    }
}

void outbox_book_read_through(struct outbox_place *place)
{
    if (place->is_read_through)
        return;
    place->is_read_through = true;
    for (struct outbox_item *item = place->first; item; item = item->next)
        item->aside_ms = 0; /* what was not shown has ended elsewhere, or never came back */
}

void outbox_book_projected(struct outbox_book *self, uint64_t sequence)
{
    self->projected = sequence;
}

void outbox_book_probe_soon(struct outbox_place *place, int64_t now_ms)
{
    bool is_of_use = place->is_blocked || place->options.can_probe;
    if (is_of_use && place->probe_ms > now_ms)
        place->probe_ms = now_ms;
}

/* --- intake --- */

/* Somebody else had the place since: a call of theirs may be on its way. */
void book_look_anew(struct outbox_item *item, int64_t now_ms)
{
    item->look_fence = item->place->fence;
    item->absent_ms = item->place->options.call_ms;
    item->unknown_ms = item->due_ms = now_ms;
    item->looks = item->absences = 0;
}

/* Somebody in this conversation has had a word of receipt not long ago. */
static bool is_said_already(const struct outbox_book *self, const struct outbox_item *item)
{
    for (size_t i = 0; i < self->bucket_count; i++)
        for (const struct outbox_item *other = self->buckets[i]; other;
             other = other->next_in_bucket)
            if (other != item && other->class == OUTBOX_RECEIPT &&
                memcmp(other->thread.bytes, item->thread.bytes, ID_BYTES) == 0 &&
                ((other->stage != OUTBOX_OVER && other->stage != OUTBOX_PREPARE) ||
                 (other->receipt_unix_ms > 0 &&
                  item->decided_unix_ms - other->receipt_unix_ms < self->options.receipt_again_ms)))
                return true;
    return false;
}

enum outbox_intake outbox_book_take(struct outbox_book *self, struct outbox_place *place,
                                    Desg__V1__OutboxItem *what, const char *stream_id,
                                    int64_t now_ms, struct outbox_item **item_p)
{
    struct id id;
    assert(what->id.len == ID_BYTES);
    memcpy(id.bytes, what->id.data, ID_BYTES);
    struct outbox_item *item = outbox_book_find(self, &id);
    enum outbox_intake intake = OUTBOX_KNOWN;
    if (!item) {
        item = book_add(self, &id);
        item->what = what;
        item->place = place;
        item->taken_ms = now_ms;
        item->stage = OUTBOX_PREPARE;
        book_describe(item);
        book_list(item);
        intake = OUTBOX_NEW;
    } else if (item->stage == OUTBOX_OVER) {
        if (!item->is_listed)
            book_list(item);
        desg__v1__outbox_item__free_unpacked(item->what, NULL);
        item->what = what;
        item->is_shown_again = true;
        item->due_ms = now_ms;
        intake = OUTBOX_ENDED;
    } else {
        desg__v1__outbox_item__free_unpacked(what, NULL);
        if (item->stage == OUTBOX_LOOK && item->look_fence != place->fence)
            book_look_anew(item, now_ms);
    }
    book_copy(item->stream_id, sizeof item->stream_id, stream_id);
    *item_p = item;
    return intake;
}

void outbox_book_stored(struct outbox_item *item, bool is_stored, uint64_t sequence)
{
    item->is_storing = false;
    item->is_stored = is_stored;
    if (is_stored && (item->sequence == 0 || item->sequence < sequence))
        item->sequence = sequence;
}

/* --- what is next --- */

static bool is_held_by_before(const struct outbox_item *item)
{
    if (item->class == OUTBOX_BROADCAST)
        return item->before != NULL; /* until Redis has what became of it */
    const struct outbox_item *before = item->before;
    while (before && (before->stage == OUTBOX_HOLD || before->stage == OUTBOX_OVER))
        before = before->before; /* a person is asked about it: that takes too long */
    return before != NULL;
}

static bool is_automatic(const struct outbox_item *item)
{
    return item->class == OUTBOX_RECEIPT || item->class == OUTBOX_BROADCAST;
}

static bool may_begin(const struct outbox_book *self, const struct outbox_item *item)
{
    const struct outbox_place *place = item->place;
    return !item->is_out && item->stream_id[0] != '\0' && !item->is_to_check &&
           (item->stage == OUTBOX_PREPARE || item->stage == OUTBOX_BEGIN) && !self->is_draining &&
           (!place->is_blocked || item->is_recheck) && !is_held_by_before(item);
}

static int64_t begin_due_ms(const struct outbox_item *item)
{
    int64_t due_ms = item->due_ms;
    if (is_automatic(item) && item->place->frozen_ms > due_ms)
        due_ms = item->place->frozen_ms;
    return due_ms;
}

static bool is_looked_at(const struct outbox_item *item)
{
    return item->stream_id[0] != '\0' && (item->stage == OUTBOX_LOOK || item->stage == OUTBOX_HOLD);
}

/* Not shown by Redis since the place is ours, or the place is not: what became of it elsewhere? */
static bool is_aside(const struct outbox_item *item)
{
    const struct outbox_place *place = item->place;
    return item->stream_id[0] == '\0' && item->stage != OUTBOX_OVER &&
           (!place->is_ours || place->is_read_through);
}

static void hand_out(struct outbox_item *item, enum outbox_stage what, struct outbox_step *out)
{
    item->is_out = true;
    item->out_as = what;
    *out = (struct outbox_step){ .what = what, .item = item, .place = item->place };
}

/* What was allowed goes on; if the place is no longer ours, or was another's since, it does not. */
static bool next_in_works(struct outbox_book *self, struct outbox_item *item, int64_t now_ms,
                          struct outbox_step *out)
{
    if (item->is_out || (item->stage != OUTBOX_WRITE && item->stage != OUTBOX_CALL))
        return false;
    if (!item->place->is_ours || now_ms >= item->place->ours_until_ms ||
        item->begun_fence != item->place->fence) {
        char stream_id[sizeof item->stream_id];
        memcpy(stream_id, item->stream_id, sizeof stream_id);
        put_aside(self, item);
        memcpy(item->stream_id, stream_id, sizeof stream_id);
        item->due_ms = now_ms + OUTBOX_RATE_BASE_MS;
        return false;
    }
    hand_out(item, item->stage, out);
    return true;
}

static bool next_look(const struct outbox_book *self, struct outbox_item *item, int64_t now_ms,
                      struct outbox_step *out)
{
    if (item->is_out)
        return false;
    if (item->stage == OUTBOX_OVER) {
        if (!item->is_shown_again || item->due_ms > now_ms || item->untold ||
            item->told_sequence > self->projected)
            return false;
        hand_out(item, OUTBOX_CHECK, out);
        return true;
    }
    if (is_aside(item)) {
        if (item->aside_ms > now_ms)
            return false;
        hand_out(item, OUTBOX_CHECK, out);
        return true;
    }
    if (self->is_draining || item->due_ms > now_ms || item->stream_id[0] == '\0')
        return false;
    if (!item->is_to_check && !is_looked_at(item))
        return false;
    enum outbox_stage look = item->plan ? OUTBOX_LOOK : OUTBOX_PREPARE;
    hand_out(item, item->is_to_check ? OUTBOX_CHECK : look, out);
    return true;
}

static bool is_before(const struct outbox_item *item, const struct outbox_item *best)
{
    return !best || item->class < best->class; /* within a class as they came */
}

static struct outbox_item *best_to_begin(const struct outbox_book *self,
                                         const struct outbox_place *place, int64_t now_ms)
{
    struct outbox_item *best = NULL;
    for (struct outbox_item *item = place->first; item; item = item->next)
        if (is_before(item, best) && may_begin(self, item) && begin_due_ms(item) <= now_ms)
            best = item;
    return best;
}

static bool next_begin(struct outbox_book *self, struct outbox_place *place, int64_t now_ms,
                       int64_t unix_ms, struct outbox_step *out)
{
    for (;;) {
        struct outbox_item *item = best_to_begin(self, place, now_ms);
        if (!item)
            return false;
        if (place->options.refuse) {
            outbox_book_refuse(self, item, place->options.refuse, now_ms, unix_ms);
            continue;
        }
        if (item->class == OUTBOX_RECEIPT && item->stage == OUTBOX_PREPARE &&
            is_said_already(self, item)) {
            outbox_book_refuse(self, item, "said already", now_ms, unix_ms);
            continue;
        }
        if (item->stage == OUTBOX_PREPARE) {
            hand_out(item, OUTBOX_PREPARE, out);
            return true;
        }
        bool is_urgent = item->class == OUTBOX_URGENT_REPLY;
        if (place->calls >= place->options.calls_max ||
            outbox_rate_due_ms(&place->rate, is_urgent, now_ms) > now_ms)
            return false; /* those behind are no more urgent */
        outbox_rate_take(&place->rate, now_ms);
        place->calls++;
        item->is_in_works = true;
        hand_out(item, OUTBOX_BEGIN, out);
        return true;
    }
}

static bool next_probe(const struct outbox_book *self, struct outbox_place *place, int64_t now_ms,
                       struct outbox_step *out)
{
    if (self->is_draining || place->is_probing || place->probe_ms > now_ms)
        return false;
    if (!place->options.can_probe) { /* nothing to ask: one item tries */
        place->is_blocked = false;
        place->probe_ms = INT64_MAX;
        return false;
    }
    place->is_probing = true;
    *out = (struct outbox_step){ .what = OUTBOX_PROBE, .place = place };
    return true;
}

static bool next_at(struct outbox_book *self, struct outbox_place *place, int64_t now_ms,
                    int64_t unix_ms, struct outbox_step *out)
{
    for (struct outbox_item *item = place->first, *next = NULL; item; item = next) {
        next = item->next;
        if (item->is_given_up && !item->is_out && item->stage != OUTBOX_OVER)
            book_end(self, item, now_ms);
        else if (next_in_works(self, item, now_ms, out) || next_look(self, item, now_ms, out))
            return true;
    }
    if (!place->is_ours || now_ms >= place->ours_until_ms)
        return false;
    return next_probe(self, place, now_ms, out) || next_begin(self, place, now_ms, unix_ms, out);
}

bool outbox_book_next(struct outbox_book *self, int64_t now_ms, int64_t unix_ms,
                      struct outbox_step *out)
{
    for (size_t i = 0; i < self->place_count; i++)
        if (next_at(self, self->places[i], now_ms, unix_ms, out))
            return true;
    return false;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t begin_at_ms(const struct outbox_item *item, int64_t now_ms)
{
    struct outbox_place *place = item->place;
    int64_t due_ms = begin_due_ms(item);
    if (item->stage == OUTBOX_PREPARE)
        return due_ms;
    if (place->calls >= place->options.calls_max)
        return INT64_MAX;
    int64_t rate_ms = outbox_rate_due_ms(&place->rate, item->class == OUTBOX_URGENT_REPLY, now_ms);
    return due_ms > rate_ms ? due_ms : rate_ms;
}

static int64_t item_due_ms(const struct outbox_book *self, const struct outbox_item *item,
                           int64_t now_ms)
{
    bool is_end_asked = item->is_shown_again && !item->untold &&
                        item->told_sequence <= self->projected; /* of what is over */
    if (item->is_out || (item->stage == OUTBOX_OVER && !is_end_asked))
        return INT64_MAX;
    if (is_aside(item))
        return item->aside_ms;
    if (item->stage == OUTBOX_OVER || item->is_to_check || is_looked_at(item))
        return item->due_ms;
    bool may_go = item->place->is_ours && may_begin(self, item);
    return may_go ? begin_at_ms(item, now_ms) : INT64_MAX;
}

int64_t outbox_book_due_ms(struct outbox_book *self, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    if (self->is_draining) /* nothing begins by itself */
        return due_ms;
    for (size_t i = 0; i < self->place_count; i++) {
        const struct outbox_place *place = self->places[i];
        if (place->is_ours && !place->is_probing)
            due_ms = sooner(due_ms, place->probe_ms);
        for (const struct outbox_item *item = place->first; item; item = item->next)
            due_ms = sooner(due_ms, item_due_ms(self, item, now_ms));
    }
    return due_ms;
}

/* --- upkeep --- */

static bool is_too_late(const struct outbox_item *item, int64_t unix_ms)
{
    return item->class == OUTBOX_RECEIPT && item->what &&
           unix_ms - item->what->receipt->received_at_ms > OUTBOX_RECEIPT_AGE_MS;
}

void outbox_book_tick(struct outbox_book *self, int64_t now_ms, int64_t unix_ms)
{
    for (size_t i = 0; i < self->place_count; i++) {
        struct outbox_place *place = self->places[i];
        for (struct outbox_item *item = place->first, *next = NULL; item; item = next) {
            next = item->next;
            bool is_unbegun = item->stage == OUTBOX_PREPARE || item->stage == OUTBOX_BEGIN;
            if (place->is_ours && !item->is_out && item->stream_id[0] != '\0' && is_unbegun &&
                !item->is_to_check && is_too_late(item, unix_ms))
                outbox_book_refuse(self, item, "too late", now_ms, unix_ms);
            tell_again(self, item);
        }
    }
}

void outbox_book_forget(struct outbox_book *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        struct outbox_item **link = &self->buckets[i];
        while (*link) {
            struct outbox_item *item = *link;
            bool is_old = item->stage == OUTBOX_OVER && !item->is_listed && !item->is_out &&
                          !item->untold && now_ms - item->over_ms > self->options.retention_ms;
            if (!is_old) {
                link = &item->next_in_bucket;
                continue;
            }
            *link = item->next_in_bucket;
            self->known--;
            destroy_item(self, item);
        }
    }
}

void outbox_book_drain(struct outbox_book *self)
{
    self->is_draining = true;
}

bool outbox_book_is_busy(const struct outbox_book *self)
{
    for (size_t i = 0; i < self->place_count; i++) {
        if (self->places[i]->calls > 0)
            return true;
        for (const struct outbox_item *item = self->places[i]->first; item; item = item->next)
            if (item->is_telling || item->is_storing)
                return true;
    }
    return false;
}

uint64_t outbox_book_needed_from(const struct outbox_book *self, uint64_t newest)
{
    uint64_t needed = newest + 1;
    for (size_t i = 0; i < self->bucket_count; i++)
        for (const struct outbox_item *item = self->buckets[i]; item; item = item->next_in_bucket)
            if ((item->stage != OUTBOX_OVER || item->untold) && item->sequence != 0 &&
                item->sequence < needed)
                needed = item->sequence;
    return needed;
}

size_t outbox_book_known(const struct outbox_book *self)
{
    return self->known;
}

/* --- life --- */

struct outbox_book *outbox_book_new(const struct outbox_book_options *options)
{
    struct outbox_book *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->options = *options;
    self->random = options->seed | 1;
    grow(self);
    return self;
}

void outbox_book_destroy(struct outbox_book **self_p)
{
    struct outbox_book *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->bucket_count; i++) {
        while (self->buckets[i]) {
            struct outbox_item *item = self->buckets[i];
            self->buckets[i] = item->next_in_bucket;
            destroy_item(self, item);
        }
    }
    for (size_t i = 0; i < self->place_count; i++)
        free(self->places[i]);
    free(self->places);
    free(self->buckets);
    free(self->tells);
    free(self);
    *self_p = NULL;
}
