#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/language.h"
#include "triage/normalise.h"

static struct language_counts count(const char *text)
{
    struct error err = { 0 };
    struct language_counts counts = { 0 };
    struct language_words *words = language_words_new(&err);
    assert_non_null(words);
    struct normalised *normalised = normalised_new(&err);
    (void)normalise(normalised, text, strlen(text), 0);
    language_count(words, normalised->text, normalised->length, &counts);
    language_words_destroy(&words);
    normalised_destroy(&normalised);
    return counts;
}

static void tells_english_welsh_and_both(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        Desg__V1__Language language;
    } table[] = {
        { "", DESG__V1__LANGUAGE__LANGUAGE_UNSURE },
        { "12345 !!!", DESG__V1__LANGUAGE__LANGUAGE_UNSURE },
        { "gwyliau", DESG__V1__LANGUAGE__LANGUAGE_CY },
        { "there is a man outside my house", DESG__V1__LANGUAGE__LANGUAGE_EN },
        { "When will someone call me back about the fence?", DESG__V1__LANGUAGE__LANGUAGE_EN },
        { "mae rhywun tu allan i'r tŷ", DESG__V1__LANGUAGE__LANGUAGE_CY },
        { "Dw i angen help plis, mae ofn arna i", DESG__V1__LANGUAGE__LANGUAGE_CY },
        { "mae o wedi mynd nawr but he said he will come back",
          DESG__V1__LANGUAGE__LANGUAGE_MIXED },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct language_counts counts = count(table[i].text);
        if (language_of(&counts) != table[i].language)
            fail_msg("'%s' is %d", table[i].text, (int)language_of(&counts));
        assert_false(language_is_foreign(&counts));
    }
}

static void notices_other_languages(void **state)
{
    (void)state;
    static const char *const foreign[] = {
        "pomocy! on ma w domu bron",
        "ayuda por favor, mi marido quiere matar",
        "bitte hilfe, der mann ist in meine wohnung",
    };
    static const char *const ours[] = {
        "lol",
        "gosh what an awful film",
        "the casa restaurant on the corner is open until ten",
        "diolch yn fawr",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct language_counts counts = count(foreign[i]);
        if (!language_is_foreign(&counts))
            fail_msg("'%s' not noticed", foreign[i]);
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        struct language_counts counts = count(ours[i]);
        if (language_is_foreign(&counts))
            fail_msg("'%s' taken for foreign", ours[i]);
    }
}

/* bsearch finds nothing in a list that is out of order: the first and last words of each tell. */
static void finds_words_all_over_its_lists(void **state)
{
    (void)state;
    static const char *const english[] = { "about", "accident", "doing", "from", "knife", "police",
                                           "that",  "today",    "when",  "work", "yes",   "your" };
    static const char *const welsh[] = { "acw",    "ambiwlans", "bachgen", "cymdogion",
                                         "ddoe",   "eich",      "faint",   "gyda",
                                         "heddlu", "nawr",      "wyt",     "yntau" };
    for (size_t i = 0; i < sizeof english / sizeof english[0]; i++) {
        if (count(english[i]).english != 1)
            fail_msg("'%s' not known", english[i]);
    }
    for (size_t i = 0; i < sizeof welsh / sizeof welsh[0]; i++) {
        if (count(welsh[i]).welsh != 1)
            fail_msg("'%s' not known", welsh[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_english_welsh_and_both),
        cmocka_unit_test(notices_other_languages),
        cmocka_unit_test(finds_words_all_over_its_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
