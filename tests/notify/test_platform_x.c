/* X private messages and posts: signed requests, every row of the error table, limits, looking up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/oauth1.h"
#include "notify/platform_channels.h"
#include "notify/platform_x_api.h"
#include "platform_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NONCE        "000102030405060708090a0b0c0d0e0f"

static const struct platform_self self = {
    .base_url = "https://api.x.example",
    .account = "3001",
    .token = "tk",
    .token_secret = "ts",
    .consumer_key = "ck",
    .consumer_secret = "cs",
};

static const struct platform_message message = {
    .person = "4002",
    .object_id = "19001",
    .text = "Diolch d\xc5\xb5r",
    .at_ms = 1770833400999,
    .nonce = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
};

/* make's request is lines, with %s for the Authorization header of method and url. */
static void assert_signed(request_maker *make, const struct platform_message *what,
                          const char *method, const char *url, const char *body)
{
    const struct oauth1_keys keys = { "ck", "cs", "tk", "ts", NONCE, 1770833400, "1.0" };
    const struct oauth1_request request = { method, url, NULL };
    char header[512];
    char lines[2048];
    struct error err = { 0 };
    assert_int_equal(oauth1_authorization(&keys, &request, header, sizeof header, &err), 0);
    (void)snprintf(lines, sizeof lines, "%s %s\nAuthorization: %s\n%s%s%s", method, url, header,
                   body ? "Content-Type: application/json\n\n" : "", body ? body : "",
                   body ? "\n" : "");
    assert_request(make, &self, what, lines);
}

static int probe(const struct platform_self *whose, const struct platform_message *what,
                 struct platform_request *out, struct error *err)
{
    return platform_x_probe(whose, what->at_ms, what->nonce, out, err);
}

static void signs_every_request_with_its_query(void **state)
{
    (void)state;
    struct platform_message follow = message;
    assert_signed(platform_x.send, &message, "POST",
                  "https://api.x.example/2/dm_conversations/with/4002/messages",
                  "{\"text\":\"Diolch d\xc5\xb5r\"}");
    assert_signed(platform_x.look_up, &message, "GET",
                  "https://api.x.example/2/dm_conversations/with/4002/dm_events?dm_event.fields="
                  "id%2Ctext%2Cevent_type%2Ccreated_at%2Cdm_conversation_id%2Csender_id"
                  "&event_types=MessageCreate"
                  "&max_results=50",
                  NULL);
    assert_signed(platform_x_post.send, &message, "POST", "https://api.x.example/2/tweets",
                  "{\"text\":\"Diolch d\xc5\xb5r\"}");
    follow.is_reply = true;
    assert_signed(
        platform_x_post.send, &follow, "POST", "https://api.x.example/2/tweets",
        "{\"reply\":{\"in_reply_to_tweet_id\":\"19001\"},\"text\":\"Diolch d\xc5\xb5r\"}");
    assert_signed(platform_x_post.remove, &message, "DELETE",
                  "https://api.x.example/2/tweets/19001", NULL);
    assert_signed(platform_x_post.look_up, &message, "GET",
                  "https://api.x.example/2/users/3001/tweets?max_results=50&tweet.fields="
                  "created_at",
                  NULL);
    assert_signed(probe, &message, "GET", "https://api.x.example/2/users/me", NULL);
    assert_ptr_equal(platform_x.probe, platform_x_probe);
    assert_ptr_equal(platform_x_post.probe, platform_x_probe);
    assert_null(platform_x_post.edit);
    assert_false(platform_x.has_key || platform_x_post.has_key);
}

static void a_token_alone_is_one_of_oauth_2(void **state)
{
    (void)state;
    const struct platform_self bearer = { .base_url = self.base_url, .token = "tk" };
    assert_request(platform_x_post.remove, &bearer, &message,
                   "DELETE https://api.x.example/2/tweets/19001\nAuthorization: Bearer tk\n");
}

static void refuses_what_cannot_be_sent(void **state)
{
    (void)state;
    struct platform_self half = self;
    struct platform_message bad = message;
    half.consumer_secret = NULL;
    assert_refused(platform_x.send, &half, &message, ERROR_CONFIG, "3 of them");
    assert_refused(platform_x.look_up, &half, &message, ERROR_CONFIG, "token_secret_file");
    assert_refused(probe, &half, &message, ERROR_CONFIG, "consumer_secret_file");
    half = (struct platform_self){ .base_url = self.base_url };
    assert_refused(platform_x_post.send, &half, &message, ERROR_CONFIG, "0 of them");
    half.account = NULL;
    assert_refused(platform_x_post.look_up, &half, &message, ERROR_INVALID, "an account");
    bad.text = "\xc3";
    assert_refused(platform_x.send, &self, &bad, ERROR_INVALID, "UTF-8");
    assert_refused(platform_x_post.send, &self, &bad, ERROR_INVALID, "UTF-8");
    bad.text = NULL;
    assert_refused(platform_x.send, &self, &bad, ERROR_INVALID, "a text");
    assert_refused(platform_x_post.send, &self, &bad, ERROR_INVALID, "a text");
    bad = message;
    bad.person = "";
    assert_refused(platform_x.send, &self, &bad, ERROR_INVALID, "a person");
    bad.object_id = "";
    bad.is_reply = true;
    assert_refused(platform_x_post.send, &self, &bad, ERROR_INVALID, "a post to follow");
    assert_refused(platform_x_post.remove, &self, &bad, ERROR_INVALID, "a post");
}

