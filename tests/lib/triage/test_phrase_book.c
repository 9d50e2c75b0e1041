/* The phrase book against a plain search: the same phrases in random texts, tried at every word. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/phrase_book.h"

enum { TEXTS = 20000, SHORT_WORDS_MAX = 14, LONG_EVERY = 40, TEXT_WORDS_MAX = 300 };

static const char *const phrase_texts[] = {
    "a",
    "a b",
    "(a|b) c",
    "a ... d",
    "a ...1 b ...2 c",
    "(a b|b) ...3 (c|c d|stab*)",
    "(a)? b (c)?",
    "(a |b )?c d",
    "b(s| is)? a",
    "a ... (b)? c ... (d|e) e",
    "(a ...2 b|c) d",
    "(stab*|e) ...1 (a|bs)",
    "a a a",
    "e ...9 e",
    "(b|c|d) ...1 (b|c|d) ...1 (b|c|d)",
    "(a|a b|a b c) d",
};

static const char *const text_words[] = { "a", "b", "c", "d", "e", "bs", "is", "stab", "stabbing" };

enum { PHRASE_COUNT = sizeof phrase_texts / sizeof phrase_texts[0] };

struct fixture {
    struct phrase phrases[PHRASE_COUNT]; /* for the plain search */
    struct phrase_book *book;
    struct phrase_finder *finder;
    struct normalised *text;
    struct words *words;
    bool is_found[PHRASE_COUNT];
};

static int setup(void **state)
{
    struct error err = { 0 };
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->book = phrase_book_new(&err);
    f->text = normalised_new(&err);
    static const char *const text = "a b c d e a b a";
    const struct phrase_samples samples = { &text, 1 };
    assert_true(f->book && f->text);
    for (size_t i = 0; i < PHRASE_COUNT; i++) {
        struct phrase phrase;
        uint32_t number = 0;
        assert_int_equal(phrase_parse(phrase_texts[i], false, &f->phrases[i], &err), 0);
        assert_int_equal(phrase_parse(phrase_texts[i], false, &phrase, &err), 0);
        assert_int_equal(phrase_book_add(f->book, &phrase, &number), 0);
        assert_int_equal(number, i);
    }
    assert_int_equal(phrase_book_seal(f->book, &samples), 0);
    f->words = words_new(phrase_book_vocabulary(f->book), &err);
    f->finder = phrase_finder_new(f->book, &err);
    assert_non_null(f->words);
    assert_non_null(f->finder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < PHRASE_COUNT; i++)
        phrase_clear(&f->phrases[i]);
    phrase_finder_destroy(&f->finder);
    phrase_book_destroy(&f->book);
    normalised_destroy(&f->text);
    words_destroy(&f->words);
    free(f);
    return 0;
}

/* --- the plain search --- */

static bool is_word(const char *form, size_t form_length, const char *word)
{
    size_t length = strlen(word);
    if (form_length == 1 && *form == PHRASE_ANY_WORD)
        return true;
    if (form[form_length - 1] == PHRASE_STEM_END)
        return length >= form_length - 1 && memcmp(form, word, form_length - 1) == 0;
    return length == form_length && memcmp(form, word, length) == 0;
}

static bool is_phrase_at(const struct phrase *phrase, size_t term, const char **words, size_t count,
                         size_t at);

static bool is_form_at(const struct phrase *phrase, size_t term, const char *form,
                       const char **words, size_t count, size_t at)
{
    while (*form != '\0') {
        size_t length = strcspn(form, " ");
        if (at == count || !is_word(form, length, words[at]))
            return false;
        at++;
        form += length + (form[length] == ' ');
    }
    return is_phrase_at(phrase, term + 1, words, count, at);
}

static bool is_phrase_at(const struct phrase *phrase, size_t term, const char **words, size_t count,
                         size_t at)
{
    if (term == phrase->term_count)
        return true;
    const struct phrase_term *next = &phrase->terms[term];
    for (unsigned skipped = 0; next->gap_words > 0 && skipped <= next->gap_words; skipped++) {
        if (at + skipped <= count && is_phrase_at(phrase, term + 1, words, count, at + skipped))
            return true;
    }
    if (next->is_optional && is_phrase_at(phrase, term + 1, words, count, at))
        return true;
    for (const char *form = NULL; (form = forms_next(&next->forms, form));) {
        if (is_form_at(phrase, term, form, words, count, at))
            return true;
    }
    return false;
}

static bool is_anywhere(const struct phrase *phrase, const char **words, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        if (is_phrase_at(phrase, 0, words, count, at))
            return true;
    }
    return false;
}

/* --- the two beside each other --- */

static void on_found(void *arg, uint32_t phrase, size_t first, size_t last)
{
    struct fixture *f = arg;
    assert_true(phrase < PHRASE_COUNT && first <= last && last < f->words->count);
    f->is_found[phrase] = true;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

static void finds_what_a_plain_search_finds(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 1;
    size_t found = 0;
    for (unsigned n = 0; n < TEXTS; n++) {
        const char *words[TEXT_WORDS_MAX];
        char text[TEXT_WORDS_MAX * sizeof "stabbing"] = "";
        unsigned most = n % LONG_EVERY == 0 ? TEXT_WORDS_MAX : SHORT_WORDS_MAX;
        size_t count = 1 + next_random(&seed) % most;
        for (size_t i = 0; i < count; i++) {
            bool is_other = most == TEXT_WORDS_MAX && next_random(&seed) % 8 != 0;
            words[i] = text_words[next_random(&seed) % (sizeof text_words / sizeof text_words[0])];
            words[i] = is_other ? "x" : words[i];
            (void)strcat(strcat(text, words[i]), " ");
        }
        memset(f->is_found, 0, sizeof f->is_found);
        (void)normalise(f->text, text, strlen(text), 0);
        words_read(f->words, f->text);
        phrase_finder_find(f->finder, f->words, on_found, f);
        for (size_t i = 0; i < PHRASE_COUNT; i++) {
            bool is_expected = is_anywhere(&f->phrases[i], words, count);
            found += is_expected;
            if (is_expected != f->is_found[i])
                fail_msg("\"%s\" in \"%s\": %s", phrase_texts[i], text,
                         is_expected ? "not found" : "found");
        }
    }
    assert_true(found > TEXTS); /* the texts are telling */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_a_plain_search_finds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
