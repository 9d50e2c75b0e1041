#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/phrase.h"
#include "triage/rule_set.h"
#include "triage/scan.h"

/* Whether the phrase, as the only one of a rule, is found in the text. */
static bool is_hit(const char *phrase, bool is_welsh, const char *text)
{
    struct error err = { 0 };
    char *phrases[] = { (char *)phrase };
    struct rule_source source = { .id = (char *)"test",
                                  .language = is_welsh ? RULE_LANGUAGE_CY : RULE_LANGUAGE_EN,
                                  .phrases = phrases,
                                  .phrases_count = 1 };
    struct rule_file file = { .edition = (char *)"2026-01-31",
                              .category = (char *)"test",
                              .rules = &source,
                              .rules_count = 1 };
    struct rule_edition edition = { .files = { { (char *)"test", &file } },
                                    .count = 1,
                                    .rules_count = 1 };
    struct rule_set *set = rule_set_new(&edition, &err);
    if (!set)
        fail_msg("%s: %s", phrase, err.text);
    struct scanner *scanner = scanner_new(set, &err);
    struct scan scan;
    assert_non_null(scanner);
    scanner_scan(scanner, text, strlen(text), &scan);
    bool is_found = scan.hit_count > 0;
    scanner_destroy(&scanner);
    rule_set_destroy(&set);
    return is_found;
}

struct hit_case {
    const char *phrase;
    const char *hits[6];
    const char *misses[6];
};

static void expect(const struct hit_case *table, size_t count, bool is_welsh)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < 6 && table[i].hits[j]; j++) {
            if (!is_hit(table[i].phrase, is_welsh, table[i].hits[j]))
                fail_msg("\"%s\" misses \"%s\"", table[i].phrase, table[i].hits[j]);
        }
        for (size_t j = 0; j < 6 && table[i].misses[j]; j++) {
            if (is_hit(table[i].phrase, is_welsh, table[i].misses[j]))
                fail_msg("\"%s\" hits \"%s\"", table[i].phrase, table[i].misses[j]);
        }
    }
}

static void finds_words_in_order_and_whole(void **state)
{
    (void)state;
    static const struct hit_case table[] = {
        { "he has a knife",
          { "he has a knife", "HE HAS\tA KNIFE!!!", "help. he has... a -- knife, please" },
          { "she has a knife", "he has a knifes", "he has knife a", "" } },
        { "999", { "call 999 now", "999" }, { "9999", "call 99 9" } },
        { "café", { "the cafe", "the CAFÉ" }, { "cafes" } },
    };
    expect(table, sizeof table / sizeof table[0], false);
}

static void takes_alternatives_and_what_may_be_missing(void **state)
{
    (void)state;
    static const struct hit_case table[] = {
        { "(he|she)('s| is) (going to|gonna) kill (me|us)",
          { "he's going to kill me", "she is gonna kill us", "hes gonna kill me",
            "he s going to kill me", "he\xE2\x80\x99s gonna kill us" },
          { "he going to kill me", "they is going to kill me" } },
        { "he (is )?here", { "he here", "he is here" }, { "he was here", "heis here" } },
        { "he (is)? here (now)?", { "he here", "he is here now" }, { "he was here" } },
        { "(right)? now", { "now", "right now" }, { "known" } },
        { "i( really)? need (help|(an|the) ambulance)",
          { "i need help", "i really need an ambulance", "i need the ambulance" },
          { "i need ambulance" } },
        { "(please )?(send|get) someone", { "send someone", "please get someone" }, { "someone" } },
    };
    expect(table, sizeof table / sizeof table[0], false);
}

static void takes_gaps_stems_and_joints(void **state)
{
    (void)state;
    static const struct hit_case table[] = {
        { "kill ... me",
          { "kill me", "kill or hurt me", "kill one two three four me" },
          { "kill one two three four five me", "me kill" } },
        { "kill ...1 me", { "kill me", "kill only me" }, { "kill you and me" } },
        { "kill ... (my)? dog", { "kill the dog", "kill the my dog", "kill dog" }, { "kill a" } },
        { "a ...1 b ...2 c",
          { "a b c", "a 1 b 1 2 c", "a 9 9 a 1 b c", "x a b b 1 2 c" },
          { "a 1 2 b c", "a b 1 2 3 c", "b a c", "a c b" } },
        { "he ... (he )?is here", { "he is here", "he says he is here" }, { "is he here" } },
        { "me ... me now", { "me and me now", "me me now" }, { "me now" } },
        { "(kill ...2 me|hurt you)", { "kill all of me", "hurt you" }, { "kill 1 2 3 me" } },
        { "threaten*", { "threaten", "threatening", "THREATENED" }, { "threat", "threaten9" } },
        { "self-harm", { "self-harm", "self harm", "selfharm" }, { "self", "harm self" } },
        { "don't", { "dont", "don't", "don t" }, { "do" } },
        { "hellllp", { "hellp" }, { "help" } },
    };
    expect(table, sizeof table / sizeof table[0], false);
}

