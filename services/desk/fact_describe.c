/* A fact as JSON: for answers, and for people who read the audit. */
#include <string.h>

#include "desk/api.h"
#include "outward/broadcast.h"
#include "store/plan.h"

const char *fact_kind(const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        return "closed";
    case DESG__V1__FACT__WHAT_GRADED:
        return "graded";
    case DESG__V1__FACT__WHAT_NOTED:
        return "noted";
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        return "alert-taken";
    case DESG__V1__FACT__WHAT_CLAIMED:
        return "claimed";
    case DESG__V1__FACT__WHAT_RELEASED:
        return "released";
    case DESG__V1__FACT__WHAT_VIEWED:
        return "viewed";
    case DESG__V1__FACT__WHAT_QUARANTINE_TAKEN:
        return "quarantine-taken";
    case DESG__V1__FACT__WHAT_LANGUAGE_WISH:
        return "language-wished";
    case DESG__V1__FACT__WHAT_HEADS:
        return "heads";
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
        return fact->frozen->until_ms > 0 ? "frozen" : "freeze-lifted";
    case DESG__V1__FACT__WHAT_SETTLED:
        return "settled";
    default:
        return "unknown";
    }
}

static void put_id(json_t *object, const char *name, const ProtobufCBinaryData *id)
{
    char text[ID_TEXT_BYTES];
    if (id->len != ID_BYTES)
        return;
    id_text(id->data, text);
    (void)json_object_set_new(object, name,
                              json_string(text)); /* as below: no memory leaves it out */
}

static const char *severity_word(Desg__V1__Severity severity)
{
    static const char *const words[] = { "unspecified", "routine", "attention",
                                         "review",      "urgent",  "life-at-risk" };
    return (unsigned)severity < sizeof words / sizeof words[0] ? words[severity] : "unspecified";
}

static json_t *covered_ids(Desg__V1__Covered *const *covered, size_t count)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[ID_TEXT_BYTES];
        if (covered[i]->event_id.len != ID_BYTES)
            continue;
        id_text(covered[i]->event_id.data, text);
        (void)json_array_append_new(ids, json_string(text));
    }
    return ids;
}

static void put_heads(json_t *object, const Desg__V1__Heads *heads)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < heads->n_heads; i++) {
        const Desg__V1__Head *head = heads->heads[i];
        char hash[2 * CRYPTO_SHA256_BYTES + 1] = "";
        json_t *row = json_object();
        put_id(row, "source", &head->source);
        (void)json_object_set_new(row, "number", json_integer((json_int_t)head->number));
        if (head->hash.len == CRYPTO_SHA256_BYTES)
            crypto_hex(head->hash.data, head->hash.len, hash);
        (void)json_object_set_new(row, "hash", json_string(hash));
        (void)json_array_append_new(rows, row);
    }
    (void)json_object_set_new(object, "heads", rows);
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text && text[0] != '\0')
        (void)json_object_set_new(object, name, json_string(text));
}

/* --- what goes out --- */

static void put_version(json_t *object, const ProtobufCBinaryData *id, uint32_t version)
{
    put_id(object, "broadcast", id);
    (void)json_object_set_new(object, "version", json_integer(version));
}

static void put_reply(json_t *object, const Desg__V1__OutboxItem *item)
{
    if (!item || item->what_case != DESG__V1__OUTBOX_ITEM__WHAT_REPLY)
        return;
    put_id(object, "item", &item->id);
    put_text(object, "place", item->place);
    put_id(object, "event", &item->reply->event_id);
    put_text(object, "text", item->reply->text);
}

static void put_freeze(json_t *object, const Desg__V1__Frozen *frozen)
{
    json_t *except = json_array();
    for (size_t i = 0; i < frozen->n_except; i++)
        (void)json_array_append_new(except, json_string(frozen->except[i]));
    (void)json_object_set_new(object, "until_ms", json_integer(frozen->until_ms));
    put_text(object, "reason", frozen->reason);
    (void)json_object_set_new(object, "except", except);
}

