/* The real desg-classify between neighbours that are not. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "clock/clock.h"
#include "neighbours.h"

enum {
    SEEN = DESG__V1__PACKET__KIND_SEEN,
    BATCH = DESG__V1__PACKET__KIND_BATCH,
    DONE = DESG__V1__PACKET__KIND_DONE,
    BUSY = DESG__V1__PACKET__KIND_BUSY,
    REFUSED = DESG__V1__PACKET__KIND_REFUSED,
    ORDER = DESG__V1__PACKET__KIND_ALERT_ORDER
};

static const char rules_of_test[] = "edition: \"2026-01-31\"\n"
                                    "category: test\n"
                                    "rules:\n"
                                    "  - {id: kill.en, language: en, severity: life-at-risk, "
                                    "weight: 0.9, phrases: [\"kill me\"]}\n";

static const char more_rules[] =
    "edition: \"2026-02-01\"\n"
    "category: test\n"
    "rules:\n"
    "  - {id: new.en, language: en, severity: urgent, weight: 0.9, phrases: [\"new word\"]}\n";

static int setup(void **state)
{
    (void)neighbours_setup(state);
    struct neighbours *all = *state;
    rules_write(all->files, "test.yaml", rules_of_test);
    ingest_open(all);
    return 0;
}

static bool is_gone(const struct neighbours *all)
{
    return all->ingest.peer == 0;
}

static bool has_two_done(const struct neighbours *all)
{
    return heard(&all->ingest, DONE, 0) >= 2;
}

static void sends_each_event_on_by_its_lane(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    ingest_send(all, 11, texts, 2);
    await(all, has_two_done, "both events done");
    assert_int_equal(heard_first(&all->ingest, SEEN, 11)->severity,
                     DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_int_equal(heard_first(&all->ingest, SEEN, 12)->severity,
                     DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    const struct heard *urgent = heard_first(&all->urgent, BATCH, 11);
    assert_int_equal(urgent->lane, DESG__V1__LANE__LANE_URGENT);
    assert_int_equal(urgent->severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    const struct heard *bulk = heard_first(&all->bulk, BATCH, 12);
    assert_int_equal(bulk->lane, DESG__V1__LANE__LANE_BULK);
    assert_int_equal(heard(&all->urgent, BATCH, 0), 1);
    assert_int_equal(heard(&all->bulk, BATCH, 0), 1);
    assert_int_equal(classify_end(all, SIGTERM), 0);
}

static void a_kept_verdict_stands_and_unclassified_gives_way(void **state)
{
    struct neighbours *all = *state;
    static const char *const harmless[] = { "good morning" };
    static const char *const harmful[] = { "he will kill me" };
    Desg__V1__Verdict kept = DESG__V1__VERDICT__INIT;
    kept.severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    ingest_send_kept(all, 11, harmless, 1, &kept); /* newer rules would say routine */
    kept.is_unclassified = true;
    kept.severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    ingest_send_kept(all, 12, harmful, 1, &kept);
    await(all, has_two_done, "both events done");
    assert_int_equal(heard_first(&all->ingest, SEEN, 11)->severity,
                     DESG__V1__SEVERITY__SEVERITY_URGENT);
    assert_int_equal(heard_first(&all->urgent, BATCH, 11)->severity,
                     DESG__V1__SEVERITY__SEVERITY_URGENT);
    assert_int_equal(heard_first(&all->ingest, SEEN, 12)->severity,
                     DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    assert_int_equal(classify_end(all, SIGTERM), 0);
}

static bool has_refused(const struct neighbours *all)
{
    return heard(&all->ingest, REFUSED, 21) == 1 && heard(&all->ingest, DONE, 0) == 2;
}

static void refuses_what_is_no_event_and_takes_the_others(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "one", NULL, "two" };
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    ingest_send(all, 20, texts, 3);
    await(all, has_refused, "one refused, two done");
    assert_int_equal(heard(&all->ingest, SEEN, 21), 0);
}

static bool has_two_busy(const struct neighbours *all)
{
    return heard(&all->ingest, BUSY, 0) >= 2;
}

