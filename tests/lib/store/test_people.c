#include "fixture.h"

#include <time.h>

#include "clock/clock.h"
#include "decision.h"

enum { DEADLINE_MS = 60000 };
static const int64_t SECOND_MS = 1000;

struct claim {
    struct id conversation;
    uint64_t fence;
    bool is_there;
};

static struct claim claim_from(struct fixture *f, const char *agent, const char *queue,
                               const struct id *conversation)
{
    json_t *json = NULL;
    struct error err = { 0 };
    struct claim claim = { 0 };
    if (store_claim(f->store, agent, queue, conversation, &json, &err) != 0)
        fail_msg("claim: %s", err.text);
    if (!json)
        return claim;
    claim.is_there = true;
    claim.fence = (uint64_t)json_integer_value(json_object_get(json, "fence"));
    assert_int_equal(
        id_parse(json_string_value(json_object_get(json, "conversation")), &claim.conversation), 0);
    json_decref(json);
    return claim;
}

static struct sample waiting(struct fixture *f, unsigned conversation, unsigned number,
                             int64_t at_ms, Desg__V1__Severity severity)
{
    struct sample sample;
    sample_init(&sample, conversation, number, at_ms, severity);
    (void)apply_sample(f, &sample);
    return sample;
}

static bool is_same(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, ID_BYTES) == 0;
}

static void claims_come_in_the_order_of_risk(void **state)
{
    struct fixture *f = *state;
    struct sample general = waiting(f, 1, 1, T0 - 3600000, ROUTINE);
    struct sample review = waiting(f, 2, 1, T0, REVIEW);
    struct sample urgent = waiting(f, 3, 1, T0 + 5000, URGENT);
    struct sample life = waiting(f, 4, 1, T0 + 6000, LIFE);
    const struct id *expected[] = { &life.conversation, &urgent.conversation, &review.conversation,
                                    &general.conversation };
    for (size_t i = 0; i < 4; i++) {
        struct claim claim = claim_from(f, "agent-1", "", NULL);
        assert_true(claim.is_there);
        assert_true(is_same(&claim.conversation, expected[i]));
    }
    assert_false(claim_from(f, "agent-1", "", NULL).is_there);
}

/* Lesson: all busy, the fourth waits, the fifth is taken and the fourth waits for ever. */
static void nobody_of_the_same_grade_overtakes(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 200 };
    uint32_t chance = 42; /* the same order each run */
    int64_t arrived[COUNT];
    struct id ids[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        chance = chance * 1664525U + 1013904223U;
        arrived[i] = T0 + chance % 1000000;
        ids[i] = waiting(f, i, 1, arrived[i], i % 4 == 0 ? ATTENTION : ROUTINE).conversation;
    }
    int64_t last[2] = { 0, 0 }, last_deadline = 0;
    for (unsigned n = 0; n < COUNT; n++) {
        struct claim claim = claim_from(f, "agent-1", "general", NULL);
        assert_true(claim.is_there);
        unsigned which = 0;
        while (!is_same(&ids[which], &claim.conversation))
            which++;
        int grade = which % 4 == 0;
        if (arrived[which] < last[grade])
            fail_msg("conversation %u overtaken within its grade", which);
        last[grade] = arrived[which];
        /* and over the grades deadlines only grow: the wait is bounded */
        int64_t deadline = arrived[which] + (grade ? 3600 : 4 * 3600) * 1000LL;
        assert_true(deadline >= last_deadline);
        last_deadline = deadline;
    }
}

