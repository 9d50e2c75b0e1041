/* degraded - each state is told in plain words while it lasts, and only then; and what /drained
 * answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ingest/degraded.h"
#include "ingest/drained.h"

static const struct custody_status well = {
    .newest = 100,
    .done_through = 100,
    .marked = 100,
    .settles_ms = 3000,
    .mark_stands_ms = 60000,
    .mark_confirmed_ms = 1000,
    .workers = 2,
    .routes = 1,
    .is_history_known = true,
    .channels = { { .name = "web", .is_served = true } },
    .channel_count = 1,
};

static bool is_archive_failing;

/* Every state's name told of the input, joined by spaces; the last text in *text. */
static const char *states_of(const struct custody_status *dispatch, enum journal_state journal,
                             bool is_draining, bool is_adopting, char *text)
{
    static char names[512];
    const struct journal_stats stats = { .state = journal,
                                         .max_bytes = 100,
                                         .reusable_bytes = 12,
                                         .has_archive = true,
                                         .is_archive_failing = is_archive_failing };
    const struct degraded_input input = { dispatch, &stats, is_draining, is_adopting };
    json_t *list = degraded_describe(&input);
    size_t index;
    const json_t *entry;
    names[0] = '\0';
    json_array_foreach(list, index, entry)
    {
        (void)strcat(names, index > 0 ? " " : "");
        (void)strcat(names, json_string_value(json_object_get(entry, "state")));
        (void)strcpy(text, json_string_value(json_object_get(entry, "text")));
    }
    json_decref(list);
    return names;
}

static void says_nothing_when_all_is_well(void **state)
{
    (void)state;
    char text[512];
    assert_string_equal(states_of(&well, JOURNAL_ROOMY, false, false, text), "");
}

struct told_case {
    struct custody_status dispatch;
    const char *state;
    const char *text;
};

static struct custody_status with(size_t workers, size_t routes, bool is_busy, bool is_known)
{
    struct custody_status status = well;
    status.workers = workers;
    status.routes = routes;
    status.is_route_busy = is_busy;
    status.is_history_known = is_known;
    return status;
}

static void says_who_is_away(void **state)
{
    (void)state;
    const struct told_case cases[] = {
        { with(0, 1, false, true), "no-classifier", "no classifier is connected" },
        { with(2, 0, false, true), "no-route", "no route process is connected" },
        { with(2, 1, true, true), "redis-away", "Redis or route away" },
        { with(2, 1, false, false), "redis-unknown", "Redis not met yet" },
        { with(0, 0, true, false), "no-route redis-away no-classifier redis-unknown", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512] = "";
        assert_string_equal(states_of(&cases[i].dispatch, JOURNAL_ROOMY, false, false, text),
                            cases[i].state);
        if (!strstr(text, cases[i].text))
            fail_msg("'%s' does not say '%s'", text, cases[i].text);
    }
}

static void says_which_channel_has_no_classifier(void **state)
{
    (void)state;
    char text[512];
    struct custody_status status = well;
    status.channels[0].is_served = false;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), ""); /* none waits */
    status.channels[0].unseen_events = 3;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "no-classifier");
    assert_non_null(strstr(text, "no classifier for web:"));
    status.channels[0].unseen_events = 0;
    status.channels[0].provisional_records = 1;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "no-classifier");
}

static void says_how_many_are_left(void **state)
{
    (void)state;
    char text[512];
    struct custody_status status = well;
    status.replaying = 12345;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "replaying");
    assert_non_null(strstr(text, "12345 deliveries left"));
    status = well;
    status.deferred = 17;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "deferred");
    assert_non_null(strstr(text, "17 deliveries"));
    status = well;
    status.provisional = 18;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "provisional");
    assert_non_null(strstr(text, "18 deliveries"));
    status = well;
    status.oldest_unseen_ms = 4999;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "");
    status.oldest_unseen_ms = 61000;
    assert_string_equal(states_of(&status, JOURNAL_ROOMY, false, false, text), "triage-late");
    assert_non_null(strstr(text, "61 s"));
}

static void says_the_journals_level_and_its_own_state(void **state)
{
    (void)state;
    char text[512];
    assert_string_equal(states_of(&well, JOURNAL_GETTING_FULL, false, false, text),
                        "journal-getting-full");
    assert_non_null(strstr(text, "12 % room"));
    assert_string_equal(states_of(&well, JOURNAL_FULL, false, false, text), "journal-full");
    assert_non_null(strstr(text, "503"));
    assert_string_equal(states_of(&well, JOURNAL_DEAD, false, false, text), "journal-dead");
    is_archive_failing = true;
    assert_string_equal(states_of(&well, JOURNAL_ROOMY, false, false, text), "archive-failing");
    is_archive_failing = false;
    assert_string_equal(states_of(&well, JOURNAL_ROOMY, true, false, text), "draining");
    assert_string_equal(states_of(&well, JOURNAL_ROOMY, false, true, text), "adopting");
}

/* --- /drained --- */

static unsigned ask_drained(const struct custody_status *status, bool is_intake_idle,
                            const char *method, char *body)
{
    const struct admin_request request = { .method = method, .path = "/drained", .body = "" };
    struct admin_answer answer = { .status = 200 };
    drained_answer(status, is_intake_idle, &request, &answer);
    (void)strcpy(body, answer.body);
    free(answer.body);
    return answer.status;
}

static void drained_says_what_is_left(void **state)
{
    (void)state;
    char body[512];
    assert_int_equal(ask_drained(&well, true, "GET", body), 200);
    assert_non_null(strstr(body, "\"drained\":true"));
    assert_int_equal(ask_drained(&well, true, "POST", body), 405);
    assert_int_equal(ask_drained(&well, false, "GET", body), 503);
    assert_non_null(strstr(body, "requests in hand"));
    struct custody_status status = well;
    status.marked = 90;
    assert_int_equal(ask_drained(&status, true, "GET", body), 503);
    assert_non_null(strstr(body, "\"unmarked_records\":10"));
    status = well;
    status.mark_stands_ms = 100;
    assert_int_equal(ask_drained(&status, true, "GET", body), 503);
    assert_non_null(strstr(body, "the mark"));
    status = well;
    status.provisional = 1;
    assert_int_equal(ask_drained(&status, true, "GET", body), 503);
    assert_non_null(strstr(body, "classifier"));
    status = well;
    status.mark_confirmed_ms = -1;
    assert_int_equal(ask_drained(&status, true, "GET", body), 503);
    assert_non_null(strstr(body, "Redis"));
    status = well;
    status.is_history_known = false;
    status.deferred = 5;
    assert_int_equal(ask_drained(&status, true, "GET", body), 503);
    assert_non_null(strstr(body, "Redis and route"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_nothing_when_all_is_well),
        cmocka_unit_test(says_who_is_away),
        cmocka_unit_test(says_which_channel_has_no_classifier),
        cmocka_unit_test(says_how_many_are_left),
        cmocka_unit_test(says_the_journals_level_and_its_own_state),
        cmocka_unit_test(drained_says_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
