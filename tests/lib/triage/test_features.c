#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/features.h"

enum { WORDS_MAX = 400 };

static size_t read_all(const char *text, struct feature_word *out, size_t most)
{
    struct feature_reader reader;
    size_t count = 0;
    features_begin(&reader, text, strlen(text), 0);
    while (count < most && features_next(&reader, &out[count]))
        count++;
    return count;
}

static void gives_each_word_with_its_place(void **state)
{
    (void)state;
    static struct feature_word words[8];
    assert_int_equal(read_all(" he has a knife ", words, 8), 4);
    assert_int_equal(words[3].from, 10);
    assert_int_equal(words[3].to, 15);
    assert_true(words[3].has_letter);
    assert_int_equal(words[3].word_count, FEATURES_WORDS_MAX);
    assert_int_equal(words[3].gram_count, 5 + 4 + 3); /* of " knife " */
    assert_int_equal(words[3].letter_count, 6 + 5);   /* pairs and single bytes */
    assert_int_equal(words[2].gram_count, 1);         /* " a " */
    assert_int_equal(read_all(" ", words, 8), 0);
    assert_int_equal(read_all("", words, 8), 0);
}

static void the_same_text_gives_the_same_features(void **state)
{
    (void)state;
    static struct feature_word first[8];
    static struct feature_word again[8];
    size_t count = read_all(" mae o yn y ty ", first, 8);
    assert_int_equal(read_all(" mae o yn y ty ", again, 8), count);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(first[i].words, again[i].words, sizeof first[i].words);
        assert_memory_equal(first[i].grams, again[i].grams,
                            first[i].gram_count * sizeof *first[i].grams);
    }
}

/* A model file depends on them: whoever changes them raises FEATURES_VERSION. */
static void hashes_are_those_of_this_version(void **state)
{
    (void)state;
    static struct feature_word words[4];
    assert_int_equal(FEATURES_VERSION, 1);
    assert_int_equal(read_all(" help me ", words, 4), 2);
    assert_int_equal(words[0].words[0], 0x04AF7453);
    assert_int_equal(words[1].words[1], 0x6CA8055C);
    assert_int_equal(words[1].grams[0], 0x6BF26AC5);
}

static void pairs_depend_on_order_and_place(void **state)
{
    (void)state;
    static struct feature_word a[4];
    static struct feature_word b[4];
    (void)read_all(" not urgent ", a, 4);
    (void)read_all(" urgent not ", b, 4);
    assert_int_equal(a[0].words[0], b[1].words[0]); /* the same word */
    assert_int_not_equal(a[0].words[1], b[1].words[1]);
    assert_int_not_equal(a[1].words[1], b[1].words[1]);
}

static void long_numbers_are_all_the_same(void **state)
{
    (void)state;
    static struct feature_word a[2];
    static struct feature_word b[2];
    (void)read_all(" 07700900123 ", a, 2);
    (void)read_all(" 07700900999 ", b, 2);
    assert_int_equal(a[0].words[0], b[0].words[0]);
    assert_false(a[0].has_letter);
    (void)read_all(" 999 ", a, 2);
    (void)read_all(" 101 ", b, 2);
    assert_int_not_equal(a[0].words[0], b[0].words[0]);
}

static void words_without_end_are_taken_in_pieces(void **state)
{
    (void)state;
    static struct feature_word words[WORDS_MAX];
    static char text[10003];
    memset(text, 'a', sizeof text - 1);
    text[0] = ' ';
    text[sizeof text - 2] = ' ';
    size_t count = read_all(text, words, WORDS_MAX);
    assert_int_equal(count, (10000 + FEATURES_WORD_MAX_BYTES - 1) / FEATURES_WORD_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        assert_true(words[i].to - words[i].from <= FEATURES_WORD_MAX_BYTES);
        assert_true(words[i].gram_count <= FEATURES_GRAMS_MAX);
        assert_true(words[i].letter_count <= FEATURES_LETTERS_MAX);
    }
    assert_int_equal(words[count - 1].to, 10001);
}

static void slots_are_within_the_table(void **state)
{
    (void)state;
    assert_int_equal(features_slot(UINT32_MAX, 4), 15);
    assert_int_equal(features_slot(0, 4), 0);
    assert_int_equal(features_slot(UINT32_MAX, 20), (1 << 20) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_word_with_its_place),
        cmocka_unit_test(the_same_text_gives_the_same_features),
        cmocka_unit_test(hashes_are_those_of_this_version),
        cmocka_unit_test(pairs_depend_on_order_and_place),
        cmocka_unit_test(long_numbers_are_all_the_same),
        cmocka_unit_test(words_without_end_are_taken_in_pieces),
        cmocka_unit_test(slots_are_within_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
