/* Messenger, Instagram, WhatsApp and the Page's feed: requests, every row of the error table, usage
 * headers, looking up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/platform_channels.h"
#include "notify/platform_meta.h"
#include "platform_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct platform_self page = {
    .base_url = "https://graph.example/v25.0/",
    .account = "108800000000001",
    .token = "page-token",
};
#define AT_MESSAGES                                                                                \
    "POST https://graph.example/v25.0/108800000000001/messages\n"                                  \
    "Authorization: Bearer page-token\nContent-Type: application/json\n\n"

static const struct platform_message reply = {
    .person = "6200000000000011",
    .object_id = "m_1",
    .text = "Diolch. \"d\xc5\xb5r\"\n999",
    .ref = "desk:7f0c/1",
};

static void messenger_says_response_and_carries_the_mark(void **state)
{
    (void)state;
    const char *const lines = AT_MESSAGES
        "{\"message\":{\"metadata\":\"desk:7f0c/1\",\"text\":\"Diolch. \\\"d\xc5\xb5r\\\"\\n999\"},"
        "\"messaging_type\":\"RESPONSE\",\"recipient\":{\"id\":\"6200000000000011\"}}\n";
    assert_request(platform_facebook.send, &page, &reply, lines);
    assert_request(platform_instagram.send, &page, &reply, lines);
}

static void the_human_tag_is_there_only_when_asked_for(void **state)
{
    (void)state;
    struct platform_message message = reply;
    message.text = "a";
    message.is_human_agent = true;
    assert_request(platform_facebook.send, &page, &message,
                   AT_MESSAGES
                   "{\"message\":{\"metadata\":\"desk:7f0c/1\",\"text\":\"a\"},\"messaging_type\":"
                   "\"MESSAGE_TAG\",\"recipient\":{\"id\":\"6200000000000011\"},\"tag\":"
                   "\"HUMAN_AGENT\"}\n");
}

static void whatsapp_answers_a_message_and_carries_the_mark(void **state)
{
    (void)state;
    struct platform_message message = {
        .person = "447700900123", .object_id = "wamid.HBgL1", .text = "a", .ref = "desk:7f0c/0"
    };
#define BODY(rest, to)                                                                             \
    AT_MESSAGES "{\"biz_opaque_callback_data\":\"desk:7f0c/0\"," rest                              \
                "\"messaging_product\":\"whatsapp\"," to "\"recipient_type\":\"individual\","      \
                "\"text\":{\"body\":\"a\",\"preview_url\":false}"
    assert_request(platform_whatsapp.send, &page, &message,
                   BODY("\"context\":{\"message_id\":\"wamid.HBgL1\"},",
                        "") ",\"to\":\"447700900123\",\"type\":\"text\"}\n");
    message.object_id = NULL;
    assert_request(platform_whatsapp.send, &page, &message,
                   BODY("", "") ",\"to\":\"447700900123\",\"type\":\"text\"}\n");
    message.person = "GB.134"; /* hides the number, but gave it */
    message.contact = "447700900123";
    assert_request(platform_whatsapp.send, &page, &message,
                   BODY("", "") ",\"to\":\"447700900123\",\"type\":\"text\"}\n");
    message.contact = "";
    assert_request(platform_whatsapp.send, &page, &message,
                   BODY("", "\"recipient\":\"GB.134\",") ",\"type\":\"text\"}\n");
#undef BODY
}

