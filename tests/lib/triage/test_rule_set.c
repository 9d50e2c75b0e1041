#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules_fixture.h"
#include "triage/rule_examples.h"
#include "triage/rule_set.h"
#include "triage/scan.h"

static void write_rule(const struct rules_fixture *f, const char *name, const char *id,
                       const char *phrases, const char *more)
{
    char *text = rule_text(id, "urgent", phrases, more);
    rules_write(f, name, text);
    free(text);
}

static struct rule_set *load_or_fail(const struct rules_fixture *f)
{
    struct error err = { 0 };
    struct rule_set *set = rule_set_load(f->rules, &err);
    if (!set)
        fail_msg("%s", err.text);
    return set;
}

static void expect_refused(const struct rules_fixture *f, const char *said)
{
    struct error err = { 0 };
    struct rule_set *set = rule_set_load(f->rules, &err);
    assert_null(set);
    assert_int_equal(err.kind, ERROR_CONFIG);
    if (!strstr(err.text, said))
        fail_msg("wanted '%s', got: %s", said, err.text);
}

static void loads_all_files_of_a_folder(void **state)
{
    const struct rules_fixture *f = *state;
    write_rule(f, "a.yaml", "a.en", "\"one two\"", "");
    write_rule(f, "b.yaml", "b.en", "\"one two\", \"three\"", "    unless: [\"three\"]\n");
    rules_write(f, "notes.txt", "not a rule");
    struct rule_set *set = load_or_fail(f);
    assert_int_equal(rule_set_count(set), 2);
    assert_int_equal(phrase_book_count(rule_set_book(set)), 2); /* equal phrases are one */
    assert_string_equal(rule_set_rule(set, 0)->id, "a.en");
    assert_string_equal(rule_set_rule(set, 1)->file, "b.yaml");
    assert_int_equal(strncmp(rule_set_edition(set), "2026-01-31+", 11), 0);
    rule_set_destroy(&set);
}

