/* The rules that are shipped: they load, and every rule passes its own examples. */
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triage/rule_examples.h"

enum { RULES_MIN = 200, RULES_PER_LANGUAGE_MIN = 80 };

static void print_fault(void *arg, const char *text)
{
    unsigned *faults = arg;
    (*faults)++;
    print_error("%s\n", text);
}

static void shipped_rules_pass_their_own_examples(void **state)
{
    (void)state;
    unsigned faults = 0;
    struct error err = { 0 };
    struct rule_edition *edition = rule_edition_read(RULES_DIRECTORY, print_fault, &faults, &err);
    assert_non_null(edition);
    struct rule_set *set = rule_set_new(edition, &err);
    if (!set)
        fail_msg("%s", err.text);
    int rc = rule_examples_test(set, edition, print_fault, &faults, &err);
    assert_int_equal(rc, 0);
    size_t welsh = 0;
    for (size_t i = 0; i < rule_set_count(set); i++)
        welsh += rule_set_rule(set, i)->language == RULE_LANGUAGE_CY;
    size_t english = rule_set_count(set) - welsh;
    assert_true(rule_set_count(set) >= RULES_MIN);
    assert_true(welsh >= RULES_PER_LANGUAGE_MIN && english >= RULES_PER_LANGUAGE_MIN);
    rule_set_destroy(&set);
    rule_edition_destroy(&edition);
}

static void every_shipped_rule_has_an_example(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct rule_edition *edition = rule_edition_read(RULES_DIRECTORY, NULL, NULL, &err);
    assert_non_null(edition);
    for (size_t i = 0; i < edition->count; i++) {
        const struct rule_file *file = edition->files[i].rules;
        for (unsigned j = 0; j < file->rules_count; j++) {
            if (file->rules[j].match_count == 0)
                fail_msg("rule %s has no match example", file->rules[j].id);
        }
    }
    rule_edition_destroy(&edition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_rules_pass_their_own_examples),
        cmocka_unit_test(every_shipped_rule_has_an_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