static void the_page_posts_edits_removes_and_is_read(void **state)
{
    (void)state;
    struct platform_message message = { .text = "A55 ar gau / closed", .object_id = "1_2" };
#define HEAD "Authorization: Bearer page-token\n"
#define TYPE "Content-Type: application/json\n\n{\"message\":\"A55 ar gau / closed\"}\n"
    assert_request(platform_page.send, &page, &message,
                   "POST https://graph.example/v25.0/108800000000001/feed\n" HEAD TYPE);
    assert_request(platform_page.edit, &page, &message,
                   "POST https://graph.example/v25.0/1_2\n" HEAD TYPE);
    assert_request(platform_page.remove, &page, &message,
                   "DELETE https://graph.example/v25.0/1_2\n" HEAD);
    assert_request(platform_page.look_up, &page, &message,
                   "GET https://graph.example/v25.0/108800000000001/feed?fields=id%2Cmessage%2C"
                   "created_time&limit=20\n" HEAD);
    message.is_reply = true;
    assert_request(platform_page.send, &page, &message,
                   "POST https://graph.example/v25.0/1_2/comments\n" HEAD TYPE);
    assert_request(platform_page.look_up, &page, &message,
                   "GET https://graph.example/v25.0/1_2/comments?fields=id%2Cmessage%2C"
                   "created_time&limit=20\n" HEAD);
}

static int probe(const struct platform_self *self, const struct platform_message *message,
                 struct platform_request *out, struct error *err)
{
    return platform_meta_probe(self, message->at_ms, message->nonce, out, err);
}

static void the_probe_asks_for_the_account_itself(void **state)
{
    (void)state;
    const struct platform_message none = { 0 };
    assert_request(probe, &page, &none,
                   "GET https://graph.example/v25.0/108800000000001?fields=id\n" HEAD);
    const struct platform *const all[] = { &platform_facebook, &platform_instagram,
                                           &platform_whatsapp, &platform_page };
    for (size_t i = 0; i < COUNT(all); i++)
        assert_ptr_equal(all[i]->probe, platform_meta_probe);
}

static void refuses_what_cannot_be_sent(void **state)
{
    (void)state;
    struct platform_self self = page;
    struct platform_message message = reply;
    request_maker *const makers[] = { platform_facebook.send, platform_whatsapp.send,
                                      platform_page.send };
    for (size_t i = 0; i < COUNT(makers); i++) {
        message.text = "";
        assert_refused(makers[i], &self, &message, ERROR_INVALID, "a text");
        message.text = "\xff\xfe";
        assert_refused(makers[i], &self, &message, ERROR_INVALID, "UTF-8");
        message.text = "a";
        self.token = NULL;
        assert_refused(makers[i], &self, &message, ERROR_CONFIG, "token");
        self.token = "two\nlines";
        assert_refused(makers[i], &self, &message, ERROR_CONFIG, "token");
        self.token = "t";
        self.base_url = "";
        assert_refused(makers[i], &self, &message, ERROR_CONFIG, "base_url");
        self.base_url = "https://graph.example";
        self.account = "..";
        assert_refused(makers[i], &self, &message, ERROR_INVALID, "id");
        self = page;
    }
    message.person = "";
    assert_refused(platform_facebook.send, &self, &message, ERROR_INVALID, "a person");
    assert_refused(platform_whatsapp.send, &self, &message, ERROR_INVALID, "a person");
    message.object_id = NULL;
    assert_refused(platform_page.edit, &self, &message, ERROR_INVALID, "a post");
    assert_refused(platform_page.remove, &self, &message, ERROR_INVALID, "a post");
    message.is_reply = true;
    assert_refused(platform_page.send, &self, &message, ERROR_INVALID, "a post to follow");
}

static void ids_cannot_leave_their_place_in_the_address(void **state)
{
    (void)state;
    struct platform_message message = { .object_id = "1/../2?x=1&y#z %" };
    assert_request(platform_page.remove, &page, &message,
                   "DELETE https://graph.example/v25.0/1%2F..%2F2%3Fx%3D1%26y%23z%20%25\n" HEAD);
    char long_id[PLATFORM_URL_BYTES];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    message.object_id = long_id;
    assert_refused(platform_page.remove, &page, &message, ERROR_INVALID, "address");
}

