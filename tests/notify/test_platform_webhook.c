/* Signed webhooks: the published vector, the signature our own callback check accepts, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "notify/callback_message.h"
#include "notify/platform_channels.h"
#include "platform_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct platform_self self = { .base_url = "https://s.example/hook?a=1",
                                           .signature_secret = "signing" };
static const struct platform_message message = { .body = "{\"a\":1}",
                                                 .content_type = "application/cloudevents+json",
                                                 .key = "7f0c/0",
                                                 .at_ms = 1770833400999 };

static void signs_time_and_document(void **state)
{
    (void)state;
    struct platform_self with_token = self;
    struct platform_message cap = message;
    assert_request(
        platform_webhook.send, &self, &message,
        "POST https://s.example/hook?a=1\nContent-Type: application/cloudevents+json\n"
        "Idempotency-Key: 7f0c/0\nX-Desk-Timestamp: 1770833400\nX-Desk-Signature-256: sha256="
        "6a082c7f79ab5f17dc7f5aeade29423a55ba748d52543ea2585f95cd4cf95b09\n\n{\"a\":1}\n");
    with_token.token = "token";
    cap.content_type = "application/cap+xml";
    assert_request(
        platform_webhook.send, &with_token, &cap,
        "POST https://s.example/hook?a=1\nContent-Type: application/cap+xml\n"
        "Idempotency-Key: 7f0c/0\nAuthorization: Bearer token\nX-Desk-Timestamp: 1770833400\n"
        "X-Desk-Signature-256: sha256="
        "6a082c7f79ab5f17dc7f5aeade29423a55ba748d52543ea2585f95cd4cf95b09\n\n{\"a\":1}\n");
}

static const char *value_of(const struct platform_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strncmp(request->headers[i], name, strlen(name)) == 0)
            return request->headers[i] + strlen(name);
    fail_msg("no %s", name);
    return NULL;
}

static void is_genuine_to_who_has_the_secret(void **state)
{
    (void)state;
    static const char *const right[] = { "old", "signing" };
    static const char *const wrong[] = { "other" };
    struct platform_request request = { 0 };
    struct error err = { 0 };
    assert_int_equal(platform_webhook.send(&self, &message, &request, &err), 0);
    const char *timestamp = value_of(&request, "X-Desk-Timestamp: ");
    const char *signature = value_of(&request, "X-Desk-Signature-256: ");
    assert_int_equal(
        callback_check(right, 2, timestamp, signature, request.body, request.length, message.at_ms),
        CALLBACK_GENUINE);
    assert_int_equal(
        callback_check(wrong, 1, timestamp, signature, request.body, request.length, message.at_ms),
        CALLBACK_FORGED);
    assert_int_equal(callback_check(right, 2, timestamp, signature, "{\"a\":2}", 7, message.at_ms),
                     CALLBACK_FORGED);
    platform_request_clear(&request);
}

static void a_text_alone_goes_as_an_event(void **state)
{
    (void)state;
    struct platform_message text = { .text = "A55 ar gau", .language = "cy", .key = "7f0c/0" };
    struct platform_request request = { 0 };
    struct error err = { 0 };
    assert_int_equal(platform_webhook.send(&self, &text, &request, &err), 0);
    assert_string_equal(value_of(&request, "Content-Type: "), "application/cloudevents+json");
    assert_int_equal(request.header_count, 4);
    assert_string_equal(
        request.body,
        "{\"data\":{\"language\":\"cy\",\"text\":\"A55 ar gau\"},\"datacontenttype\":"
        "\"application/json\",\"id\":\"7f0c/0\",\"source\":\"/desg/broadcasts\",\"specversion\":"
        "\"1.0\",\"type\":\"uk.police.desk.broadcast.text.v1\"}");
    platform_request_clear(&request);
}

static void refuses_what_cannot_be_sent(void **state)
{
    (void)state;
    struct platform_self other = self;
    struct platform_message bad = message;
    other.signature_secret = "";
    assert_refused(platform_webhook.send, &other, &message, ERROR_CONFIG, "signature_secret_file");
    other.signature_secret = "s";
    other.base_url = NULL;
    assert_refused(platform_webhook.send, &other, &message, ERROR_CONFIG, "url");
    bad.key = "";
    assert_refused(platform_webhook.send, &self, &bad, ERROR_INVALID, "a key");
    bad = (struct platform_message){ .key = "k" };
    assert_refused(platform_webhook.send, &self, &bad, ERROR_INVALID, "a text or a document");
    bad.text = "\xff";
    assert_refused(platform_webhook.send, &self, &bad, ERROR_INVALID, "UTF-8");
}

static void reads_answers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "taken", 202, "", .told = "SENT" },
        { "with a receipt", 200, "{\"receipt\":\"r-1\",\"id\":\"x\"}", .told = "SENT r-1" },
        { "with an id", 201, "{\"id\":7}", .told = "SENT 7" },
        { "without anything", 204, NULL, .told = "SENT" },
        { "signature", 401, "", .told = "BLOCKED signature-refused dead" },
        { "signature", 403, "", .told = "BLOCKED signature-refused dead" },
        { "gone", 410, "", .told = "BLOCKED subscriber-gone dead" },
        { "no such path", 404, "", .told = "REFUSED no-such-object" },
        { "not understood", 400, "", .told = "REFUSED refused" },
        { "too large", 413, "", .told = "REFUSED too-large" },
        { "wrong type", 415, "", .told = "REFUSED refused" },
        { "the key with other bytes", 422, "", .told = "REFUSED refused" },
        { "redirected", 307, "", .told = "REFUSED redirected" },
        { "still at the first", 409, "", .told = "LATER in-progress after=5000" },
        { "slow down", 429, "", { { "Retry-After", "9" } }, .told = "LATER rate-limit after=9000" },
        { "away", 503, "", .told = "LATER over-capacity" },
        { "away until",
          503,
          "",
          { { "Retry-After", "9" } },
          .told = "LATER over-capacity after=9000" },
        { "error", 500, "", .told = "UNKNOWN server-error" },
        { "a time-out: the same again, under its key", 0, NULL, .told = "UNKNOWN no-answer" },
        { "no connection", 0, NULL, .is_unsent = true, .told = "LATER no-connection" },
    };
    assert_answers(&platform_webhook, cases, COUNT(cases));
    assert_true(platform_webhook.has_key);
    assert_int_equal(platform_webhook.key_lives_ms, 0);
    assert_null(platform_webhook.look_up);
    assert_null(platform_webhook.probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_time_and_document),
        cmocka_unit_test(is_genuine_to_who_has_the_secret),
        cmocka_unit_test(a_text_alone_goes_as_an_event),
        cmocka_unit_test(refuses_what_cannot_be_sent),
        cmocka_unit_test(reads_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