static void refuses_a_folder_without_rules(void **state)
{
    const struct rules_fixture *f = *state;
    struct error err = { 0 };
    expect_refused(f, "rules_directory");
    assert_null(rule_set_load("/nonexistent/folder", &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
}

static void refuses_an_id_that_stands_twice(void **state)
{
    const struct rules_fixture *f = *state;
    write_rule(f, "a.yaml", "same.en", "\"one\"", "");
    write_rule(f, "b.yaml", "same.en", "\"two\"", "");
    expect_refused(f, "also at a.yaml:4");
}

static void tests_rules_by_their_examples(void **state)
{
    const struct rules_fixture *f = *state;
    write_rule(f, "a.yaml", "a.en", "\"he has a knife\"",
               "    match: [\"help he has a knife\"]\n    no_match: [\"knife crime\"]\n");
    struct rule_set *set = load_or_fail(f);
    rule_set_destroy(&set);
    write_rule(f, "a.yaml", "a.en", "\"he has a knife\"", "    match: [\"she has a knife\"]\n");
    expect_refused(f, "a.yaml:4: rule a.en does not match its example");
    write_rule(f, "a.yaml", "a.en", "\"he has a knife\"", "    no_match: [\"he has a knife\"]\n");
    expect_refused(f, "which it says it does not");
}

static void count_complaint(void *arg, const char *text)
{
    (void)text;
    (*(unsigned *)arg)++;
}

static void tells_every_fault_when_asked(void **state)
{
    const struct rules_fixture *f = *state;
    unsigned faults = 0;
    struct error err = { 0 };
    write_rule(f, "a.yaml", "a.en", "\"bad[\"", "");
    write_rule(f, "b.yaml", "b.en", "\"bad]\"", "");
    assert_null(rule_edition_read(f->rules, count_complaint, &faults, &err));
    assert_int_equal(faults, 2);
    write_rule(f, "a.yaml", "a.en", "\"one\"", "    match: [\"two\", \"three\"]\n");
    write_rule(f, "b.yaml", "b.en", "\"one\"", "    no_match: [\"one\"]\n");
    struct rule_edition *edition = rule_edition_read(f->rules, count_complaint, &faults, &err);
    struct rule_set *set = rule_set_new(edition, &err);
    assert_non_null(set);
    faults = 0;
    assert_int_equal(rule_examples_test(set, edition, count_complaint, &faults, &err), -1);
    assert_int_equal(faults, 3);
    rule_set_destroy(&set);
    rule_edition_destroy(&edition);
}

/* Whether the first rule of the folder counts for text. */
static bool counts(const struct rules_fixture *f, const char *text)
{
    struct error err = { 0 };
    struct rule_set *set = load_or_fail(f);
    struct scanner *scanner = scanner_new(set, &err);
    struct scan scan;
    assert_non_null(scanner);
    scanner_scan(scanner, text, strlen(text), &scan);
    bool is_hit = scan.hit_count > 0;
    scanner_destroy(&scanner);
    rule_set_destroy(&set);
    return is_hit;
}

static const char guards_file[] =
    "edition: \"2026-01-31\"\nguard_sets:\n"
    "  - {id: past, reach: 20, en: [\"(years|months) ago\"], cy: [\"flynyddoedd yn ol\"]}\n"
    "  - {id: fiction, en: [\"video game\"]}\n";

static void named_guards_undo_what_is_within_their_reach(void **state)
{
    const struct rules_fixture *f = *state;
    rules_write(f, "guards.yaml", guards_file);
    write_rule(f, "a.yaml", "a.en", "\"he hit me\"", "    guards: [past]\n");
    assert_true(counts(f, "he hit me"));
    assert_false(counts(f, "he hit me three years ago"));
    assert_false(counts(f, "flynyddoedd yn ôl he hit me"));
    assert_true(counts(f, "he hit me just now, as he had some three or four years ago"));
    assert_true(counts(f, "he hit me in a video game"));
    write_rule(f, "a.yaml", "a.en", "\"he hit me\"", "    guards: [none]\n");
    assert_true(counts(f, "he hit me three years ago"));
}

static void a_file_names_guards_for_its_rules(void **state)
{
    const struct rules_fixture *f = *state;
    rules_write(f, "guards.yaml", guards_file);
    char *text = rule_text("a.en", "urgent", "\"he hit me\"", "guards: [fiction, past]\n");
    rules_write(f, "a.yaml", text);
    free(text);
    assert_false(counts(f, "he hit me in a video game"));
    assert_false(counts(f, "two months ago he hit me"));
    text = rule_text("a.en", "urgent", "\"he hit me\"", "    guards: [none]\nguards: [past]\n");
    rules_write(f, "a.yaml", text);
    free(text);
    assert_true(counts(f, "two months ago he hit me"));
    write_rule(f, "a.yaml", "a.en", "\"he hit me\"", "    guards: [past, future]\n");
    expect_refused(f, "guard 'future' is not known");
    write_rule(f, "a.yaml", "a.en", "\"he hit me\"", "");
    rules_write(f, "more.yaml", guards_file);
    expect_refused(f, "stands twice");
}

static void other_spellings_count_as_the_word(void **state)
{
    const struct rules_fixture *f = *state;
    rules_write(f, "spellings.yaml",
                "edition: \"2026-01-31\"\nspellings:\n"
                "  - {word: Knife, variants: [nife, \"\xF0\x9F\x94\xAA\", \"cyll\u0175ll\"]}\n"
                "  - {word: please, variants: [pls]}\n");
    write_rule(f, "a.yaml", "a.en", "\"(please|now) ... (knife|nife)\"", "");
    assert_true(counts(f, "plssss he has a nife"));
    assert_true(counts(f, "please \xF0\x9F\x94\xAA"));
    assert_true(counts(f, "NOW a KNIIIFE"));
    assert_true(counts(f, "pls, cyllwll"));
    assert_false(counts(f, "plz a knife"));
    rules_write(f, "spellings.yaml",
                "edition: \"2026-01-31\"\nspellings:\n  - {word: two words, variants: [a]}\n");
    expect_refused(f, "one word");
}

static void notices_that_files_changed(void **state)
{
    const struct rules_fixture *f = *state;
    write_rule(f, "a.yaml", "a.en", "\"one\"", "");
    uint64_t first = rule_edition_stamp(f->rules);
    assert_true(first != 0);
    assert_true(rule_edition_stamp(f->rules) == first);
    write_rule(f, "b.yaml", "b.en", "\"one\"", "");
    uint64_t second = rule_edition_stamp(f->rules);
    assert_true(second != first);
    write_rule(f, "b.yaml", "b.en", "\"one longer\"", "");
    assert_true(rule_edition_stamp(f->rules) != second);
    assert_true(rule_edition_stamp("/nonexistent/folder") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_all_files_of_a_folder, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(refuses_a_folder_without_rules, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(refuses_an_id_that_stands_twice, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(tests_rules_by_their_examples, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(tells_every_fault_when_asked, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(named_guards_undo_what_is_within_their_reach,
                                        rules_fixture_setup, rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_file_names_guards_for_its_rules, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(other_spellings_count_as_the_word, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(notices_that_files_changed, rules_fixture_setup,
                                        rules_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