static void reads_what_was_made(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "message", 200, "{\"recipient_id\":\"62\",\"message_id\":\"m_out1\"}",
          .told = "SENT m_out1" },
        { "whatsapp", 200,
          "{\"messaging_product\":\"whatsapp\",\"contacts\":[{\"wa_id\":\"4477\"}],\"messages\":[{"
          "\"id\":\"wamid.OUT1\"}]}",
          .told = "SENT wamid.OUT1" },
        { "post", 200, "{\"id\":\"108_5\"}", .told = "SENT 108_5" },
        { "an id as a number", 200, "{\"id\":108}", .told = "SENT 108" },
        { "edited, removed", 200, "{\"success\":true}", .told = "SENT" },
        { "not a success", 200, "{\"success\":false}", .told = "UNKNOWN answer-not-understood" },
        { "200 that names nothing", 200, "{}", .told = "UNKNOWN answer-not-understood" },
        { "200 without a body", 200, "", .told = "UNKNOWN answer-not-understood" },
        { "half an answer", 200, "{\"message_id\":\"m_", .told = "UNKNOWN answer-not-understood" },
        { "a page of a proxy", 200, "<html>", .told = "UNKNOWN answer-not-understood" },
        { "a list", 200, "[1]", .told = "UNKNOWN answer-not-understood" },
        { "an error wins over an id", 200, "{\"id\":\"1\",\"error\":{\"code\":190}}",
          .told = "BLOCKED token-dead code=190 dead" },
    };
    assert_answers(&platform_facebook, cases, COUNT(cases));
}

static void reads_statuses_without_words(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "no connection", 0, NULL, .is_unsent = true, .told = "LATER no-connection" },
        { "a time-out", 0, NULL, .told = "UNKNOWN no-answer" },
        { "redirect", 302, NULL, .told = "REFUSED redirected" },
        { "400", 400, NULL, .told = "REFUSED refused" },
        { "401", 401, "nonsense", .told = "BLOCKED token-dead dead" },
        { "403", 403, NULL, .told = "REFUSED forbidden" },
        { "404", 404, NULL, .told = "REFUSED no-such-object" },
        { "408", 408, NULL, .told = "LATER not-all-received" },
        { "409", 409, NULL, .told = "REFUSED conflict" },
        { "410", 410, NULL, .told = "REFUSED gone" },
        { "413", 413, NULL, .told = "REFUSED too-large" },
        { "425", 425, NULL, .told = "LATER too-early" },
        { "429", 429, NULL, .told = "LATER rate-limit" },
        { "429 that says when",
          429,
          NULL,
          { { "retry-after", "7" } },
          .told = "LATER rate-limit after=7000" },
        { "429 that says the time",
          429,
          NULL,
          { { "Retry-After", "Wed, 11 Feb 2026 18:10:30 GMT" } },
          .told = "LATER rate-limit after=30000" },
        { "the old form of the time",
          429,
          NULL,
          { { "Retry-After", "Wednesday, 11-Feb-26 18:10:30 GMT" } },
          .told = "LATER rate-limit after=30000" },
        { "the oldest",
          429,
          NULL,
          { { "Retry-After", "Wed Feb 11 18:10:30 2026" } },
          .told = "LATER rate-limit after=30000" },
        { "a time gone by",
          429,
          NULL,
          { { "Retry-After", "Wed, 11 Feb 2026 18:09:30 GMT" } },
          .told = "LATER rate-limit" },
        { "more than a day",
          429,
          NULL,
          { { "Retry-After", "9999999" } },
          .told = "LATER rate-limit after=86400000" },
        { "no time at all", 429, NULL, { { "Retry-After", "soon" } }, .told = "LATER rate-limit" },
        { "500: perhaps after it was taken", 500, NULL, .told = "UNKNOWN server-error" },
        { "502", 502, NULL, .told = "UNKNOWN server-error" },
        { "503: perhaps of a gateway behind which it was taken", 503, NULL,
          .told = "UNKNOWN server-error" },
        { "503 that asks to come again",
          503,
          NULL,
          { { "Retry-After", "2" } },
          .told = "LATER over-capacity after=2000" },
        { "504", 504, NULL, .told = "UNKNOWN server-error" },
        { "an error nobody knows", 400, "{\"error\":{\"code\":4711}}",
          .told = "REFUSED refused code=4711" },
        { "an error nobody knows of the server's", 500, "{\"error\":{\"code\":4711}}",
          .told = "UNKNOWN server-error code=4711" },
        { "codes that are none", 400, "{\"error\":{\"code\":\"190\",\"error_subcode\":{}}}",
          .told = "REFUSED refused" },
        { "a code beyond all", 400, "{\"error\":{\"code\":99999999999}}",
          .told = "REFUSED refused" },
        { "a code below all", 400, "{\"error\":{\"code\":-1,\"error_subcode\":-1}}",
          .told = "REFUSED refused" },
        { "an error that is a text", 400, "{\"error\":\"190\"}", .told = "REFUSED refused" },
    };
    assert_answers(&platform_facebook, cases, COUNT(cases));
}

