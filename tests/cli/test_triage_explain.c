/* One verdict in plain words: which words are marked, and that nothing in a text steers a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/triage_explain.h"
#include "rules_fixture.h"

struct place {
    uint32_t offset;
    uint32_t length;
};

/* Marks text by reasons at these places (a length of 0 ends them) and returns it for free(). */
static char *mark(const char *text, const struct place *places)
{
    Desg__V1__Reason reasons[TRIAGE_MARKS_MAX];
    Desg__V1__Reason *list[TRIAGE_MARKS_MAX];
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    struct triage_mark marks[TRIAGE_MARKS_MAX];
    for (; places[verdict.n_reasons].length > 0; verdict.n_reasons++) {
        Desg__V1__Reason *reason = &reasons[verdict.n_reasons];
        *reason = (Desg__V1__Reason)DESG__V1__REASON__INIT;
        reason->offset_bytes = places[verdict.n_reasons].offset;
        reason->length_bytes = places[verdict.n_reasons].length;
        list[verdict.n_reasons] = reason;
    }
    verdict.reasons = list;
    size_t count = triage_marks(&verdict, text, marks);
    return triage_mark_text(text, marks, count, "[", "]");
}

static void words_are_marked_once_however_many_reasons_point_to_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct place places[5];
        const char *marked;
    } cases[] = {
        { "he has a knife", { { 9, 5 } }, "he has a [knife]" },
        { "he has a knife", { { 9, 5 }, { 0, 6 } }, "[he has] a [knife]" },
        { "he has a knife", { { 0, 8 }, { 3, 11 } }, "[he has a knife]" },
        { "he has a knife", { { 3, 3 }, { 0, 14 } }, "[he has a knife]" },
        { "he has a knife", { { 9, 500 } }, "he has a [knife]" }, /* not behind its end */
        { "he has a knife", { { 14, 1 }, { 900, 2 } }, "he has a knife" },
        { "t\xc3\xa2n yma", { { 2, 1 } }, "t[\xc3\xa2]n yma" }, /* no letter is cut */
        { "", { { 0, 1 } }, "" },
        { "he\033[2Jhas\x7f \xc2\x9b"
          "x",
          { { 0, 2 } },
          "[he].[2Jhas. .x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *marked = mark(cases[i].text, cases[i].places);
        assert_string_equal(marked, cases[i].marked);
        free(marked);
    }
}

static struct triage_edition *open_rules(const struct rules_fixture *fixture, struct error *err)
{
    const struct triage_edition_options options = { .rules_directory = fixture->rules };
    return triage_edition_open(&options, err);
}

static void a_verdict_says_its_reasons_and_where_their_rules_stand(void **state)
{
    struct rules_fixture *fixture = *state;
    struct error err = { 0 };
    struct verdict verdict;
    int64_t took_ns = -1;
    static const char text[] = "please, he has a knife";
    char *rule = rule_text("test.knife.en", "urgent", "\"a knife\"", "    flags: [weapon]\n");
    rules_write(fixture, "test.yaml", rule);
    free(rule);
    AUTO(triage_edition_destroy)
    struct triage_edition *edition = open_rules(fixture, &err);
    if (!edition)
        fail_msg("%s", err.text);
    triage_edition_judge(edition, text, &verdict, &took_ns);
    assert_true(took_ns >= 0);
    AUTO(answer_drop) json_t *explained = triage_explain(edition, text, &verdict.message, took_ns);
    assert_non_null(explained);
    assert_string_equal(answer_text(explained, "severity"), "urgent");
    assert_true(json_is_true(json_object_get(explained, "is_flagged")));
    const json_t *reason = json_array_get(json_object_get(explained, "reasons"), 0);
    assert_string_equal(answer_text(reason, "rule"), "test.knife.en");
    assert_string_equal(answer_text(reason, "words"), "a knife");
    assert_string_equal(answer_text(reason, "file"), "test.yaml");
    assert_true(json_integer_value(json_object_get(reason, "line")) > 1);
    const json_t *flags = json_object_get(explained, "flags");
    assert_string_equal(json_string_value(json_array_get(flags, 0)), "weapon");
    assert_true(json_is_null(json_object_get(json_object_get(explained, "edition"), "model")));
}

static void text_that_is_no_utf8_is_explained_all_the_same(void **state)
{
    struct rules_fixture *fixture = *state;
    struct error err = { 0 };
    struct verdict verdict;
    char *rule = rule_text("test.knife.en", "urgent", "\"a knife\"", "");
    rules_write(fixture, "test.yaml", rule);
    free(rule);
    AUTO(triage_edition_destroy)
    struct triage_edition *edition = open_rules(fixture, &err);
    assert_non_null(edition);
    triage_edition_judge(edition, "\xff\xfe a knife \xc3", &verdict, NULL);
    AUTO(answer_drop)
    json_t *explained = triage_explain(edition, "\xff\xfe a knife \xc3", &verdict.message, 1);
    assert_non_null(explained);
    char *written = json_dumps(explained, 0);
    assert_non_null(written);
    free(written);
}

static void rules_that_cannot_be_opened_are_refused(void **state)
{
    struct rules_fixture *fixture = *state;
    struct error err = { 0 };
    assert_null(open_rules(fixture, &err)); /* it is empty */
    assert_int_equal(err.kind, ERROR_CONFIG);
    rules_write(fixture, "test.yaml", "edition: yesterday\n");
    assert_null(open_rules(fixture, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    char *rule = rule_text("test.knife.en", "urgent", "\"a knife\"", "");
    rules_write(fixture, "test.yaml", rule);
    free(rule);
    char pair[200];
    (void)snprintf(pair, sizeof pair, "%s,%s/no.model", fixture->rules, fixture->directory);
    assert_null(triage_edition_open_pair(pair, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    AUTO(triage_edition_destroy)
    struct triage_edition *edition = triage_edition_open_pair(fixture->rules, &err);
    assert_non_null(edition);
}

#define WITH_RULES(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, rules_fixture_setup, rules_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_marked_once_however_many_reasons_point_to_them),
        WITH_RULES(a_verdict_says_its_reasons_and_where_their_rules_stand),
        WITH_RULES(text_that_is_no_utf8_is_explained_all_the_same),
        WITH_RULES(rules_that_cannot_be_opened_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
