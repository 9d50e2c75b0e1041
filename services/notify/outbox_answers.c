/* What came of a step. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "notify/outbox_book.h"
#include "notify/outbox_book_inside.h"

enum {
    HTTP_TOO_MANY = 429,
    HTTP_SERVER_ERROR = 500,
    HTTP_UNAVAILABLE = 503,
    PERCENT = 100,
    BLOCK_BASE_MS = 60000,
    PROBE_AGAIN_MS = 60000,
    LOOK_BASE_MS = 1000,
    ABSENCES = 2 /* looks that must agree before it is sent again */
};

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void back(struct outbox_item *item, enum outbox_stage expected)
{
    assert(item->is_out && (item->out_as == expected || expected == OUTBOX_OVER));
    item->is_out = false;
}

/* --- a part is done, or the item --- */

static void next_part(struct outbox_book *self, struct outbox_item *item, int64_t now_ms)
{
    item->part++;
    item->failures = item->looks = item->absences = 0;
    item->is_open = item->is_duplicate = item->is_begun_else = false;
    item->begun_fence = 0;
    item->key_unix_ms = 0;
    item->error[0] = '\0';
    item->stage = OUTBOX_BEGIN;
    item->due_ms = now_ms;
    book_leave_works(item);
    if (item->parts > 0 && item->part >= item->parts)
        book_end(self, item, now_ms);
    else if (!item->plan)
        item->stage = OUTBOX_PREPARE;
}

static void part_sent(struct outbox_book *self, struct outbox_item *item, const char *object_id,
                      unsigned http_status, int64_t now_ms, int64_t unix_ms)
{
    item->place->sent++;
    item->place->blocks = 0;
    item->receipt_unix_ms = unix_ms;
    book_make_room(item, item->part + 1 > item->parts ? item->part + 1 : item->parts);
    book_copy(item->objects[item->part], sizeof item->objects[item->part], object_id);
    struct outbox_tell *tell =
        book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT, "", unix_ms);
    book_copy(tell->object_id, sizeof tell->object_id, object_id);
    tell->http_status = http_status;
    if (item->part + 1 >= item->parts)
        book_tell_last(self, item, tell, now_ms);
    else
        next_part(self, item, now_ms);
}

/* Certainly not sent. */
static struct outbox_tell *part_later(struct outbox_book *self, struct outbox_item *item,
                                      const char *error, int64_t wait_ms, int64_t now_ms,
                                      int64_t unix_ms)
{
    book_leave_works(item);
    item->is_open = false;
    item->stage = OUTBOX_BEGIN;
    item->due_ms = now_ms + wait_ms;
    item->place->later++;
    book_copy(item->error, sizeof item->error, error);
    /* Dated as what it answers: another owner may have begun it since, and that stands. */
    struct outbox_tell *tell = book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER,
                                         error, item->stamp_unix_ms);
    tell->again_unix_ms = unix_ms + wait_ms;
    return tell;
}

static struct outbox_tell *refused(struct outbox_book *self, struct outbox_item *item,
                                   const char *why, int64_t now_ms, int64_t unix_ms)
{
    (void)now_ms;
    item->place->refused++;
    book_copy(item->error, sizeof item->error, why);
    return book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED, why, unix_ms);
}

static void ask_a_person(struct outbox_book *self, struct outbox_item *item, int64_t now_ms,
                         int64_t unix_ms)
{
    item->stage = OUTBOX_HOLD;
    item->due_ms = now_ms + OUTBOX_LATE_LOOK_MS;
    struct outbox_tell *tell =
        book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN,
                  item->error[0] ? item->error : "begun before, and nobody knows", unix_ms);
    tell->http_status = item->http_status;
    tell->code = item->code;
}

void outbox_book_refuse(struct outbox_book *self, struct outbox_item *item, const char *why,
                        int64_t now_ms, int64_t unix_ms)
{
    bool was_out = item->is_out;
    item->is_out = false;
    if (was_out && (item->out_as == OUTBOX_WRITE || item->out_as == OUTBOX_BEGIN))
        outbox_rate_give_back(&item->place->rate);
    if (item->is_open) { /* it may have been sent: that is no refusal */
        if (item->stage == OUTBOX_LOOK)
            ask_a_person(self, item, now_ms, unix_ms);
        item->due_ms = now_ms + OUTBOX_LATE_LOOK_MS;
        return;
    }
    book_tell_last(self, item, refused(self, item, why, now_ms, unix_ms), now_ms);
}

