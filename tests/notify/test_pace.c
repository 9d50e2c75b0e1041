#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/answer.h"
#include "notify/pace.h"

static void each_status_means_what_the_table_says(void **state)
{
    static const struct {
        unsigned status;
        enum answer answer;
        bool needs_person;
    } cases[] = {
        { 200, ANSWER_ACCEPTED, false },   { 202, ANSWER_ACCEPTED, false },
        { 204, ANSWER_ACCEPTED, false },   { 299, ANSWER_ACCEPTED, false },
        { 0, ANSWER_FAILED, false },       { 100, ANSWER_FAILED, false },
        { 301, ANSWER_REFUSED, true },     { 302, ANSWER_REFUSED, true },
        { 307, ANSWER_REFUSED, true },     { 400, ANSWER_REFUSED, true },
        { 401, ANSWER_CREDENTIALS, true }, { 403, ANSWER_CREDENTIALS, true },
        { 404, ANSWER_REFUSED, true },     { 408, ANSWER_LATER, false },
        { 409, ANSWER_LATER, false },      { 410, ANSWER_GONE, true },
        { 413, ANSWER_REFUSED, true },     { 415, ANSWER_REFUSED, true },
        { 422, ANSWER_KEY_KNOWN, true },   { 425, ANSWER_LATER, false },
        { 429, ANSWER_LATER, false },      { 500, ANSWER_FAILED, false },
        { 503, ANSWER_FAILED, false },     { 599, ANSWER_FAILED, false },
        { 999, ANSWER_FAILED, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum answer got = answer_of(cases[i].status);
        if (got != cases[i].answer)
            fail_msg("%u means %s", cases[i].status, answer_name(got));
        assert_int_equal(answer_needs_person(got), cases[i].needs_person);
    }
}

static void jitter_is_full_and_bounded(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    for (uint32_t failures = 1; failures < 40; failures++) {
        int64_t limit_ms = failures > 6 ? 10000 : 250 << (failures - 1);
        limit_ms = limit_ms > 10000 ? 10000 : limit_ms;
        int64_t lowest = INT64_MAX;
        int64_t highest = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t delay_ms = pace_delay_ms(&pace, ANSWER_FAILED, failures, 0);
            lowest = delay_ms < lowest ? delay_ms : lowest;
            highest = delay_ms > highest ? delay_ms : highest;
        }
        assert_true(lowest >= 1 && lowest < limit_ms / 10);
        assert_true(highest <= limit_ms && highest > limit_ms * 9 / 10);
    }
}

static void retry_after_is_honoured_up_to_a_minute(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    assert_int_equal(pace_delay_ms(&pace, ANSWER_LATER, 1, 5000), 5000);
    assert_int_equal(pace_delay_ms(&pace, ANSWER_FAILED, 1, 3600000), 60000);
    assert_true(pace_delay_ms(&pace, ANSWER_LATER, 1, 0) <= 250);
    assert_true(pace_delay_ms(&pace, ANSWER_LATER, 1, -5) <= 250);
}

static void a_fault_for_people_is_tried_slowly(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    assert_int_equal(pace_delay_ms(&pace, ANSWER_REFUSED, 1, 0), 10000);
    assert_int_equal(pace_delay_ms(&pace, ANSWER_GONE, 30, 0), 10000);
    assert_int_equal(pace_delay_ms(&pace, ANSWER_CREDENTIALS, 2, 0), 10000);
}

static void breaker_probes_once_a_second_but_never_holds_a_first_try(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    for (int i = 0; i < PACE_BREAKS_AFTER; i++) {
        assert_true(pace_allows(&pace, false, 100));
        pace_started(&pace, false, 100);
        assert_false(pace_finished(&pace, false, ANSWER_FAILED));
    }
    assert_true(pace_is_broken(&pace));
    assert_false(pace_allows(&pace, false, 1099));
    assert_true(pace_allows(&pace, true, 101));
    assert_int_equal(pace_due_ms(&pace, false, 200), 1100);
    assert_true(pace_allows(&pace, false, 1100));
    pace_started(&pace, false, 1100);
    assert_false(pace_allows(&pace, false, 2099));
    assert_true(pace_finished(&pace, false, ANSWER_ACCEPTED)); /* closed by this answer */
    assert_true(pace_allows(&pace, false, 1101));
}

static void an_answer_that_is_alive_does_not_break(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    for (int i = 0; i < 20; i++) {
        pace_started(&pace, false, i);
        (void)pace_finished(&pace, false, i % 2 ? ANSWER_LATER : ANSWER_REFUSED);
    }
    assert_false(pace_is_broken(&pace));
}

static void repeats_never_take_the_places_of_first_tries(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 7);
    for (int i = 0; i < PACE_REPEATS_MAX; i++) {
        assert_true(pace_allows(&pace, false, 0));
        pace_started(&pace, false, 0);
    }
    assert_false(pace_allows(&pace, false, 0));
    assert_int_equal(pace_due_ms(&pace, false, 0), INT64_MAX);
    for (int i = PACE_REPEATS_MAX; i < PACE_ALL_MAX; i++) {
        assert_true(pace_allows(&pace, true, 0));
        pace_started(&pace, true, 0);
    }
    assert_false(pace_allows(&pace, true, 0));
    (void)pace_finished(&pace, true, ANSWER_ACCEPTED);
    assert_true(pace_allows(&pace, true, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_means_what_the_table_says),
        cmocka_unit_test(jitter_is_full_and_bounded),
        cmocka_unit_test(retry_after_is_honoured_up_to_a_minute),
        cmocka_unit_test(a_fault_for_people_is_tried_slowly),
        cmocka_unit_test(breaker_probes_once_a_second_but_never_holds_a_first_try),
        cmocka_unit_test(an_answer_that_is_alive_does_not_break),
        cmocka_unit_test(repeats_never_take_the_places_of_first_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
