#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/text.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* The header's promise: in order, nothing lost but white space at the cuts, none too long. */
static void check_parts(const char *text, const struct text_parts *parts, size_t max,
                        enum text_unit unit)
{
    const char *at = text;
    for (size_t i = 0; i < parts->count; i++) {
        size_t bytes = strlen(parts->parts[i]);
        assert_true(bytes > 0);
        assert_true(text_length(parts->parts[i], unit) <= max);
        if (strncmp(at, parts->parts[i], bytes) != 0)
            fail_msg("part %zu of '%s' is not what comes there", i, text);
        at += bytes;
        while (is_space(*at))
            at++;
    }
    if (*at)
        fail_msg("lost: '%s'", at);
}

static void splits_into(const char *text, size_t max, const char *const *wanted)
{
    struct text_parts parts;
    struct error err = { 0 };
    if (text_split(text, max, TEXT_CHARACTERS, 20, &parts, &err) != 0)
        fail_msg("%s", err.text);
    check_parts(text, &parts, max, TEXT_CHARACTERS);
    for (size_t i = 0; wanted[i]; i++) {
        assert_true(i < parts.count);
        assert_string_equal(parts.parts[i], wanted[i]);
    }
    assert_null(wanted[parts.count]);
    text_parts_free(&parts);
    assert_int_equal(parts.count, 0);
}
#define PARTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void leaves_what_fits_as_it_is(void **state)
{
    (void)state;
    splits_into("The road is closed.", 19, PARTS("The road is closed."));
    splits_into("  a ", 10, PARTS("  a "));
}

static void makes_nothing_of_nothing(void **state)
{
    (void)state;
    struct text_parts parts;
    struct error err = { 0 };
    assert_int_equal(text_split("", 10, TEXT_BYTES, 1, &parts, &err), 0);
    assert_int_equal(parts.count, 0);
    text_parts_free(&parts);
}

static void cuts_at_ends_of_sentences(void **state)
{
    (void)state;
    splits_into("The road is closed. Use the A5. Allow time.", 35,
                PARTS("The road is closed. Use the A5.", "Allow time."));
    splits_into("Mae'r ffordd ar gau! Pam? Damwain.", 27,
                PARTS("Mae'r ffordd ar gau! Pam?", "Damwain."));
    splits_into("He said \u201cIt is closed.\u201d Then he left us there.", 30,
                PARTS("He said \u201cIt is closed.\u201d", "Then he left us there."));
    splits_into("Wait\u2026 We are on the way", 14, PARTS("Wait\u2026", "We are on the", "way"));
}

static void cuts_at_new_lines(void **state)
{
    (void)state;
    splits_into("Road closed\nA55 east\n\nAllow time", 25,
                PARTS("Road closed\nA55 east", "Allow time"));
}

static void ends_no_sentence_at_a_shortened_word(void **state)
{
    (void)state;
    splits_into("It is shut. Ask Mr. Jones at St. Asaph", 32,
                PARTS("It is shut.", "Ask Mr. Jones at St. Asaph"));
    splits_into("It is shut. The dog of J. Smith barked", 29,
                PARTS("It is shut.", "The dog of J. Smith barked"));
    splits_into("It is shut. Roads, e.g. The Avenue, too", 30,
                PARTS("It is shut.", "Roads, e.g. The Avenue, too"));
    splits_into("It is shut. Open till 5 p.m. today only", 30,
                PARTS("It is shut.", "Open till 5 p.m. today only"));
}

static void cuts_between_words_where_a_sentence_is_too_long(void **state)
{
    (void)state;
    splits_into("one two three four five", 9, PARTS("one two", "three", "four five"));
    splits_into("Yes. one two three four five six seven", 30,
                PARTS("Yes. one two three four five", "six seven"));
}

static void cuts_a_word_only_if_it_is_longer_than_a_part(void **state)
{
    (void)state;
    splits_into("see abcdefghij", 10, PARTS("see", "abcdefghij"));
    splits_into("abcdefghijkl mn", 5, PARTS("abcde", "fghij", "kl mn"));
}

static void never_cuts_a_grapheme(void **state)
{
    (void)state;
    struct text_parts parts;
    struct error err = { 0 };
    const char *text =
        "👨‍👩‍👧‍👦👨‍👩‍👧‍👦w\u0302w\u0302🇬🇧🇬🇧";
    assert_int_equal(text_split(text, 27, TEXT_BYTES, 9, &parts, &err), 0);
    check_parts(text, &parts, 27, TEXT_BYTES);
    assert_string_equal(parts.parts[0], "👨‍👩‍👧‍👦");
    assert_int_equal(parts.count, 3);
    text_parts_free(&parts);
}