static void block(const struct outbox_book *self, struct outbox_place *place, const char *problem,
                  int64_t now_ms, int64_t unix_ms)
{
    int64_t wait_ms = BLOCK_BASE_MS;
    for (uint32_t i = 0; i < place->blocks && wait_ms < self->options.probe_ms; i++)
        wait_ms *= 2;
    place->blocks++;
    place->probe_ms = now_ms + sooner(wait_ms, self->options.probe_ms);
    if (!place->is_blocked)
        place->blocked_unix_ms = unix_ms;
    place->is_blocked = true;
    book_copy(place->problem, sizeof place->problem, problem);
}

/* --- prepare --- */

void outbox_book_prepared(struct outbox_book *self, struct outbox_item *item, uint32_t parts,
                          void *plan, int64_t now_ms)
{
    assert(parts > 0);
    back(item, OUTBOX_PREPARE);
    if (item->plan && self->options.free_plan)
        self->options.free_plan(item->plan);
    item->plan = plan;
    book_make_room(item, parts);
    item->parts = parts;
    item->due_ms = now_ms;
    if (item->part >= parts) /* all of it was sent before a restart */
        book_end(self, item, now_ms);
    else if (item->stage == OUTBOX_PREPARE)
        item->stage = OUTBOX_BEGIN;
}

void outbox_book_postpone(struct outbox_book *self, struct outbox_item *item, const char *why,
                          int64_t wait_ms, int64_t now_ms, int64_t unix_ms)
{
    back(item, OUTBOX_OVER);
    if (item->stage == OUTBOX_OVER)
        return;
    switch (item->out_as) {
    case OUTBOX_BEGIN:
    case OUTBOX_WRITE: /* no intent, no call */
        outbox_rate_give_back(&item->place->rate);
        book_leave_works(item);
        item->stage = OUTBOX_BEGIN;
        item->due_ms = now_ms + wait_ms;
        break;
    case OUTBOX_CALL:
        (void)part_later(self, item, why, wait_ms, now_ms, unix_ms);
        break;
    case OUTBOX_CHECK:
        item->aside_ms = item->due_ms = now_ms + wait_ms;
        break;
    default:
        item->due_ms = now_ms + wait_ms;
        break;
    }
}

void outbox_book_cannot(struct outbox_book *self, struct outbox_item *item, const char *why,
                        int64_t now_ms, int64_t unix_ms)
{
    back(item, OUTBOX_WRITE);
    outbox_rate_give_back(&item->place->rate);
    book_leave_works(item);
    item->stage = OUTBOX_BEGIN;
    item->due_ms = now_ms;
    book_copy(item->error, sizeof item->error, why);
    (void)book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED, why, unix_ms);
    block(self, item->place, why, now_ms, unix_ms);
}

/* --- begin, write --- */

static void begin_looking(struct outbox_item *item, int64_t now_ms)
{
    book_leave_works(item);
    item->stage = OUTBOX_LOOK;
    item->is_open = true;
    book_look_anew(item, now_ms);
    item->due_ms = now_ms + LOOK_BASE_MS;
}

static void allowed(struct outbox_item *item)
{
    item->begun_fence = item->place->fence;
    item->is_begun_else = false;
    if (item->is_recheck) { /* a person said: again */
        item->is_recheck = item->is_open = item->is_duplicate = false;
        item->key_unix_ms = 0;
    }
    item->stage = OUTBOX_WRITE;
}

/* Somebody began this part before, or its echo came back: Redis is asked which. */
static void started(struct outbox_item *item, int64_t now_ms, int64_t unix_ms)
{
    const struct outbox_place_options *options = &item->place->options;
    /* By whom and when is not known here: not before it was decided. */
    int64_t first_unix_ms = item->key_unix_ms ? item->key_unix_ms : item->decided_unix_ms;
    if (options->has_key && !item->is_open && unix_ms - first_unix_ms < options->key_ms) {
        allowed(item); /* under the same key */
        item->key_unix_ms = first_unix_ms;
        return;
    }
    book_leave_works(item);
    if (item->is_recheck) {
        item->is_recheck = false;
        item->stage = OUTBOX_HOLD;
        item->due_ms = now_ms;
        return;
    }
    item->is_to_check = item->is_begun_else = true;
    item->due_ms = now_ms;
}

/* Tried before under a key that the other side may not know any more. */
static bool is_key_forgotten(const struct outbox_item *item, int64_t unix_ms)
{
    return item->place->options.has_key && item->key_unix_ms != 0 && !item->is_recheck &&
           unix_ms - item->key_unix_ms >= item->place->options.key_ms;
}

