/* Where terms may begin, beside what a look at every word says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/phrase.h"
#include "triage/term_places.h"

enum { TERMS = 200, OWN_WORDS = 150 }; /* more than are common */

struct fixture {
    struct vocabulary *vocabulary;
    struct phrase_terms *terms;
    struct term_index *index;
    struct term_places *places;
    struct normalised *text;
    struct words *words;
};

static uint32_t add_term(struct fixture *f, const char *text)
{
    struct error err = { 0 };
    struct phrase phrase;
    uint32_t number = 0;
    assert_int_equal(phrase_parse(text, false, &phrase, &err), 0);
    assert_int_equal(phrase_terms_add(f->terms, &phrase.terms[0].forms, &number), 0);
    phrase_clear(&phrase);
    return number;
}

/* Term n may be written "own…" or "shared t…": the second word is common to all. */
static int setup(void **state)
{
    struct error err = { 0 };
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->vocabulary = vocabulary_new(&err);
    f->terms = phrase_terms_new(f->vocabulary);
    f->text = normalised_new(&err);
    assert_true(f->vocabulary && f->terms && f->text);
    for (unsigned i = 0; i < TERMS; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "(own%u|shared t%u)", i % OWN_WORDS, i);
        assert_int_equal(add_term(f, text), i);
    }
    phrase_terms_seal(f->terms);
    assert_int_equal(vocabulary_seal(f->vocabulary), 0);
    size_t count = vocabulary_count(f->vocabulary);
    uint32_t *loads = calloc(count, sizeof *loads);
    assert_non_null(loads);
    for (size_t i = 0; i < count; i++)
        loads[i] = 1;
    f->index = term_index_new(f->terms, loads, count);
    free(loads);
    assert_non_null(f->index);
    f->places = term_places_new(f->index);
    f->words = words_new(f->vocabulary, &err);
    assert_true(f->places && f->words);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    term_places_destroy(&f->places);
    term_index_destroy(&f->index);
    phrase_terms_destroy(&f->terms);
    words_destroy(&f->words);
    normalised_destroy(&f->text);
    vocabulary_destroy(&f->vocabulary);
    free(f);
    return 0;
}

static void read_text(struct fixture *f, const char *text)
{
    (void)normalise(f->text, text, strlen(text), 0);
    words_read(f->words, f->text);
}

static void equal_terms_are_one(void **state)
{
    struct fixture *f = *state;
    struct phrase_terms *terms = phrase_terms_new(f->vocabulary);
    struct phrase_terms *kept = f->terms;
    assert_non_null(terms);
    f->terms = terms;
    assert_int_equal(add_term(f, "(own1|shared)"), 0);
    assert_int_equal(add_term(f, "(shared|own1|own1)"), 0);
    assert_int_equal(add_term(f, "(shared|own2)"), 1);
    assert_int_equal(phrase_terms_count(terms), 2);
    f->terms = kept;
    phrase_terms_destroy(&terms);
}

static void marks_every_word_a_term_begins_with(void **state)
{
    struct fixture *f = *state;
    read_text(f, "own7 nothing shared own7 own149");
    term_places_look_at(f->places, f->words, 0);
    assert_int_equal(term_places_from(f->places, 7, 0), 1 | 4 | 8);
    assert_int_equal(term_places_from(f->places, 149, 0), 4 | 16);
    assert_int_equal(term_places_from(f->places, 8, 0), 4);
    assert_int_equal(term_places_from(f->places, 7 + OWN_WORDS, 0), 1 | 4 | 8);
    assert_int_equal(term_places_from(f->places, 7, 2), 1 | 2);
    read_text(f, "nothing own8"); /* what was there before is not there now */
    term_places_look_at(f->places, f->words, 0);
    assert_int_equal(term_places_from(f->places, 7, 0), 0);
    assert_int_equal(term_places_from(f->places, 8, 0), 2);
}

static void looks_between_two_words_and_not_beside(void **state)
{
    struct fixture *f = *state;
    read_text(f, "a b own7 c d");
    term_places_look_at(f->places, f->words, 0);
    assert_true(term_places_may_begin(f->places, 7, 2, 2));
    assert_true(term_places_may_begin(f->places, 7, -9, 60));
    assert_false(term_places_may_begin(f->places, 7, 0, 1));
    assert_false(term_places_may_begin(f->places, 7, 3, 60));
    assert_false(term_places_may_begin(f->places, 7, -9, -1)); /* before the text */
    assert_false(term_places_may_begin(f->places, 7, 5, 9));   /* behind it */
}

static void what_is_beside_the_stretch_may_be_anything(void **state)
{
    struct fixture *f = *state;
    char text[2 * 2 * STRETCH_WORDS + 1] = "";
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : ' ';
    read_text(f, text);
    term_places_look_at(f->places, f->words, 20);
    assert_false(term_places_may_begin(f->places, 7, 20, 83));
    assert_true(term_places_may_begin(f->places, 7, 19, 30));
    assert_true(term_places_may_begin(f->places, 7, 30, 84));
    assert_int_equal(term_places_from(f->places, 7, 82), ~UINT64_C(3));
    assert_int_equal(term_places_from(f->places, 7, 19), UINT64_MAX);
    term_places_look_at(f->places, f->words, STRETCH_WORDS); /* the text's end is known */
    assert_false(term_places_may_begin(f->places, 7, 100, 200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_terms_are_one),
        cmocka_unit_test(marks_every_word_a_term_begins_with),
        cmocka_unit_test(looks_between_two_words_and_not_beside),
        cmocka_unit_test(what_is_beside_the_stretch_may_be_anything),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
