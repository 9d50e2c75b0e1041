#include "notify/outbox_flow.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "log/log.h"
#include "notify/outbox_flow_inside.h"
#include "notify/outbox_journal.h"
#include "unpack/unpack.h"

enum { REDIS_WAIT_MS = 500, REFUSED_WAIT_MS = 60000, OWN_WAIT_MS = 5000, UNKNOWN_WAIT_MS = 2000 };

const struct outbox_way *outflow_way(const struct outbox_flow *self,
                                     const struct outbox_place *place)
{
    return &self->spots[place->index].way;
}

/* --- questions to Redis, and their answers --- */

struct asked {
    struct inbox_item item_in;
    struct outbox_ask ask;
    struct outbox_flow *flow;
    struct outbox_item *item;
};

static void discard_asked(struct inbox_item *item_in)
{
    struct asked *asked = (struct asked *)item_in;
    outbox_ask_clear(&asked->ask);
    free(asked);
}

static void on_asked(void *arg, struct outbox_ask *ask)
{
    (void)ask;
    struct asked *asked = arg;
    inbox_post(asked->flow->options.inbox, &asked->item_in);
}

static struct asked *asked_new(struct outbox_flow *self, struct outbox_item *item,
                               enum outbox_question question,
                               void (*run)(struct inbox_item *item_in))
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (!asked)
        abort();
    asked->item_in.run = run;
    asked->item_in.discard = discard_asked;
    asked->flow = self;
    asked->item = item;
    asked->ask.question = question;
    asked->ask.item = item->id;
    asked->ask.part = item->part;
    asked->ask.done = on_asked;
    asked->ask.arg = asked;
    return asked;
}

static void ask(struct asked *asked)
{
    struct outbox_flow *self = asked->flow;
    self->options.ask(self->options.arg, &asked->ask);
}

/* Redis is away; or it does not take the question: then somebody has to know, and it waits longer.
 */
static void not_answered(const struct asked *asked)
{
    struct outbox_flow *self = asked->flow;
    int64_t wait_ms = REDIS_WAIT_MS;
    if (asked->ask.is_refused) {
        char id[ID_TEXT_BYTES];
        id_text(asked->item->id.bytes, id);
        log_error("item_not_taken", KV("item", id), KV("question", (int)asked->ask.question),
                  KV("remedy", "Redis refuses what is asked of this item: report it; it is asked "
                               "again every minute"));
        wait_ms = REFUSED_WAIT_MS;
    }
    outbox_book_postpone(self->book, asked->item, "Redis away", wait_ms, clock_monotonic_ms(),
                         clock_unix_ms());
}

/* --- prepare --- */

static void prepare(struct outbox_flow *self, struct outbox_item *item,
                    const struct outbox_posted *posted)
{
    struct error err = { 0 };
    struct outbox_plan *plan = NULL;
    int64_t now_ms = clock_monotonic_ms();
    int64_t unix_ms = clock_unix_ms();
    if (outbox_plan_make(outflow_way(self, item->place), item->what, posted, unix_ms, &plan,
                         &err) == 0) {
        outbox_book_prepared(self->book, item, (uint32_t)plan->count, plan, now_ms);
        return;
    }
    if (err.kind == ERROR_INVALID)
        outbox_book_refuse(self->book, item, err.text, now_ms, unix_ms);
    else
        outbox_book_postpone(self->book, item, err.text, OWN_WAIT_MS, now_ms, unix_ms);
}

static bool is_there_already(const struct outbox_posted *posted, const char *object_id)
{
    for (size_t i = 0; i < posted->count; i++)
        if (strcmp(posted->objects[i], object_id) == 0)
            return true;
    return false;
}

