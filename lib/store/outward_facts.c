/* Facts about what goes out as arguments; what notify's journals say of it. */
#include "store/outward_facts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "store/call.h"

enum { FACTS_PER_CALL = 32, OUTLETS_MAX_BYTES = 2048, PARTS_MAX = 100 };

const char *store_outward_word(const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_REPLIED:
        return "replied";
    case DESG__V1__FACT__WHAT_DRAFTED:
        return "drafted";
    case DESG__V1__FACT__WHAT_APPROVED:
        return "approved";
    case DESG__V1__FACT__WHAT_PUBLISHED:
        return "published";
    case DESG__V1__FACT__WHAT_CANCELLED:
        return "cancelled";
    case DESG__V1__FACT__WHAT_FROZEN:
        return "frozen";
    case DESG__V1__FACT__WHAT_SETTLED:
        return "settled";
    default:
        return NULL;
    }
}

/* --- whether it can be one --- */

static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return name[0] != '\0' && strspn(name, letters) == strlen(name);
}

static int check_broadcast(const Desg__V1__Broadcast *broadcast, struct error *err)
{
    size_t bytes = 0;
    if (!broadcast || broadcast->id.len != ID_BYTES || broadcast->version == 0)
        return error_set(err, ERROR_INVALID, "a draft without broadcast, id or version");
    for (size_t i = 0; i < broadcast->n_outlets; i++) {
        if (!is_name(broadcast->outlets[i]))
            return error_set(err, ERROR_INVALID,
                             "an outlet's name is made of letters, digits and . _ -");
        bytes += strlen(broadcast->outlets[i]) + 1;
    }
    if (bytes > OUTLETS_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "%zu outlets are too many", broadcast->n_outlets);
    if (broadcast->expires_at_ms <= 0)
        return error_set(err, ERROR_INVALID, "a broadcast needs an expiry");
    return 0;
}

static int check_reply(const Desg__V1__OutboxItem *item, struct error *err)
{
    if (!item || item->what_case != DESG__V1__OUTBOX_ITEM__WHAT_REPLY ||
        item->reply->conversation_id.len != ID_BYTES || item->place[0] == '\0' ||
        strlen(item->place) >= STORE_PLACE_BYTES || strpbrk(item->place, " \n"))
        return error_set(err, ERROR_INVALID, "a reply without conversation or place");
    return 0;
}

static const ProtobufCBinaryData *subject_of(const Desg__V1__Fact *fact)
{
    static const ProtobufCBinaryData none = { 0 };
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_REPLIED:
        return &fact->replied->item->reply->conversation_id;
    case DESG__V1__FACT__WHAT_DRAFTED:
        return &fact->drafted->broadcast->id;
    case DESG__V1__FACT__WHAT_APPROVED:
        return &fact->approved->broadcast_id;
    case DESG__V1__FACT__WHAT_PUBLISHED:
        return &fact->published->broadcast_id;
    case DESG__V1__FACT__WHAT_CANCELLED:
        return &fact->cancelled->broadcast_id;
    case DESG__V1__FACT__WHAT_SETTLED:
        return &fact->settled->item_id;
    default:
        return &none;
    }
}

int store_outward_check(const Desg__V1__Fact *fact, struct error *err)
{
    if (fact->id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "a fact's id is %zu bytes instead of %d", fact->id.len,
                         ID_BYTES);
    if (fact->what_case == DESG__V1__FACT__WHAT_REPLIED)
        return check_reply(fact->replied->item, err);
    if (fact->what_case == DESG__V1__FACT__WHAT_DRAFTED)
        return check_broadcast(fact->drafted->broadcast, err);
    if (fact->what_case != DESG__V1__FACT__WHAT_FROZEN && subject_of(fact)->len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "it does not name what it is about by its id");
    if (fact->what_case == DESG__V1__FACT__WHAT_SETTLED &&
        (fact->settled->as < DESG__V1__SETTLED_AS__SETTLED_AS_THERE ||
         fact->settled->as > DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND))
        return error_set(err, ERROR_INVALID, "an item is settled as there, again or by hand");
    return 0;
}

/* --- as arguments: words, text, list, bytes --- */

static int64_t time_of(int64_t ms)
{
    return ms > 0 ? ms : 0;
}

static void add_list(struct call *call, char *const *names, size_t count, char separator)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(names[i]) + 1;
    char *list = calloc(1, bytes), *at = list;
    if (!list)
        abort(); /* as call.h says */
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, names[i]);
        *at++ = separator;
    }
    call_bytes(call, list, (size_t)(at - list));
    free(list);
}

static void add_draft(struct call *call, const Desg__V1__Broadcast *broadcast)
{
    bool has_welsh = broadcast->cy && broadcast->cy->headline[0] != '\0';
    call_format(
        call, "%" PRIu32 " %d %" PRId64 " %" PRId64 " %" PRId64 " %d %" PRId64 " %d %" PRId64,
        broadcast->version, broadcast->kind > 0 ? (int)broadcast->kind : 0,
        time_of(broadcast->starts_at_ms), time_of(broadcast->expires_at_ms),
        time_of(broadcast->publish_at_ms), broadcast->says_ended, time_of(broadcast->written_at_ms),
        has_welsh, broadcast->welsh_owed ? time_of(broadcast->welsh_owed->due_at_ms) : 0);
    call_text(call, broadcast->author);
    add_list(call, broadcast->outlets, broadcast->n_outlets, ',');
    call_message(call, &broadcast->base);
}

