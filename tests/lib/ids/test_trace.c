#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ids/trace.h"

static const char PARENT[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
static const char TRACE[] = "4bf92f3577b34da6a3ce929d0e0e4736";

static void assert_text(struct trace trace, const char *expected)
{
    char text[TRACE_TEXT_BYTES];
    trace_text(trace, text);
    assert_string_equal(text, expected);
}

static void a_header_is_read(void **state)
{
    (void)state;
    struct trace trace = { 0 };
    assert_true(trace_parse(PARENT, &trace));
    assert_text(trace, TRACE);
    assert_true(
        trace_parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", &trace));
    assert_text(trace, TRACE);
}

static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct trace trace = { 7, 7 };
        if (trace_parse(wrong[i], &trace))
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(trace.high, 7); /* left as it was */
    }
}

static void a_header_is_written_for_the_same_trace_with_a_span_of_its_own(void **state)
{
    (void)state;
    struct trace trace, again = { 0 };
    char first[TRACE_PARENT_BYTES], second[TRACE_PARENT_BYTES];
    assert_true(trace_parse(PARENT, &trace));
    trace_parent(trace, first);
    trace_parent(trace, second);
    assert_int_equal(strlen(first), TRACE_PARENT_BYTES - 1);
    assert_string_not_equal(first, second);
    assert_true(trace_parse(first, &again));
    assert_text(again, TRACE);
}

static void no_two_that_are_made_are_the_same(void **state)
{
    (void)state;
    struct trace_maker maker, other;
    trace_maker_start(&maker);
    trace_maker_start(&other);
    assert_int_not_equal(maker.high, other.high);
    struct trace made[1000];
    for (size_t i = 0; i < 1000; i++) {
        made[i] = trace_make(&maker);
        assert_true(trace_is_set(made[i]));
        for (size_t before = 0; before < i; before++)
            assert_int_not_equal(made[before].low, made[i].low);
    }
}

static void none_has_no_text_and_an_id_can_be_one(void **state)
{
    (void)state;
    static const uint8_t id[ID_BYTES] = { 0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                          0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36 };
    assert_text((struct trace){ 0 }, "");
    assert_text(trace_of_id(id), TRACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_header_is_written_for_the_same_trace_with_a_span_of_its_own),
        cmocka_unit_test(no_two_that_are_made_are_the_same),
        cmocka_unit_test(none_has_no_text_and_an_id_can_be_one),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