static void a_claim_is_fenced(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    struct error err = { 0 };
    assert_int_equal(store_heartbeat(f->store, "agent-1", &sample.conversation, claim.fence, &err),
                     0);
    assert_int_equal(
        store_heartbeat(f->store, "agent-1", &sample.conversation, claim.fence - 1, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "stale"));
    assert_int_equal(store_release(f->store, "agent-2", &sample.conversation, claim.fence, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    json_t *json = NULL;
    assert_int_equal(store_claim(f->store, "agent-2", "", &sample.conversation, &json, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(store_release(f->store, "agent-1", &sample.conversation, claim.fence, &err),
                     0);
    struct claim second = claim_from(f, "agent-2", "", &sample.conversation);
    assert_true(second.fence > claim.fence);
    assert_int_equal(store_heartbeat(f->store, "agent-1", &sample.conversation, claim.fence, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(
        decision_close_now(f->store, "agent-1", &sample.conversation, claim.fence, NULL, &err), -1);
}

static void an_unknown_conversation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct id nobody = sample_id("no", 1, 1);
    struct error err = { 0 };
    json_t *json = NULL;
    assert_int_equal(store_claim(f->store, "agent-1", "", &nobody, &json, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(store_conversation(f->store, &nobody, &json, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(store_release(f->store, "agent-1", &nobody, 1, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void an_expired_lease_returns_the_conversation_at_its_original_age(void **state)
{
    struct fixture *f = *state;
    f->queues.lease_s = 1;
    struct sample oldest = waiting(f, 1, 1, T0, ROUTINE);
    (void)waiting(f, 2, 1, T0 + SECOND_MS, ROUTINE);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    assert_true(is_same(&claim.conversation, &oldest.conversation));
    assert_false(waits_in(f, "general", &oldest.conversation));
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    struct claim next = { 0 };
    json_t *json = NULL;
    struct error err = { 0 };
    while (!waits_in(f, "general", &oldest.conversation)) {
        assert_true(clock_monotonic_ms() < give_up_ms);
        assert_int_equal(store_queues_list(f->store, &json, &err), 0); /* sweeps */
        json_decref(json);
    }
    next = claim_from(f, "agent-2", "", NULL);
    assert_true(is_same(&next.conversation, &oldest.conversation));
    assert_int_equal(store_heartbeat(f->store, "agent-1", &oldest.conversation, claim.fence, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void applying_events_sweeps_expired_leases(void **state)
{
    struct fixture *f = *state;
    f->queues.lease_s = 1;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    (void)claim_from(f, "agent-1", "", NULL);
    int64_t give_up_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (unsigned n = 1; !waits_in(f, "general", &sample.conversation); n++) {
        assert_true(clock_monotonic_ms() < give_up_ms);
        (void)waiting(f, 2, n, T0, ROUTINE);
    }
}

static void a_heartbeat_extends_the_lease(void **state)
{
    struct fixture *f = *state;
    f->queues.lease_s = 1;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    struct error err = { 0 };
    int64_t until_ms = clock_monotonic_ms() + 1500;
    while (clock_monotonic_ms() < until_ms)
        assert_int_equal(
            store_heartbeat(f->store, "agent-1", &sample.conversation, claim.fence, &err), 0);
}

static void a_new_event_in_a_claimed_conversation_stays_with_its_owner(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    (void)waiting(f, 1, 2, T0 + SECOND_MS, URGENT);
    assert_false(waits_in(f, "general", &sample.conversation));
    assert_false(waits_in(f, "urgent", &sample.conversation));
    assert_field(f, &sample.conversation, "state", "claimed");
    assert_field(f, &sample.conversation, "severity", "4");
    assert_int_equal(alerts_in_stream(f), 1);
    struct error err = { 0 };
    assert_int_equal(store_release(f->store, "agent-1", &sample.conversation, claim.fence, &err),
                     0);
    assert_true(waits_in(f, "urgent", &sample.conversation));
}

static void a_close_is_refused_when_something_newer_came(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ROUTINE);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    struct sample second = waiting(f, 1, 2, T0 + SECOND_MS, ROUTINE);
    struct error err = { 0 };
    assert_int_equal(decision_close_now(f->store, "agent-1", &first.conversation, claim.fence,
                                        &first.event_id, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "newer"));
    struct id elsewhere = sample_id("ev", 77, 77);
    assert_int_equal(
        decision_close_now(f->store, "agent-1", &first.conversation, claim.fence, &elsewhere, &err),
        -1);
    struct sample read; /* that the person read it changes nothing */
    sample_init(&read, 1, 3, T0 + 2 * SECOND_MS, ROUTINE);
    read.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_READ;
    (void)apply_sample(f, &read);
    assert_int_equal(decision_close_now(f->store, "agent-1", &first.conversation, claim.fence,
                                        &second.event_id, &err),
                     0);
    assert_field(f, &first.conversation, "state", "closed");
    assert_false(claim_from(f, "agent-1", "", NULL).is_there);
}

/* The agent's own reply comes back as an echo and is the last thing seen. */
static void a_close_may_name_an_echo_as_the_last_event_seen(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ROUTINE), echo;
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    sample_init(&echo, 1, 2, T0 + SECOND_MS, ROUTINE);
    echo.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    (void)apply_sample(f, &echo);
    (void)waiting(f, 1, 3, T0 + 2 * SECOND_MS, ROUTINE);
    struct error err = { 0 };
    assert_int_equal(decision_close_now(f->store, "agent-1", &first.conversation, claim.fence,
                                        &echo.event_id, &err),
                     -1); /* a message came after it */
    echo.event_id = sample_id("ev", 1, 4);
    (void)apply_sample(f, &echo);
    assert_int_equal(decision_close_now(f->store, "agent-1", &first.conversation, claim.fence,
                                        &echo.event_id, &err),
                     0);
}

static void a_new_event_reopens_a_closed_conversation_at_its_own_severity(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, URGENT);
    struct claim claim = claim_from(f, "agent-1", "", NULL);
    struct error err = { 0 };
    assert_int_equal(
        decision_close_now(f->store, "agent-1", &first.conversation, claim.fence, NULL, &err), 0);
    assert_int_equal(apply_sample(f, &first), STORE_DUPLICATE); /* a copy does not */
    assert_field(f, &first.conversation, "state", "closed");
    (void)waiting(f, 1, 2, T0 + SECOND_MS, ROUTINE);
    assert_field(f, &first.conversation, "state", "open");
    assert_true(waits_in(f, "general", &first.conversation));
    assert_field(f, &first.conversation, "severity", "1");
}

static void lists_show_what_waits_without_a_word_of_it(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ROUTINE);
    (void)waiting(f, 2, 1, T0 + SECOND_MS, ROUTINE);
    (void)waiting(f, 3, 1, T0 + 2 * SECOND_MS, URGENT);
    (void)claim_from(f, "agent-1", "general", NULL);
    struct error err = { 0 };
    json_t *json = NULL;
    assert_int_equal(store_queues_list(f->store, &json, &err), 0);
    assert_int_equal(json_array_size(json), 2);
    json_t *general = json_array_get(json, 0);
    assert_string_equal(json_string_value(json_object_get(general, "name")), "general");
    assert_int_equal(json_integer_value(json_object_get(general, "depth")), 1);
    assert_int_equal(json_integer_value(json_object_get(general, "claimed")), 1);
    assert_true(json_integer_value(json_object_get(general, "oldest_waiting_ms")) > 0);
    json_decref(json);
    assert_int_equal(store_queue_list(f->store, "general", 10, &json, &err), 0);
    assert_int_equal(json_array_size(json), 2);
    json_t *claimed = json_array_get(json, 1);
    char id[ID_TEXT_BYTES];
    id_text(first.conversation.bytes, id);
    assert_string_equal(json_string_value(json_object_get(claimed, "conversation")), id);
    assert_string_equal(json_string_value(json_object_get(claimed, "owner")), "agent-1");
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "pothole"));
    free(text);
    json_decref(json);
    assert_int_equal(store_queue_list(f->store, "no-such-queue", 10, &json, &err), 0);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
}

static void
states_of_many_alerts_go_in_one_call_and_one_that_is_none_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, URGENT);
    struct sample other = waiting(f, 2, 2, T0, URGENT);
    struct id alerts[] = { id_of_alert(sample.event_id.bytes), id_of_alert(other.event_id.bytes) };
    json_t *two = json_pack("{s:s, s:s}", "updates", "2", "teller", "first");
    json_t *one = json_pack("{s:s, s:s}", "updates", "1", "teller", "second");
    struct store_alert_change changes[] = {
        { alerts[0], "accepted", two },
        { alerts[1], "invented", two },
        { alerts[0], "open", one },
        { alerts[1], "acknowledged", NULL },
    };
    char history[STORE_HISTORY_BYTES] = "";
    size_t refused = 0;
    struct error err = { 0 };
    assert_int_equal(store_alert_states(f->store, changes, 4, &refused, history, &err), 0);
    assert_int_equal(refused, 1);
    assert_int_equal(strlen(history), STORE_HISTORY_BYTES - 1);
    json_t *row = NULL;
    assert_int_equal(store_alert_get(f->store, &alerts[0], &row, &err), 0);
    assert_string_equal(json_string_value(json_object_get(row, "state")), "accepted");
    assert_string_equal(json_string_value(json_object_get(row, "updates")), "2");
    assert_string_equal(json_string_value(json_object_get(row, "teller")), "second");
    json_decref(row);
    assert_int_equal(store_alert_get(f->store, &alerts[1], &row, &err), 0);
    assert_string_equal(json_string_value(json_object_get(row, "state")), "acknowledged");
    assert_null(json_object_get(row, "teller"));
    json_decref(row);
    json_t *wrong = json_pack("{s:i}", "updates", 3);
    changes[1] = (struct store_alert_change){ alerts[1], "open", wrong };
    assert_int_equal(store_alert_states(f->store, changes, 2, &refused, history, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    json_decref(wrong);
    json_decref(two);
    json_decref(one);
}

static void alerts_move_forward_only(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, URGENT);
    struct id alert = id_of_alert(sample.event_id.bytes);
    struct error err = { 0 };
    json_t *fields = json_pack("{s:s}", "dispatcher", "d-7");
    assert_int_equal(store_alert_state(f->store, &alert, "acknowledged", fields, &err), 0);
    assert_int_equal(store_alert_state(f->store, &alert, "accepted", NULL, &err), 0);
    assert_int_equal(store_alert_state(f->store, &alert, "invented", NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    json_decref(fields);
    json_t *json = NULL;
    assert_int_equal(store_alerts_list(f->store, true, 10, &json, &err), 0);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    assert_int_equal(store_alerts_list(f->store, false, 10, &json, &err), 0);
    assert_int_equal(json_array_size(json), 1);
    json_t *row = json_array_get(json, 0);
    assert_string_equal(json_string_value(json_object_get(row, "state")), "acknowledged");
    assert_string_equal(json_string_value(json_object_get(row, "dispatcher")), "d-7");
    json_decref(json);
}

/* The event that alerted is plain, another one made its conversation restricted. */
static void an_alert_is_as_restricted_as_its_conversation(void **state)
{
    struct fixture *f = *state;
    struct sample plain = waiting(f, 1, 1, T0, URGENT), secret;
    sample_init(&secret, 1, 2, T0 + SECOND_MS, ROUTINE);
    secret.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
    (void)apply_sample(f, &secret);
    struct id alert = id_of_alert(plain.event_id.bytes);
    struct error err = { 0 };
    json_t *row = NULL;
    json_t *rows = NULL;
    assert_int_equal(store_alert_get(f->store, &alert, &row, &err), 0);
    assert_true(json_number_value(json_object_get(row, "restricted")) > 0);
    assert_int_equal(store_alerts_list(f->store, true, 10, &rows, &err), 0);
    assert_int_equal(json_array_size(rows), 1);
    assert_true(json_number_value(json_object_get(json_array_get(rows, 0), "restricted")) > 0);
    json_decref(row);
    json_decref(rows);
}

static void the_stream_is_read_acknowledged_and_taken_over(void **state)
{
    struct fixture *f = *state;
    struct store_alert alerts[8];
    size_t count = 9;
    struct error err = { 0 };
    int64_t before_ms = clock_monotonic_ms();
    assert_int_equal(store_alerts_read(f->store, "n-0", 50, alerts, 8, &count, &err), 0);
    assert_int_equal(count, 0);
    assert_true(clock_monotonic_ms() - before_ms >= 40);
    for (unsigned i = 0; i < 3; i++)
        (void)waiting(f, i, 1, T0, URGENT);
    assert_int_equal(store_alerts_read(f->store, "n-0", 50, alerts, 8, &count, &err), 0);
    assert_int_equal(count, 3);
    const char *done[] = { alerts[0].stream_id };
    assert_int_equal(store_alert_ack(f->store, done, 1, &err), 0);
    assert_int_equal(alerts_in_stream(f), 2);
    store_alerts_clear(alerts, count);
    assert_int_equal(store_alerts_read(f->store, "n-1", 0, alerts, 8, &count, &err), 0);
    assert_int_equal(count, 0); /* n-0 has had them for a moment only */
    char *last =
        redis_server_ask(f->server, "EVAL return(redis.call('XPENDING','desg:{testforce}:alerts',"
                                    "'notify')[2]) 0");
    free(redis_server_ask(f->server, "XCLAIM desg:{testforce}:alerts notify n-0 0 %s IDLE 6000",
                          last));
    free(last);
    assert_int_equal(store_alerts_read(f->store, "n-1", 0, alerts, 8, &count, &err), 0);
    assert_int_equal(count, 1); /* idle for 6 s at a consumer that may be dead */
    store_alerts_clear(alerts, count);
}

static void a_trace_tells_the_story_of_an_event_its_alert_and_its_conversation(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, URGENT);
    (void)claim_from(f, "agent-1", "", NULL);
    struct id alert = id_of_alert(sample.event_id.bytes);
    const struct id *ids[] = { &sample.event_id, &alert, &sample.conversation };
    static const char *const expected[] = { "\"applied\"", "\"opened\"", "\"first_event\"" };
    for (size_t i = 0; i < 3; i++) {
        json_t *json = NULL;
        struct error err = { 0 };
        assert_int_equal(store_trace(f->store, ids[i], &json, &err), 0);
        char *text = json_dumps(json, 0);
        assert_non_null(strstr(text, expected[i]));
        assert_non_null(strstr(text, "\"claimed\""));
        assert_null(strstr(text, "pothole"));
        free(text);
        json_decref(json);
    }
    struct id nobody = sample_id("no", 1, 1);
    json_t *json = NULL;
    struct error err = { 0 };
    assert_int_equal(store_trace(f->store, &nobody, &json, &err), 0);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(claims_come_in_the_order_of_risk),
        T(nobody_of_the_same_grade_overtakes),
        T(a_claim_is_fenced),
        T(an_unknown_conversation_is_refused),
        T(an_expired_lease_returns_the_conversation_at_its_original_age),
        T(applying_events_sweeps_expired_leases),
        T(a_heartbeat_extends_the_lease),
        T(a_new_event_in_a_claimed_conversation_stays_with_its_owner),
        T(a_close_is_refused_when_something_newer_came),
        T(a_close_may_name_an_echo_as_the_last_event_seen),
        T(a_new_event_reopens_a_closed_conversation_at_its_own_severity),
        T(lists_show_what_waits_without_a_word_of_it),
        T(states_of_many_alerts_go_in_one_call_and_one_that_is_none_holds_up_no_other),
        T(alerts_move_forward_only),
        T(an_alert_is_as_restricted_as_its_conversation),
        T(the_stream_is_read_acknowledged_and_taken_over),
        T(a_trace_tells_the_story_of_an_event_its_alert_and_its_conversation),
    };
    return cmocka_run_group_tests_name("store people", tests, set_up_server, tear_down_server);
}
