#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/features.h"

enum { WORDS_MAX = 400 };

static size_t read_exactly(const char *text, size_t length, struct feature_word *out, size_t most)
{
    struct feature_reader reader;
    size_t count = 0;
    features_begin(&reader, text, length, 0);
    while (count < most && features_next(&reader, &out[count]))
        count++;
    return count;
}

static size_t read_all(const char *text, struct feature_word *out, size_t most)
{
    return read_exactly(text, strlen(text), out, most);
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

/* Where much stands behind it a word is read in place, at the text's end from a copy; and nothing
 * is read behind the text, which a sanitizer would see. */
static void a_word_is_the_same_in_the_midst_and_at_the_end(void **state)
{
    (void)state;
    static const char more[] =
        " x he\xc5\xb5l4 48219345 a eighteenbytesaword thirtytwobytesarehereinthisword! "
        "and something behind it ";
    enum { WORDS = 6 };
    static struct feature_word there[16], cut[16];
    assert_true(read_all(more, there, 16) > WORDS);
    for (size_t i = 0; i < WORDS; i++) {
        char *text = malloc(there[i].to + 1);
        assert_non_null(text);
        memcpy(text, more, there[i].to + 1);
        assert_int_equal(read_exactly(text, there[i].to + 1, cut, 16), i + 1);
        assert_memory_equal(cut[i].words, there[i].words, sizeof there[i].words);
        assert_int_equal(cut[i].gram_count, there[i].gram_count);
        assert_memory_equal(cut[i].grams, there[i].grams,
                            there[i].gram_count * sizeof *there[i].grams);
        assert_int_equal(cut[i].letter_count, there[i].letter_count);
        assert_memory_equal(cut[i].letters, there[i].letters,
                            there[i].letter_count * sizeof *there[i].letters);
        free(text);
    }
}

/* A model file depends on them: whoever changes them raises FEATURES_VERSION. */
static void hashes_are_those_of_this_version(void **state)
{
    (void)state;
    static struct feature_word words[4];
    assert_int_equal(FEATURES_VERSION, 2);
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

static void greetings_and_the_like_are_neutral_and_between_no_pair(void **state)
{
    (void)state;
    static struct feature_word plain[8];
    static struct feature_word polite[16];
    size_t count = read_all(" he has a knife ", plain, 8);
    static const char text[] =
        " hello there he has please a \xF0\x9F\x99\x8F knife os gwelwch yn dda ";
    size_t kept = 0;
    size_t all = read_all(text, polite, 16);
    assert_int_equal(all, 12);
    for (size_t i = 0; i < all; i++) {
        if (polite[i].is_neutral)
            continue;
        assert_true(kept < count);
        assert_memory_equal(polite[i].words, plain[kept].words, sizeof plain[kept].words);
        kept++;
    }
    assert_int_equal(kept, count);
    (void)read_all(" hi there is a man ", plain, 8);
    assert_true(plain[0].is_neutral);
    assert_false(plain[1].is_neutral);
    (void)read_all(" there yn high pleased ", plain, 8); /* parts and beginnings of them */
    for (size_t i = 0; i < 4; i++)
        assert_false(plain[i].is_neutral);
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
        cmocka_unit_test(a_word_is_the_same_in_the_midst_and_at_the_end),
        cmocka_unit_test(hashes_are_those_of_this_version),
        cmocka_unit_test(pairs_depend_on_order_and_place),
        cmocka_unit_test(long_numbers_are_all_the_same),
        cmocka_unit_test(words_without_end_are_taken_in_pieces),
        cmocka_unit_test(greetings_and_the_like_are_neutral_and_between_no_pair),
        cmocka_unit_test(slots_are_within_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