static void add_posted(struct outbox_posted *posted, const char *object_id, const char *language)
{
    if (!object_id || object_id[0] == '\0' || strlen(object_id) >= PLATFORM_OBJECT_BYTES ||
        is_there_already(posted, object_id))
        return;
    posted->objects = realloc(posted->objects, (posted->count + 1) * sizeof *posted->objects);
    posted->languages =
        reallocarray(posted->languages, posted->count + 1, sizeof *posted->languages);
    if (!posted->objects || !posted->languages)
        abort();
    posted->languages[posted->count] = language;
    (void)snprintf(posted->objects[posted->count++], PLATFORM_OBJECT_BYTES, "%s", object_id);
}

/* Of the n-th post of a row, at an outlet whose posts have one each. Of a thread nobody knows. */
static const char *language_of(const json_t *row, size_t n)
{
    const json_t *welsh = json_object_get(row, "has_welsh");
    const char *state = json_string_value(json_object_get(row, "state"));
    if (json_is_false(welsh))
        return "en";
    if (!welsh || !state || strcmp(state, "sent") != 0 ||
        json_array_size(json_object_get(row, "object_ids")) != 2)
        return NULL;
    return n == 0 ? "cy" : "en"; /* in the order they are posted */
}

/* What was sent touched all there was: what it did not keep is gone. */
static void forget_replaced(const struct outbox_way *way, const json_t *row,
                            struct outbox_posted *posted)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    const char *action = json_string_value(json_object_get(row, "action"));
    if (way->platform->edit && state && action && strcmp(state, "sent") == 0 &&
        strcmp(action, "update") == 0)
        posted->count = 0;
}

/* What the items before this one made at its place. */
static void read_posted(const struct outbox_way *way, const struct outbox_item *item,
                        const json_t *broadcast, struct outbox_posted *posted)
{
    char id[ID_TEXT_BYTES];
    size_t i = 0;
    const json_t *row = NULL;
    id_text(item->id.bytes, id);
    json_array_foreach(json_object_get(broadcast, "rows"), i, row)
    {
        const char *place = json_string_value(json_object_get(row, "place"));
        const char *other = json_string_value(json_object_get(row, "item"));
        size_t n = 0;
        const json_t *object = NULL;
        if (!place || !other || strcmp(place, item->place->name) != 0 || strcmp(other, id) == 0)
            continue;
        forget_replaced(way, row, posted);
        json_array_foreach(json_object_get(row, "object_ids"), n, object)
            add_posted(posted, json_string_value(object), language_of(row, n));
    }
}

/* Something of the broadcast may be there or not: Redis would not let this begin, and the place
 * would wait with it. */
static bool is_held_by_another(const struct outbox_item *item, const json_t *broadcast)
{
    char id[ID_TEXT_BYTES];
    size_t i = 0;
    const json_t *row = NULL;
    bool is_held = false;
    id_text(item->id.bytes, id);
    json_array_foreach(json_object_get(broadcast, "rows"), i, row)
    {
        const char *place = json_string_value(json_object_get(row, "place"));
        const char *other = json_string_value(json_object_get(row, "item"));
        const char *state = json_string_value(json_object_get(row, "state"));
        if (!place || !other || !state || strcmp(place, item->place->name) != 0 ||
            (strcmp(state, "unknown") != 0 && strcmp(state, "sending") != 0))
            continue;
        if (strcmp(other, id) == 0)
            return false; /* begun already: it is to be looked for */
        is_held = true;
    }
    return is_held;
}

static void run_posted(struct inbox_item *item_in)
{
    struct asked *asked = (struct asked *)item_in;
    struct outbox_flow *self = asked->flow;
    struct outbox_item *item = asked->item;
    (void)pthread_mutex_lock(&self->lock);
    if (asked->ask.is_answered && asked->ask.row && item->part == 0 &&
        is_held_by_another(item, asked->ask.row)) {
        outbox_book_postpone(self->book, item, "what was before is not known", UNKNOWN_WAIT_MS,
                             clock_monotonic_ms(), clock_unix_ms());
    } else if (asked->ask.is_answered && asked->ask.row) {
        struct outbox_posted posted = { 0 };
        read_posted(outflow_way(self, item->place), item, asked->ask.row, &posted);
        prepare(self, item, &posted);
        free(posted.objects);
        free(posted.languages);
    } else {
        not_answered(asked);
    }
    (void)pthread_mutex_unlock(&self->lock);
    discard_asked(item_in);
}