/* Codes and meanings as the platform's pages list them, apart from the table in platform_meta.c. */
static const struct row {
    int code, subcode;
    const char *told;
} rows[] = {
    { 10, 2018278, "REFUSED window-closed code=10 window" },
    { 10, 2534022, "REFUSED window-closed code=10 window" },
    { 10, 1893063, "BLOCKED page-restricted code=10 dead" },
    { 10, 0, "REFUSED permission-missing code=10" },
    { 10, 77, "REFUSED permission-missing code=10" },
    { 200, 0, "REFUSED permission-missing code=200" },
    { 230, 0, "REFUSED permission-missing code=230" },
    { 100, 0, "REFUSED bad-parameter code=100" },
    { 100, 2018001, "REFUSED no-such-person code=100" },
    { 100, 33, "REFUSED no-such-object code=100" },
    { 190, 0, "BLOCKED token-dead code=190 dead" },
    { 190, 458, "BLOCKED app-not-installed code=190 dead" },
    { 190, 460, "BLOCKED password-changed code=190 dead" },
    { 190, 463, "BLOCKED token-expired code=190 dead" },
    { 190, 467, "BLOCKED token-invalid code=190 dead" },
    { 551, 0, "REFUSED person-unavailable code=551" },
    { 551, 1545041, "REFUSED person-unavailable code=551" },
    { 200, 1545041, "REFUSED person-unavailable code=200" },
    { 3, 2018218, "REFUSED no-profile code=3" },
    { 1, 0, "UNKNOWN unknown-there code=1" },
    { 2, 0, "LATER temporary code=2" },
    { 2, 2018344, "LATER temporary code=2" },
    { 4, 0, "LATER app-limit code=4" },
    { 17, 0, "LATER user-limit code=17" },
    { 32, 0, "LATER page-limit code=32" },
    { 613, 0, "LATER rate-limit code=613" },
    { 613, 1996, "LATER inconsistent-use code=613" },
    { 80001, 0, "LATER page-limit code=80001 after=300000" },
    { 80002, 0, "LATER instagram-limit code=80002 after=300000" },
    { 80006, 0, "LATER messenger-limit code=80006 after=300000" },
    { 80007, 0, "LATER whatsapp-limit code=80007 after=300000" },
    { 80008, 0, "LATER whatsapp-limit code=80008 after=300000" },
    { 368, 0, "BLOCKED blocked-for-abuse code=368 dead" },
    { 506, 1455006, "UNKNOWN duplicate code=506 duplicate" },
    { 10900, 0, "REFUSED private-reply-refused code=10900" },
    { 10903, 0, "REFUSED private-reply-refused code=10903" },
    { 10904, 0, "REFUSED private-reply-refused code=10904" },
    { 20, 2534014, "REFUSED private-reply-refused code=20" },
    { 131047, 0, "REFUSED window-closed code=131047 window" },
    { 131026, 0, "REFUSED undeliverable code=131026" },
    { 131056, 0, "LATER pair-rate code=131056 after=6000" },
    { 130429, 0, "LATER throughput code=130429" },
    { 131048, 0, "LATER spam-limit code=131048 after=3600000" },
    { 131049, 0, "LATER person-limit code=131049 after=3600000" },
    { 131051, 0, "REFUSED unsupported-type code=131051" },
};