static void mutates_welsh_radicals(void **state)
{
    (void)state;
    static const struct hit_case table[] = {
        { "mae ganddo ~cyllell",
          { "mae ganddo gyllell", "Mae ganddo gyllell!" },
          { "mae gyllell" } },
        { "(fy|ei) ~plentyn", { "fy mhlentyn", "ei blentyn", "ei phlentyn" }, { "fy plant" } },
        { "~bygwth*", { "bygwthio", "fygwthiodd", "mygwth" }, { "gwth" } },
        { "dw i'n ~marw", { "dw i'n farw", "dw in marw" }, { "dw i" } },
        { "tŷ", { "ty", "tŷ", "TŶ" }, { "dy" } },
    };
    expect(table, sizeof table / sizeof table[0], true);
}

static void refuses_and_says_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *phrase;
        const char *said;
    } table[] = {
        { "", "at least one word" },
        { "   ", "at least one word" },
        { "(maybe)?", "at least one word" },
        { "kill.me", "not part of a phrase" },
        { "kill [me]", "not part of a phrase" },
        { "kill\\b", "not part of a phrase" },
        { "kill, me", "not part of a phrase" },
        { "^kill$", "not part of a phrase" },
        { "kill {2}", "not part of a phrase" },
        { "kill +", "not part of a phrase" },
        { "\xFF\xFE", "not part of a phrase" },
        { "\xD0\xBF\xD0\xBE", "not part of a phrase" },
        { "kill?", "(word)?" },
        { "(kill", "not closed" },
        { "kill)", "outside brackets" },
        { "kill|hurt", "outside brackets" },
        { "(kill|)", "at least one word" },
        { "()", "at least one word" },
        { "(a (b (c)))", "brackets inside" },
        { "... kill", "before it" },
        { "kill ...", "either side" },
        { "kill ...0 me", "either side" },
        { "kill ...12 me", "either side" },
        { "kill ... ... me", "either side" },
        { "kill ... (you)?", "at least one word" },
        { "kill ... (my)? ... dog", "before it" },
        { "a ... b ... c ... d ... e ... f ... g ... h ... i", "seven gaps" },
        { "kil*l", "end of a word" },
        { "ki*", "three letters" },
        { "self-h*", "three letters" },
        { "aaa*", "three letters" },
        { "(stab|kn)if-y*", "three letters" },
        { "*", "three letters" },
        { "he ( is) here", "leave one out" },
        { "'", "letter or digit" },
        { "kill - me", "letter or digit" },
        { "\xE2\x80\x99", "letter or digit" },
        { "(he|'-) here", "letter or digit" },
        { "~cyllell", "language to cy" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct phrase phrase;
        struct error err = { 0 };
        if (phrase_parse(table[i].phrase, false, &phrase, &err) == 0)
            fail_msg("'%s' accepted", table[i].phrase);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, table[i].said))
            fail_msg("'%s': %s", table[i].phrase, err.text);
    }
}

static void refuses_a_tilde_in_the_wrong_place(void **state)
{
    (void)state;
    static const char *const table[] = { "cyll~ell", "~", "~ cyllell", "~1", "~~cath" };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct phrase phrase;
        struct error err = { 0 };
        if (phrase_parse(table[i], true, &phrase, &err) == 0)
            fail_msg("'%s' accepted", table[i]);
        assert_non_null(strchr(err.text, '~'));
    }
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    char text[PHRASE_MAX_BYTES + 2];
    struct phrase phrase;
    struct error err = { 0 };
    memset(text, 'a', sizeof text);
    text[PHRASE_MAX_BYTES + 1] = '\0';
    assert_int_equal(phrase_parse(text, false, &phrase, &err), -1);
    assert_non_null(strstr(err.text, "two phrases"));
    text[PHRASE_MAX_BYTES] = '\0';
    assert_int_equal(phrase_parse(text, false, &phrase, &err), 0);
    phrase_clear(&phrase);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_words_in_order_and_whole),
        cmocka_unit_test(takes_alternatives_and_what_may_be_missing),
        cmocka_unit_test(takes_gaps_stems_and_joints),
        cmocka_unit_test(mutates_welsh_radicals),
        cmocka_unit_test(refuses_and_says_what_to_write),
        cmocka_unit_test(refuses_a_tilde_in_the_wrong_place),
        cmocka_unit_test(refuses_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
