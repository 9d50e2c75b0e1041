#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "store/plan.h"

#define SEVERITY(name) DESG__V1__SEVERITY__SEVERITY_##name
#define KIND(name)     DESG__V1__EVENT_KIND__EVENT_KIND_##name

static struct store_plan plan_for(Desg__V1__EventKind kind, const Desg__V1__Verdict *verdict,
                                  const struct store_queues *queues)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = kind;
    event.received_at_ms = 1790000000000;
    event.platform_time_ms = event.received_at_ms - 1000;
    struct store_plan plan;
    store_plan_make(&plan, &event, verdict, queues);
    return plan;
}

static Desg__V1__Verdict verdict_of(Desg__V1__Severity severity)
{
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity = severity;
    verdict.is_urgent = severity >= SEVERITY(URGENT);
    verdict.language = DESG__V1__LANGUAGE__LANGUAGE_EN;
    return verdict;
}

static void chooses_the_built_in_queue_by_what_it_is(void **state)
{
    (void)state;
    struct {
        Desg__V1__EventKind kind;
        Desg__V1__Severity severity;
        Desg__V1__RestrictedClass restricted;
        Desg__V1__Language language;
        const char *category;
        const char *queue;
    } cases[] = {
        { KIND(MESSAGE), SEVERITY(LIFE_AT_RISK), 0, 1, "", "urgent" },
        { KIND(MESSAGE), SEVERITY(URGENT), 1, 2, "", "urgent" },
        { KIND(COMMENT), SEVERITY(REVIEW), 1, 2, "", "urgent-review" },
        { KIND(MESSAGE), SEVERITY(UNSPECIFIED), 0, 1, "", "urgent-review" },
        { KIND(UNKNOWN), SEVERITY(ROUTINE), 0, 1, "", "needs-review" },
        { KIND(UNREADABLE), SEVERITY(REVIEW), 0, 1, "", "needs-review" },
        { KIND(UNKNOWN), SEVERITY(URGENT), 0, 1, "", "urgent" },
        { KIND(NOTICE), SEVERITY(ROUTINE), 0, 1, "", "needs-review" },
        { KIND(MESSAGE), SEVERITY(ATTENTION), 1, 2, "", "restricted" },
        { KIND(MESSAGE), SEVERITY(ROUTINE), 0, 2, "update-request", "cymraeg" },
        { KIND(MESSAGE), SEVERITY(ROUTINE), 0, 1, "update-request", "updates" },
        { KIND(MESSAGE), SEVERITY(ROUTINE), 0, 3, "", "general" },
        { KIND(EDIT), SEVERITY(ATTENTION), 0, 1, "", "general" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Desg__V1__Verdict verdict = verdict_of(cases[i].severity);
        verdict.restricted = cases[i].restricted;
        verdict.language = cases[i].language;
        verdict.category = (char *)cases[i].category;
        struct store_plan plan = plan_for(cases[i].kind, &verdict, NULL);
        if (strcmp(plan.queue, cases[i].queue) != 0)
            fail_msg("case %zu: %s, expected %s", i, plan.queue, cases[i].queue);
    }
}

static void a_verdict_from_a_newer_classifier_counts_as_the_worst(void **state)
{
    (void)state;
    Desg__V1__Verdict verdict = verdict_of((Desg__V1__Severity)9);
    assert_int_equal(plan_for(KIND(MESSAGE), &verdict, NULL).severity, SEVERITY(LIFE_AT_RISK));
}

static void what_nobody_classified_is_reviewed_and_provisional(void **state)
{
    (void)state;
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(ROUTINE));
    verdict.is_unclassified = true;
    struct store_plan plan = plan_for(KIND(MESSAGE), &verdict, NULL);
    assert_int_equal(plan.severity, SEVERITY(REVIEW));
    assert_true(plan.is_provisional);
    assert_true(plan.may_alert);
    verdict.is_unclassified = false;
    assert_false(plan_for(KIND(MESSAGE), &verdict, NULL).is_provisional);
}

static void reads_echoes_reactions_and_unsends_open_no_work(void **state)
{
    (void)state;
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(REVIEW));
    static const Desg__V1__EventKind quiet[] = { KIND(READ), KIND(ECHO), KIND(OUTCOME),
                                                 KIND(REACTION), KIND(UNSEND) };
    static const Desg__V1__EventKind work[] = { KIND(MESSAGE), KIND(EDIT),      KIND(POSTBACK),
                                                KIND(COMMENT), KIND(MENTION),   KIND(NOTICE),
                                                KIND(UNKNOWN), KIND(UNREADABLE) };
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        assert_false(plan_for(quiet[i], &verdict, NULL).opens_work);
        assert_false(plan_for(quiet[i], &verdict, NULL).may_alert);
    }
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++)
        assert_true(plan_for(work[i], &verdict, NULL).opens_work);
}