/* Their answers come 500 ms at most after they are asked for, or too late. Where the machine held
 * us up for so long, who speak for them, it is tried again. */
enum { TRIES_MAX = 20, IN_TIME_MS = 400 };

static void forget_heard(struct neighbours *all)
{
    all->ingest.count = all->urgent.count = all->bulk.count = all->notify.count = 0;
}

static void alerts_and_gives_back_when_there_is_no_route(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    notify_open(all, true);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and notify");
    for (int i = 0; i < TRIES_MAX; i++) {
        forget_heard(all);
        ingest_send(all, 31, texts, 2);
        await(all, has_two_busy, "both events given back");
        if (heard_first(&all->ingest, BUSY, 31)->is_alerted)
            break;
    }
    assert_int_equal(heard(&all->ingest, SEEN, 0), 2); /* at once, before anything else */
    assert_int_equal(all->ingest.heard[0].kind, SEEN);
    assert_true(heard_first(&all->ingest, BUSY, 31)->is_alerted);
    assert_false(heard_first(&all->ingest, BUSY, 32)->is_alerted);
    assert_int_equal(heard(&all->notify, ORDER, 0), 1);
    assert_int_equal(all->notify.heard[0].severity, DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
}

static bool has_order(const struct neighbours *all)
{
    return heard(&all->notify, ORDER, 0) >= 1;
}

static void alerts_once_past_a_route_that_hangs(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    route_open(all, 256);
    all->urgent.is_answering = all->bulk.is_answering = false;
    notify_open(all, true);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest, route and notify");
    ingest_send(all, 33, texts, 2);
    await(all, has_order, "an alert past route");
    run_for(all, 700);
    assert_int_equal(heard(&all->urgent, BATCH, 33), 1);
    assert_int_equal(heard(&all->notify, ORDER, 0), 1);
    assert_int_equal(heard(&all->ingest, BUSY, 0), 0); /* route has it and may still say Done */
}

static void alerts_nothing_that_route_answers(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    route_open(all, 256);
    notify_open(all, true);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest, route and notify");
    int64_t took_ms = 0;
    for (int i = 0; i < TRIES_MAX && (i == 0 || took_ms > IN_TIME_MS); i++) {
        forget_heard(all);
        int64_t sent_ms = clock_monotonic_ms();
        ingest_send(all, 35, texts, 2);
        await(all, has_two_done, "both events done");
        took_ms = clock_monotonic_ms() - sent_ms;
        run_for(all, 700);
    }
    assert_true(took_ms <= IN_TIME_MS);
    assert_int_equal(heard(&all->notify, ORDER, 0), 0);
}

static void gives_back_unalerted_when_notify_is_silent(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    notify_open(all, false);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and notify");
    ingest_send(all, 41, texts, 2);
    await(all, has_two_busy, "both events given back");
    assert_int_equal(heard(&all->notify, ORDER, 0), 1);
    assert_false(heard_first(&all->ingest, BUSY, 41)->is_alerted);
}

static void gives_back_when_nobody_is_there(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest");
    ingest_send(all, 51, texts, 2);
    await(all, has_two_busy, "both events given back");
    assert_false(heard_first(&all->ingest, BUSY, 51)->is_alerted);
}

static bool has_fifty_done(const struct neighbours *all)
{
    return heard(&all->ingest, DONE, 0) == 50;
}

static void holds_what_exceeds_the_credit_of_route(void **state)
{
    struct neighbours *all = *state;
    const char *texts[50];
    route_open(all, 4);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    for (size_t i = 0; i < 50; i++)
        texts[i] = "good morning";
    ingest_send(all, 61, texts, 50);
    await(all, has_fifty_done, "all events done");
    assert_int_equal(heard(&all->bulk, BATCH, 0), 50);
    assert_int_equal(heard(&all->ingest, BUSY, 0), 0);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(all->bulk.heard[i].sequence, 61 + i); /* in order */
}

static bool has_held_back(const struct neighbours *all)
{
    return heard(&all->bulk, BATCH, 0) == 4 && heard(&all->ingest, BUSY, 0) == 6;
}

static void never_sends_more_than_route_takes(void **state)
{
    struct neighbours *all = *state;
    const char *texts[10];
    route_open(all, 4);
    all->bulk.is_answering = false;
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    for (size_t i = 0; i < 10; i++)
        texts[i] = "good morning";
    ingest_send(all, 71, texts, 10);
    await(all, has_held_back, "four sent, six given back");
}

static void a_killed_worker_is_missed_and_another_goes_on(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    assert_int_equal(classify_end(all, SIGKILL), 1000 + SIGKILL);
    await(all, is_gone, "its end noticed");
    assert_int_equal(all->ingest.drains, 0);
    classify_start(all, NULL);
    await(all, is_linked, "another worker");
    assert_int_equal(heard(&all->ingest, DONE, 0), 0);
    ingest_send(all, 81, texts, 2);
    await(all, has_two_done, "both events done");
}

static bool has_fifty_seen(const struct neighbours *all)
{
    return heard(&all->ingest, SEEN, 0) == 50;
}

static void a_stopped_worker_finishes_and_says_so(void **state)
{
    struct neighbours *all = *state;
    const char *texts[50];
    route_open(all, 8);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    for (size_t i = 0; i < 50; i++)
        texts[i] = "good morning";
    ingest_send(all, 91, texts, 50);
    await(all, has_fifty_seen, "all that it is to finish");
    assert_int_equal(classify_end(all, SIGTERM), 0);
    await(all, is_gone, "its end noticed");
    assert_true(all->ingest.drains >= 1);
    assert_int_equal(heard(&all->ingest, DONE, 0) + heard(&all->ingest, BUSY, 0), 50);
}

static bool is_new_word_urgent(const struct neighbours *all)
{
    for (size_t i = 0; i < all->ingest.count; i++) {
        if (all->ingest.heard[i].kind == SEEN &&
            all->ingest.heard[i].severity == DESG__V1__SEVERITY__SEVERITY_URGENT)
            return true;
    }
    return false;
}

/* Asks again and again until the new rules are in use. */
static void ask_until_urgent(struct neighbours *all, int times)
{
    static const char *const texts[] = { "a new word" };
    for (int i = 0; i < times && !is_new_word_urgent(all); i++) {
        ingest_send(all, 100, texts, 1);
        run_for(all, 200);
    }
}

static bool has_refused_rules(const struct neighbours *all)
{
    return classify_says(all, "rules", "is_last_reload_good") == 0;
}

static bool has_seen_101(const struct neighbours *all)
{
    return heard(&all->ingest, SEEN, 101) == 1;
}

static void takes_new_rules_and_refuses_bad_ones(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me" };
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    ask_until_urgent(all, 2);
    assert_false(is_new_word_urgent(all));
    rules_write(all->files, "bad.yaml", "edition: [");
    rules_write(all->files, "new.yaml", more_rules);
    assert_int_equal(kill(all->pid, SIGHUP), 0);
    await(all, has_refused_rules, "the bad file refused");
    ask_until_urgent(all, 2);
    assert_false(is_new_word_urgent(all)); /* one bad file, nothing of it */
    ingest_send(all, 101, texts, 1);
    await(all, has_seen_101, "an answer by the old rules");
    assert_int_equal(heard_first(&all->ingest, SEEN, 101)->severity,
                     DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    rules_remove(all->files, "bad.yaml");
    assert_int_equal(kill(all->pid, SIGHUP), 0);
    ask_until_urgent(all, 300);
    assert_true(is_new_word_urgent(all));
}

static void notices_new_rules_by_itself(void **state)
{
    struct neighbours *all = *state;
    route_open(all, 256);
    classify_start(all, NULL);
    await(all, is_linked, "classify at ingest and route");
    rules_write(all->files, "new.yaml", more_rules);
    ask_until_urgent(all, 300);
    assert_true(is_new_word_urgent(all));
}

/* By desg triage --shadow: both events judged, one of them otherwise. */
static bool has_told_of_its_shadow(const struct neighbours *all)
{
    char command[512];
    char said[1024] = "";
    (void)snprintf(command, sizeof command, "'%s' triage --shadow --json --config '%s' 2>&1",
                   DESG_PROGRAM, all->config);
    FILE *output = popen(command, "re");
    assert_non_null(output);
    said[fread(said, 1, sizeof said - 1, output)] = '\0';
    (void)pclose(output); /* 1 until the shadow is there */
    json_t *shadows = json_loads(said, 0, NULL);
    const json_t *shadow = json_array_get(shadows, 0);
    const json_t *difference = json_array_get(json_object_get(shadow, "differences"), 0);
    const char *from = json_string_value(json_object_get(difference, "from"));
    const char *to = json_string_value(json_object_get(difference, "to"));
    bool is_told = json_integer_value(json_object_get(shadow, "judged")) == 2 && from && to &&
                   strcmp(from, "life-at-risk") == 0 && strcmp(to, "routine") == 0;
    json_decref(shadows);
    return is_told;
}

static void a_second_edition_only_counts(void **state)
{
    struct neighbours *all = *state;
    static const char *const texts[] = { "he will kill me", "good morning" };
    struct rules_fixture *shadow = NULL;
    (void)rules_fixture_setup((void **)&shadow);
    rules_write(shadow, "test.yaml", more_rules);
    (void)setenv("DESG_CLASSIFY_SHADOW_RULES_DIRECTORY", shadow->rules, 1);
    route_open(all, 256);
    classify_start(all, NULL);
    (void)unsetenv("DESG_CLASSIFY_SHADOW_RULES_DIRECTORY");
    await(all, is_linked, "classify at ingest and route");
    ingest_send(all, 11, texts, 2);
    await(all, has_two_done, "both events done");
    assert_int_equal(heard_first(&all->urgent, BATCH, 11)->severity,
                     DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK);
    await(all, has_told_of_its_shadow, "desg triage --shadow told of the difference");
    assert_int_equal(classify_end(all, SIGTERM), 0);
    (void)rules_fixture_teardown((void **)&shadow);
}

static void checks_its_configuration(void **state)
{
    struct neighbours *all = *state;
    classify_start(all, "--check-config");
    assert_int_equal(classify_end(all, 0), 0);
    rules_write(all->files, "bad.yaml", "edition: [");
    classify_start(all, "--check-config");
    assert_int_equal(classify_end(all, 0), 78);
    classify_start(all, NULL); /* nor does it start on bad rules */
    assert_int_equal(classify_end(all, 0), 78);
}

#define BETWEEN_NEIGHBOURS(test) cmocka_unit_test_setup_teardown(test, setup, neighbours_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BETWEEN_NEIGHBOURS(sends_each_event_on_by_its_lane),
        BETWEEN_NEIGHBOURS(a_kept_verdict_stands_and_unclassified_gives_way),
        BETWEEN_NEIGHBOURS(refuses_what_is_no_event_and_takes_the_others),
        BETWEEN_NEIGHBOURS(alerts_and_gives_back_when_there_is_no_route),
        BETWEEN_NEIGHBOURS(alerts_once_past_a_route_that_hangs),
        BETWEEN_NEIGHBOURS(alerts_nothing_that_route_answers),
        BETWEEN_NEIGHBOURS(gives_back_unalerted_when_notify_is_silent),
        BETWEEN_NEIGHBOURS(gives_back_when_nobody_is_there),
        BETWEEN_NEIGHBOURS(holds_what_exceeds_the_credit_of_route),
        BETWEEN_NEIGHBOURS(never_sends_more_than_route_takes),
        BETWEEN_NEIGHBOURS(a_killed_worker_is_missed_and_another_goes_on),
        BETWEEN_NEIGHBOURS(a_stopped_worker_finishes_and_says_so),
        BETWEEN_NEIGHBOURS(takes_new_rules_and_refuses_bad_ones),
        BETWEEN_NEIGHBOURS(notices_new_rules_by_itself),
        BETWEEN_NEIGHBOURS(a_second_edition_only_counts),
        BETWEEN_NEIGHBOURS(checks_its_configuration),
    };
    (void)setenv("ZSYS_SIGHANDLER", "false", 1); /* Ctrl-C ends the test, not its loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
