/* Labelled files judged and measured, and two editions compared: the figures of small sets that can
 * be counted by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/triage_files.h"
#include "rules_fixture.h"

struct fixture {
    struct rules_fixture *rules;
    struct triage_edition *edition;
    char path[128];
    char complaints[2000];
};

static struct triage_edition *open_rules(const struct rules_fixture *rules, const char *phrases)
{
    struct error err = { 0 };
    char *rule = rule_text("violence-weapons.knife.en", "urgent", phrases, "");
    rules_write(rules, "test.yaml", rule);
    free(rule);
    struct triage_edition *edition = triage_edition_open_pair(rules->rules, &err);
    if (!edition)
        fail_msg("%s", err.text);
    return edition;
}

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    assert_int_equal(rules_fixture_setup((void **)&self->rules), 0);
    (void)snprintf(self->path, sizeof self->path, "%s/set.jsonl", self->rules->directory);
    self->edition = open_rules(self->rules, "\"a knife\"");
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    triage_edition_destroy(&self->edition);
    int rc = rules_fixture_teardown((void **)&self->rules);
    free(self);
    return rc;
}

static json_t *measure(struct fixture *self, const char *lines, struct triage_files files,
                       struct error *err)
{
    FILE *set = fopen(self->path, "w");
    assert_non_null(set);
    assert_true(fputs(lines, set) >= 0);
    assert_int_equal(fclose(set), 0);
    memset(self->complaints, 0, sizeof self->complaints);
    FILE *complaints = fmemopen(self->complaints, sizeof self->complaints - 1, "w");
    assert_non_null(complaints);
    const char *const paths[] = { self->path };
    files.edition = self->edition;
    files.complaints = complaints;
    json_t *report = triage_files_measure(&files, paths, 1, err);
    assert_int_equal(fclose(complaints), 0);
    return report;
}

static json_t *measure_or_fail(struct fixture *self, const char *lines, struct triage_files files)
{
    struct error err = { 0 };
    json_t *report = measure(self, lines, files, &err);
    if (!report)
        fail_msg("%s", err.text);
    return report;
}

/* The number at a path of keys joined by '/'. */
static double at(const json_t *value, const char *path)
{
    char key[64];
    for (size_t length; *path != '\0'; path += length + (path[length] == '/')) {
        length = strcspn(path, "/");
        (void)snprintf(key, sizeof key, "%.*s", (int)length, path);
        value = json_object_get(value, key);
    }
    if (!json_is_number(value))
        return NAN;
    return json_number_value(value);
}

static void is_at(const json_t *report, const char *path, double expected)
{
    double got = at(report, path);
    if (isnan(expected) ? !isnan(got) : !(fabs(got - expected) < 0.0005))
        fail_msg("%s is %f, not %f", path, got, expected);
}

#define ROW(id, text, urgent, more)                                                                \
    "{\"id\":\"" id "\",\"text\":\"" text "\",\"urgent\":" urgent ",\"lang\":\"en\"" more "}\n"

static const char six_rows[] = ROW("a:1", "he has a knife here", "true",
                                   ",\"source\":\"a\",\"restricted\":\"none\"")
    ROW("a:2", "she is not breathing", "true", ",\"source\":\"a\",\"restricted\":\"intelligence\"")
        ROW("a:3", "i lost a knife", "false", ",\"source\":\"a\",\"genre\":\"direct\"") ROW(
            "b:1", "good morning to you", "false", ",\"source\":\"b\",\"category\":\"general\"")
            ROW("b:2", "what time do you open", "false", ",\"source\":\"b\",\"category\":\"chat\"")
                ROW("b:3", "a knife somewhere", "null", ",\"source\":\"b\"");

static void the_figures_are_those_counted_by_hand(void **state)
{
    AUTO(answer_drop)
    json_t *report = measure_or_fail(*state, six_rows,
                                     (struct triage_files){ .by = "source,lang,category,genre" });
    is_at(report, "rows", 6);
    is_at(report, "urgent", 2);
    is_at(report, "not_urgent", 3);
    is_at(report, "unknown", 1);
    is_at(report, "bad_lines", 0);
    is_at(report, "flagged/recall/value", 0.5);
    is_at(report, "flagged/recall/hits", 1);
    is_at(report, "flagged/recall/of", 2);
    is_at(report, "flagged/precision/value", 0.5);
    is_at(report, "flagged/false_alarms/value", 1.0 / 3);
    is_at(report, "urgent_or_worse/recall/value", 0.5);
    is_at(report, "unknown_flagged/hits", 1);
    is_at(report, "auc/value", 3.5 / 6); /* pairs in order: 1, ½, ½ … */
    is_at(report, "severity/urgent/urgent", 1);
    is_at(report, "severity/routine/not_urgent", 2);
    is_at(report, "by/source/a/flagged/false_alarms/value", 1);
    is_at(report, "by/source/b/flagged/false_alarms/value", 0);
    is_at(report, "by/source/b/flagged/recall/value", NAN);
    is_at(report, "by/source/b/unknown", 1);
    is_at(report, "by/genre/direct/rows", 1);
    is_at(report, "category/rows", 1);
    is_at(report, "category/right/hits", 1);
    is_at(report, "category/not_ours/chat", 1);
    is_at(report, "restricted/rows", 2);
    is_at(report, "restricted/recall/value", 0);
    is_at(report, "language/by_words/3-5/of", 6);
    is_at(report, "time_us/slowest", NAN);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(report, "time_us"), "slowest")), 6);
    char *written = json_dumps(report, 0);
    assert_null(strstr(written, "breathing")); /* no text */
    free(written);
}