/* Redis says where it stands: begun by nobody else, and no call of ours is open. */
static void may_go_on(struct outbox_item *item)
{
    struct outbox_place *place = item->place;
    item->is_in_works = true;
    place->calls++;
    item->begun_fence = place->fence;
    item->is_begun_else = false;
    item->stage = OUTBOX_WRITE;
}

static void frozen(struct outbox_item *item, int64_t until_unix_ms, int64_t now_ms, int64_t unix_ms)
{
    struct outbox_place *place = item->place;
    int64_t wait_ms = until_unix_ms - unix_ms;
    if (wait_ms > OUTBOX_FROZEN_LOOK_MS || wait_ms < 0)
        wait_ms = OUTBOX_FROZEN_LOOK_MS;
    place->frozen_ms = now_ms + wait_ms;
    place->frozen_until_unix_ms = until_unix_ms;
    item->due_ms = now_ms + wait_ms;
    book_leave_works(item);
    if (item->class == OUTBOX_BROADCAST && item->part == 0)
        item->stage = OUTBOX_PREPARE; /* what stands there may be another by then */
}

void outbox_book_begun(struct outbox_book *self, struct outbox_item *item,
                       const struct outbox_begun_answer *answer, int64_t now_ms, int64_t unix_ms)
{
    struct outbox_place *place = item->place;
    back(item, OUTBOX_BEGIN);
    if (answer->at_unix_ms > item->stamp_unix_ms)
        item->stamp_unix_ms = answer->at_unix_ms;
    if (answer->begun == OUTBOX_BEGUN_NOW) {
        item->is_person_known = true;
        item->last_person_unix_ms = answer->last_person_unix_ms;
    }
    if (answer->begun != OUTBOX_BEGUN_NOW && answer->begun != OUTBOX_BEGUN_STARTED)
        outbox_rate_give_back(&place->rate);
    switch (answer->begun) {
    case OUTBOX_BEGUN_NOW:
        if (item->class == OUTBOX_RECEIPT || item->class == OUTBOX_BROADCAST)
            place->frozen_until_unix_ms = 0;
        if (is_key_forgotten(item, unix_ms))
            begin_looking(item, now_ms); /* what became of the tries before may not be known */
        else
            allowed(item);
        break;
    case OUTBOX_BEGUN_NOT_OWNER:
        book_leave_works(item);
        outbox_book_lost(self, place);
        break;
    case OUTBOX_BEGUN_FROZEN:
        frozen(item, answer->frozen_until_unix_ms, now_ms, unix_ms);
        break;
    case OUTBOX_BEGUN_STALE: { /* the reason may name an agent: not for logs */
        struct outbox_tell *tell = refused(self, item, answer->reason, now_ms, unix_ms);
        book_copy(item->error, sizeof item->error, "stale");
        book_tell_last(self, item, tell, now_ms);
        break;
    }
    case OUTBOX_BEGUN_CANCELLED: /* nobody's task: a later version has taken its place */
        book_copy(item->error, sizeof item->error, "overtaken");
        book_tell_last(self, item,
                       book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED,
                                 answer->reason[0] ? answer->reason : "overtaken", unix_ms),
                       now_ms);
        break;
    case OUTBOX_BEGUN_STARTED:
        started(item, now_ms, unix_ms);
        break;
    case OUTBOX_BEGUN_OVER:
        book_leave_works(item);
        item->is_to_check = true;
        item->is_begun_else = item->is_recheck = false;
        item->due_ms = now_ms;
        break;
    }
}

/* A person said of what was over: again. Redis says from which part on. */
static void revive(struct outbox_item *item, const struct outbox_known *known, int64_t now_ms)
{
    item->is_shown_again = false;
    item->stage = OUTBOX_PREPARE;
    item->part = known->parts_sent;
    item->parts = 0;
    item->failures = 0;
    item->begun_fence = 0;
    item->key_unix_ms = 0;
    item->is_given_up = item->is_duplicate = false;
    item->told_sequence = 0;
    item->is_stored = false; /* its record may be older than what the journal keeps */
    item->due_ms = item->taken_ms = now_ms;
    if (item->is_open) { /* sent again before a restart, and then? */
        item->stage = OUTBOX_LOOK;
        book_look_anew(item, now_ms);
    }
}

static void checked_over(struct outbox_item *item, const struct outbox_known *known, int64_t now_ms)
{
    if (known->is_known && !known->is_over && item->what)
        revive(item, known, now_ms);
    else
        item->is_shown_again = false;
}

