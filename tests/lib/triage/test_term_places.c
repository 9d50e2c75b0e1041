/* Where terms may begin, beside what a look at every word says. */
#include <stdbool.h>
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

enum { TERMS = 400, OWN_WORDS = 350 }; /* more than there are kinds */

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
    term_places_look_at(f->places, f->words);
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

static bool may_begin(const struct fixture *f, uint32_t term, int least, int most, size_t word)
{
    struct term_check check = term_check_of(f->index, term, least, most);
    return term_places_may_begin(f->places, &check, word);
}

static bool is_at(const struct fixture *f, uint32_t term, size_t word)
{
    return term_places_is_at(f->places, term_index_kinds(f->index, term), word);
}

static void knows_every_word_a_term_begins_with(void **state)
{
    struct fixture *f = *state;
    static const bool is_there[] = { true, false, true, true, false };
    read_text(f, "own7 nothing shared own7 own8");
    for (size_t i = 0; i < sizeof is_there; i++) {
        assert_int_equal(is_at(f, 7, i), is_there[i]);
        assert_int_equal(is_at(f, 7 + OWN_WORDS, i), is_there[i]);
        assert_int_equal(may_begin(f, 7, 0, 0, i), is_there[i]);
    }
    read_text(f, "nothing own8"); /* what was there before is not there now */
    assert_false(is_at(f, 7, 0));
    assert_false(is_at(f, 7, 1));
    assert_true(is_at(f, 8, 1));
}

static void looks_between_two_words_and_not_beside(void **state)
{
    struct fixture *f = *state;
    read_text(f, "a b own7 c d");
    assert_true(may_begin(f, 7, 0, 0, 2));
    assert_true(may_begin(f, 7, -9, 30, 2));
    assert_false(may_begin(f, 7, -2, -1, 2));
    assert_false(may_begin(f, 7, 1, 30, 2));
    assert_false(may_begin(f, 7, -20, -1, 0)); /* before the text */
    assert_false(may_begin(f, 7, 1, 20, 4));   /* behind it */
}

/* Wherever the word stands and however many words are looked at. */
static void misses_no_place(void **state)
{
    struct fixture *f = *state;
    enum { WORDS = 2 * TERM_PLACES_BESIDE };
    for (size_t there = 0; there < WORDS; there += 5) {
        char text[WORDS * sizeof "own300 "];
        size_t used = 0;
        for (size_t i = 0; i < WORDS; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s ",
                                     i == there ? "own300" : "a");
        read_text(f, text);
        for (int least = -TERM_PLACES_BESIDE; least <= TERM_PLACES_BESIDE; least += 3) {
            for (int most = least; most <= TERM_PLACES_BESIDE; most++) {
                int place = (int)there - WORDS / 2;
                if (most - least < WORDS)
                    assert_int_equal(may_begin(f, 300, least, most, WORDS / 2),
                                     place >= least && place <= most);
            }
        }
    }
}

static void what_is_too_far_may_always_be_there(void **state)
{
    struct fixture *f = *state;
    read_text(f, "a b c");
    assert_false(may_begin(f, 7, -TERM_PLACES_BESIDE, TERM_PLACES_BESIDE - 1, 1));
    assert_true(may_begin(f, 7, -TERM_PLACES_BESIDE - 1, 0, 1));
    assert_true(may_begin(f, 7, 0, TERM_PLACES_BESIDE + 1, 1));
    assert_true(may_begin(f, 7, -200, 300, 1));
}

/* A word that shares its kind with another may be taken for it, never the other way round. */
static void words_that_share_a_kind_are_taken_for_each_other(void **state)
{
    struct fixture *f = *state;
    unsigned taken = 0;
    for (uint32_t word = 0; word < OWN_WORDS; word++) {
        char text[32];
        (void)snprintf(text, sizeof text, "own%u", word);
        read_text(f, text);
        assert_true(is_at(f, word, 0));
        for (uint32_t term = 0; term < OWN_WORDS; term++)
            taken += term != word && is_at(f, term, 0);
    }
    assert_true(taken > 0);
    assert_true(taken < 2 * OWN_WORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_terms_are_one),
        cmocka_unit_test(knows_every_word_a_term_begins_with),
        cmocka_unit_test(looks_between_two_words_and_not_beside),
        cmocka_unit_test(misses_no_place),
        cmocka_unit_test(what_is_too_far_may_always_be_there),
        cmocka_unit_test(words_that_share_a_kind_are_taken_for_each_other),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