static void step_prepare(struct outbox_flow *self, struct outbox_item *item)
{
    static const struct outbox_posted nothing;
    const Desg__V1__OutboxItem *what = item->what;
    bool has_before =
        what->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST && what->broadcast->broadcast &&
        what->broadcast->action != DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST &&
        what->broadcast->broadcast->id.len == ID_BYTES && outflow_way(self, item->place)->platform;
    if (!has_before) {
        prepare(self, item, &nothing);
        return;
    }
    struct asked *asked = asked_new(self, item, OUTBOX_ASK_POSTED, run_posted);
    memcpy(asked->ask.broadcast.bytes, what->broadcast->broadcast->id.data, ID_BYTES);
    ask(asked);
}

/* --- begin --- */

static enum outbox_begun begun_of(enum store_begin begin)
{
    static const enum outbox_begun known[] = {
        [STORE_BEGIN_NOW] = OUTBOX_BEGUN_NOW,
        [STORE_BEGIN_NOT_OWNER] = OUTBOX_BEGUN_NOT_OWNER,
        [STORE_BEGIN_FROZEN] = OUTBOX_BEGUN_FROZEN,
        [STORE_BEGIN_STALE] = OUTBOX_BEGUN_STALE,
        [STORE_BEGIN_CANCELLED] = OUTBOX_BEGUN_CANCELLED,
        [STORE_BEGIN_STARTED] = OUTBOX_BEGUN_STARTED,
        [STORE_BEGIN_OVER] = OUTBOX_BEGUN_OVER,
    };
    return known[begin];
}

static void run_begun(struct inbox_item *item_in)
{
    struct asked *asked = (struct asked *)item_in;
    struct outbox_flow *self = asked->flow;
    const struct store_begin_answer *answer = &asked->ask.begun;
    int64_t now_ms = clock_monotonic_ms();
    int64_t unix_ms = clock_unix_ms();
    (void)pthread_mutex_lock(&self->lock);
    if (asked->ask.is_answered) {
        struct outbox_begun_answer begun = { .begun = begun_of(answer->begin),
                                             .frozen_until_unix_ms = answer->until_ms,
                                             .last_person_unix_ms = answer->last_person_at_ms,
                                             .at_unix_ms = answer->at_ms };
        (void)snprintf(begun.reason, sizeof begun.reason, "%s", answer->reason);
        outbox_book_begun(self->book, asked->item, &begun, now_ms, unix_ms);
    } else {
        not_answered(asked);
    }
    (void)pthread_mutex_unlock(&self->lock);
    discard_asked(item_in);
}

static void step_begin(struct outbox_flow *self, struct outbox_item *item)
{
    const struct outbox_plan *plan = item->plan;
    const struct outbox_part *part = &plan->parts[item->part];
    const char *said = part->text ? part->text : part->object_id;
    struct asked *asked = asked_new(self, item, OUTBOX_ASK_BEGIN, run_begun);
    asked->ask.what = unpack_copy(&item->what->base);
    asked->ask.begin = (struct store_begin_ask){ .part = item->part,
                                                 .parts = item->parts,
                                                 .owner_fence = item->place->fence };
    crypto_sha256(said, strlen(said), asked->ask.begin.body_hash);
    ask(asked);
}

/* --- check --- */

