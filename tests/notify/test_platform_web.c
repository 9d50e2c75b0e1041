/* Answers to the web form: the mail gateway's orders and what it says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/platform_channels.h"
#include "platform_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct platform_self self = { .base_url = "http://mail.example", .token = "token" };
static const struct platform_message message = {
    .person = "form-1",
    .object_id = "9-4f",
    .contact = "a.person+desk@post.example",
    .text = "Diolch.",
    .language = "cy",
    .ref = "desk:7f0c/0",
    .key = "7f0c/0",
};

static void orders_a_mail(void **state)
{
    (void)state;
    struct platform_self open = self;
    struct platform_message bare = message;
    assert_request(
        platform_web.send, &self, &message,
        "POST http://mail.example/messages\nAuthorization: Bearer token\n"
        "Idempotency-Key: 7f0c/0\nContent-Type: application/json\n\n"
        "{\"answers\":\"9-4f\",\"language\":\"cy\",\"reference\":\"desk:7f0c/0\",\"text\":"
        "\"Diolch.\",\"to\":\"a.person+desk@post.example\"}\n");
    open.token = NULL;
    bare.language = bare.object_id = bare.key = NULL;
    assert_request(platform_web.send, &open, &bare,
                   "POST http://mail.example/messages\nContent-Type: application/json\n\n"
                   "{\"reference\":\"desk:7f0c/0\",\"text\":\"Diolch.\",\"to\":"
                   "\"a.person+desk@post.example\"}\n");
    assert_false(platform_web.has_key); /* a gateway need not know keys */
    assert_null(platform_web.probe);
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const contacts[] = { "",        "01492 000000",  "a b@c.example", "a@b,c@d",
                                            "a@b;c@d", "<a@b.example>", "a@b\r\nCc: x" };
    struct platform_message bad = message;
    for (size_t i = 0; i < COUNT(contacts); i++) {
        bad.contact = contacts[i];
        assert_refused(platform_web.send, &self, &bad, ERROR_INVALID, "e-mail address");
    }
    bad.contact = NULL;
    assert_refused(platform_web.send, &self, &bad, ERROR_INVALID, "e-mail address");
    bad = message;
    bad.text = NULL;
    assert_refused(platform_web.send, &self, &bad, ERROR_INVALID, "a text");
    bad.text = "\xff";
    assert_refused(platform_web.send, &self, &bad, ERROR_INVALID, "UTF-8");
    bad.ref = NULL;
    assert_refused(platform_web.look_up, &self, &bad, ERROR_INVALID, "a reference");
}

static void reads_answers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        { "taken", 202, "{\"id\":\"mail-7\"}", .told = "SENT mail-7" },
        { "taken without a word", 204, "", .told = "SENT" },
        { "no such mailbox", 422, "{\"error\":\"no such mailbox\"}", .told = "REFUSED refused" },
        { "token", 401, "", .told = "BLOCKED token-dead dead" },
        { "slow down", 429, "", { { "Retry-After", "4" } }, .told = "LATER rate-limit after=4000" },
        { "a time-out", 0, NULL, .told = "UNKNOWN no-answer" },
        { "error", 500, "", .told = "UNKNOWN server-error" },
    };
    assert_answers(&platform_web, cases, COUNT(cases));
}

static void is_found_by_its_reference(void **state)
{
    (void)state;
    assert_request(platform_web.look_up, &self, &message,
                   "GET http://mail.example/messages?reference=desk%3A7f0c%2F0\n"
                   "Authorization: Bearer token\n");
    static const struct {
        const char *body, *told;
    } cases[] = {
        { "{\"messages\":[{\"id\":\"mail-7\",\"reference\":\"desk:7f0c/0\"}]}", "there mail-7" },
        { "{\"messages\":[{\"reference\":\"desk:7f0c/0\"}]}", "there " },
        { "{\"messages\":[{\"id\":\"mail-7\",\"reference\":\"desk:7f0c/1\"}]}", "not" },
        { "{\"messages\":[{\"id\":\"mail-7\"}, 3]}", "not" },
        { "{\"messages\":[]}", "not" },
        { "{}", "cannot say" },
        { "not found", "cannot say" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_found(&platform_web, &message, cases[i].body, cases[i].told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_a_mail),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(is_found_by_its_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
