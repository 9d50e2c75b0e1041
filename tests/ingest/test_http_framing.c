/* The rules of a request's head, without sockets. */
#include "ingest/http_framing.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct header {
    const char *key, *value;
};

static struct http_head head_of(const struct header *headers, size_t count)
{
    struct http_head head = { 0 };
    http_head_add(&head, "Host", 4, "desk", 4);
    for (size_t i = 0; i < count && headers[i].key; i++)
        http_head_add(&head, headers[i].key, strlen(headers[i].key), headers[i].value,
                      strlen(headers[i].value));
    return head;
}

static void takes_one_length_or_chunked_alone(void **state)
{
    (void)state;
    static const struct {
        struct header headers[2];
        enum answer answer;
    } cases[] = {
        { { { "Content-Length", "100" } }, ANSWER_NONE },
        { { { "content-length", "0" } }, ANSWER_NONE },
        { { { "Transfer-Encoding", "chunked" } }, ANSWER_NONE },
        { { { "transfer-encoding", "Chunked" } }, ANSWER_NONE },
        { { { 0 } }, ANSWER_LENGTH_MISSING },
        { { { "Content-Length", "101" } }, ANSWER_BODY_TOO_LARGE },
        { { { "Content-Length", "999999999999999" } }, ANSWER_BODY_TOO_LARGE },
        { { { "Content-Length", "+5" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "-5" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "5 5" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "5,5" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "0x5" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "9999999999999999999999" } }, ANSWER_LENGTH_MALFORMED },
        { { { "Content-Length", "5" }, { "Content-Length", "6" } }, ANSWER_FRAMING },
        { { { "Content-Length", "5" }, { "Content-Length", "5" } }, ANSWER_FRAMING },
        { { { "Content-Length", "5" }, { "Transfer-Encoding", "chunked" } }, ANSWER_FRAMING },
        { { { "Transfer-Encoding", "chunked" }, { "Transfer-Encoding", "chunked" } },
          ANSWER_FRAMING },
        { { { "Transfer-Encoding", "gzip, chunked" } }, ANSWER_FRAMING },
        { { { "Transfer-Encoding", "chunked " } }, ANSWER_FRAMING },
        { { { "Transfer-Encoding", "identity" } }, ANSWER_FRAMING },
        { { { "Transfer-Encoding", "" } }, ANSWER_FRAMING },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct http_head head = head_of(cases[i].headers, 2);
        if (http_framing_check_post(&head, 100) != cases[i].answer)
            fail_msg("case %zu: %s", i, answer_reason(http_framing_check_post(&head, 100)));
    }
}

static void a_get_has_no_body(void **state)
{
    (void)state;
    const struct header none = { 0 };
    const struct header zero = { "Content-Length", "0" };
    const struct header some = { "Content-Length", "1" };
    const struct header chunked = { "Transfer-Encoding", "chunked" };
    struct http_head head = head_of(&none, 1);
    assert_int_equal(http_framing_check_get(&head), ANSWER_NONE);
    head = head_of(&zero, 1);
    assert_int_equal(http_framing_check_get(&head), ANSWER_NONE);
    head = head_of(&some, 1);
    assert_int_equal(http_framing_check_get(&head), ANSWER_FRAMING);
    head = head_of(&chunked, 1);
    assert_int_equal(http_framing_check_get(&head), ANSWER_FRAMING);
}

static void refuses_odd_names_values_and_versions(void **state)
{
    (void)state;
    static const struct header bad[] = { { "Content-Length ", "5" },
                                         { "Content Length", "5" },
                                         { "", "5" },
                                         { "X\x01", "5" },
                                         { "X(", "5" },
                                         { "X", "a\nb" },
                                         { "X", "a\x7f" },
                                         { "Host", "other" } };
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct http_head head = head_of(&bad[i], 1);
        assert_int_equal(http_framing_check_common(&head, "HTTP/1.1"), ANSWER_HEADER_MALFORMED);
    }
    struct http_head with_nul = head_of(NULL, 0);
    http_head_add(&with_nul, "X", 1, "a\0b", 3);
    assert_int_equal(http_framing_check_common(&with_nul, "HTTP/1.1"), ANSWER_HEADER_MALFORMED);
    const struct http_head hostless = { 0 };
    assert_int_equal(http_framing_check_common(&hostless, "HTTP/1.1"), ANSWER_HEADER_MALFORMED);
    const struct http_head good = head_of(NULL, 0);
    assert_int_equal(http_framing_check_common(&good, "HTTP/1.1"), ANSWER_NONE);
    assert_int_equal(http_framing_check_common(&good, "HTTP/1.0"), ANSWER_VERSION);
    assert_int_equal(http_framing_check_common(&good, "HTTP/1.2"), ANSWER_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_one_length_or_chunked_alone),
        cmocka_unit_test(a_get_has_no_body),
        cmocka_unit_test(refuses_odd_names_values_and_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
