#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/normalise.h"

static int setup(void **state)
{
    struct error err = { 0 };
    *state = normalised_new(&err);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct normalised *self = *state;
    normalised_destroy(&self);
    return 0;
}

static void makes_text_alike(void **state)
{
    struct normalised *self = *state;
    static const char *const table[][2] = {
        { "", " " },
        { "Help", " help " },
        { "  HELP,  me!!\n", " help me " },
        { "tŷ Ŵyn CAFÉ", " ty wyn cafe " },
        { "cafe\xCC\x81", " cafe " },                                     /* combining acute */
        { "\xEF\xBD\x88\xEF\xBD\x85\xEF\xBD\x8C\xEF\xBD\x90", " help " }, /* full width */
        { "he's he\xE2\x80\x99s he`s he\xC2\xB4s", " hes hes hes hes " },
        { "'quoted'", " quoted " },
        { "kn\xE2\x80\x8Bi\xC2\xAD"
          "fe",
          " knife " }, /* zero-width space, soft hyphen */
        { "a\xF0\x9F\x94\xAA"
          "b",
          " a \xF0\x9F\x94\xAA b " }, /* an emoji is a word */
        { "stra\xC3\x9F"
          "e",
          " strasse " },
        { "\xEF\xAC\x81re", " fire " }, /* ligature */
        { "bad\xFF\xC3"
          "bytes\xE2\x82",
          " bad bytes " },
        { "snake_case-word/other", " snake case word other " },
        { "999 or 101", " 999 or 101 " },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t length = strlen(table[i][0]);
        assert_int_equal(normalise(self, table[i][0], length, 0), length);
        assert_string_equal(self->text, table[i][1]);
        assert_int_equal(self->length, strlen(table[i][1]));
    }
}

static void cuts_runs_of_a_letter_but_not_numbers(void **state)
{
    struct normalised *self = *state;
    static const struct {
        const char *text;
        const char *normalised;
        const char *cuts; /* ^ under each letter that may have been meant once */
    } table[] = {
        { "heeeelp", " heelp ", "   ^   " },
        { "killlll meeee", " kill mee ", "    ^   ^ " },
        { "kill", " kill ", "      " },
        { "10000 9999", " 10000 9999 ", "            " },
        { "neeeed heelp", " need heelp ", "   ^        " },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        (void)normalise(self, table[i].text, strlen(table[i].text), 0);
        assert_string_equal(self->text, table[i].normalised);
        size_t cut = 0;
        for (size_t j = 0; j < self->length; j++) {
            bool is_cut = cut < self->cut_count && self->cuts[cut] == j;
            assert_int_equal(is_cut, table[i].cuts[j] == '^');
            cut += is_cut;
        }
        assert_int_equal(cut, self->cut_count);
    }
}

/* The original bytes of the first word equal to `word`. */
static void expect_place(struct normalised *self, const char *text, const char *word,
                         const char *original)
{
    size_t length = strlen(text);
    (void)normalise(self, text, length, 0);
    const char *at = strstr(self->text, word);
    assert_non_null(at);
    size_t from = (size_t)(at - self->text);
    uint32_t offset = 0;
    uint32_t bytes = 0;
    normalised_place(self, text, length, from, from + strlen(word), &offset, &bytes);
    assert_true(offset + bytes <= length);
    if (bytes != strlen(original) || memcmp(text + offset, original, bytes) != 0)
        fail_msg("'%s' is '%.*s' in the original", word, (int)bytes, text + offset);
}

static void leads_back_to_the_original_bytes(void **state)
{
    struct normalised *self = *state;
    expect_place(self, "oh \xF0\x9F\x98\xA8 a KNIFE!", "knife", "KNIFE");
    expect_place(self, "yn y t\xC5\xB7, nawr", "ty", "t\xC5\xB7");
    expect_place(self, "cafe\xCC\x81 x", "cafe", "cafe\xCC\x81");
    expect_place(self, "x he\xE2\x80\x99s here", "hes here", "he\xE2\x80\x99s here");
    expect_place(self, "\xFF\xFF help \xFF", "help", "help");
    expect_place(self, "heeeelp", "heelp", "heeeelp");
    expect_place(self, "end", "end", "end");
}

static void takes_long_text_in_windows_that_overlap(void **state)
{
    struct normalised *self = *state;
    enum { LENGTH = 100000 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = "abcdef "[i % 7];
    size_t from = 0;
    size_t windows = 0;
    for (;;) {
        size_t end = normalise(self, text, LENGTH, from);
        assert_true(end > from && self->length <= NORMALISE_WINDOW_BYTES);
        windows++;
        if (end == LENGTH)
            break;
        size_t next = normalise_next_window(text, LENGTH, from, end);
        assert_true(next > from && next <= end);
        assert_true(end - next >= NORMALISE_OVERLAP_BYTES - 100);
        assert_true(text[next] == ' ');
        from = next;
    }
    assert_in_range(windows, 4, 20);
    free(text);
}

static void goes_on_when_one_letter_becomes_many(void **state)
{
    struct normalised *self = *state;
    static const size_t count = 5000;
    char *text = malloc(count * 3 + 1); /* U+FDFA becomes 18 letters */
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * 3, "\xEF\xB7\xBA", 4);
    size_t from = 0;
    while (from < count * 3) {
        size_t end = normalise(self, text, count * 3, from);
        assert_true(self->length <= NORMALISE_WINDOW_BYTES);
        if (end == count * 3)
            break;
        size_t next = normalise_next_window(text, count * 3, from, end);
        assert_true(next > from);
        from = next;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_text_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(cuts_runs_of_a_letter_but_not_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(leads_back_to_the_original_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_long_text_in_windows_that_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on_when_one_letter_becomes_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