static struct outbox_known known_of(const struct outbox_item *item, const json_t *row)
{
    struct outbox_known known = { .is_known = row != NULL };
    const char *state = json_string_value(json_object_get(row, "state"));
    char part[16];
    if (!state)
        return known;
    (void)snprintf(part, sizeof part, "%u", item->part);
    known.is_over = strcmp(state, "sent") == 0 || strcmp(state, "refused") == 0 ||
                    strcmp(state, "settled") == 0;
    known.has_echo = json_object_get(json_object_get(row, "echo"), part) != NULL;
    known.parts_sent = (uint32_t)json_integer_value(json_object_get(row, "parts_sent"));
    json_int_t fence = json_integer_value(json_object_get(row, "fence"));
    known.is_ours = fence > 0 && (uint64_t)fence == item->place->fence && item->place->is_ours;
    return known;
}

static void run_checked(struct inbox_item *item_in)
{
    struct asked *asked = (struct asked *)item_in;
    struct outbox_flow *self = asked->flow;
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&self->lock);
    if (asked->ask.is_answered) {
        struct outbox_known known = known_of(asked->item, asked->ask.row);
        outbox_book_checked(self->book, asked->item, &known, now_ms);
    } else {
        not_answered(asked);
    }
    (void)pthread_mutex_unlock(&self->lock);
    discard_asked(item_in);
}

/* --- look --- */

/* An edit or a removal may be said again, and so may what goes under a key. */
static bool is_harmless_again(const struct outbox_item *item, int64_t unix_ms)
{
    const struct outbox_plan *plan = item->plan;
    const struct outbox_place_options *options = &item->place->options;
    return plan->parts[item->part].deed != OUTBOX_SEND ||
           (options->has_key && !item->is_duplicate &&
            unix_ms - item->key_unix_ms < options->key_ms);
}

static void run_echo(struct inbox_item *item_in)
{
    struct asked *asked = (struct asked *)item_in;
    struct outbox_flow *self = asked->flow;
    struct outbox_item *item = asked->item;
    int64_t now_ms = clock_monotonic_ms();
    int64_t unix_ms = clock_unix_ms();
    (void)pthread_mutex_lock(&self->lock);
    if (!asked->ask.is_answered)
        not_answered(asked);
    else if (asked->ask.object_id[0] != '\0')
        outbox_book_looked(self->book, item, PLATFORM_IS_THERE, asked->ask.object_id, now_ms,
                           unix_ms);
    else if (item->stage == OUTBOX_LOOK && outflow_way(self, item->place)->platform &&
             outflow_way(self, item->place)->platform->look_up)
        outflow_look_there(self, item);
    else
        outbox_book_looked(self->book, item, PLATFORM_CANNOT_SAY, "", now_ms, unix_ms);
    (void)pthread_mutex_unlock(&self->lock);
    discard_asked(item_in);
}

static void step_look(struct outbox_flow *self, struct outbox_item *item)
{
    int64_t unix_ms = clock_unix_ms();
    const struct outbox_plan *plan = item->plan;
    if (item->part >= plan->count) { /* cut otherwise than before a restart */
        outbox_book_looked(self->book, item, PLATFORM_CANNOT_SAY, "", clock_monotonic_ms(),
                           unix_ms);
        return;
    }
    if (item->stage == OUTBOX_LOOK && is_harmless_again(item, unix_ms)) {
        outbox_book_repeat(self->book, item, clock_monotonic_ms(), unix_ms);
        return;
    }
    ask(asked_new(self, item, OUTBOX_ASK_ECHO, run_echo));
}

/* --- what is next --- */

static void do_step(struct outbox_flow *self, const struct outbox_step *step)
{
    switch (step->what) {
    case OUTBOX_PREPARE:
        step_prepare(self, step->item);
        break;
    case OUTBOX_BEGIN:
        step_begin(self, step->item);
        break;
    case OUTBOX_WRITE:
        outflow_write(self, step->item);
        break;
    case OUTBOX_CALL:
        outflow_call(self, step->item);
        break;
    case OUTBOX_LOOK:
        step_look(self, step->item);
        break;
    case OUTBOX_CHECK:
        ask(asked_new(self, step->item, OUTBOX_ASK_ITEM, run_checked));
        break;
    case OUTBOX_PROBE:
        outflow_probe(self, step->place);
        break;
    default:
        assert(!"no step");
    }
}