static void judges_every_code_whatever_the_status(void **state)
{
    (void)state;
    static const unsigned statuses[] = { 400, 403, 429, 500 };
    const struct platform *const all[] = { &platform_facebook, &platform_instagram,
                                           &platform_whatsapp, &platform_page };
    size_t count = 0;
    (void)platform_meta_faults(&count);
    assert_int_equal(count, COUNT(rows) - 1); /* one row here has a subcode nobody knows */
    for (size_t i = 0; i < COUNT(rows) * COUNT(statuses); i++) {
        const struct row *row = &rows[i / COUNT(statuses)];
        char body[128];
        (void)snprintf(body, sizeof body,
                       "{\"error\":{\"message\":\"m\",\"code\":%d,\"error_subcode\":%d}}",
                       row->code, row->subcode);
        const struct answer_case one = {
            .name = body, .status = statuses[i % COUNT(statuses)], .body = body, .told = row->told
        };
        assert_answers(all[i % COUNT(all)], &one, 1);
    }
}

static void reads_usage_headers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "of the app",
          200,
          "{\"id\":\"1\"}",
          { { "X-App-Usage", "{\"call_count\":28,\"total_time\":12,\"total_cputime\":9}" } },
          .told = "SENT 1 used=28" },
        { "the highest of all",
          200,
          "{\"id\":\"1\"}",
          { { "x-app-usage", "{\"call_count\":28}" }, { "x-page-usage", "{\"total_time\":81}" } },
          .told = "SENT 1 used=81" },
        { "over the limit",
          400,
          "{\"error\":{\"code\":4}}",
          { { "X-App-Usage", "{\"call_count\":130}" } },
          .told = "LATER app-limit code=4 used=100" },
        { "of the business, in minutes",
          400,
          "{\"error\":{\"code\":80006}}",
          { { "X-Business-Use-Case-Usage",
              "{\"108\":[{\"type\":\"messenger\",\"call_count\":61,\"total_cputime\":20,\"total_"
              "time\":18,"
              "\"estimated_time_to_regain_access\":0},{\"type\":\"pages\",\"call_count\":100,"
              "\"estimated_time_to_regain_access\":7}]}" } },
          .told = "LATER messenger-limit code=80006 after=420000 used=100 reset=420000" },
        { "not JSON",
          200,
          "{\"id\":\"1\"}",
          { { "X-App-Usage", "28" }, { "X-Page-Usage", "{" } },
          .told = "SENT 1" },
        { "other shapes",
          200,
          "{\"id\":\"1\"}",
          { { "X-App-Usage", "[1]" },
            { "X-Page-Usage", "{\"call_count\":\"9\"}" },
            { "X-Business-Use-Case-Usage", "{\"1\":{},\"2\":[3]}" } },
          .told = "SENT 1" },
    };
    assert_answers(&platform_page, cases, COUNT(cases));
}