static void add_plain(struct call *call, uint64_t words, const char *text)
{
    call_format(call, "%" PRIu64, words);
    call_text(call, text);
    call_text(call, "");
    call_text(call, "");
}

static void add_what(struct call *call, const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_REPLIED:
        call_text(call, "");
        call_text(call, fact->replied->item->place);
        call_text(call, "");
        call_message(call, &fact->replied->item->base);
        break;
    case DESG__V1__FACT__WHAT_DRAFTED:
        add_draft(call, fact->drafted->broadcast);
        break;
    case DESG__V1__FACT__WHAT_APPROVED:
        add_plain(call, fact->approved->version, "");
        break;
    case DESG__V1__FACT__WHAT_PUBLISHED:
        add_plain(call, fact->published->version, "");
        break;
    case DESG__V1__FACT__WHAT_CANCELLED:
        add_plain(call, 0, fact->cancelled->reason);
        break;
    case DESG__V1__FACT__WHAT_FROZEN:
        call_format(call, "%" PRId64, time_of(fact->frozen->until_ms));
        call_text(call, fact->frozen->reason);
        add_list(call, fact->frozen->except, fact->frozen->n_except, '\n');
        call_text(call, "");
        break;
    default:
        add_plain(call, (uint64_t)fact->settled->as, "");
        break;
    }
}

void store_outward_add(struct call *call, const Desg__V1__Fact *fact)
{
    call_id(call, &fact->id);
    call_text(call, store_outward_word(fact));
    call_format(call, "%" PRId64, time_of(fact->at_ms));
    call_text(call, fact->agent);
    call_id(call, subject_of(fact));
    add_what(call, fact);
    call_message(call, &fact->base);
}

redisReply *store_outward_send(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                               char *history, struct error *err)
{
    AUTO(call_free) struct call *call = call_new(self, "outward_facts");
    call_format(call, "%" PRId64, clock_unix_ms());
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        if (store_outward_word(facts[i]) && store_outward_check(facts[i], &ignored) == 0)
            store_outward_add(call, facts[i]);
    }
    return call_send(self, call, 4, history, err);
}

/* --- items --- */

void store_place_of(const char *channel, const char *account, char out[static STORE_PLACE_BYTES])
{
    char words[2][STORE_WORD_BYTES];
    (void)snprintf(out, STORE_PLACE_BYTES, "%s:%s", store_word(channel, words[0]),
                   store_word(account, words[1]));
}

static const ProtobufCBinaryData *item_subject(const Desg__V1__OutboxItem *item, const char **kind)
{
    switch (item->what_case) {
    case DESG__V1__OUTBOX_ITEM__WHAT_REPLY:
        *kind = "reply";
        return &item->reply->conversation_id;
    case DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT:
        *kind = "receipt";
        return &item->receipt->conversation_id;
    case DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST:
        *kind = "broadcast";
        return item->broadcast->broadcast ? &item->broadcast->broadcast->id : NULL;
    default:
        return NULL;
    }
}

int store_item_head(const Desg__V1__OutboxItem *item, char out[static STORE_ITEM_HEAD_BYTES],
                    struct error *err)
{
    const char *kind = "";
    const ProtobufCBinaryData *subject = item_subject(item, &kind);
    if (item->id.len != ID_BYTES || !subject || subject->len != ID_BYTES ||
        item->place[0] == '\0' || strlen(item->place) >= STORE_PLACE_BYTES)
        return error_set(err, ERROR_INVALID, "an item without id, place, or what it is for");
    bool is_broadcast = item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST;
    unsigned action = is_broadcast ? (unsigned)item->broadcast->action : 0;
    if (is_broadcast && (action < 1 || action > DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END))
        return error_set(err, ERROR_INVALID, "an item with an action that is not known");
    char text[ID_TEXT_BYTES];
    id_text(subject->data, text);
    (void)snprintf(out, STORE_ITEM_HEAD_BYTES, "%s %s %" PRIu32 " %u %" PRId64, kind, text,
                   is_broadcast ? item->broadcast->broadcast->version : 0, action,
                   time_of(item->decided_at_ms));
    return 0;
}

/* --- what notify's journals say --- */

static void add_note(struct call *call, const ProtobufCBinaryData *item, const char *kind,
                     int64_t at_ms)
{
    call_id(call, item);
    call_text(call, kind);
    call_format(call, "%" PRId64, time_of(at_ms));
}

static int add_accepted(struct call *call, const Desg__V1__OutboxItem *item, struct error *err)
{
    char head[STORE_ITEM_HEAD_BYTES];
    if (store_item_head(item, head, err) != 0)
        return -1;
    bool is_receipt = item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT;
    add_note(call, &item->id, "accepted",
             is_receipt ? item->receipt->received_at_ms : item->decided_at_ms);
    call_text(call, head);
    call_text(call, item->place);
    call_text(call, "");
    call_message(call, &item->base);
    return 0;
}

