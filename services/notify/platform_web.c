/* Answers to the web form, by e-mail: an order to the force's mail gateway, whose contract is ours
 * (docs/broadcasts.md names the formats): POST <base_url>/messages {to, text, reference, language?,
 * answers?}, any 2xx takes it, {"id"} may name it; GET <base_url>/messages?reference=… lists what
 * it took under a reference. The key is sent along, but a gateway need not honour it. */
#include <string.h>

#include "notify/platform_answer.h"
#include "notify/platform_channels.h"
#include "notify/platform_request.h"

static const char *const segments[] = { "messages", NULL };

static int web_request(const struct platform_self *self, const char *method,
                       struct platform_request *out, struct error *err)
{
    if (platform_request_start(out, method, self->base_url, segments, err) != 0)
        return platform_request_drop(out);
    bool has_token =
        self->token && self->token[0] != '\0'; /* a gateway next door may ask for none */
    if (has_token && platform_request_bearer(out, self->token, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static int web_send(const struct platform_self *self, const struct platform_message *message,
                    struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->contact, "an e-mail address", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    if (!strchr(message->contact, '@') || strpbrk(message->contact, " \t\r\n,;<>"))
        return error_set(err, ERROR_INVALID, "what the person gave is no e-mail address");
    if (web_request(self, "POST", out, err) != 0)
        return -1;
    bool has_key = message->key && message->key[0] != '\0';
    if (has_key && platform_request_header(out, err, "Idempotency-Key: %s", message->key) != 0)
        return platform_request_drop(out);
    json_t *body = json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "to", message->contact, "text",
                             message->text, "reference", message->ref, "language",
                             message->language, "answers", message->object_id);
    return platform_request_json(out, body, err) == 0 ? 0 : platform_request_drop(out);
}

static void web_sent(const struct platform_answer *answer, int64_t now_ms,
                     struct platform_result *out)
{
    *out = (struct platform_result){ 0 };
    json_t *body = platform_json(answer);
    char room[PLATFORM_NUMBER_BYTES];
    platform_result_status(out, answer);
    if (platform_is_ok(answer))
        platform_result_sent(out, platform_text(body, "id", room));
    json_decref(body);
    platform_result_wait(out, answer, now_ms);
}

static int web_look_up(const struct platform_self *self, const struct platform_message *message,
                       struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->ref, "a reference", err) != 0 ||
        web_request(self, "GET", out, err) != 0)
        return -1;
    return platform_request_query(out, "reference", message->ref, err) == 0
               ? 0
               : platform_request_drop(out);
}

static enum platform_found web_looked_up(const struct platform_answer *answer,
                                         const struct platform_message *message, int64_t since_ms,
                                         char object_id[static PLATFORM_OBJECT_BYTES])
{
    (void)since_ms; /* a reference is used once */
    if (!platform_is_ok(answer) || !message->ref)
        return PLATFORM_CANNOT_SAY;
    json_t *body = platform_json(answer);
    const json_t *rows = json_object_get(body, "messages");
    enum platform_found found = json_is_array(rows) ? PLATFORM_IS_NOT : PLATFORM_CANNOT_SAY;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        char room[PLATFORM_NUMBER_BYTES];
        const char *reference = json_string_value(json_object_get(row, "reference"));
        const char *id = platform_text(row, "id", room);
        if (!reference || strcmp(reference, message->ref) != 0 ||
            strlen(id) >= PLATFORM_OBJECT_BYTES)
            continue;
        memcpy(object_id, id, strlen(id) + 1);
        found = PLATFORM_IS_THERE;
    }
    json_decref(body);
    return found;
}

const struct platform platform_web = {
    .name = "web",
    .send = web_send,
    .sent = web_sent,
    .look_up = web_look_up,
    .looked_up = web_looked_up,
};
