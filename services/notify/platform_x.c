/* X private messages. Sources: openapi.json 2.167 (createDirectMessagesByParticipantId,
 * getDirectMessagesEventsByParticipantId), docs.x.com "Direct Messages" (Aug 2026). No idempotency
 * key and no mark of ours: our own messages to this person are read, by text and time. The list of
 * all persons' would end too soon when many are written to. */
#include <string.h>

#include "notify/platform_channels.h"
#include "notify/platform_request.h"
#include "notify/platform_x_api.h"

static int x_send(const struct platform_self *self, const struct platform_message *message,
                  struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->person, "a person", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    const char *const segments[] = { "2", "dm_conversations", "with", message->person, "messages",
                                     NULL };
    if (platform_request_start(out, "POST", self->base_url, segments, err) != 0 ||
        platform_x_sign(self, message->at_ms, message->nonce, out, err) != 0 ||
        platform_request_json(out, json_pack("{s:s}", "text", message->text), err) != 0)
        return platform_request_drop(out);
    return 0;
}

static int x_look_up(const struct platform_self *self, const struct platform_message *message,
                     struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->person, "a person", err) != 0)
        return -1;
    const char *const segments[] = { "2", "dm_conversations", "with", message->person, "dm_events",
                                     NULL };
    if (platform_request_start(out, "GET", self->base_url, segments, err) != 0 ||
        platform_request_query(out, "dm_event.fields",
                               "id,text,event_type,created_at,dm_conversation_id,sender_id",
                               err) != 0 ||
        platform_request_query(out, "event_types", "MessageCreate", err) != 0 ||
        platform_request_count(out, "max_results", PLATFORM_X_LISTED, err) != 0 ||
        platform_x_sign(self, message->at_ms, message->nonce, out, err) != 0)
        return platform_request_drop(out);
    return 0;
}

/* Conversations of two are named smaller id, '-', larger id. */
static bool is_with(const char *conversation, const char *person)
{
    size_t length = strlen(person);
    size_t whole = strlen(conversation);
    return whole > length &&
           ((strncmp(conversation, person, length) == 0 && conversation[length] == '-') ||
            (strcmp(conversation + whole - length, person) == 0 &&
             conversation[whole - length - 1] == '-'));
}

/* The schema leaves open whether sender and conversation are told: what is not told decides
 * nothing. */
static bool is_to_person(const json_t *row, const struct platform_message *message)
{
    const char *sender = json_string_value(json_object_get(row, "sender_id"));
    const char *conversation = json_string_value(json_object_get(row, "dm_conversation_id"));
    if (!message->person)
        return true;
    return !(sender && strcmp(sender, message->person) == 0) &&
           !(conversation && !is_with(conversation, message->person));
}

static enum platform_found x_looked_up(const struct platform_answer *answer,
                                       const struct platform_message *message, int64_t since_ms,
                                       char object_id[static PLATFORM_OBJECT_BYTES])
{
    return platform_x_find(answer, message, since_ms, is_to_person, object_id);
}

const struct platform platform_x = {
    .name = "x",
    .send = x_send,
    .sent = platform_x_sent,
    .look_up = x_look_up,
    .looked_up = x_looked_up,
    .probe = platform_x_probe,
};
