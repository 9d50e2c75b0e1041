#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "outward/text.h"

struct length_case {
    const char *text;
    size_t length;
};

static void check_all(const struct length_case *cases, size_t count, enum text_unit unit)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = text_length(cases[i].text, unit);
        if (length != cases[i].length)
            fail_msg("'%s' is %zu long, not %zu", cases[i].text, length, cases[i].length);
    }
}
#define CHECK_ALL(cases, unit) check_all(cases, sizeof(cases) / sizeof(cases)[0], unit)

static void counts_welsh_letters_and_dashes_as_one_at_x(void **state)
{
    (void)state;
    static const struct length_case cases[] = {
        { "", 0 },
        { "This is a test.", 15 },
        { "âêîôûŵŷÂÊÎÔÛŴŶáéíóúýäëïöüÿ", 26 },
        { "dw\u0302r", 3 }, /* composed by NFC */
        { "ẃẅẁỳ", 8 },      /* rare, and beyond what X counts as one */
        { "– — ‘ ’ “ ”£", 12 },
        { "…", 2 },
        { "•", 2 },
        { "€", 2 },
        { "道路", 4 },
        { "\u1100", 2 },
        { "\u10FF", 1 },
        { "\u200D", 1 },
        { "\u200E", 2 },
        { "A\uFB2C", 4 }, /* taken apart by NFC, into three */
    };
    CHECK_ALL(cases, TEXT_X_WEIGHTED);
}

static void counts_an_emoji_with_all_that_belongs_to_it_as_two_at_x(void **state)
{
    (void)state;
    static const struct length_case cases[] = {
        { "😷", 2 },
        { "👨‍👩‍👧‍👦", 2 },
        { "🙋🏽", 2 },
        { "🙋🏽👨‍🎤", 4 },
        { "🇬🇧", 2 },
        { "🇬🇧🇮🇪", 4 },
        { "🇬", 2 },
        { "🏴\U000E0067\U000E0062\U000E0077\U000E006C\U000E0073\U000E007F", 2 }, /* Wales */
        { "1\uFE0F\u20E3", 2 },
        { "#\u20E3", 2 },
        { "❤\uFE0F", 2 },
        { "🏳\uFE0F\u200D🌈", 2 },
        { "👩🏾\u200D🚒", 2 },
        { "©", 1 },
        { "©\uFE0F", 2 },
        { "H🐱☺👨‍👩‍👧‍👦", 7 },
        { "😷👾😡🔥💩", 10 },
        { "12", 2 },
        { "🚗\u200D", 3 }, /* a joiner that joins nothing */
    };
    CHECK_ALL(cases, TEXT_X_WEIGHTED);
}

static void counts_links_as_twenty_three_at_x(void **state)
{
    (void)state;
    static const struct length_case cases[] = {
        { "http://test.com", 23 },
        { "https://test.com", 23 },
        { "HTTPS://Test.COM/Index", 23 },
        { "test.com", 23 },
        { "heddlu.cymru", 23 },
        { "police.uk/a55?x=1&y=2#z", 23 },
        { "Test https://test.com test https://test.com test.com test", 86 },
        { "https://www.square.com/aloha https://www.square.com/aloha ", 48 },
        { "(https://www.heddlu.cymru/ffyrdd_(A55)).", 26 },
        { "https://heddlu.cymru/ffyrdd.", 24 },
        { "https://heddlu.cymru/ffyrdd, ac", 27 },
        { "https://heddlu.cymru:8443/a", 23 },
        { "heddlu.wales.", 24 },
        { "Mae'r ffordd ar gau.Heddlu.Cymru", 16 + 23 },
        { "ar gau.Mae", 10 },    /* "mae" is no top-level domain */
        { "ar gau.Me", 3 + 23 }, /* but "me" is: a missing space makes a link */
        { "ebost@heddlu.uk", 15 },
        { "@heddlu.uk", 10 },
        { "$heddlu.uk", 10 },
        { "heddlu.uk@ebost", 15 },
        { "https://test", 12 },
        { "ftp://test", 10 },
        { "randomurlrandomurlrandomurlrandomurlrandomurlrandomurlrandomurls.com", 68 },
        { "xn--80ak6aa92e.com", 23 },
        { "-heddlu.uk", 10 },
    };
    CHECK_ALL(cases, TEXT_X_WEIGHTED);
}

static void counts_a_link_of_an_unknown_domain_as_the_longer_at_x(void **state)
{
    (void)state;
    static const struct length_case cases[] = {
        { "https://a.example", 23 },
        { "https://force.example/345", 25 },
        { "https://force.example/a-very-long-path", 38 },
        { "force.example", 13 },
    };
    CHECK_ALL(cases, TEXT_X_WEIGHTED);
}