static void reads_what_was_made(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "message", 201,
          "{\"data\":{\"dm_conversation_id\":\"3001-4002\",\"dm_event_id\":\"19005\"}}",
          .told = "SENT 19005" },
        { "post", 201, "{\"data\":{\"id\":\"20001\",\"text\":\"a\"}}", .told = "SENT 20001" },
        { "post beside errors", 200, "{\"data\":{\"id\":\"20001\"},\"errors\":[{\"title\":\"x\"}]}",
          .told = "SENT 20001" },
        { "removed", 200, "{\"data\":{\"deleted\":true}}", .told = "SENT" },
        { "nothing to remove", 200, "{\"data\":{\"deleted\":false}}",
          .told = "REFUSED no-such-object" },
        { "200 with errors alone", 200,
          "{\"errors\":[{\"type\":\"https://api.x.com/2/problems/resource-not-found\"}]}",
          .told = "REFUSED no-such-object" },
        { "200 with what nobody knows", 200, "{\"errors\":[{\"title\":\"odd\"}]}",
          .told = "UNKNOWN answer-not-understood" },
        { "an id beyond all bounds is there, but has no name here", 201, NULL, .told = "SENT" },
    };
    static char long_body[PLATFORM_OBJECT_BYTES + 64];
    (void)snprintf(long_body, sizeof long_body, "{\"data\":{\"id\":\"%0*d\"}}",
                   PLATFORM_OBJECT_BYTES, 7);
    struct answer_case own[COUNT(cases)];
    memcpy(own, cases, sizeof own);
    own[COUNT(cases) - 1].body = long_body;
    assert_answers(&platform_x, own, COUNT(own));
    assert_answers(&platform_x_post, own, COUNT(own));
}

static void judges_every_code(void **state)
{
    (void)state;
    static const struct {
        int code;
        unsigned status;
        const char *told;
    } rows[] = {
        { 187, 403, "UNKNOWN duplicate code=187 duplicate" },
        { 32, 401, "BLOCKED not-authenticated code=32 dead" },
        { 89, 401, "BLOCKED token-dead code=89 dead" },
        { 261, 403, "BLOCKED app-not-allowed code=261 dead" },
        { 326, 403, "BLOCKED account-locked code=326 dead" },
        { 453, 403, "BLOCKED access-level code=453 dead" },
        { 226, 403, "REFUSED looks-automated code=226" },
        { 349, 403, "REFUSED person-unavailable code=349" },
        { 150, 403, "REFUSED person-unavailable code=150" },
        { 186, 403, "REFUSED too-long code=186" },
        { 151, 403, "UNKNOWN error-sending code=151" },
        { 131, 500, "UNKNOWN internal-error code=131" },
        { 130, 503, "LATER over-capacity code=130" },
        { 88, 429, "LATER rate-limit code=88" },
        { 185, 403, "LATER daily-limit code=185 after=3600000" },
        { 4711, 403, "REFUSED forbidden code=4711" },
    };
    size_t count = 0;
    (void)platform_x_faults(&count);
    assert_int_equal(count, COUNT(rows) - 1);
    static const char *const shapes[][2] = {
        { "{\"errors\":[{\"code\":", ",\"message\":\"m\"}]}" },
        { "{\"code\":", ",\"message\":\"m\"}" },
        { "{\"title\":\"Forbidden\",\"type\":\"about:blank\",\"errors\":[{\"code\":", "}]}" },
    };
    for (size_t i = 0; i < COUNT(rows) * COUNT(shapes); i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "%s%d%s", shapes[i % COUNT(shapes)][0],
                       rows[i / COUNT(shapes)].code, shapes[i % COUNT(shapes)][1]);
        const struct answer_case one = { .name = body,
                                         .status = rows[i / COUNT(shapes)].status,
                                         .body = body,
                                         .told = rows[i / COUNT(shapes)].told };
        assert_answers(i % 2 ? &platform_x : &platform_x_post, &one, 1);
    }
}