void outbox_book_checked(struct outbox_book *self, struct outbox_item *item,
                         const struct outbox_known *known, int64_t now_ms)
{
    back(item, OUTBOX_CHECK);
    item->aside_ms = now_ms + OUTBOX_ASIDE_CHECK_MS;
    if (item->stage == OUTBOX_OVER) {
        checked_over(item, known, now_ms);
        return;
    }
    if (known->is_known && known->is_over) {
        book_end(self, item, now_ms);
        return;
    }
    if (!item->is_to_check)
        return;
    item->is_to_check = false;
    item->due_ms = now_ms;
    bool was_ours = item->begun_fence == item->place->fence || known->is_ours;
    if (known->parts_sent > item->part) {
        book_make_room(item, known->parts_sent);
        item->part = known->parts_sent - 1;
        next_part(self, item, now_ms);
    } else if (item->is_begun_else && was_ours && !item->is_open && !known->has_echo &&
               item->stream_id[0] != '\0') {
        may_go_on(item); /* and no call followed */
    } else if (item->is_begun_else) {
        begin_looking(item, now_ms);
        item->due_ms = known->has_echo ? now_ms : item->due_ms;
    } else {
        item->due_ms = now_ms + OUTBOX_KNOWN_WAIT_MS;
    }
}

int64_t outbox_book_intent_at(struct outbox_item *item, int64_t unix_ms)
{
    if (item->stamp_unix_ms >= unix_ms)
        unix_ms = item->stamp_unix_ms + 1;
    item->stamp_unix_ms = unix_ms;
    item->called_unix_ms = unix_ms;
    return unix_ms;
}

void outbox_book_written(struct outbox_item *item)
{
    back(item, OUTBOX_WRITE);
    if (item->key_unix_ms == 0)
        item->key_unix_ms = item->called_unix_ms;
    item->is_open = true;
    item->stage = OUTBOX_CALL;
}

/* --- call --- */

/* The whole place waits where the platform speaks of its own limit or is down; else the item alone.
 */
static int64_t pace(struct outbox_item *item, const struct platform_result *result,
                    unsigned http_status, int64_t now_ms)
{
    struct outbox_rate *rate = &item->place->rate;
    item->failures++;
    int64_t wait_ms = outbox_rate_delay_ms(rate, item->failures, result->after_ms);
    if (http_status == HTTP_TOO_MANY || http_status == HTTP_UNAVAILABLE ||
        result->used_percent >= PERCENT)
        outbox_rate_hold(rate, wait_ms, now_ms);
    else if (http_status == 0 || http_status >= HTTP_SERVER_ERROR)
        outbox_rate_failed(rate, now_ms);
    return wait_ms;
}

static bool may_repeat(const struct outbox_item *item, const struct platform_result *result,
                       int64_t unix_ms)
{
    return item->place->options.has_key && !result->is_duplicate &&
           unix_ms - item->key_unix_ms < item->place->options.key_ms;
}

void outbox_book_answered(struct outbox_book *self, struct outbox_item *item,
                          const struct platform_result *result, unsigned http_status,
                          int64_t now_ms, int64_t unix_ms)
{
    struct outbox_place *place = item->place;
    struct outbox_tell *tell = NULL;
    back(item, OUTBOX_CALL);
    item->http_status = http_status;
    item->code = result->code;
    book_copy(item->error, sizeof item->error, result->error);
    outbox_rate_usage(&place->rate, result->used_percent,
                      result->reset_ms > unix_ms ? result->reset_ms - unix_ms : 0, now_ms);
    if (http_status != 0 && http_status < HTTP_SERVER_ERROR)
        outbox_rate_worked(&place->rate);
    switch (result->outcome) {
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT:
        part_sent(self, item, result->object_id, http_status, now_ms, unix_ms);
        return;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER:
        tell = part_later(self, item, result->error, pace(item, result, http_status, now_ms),
                          now_ms, unix_ms);
        break;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED:
        tell = refused(self, item, result->error, now_ms, unix_ms);
        tell->http_status = http_status;
        tell->code = result->code;
        book_tell_last(self, item, tell, now_ms);
        return;
    case DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED:
        book_leave_works(item);
        item->is_open = false;
        item->stage = OUTBOX_BEGIN;
        item->due_ms = now_ms;
        block(self, place, result->error, now_ms, unix_ms);
        tell = book_tell(self, item, DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED, result->error,
                         item->stamp_unix_ms); /* as in part_later */
        break;
    default: { /* it may have been sent */
        int64_t wait_ms = pace(item, result, http_status, now_ms);
        item->is_duplicate |= result->is_duplicate;
        if (!may_repeat(item, result, unix_ms)) {
            begin_looking(item, now_ms);
            if (item->begun_fence == place->fence)
                item->absent_ms = 0; /* the call was ours, and has ended */
            return;
        }
        tell = part_later(self, item, result->error, wait_ms, now_ms, unix_ms);
        break;
    }
    }
    tell->http_status = http_status;
    tell->code = result->code;
}