static void does_not_take_a_link_beyond_all_measure_for_one(void **state)
{
    (void)state;
    static char text[8192];
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "https://test.com/", 17);
    text[5000] = '\0';
    assert_int_equal(text_length(text, TEXT_X_WEIGHTED), 5000);
    text[4096] = '\0';
    assert_int_equal(text_length(text, TEXT_X_WEIGHTED), 23);
}

static void counts_every_kind_of_space_and_dash_as_one_at_x(void **state)
{
    (void)state;
    assert_int_equal(
        text_length("\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A"
                    "\u200B\u200C\u200D‐‑‒–—―‖‗‘’‚‛“”„‟′″‴‵‶‷",
                    TEXT_X_WEIGHTED),
        36);
}

static void counts_bytes_and_characters(void **state)
{
    (void)state;
    assert_int_equal(text_length("dŵr 🚗", TEXT_BYTES), 9);
    assert_int_equal(text_length("dŵr 🚗", TEXT_CHARACTERS), 5);
    assert_int_equal(text_length("", TEXT_BYTES), 0);
    assert_int_equal(text_length("", TEXT_CHARACTERS), 0);
}

static void counts_as_mastodon_does(void **state)
{
    (void)state;
    static const struct length_case cases[] = {
        { "dŵr", 3 },
        { "dw\u0302r", 3 },
        { "https://heddlu.cymru/ffyrdd/a55/rhwng-cyffyrdd", 23 },
        { "heddlu.cymru", 12 }, /* no scheme, no link */
        { "@heddlu@toot.wales diolch", 14 },
        { "@heddlu@toot.wales.", 8 },
        { "ebost@heddlu@toot.wales", 23 },
        { "@@", 2 },
        { "@a@", 3 },
        { "👨‍👩‍👧‍👦", 7 },
    };
    CHECK_ALL(cases, TEXT_MASTODON);
}

static void measures_what_is_not_utf8(void **state)
{
    (void)state;
    assert_int_equal(text_length("\xFF", TEXT_X_WEIGHTED), 2);
    assert_int_equal(text_length("a\xC3", TEXT_X_WEIGHTED), 3);
    assert_int_equal(text_length("a\xC3", TEXT_MASTODON), 2);
    assert_int_equal(text_length("\xED\xA0\x80", TEXT_X_WEIGHTED), 6);
}

static void sees_how_alike_two_texts_are(void **state)
{
    (void)state;
    const char *one = "Mae'r A55 ar gau rhwng cyffyrdd 11 a 12";
    assert_true(text_likeness(one, one) == 1.0);
    assert_true(text_likeness(one, "MAE'R A55 AR GAU – rhwng cyffyrdd 11 a 12!") == 1.0);
    assert_true(text_likeness(one, "Mae'r A55 ar gau rhwng cyffyrdd 11 a 13") > 0.7);
    assert_true(text_likeness(one, "Mae dyn ar goll o ardal Wrecsam") < 0.2);
    assert_true(text_likeness("\u201cArafwch!\u201d \u2026 plîs", "arafwch, plis") == 1.0);
    assert_true(text_likeness("tân", "TAN") == 1.0);
    assert_true(text_likeness("a b c", "c b a") == 0.0);
    assert_true(text_likeness("", "") == 0.0);
    assert_true(text_likeness("", one) == 0.0);
    assert_true(text_likeness("one", one) == 0.0);
}

static void is_as_alike_from_both_sides(void **state)
{
    (void)state;
    static const char *const texts[] = { "a b c d e", "b c d", "a b x d e", "x", "" };
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++)
            assert_true(text_likeness(texts[i], texts[j]) == text_likeness(texts[j], texts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_welsh_letters_and_dashes_as_one_at_x),
        cmocka_unit_test(counts_an_emoji_with_all_that_belongs_to_it_as_two_at_x),
        cmocka_unit_test(counts_links_as_twenty_three_at_x),
        cmocka_unit_test(counts_a_link_of_an_unknown_domain_as_the_longer_at_x),
        cmocka_unit_test(does_not_take_a_link_beyond_all_measure_for_one),
        cmocka_unit_test(counts_every_kind_of_space_and_dash_as_one_at_x),
        cmocka_unit_test(counts_bytes_and_characters),
        cmocka_unit_test(counts_as_mastodon_does),
        cmocka_unit_test(measures_what_is_not_utf8),
        cmocka_unit_test(sees_how_alike_two_texts_are),
        cmocka_unit_test(is_as_alike_from_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
