#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "classify/classify_config.h"
#include "classify/rule_loader.h"
#include "clock/clock.h"
#include "model_fixture.h"
#include "rules_fixture.h"

enum { DEADLINE_MS = 20000 };

static struct model_fixture trained;

struct files {
    struct rules_fixture *rules;
    char model[128];
    struct triage_source source;
};

static int setup(void **state)
{
    struct files *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)rules_fixture_setup((void **)&self->rules);
    (void)snprintf(self->model, sizeof self->model, "%s/desk.model", self->rules->directory);
    self->source =
        (struct triage_source){ .rules_directory = self->rules->rules, .model = self->model };
    rules_write(self->rules, "test.yaml",
                "edition: \"2026-01-31\"\ncategory: test\nrules:\n  - {id: kill.en, language: en, "
                "severity: life-at-risk, weight: 0.9, phrases: [\"kill me\"]}\n");
    model_fixture_init(&trained);
    model_fixture_alarm(&trained, "gyllell");
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct files *self = *state;
    (void)rules_fixture_teardown((void **)&self->rules);
    free(self);
    return 0;
}

static void write_model(const struct files *self, const char *date)
{
    struct error err = { 0 };
    if (model_file_write(self->model, &trained.model, date, "{}", &err) != 0)
        fail_msg("%s", err.text);
}

static void damage_model(const struct files *self)
{
    FILE *file = fopen(self->model, "r+be");
    assert_non_null(file);
    assert_int_equal(fseek(file, 20000, SEEK_SET), 0);
    assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
}

static void opens_rules_and_model_together(void **state)
{
    const struct files *self = *state;
    struct error model_err = { 0 };
    struct error err = { 0 };
    struct verdict verdict;
    write_model(self, "2026-01-31");
    struct triage *triage = triage_source_open(&self->source, &model_err, &err);
    assert_non_null(triage);
    assert_int_equal(model_err.kind, ERROR_NONE);
    judge_text(triage, "mae ganddo gyllell", &verdict);
    assert_true(triage_is_urgent_lane(verdict.message.severity));
    assert_int_equal(strncmp(verdict.message.model_edition, "2026-01-31+", 11), 0);
    triage_destroy(&triage);
}

static void judges_by_rules_alone_when_the_model_is_missing_or_damaged(void **state)
{
    const struct files *self = *state;
    struct verdict verdict;
    for (int i = 0; i < 2; i++) {
        struct error model_err = { 0 };
        struct error err = { 0 };
        if (i == 1) {
            write_model(self, "2026-01-31");
            damage_model(self);
        }
        struct triage *triage = triage_source_open(&self->source, &model_err, &err);
        assert_non_null(triage);
        assert_int_equal(model_err.kind, ERROR_CONFIG);
        assert_non_null(strstr(model_err.text, "desk.model"));
        judge_text(triage, "he will kill me", &verdict);
        assert_int_equal(verdict.message.severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
        assert_string_equal(verdict.message.model_edition, "");
        triage_destroy(&triage);
    }
}

static void a_model_alone_is_not_enough(void **state)
{
    const struct files *self = *state;
    struct error model_err = { 0 };
    struct error err = { 0 };
    write_model(self, "2026-01-31");
    rules_write(self->rules, "bad.yaml", "edition: [");
    assert_null(triage_source_open(&self->source, &model_err, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
}

static void a_stamp_tells_of_rules_and_of_the_model(void **state)
{
    const struct files *self = *state;
    uint64_t without = triage_source_stamp(&self->source);
    write_model(self, "2026-01-31");
    uint64_t first = triage_source_stamp(&self->source);
    assert_int_not_equal(first, without);
    assert_int_equal(triage_source_stamp(&self->source), first);
    write_model(self, "2026-02-01");
    uint64_t second = triage_source_stamp(&self->source);
    assert_int_not_equal(second, first);
    rules_remove(self->rules, "test.yaml");
    assert_int_not_equal(triage_source_stamp(&self->source), second);
}

static enum rule_loader_state await(struct rule_loader *loader, struct triage **out,
                                    struct error *model_err)
{
    struct error err = { 0 };
    enum rule_loader_state state = RULE_LOADER_BUSY;
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (state == RULE_LOADER_BUSY && clock_monotonic_ms() < deadline_ms) {
        state = rule_loader_poll(loader, out, model_err, &err);
        (void)usleep(1000);
    }
    return state;
}

static void a_bad_model_leaves_the_one_before_to_the_new_rules(void **state)
{
    const struct files *self = *state;
    struct error err = { 0 };
    struct error model_err = { 0 };
    struct triage *old = NULL;
    struct triage *fresh = NULL;
    struct verdict verdict;
    write_model(self, "2026-01-31");
    struct rule_loader *loader = rule_loader_new(&self->source, &err);
    assert_non_null(loader);
    assert_int_equal(rule_loader_begin(loader, &err), 0);
    assert_int_equal(await(loader, &old, &model_err), RULE_LOADER_LOADED);
    assert_non_null(triage_model(old));
    damage_model(self);
    assert_int_equal(rule_loader_begin(loader, &err), 0);
    assert_int_equal(await(loader, &fresh, &model_err), RULE_LOADER_LOADED);
    assert_int_equal(model_err.kind, ERROR_CONFIG);
    assert_null(triage_model(fresh));
    struct model_file *model = triage_release_model(old); /* as the classifier does */
    assert_non_null(model);
    assert_int_equal(triage_take_model(fresh, &model, &err), 0);
    triage_destroy(&old);
    judge_text(fresh, "mae ganddo gyllell", &verdict);
    assert_true(triage_is_urgent_lane(verdict.message.severity));
    triage_destroy(&fresh);
    rule_loader_destroy(&loader);
}

static void thresholds_are_shares(void **state)
{
    const struct files *self = *state;
    struct triage_channel channel = { (char *)"web", { .review = 0.3F } };
    struct classify_config config = { .rules_directory = (char *)self->rules->rules,
                                      .thresholds = { 0.9F, 0.5F },
                                      .channel_thresholds = &channel,
                                      .channel_thresholds_count = 1 };
    struct error err = { 0 };
    assert_int_equal(classify_config_check(&config, &err), 0);
    struct triage_options options = classify_config_triage(&config);
    assert_float_equal(options.thresholds.urgent, 0.9, 1e-6);
    assert_int_equal(options.channel_count, 1);
    channel.thresholds.urgent = 1.5F;
    assert_int_equal(classify_config_check(&config, &err), -1);
    assert_non_null(strstr(err.text, "channel_thresholds[].urgent"));
    channel.thresholds.urgent = 0;
    config.thresholds.review = -1;
    assert_int_equal(classify_config_check(&config, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "classify.thresholds.review"));
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(opens_rules_and_model_together),
        WITH_FILES(judges_by_rules_alone_when_the_model_is_missing_or_damaged),
        WITH_FILES(a_model_alone_is_not_enough),
        WITH_FILES(a_stamp_tells_of_rules_and_of_the_model),
        WITH_FILES(a_bad_model_leaves_the_one_before_to_the_new_rules),
        WITH_FILES(thresholds_are_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
