/* Signed webhooks for subscribers. Sources: CloudEvents 1.0 HTTP binding and webhook profile (which
 * answers mean what), draft-ietf-httpapi-idempotency-key-header-07. The signature is our own:
 * X-Desk-Signature-256 over "<X-Desk-Timestamp>.<body>", as of callbacks (callback_message.h);
 * docs/broadcasts.md has a vector, `desg verify` checks one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "notify/platform_answer.h"
#include "notify/platform_channels.h"
#include "notify/platform_request.h"

enum { TIMESTAMP_BYTES = 24 };

static int sign(const struct platform_self *self, const struct platform_message *message,
                struct platform_request *out, struct error *err)
{
    if (!self->signature_secret || self->signature_secret[0] == '\0')
        return error_set(err, ERROR_CONFIG, "no secret: name its file in signature_secret_file");
    char timestamp[TIMESTAMP_BYTES];
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    (void)snprintf(timestamp, sizeof timestamp, "%" PRId64, message->at_ms / 1000);
    struct hmac *hmac = hmac_new(self->signature_secret, strlen(self->signature_secret));
    hmac_update(hmac, timestamp, strlen(timestamp));
    hmac_update(hmac, ".", 1);
    hmac_update(hmac, out->body, out->length);
    hmac_finish(hmac, mac);
    hmac_destroy(&hmac);
    crypto_hex(mac, sizeof mac, hex);
    if (platform_request_header(out, err, "X-Desk-Timestamp: %s", timestamp) != 0)
        return -1;
    return platform_request_header(out, err, "X-Desk-Signature-256: sha256=%s", hex);
}

/* Without a document of its own a text goes as a CloudEvent whose id is the key: the same each
 * time. */
static int envelope(const struct platform_message *message, struct platform_request *out,
                    struct error *err)
{
    if (platform_need(message->text, "a text or a document", err) != 0)
        return -1;
    json_t *event = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s*}}", "specversion", "1.0", "id", message->key,
        "source", "/desg/broadcasts", "type", "uk.police.desk.broadcast.text.v1", "datacontenttype",
        "application/json", "data", "text", message->text, "language", message->language);
    if (platform_request_json(out, event, err) != 0)
        return -1;
    out->header_count--; /* the event has a type of its own */
    return platform_request_header(out, err, "Content-Type: application/cloudevents+json");
}

static int webhook_send(const struct platform_self *self, const struct platform_message *message,
                        struct platform_request *out, struct error *err)
{
    static const char *const no_segments[] = { NULL };
    const char *type =
        message->content_type ? message->content_type : "application/cloudevents+json";
    *out = (struct platform_request){ 0 };
    if (platform_need(message->key, "a key", err) != 0)
        return -1;
    if (platform_request_start(out, "POST", self->base_url, no_segments, err) != 0 ||
        (message->body ? platform_request_body(out, type, message->body, strlen(message->body), err)
                       : envelope(message, out, err)) != 0 ||
        platform_request_header(out, err, "Idempotency-Key: %s", message->key) != 0 ||
        (self->token && self->token[0] && platform_request_bearer(out, self->token, err) != 0) ||
        sign(self, message, out, err) != 0)
        return platform_request_drop(out);
    return 0;
}

static const struct {
    unsigned status;
    struct platform_fault fault;
} faults[] = {
    { 401, { 0, 0, OUTCOME(BLOCKED), 0, 0, "signature-refused" } },
    { 403, { 0, 0, OUTCOME(BLOCKED), 0, 0, "signature-refused" } },
    { 410, { 0, 0, OUTCOME(BLOCKED), 0, 0, "subscriber-gone" } },
    { 409, { 0, 0, OUTCOME(LATER), 0, 5, "in-progress" } }, /* the first one is still worked on */
    { 503, { 0, 0, OUTCOME(LATER), 0, 0, "over-capacity" } },
};

static void webhook_sent(const struct platform_answer *answer, int64_t now_ms,
                         struct platform_result *out)
{
    *out = (struct platform_result){ 0 };
    platform_result_status(out, answer);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (faults[i].status == answer->http_status)
            platform_result_fault(out, &faults[i].fault, 0);
    if (platform_is_ok(answer)) {
        json_t *body = platform_json(answer);
        char room[PLATFORM_NUMBER_BYTES];
        const char *receipt = platform_text(body, "receipt", room);
        platform_result_sent(out, receipt[0] ? receipt : platform_text(body, "id", room));
        json_decref(body);
    }
    platform_result_wait(out, answer, now_ms);
}

const struct platform platform_webhook = {
    .name = "webhook",
    .has_key = true,
    .send = webhook_send,
    .sent = webhook_sent,
};
