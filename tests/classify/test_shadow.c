/* A second edition that only counts: what it would have said, what it had no time for, an edition
 * that is no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify/shadow.h"
#include "clock/clock.h"
#include "rules_fixture.h"

enum { DEADLINE_MS = 20000, LOOK_MS = 5 };

struct fixture {
    struct rules_fixture *rules;
    struct metrics *metrics;
    struct tally *tally;
    struct shadow *shadow;
};

static void write_rule(const struct fixture *self, const char *severity)
{
    char *rule = rule_text("test.knife.en", severity, "\"a knife\"", "");
    rules_write(self->rules, "test.yaml", rule);
    free(rule);
}

static int set_up(void **state)
{
    struct error err = { 0 };
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    assert_int_equal(rules_fixture_setup((void **)&self->rules), 0);
    self->metrics = metrics_new();
    self->tally = tally_new(self->metrics, &err);
    assert_non_null(self->tally);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    shadow_destroy(&self->shadow);
    tally_destroy(&self->tally);
    metrics_destroy(&self->metrics);
    int rc = rules_fixture_teardown((void **)&self->rules);
    free(self);
    return rc;
}

static void open_shadow(struct fixture *self, const char *model)
{
    struct error err = { 0 };
    const struct shadow_options options = {
        .rules_directory = self->rules->rules,
        .model = model,
        .tally = self->tally,
    };
    self->shadow = shadow_new(&options, &err);
    if (!self->shadow)
        fail_msg("%s", err.text);
}

static void offer(struct fixture *self, const char *text, Desg__V1__Severity severity)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)text;
    shadow_offer(self->shadow, &event, severity);
}

static json_int_t number_at(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Waits until the shadow has that state and has dealt with that many events; the caller drops what
 * it says. */
static json_t *await(struct fixture *self, const char *state, json_int_t events)
{
    int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (clock_monotonic_ms() < until_ms) {
        json_t *said = shadow_describe(self->shadow);
        const char *now = json_string_value(json_object_get(said, "state"));
        if (strcmp(now, state) == 0 &&
            number_at(said, "judged") + number_at(said, "skipped") >= events)
            return said;
        json_decref(said);
        (void)poll(NULL, 0, LOOK_MS);
    }
    fail_msg("the shadow never was %s with %lld events", state, (long long)events);
    return NULL;
}

static bool is_counted(const struct fixture *self, const char *line)
{
    char *text = metrics_render(self->metrics);
    bool is_there = strstr(text, line) != NULL;
    free(text);
    return is_there;
}

static void differences_are_counted_by_what_was_and_would_be(void **state)
{
    struct fixture *self = *state;
    write_rule(self, "urgent");
    open_shadow(self, NULL);
    json_decref(await(self, "running", 0));
    offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_URGENT);
    offer(self, "good morning to you", DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    json_t *said = await(self, "running", 4);
    assert_int_equal(number_at(said, "judged"), 4);
    const json_t *differences = json_object_get(said, "differences");
    assert_int_equal(json_array_size(differences), 2);
    const json_t *first = json_array_get(differences, 0);
    assert_string_equal(json_string_value(json_object_get(first, "from")), "routine");
    assert_string_equal(json_string_value(json_object_get(first, "to")), "urgent");
    assert_int_equal(number_at(first, "events"), 2);
    json_decref(said);
    assert_true(is_counted(self, "desg_classify_shadow_differences_total{from=\"life-at-risk\",to="
                                 "\"routine\"} 1"));
    assert_true(is_counted(self, "desg_classify_shadow_judged_total 4"));
    assert_true(is_counted(self, "desg_classify_shadow_edition_info{rules=\"2026-01-31+"));
}

static void what_there_is_no_time_for_is_counted_and_passed_over(void **state)
{
    enum { OFFERED = 5000 };
    struct fixture *self = *state;
    write_rule(self, "urgent");
    open_shadow(self, NULL);
    json_decref(await(self, "running", 0));
    for (int i = 0; i < OFFERED; i++)
        offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_URGENT);
    json_t *said = await(self, "running", OFFERED);
    assert_int_equal(number_at(said, "judged") + number_at(said, "skipped"), OFFERED);
    assert_true(number_at(said, "judged") > 0);
    json_decref(said);
}

static void an_event_too_long_for_it_is_passed_over(void **state)
{
    struct fixture *self = *state;
    char *text = malloc(SHADOW_EVENT_MAX_BYTES + 1);
    assert_non_null(text);
    memset(text, 'a', SHADOW_EVENT_MAX_BYTES);
    text[SHADOW_EVENT_MAX_BYTES] = '\0';
    write_rule(self, "urgent");
    open_shadow(self, NULL);
    json_decref(await(self, "running", 0));
    offer(self, text, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    json_t *said = await(self, "running", 1);
    assert_int_equal(number_at(said, "skipped"), 1);
    json_decref(said);
    free(text);
}

static void an_edition_that_is_no_good_stops_nothing_and_is_taken_once_mended(void **state)
{
    struct fixture *self = *state;
    rules_write(self->rules, "test.yaml", "edition: yesterday\n");
    open_shadow(self, NULL);
    json_decref(await(self, "refused", 0));
    offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    json_decref(await(self, "refused", 1));
    write_rule(self, "urgent");
    shadow_reload(self->shadow);
    json_decref(await(self, "running", 0));
    offer(self, "he has a knife", DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    json_t *said = await(self, "running", 1);
    assert_int_equal(number_at(said, "judged"), 1); /* counted anew with each edition */
    assert_int_equal(number_at(said, "skipped"), 0);
    json_decref(said);
}

static void a_changed_edition_is_noticed(void **state)
{
    struct fixture *self = *state;
    rules_write(self->rules, "test.yaml", "edition: yesterday\n");
    open_shadow(self, NULL);
    json_decref(await(self, "refused", 0));
    write_rule(self, "urgent");
    json_decref(await(self, "running", 0));
}

static void a_model_that_is_not_there_is_refused(void **state)
{
    struct fixture *self = *state;
    write_rule(self, "urgent");
    open_shadow(self, "/nowhere/triage.model");
    json_decref(await(self, "refused", 0));
    assert_false(is_counted(self, "desg_classify_shadow_edition_info"));
}

#define WITH_TALLY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TALLY(differences_are_counted_by_what_was_and_would_be),
        WITH_TALLY(what_there_is_no_time_for_is_counted_and_passed_over),
        WITH_TALLY(an_event_too_long_for_it_is_passed_over),
        WITH_TALLY(an_edition_that_is_no_good_stops_nothing_and_is_taken_once_mended),
        WITH_TALLY(a_changed_edition_is_noticed),
        WITH_TALLY(a_model_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
