/* Mastodon statuses. Sources: docs.joinmastodon.org, methods/statuses and api/rate-limits (Jul
 * 2026). Honours Idempotency-Key for an hour. */
#include "notify/platform_answer.h"
#include "notify/platform_channels.h"
#include "notify/platform_request.h"

static int mastodon_request(const struct platform_self *self, const char *method,
                            const char *const *segments, struct platform_request *out,
                            struct error *err)
{
    if (platform_request_start(out, method, self->base_url, segments, err) != 0 ||
        platform_request_bearer(out, self->token, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static int mastodon_send(const struct platform_self *self, const struct platform_message *message,
                         struct platform_request *out, struct error *err)
{
    static const char *const segments[] = { "api", "v1", "statuses", NULL };
    *out = (struct platform_request){ 0 };
    if (platform_need(message->text, "a text", err) != 0 ||
        platform_need(message->key, "a key", err) != 0 ||
        (message->is_reply && platform_need(message->object_id, "a post to follow", err) != 0) ||
        mastodon_request(self, "POST", segments, out, err) != 0)
        return -1;
    json_t *body = json_pack("{s:s, s:s, s:s*, s:s*}", "status", message->text, "visibility",
                             "public", "language", message->language, "in_reply_to_id",
                             message->is_reply ? message->object_id : NULL);
    if (platform_request_header(out, err, "Idempotency-Key: %s", message->key) != 0) {
        json_decref(body);
        return platform_request_drop(out);
    }
    return platform_request_json(out, body, err) == 0 ? 0 : platform_request_drop(out);
}

static int mastodon_edit(const struct platform_self *self, const struct platform_message *message,
                         struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->object_id, "a post", err) != 0 ||
        platform_need(message->text, "a text", err) != 0)
        return -1;
    const char *const segments[] = { "api", "v1", "statuses", message->object_id, NULL };
    if (mastodon_request(self, "PUT", segments, out, err) != 0)
        return -1;
    json_t *body = json_pack("{s:s, s:s*}", "status", message->text, "language", message->language);
    return platform_request_json(out, body, err) == 0 ? 0 : platform_request_drop(out);
}

static int mastodon_remove(const struct platform_self *self, const struct platform_message *message,
                           struct platform_request *out, struct error *err)
{
    *out = (struct platform_request){ 0 };
    if (platform_need(message->object_id, "a post", err) != 0)
        return -1;
    const char *const segments[] = { "api", "v1", "statuses", message->object_id, NULL };
    return mastodon_request(self, "DELETE", segments, out, err);
}

static int mastodon_probe(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                          struct platform_request *out, struct error *err)
{
    static const char *const segments[] = { "api", "v1", "accounts", "verify_credentials", NULL };
    (void)now_ms;
    (void)nonce; /* a bearer token is not signed */
    return mastodon_request(self, "GET", segments, out, err);
}

static void mastodon_sent(const struct platform_answer *answer, int64_t now_ms,
                          struct platform_result *out)
{
    static const struct platform_rate_headers limits = { "X-RateLimit-Limit",
                                                         "X-RateLimit-Remaining",
                                                         "X-RateLimit-Reset", RESET_ISO_8601 };
    *out = (struct platform_result){ 0 };
    json_t *body = platform_json(answer);
    char room[PLATFORM_NUMBER_BYTES];
    const char *id = platform_text(body, "id", room);
    platform_result_status(out, answer);
    if (platform_is_ok(answer) && id[0] != '\0')
        platform_result_sent(out, id);
    json_decref(body);
    platform_rate(answer, &limits, out);
    platform_result_wait(out, answer, now_ms);
}

const struct platform platform_mastodon = {
    .name = "mastodon",
    .has_key = true,
    .key_lives_ms = 3300000, /* an hour, less what clocks and queues take */
    .send = mastodon_send,
    .sent = mastodon_sent,
    .edit = mastodon_edit,
    .remove = mastodon_remove,
    .probe = mastodon_probe,
};
