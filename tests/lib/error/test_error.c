#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "error/error.h"

static void fills_kind_and_text_and_returns_minus_one(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_int_equal(error_set(&err, ERROR_UNAVAILABLE, "journal is full: %d of %d", 3, 3), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_string_equal(err.text, "journal is full: 3 of 3");
}

static void takes_a_caller_who_does_not_want_to_know(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ERROR_INVALID, "x"), -1);
    assert_int_equal(error_wrap(NULL, "x"), -1);
}

static void puts_context_before_the_text_and_keeps_the_kind(void **state)
{
    (void)state;
    struct error err = { 0 };
    (void)error_set(&err, ERROR_CONFIG, "line %d", 4);
    assert_int_equal(error_wrap(&err, "%s", "desg.yaml"), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_string_equal(err.text, "desg.yaml: line 4");
}

static void cuts_what_does_not_fit(void **state)
{
    (void)state;
    char longer[2 * sizeof(((struct error *)NULL)->text)];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    struct error err = { 0 };
    (void)error_set(&err, ERROR_INVALID, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    (void)error_wrap(&err, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    (void)error_set(&err, ERROR_INVALID, "%.*s", 500, longer);
    (void)error_wrap(&err, "%s", "a prefix of some length");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "a prefix of some length: xxx", 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_kind_and_text_and_returns_minus_one),
        cmocka_unit_test(takes_a_caller_who_does_not_want_to_know),
        cmocka_unit_test(puts_context_before_the_text_and_keeps_the_kind),
        cmocka_unit_test(cuts_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