/* --- look --- */

void outbox_book_looked(struct outbox_book *self, struct outbox_item *item,
                        enum platform_found found, const char *object_id, int64_t now_ms,
                        int64_t unix_ms)
{
    back(item, OUTBOX_LOOK);
    if (item->stage != OUTBOX_LOOK && item->stage != OUTBOX_HOLD)
        return; /* a person was quicker */
    int64_t past_ms = now_ms - item->unknown_ms;
    item->looks++;
    item->absences = found == PLATFORM_IS_NOT ? item->absences + 1 : 0;
    if (found == PLATFORM_IS_THERE) {
        part_sent(self, item, object_id, 0, now_ms, unix_ms);
        return;
    }
    if (item->stage == OUTBOX_HOLD) {
        item->due_ms = now_ms + OUTBOX_LATE_LOOK_MS;
        return;
    }
    if (item->absences >= ABSENCES && !item->is_duplicate && past_ms >= item->absent_ms &&
        past_ms >= self->options.unknown_after_ms / 2 && item->place->is_ours &&
        item->look_fence == item->place->fence) {
        item->begun_fence = item->place->fence;
        item->key_unix_ms = 0;
        (void)part_later(self, item, "looked for: not there", 0, now_ms, unix_ms);
        return;
    }
    if (past_ms >= self->options.unknown_after_ms) {
        ask_a_person(self, item, now_ms, unix_ms);
        return;
    }
    int64_t wait_ms = (int64_t)LOOK_BASE_MS << (item->looks < 6 ? item->looks : 6);
    item->due_ms = now_ms + sooner(wait_ms, self->options.unknown_after_ms - past_ms);
}

void outbox_book_repeat(struct outbox_book *self, struct outbox_item *item, int64_t now_ms,
                        int64_t unix_ms)
{
    back(item, OUTBOX_LOOK);
    if (item->stage != OUTBOX_LOOK && item->stage != OUTBOX_HOLD)
        return;
    item->begun_fence = item->place->fence;
    (void)part_later(self, item, "repeated: that does no harm", 0, now_ms, unix_ms);
}

/* --- probe --- */

void outbox_book_probed(struct outbox_book *self, struct outbox_place *place,
                        const struct platform_result *result, int64_t now_ms, int64_t unix_ms)
{
    place->is_probing = false;
    if (result && result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED) {
        block(self, place, result->error, now_ms, unix_ms);
        return;
    }
    if (result && result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT) {
        place->is_blocked = false;
        place->problem[0] = '\0';
        place->probe_ms = now_ms + self->options.probe_ms;
        return;
    }
    place->probe_ms = now_ms + sooner(PROBE_AGAIN_MS, self->options.probe_ms);
}

/* --- a person --- */

bool outbox_book_settled(struct outbox_book *self, const Desg__V1__SendSettled *settled,
                         int64_t now_ms)
{
    struct id id;
    if (settled->item_id.len != ID_BYTES)
        return false;
    memcpy(id.bytes, settled->item_id.data, ID_BYTES);
    struct outbox_item *item = outbox_book_find(self, &id);
    if (!item || settled->at_ms <= item->settled_unix_ms)
        return false;
    item->settled_unix_ms = settled->at_ms;
    if (item->stamp_unix_ms < settled->at_ms)
        item->stamp_unix_ms = settled->at_ms;
    if (item->stage == OUTBOX_OVER)
        return true;
    if (settled->as == DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND) {
        item->is_given_up = settled->at_ms >= item->called_unix_ms;
        return true;
    }
    if (item->stage == OUTBOX_LOOK || item->stage == OUTBOX_HOLD) {
        /* Redis has heard it first and knows what it means for this part: it is asked. */
        item->stage = item->plan ? OUTBOX_BEGIN : OUTBOX_PREPARE;
        item->is_recheck = true;
        item->due_ms = now_ms;
    }
    return true;
}
