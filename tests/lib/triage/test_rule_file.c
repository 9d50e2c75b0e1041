#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "desg/v1/verdict.pb-c.h"
#include "triage/rule_file.h"

#define HEAD "edition: \"2026-01-31\"\ncategory: test\nrules:\n"
#define RULE                                                                                       \
    "  - id: a.b.en\n    language: en\n    severity: urgent\n    weight: 0.5\n    phrases: "       \
    "[\"one "                                                                                      \
    "two\"]\n"

static struct rule_file *parse(const char *text, struct error *err)
{
    return rule_file_parse("x.yaml", (const uint8_t *)text, strlen(text), err);
}

static void reads_every_key(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct rule_file *file =
        parse(HEAD "  - id: a.b.cy\n    language: cy\n    severity: life-at-risk\n    weight: 1\n"
                   "    flags: [weapon, child]\n    restricted: sexual-offence\n"
                   "    context_sensitive: true\n    category: other\n"
                   "    phrases:\n      - \"~cyllell\"\n      - \"(un|dau)\"\n"
                   "    unless: [\"ffilm\"]\n    match: [\"gyllell\"]\n    no_match: [\"tri\"]\n",
              &err);
    if (!file) {
        fail_msg("%s", err.text);
        return;
    }
    const struct rule_source *rule = &file->rules[0];
    assert_string_equal(file->edition, "2026-01-31");
    assert_string_equal(rule->id, "a.b.cy");
    assert_int_equal(rule->language, RULE_LANGUAGE_CY);
    assert_int_equal(rule->severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_int_equal(rule->flags_count, 2);
    assert_int_equal(rule->flags[1], DESG__V1__FLAG__FLAG_CHILD);
    assert_int_equal(rule->restricted, DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE);
    assert_true(rule->is_context_sensitive);
    assert_string_equal(rule->category, "other");
    assert_int_equal(rule->phrases_count, 2);
    assert_string_equal(rule->unless[0], "ffilm");
    assert_string_equal(rule->match[0], "gyllell");
    assert_string_equal(rule->no_match[0], "tri");
    assert_int_equal(rule->line, 4);
    rule_file_destroy(&file);
}

static void refuses_with_line_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *where;
        const char *remedy;
    } table[] = {
        { "", "x.yaml", "1 to" },
        { "# nothing\n", "x.yaml", "" },
        { "edition: [\n", "x.yaml:", "not YAML" },
        { "- a\n", "x.yaml", "README.md" },
        { HEAD, "x.yaml", "" },
        { "edition: \"soon\"\ncategory: test\nrules:\n" RULE, "x.yaml", "such as" },
        { "edition: \"2026-01-31\"\ncategory: Test Me\nrules:\n" RULE, "x.yaml", "domestic-abuse" },
        { HEAD RULE "    colour: red\n", "x.yaml:", "README.md" },
        { HEAD "  - id: A_b\n    language: en\n    severity: urgent\n    weight: 0.5\n"
               "    phrases: [\"a\"]\n",
          "x.yaml:4:", "lower case" },
        { HEAD "  - id: a.en\n    language: fr\n    severity: urgent\n    weight: 0.5\n"
               "    phrases: [\"a\"]\n",
          "x.yaml:5:", "write en or cy" },
        { HEAD "  - id: a.en\n    language: en\n    severity: grave\n    weight: 0.5\n"
               "    phrases: [\"a\"]\n",
          "x.yaml:6:", "life-at-risk" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: 2\n"
               "    phrases: [\"a\"]\n",
          "x.yaml:4:", "0.05 to 1" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: nan\n"
               "    phrases: [\"a\"]\n",
          "x.yaml:", "0.05 to 1" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: 0.5\n"
               "    flags: [knife]\n    phrases: [\"a\"]\n",
          "x.yaml:8:", "weapon" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: 0.5\n"
               "    phrases: []\n",
          "x.yaml:", "1 to 200 phrases" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: 0.5\n"
               "    phrases:\n      - \"fine\"\n      - \"not[fine\"\n",
          "x.yaml:10: rule a.en", "write words" },
        { HEAD "  - id: a.en\n    language: en\n    severity: urgent\n    weight: 0.5\n"
               "    phrases: [\"fine\"]\n    unless:\n      - \"bad?\"\n",
          "x.yaml:10: rule a.en", "(word)?" },
        { HEAD RULE "    weight: 0.7\n", "x.yaml:9:", "twice" },
        { HEAD RULE "---\n" HEAD RULE, "x.yaml", "second document" },
        { "edition: &x \"2026-01-31\"\ncategory: *x\nrules:\n" RULE, "x.yaml:", "" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct error err = { 0 };
        struct rule_file *file = parse(table[i].text, &err);
        if (file)
            fail_msg("accepted: %s", table[i].text);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (strncmp(err.text, table[i].where, strlen(table[i].where)) != 0 ||
            !strstr(err.text, table[i].remedy))
            fail_msg("case %zu: wanted '%s … %s', got: %s", i, table[i].where, table[i].remedy,
                     err.text);
    }
}

static void refuses_a_file_that_is_too_big(void **state)
{
    (void)state;
    struct error err = { 0 };
    size_t length = (size_t)RULE_FILE_MAX_BYTES + 1;
    uint8_t *bytes = malloc(length);
    assert_non_null(bytes);
    memset(bytes, '#', length);
    assert_null(rule_file_parse("x.yaml", bytes, length, &err));
    assert_non_null(strstr(err.text, "split the file"));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_key),
        cmocka_unit_test(refuses_with_line_and_remedy),
        cmocka_unit_test(refuses_a_file_that_is_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