static void bad_lines_are_named_and_counted(void **state)
{
    struct fixture *self = *state;
    AUTO(answer_drop)
    json_t *report =
        measure_or_fail(self, "nonsense\n" ROW("a", "x", "true", "") ROW("b", "x", "\"yes\"", ""),
                        (struct triage_files){ .by = "" });
    is_at(report, "rows", 1);
    is_at(report, "bad_lines", 2);
    assert_non_null(strstr(self->complaints, "set.jsonl:1: "));
    assert_non_null(strstr(self->complaints, "set.jsonl:3: "));
}

static void a_file_without_a_good_line_is_refused(void **state)
{
    struct fixture *self = *state;
    struct error err = { 0 };
    assert_null(measure(self, "nonsense\n", (struct triage_files){ .by = "" }, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_null(measure(self, six_rows, (struct triage_files){ .by = "a,,b" }, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void only_the_held_out_count_where_that_is_asked(void **state)
{
    AUTO(answer_drop)
    json_t *report =
        measure_or_fail(*state, ROW("set:0", "a knife", "true", "") ROW("set:1", "x", "true", ""),
                        (struct triage_files){ .by = "", .is_held_out_only = true });
    is_at(report, "rows", 1);
    is_at(report, "left_out", 1);
    is_at(report, "flagged/recall/value", 1);
}

static void verdicts_are_written_without_text(void **state)
{
    char *written = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&written, &bytes);
    json_t *report =
        measure_or_fail(*state, six_rows, (struct triage_files){ .by = "", .verdicts = out });
    json_decref(report);
    assert_int_equal(fclose(out), 0);
    AUTO(answer_drop) json_t *first = json_loads(written, JSON_DISABLE_EOF_CHECK, NULL);
    assert_string_equal(answer_text(first, "id"), "a:1");
    assert_string_equal(answer_text(first, "severity"), "urgent");
    assert_string_equal(answer_text(first, "truth"), "urgent");
    assert_null(strstr(written, "breathing"));
    free(written);
}

static void a_comparison_names_what_would_be_lost_and_found(void **state)
{
    struct fixture *self = *state;
    AUTO(triage_edition_destroy)
    struct triage_edition *new_edition = open_rules(self->rules, "\"not breathing\"");
    AUTO(answer_drop)
    json_t *comparison = measure_or_fail(
        self, six_rows, (struct triage_files){ .by = "", .new_edition = new_edition });
    is_at(comparison, "lost", 1);
    is_at(comparison, "found", 1);
    is_at(comparison, "old/flagged/false_alarms/hits", 1);
    is_at(comparison, "new/flagged/false_alarms/hits", 0);
    const json_t *changes = json_object_get(comparison, "changes");
    assert_int_equal(json_array_size(changes), 4);
    assert_string_equal(answer_text(json_array_get(changes, 0), "id"), "a:1");
    assert_true(json_is_true(json_object_get(json_array_get(changes, 0), "is_lost")));
    assert_false(json_is_true(json_object_get(json_array_get(changes, 1), "is_lost")));
    const json_t *moves = json_object_get(comparison, "moves");
    assert_int_equal(json_array_size(moves), 2);
    assert_string_equal(answer_text(json_array_get(moves, 0), "from"), "routine");
    is_at(json_array_get(moves, 1), "rows", 3);
    is_at(json_array_get(moves, 1), "unknown", 1);
}

static void the_same_edition_changes_nothing(void **state)
{
    struct fixture *self = *state;
    AUTO(triage_edition_destroy)
    struct triage_edition *same = open_rules(self->rules, "\"a knife\"");
    AUTO(answer_drop)
    json_t *comparison =
        measure_or_fail(self, six_rows, (struct triage_files){ .by = "", .new_edition = same });
    is_at(comparison, "lost", 0);
    assert_int_equal(json_array_size(json_object_get(comparison, "changes")), 0);
}

#define WITH_SET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SET(the_figures_are_those_counted_by_hand),
        WITH_SET(bad_lines_are_named_and_counted),
        WITH_SET(a_file_without_a_good_line_is_refused),
        WITH_SET(only_the_held_out_count_where_that_is_asked),
        WITH_SET(verdicts_are_written_without_text),
        WITH_SET(a_comparison_names_what_would_be_lost_and_found),
        WITH_SET(the_same_edition_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
