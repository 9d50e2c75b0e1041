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
    struct rule_set *set = rule_set_load(f->rules, f->cache, &err);
    if (!set)
        fail_msg("%s", err.text);
    return set;
}

static void expect_refused(const struct rules_fixture *f, const char *said)
{
    struct error err = { 0 };
    struct rule_set *set = rule_set_load(f->rules, NULL, &err);
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
    assert_int_equal(rule_set_pattern_count(set), 2); /* equal phrases are one pattern */
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
    assert_null(rule_set_load("/nonexistent/folder", NULL, &err));
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
    struct rule_set *set = rule_set_new(edition, NULL, &err);
    assert_non_null(set);
    faults = 0;
    assert_int_equal(rule_examples_test(set, edition, count_complaint, &faults, &err), -1);
    assert_int_equal(faults, 3);
    rule_set_destroy(&set);
    rule_edition_destroy(&edition);
}

static void keeps_what_was_compiled(void **state)
{
    const struct rules_fixture *f = *state;
    write_rule(f, "a.yaml", "a.en", "\"one two\"", "");
    struct rule_set *set = load_or_fail(f);
    assert_false(rule_set_is_from_cache(set));
    rule_set_destroy(&set);
    set = load_or_fail(f);
    assert_true(rule_set_is_from_cache(set));
    rule_set_destroy(&set);
    write_rule(f, "a.yaml", "a.en", "\"one three\"", "");
    set = load_or_fail(f);
    assert_false(rule_set_is_from_cache(set));
    rule_set_destroy(&set);
}

/* Changes one byte of the file, counted from its end if offset is negative. */
static void damage(const char *path, long offset)
{
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_true(fputc(byte ^ 0x55, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void compiles_again_when_the_cache_is_damaged(void **state)
{
    const struct rules_fixture *f = *state;
    static const long offsets[] = { 0, 20, 50, 60, 200, -1 };
    write_rule(f, "a.yaml", "a.en", "\"one two\"", "");
    struct rule_set *set = load_or_fail(f);
    rule_set_destroy(&set);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        damage(f->cache, offsets[i]);
        set = load_or_fail(f);
        assert_false(rule_set_is_from_cache(set));
        rule_set_destroy(&set);
        set = load_or_fail(f); /* and was written anew */
        assert_true(rule_set_is_from_cache(set));
        rule_set_destroy(&set);
    }
    FILE *file = fopen(f->cache, "we"); /* cut to nothing */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    set = load_or_fail(f);
    assert_false(rule_set_is_from_cache(set));
    rule_set_destroy(&set);
}

static void works_without_a_place_for_the_cache(void **state)
{
    const struct rules_fixture *f = *state;
    struct error err = { 0 };
    write_rule(f, "a.yaml", "a.en", "\"one two\"", "");
    struct rule_set *set = rule_set_load(f->rules, "/nonexistent/folder/compiled", &err);
    assert_non_null(set);
    rule_set_destroy(&set);
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
        cmocka_unit_test_setup_teardown(keeps_what_was_compiled, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(compiles_again_when_the_cache_is_damaged,
                                        rules_fixture_setup, rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(works_without_a_place_for_the_cache, rules_fixture_setup,
                                        rules_fixture_teardown),
        cmocka_unit_test_setup_teardown(notices_that_files_changed, rules_fixture_setup,
                                        rules_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
