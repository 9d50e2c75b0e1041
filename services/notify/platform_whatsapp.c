/* WhatsApp Cloud API. Sources: developers.facebook.com, Cloud API "Messages" and webhooks (29 Apr
 * 2026). No idempotency key: biz_opaque_callback_data carries our mark and comes back in statuses.
 * After 24 h only templates are taken (131047), which are not ours to write. */
#include <string.h>

#include "notify/platform_channels.h"
#include "notify/platform_meta.h"
#include "notify/platform_request.h"

static bool is_number(const char *text)
{
    return text && text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* People may hide their number (business-scoped user ids, from April 2026): such a person is
 * reached by the number they gave, else by the id as "recipient" (rests on one source only). */
static int address(json_t *body, const struct platform_message *message)
{
    if (is_number(message->person))
        return json_object_set_new(body, "to", json_string(message->person));
    if (is_number(message->contact))
        return json_object_set_new(body, "to", json_string(message->contact));
    return json_object_set_new(body, "recipient", json_string(message->person));
}

static int answers(json_t *body, const struct platform_message *message)
{
    if (!message->object_id || strncmp(message->object_id, "wamid.", 6) != 0)
        return 0;
    return json_object_set_new(body, "context",
                               json_pack("{s:s}", "message_id", message->object_id));
}

static int whatsapp_send(const struct platform_self *self, const struct platform_message *message,
                         struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(self->account, "an account", err) != 0 ||
        platform_need(message->person, "a person", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:b}, s:s*}", "messaging_product", "whatsapp",
                  "recipient_type", "individual", "type", "text", "text", "body", message->text,
                  "preview_url", 0, "biz_opaque_callback_data", message->ref);
    if (!body || address(body, message) != 0 || answers(body, message) != 0) {
        json_decref(body);
        return error_set(err, ERROR_INVALID, "a text that is not UTF-8");
    }
    const char *const segments[] = { self->account, "messages", NULL };
    return platform_meta_request(self, "POST", segments, body, out, err);
}

const struct platform platform_whatsapp = {
    .name = "whatsapp",
    .send = whatsapp_send,
    .sent = platform_meta_sent,
    .probe = platform_meta_probe,
};