static void tell_all(struct outbox_flow *self)
{
    struct outbox_tell tell;
    while (outbox_book_next_tell(self->book, &tell))
        outflow_tell(self, &tell);
}

int64_t outbox_flow_run(struct outbox_flow *self)
{
    struct outbox_step step;
    (void)pthread_mutex_lock(&self->lock);
    tell_all(self);
    while (outbox_book_next(self->book, clock_monotonic_ms(), clock_unix_ms(), &step)) {
        do_step(self, &step);
        tell_all(self);
    }
    tell_all(self);
    outflow_note_places(self);
    int64_t due_ms = outbox_book_due_ms(self->book, clock_monotonic_ms());
    (void)pthread_mutex_unlock(&self->lock);
    return due_ms;
}

/* --- what Redis's thread says --- */

static struct outbox_place *place_of(struct outbox_flow *self, size_t index)
{
    struct outbox_place *place = outbox_book_place_at(self->book, index);
    assert(place);
    return place;
}

void outbox_flow_owned(struct outbox_flow *self, size_t place, uint64_t fence, int64_t until_ms)
{
    (void)pthread_mutex_lock(&self->lock);
    outbox_book_owned(self->book, place_of(self, place), fence, until_ms);
    (void)pthread_mutex_unlock(&self->lock);
}

void outbox_flow_lost(struct outbox_flow *self, size_t place)
{
    (void)pthread_mutex_lock(&self->lock);
    outbox_book_lost(self->book, place_of(self, place));
    (void)pthread_mutex_unlock(&self->lock);
}

void outbox_flow_read_through(struct outbox_flow *self, size_t place)
{
    (void)pthread_mutex_lock(&self->lock);
    outbox_book_read_through(place_of(self, place));
    (void)pthread_mutex_unlock(&self->lock);
}

static bool is_sound(const Desg__V1__OutboxItem *what)
{
    if (!what || what->id.len != ID_BYTES)
        return false;
    switch (what->what_case) {
    case DESG__V1__OUTBOX_ITEM__WHAT_REPLY:
        return what->reply->conversation_id.len == ID_BYTES;
    case DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT:
        return what->receipt->conversation_id.len == ID_BYTES;
    case DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST:
        return what->broadcast->broadcast != NULL;
    default:
        return false;
    }
}

static void take(struct outbox_flow *self, struct outbox_place *place, Desg__V1__OutboxItem *what,
                 const char *stream_id)
{
    struct outbox_item *item = NULL;
    char id[ID_TEXT_BYTES];
    char before[sizeof item->stream_id] = "";
    struct id key;
    memcpy(key.bytes, what->id.data, ID_BYTES);
    struct outbox_item *known = outbox_book_find(self->book, &key);
    if (known)
        (void)snprintf(before, sizeof before, "%s", known->stream_id);
    enum outbox_intake intake =
        outbox_book_take(self->book, place, what, stream_id, clock_monotonic_ms(), &item);
    if (before[0] != '\0' && strcmp(before, stream_id) != 0)
        self->options.done(self->options.arg, place->index, before); /* entered twice */
    if (intake != OUTBOX_NEW)
        return;
    id_text(item->id.bytes, id);
    log_info("item_taken", KV("item", id), KV("place", place->name),
             KV("kind", outbox_class_name(item->class)));
    outflow_store(self, item);
}

void outbox_flow_take(struct outbox_flow *self, size_t place, const char *stream_id,
                      const uint8_t *bytes, size_t length)
{
    Desg__V1__OutboxItem *what = unpack_or_end(&desg__v1__outbox_item__descriptor, bytes, length);
    if (!is_sound(what)) { /* stays where it is: a later version may read it */
        log_error("item_unreadable", KV("stream", stream_id), KV("bytes", length),
                  KV("remedy", "a newer desk or store wrote it: update notify"));
        desg__v1__outbox_item__free_unpacked(what, NULL);
        return;
    }
    (void)pthread_mutex_lock(&self->lock);
    take(self, place_of(self, place), what, stream_id);
    (void)pthread_mutex_unlock(&self->lock);
}

