/* Mastodon statuses: requests, answers, limits as ISO time stamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/platform_channels.h"
#include "platform_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AUTHORISED   "Authorization: Bearer token\n"
#define JSON         "Content-Type: application/json\n\n"

static const struct platform_self self = { .base_url = "https://m.example/", .token = "token" };
static const struct platform_message message = {
    .text = "A55 ar gau", .language = "cy", .object_id = "11601", .key = "7f0c/0"
};

static int probe(const struct platform_self *whose, const struct platform_message *what,
                 struct platform_request *out, struct error *err)
{
    return platform_mastodon.probe(whose, what->at_ms, what->nonce, out, err);
}

static void posts_with_language_and_key(void **state)
{
    (void)state;
    struct platform_message other = message;
    assert_request(platform_mastodon.send, &self, &message,
                   "POST https://m.example/api/v1/statuses\n" AUTHORISED
                   "Idempotency-Key: 7f0c/0\n" JSON
                   "{\"language\":\"cy\",\"status\":\"A55 ar gau\",\"visibility\":\"public\"}\n");
    other.is_reply = true;
    other.language = NULL;
    assert_request(platform_mastodon.send, &self, &other,
                   "POST https://m.example/api/v1/statuses\n" AUTHORISED
                   "Idempotency-Key: 7f0c/0\n" JSON
                   "{\"in_reply_to_id\":\"11601\",\"status\":\"A55 ar gau\",\"visibility\":"
                   "\"public\"}\n");
    assert_true(platform_mastodon.has_key);
    assert_in_range(platform_mastodon.key_lives_ms, 1, 3600000);
}

static void edits_removes_and_asks_who_it_is(void **state)
{
    (void)state;
    assert_request(platform_mastodon.edit, &self, &message,
                   "PUT https://m.example/api/v1/statuses/11601\n" AUTHORISED JSON
                   "{\"language\":\"cy\",\"status\":\"A55 ar gau\"}\n");
    assert_request(platform_mastodon.remove, &self, &message,
                   "DELETE https://m.example/api/v1/statuses/11601\n" AUTHORISED);
    assert_request(probe, &self, &message,
                   "GET https://m.example/api/v1/accounts/verify_credentials\n" AUTHORISED);
}

static void refuses_what_cannot_be_sent(void **state)
{
    (void)state;
    struct platform_self nobody = { .base_url = "https://m.example" };
    struct platform_message bad = message;
    assert_refused(platform_mastodon.send, &nobody, &message, ERROR_CONFIG, "token_file");
    assert_refused(probe, &nobody, &message, ERROR_CONFIG, "token_file");
    bad.key = NULL;
    assert_refused(platform_mastodon.send, &self, &bad, ERROR_INVALID, "a key");
    bad.key = "two\nlines";
    assert_refused(platform_mastodon.send, &self, &bad, ERROR_INVALID, "header");
    bad = message;
    bad.text = "";
    assert_refused(platform_mastodon.send, &self, &bad, ERROR_INVALID, "a text");
    assert_refused(platform_mastodon.edit, &self, &bad, ERROR_INVALID, "a text");
    bad.text = "\xff";
    assert_refused(platform_mastodon.send, &self, &bad, ERROR_INVALID, "UTF-8");
    assert_refused(platform_mastodon.edit, &self, &bad, ERROR_INVALID, "UTF-8");
    bad.object_id = NULL;
    assert_refused(platform_mastodon.remove, &self, &bad, ERROR_INVALID, "a post");
    bad.text = "a";
    bad.is_reply = true;
    assert_refused(platform_mastodon.send, &self, &bad, ERROR_INVALID, "a post to follow");
}

static void reads_answers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "posted", 200, "{\"id\":\"11602\",\"url\":\"https://m.example/@f/11602\"}",
          .told = "SENT 11602" },
        { "200 that names nothing", 200, "{}", .told = "UNKNOWN answer-not-understood" },
        { "token", 401, "{\"error\":\"The access token is invalid\"}",
          .told = "BLOCKED token-dead dead" },
        { "not allowed", 403, "{\"error\":\"This action is not allowed\"}",
          .told = "REFUSED forbidden" },
        { "gone", 404, "{\"error\":\"Record not found\"}", .told = "REFUSED no-such-object" },
        { "too long", 422, "{\"error\":\"Validation failed\"}", .told = "REFUSED refused" },
        { "limit, reset as a time stamp",
          429,
          "{\"error\":\"Too many requests\"}",
          { { "X-RateLimit-Limit", "300" },
            { "X-RateLimit-Remaining", "0" },
            { "X-RateLimit-Reset", "2026-02-11T18:15:00.000000Z" } },
          .told = "LATER rate-limit after=300000 used=100 reset=300000" },
        { "some left",
          200,
          "{\"id\":\"1\"}",
          { { "X-RateLimit-Limit", "300" },
            { "X-RateLimit-Remaining", "60" },
            { "X-RateLimit-Reset", "2026-02-11T18:15:00Z" } },
          .told = "SENT 1 used=80" },
        { "a reset in seconds is none",
          429,
          "",
          { { "X-RateLimit-Limit", "300" },
            { "X-RateLimit-Remaining", "0" },
            { "X-RateLimit-Reset", "1770833460" } },
          .told = "LATER rate-limit used=100" },
        { "away, for how long",
          503,
          "",
          { { "Retry-After", "20" } },
          .told = "LATER over-capacity after=20000" },
        { "away: the same again, under its key", 503, "", .told = "UNKNOWN server-error" },
        { "a time-out: likewise", 0, NULL, .told = "UNKNOWN no-answer" },
        { "no connection", 0, NULL, .is_unsent = true, .told = "LATER no-connection" },
    };
    assert_answers(&platform_mastodon, cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_with_language_and_key),
        cmocka_unit_test(edits_removes_and_asks_who_it_is),
        cmocka_unit_test(refuses_what_cannot_be_sent),
        cmocka_unit_test(reads_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