static void judges_problems_and_statuses(void **state)
{
    (void)state;
#define PROBLEM(type)                                                                              \
    "{\"type\":\"https://api.x.com/2/problems/" type "\",\"title\":\"t\",\"detail\":\"d\"}"
    static const struct answer_case cases[] = {
        { "v2's words for a duplicate", 403,
          "{\"detail\":\"You are not allowed to create a Tweet with Duplicate Content.\",\"type\":"
          "\"about:blank\",\"title\":\"Forbidden\",\"status\":403}",
          .told = "UNKNOWN duplicate duplicate" },
        { "app", 403, PROBLEM("client-forbidden"), .told = "BLOCKED app-not-allowed dead" },
        { "token of the wrong kind", 403, PROBLEM("unsupported-authentication"),
          .told = "BLOCKED token-unfit dead" },
        { "cap", 429, PROBLEM("usage-capped"), .told = "LATER usage-cap after=3600000" },
        { "gone", 404, PROBLEM("resource-not-found"), .told = "REFUSED no-such-object" },
        { "not for us", 403, PROBLEM("not-authorized-for-resource"), .told = "REFUSED forbidden" },
        { "bad", 400, PROBLEM("invalid-request"), .told = "REFUSED bad-parameter" },
        { "one nobody knows", 403, PROBLEM("surprise"), .told = "REFUSED forbidden" },
        { "a type without a slash", 400, "{\"type\":\"usage-capped\"}", .told = "REFUSED refused" },
        { "401", 401, "{\"title\":\"Unauthorized\"}", .told = "BLOCKED token-dead dead" },
        { "500", 500, "", .told = "UNKNOWN server-error" },
        { "503", 503, "Over capacity", .told = "UNKNOWN server-error" },
        { "nothing", 0, NULL, .told = "UNKNOWN no-answer" },
        { "no connection", 0, NULL, .is_unsent = true, .told = "LATER no-connection" },
    };
    assert_answers(&platform_x, cases, COUNT(cases));
}

static void reads_limits(void **state)
{
    (void)state;
#define LIMITS(limit, remaining, reset)                                                            \
    {                                                                                              \
        { "x-rate-limit-limit", limit }, { "x-rate-limit-remaining", remaining },                  \
            { "x-rate-limit-reset", reset },                                                       \
    }
#define MADE "{\"data\":{\"id\":\"1\"}}"
    static const struct answer_case cases[] = {
        { "some left", 201, MADE, LIMITS("100", "25", "1770833460"), .told = "SENT 1 used=75" },
        { "none left: this went, the next waits", 201, MADE, LIMITS("15", "0", "1770833460"),
          .told = "SENT 1 used=100 reset=60000" },
        { "429 waits for the reset", 429, "{\"errors\":[{\"code\":88}]}",
          LIMITS("15", "0", "1770833460"),
          .told = "LATER rate-limit code=88 after=60000 used=100 reset=60000" },
        { "429 without words", 429, "", LIMITS("15", "0", "1770833430"),
          .told = "LATER rate-limit after=30000 used=100 reset=30000" },
        { "of the day",
          429,
          "",
          { { "x-user-limit-24hour-limit", "1440" },
            { "x-user-limit-24hour-remaining", "0" },
            { "x-user-limit-24hour-reset", "1770840600" } },
          .told = "LATER rate-limit after=7200000 used=100 reset=7200000" },
        { "more left than there is", 201, MADE, LIMITS("15", "20", "1770833460"),
          .told = "SENT 1" },
        { "no numbers", 201, MADE, LIMITS("many", "-1", "soon"), .told = "SENT 1" },
        { "no limit at all", 201, MADE, LIMITS("0", "0", "1770833460"), .told = "SENT 1" },
        { "beyond all bounds", 201, MADE,
          LIMITS("99999999999999999999", "0", "99999999999999999999"), .told = "SENT 1" },
        { "a reset that is none", 201, MADE, LIMITS("15", "0", "2026-02-11T18:11:00Z"),
          .told = "SENT 1 used=100" },
    };
    assert_answers(&platform_x_post, cases, COUNT(cases));
}

#define AT    "\"created_at\":\"2026-02-11T18:10:01.000Z\""
#define OLD   "\"created_at\":\"2026-02-11T10:10:01.000Z\""
#define META0 "\"meta\":{\"result_count\":1}"
#define MORE  "\"meta\":{\"result_count\":1,\"next_token\":\"n\"}"