static void finds_its_post_by_text_and_time(void **state)
{
    (void)state;
    const struct platform_message message = { .text =
                                                  "A55 ar gau\n\nA55 closed  https://f.example/1" };
#define ROW(id, text, time)                                                                        \
    "{\"id\":\"" id "\",\"message\":\"" text "\",\"created_time\":\"" time "\"}"
#define OURS               "A55 ar gau\\n\\nA55 closed https://f.example/1"
#define LIST(rows, paging) "{\"data\":[" rows "],\"paging\":{" paging "}}"
    static const struct {
        const char *body, *told;
    } cases[] = {
        { LIST(ROW("108_1", OURS, "2026-02-11T18:10:02+0000"), ""), "there 108_1" },
        { LIST(ROW("108_1", OURS, "2026-02-11T18:09:40+0000"), ""), "there 108_1" }, /* clocks */
        { LIST(ROW("108_1", OURS, "2026-02-11T17:09:40+0000"), ""), "not" }, /* another time */
        { LIST(ROW("108_2", "A470 closed", "2026-02-11T18:10:02+0000"), ""), "not" },
        { LIST(ROW("108_2", "A55 ar gau", "2026-02-11T18:10:02+0000"), ""), "not" },
        { LIST("", ""), "not" },
        { LIST(ROW("108_2", "x", "2026-02-11T18:10:02+0000"), "\"next\":\"https://g.example/\""),
          "cannot say" }, /* ours may be on the next page */
        { LIST(ROW("108_2", "x", "2026-02-11T18:10:02+0000") "," ROW("108_0", "y",
                                                                     "2026-02-11T10:10:02+0000"),
               "\"next\":\"https://g.example/\""),
          "not" }, /* older ones are listed: ours would be */
        { LIST("{\"id\":\"108_1\",\"message\":\"" OURS "\"}", ""), "cannot say" }, /* when? */
        { LIST(ROW("", OURS, "2026-02-11T18:10:02+0000"), ""), "cannot say" },
        { LIST("{\"id\":\"108_1\",\"created_time\":\"2026-02-11T18:10:02+0000\"}", ""), "not" },
        { LIST("7,null,[]", ""), "not" },
        { "{\"data\":{}}", "cannot say" },
        { "{}", "cannot say" },
        { "{\"data\":[", "cannot say" },
        { "", "cannot say" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_found(&platform_page, &message, cases[i].body, cases[i].told);
}

static void messengers_are_found_by_echo_alone(void **state)
{
    (void)state;
    const struct platform *const all[] = { &platform_facebook, &platform_instagram,
                                           &platform_whatsapp };
    for (size_t i = 0; i < COUNT(all); i++) {
        assert_null(all[i]->look_up);
        assert_false(all[i]->has_key);
        assert_null(all[i]->edit);
        assert_null(all[i]->remove);
    }
    assert_false(platform_page.has_key);
}

static void every_channel_and_outlet_has_its_platform(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "facebook", "facebook" }, { "instagram", "instagram" },
        { "whatsapp", "whatsapp" }, { "x", "x" },
        { "web", "web" },
    };
    static const char *const outlets[][2] = {
        { "facebook", "facebook-page" },
        { "x", "x-post" },
        { "mastodon", "mastodon" },
        { "webhook", "webhook" },
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_string_equal(platform_for_channel(pairs[i][0])->name, pairs[i][1]);
    for (size_t i = 0; i < COUNT(outlets); i++)
        assert_string_equal(platform_for_outlet(outlets[i][0])->name, outlets[i][1]);
    assert_null(platform_for_channel("mastodon"));
    assert_null(platform_for_channel(""));
    assert_null(platform_for_outlet("feed")); /* nothing is called */
    assert_null(platform_for_outlet("whatsapp"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messenger_says_response_and_carries_the_mark),
        cmocka_unit_test(the_human_tag_is_there_only_when_asked_for),
        cmocka_unit_test(whatsapp_answers_a_message_and_carries_the_mark),
        cmocka_unit_test(the_page_posts_edits_removes_and_is_read),
        cmocka_unit_test(the_probe_asks_for_the_account_itself),
        cmocka_unit_test(refuses_what_cannot_be_sent),
        cmocka_unit_test(ids_cannot_leave_their_place_in_the_address),
        cmocka_unit_test(reads_what_was_made),
        cmocka_unit_test(reads_statuses_without_words),
        cmocka_unit_test(judges_every_code_whatever_the_status),
        cmocka_unit_test(reads_usage_headers),
        cmocka_unit_test(finds_its_post_by_text_and_time),
        cmocka_unit_test(messengers_are_found_by_echo_alone),
        cmocka_unit_test(every_channel_and_outlet_has_its_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
