#include "ingest/json_repair.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void assert_repairs(const char *body, size_t length, const char *expected)
{
    struct repaired repaired;
    json_repair((const uint8_t *)body, length, &repaired);
    if (repaired.length != strlen(expected) ||
        memcmp(repaired.text, expected, repaired.length) != 0)
        fail_msg("'%s' became '%.*s'", body, (int)repaired.length, repaired.text);
    repaired_clear(&repaired);
}

static void a_clean_body_is_not_copied(void **state)
{
    (void)state;
    static const char body[] =
        "{\"a\":\"ŵ \\u00e4 \\ud83c\\udf0a \\\\ \\\" \\n\",\"b\":[1,-2.5e+3,9223372036854775807]}";
    struct repaired repaired;
    json_repair((const uint8_t *)body, sizeof body - 1, &repaired);
    assert_ptr_equal(repaired.text, body);
    assert_int_equal(repaired.length, sizeof body - 1);
    assert_null(repaired.owned);
    repaired_clear(&repaired);
}

static void replaces_what_no_text_can_hold(void **state)
{
    (void)state;
    static const struct {
        const char *body, *expected;
    } cases[] = {
        { "\"\\ud83d\"", "\"\\ufffd\"" },
        { "\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\"" },
        { "\"\\ude00\\ud83d\"", "\"\\ufffd\\ufffd\"" },
        { "\"\\ud83d\\u0041\"", "\"\\ufffd\\u0041\"" },
        { "\"\\ud83d", "\"\\ufffd" },
        { "\"\\u0000\"", "\"\\ufffd\"" },
        { "\"\\\\u0000\"", "\"\\\\u0000\"" }, /* an escaped backslash, then letters */
        { "\"\\\\\\u0000\"", "\"\\\\\\ufffd\"" },
        { "\"\x80\xc0\xaf\xf5\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\"\xe0\x80\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\"\xf4\x90\x80\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\"\xc5", "\"\xef\xbf\xbd" },
        { "\"\\\xff\"", "\"\\\xef\xbf\xbd\"" },
        { "\xef\xbb\xbf{}", "{}" },
        { "\"\\u12\"", "\"\\u12\"" }, /* broken: the parser's to judge */
        { "\"\\", "\"\\" },
        { "", "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_repairs(cases[i].body, strlen(cases[i].body), cases[i].expected);
    assert_repairs("\"a\0b\"", 5,
                   "\"a\xef\xbf\xbd"
                   "b\"");
}

static void big_whole_numbers_become_texts(void **state)
{
    (void)state;
    static const struct {
        const char *body, *expected;
    } cases[] = {
        { "9223372036854775807", "9223372036854775807" },
        { "9223372036854775808", "\"9223372036854775808\"" },
        { "-9223372036854775807", "-9223372036854775807" },
        { "-9223372036854775808", "\"-9223372036854775808\"" },
        { "[12345678901234567890,1]", "[\"12345678901234567890\",1]" },
        { "12345678901234567890.5", "12345678901234567890.5" },
        { "1e400", "1e400" },
        { "00012345678901234567890", "00012345678901234567890" }, /* no JSON number at all */
        { "\"12345678901234567890\"", "\"12345678901234567890\"" },
        { "-", "-" },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_repairs(cases[i].body, strlen(cases[i].body), cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_body_is_not_copied),
        cmocka_unit_test(replaces_what_no_text_can_hold),
        cmocka_unit_test(big_whole_numbers_become_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