static void finds_a_message_by_person_text_and_time(void **state)
{
    (void)state;
    const struct platform_message said = { .person = "4002", .text = "a & b <c>" };
#define ROW(rest) "{\"id\":\"19005\",\"text\":\"a &amp; b &lt;c&gt;\"," rest "}"
    static const struct {
        const char *body, *told;
    } cases[] = {
        { "{\"data\":[" ROW(
              "\"dm_conversation_id\":\"3001-4002\",\"sender_id\":\"3001\"," AT) "]," META0 "}",
          "there 19005" },
        { "{\"data\":[" ROW("\"dm_conversation_id\":\"4002-9001\"," AT) "]," META0 "}",
          "there 19005" },
        { "{\"data\":[" ROW(AT) "]," META0 "}", "there 19005" }, /* neither is told */
        { "{\"data\":[" ROW("\"dm_conversation_id\":\"3001-4003\"," AT) "]," META0 "}", "not" },
        { "{\"data\":[" ROW("\"dm_conversation_id\":\"3001-14002\"," AT) "]," META0 "}", "not" },
        { "{\"data\":[" ROW("\"sender_id\":\"4002\"," AT) "]," META0 "}",
          "not" }, /* they said it */
        { "{\"data\":[" ROW(OLD) "]," META0 "}", "not" },
        { "{\"data\":[{\"id\":\"1\",\"text\":\"other\"," AT "}]," MORE "}", "cannot say" },
        { "{\"data\":[{\"id\":\"1\",\"text\":\"other\"," OLD "}]," MORE "}", "not" },
        { "{\"meta\":{\"result_count\":0}}", "not" },
        { "{\"meta\":{\"result_count\":1}}", "cannot say" },
        { "{\"data\":[]}", "cannot say" }, /* without meta nobody knows whether that is all */
        { "{\"errors\":[{\"code\":88}]}", "cannot say" },
        { "null", "cannot say" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_found(&platform_x, &said, cases[i].body, cases[i].told);
#undef ROW
}

/* Fifty were asked for: whatever the platform says or leaves out, there may be more. */
static void a_full_list_that_ends_too_soon_says_nothing(void **state)
{
    (void)state;
    const struct platform_message said = { .person = "4002", .text = "ours" };
    char body[8192];
    for (size_t rows = 49; rows <= 51; rows++) {
        size_t used = (size_t)snprintf(body, sizeof body, "{" META0 ",\"data\":[");
        for (size_t i = 0; i < rows; i++)
            used += (size_t)snprintf(body + used, sizeof body - used,
                                     "%s{\"id\":\"%zu\",\"text\":\"another\"," AT "}",
                                     i > 0 ? "," : "", i);
        (void)snprintf(body + used, sizeof body - used, "]}");
        const char *told = rows < 50 ? "not" : "cannot say";
        assert_found(&platform_x, &said, body, told);
        assert_found(&platform_x_post, &said, body, told);
    }
}

static void finds_a_post_whose_links_were_shortened(void **state)
{
    (void)state;
#define ROW(text) "{\"data\":[{\"id\":\"2\",\"text\":\"" text "\"," AT "}]," META0 "}"
    const struct platform_message said = {
        .text = "A55 ar gau / closed: https://f.example/345 (f.example) \xf0\x9f\x9a\xa7"
    };
    static const struct {
        const char *body, *told;
    } cases[] = {
        { ROW("A55 ar gau / closed: https://t.co/abc (https://t.co/d) \xf0\x9f\x9a\xa7"),
          "there 2" },
        { ROW("A55 ar gau / closed: https://f.example/345 (f.example) \xf0\x9f\x9a\xa7"),
          "there 2" },
        { ROW("A55 ar gau / https://t.co/abc https://f.example/345 (f.example) \xf0\x9f\x9a\xa7"),
          "not" }, /* a link stands for a link alone */
        { ROW("A55 ar gau / closed: https://t.co/abc https://t.co/d \xf0\x9f\x9a\xa7"), "not" },
        { ROW("A55 ar gau / closed: https://t.co/abc (https://t.co/d)"), "not" },
        { ROW("A55 ar gau / closed: https://t.co/abc (https://t.co/d) \xf0\x9f\x9a\xa7 2/2"),
          "not" },
        { ROW(""), "not" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_found(&platform_x_post, &said, cases[i].body, cases[i].told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_every_request_with_its_query),
        cmocka_unit_test(a_token_alone_is_one_of_oauth_2),
        cmocka_unit_test(refuses_what_cannot_be_sent),
        cmocka_unit_test(reads_what_was_made),
        cmocka_unit_test(judges_every_code),
        cmocka_unit_test(judges_problems_and_statuses),
        cmocka_unit_test(reads_limits),
        cmocka_unit_test(finds_a_message_by_person_text_and_time),
        cmocka_unit_test(a_full_list_that_ends_too_soon_says_nothing),
        cmocka_unit_test(finds_a_post_whose_links_were_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