void outbox_flow_settled(struct outbox_flow *self, const Desg__V1__SendSettled *settled)
{
    struct error err = { 0 };
    (void)pthread_mutex_lock(&self->lock);
    if (outbox_book_settled(self->book, settled, clock_monotonic_ms())) {
        char id[ID_TEXT_BYTES];
        id_text(settled->item_id.data, id);
        log_info("item_settled", KV("item", id), KV("as", (int)settled->as));
        if (outbox_journal_settled(self->options.journal, settled, &err) != 0)
            outflow_not_journalled(self, &err); /* desk has it, and Redis */
    }
    (void)pthread_mutex_unlock(&self->lock);
}

static void free_job(void *job)
{
    outbox_job_free(job);
}

static void add_place(struct outbox_flow *self, const struct outbox_place_options *options,
                      const struct outbox_way *way)
{
    struct outbox_place *place = outbox_book_add_place(self->book, options, clock_monotonic_ms());
    assert(place->index < OUTBOX_PLACES_MAX);
    self->spots[place->index].way = *way;
    outflow_spot_init(self, place);
    (void)self->options.add_place(self->options.arg, place->name);
}

void outbox_flow_stray(struct outbox_flow *self, const char *name)
{
    const struct outbox_place_options options = {
        .name = name, .refuse = "not configured", .per_minute = 600, .calls_max = 1
    };
    const struct outbox_way way = { .config = self->options.config };
    (void)pthread_mutex_lock(&self->lock);
    bool is_new = !outbox_book_place(self->book, name) &&
                  outbox_book_place_at(self->book, OUTBOX_PLACES_MAX - 1) == NULL;
    if (is_new) {
        add_place(self, &options, &way);
        log_error("place_not_configured", KV("place", name),
                  KV("remedy", "what waits there is refused: add it to outward.accounts or "
                               "outward.outlets, or remove it where it is named"));
    }
    (void)pthread_mutex_unlock(&self->lock);
}

void outbox_flow_projected(struct outbox_flow *self, uint64_t sequence)
{
    (void)pthread_mutex_lock(&self->lock);
    outbox_book_projected(self->book, sequence);
    (void)pthread_mutex_unlock(&self->lock);
}

/* --- upkeep --- */

static void let_go(struct outbox_flow *self)
{
    struct outbox_place *place = NULL;
    for (size_t i = 0; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        for (struct outbox_item *item = place->first, *next = NULL; item; item = next) {
            next = item->next;
            if (!outbox_book_is_done(self->book, item))
                continue;
            self->options.done(self->options.arg, i, item->stream_id);
            outbox_book_gone(item);
        }
    }
}

void outbox_flow_tick(struct outbox_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    int64_t now_ms = clock_monotonic_ms();
    int64_t unix_ms = clock_unix_ms();
    outbox_book_tick(self->book, now_ms, unix_ms);
    tell_all(self);
    let_go(self);
    outflow_keep_journal(self, now_ms);
    outflow_show(self, now_ms, unix_ms);
    (void)pthread_mutex_unlock(&self->lock);
}

void outbox_flow_drain(struct outbox_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_draining = true;
    outbox_book_drain(self->book);
    (void)pthread_mutex_unlock(&self->lock);
}

bool outbox_flow_is_drained(struct outbox_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_drained = self->is_draining && self->storing == 0 && !outbox_book_is_busy(self->book);
    (void)pthread_mutex_unlock(&self->lock);
    return is_drained;
}

/* --- life --- */

