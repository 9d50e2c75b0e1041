/* Messenger and Instagram private messages: the Send API. Sources: developers.facebook.com, Send
 * API reference and "Send messages" (5 May 2026), Messenger Platform policy.
 * No idempotency key: message.metadata carries our mark and comes back in the echo. */
#include "notify/platform_channels.h"

#include "notify/platform_meta.h"
#include "notify/platform_request.h"

static int facebook_send(const struct platform_self *self, const struct platform_message *message,
                         struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(self->account, "an account", err) != 0 ||
        platform_need(message->person, "a person", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    json_t *body = json_pack("{s:{s:s}, s:s, s:{s:s, s:s*}}", "recipient", "id", message->person,
                             "messaging_type", message->is_human_agent ? "MESSAGE_TAG" : "RESPONSE",
                             "message", "text", message->text, "metadata", message->ref);
    if (body && message->is_human_agent &&
        json_object_set_new(body, "tag", json_string("HUMAN_AGENT")) != 0) {
        json_decref(body);
        body = NULL;
    }
    if (!body)
        return error_set(err, ERROR_INVALID, "a text that is not UTF-8");
    const char *const segments[] = { self->account, "messages", NULL };
    return platform_meta_request(self, "POST", segments, body, out, err);
}

const struct platform platform_facebook = {
    .name = "facebook",
    .send = facebook_send,
    .sent = platform_meta_sent,
    .probe = platform_meta_probe,
};

const struct platform platform_instagram = {
    .name = "instagram",
    .send = facebook_send,
    .sent = platform_meta_sent,
    .probe = platform_meta_probe,
};