static const char *settled_word(Desg__V1__SettledAs as)
{
    static const char *const words[] = { "unspecified", "there", "again", "by-hand" };
    return (unsigned)as < sizeof words / sizeof words[0] ? words[as] : "unspecified";
}

static void put_outward(json_t *object, const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_REPLIED:
        put_reply(object, fact->replied->item);
        return;
    case DESG__V1__FACT__WHAT_DRAFTED:
        if (!fact->drafted->broadcast)
            return;
        put_version(object, &fact->drafted->broadcast->id, fact->drafted->broadcast->version);
        (void)json_object_set_new(object, "content", broadcast_to_json(fact->drafted->broadcast));
        return;
    case DESG__V1__FACT__WHAT_APPROVED:
        put_version(object, &fact->approved->broadcast_id, fact->approved->version);
        return;
    case DESG__V1__FACT__WHAT_PUBLISHED:
        put_version(object, &fact->published->broadcast_id, fact->published->version);
        return;
    case DESG__V1__FACT__WHAT_CANCELLED:
        put_id(object, "broadcast", &fact->cancelled->broadcast_id);
        put_text(object, "reason", fact->cancelled->reason);
        return;
    case DESG__V1__FACT__WHAT_FROZEN:
        put_freeze(object, fact->frozen);
        return;
    case DESG__V1__FACT__WHAT_SETTLED:
        put_id(object, "item", &fact->settled->item_id);
        put_text(object, "as", settled_word(fact->settled->as));
        return;
    default:
        return;
    }
}

static void put_what(json_t *object, const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        (void)json_object_set_new(object, "covered",
                                  covered_ids(fact->closed->covered, fact->closed->n_covered));
        put_text(object, "reason", fact->closed->reason);
        return;
    case DESG__V1__FACT__WHAT_GRADED:
        (void)json_object_set_new(object, "covered",
                                  covered_ids(fact->graded->covered, fact->graded->n_covered));
        put_text(object, "severity", severity_word(fact->graded->severity));
        put_text(object, "reason", fact->graded->reason);
        return;
    case DESG__V1__FACT__WHAT_NOTED:
        put_text(object, "text", fact->noted->text);
        return;
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        put_id(object, "alert", &fact->alert_taken->alert_id);
        put_text(object, "dispatcher", fact->alert_taken->dispatcher);
        put_text(object, "log_number", fact->alert_taken->log_number);
        return;
    case DESG__V1__FACT__WHAT_CLAIMED:
        (void)json_object_set_new(object, "lease_ms",
                                  json_integer((json_int_t)fact->claimed->lease_s * 1000));
        put_text(object, "queue", fact->claimed->queue);
        return;
    case DESG__V1__FACT__WHAT_VIEWED:
        put_text(object, "what", fact->viewed->what);
        return;
    case DESG__V1__FACT__WHAT_QUARANTINE_TAKEN:
        put_id(object, "event", &fact->quarantine_taken->event_id);
        return;
    case DESG__V1__FACT__WHAT_LANGUAGE_WISH:
        put_text(object, "language", store_wish_word(fact->language_wish->language));
        return;
    case DESG__V1__FACT__WHAT_HEADS:
        put_heads(object, fact->heads);
        return;
    default:
        put_outward(object, fact);
        return;
    }
}

json_t *fact_describe(const Desg__V1__Fact *fact)
{
    json_t *object = json_object();
    put_id(object, "fact", &fact->id);
    (void)json_object_set_new(object, "kind", json_string(fact_kind(fact)));
    put_text(object, "agent", fact->agent);
    (void)json_object_set_new(object, "at_ms", json_integer(fact->at_ms));
    put_id(object, "conversation", &fact->conversation_id);
    if (fact->fence > 0)
        (void)json_object_set_new(object, "fence", json_integer((json_int_t)fact->fence));
    put_what(object, fact);
    return object;
}