static void add_account(struct outbox_flow *self, const struct outward_account *account)
{
    enum { CALLS_AT_ONCE = 8 };
    char name[OUTBOX_NAME_BYTES];
    const struct platform *platform = platform_for_channel(account->channel);
    (void)snprintf(name, sizeof name, "%s:%s", account->channel, account->account);
    const struct outbox_way way = { .config = self->options.config,
                                    .account = account,
                                    .platform = platform };
    const struct outbox_place_options options = { .name = name,
                                                  .refuse = platform ? NULL : "no such platform",
                                                  .per_minute = account->per_minute,
                                                  .calls_max = CALLS_AT_ONCE,
                                                  .has_key = platform && platform->has_key,
                                                  .key_ms = INT64_MAX,
                                                  .call_ms = OUTFLOW_ACCOUNT_TIMEOUT_MS,
                                                  .can_probe = platform && platform->probe };
    add_place(self, &options, &way);
}

static void add_outlet(struct outbox_flow *self, const struct outward_outlet *outlet)
{
    enum { MASTODON_KEY_MS = 50 * 60000 }; /* it forgets keys after an hour */
    char name[OUTBOX_NAME_BYTES];
    const struct platform *platform = platform_for_outlet(outlet->kind);
    bool is_forgetful = strcmp(outlet->kind, "mastodon") == 0;
    (void)snprintf(name, sizeof name, "outlet:%s", outlet->name);
    const struct outbox_way way = { .config = self->options.config,
                                    .outlet = outlet,
                                    .platform = platform };
    const struct outbox_place_options options = { .name = name,
                                                  .per_minute = outlet->per_minute,
                                                  .calls_max = 1,
                                                  .has_key = !platform || platform->has_key,
                                                  .key_ms =
                                                      is_forgetful ? MASTODON_KEY_MS : INT64_MAX,
                                                  .call_ms = outlet->timeout_ms,
                                                  .can_probe = platform && platform->probe };
    add_place(self, &options, &way);
}

static void add_places(struct outbox_flow *self)
{
    const struct outward_config *config = self->options.config;
    for (unsigned i = 0; i < config->accounts_count; i++)
        add_account(self, &config->accounts[i]);
    for (unsigned i = 0; i < config->outlets_count; i++)
        add_outlet(self, &config->outlets[i]);
}

/* The journal may name places that are configured no longer. */
static void add_old_places(struct outbox_flow *self, size_t first)
{
    struct outbox_place *place = NULL;
    for (size_t i = first; (place = outbox_book_place_at(self->book, i)) != NULL; i++) {
        assert(i < OUTBOX_PLACES_MAX);
        self->spots[i].way.config = self->options.config;
        outflow_spot_init(self, place);
        (void)self->options.add_place(self->options.arg, place->name);
    }
}

struct outbox_flow *outbox_flow_new(const struct outbox_flow_options *options, struct error *err)
{
    struct outbox_flow *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the outbox");
        return NULL;
    }
    const struct outward_config *config = options->config;
    self->options = *options;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    self->carries = (struct carries){
        .lock = &self->lock, .inbox = options->inbox, .moved = outflow_moved, .arg = self
    };
    const struct outbox_book_options book = {
        .urgent_share_percent = config->urgent_share_percent,
        .unknown_after_ms = (int64_t)config->unknown_after_s * 1000,
        .probe_ms = (int64_t)config->probe_minutes * 60000,
        .receipt_again_ms = (int64_t)config->receipts.again_after_hours * 3600000,
        .retention_ms = options->retention_ms,
        .seed = options->seed,
        .free_plan = outbox_plan_free,
        .free_job = free_job,
    };
    self->book = outbox_book_new(&book);
    outflow_metrics_init(self);
    add_places(self);
    size_t configured = config->accounts_count + config->outlets_count;
    if (outflow_replay(self, err) != 0)
        outbox_flow_destroy(&self);
    else
        add_old_places(self, configured);
    return self;
}

void outbox_flow_destroy(struct outbox_flow **self_p)
{
    struct outbox_flow *self = *self_p;
    if (!self)
        return;
    carries_clear(&self->carries);
    outbox_book_destroy(&self->book);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