static void never_cuts_a_link_that_fits(void **state)
{
    (void)state;
    struct text_parts parts;
    struct error err = { 0 };
    char text[400];
    (void)snprintf(text, sizeof text, "%0270d https://www.heddlu.cymru/ffyrdd/a55/rhwng-cyffyrdd",
                   0);
    assert_int_equal(text_split(text, 280, TEXT_X_WEIGHTED, 9, &parts, &err), 0);
    assert_int_equal(parts.count, 2);
    assert_string_equal(parts.parts[1], "https://www.heddlu.cymru/ffyrdd/a55/rhwng-cyffyrdd");
    text_parts_free(&parts);
}

static void refuses_what_cannot_be_cut(void **state)
{
    (void)state;
    struct text_parts parts = { .count = 77 };
    struct error err = { 0 };
    assert_int_equal(text_split("👨‍👩‍👧‍👦", 24, TEXT_BYTES, 9, &parts, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(text_split("a", 0, TEXT_BYTES, 9, &parts, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(text_split("one two three", 5, TEXT_BYTES, 2, &parts, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "more than 2 parts"));
    assert_int_equal(parts.count, 77); /* untouched */
}

/* A small generator of its own: the same texts on every machine. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static size_t make_text(uint32_t *seed, char *out, size_t bytes)
{
    static const char *const pieces[] = { "a",
                                          "ffordd",
                                          " ",
                                          "  ",
                                          "\n",
                                          ". ",
                                          "! ",
                                          "Mr. ",
                                          "ŵ",
                                          "w\u0302",
                                          "👨‍👩‍👧‍👦",
                                          "🇬🇧",
                                          "…",
                                          "e.g. ",
                                          "1\uFE0F\u20E3",
                                          "heddlu.uk",
                                          "https://heddlu.cymru/a(b)c",
                                          "@a@toot.wales",
                                          "道",
                                          "\u201c",
                                          ".\u201d ",
                                          "x.me",
                                          "\xC3" };
    size_t used = 0;
    size_t wanted = next_random(seed) % 120;
    for (size_t i = 0; i < wanted; i++) {
        const char *piece = pieces[next_random(seed) % (sizeof pieces / sizeof pieces[0])];
        if (used + strlen(piece) >= bytes)
            break;
        used += (size_t)snprintf(out + used, bytes - used, "%s", piece);
    }
    out[used] = '\0';
    return used;
}

static void keeps_its_promise_for_any_text(void **state)
{
    (void)state;
    static const enum text_unit units[] = { TEXT_CHARACTERS, TEXT_BYTES, TEXT_X_WEIGHTED,
                                            TEXT_MASTODON };
    uint32_t seed = 20260211;
    char text[4096];
    for (int i = 0; i < 3000; i++) {
        (void)make_text(&seed, text, sizeof text);
        enum text_unit unit = units[next_random(&seed) % 4];
        size_t max = 25 + next_random(&seed) % 300;
        struct text_parts parts;
        struct error err = { 0 };
        if (text_split(text, max, unit, SIZE_MAX, &parts, &err) != 0)
            fail_msg("'%s' cannot be cut to %zu: %s", text, max, err.text);
        check_parts(text, &parts, max, unit);
        text_parts_free(&parts);
    }
}

static void cuts_a_long_text_in_reasonable_time(void **state)
{
    (void)state;
    enum { BYTES = 200000 };
    char *text = malloc(BYTES + 1);
    assert_non_null(text);
    for (size_t i = 0; i < BYTES; i++)
        text[i] = "Mae'r ffordd ar gau. "[i % 21];
    text[BYTES] = '\0';
    struct text_parts parts;
    struct error err = { 0 };
    assert_int_equal(text_split(text, 1900, TEXT_CHARACTERS, 200, &parts, &err), 0);
    check_parts(text, &parts, 1900, TEXT_CHARACTERS);
    assert_true(parts.count <= 110);
    text_parts_free(&parts);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_what_fits_as_it_is),
        cmocka_unit_test(makes_nothing_of_nothing),
        cmocka_unit_test(cuts_at_ends_of_sentences),
        cmocka_unit_test(cuts_at_new_lines),
        cmocka_unit_test(ends_no_sentence_at_a_shortened_word),
        cmocka_unit_test(cuts_between_words_where_a_sentence_is_too_long),
        cmocka_unit_test(cuts_a_word_only_if_it_is_longer_than_a_part),
        cmocka_unit_test(never_cuts_a_grapheme),
        cmocka_unit_test(never_cuts_a_link_that_fits),
        cmocka_unit_test(refuses_what_cannot_be_cut),
        cmocka_unit_test(keeps_its_promise_for_any_text),
        cmocka_unit_test(cuts_a_long_text_in_reasonable_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
