/* Is a fact what a request asks for? A key is for one change: with another body it must not be
 * answered with what was stored for the first. */
#include <stdlib.h>
#include <string.h>

#include "desk/api.h"

static bool is_same_id(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool is_given_as(const ProtobufCBinaryData *asked, const ProtobufCBinaryData *stored)
{
    return asked->len == 0 || is_same_id(asked, stored);
}

static bool is_same_reply(const Desg__V1__OutboxItem *asked, const Desg__V1__OutboxItem *stored)
{
    return asked && stored && asked->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY &&
           stored->what_case == asked->what_case &&
           strcmp(asked->reply->text, stored->reply->text) == 0 &&
           is_given_as(&asked->reply->event_id, &stored->reply->event_id) &&
           is_given_as(&asked->reply->last_event, &stored->reply->last_event);
}

/* Serialised without what desk and Redis fill in. */
static size_t pack_words(const Desg__V1__Broadcast *broadcast, uint8_t **out)
{
    Desg__V1__Broadcast words = *broadcast;
    words.id = (ProtobufCBinaryData){ 0 };
    words.version = 0;
    words.author = (char *)protobuf_c_empty_string;
    words.written_at_ms = 0;
    words.n_earlier_ms = 0;
    *out = malloc(desg__v1__broadcast__get_packed_size(&words) + 1);
    if (!*out)
        abort(); /* some kilobytes */
    return desg__v1__broadcast__pack(&words, *out);
}

static bool is_same_draft(const Desg__V1__Broadcast *asked, const Desg__V1__Broadcast *stored)
{
    uint8_t *bytes[2] = { NULL, NULL };
    if (!asked || !stored || !is_given_as(&asked->id, &stored->id))
        return false;
    size_t length = pack_words(asked, &bytes[0]);
    bool is_same =
        length == pack_words(stored, &bytes[1]) && memcmp(bytes[0], bytes[1], length) == 0;
    free(bytes[0]);
    free(bytes[1]);
    return is_same;
}

static bool is_same_freeze(const Desg__V1__Frozen *asked, const Desg__V1__Frozen *stored)
{
    if (asked->until_ms != stored->until_ms || strcmp(asked->reason, stored->reason) != 0 ||
        asked->n_except != stored->n_except)
        return false;
    for (size_t i = 0; i < asked->n_except; i++)
        if (strcmp(asked->except[i], stored->except[i]) != 0)
            return false;
    return true;
}

static bool is_same_outward(const Desg__V1__Fact *asked, const Desg__V1__Fact *stored)
{
    switch (asked->what_case) {
    case DESG__V1__FACT__WHAT_REPLIED:
        return asked->fence == stored->fence &&
               is_same_reply(asked->replied->item, stored->replied->item);
    case DESG__V1__FACT__WHAT_DRAFTED:
        return is_same_draft(asked->drafted->broadcast, stored->drafted->broadcast);
    case DESG__V1__FACT__WHAT_APPROVED:
        return is_same_id(&asked->approved->broadcast_id, &stored->approved->broadcast_id) &&
               asked->approved->version == stored->approved->version;
    case DESG__V1__FACT__WHAT_PUBLISHED:
        return is_same_id(&asked->published->broadcast_id, &stored->published->broadcast_id) &&
               asked->published->version == stored->published->version;
    case DESG__V1__FACT__WHAT_CANCELLED:
        return is_same_id(&asked->cancelled->broadcast_id, &stored->cancelled->broadcast_id) &&
               strcmp(asked->cancelled->reason, stored->cancelled->reason) == 0;
    case DESG__V1__FACT__WHAT_FROZEN:
        return is_same_freeze(asked->frozen, stored->frozen);
    case DESG__V1__FACT__WHAT_SETTLED:
        return is_same_id(&asked->settled->item_id, &stored->settled->item_id) &&
               asked->settled->as == stored->settled->as;
    default: /* a claim: which one it got is in its answer */
        return true;
    }
}

/* What the function finds out by itself (time, what is covered, which conversation) may differ. */
bool fact_is_same(const Desg__V1__Fact *asked, const Desg__V1__Fact *stored)
{
    if (asked->what_case != stored->what_case)
        return false;
    if (asked->conversation_id.len > 0 &&
        !is_same_id(&asked->conversation_id, &stored->conversation_id))
        return false;
    switch (asked->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        return asked->fence == stored->fence &&
               strcmp(asked->closed->reason, stored->closed->reason) == 0;
    case DESG__V1__FACT__WHAT_GRADED:
        return asked->fence == stored->fence &&
               asked->graded->severity == stored->graded->severity &&
               strcmp(asked->graded->reason, stored->graded->reason) == 0;
    case DESG__V1__FACT__WHAT_NOTED:
        return strcmp(asked->noted->text, stored->noted->text) == 0;
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        return is_same_id(&asked->alert_taken->alert_id, &stored->alert_taken->alert_id) &&
               strcmp(asked->alert_taken->dispatcher, stored->alert_taken->dispatcher) == 0 &&
               strcmp(asked->alert_taken->log_number, stored->alert_taken->log_number) == 0;
    case DESG__V1__FACT__WHAT_RELEASED:
        return asked->fence == stored->fence;
    case DESG__V1__FACT__WHAT_QUARANTINE_TAKEN:
        return is_same_id(&asked->quarantine_taken->event_id, &stored->quarantine_taken->event_id);
    case DESG__V1__FACT__WHAT_LANGUAGE_WISH:
        return asked->language_wish->language == stored->language_wish->language;
    default:
        return is_same_outward(asked, stored);
    }
}