static int check_note(const ProtobufCBinaryData *id, uint32_t part, struct error *err)
{
    if (id->len != ID_BYTES || part >= PARTS_MAX)
        return error_set(err, ERROR_INVALID, "a record about no item, or about part %" PRIu32,
                         part);
    return 0;
}

static int add_intent(struct call *call, const Desg__V1__SendIntent *intent, struct error *err)
{
    if (check_note(&intent->item_id, intent->part, err) != 0)
        return -1;
    add_note(call, &intent->item_id, "intent", intent->at_ms);
    call_format(call, "%" PRIu32 " %" PRIu32 " %" PRIu64, intent->part, intent->parts,
                intent->owner_fence);
    call_text(call, "");
    call_text(call, "");
    call_text(call, "");
    return 0;
}

static int add_result(struct call *call, const Desg__V1__SendResult *result, struct error *err)
{
    if (check_note(&result->item_id, result->part, err) != 0)
        return -1;
    if (result->outcome < DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT ||
        result->outcome > DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED)
        return error_set(err, ERROR_INVALID, "a result with an outcome that is not known");
    add_note(call, &result->item_id, "result", result->at_ms);
    call_format(call, "%" PRIu32 " %d %" PRIu32 " %" PRId32 " %" PRId64 " %d", result->part,
                (int)result->outcome, result->http_status, result->code,
                time_of(result->again_at_ms), result->is_last);
    call_text(call, result->error);
    call_text(call, result->object_id);
    call_text(call, "");
    return 0;
}

static int add_settled(struct call *call, const Desg__V1__SendSettled *settled, struct error *err)
{
    if (check_note(&settled->item_id, 0, err) != 0)
        return -1;
    if (settled->as < DESG__V1__SETTLED_AS__SETTLED_AS_THERE ||
        settled->as > DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND)
        return error_set(err, ERROR_INVALID, "settled in a way that is not known");
    add_note(call, &settled->item_id, "settled", settled->at_ms);
    call_format(call, "%d", (int)settled->as);
    call_text(call, settled->agent);
    call_text(call, "");
    call_text(call, "");
    return 0;
}

static int add_outward(struct call *call, const Desg__V1__OutwardFact *fact, struct error *err)
{
    switch (fact->fact_case) {
    case DESG__V1__OUTWARD_FACT__FACT_ACCEPTED:
        return add_accepted(call, fact->accepted, err);
    case DESG__V1__OUTWARD_FACT__FACT_INTENT:
        return add_intent(call, fact->intent, err);
    case DESG__V1__OUTWARD_FACT__FACT_RESULT:
        return add_result(call, fact->result, err);
    case DESG__V1__OUTWARD_FACT__FACT_SETTLED:
        return add_settled(call, fact->settled, err);
    default:
        return error_set(err, ERROR_INVALID, "a record of a kind that is not known");
    }
}

/* The answer: history, fault, whose it is, how many. What cannot be at all is said in *first. */
static int apply_notes(struct store *self, const Desg__V1__OutwardFact *const *facts, size_t count,
                       const char *name, char *history, struct error *first, struct error *err)
{
    AUTO(call_free) struct call *call = call_new(self, "outward_notes");
    call_text(call, name);
    for (size_t i = 0; i < count; i++) {
        struct error why = { 0 };
        if (add_outward(call, facts[i], &why) != 0 && first->kind == ERROR_NONE)
            *first = why;
    }
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, 4, history, err);
    if (!reply)
        return -1;
    const char *fault = store_text(reply->element[1]), *whose = store_text(reply->element[2]);
    if (fault[0] == '\0')
        return 0;
    if (!store_is_own_fault(fault))
        return error_set(err, ERROR_UNAVAILABLE, "not applied to Redis: %s", fault);
    if (first->kind == ERROR_NONE)
        (void)error_set(first, ERROR_INVALID, "not applied to Redis: %s: %s", whose, fault);
    return 0;
}

int store_outward_apply(struct store *self, const Desg__V1__OutwardFact *const *facts, size_t count,
                        const char *name, char history[static STORE_HISTORY_BYTES],
                        struct error *err)
{
    assert(self && (facts || count == 0) && name);
    struct error first = { 0 };
    size_t at = 0;
    do {
        size_t part = count - at < FACTS_PER_CALL ? count - at : FACTS_PER_CALL;
        char found[STORE_HISTORY_BYTES];
        if (apply_notes(self, facts + at, part, name, found, &first, err) != 0)
            return -1;
        if (at > 0 && memcmp(found, history, STORE_HISTORY_BYTES) != 0)
            return error_set(err, ERROR_UNAVAILABLE,
                             "Redis's history changed between two calls: apply all again");
        memcpy(history, found, STORE_HISTORY_BYTES);
        at += part;
    } while (at < count);
    if (first.kind == ERROR_NONE)
        return 0;
    return error_set(err, ERROR_INVALID, "%s", first.text);
}