static void a_notice_to_the_operator_alerts_only_if_triage_says_urgent(void **state)
{
    (void)state;
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(REVIEW));
    assert_false(plan_for(KIND(NOTICE), &verdict, NULL).may_alert);
    verdict = verdict_of(SEVERITY(URGENT));
    assert_true(plan_for(KIND(NOTICE), &verdict, NULL).may_alert);
}

static void what_comes_after_the_tombstones_waits_for_a_person_without_alert(void **state)
{
    (void)state;
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(URGENT));
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = KIND(MESSAGE);
    event.received_at_ms = 1790000000000;
    event.platform_time_ms = event.received_at_ms - 31LL * 24 * 3600 * 1000;
    struct store_plan plan;
    store_plan_make(&plan, &event, &verdict, NULL);
    assert_true(plan.is_late);
    assert_string_equal(plan.queue, "needs-review");
    assert_false(plan.may_alert);
    event.platform_time_ms = event.received_at_ms - 29LL * 24 * 3600 * 1000;
    store_plan_make(&plan, &event, &verdict, NULL);
    assert_false(plan.is_late);
    assert_true(plan.may_alert);
}

static void first_fitting_rule_names_the_queue(void **state)
{
    (void)state;
    struct store_queue_rule rules[] = {
        { .queue = (char *)"fraud", .category = (char *)"fraud" },
        { .queue = (char *)"cymraeg-fraud", .category = (char *)"fraud", .language = (char *)"cy" },
        { .queue = (char *)"sexual-offences", .restricted = (char *)"sexual-offence" },
        { .queue = (char *)"missing",
          .category = (char *)"missing-person",
          .severity_at_least = SEVERITY(URGENT) },
    };
    struct store_queues queues = { .rules = rules, .rules_count = 4 };
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(ROUTINE));
    verdict.category = (char *)"fraud";
    verdict.language = DESG__V1__LANGUAGE__LANGUAGE_CY;
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "fraud");
    verdict.category = (char *)"other";
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "cymraeg");
    verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    struct store_plan plan = plan_for(KIND(MESSAGE), &verdict, &queues);
    assert_string_equal(plan.queue, "sexual-offences");
    assert_string_equal(plan.home_queue, "sexual-offences");
    verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "restricted");
}

static void no_rule_takes_urgent_or_restricted_work_by_accident(void **state)
{
    (void)state;
    struct store_queue_rule rules[] = { { .queue = (char *)"all" } };
    struct store_queues queues = { .rules = rules, .rules_count = 1 };
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(URGENT));
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "urgent");
    verdict = verdict_of(SEVERITY(ROUTINE));
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "all");
    verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "restricted");
    rules[0].severity_at_least = SEVERITY(URGENT); /* but one that names it does */
    verdict = verdict_of(SEVERITY(URGENT));
    assert_string_equal(plan_for(KIND(MESSAGE), &verdict, &queues).queue, "all");
}

static void grades_come_from_the_configuration_where_it_has_them(void **state)
{
    (void)state;
    struct store_grade grades[] = { { .grade = (char *)"1", .severity = 4, .allowance_s = 42 } };
    struct store_queues queues = { .grades = grades, .grades_count = 1 };
    Desg__V1__Verdict verdict = verdict_of(SEVERITY(URGENT));
    struct store_plan plan = plan_for(KIND(MESSAGE), &verdict, &queues);
    assert_string_equal(plan.grade, "1");
    assert_int_equal(plan.allowance_s, 42);
    verdict = verdict_of(SEVERITY(ROUTINE));
    plan = plan_for(KIND(MESSAGE), &verdict, &queues);
    assert_string_equal(plan.grade, "scheduled");
    assert_int_equal(plan.allowance_s, 4 * 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_built_in_queue_by_what_it_is),
        cmocka_unit_test(a_verdict_from_a_newer_classifier_counts_as_the_worst),
        cmocka_unit_test(what_nobody_classified_is_reviewed_and_provisional),
        cmocka_unit_test(reads_echoes_reactions_and_unsends_open_no_work),
        cmocka_unit_test(a_notice_to_the_operator_alerts_only_if_triage_says_urgent),
        cmocka_unit_test(what_comes_after_the_tombstones_waits_for_a_person_without_alert),
        cmocka_unit_test(first_fitting_rule_names_the_queue),
        cmocka_unit_test(no_rule_takes_urgent_or_restricted_work_by_accident),
        cmocka_unit_test(grades_come_from_the_configuration_where_it_has_them),
    };
    return cmocka_run_group_tests_name("store plan", tests, NULL, NULL);
}
