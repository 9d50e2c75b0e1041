#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/welsh.h"

struct word {
    const char *radical;
    const char *forms[WELSH_FORMS_MAX]; /* the radical's mutations, NULL at the end */
};

static void expect(const struct word *word)
{
    char forms[WELSH_FORMS_MAX][WELSH_WORD_BYTES];
    size_t count = welsh_mutate(word->radical, strlen(word->radical), forms);
    assert_string_equal(forms[0], word->radical);
    size_t expected = 0;
    while (expected < WELSH_FORMS_MAX && word->forms[expected])
        expected++;
    if (count != expected + 1)
        fail_msg("%s has %zu forms, not %zu", word->radical, count, expected + 1);
    for (size_t i = 0; i < expected; i++)
        assert_string_equal(forms[i + 1], word->forms[i]);
}

static void mutates_each_initial(void **state)
{
    (void)state;
    static const struct word table[] = {
        { "cyllell", { "gyllell", "nghyllell", "chyllell" } },
        { "plentyn", { "blentyn", "mhlentyn", "phlentyn" } },
        { "tad", { "dad", "nhad", "thad" } },
        { "gardd", { "ardd", "ngardd" } },
        { "brawd", { "frawd", "mrawd" } },
        { "dyn", { "ddyn", "nyn" } },
        { "lladd", { "ladd" } },
        { "mam", { "fam" } },
        { "rhyw", { "ryw" } },
        { "anafu", { "hanafu" } },
        { "ysgol", { "hysgol" } },
        { "wyneb", { "hwyneb" } },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        expect(&table[i]);
}

static void leaves_alone_what_does_not_mutate(void **state)
{
    (void)state;
    static const struct word table[] = {
        { "chwaer", { NULL } }, { "ffrind", { NULL } }, { "heddlu", { NULL } }, { "nos", { NULL } },
        { "saethu", { NULL } }, { "ddoe", { NULL } },   { "theatr", { NULL } }, { "jig", { NULL } },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        expect(&table[i]);
}

static void leaves_out_forms_that_are_other_words(void **state)
{
    (void)state;
    static const struct word table[] = {
        { "gwn", { "ngwn" } },        /* not wn */
        { "ty", { "nhy", "thy" } },   /* not dy, your */
        { "da", { "dda" } },          /* not na, no */
        { "tan", { "dan", "nhan" } }, /* not than */
        { "bom", { "fom" } },         /* not mom */
        { "gwall", { "ngwall" } },    /* not wall */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        expect(&table[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutates_each_initial),
        cmocka_unit_test(leaves_alone_what_does_not_mutate),
        cmocka_unit_test(leaves_out_forms_that_are_other_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
