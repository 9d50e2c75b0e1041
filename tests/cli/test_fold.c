/* A flood in a queue's rows is folded into one line, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/fold.h"

static json_t *row(const char *conversation, const char *state, const char *group)
{
    json_t *made = json_pack("{s:s, s:s}", "conversation", conversation, "state", state);
    if (group)
        (void)json_object_set_new(made, "alike",
                                  json_pack("{s:s, s:i}", "group", group, "count", 4));
    return made;
}

static json_t *queue(void)
{
    json_t *rows = json_array();
    (void)json_array_append_new(rows, row("a", "open", NULL));
    (void)json_array_append_new(rows, row("b", "open", "0123456789abcdef"));
    (void)json_array_append_new(rows, row("c", "open", "fedcba9876543210"));
    (void)json_array_append_new(rows, row("d", "open", "0123456789abcdef"));
    (void)json_array_append_new(rows, row("e", "open", "0123456789abcdef"));
    (void)json_array_append_new(rows, row("f", "claimed", "0123456789abcdef"));
    return rows;
}

static void assert_rows(const json_t *rows, const char *expected)
{
    size_t index;
    const json_t *one;
    assert_int_equal(json_array_size(rows), strlen(expected));
    json_array_foreach(rows, index, one)
    {
        const char *name = json_string_value(json_object_get(one, "conversation"));
        assert_int_equal(name[0], expected[index]);
    }
}

static const char *copies(const json_t *rows, size_t index)
{
    const char *text = json_string_value(json_object_get(json_array_get(rows, index), "copies"));
    return text ? text : "";
}

static void a_group_is_one_line_where_its_first_was_and_what_is_claimed_stays(void **state)
{
    (void)state;
    json_t *rows = queue();
    assert_int_equal(fold_rows(rows), 2);
    assert_rows(rows, "abcf");
    assert_true(fold_mark(rows));
    assert_string_equal(copies(rows, 0), "");
    assert_string_equal(copies(rows, 1), "+2 alike");
    assert_string_equal(copies(rows, 2), "4 of fedcba98"); /* the others are beyond the limit */
    assert_string_equal(copies(rows, 3), "4 of 01234567");
    json_decref(rows);
}

static void unless_asked_all_stay_and_are_marked(void **state)
{
    (void)state;
    json_t *rows = queue();
    assert_true(fold_mark(rows));
    assert_rows(rows, "abcdef");
    assert_string_equal(copies(rows, 4), "4 of 01234567");
    json_decref(rows);
}

static void without_near_copies_nothing_is_folded_or_marked(void **state)
{
    (void)state;
    json_t *rows = json_array();
    assert_int_equal(fold_rows(rows), 0);
    assert_false(fold_mark(rows));
    (void)json_array_append_new(rows, row("a", "open", NULL));
    (void)json_array_append_new(rows, row("b", "open", NULL));
    assert_int_equal(fold_rows(rows), 0);
    assert_false(fold_mark(rows));
    assert_rows(rows, "ab");
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_one_line_where_its_first_was_and_what_is_claimed_stays),
        cmocka_unit_test(unless_asked_all_stay_and_are_marked),
        cmocka_unit_test(without_near_copies_nothing_is_folded_or_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
