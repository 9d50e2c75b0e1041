#include "fixture.h"

#include "decision.h"

static const int64_t SECOND_MS = 1000;

static uint64_t claim_it(struct fixture *f, const struct id *conversation)
{
    json_t *json = NULL;
    struct error err = { 0 };
    if (store_claim(f->store, "agent-1", "", conversation, &json, &err) != 0)
        fail_msg("claim: %s", err.text);
    uint64_t fence = (uint64_t)json_integer_value(json_object_get(json, "fence"));
    json_decref(json);
    return fence;
}

static struct store_fact_done decided(struct fixture *f, const struct decision *decision)
{
    struct store_fact_done done = { 0 };
    struct error err = { 0 };
    if (store_fact_decide(f->store, &decision->fact, NULL, &done, &err) != 0)
        fail_msg("decide: %s", err.text);
    return done;
}

static Desg__V1__Fact *unpacked(const struct store_fact_done *done)
{
    Desg__V1__Fact *fact = desg__v1__fact__unpack(NULL, done->fact_length, done->fact);
    assert_non_null(fact);
    return fact;
}

static void assert_refused(struct fixture *f, const struct decision *decision,
                           const struct id *last_event, const char *why)
{
    struct store_fact_done done = { 0 };
    struct error err = { 0 };
    assert_int_equal(store_fact_decide(f->store, &decision->fact, last_event, &done, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void apply_fact(struct fixture *f, const Desg__V1__Fact *fact)
{
    struct error err = { 0 };
    if (store_facts_apply(f->store, &fact, 1, f->history, &err) != 0)
        fail_msg("facts: %s", err.text);
}

static struct sample waiting(struct fixture *f, unsigned conversation, unsigned number,
                             int64_t at_ms, Desg__V1__Severity severity)
{
    struct sample sample;
    sample_init(&sample, conversation, number, at_ms, severity);
    (void)apply_sample(f, &sample);
    return sample;
}

static void a_close_names_what_it_covers_and_answers_a_repeat_with_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct sample second = waiting(f, 1, 2, T0 + SECOND_MS, URGENT);
    struct sample first = waiting(f, 1, 1, T0, ROUTINE);
    struct decision close;
    decision_init(&close, 1, &first.conversation, T0 + 9 * SECOND_MS);
    decision_close(&close);
    close.fact.fence = claim_it(f, &first.conversation);
    struct store_fact_done done = decided(f, &close);
    assert_false(done.is_repeat);
    Desg__V1__Fact *fact = unpacked(&done);
    assert_int_equal(fact->closed->n_covered, 2); /* in the order they happened */
    assert_memory_equal(fact->closed->covered[0]->event_id.data, first.event_id.bytes, ID_BYTES);
    assert_int_equal(fact->closed->covered[0]->severity, ROUTINE);
    assert_memory_equal(fact->closed->covered[1]->event_id.data, second.event_id.bytes, ID_BYTES);
    assert_int_equal(fact->closed->covered[1]->severity, URGENT);
    assert_string_equal(fact->closed->reason, "answered");
    assert_field(f, &first.conversation, "state", "closed");
    close.fact.at_ms += 5 * SECOND_MS; /* the second try is stamped later */
    struct store_fact_done again = decided(f, &close);
    assert_true(again.is_repeat);
    assert_int_equal(again.fact_length, done.fact_length);
    assert_memory_equal(again.fact, done.fact, done.fact_length);
    desg__v1__fact__free_unpacked(fact, NULL);
    free(done.fact);
    free(again.fact);
}

static void decisions_are_refused_without_the_claim_or_with_something_newer(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ROUTINE);
    struct decision close, note;
    decision_init(&close, 1, &first.conversation, T0);
    decision_close(&close);
    assert_refused(f, &close, NULL, "the claim has ended");
    close.fact.fence = claim_it(f, &first.conversation);
    close.fact.agent = (char *)"agent-2";
    assert_refused(f, &close, NULL, "another agent");
    close.fact.agent = (char *)"agent-1";
    close.fact.fence--;
    assert_refused(f, &close, NULL, "stale");
    close.fact.fence++;
    (void)waiting(f, 1, 2, T0 + SECOND_MS, ROUTINE);
    assert_refused(f, &close, &first.event_id, "newer");
    decision_grade(&close, ROUTINE);
    assert_refused(f, &close, &first.event_id, "newer");
    struct id nobody = sample_id("no", 1, 1);
    decision_init(&note, 2, &nobody, T0);
    decision_note(&note);
    assert_refused(f, &note, NULL, "no such conversation");
    decision_take_alert(&note, &first.event_id);
    assert_refused(f, &note, NULL, "no such alert");
    note.fact.id.len = 3;
    assert_refused(f, &note, NULL, "instead of 16");
    decision_init(&note, 3, NULL, T0);
    decision_note(&note);
    assert_refused(f, &note, NULL, "names none");
}

/* What the row of the queue says of the wish; the caller frees it. */
static char *wish_in_queue(struct fixture *f)
{
    json_t *rows = NULL;
    struct error err = { 0 };
    assert_int_equal(store_queue_list(f->store, "general", 10, &rows, &err), 0);
    assert_int_equal(json_array_size(rows), 1);
    const char *word = json_string_value(json_object_get(json_array_get(rows, 0), "language_wish"));
    char *copy = strdup(word ? word : "");
    json_decref(rows);
    return copy;
}

static void assert_wish(struct fixture *f, const struct id *conversation, const char *expected)
{
    char *shown = wish_in_queue(f);
    assert_string_equal(shown, expected);
    free(shown);
    assert_field(f, conversation, "language_wish", expected);
    assert_field(f, conversation, "wish", ""); /* how it is kept is nobody's business */
}

static void the_latest_wish_for_a_language_counts_and_needs_no_claim(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct decision first, second, third;
    struct id nobody = sample_id("no", 1, 1);
    assert_wish(f, &sample.conversation, "");
    decision_init(&first, 1, &sample.conversation, T0 + SECOND_MS);
    decision_wish(&first, DESG__V1__LANGUAGE__LANGUAGE_CY);
    struct store_fact_done done = decided(f, &first);
    assert_wish(f, &sample.conversation, "cy");
    assert_field(f, &sample.conversation, "language", "en"); /* what they wrote in stays known */
    struct store_fact_done again = decided(f, &first);
    assert_true(again.is_repeat);
    assert_memory_equal(again.fact, done.fact, done.fact_length);
    free(done.fact);
    free(again.fact);
    decision_init(&second, 2, &sample.conversation, T0 + 3 * SECOND_MS);
    decision_wish(&second, DESG__V1__LANGUAGE__LANGUAGE_MIXED);
    free(decided(f, &second).fact);
    assert_wish(f, &sample.conversation, "both");
    decision_init(&third, 3, &sample.conversation, T0 + 2 * SECOND_MS);
    decision_wish(&third, DESG__V1__LANGUAGE__LANGUAGE_EN);
    free(decided(f, &third).fact); /* of another desk whose word came late */
    assert_wish(f, &sample.conversation, "both");
    decision_init(&third, 4, &sample.conversation, T0 + 4 * SECOND_MS);
    decision_wish(&third, DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED);
    free(decided(f, &third).fact);
    assert_wish(f, &sample.conversation, "");
    decision_init(&third, 5, &nobody, T0);
    decision_wish(&third, DESG__V1__LANGUAGE__LANGUAGE_CY);
    assert_refused(f, &third, NULL, "no such conversation");
}

static void a_wish_comes_back_into_an_emptied_redis_and_goes_to_the_archive(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    struct decision wish, close;
    struct error err = { 0 };
    size_t count = 0;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    sample.verdict.language = DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    decision_init(&wish, 1, &sample.conversation, T0);
    decision_wish(&wish, DESG__V1__LANGUAGE__LANGUAGE_CY);
    const Desg__V1__Fact *facts[] = { &wish.fact };
    for (int i = 0; i < 2; i++) { /* before its event, and again */
        assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
        (void)apply_sample(f, &sample);
        assert_wish(f, &sample.conversation, "cy");
    }
    decision_init(&close, 2, &sample.conversation, T0);
    decision_close(&close);
    decision_cover(&close, &sample.event_id, ROUTINE);
    facts[0] = &close.fact;
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    assert_int_equal(store_archive(f->store, 0, 10, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_field(f, &sample.conversation, "state", "archived");
    assert_field(f, &sample.conversation, "language_wish", "cy");
    (void)waiting(f, 1, 2, T0 + SECOND_MS, ROUTINE);
    assert_wish(f, &sample.conversation, "cy");
}

static void a_message_too_short_to_tell_is_shown_in_its_conversation_s_language(void **state)
{
    struct fixture *f = *state;
    static const Desg__V1__Language languages[] = { DESG__V1__LANGUAGE__LANGUAGE_UNSURE,
                                                    DESG__V1__LANGUAGE__LANGUAGE_CY,
                                                    DESG__V1__LANGUAGE__LANGUAGE_EN };
    static const char *const shown[] = { "cy", "cy", "en" };
    struct sample sample;
    json_t *conversation = NULL;
    struct error err = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        sample_init(&sample, 1, i, T0 + i * SECOND_MS, ROUTINE);
        sample.verdict.language = languages[i];
        (void)apply_sample(f, &sample);
    }
    assert_field(f, &sample.conversation, "language", "cy");
    assert_int_equal(store_conversation(f->store, &sample.conversation, &conversation, &err), 0);
    for (unsigned i = 0; i < 3; i++) {
        const json_t *event = json_array_get(json_object_get(conversation, "events"), i);
        assert_string_equal(json_string_value(json_object_get(event, "language")), shown[i]);
    }
    json_decref(conversation);
}

static void a_close_covers_nothing_that_came_unseen(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ROUTINE);
    struct decision close, grade;
    decision_init(&close, 1, &first.conversation, T0);
    decision_close(&close);
    close.fact.fence = claim_it(f, &first.conversation);
    (void)waiting(f, 1, 2, T0 + SECOND_MS, URGENT);
    assert_refused(f, &close, NULL, "newer"); /* who names no event has seen what was claimed */
    decision_init(&grade, 2, &first.conversation, T0);
    decision_grade(&grade, ROUTINE);
    grade.fact.fence = close.fact.fence;
    assert_refused(f, &grade, NULL, "newer");
    grade.graded.severity = LIFE; /* raising hides nothing */
    free(decided(f, &grade).fact);
    close.fact.fence = claim_it(f, &first.conversation);
    free(decided(f, &close).fact);
    assert_field(f, &first.conversation, "state", "closed");
}

static void a_verdict_that_rose_since_the_claim_is_not_closed_over(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct decision close;
    decision_init(&close, 1, &sample.conversation, T0);
    decision_close(&close);
    close.fact.fence = claim_it(f, &sample.conversation);
    sample_init(&sample, 1, 1, T0, URGENT);
    assert_int_equal(apply_sample(f, &sample), STORE_RAISED);
    assert_refused(f, &close, &sample.event_id, "rose"); /* the same event: its id says nothing */
    assert_refused(f, &close, NULL, "rose");
    close.fact.fence = claim_it(f, &sample.conversation);
    struct store_fact_done done = { 0 };
    struct error err = { 0 };
    assert_int_equal(store_fact_decide(f->store, &close.fact, &sample.event_id, &done, &err), 0);
    free(done.fact);
    assert_field(f, &sample.conversation, "state", "closed");
}

static void a_fact_for_the_audit_alone_is_handed_back_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct decision viewed;
    Desg__V1__Viewed what = DESG__V1__VIEWED__INIT;
    decision_init(&viewed, 1, NULL, T0);
    viewed.fact.what_case = DESG__V1__FACT__WHAT_VIEWED;
    viewed.fact.viewed = &what;
    struct store_fact_done done = decided(f, &viewed);
    assert_int_equal(done.fact_length, desg__v1__fact__get_packed_size(&viewed.fact));
    free(done.fact);
    apply_fact(f, &viewed.fact);
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0);
}

static void only_what_a_close_does_not_cover_opens_again(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, ATTENTION);
    struct decision close;
    decision_init(&close, 1, &first.conversation, T0);
    decision_close(&close);
    close.fact.fence = claim_it(f, &first.conversation);
    free(decided(f, &close).fact);
    assert_int_equal(apply_sample(f, &first), STORE_DUPLICATE);
    assert_field(f, &first.conversation, "state", "closed");
    first.verdict.severity = URGENT; /* risen above what was closed */
    assert_int_equal(apply_sample(f, &first), STORE_RAISED);
    assert_field(f, &first.conversation, "state", "open");
    assert_true(waits_in(f, "urgent", &first.conversation));
    assert_int_equal(alerts_in_stream(f), 1);
}

static void a_grade_lowers_place_and_deadline_until_something_new_comes(void **state)
{
    struct fixture *f = *state;
    struct sample first = waiting(f, 1, 1, T0, URGENT);
    struct decision lower;
    decision_init(&lower, 1, &first.conversation, T0);
    decision_grade(&lower, ROUTINE);
    lower.fact.fence = claim_it(f, &first.conversation);
    free(decided(f, &lower).fact);
    assert_field(f, &first.conversation, "state", "claimed");
    assert_field(f, &first.conversation, "severity", "1");
    assert_field(f, &first.conversation, "queue", "general");
    assert_field(f, &first.conversation, "grade", "scheduled");
    assert_field(f, &first.conversation, "score", "1790014400000");
    assert_int_equal(alerts_in_stream(f), 1);
    struct error err = { 0 };
    assert_int_equal(
        store_release(f->store, "agent-1", &first.conversation, lower.fact.fence, &err), 0);
    assert_true(waits_in(f, "general", &first.conversation));
    (void)waiting(f, 1, 2, T0 + SECOND_MS, URGENT); /* not named: counts with its own verdict */
    assert_true(waits_in(f, "urgent", &first.conversation));
    assert_false(waits_in(f, "general", &first.conversation));
    assert_int_equal(alerts_in_stream(f), 2);
}

static void a_lowered_event_waits_where_it_would_if_it_were_routine(void **state)
{
    struct fixture *f = *state;
    struct store_queue_rule rule = { .queue = (char *)"roads", .category = (char *)"traffic" };
    f->queues.rules = &rule;
    f->queues.rules_count = 1;
    for (unsigned i = 0; i < 2; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, T0, LIFE);
        if (i == 0)
            sample.verdict.category = (char *)"traffic";
        else
            sample.verdict.language = DESG__V1__LANGUAGE__LANGUAGE_CY;
        (void)apply_sample(f, &sample);
        struct decision lower;
        decision_init(&lower, i, &sample.conversation, T0);
        decision_grade(&lower, ATTENTION);
        lower.fact.fence = claim_it(f, &sample.conversation);
        free(decided(f, &lower).fact);
        assert_field(f, &sample.conversation, "queue", i == 0 ? "roads" : "cymraeg");
    }
}

static void raising_to_urgent_orders_an_alert_for_the_newest_event(void **state)
{
    struct fixture *f = *state;
    struct sample second = waiting(f, 1, 2, T0 + SECOND_MS, ROUTINE);
    (void)waiting(f, 1, 1, T0, ROUTINE);
    struct decision raise;
    decision_init(&raise, 1, &second.conversation, T0 + 2 * SECOND_MS);
    decision_grade(&raise, LIFE);
    raise.fact.fence = claim_it(f, &second.conversation);
    free(decided(f, &raise).fact);
    assert_field(f, &second.conversation, "severity", "5");
    assert_field(f, &second.conversation, "queue", "urgent");
    assert_int_equal(alerts_in_stream(f), 1);
    struct store_alert alert;
    size_t count = 0;
    struct error err = { 0 };
    assert_int_equal(store_alerts_read(f->store, "n-0", 0, &alert, 1, &count, &err), 0);
    assert_int_equal(count, 1);
    Desg__V1__Alert *order = desg__v1__alert__unpack(NULL, alert.order_length, alert.order);
    assert_non_null(order);
    struct id expected = id_of_alert(second.event_id.bytes);
    assert_memory_equal(order->alert_id.data, expected.bytes, ID_BYTES);
    assert_memory_equal(order->event.data, second.event_bytes, second.event_length);
    Desg__V1__Verdict *verdict =
        desg__v1__verdict__unpack(NULL, order->verdict.len, order->verdict.data);
    assert_int_equal(verdict->severity, LIFE);
    assert_true(verdict->is_urgent);
    desg__v1__verdict__free_unpacked(verdict, NULL);
    desg__v1__alert__free_unpacked(order, NULL);
    store_alerts_clear(&alert, 1);
}

static void of_two_grades_the_later_counts_and_a_machine_never_lowers_one(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ATTENTION);
    struct decision later, earlier;
    decision_init(&later, 1, &sample.conversation, T0 + 2 * SECOND_MS);
    decision_init(&earlier, 2, &sample.conversation, T0 + SECOND_MS);
    decision_grade(&later, URGENT);
    decision_grade(&earlier, ROUTINE);
    decision_cover(&later, &sample.event_id, ATTENTION);
    decision_cover(&earlier, &sample.event_id, ATTENTION);
    apply_fact(f, &later.fact);
    apply_fact(f, &earlier.fact);
    assert_field(f, &sample.conversation, "severity", "4");
    sample.verdict.severity = REVIEW; /* rose above what the grade covers, not above the grade */
    (void)apply_sample(f, &sample);
    assert_field(f, &sample.conversation, "severity", "4");
    sample.verdict.severity = LIFE;
    (void)apply_sample(f, &sample);
    assert_field(f, &sample.conversation, "severity", "5");
}

static void an_emptied_redis_is_rebuilt_from_facts_and_events_in_either_order(void **state)
{
    struct fixture *f = *state;
    for (int facts_first = 0; facts_first < 2; facts_first++) {
        free(redis_server_ask(f->server, "FLUSHALL"));
        store_destroy(&f->store);
        f->store = open_store(f);
        struct sample sample = waiting(f, 1, 1, T0, URGENT);
        struct decision close;
        decision_init(&close, 1, &sample.conversation, T0 + SECOND_MS);
        decision_close(&close);
        close.fact.fence = claim_it(f, &sample.conversation);
        struct store_fact_done done = decided(f, &close);
        Desg__V1__Fact *fact = unpacked(&done);
        free(redis_server_ask(f->server, "FLUSHALL"));
        store_destroy(&f->store);
        f->store = open_store(f);
        if (facts_first)
            apply_fact(f, fact);
        (void)apply_sample(f, &sample);
        apply_fact(f, fact);
        apply_fact(f, fact);
        assert_field(f, &sample.conversation, "state", "closed");
        assert_false(waits_in(f, "urgent", &sample.conversation));
        struct store_fact_done again = decided(f, &close);
        assert_true(again.is_repeat); /* also after the rebuild */
        assert_memory_equal(again.fact, done.fact, done.fact_length);
        (void)waiting(f, 1, 2, T0 + 2 * SECOND_MS, ROUTINE);
        assert_true(waits_in(f, "general", &sample.conversation));
        assert_field(f, &sample.conversation, "severity", "1");
        desg__v1__fact__free_unpacked(fact, NULL);
        free(done.fact);
        free(again.fact);
    }
}

static void notes_are_kept_and_change_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct decision note;
    decision_init(&note, 1, &sample.conversation, T0 + SECOND_MS);
    decision_note(&note);
    free(decided(f, &note).fact);
    apply_fact(f, &note.fact);
    assert_true(waits_in(f, "general", &sample.conversation));
    json_t *json = NULL;
    struct error err = { 0 };
    assert_int_equal(store_conversation(f->store, &sample.conversation, &json, &err), 0);
    json_t *facts = json_object_get(json, "facts");
    assert_int_equal(json_array_size(facts), 1);
    json_t *row = json_array_get(facts, 0);
    assert_string_equal(json_string_value(json_object_get(row, "what")), "noted");
    assert_string_equal(json_string_value(json_object_get(row, "agent")), "agent-1");
    assert_string_equal(json_string_value(json_object_get(row, "text")), "rang back");
    json_decref(json);
}

static void assert_alert(struct fixture *f, const struct id *event, const char *field,
                         const char *expected)
{
    struct id alert = id_of_alert(event->bytes);
    json_t *json = NULL;
    struct error err = { 0 };
    assert_int_equal(store_alert_get(f->store, &alert, &json, &err), 0);
    if (!expected) {
        assert_null(json);
        return;
    }
    assert_string_equal(json_string_value(json_object_get(json, field)), expected);
    json_decref(json);
}

static void an_alert_taken_by_the_desk_orders_no_second_one_after_a_rebuild(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, URGENT);
    struct decision take;
    decision_init(&take, 1, NULL, T0 + SECOND_MS);
    decision_take_alert(&take, &sample.event_id);
    struct store_fact_done done = decided(f, &take);
    Desg__V1__Fact *fact = unpacked(&done);
    assert_int_equal(fact->conversation_id.len, ID_BYTES); /* found through the alert */
    assert_memory_equal(fact->conversation_id.data, sample.conversation.bytes, ID_BYTES);
    assert_alert(f, &sample.event_id, "state", "acknowledged");
    assert_alert(f, &sample.event_id, "log_number", "2026-118");
    struct store_fact_done again = decided(f, &take);
    assert_true(again.is_repeat);
    free(redis_server_ask(f->server, "FLUSHALL"));
    assert_alert(f, &sample.event_id, NULL, NULL);
    store_destroy(&f->store);
    f->store = open_store(f);
    apply_fact(f, fact);
    (void)apply_sample(f, &sample);
    assert_int_equal(alerts_in_stream(f), 0);
    assert_int_equal(redis_server_number(f->server, "ZCARD desg:{testforce}:alerts-open"), 0);
    assert_alert(f, &sample.event_id, "dispatcher", "d-7");
    sample.verdict.severity = LIFE; /* nobody knew that */
    (void)apply_sample(f, &sample);
    assert_int_equal(alerts_in_stream(f), 1);
    desg__v1__fact__free_unpacked(fact, NULL);
    free(done.fact);
    free(again.fact);
}

static void what_notify_told_first_is_told_again_only_if_it_is_worse(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *state, *severity, *version;
        int orders;
    } cases[] = {
        { "accepted", "4", "1", 0 },     { "accepted", "5", "1", 0 },
        { "accepted", "3", "1", 1 },     { "accepted", "4", "999", 1 },
        { "escalated", "4", "1", 0 },    { "acknowledged", "4", "1", 0 },
        { "acknowledged", "3", "1", 1 }, { "open", "4", "1", 1 },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, T0, URGENT);
        struct id alert = id_of_alert(sample.event_id.bytes);
        struct error err = { 0 };
        json_t *fields =
            json_pack("{s:s, s:s}", "severity", cases[i].severity, "version", cases[i].version);
        assert_int_equal(store_alert_state(f->store, &alert, cases[i].state, fields, &err), 0);
        json_decref(fields);
        long long before = alerts_in_stream(f);
        (void)apply_sample(f, &sample);
        if (alerts_in_stream(f) - before != cases[i].orders)
            fail_msg("case %u: %lld orders", i, alerts_in_stream(f) - before);
        assert_alert(f, &sample.event_id, "state", cases[i].state);
    }
}

static void sources_report_under_the_live_history_only(void **state)
{
    struct fixture *f = *state;
    struct id source = sample_id("so", 1, 1);
    char wrong[STORE_HISTORY_BYTES] = "";
    struct error err = { 0 };
    json_t *json = NULL;
    assert_int_equal(store_source_report(f->store, &source, "desk", "desk-0", true, wrong, &err),
                     0);
    assert_int_equal(strlen(wrong), STORE_HISTORY_BYTES - 1); /* the live one is told */
    assert_int_equal(store_sources(f->store, &json, &err), 0);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    for (int is_caught_up = 0; is_caught_up < 2; is_caught_up++) {
        assert_int_equal(
            store_source_report(f->store, &source, "desk", "desk-0", is_caught_up, wrong, &err), 0);
        assert_int_equal(store_sources(f->store, &json, &err), 0);
        assert_int_equal(json_array_size(json), 1);
        json_t *row = json_array_get(json, 0);
        assert_string_equal(json_string_value(json_object_get(row, "kind")), "desk");
        assert_string_equal(json_string_value(json_object_get(row, "name")), "desk-0");
        assert_int_equal(json_is_true(json_object_get(row, "is_caught_up")), is_caught_up);
        json_decref(json);
    }
    struct store_mark none = { 0 }, mark = { .incarnation = 7, .sequence = 9 };
    bool is_stored = false;
    assert_int_equal(store_set_mark(f->store, &source, &mark, &none, wrong, &is_stored, &err), 0);
    assert_true(is_stored); /* the report is no mark */
    free(redis_server_ask(f->server, "FLUSHALL"));
    assert_int_equal(store_sources(f->store, &json, &err), 0);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
}

static void set_aside(struct fixture *f, struct sample *sample)
{
    struct error err = { 0 };
    struct store_result result;
    struct store_event event = sample_event(sample);
    event.quarantine_reason = "refused twice";
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    assert_int_equal(result.outcome, STORE_QUARANTINED);
}

static size_t listed(struct fixture *f)
{
    struct error err = { 0 };
    json_t *rows = NULL;
    assert_int_equal(store_quarantine_list(f->store, 10, &rows, &err), 0);
    size_t count = json_array_size(rows);
    json_decref(rows);
    return count;
}

/* A rebuild brings the fact before the event or behind it; the event still waits for a person. */
static void what_was_taken_out_of_quarantine_stays_out(void **state)
{
    struct fixture *f = *state;
    struct sample sample, other;
    struct decision removal;
    struct error err = { 0 };
    json_t *json = NULL;
    sample_init(&sample, 1, 1, T0, REVIEW);
    sample_init(&other, 2, 2, T0, REVIEW);
    sample_pack(&sample);
    sample_pack(&other);
    decision_init(&removal, 1, NULL, T0);
    decision_take_out(&removal, &sample.event_id);
    for (int is_fact_first = 0; is_fact_first < 2; is_fact_first++) {
        free(redis_server_ask(f->server, "FLUSHALL"));
        if (is_fact_first)
            apply_fact(f, &removal.fact);
        set_aside(f, &sample);
        set_aside(f, &other);
        for (int again = 0; again < 2; again++) {
            apply_fact(f, &removal.fact);
            set_aside(f, &sample);
            assert_int_equal(listed(f), 1); /* the other */
        }
        assert_int_equal(store_quarantine_show(f->store, &sample.event_id, &json, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_int_equal(
            redis_server_number(f->server, "ZCARD desg:{testforce}:queue:needs-review"), 2);
        assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:actions"),
                         1 - is_fact_first);
    }
    removal.removed.event_id.len--;
    const Desg__V1__Fact *fact = &removal.fact;
    assert_int_equal(store_facts_apply(f->store, &fact, 1, f->history, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

/* --- refused for themselves --- */

static void assert_not_applied(struct fixture *f, const struct decision *const *decisions,
                               size_t count, enum error_kind kind, const char *why)
{
    const Desg__V1__Fact *facts[8];
    struct error err = { 0 };
    assert_in_range(count, 1, 8);
    for (size_t i = 0; i < count; i++)
        facts[i] = &decisions[i]->fact;
    if (store_facts_apply(f->store, facts, count, f->history, &err) == 0)
        fail_msg("applied, where '%s' was expected", why);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void one_that_redis_refuses_does_not_keep_its_neighbours(void **state)
{
    struct fixture *f = *state;
    struct decision notes[3];
    char id[ID_TEXT_BYTES];
    for (unsigned i = 0; i < 3; i++) {
        struct sample sample = waiting(f, i + 1, i + 1, T0, ROUTINE);
        decision_init(&notes[i], i + 1, &sample.conversation, T0);
        decision_note(&notes[i]);
        id_text(sample.conversation.bytes, id);
        if (i == 1)
            free(redis_server_ask(f->server, "SET desg:{testforce}:conv:%s rubbish", id));
    }
    const struct decision *const all[] = { &notes[0], &notes[1], &notes[2] };
    id_text(notes[1].id.bytes, id);
    assert_not_applied(f, all, 3, ERROR_INVALID, id);
    assert_false(store_was_refused(f->store)); /* the call went through */
    for (unsigned i = 0; i < 3; i++) {
        char conversation[ID_TEXT_BYTES];
        id_text(notes[i].conversation.bytes, conversation);
        id_text(notes[i].id.bytes, id);
        if (i != 1)
            assert_int_equal(redis_server_number(f->server, "HEXISTS desg:{testforce}:conv:%s f:%s",
                                                 conversation, id),
                             1);
    }
}

static void one_that_can_be_none_does_not_keep_its_neighbours(void **state)
{
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct decision nowhere, note;
    decision_init(&nowhere, 1, NULL, T0);
    decision_note(&nowhere);
    decision_init(&note, 2, &sample.conversation, T0);
    decision_note(&note);
    char id[ID_TEXT_BYTES], conversation[ID_TEXT_BYTES];
    id_text(nowhere.id.bytes, id);
    assert_not_applied(f, (const struct decision *const[]){ &nowhere, &note }, 2, ERROR_INVALID,
                       id);
    id_text(note.id.bytes, id);
    id_text(sample.conversation.bytes, conversation);
    assert_int_equal(
        redis_server_number(f->server, "HEXISTS desg:{testforce}:conv:%s f:%s", conversation, id),
        1);
}

/* Redis that is not set up for us, full or no master is no fault of a fact. */
static void what_redis_says_of_itself_is_no_refusal(void **state)
{
    static const char *const states[][3] = {
        { "ACL SETUSER default -hset", "ACL SETUSER default +hset", "script" },
        { "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "with OOM" },
        { "FUNCTION FLUSH", "PING", "with ERR" },
        { "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0",
          "with NOREPLICAS" },
    };
    struct fixture *f = *state;
    struct sample sample = waiting(f, 1, 1, T0, ROUTINE);
    struct decision note;
    decision_init(&note, 2, &sample.conversation, T0);
    decision_note(&note);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        assert_int_equal(store_check(f->store), STORE_READY);
        free(redis_server_ask(f->server, "%s", states[i][0]));
        assert_not_applied(f, (const struct decision *const[]){ &note }, 1, ERROR_UNAVAILABLE,
                           states[i][2]);
        assert_false(store_was_refused(f->store));
        free(redis_server_ask(f->server, "%s", states[i][1]));
        store_destroy(&f->store); /* a pause between two connections otherwise */
        f->store = open_store(f);
    }
    apply_fact(f, &note.fact);
}

static void a_function_that_stumbles_over_what_it_finds_says_so(void **state)
{
    struct fixture *f = *state;
    struct id alert = sample_id("al", 1, 1);
    struct error err = { 0 };
    char text[ID_TEXT_BYTES];
    id_text(alert.bytes, text);
    free(redis_server_ask(f->server, "SET desg:{testforce}:alert:%s rubbish", text));
    assert_int_equal(store_alert_state(f->store, &alert, "accepted", NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE); /* for whoever does not ask more closely */
    assert_true(store_was_refused(f->store));
    alert = sample_id("al", 2, 1);
    assert_int_equal(store_alert_state(f->store, &alert, "accepted", NULL, &err), 0); /* at once */
    assert_false(store_was_refused(f->store));
}

static void what_is_put_aside_is_named_until_it_is_cleared(void **state)
{
    struct fixture *f = *state;
    struct id source = sample_id("so", 1, 1), other = sample_id("so", 2, 1);
    struct error err = { 0 };
    struct store_aside out[4];
    size_t count = 9;
    uint64_t total = 9;
    assert_int_equal(store_asides(f->store, &source, 0, out, 4, &count, &total, &err), 0);
    assert_int_equal(count + total, 0);
    for (uint64_t i = 1; i <= 6; i++) {
        const struct store_aside aside = { .sequence = i * 1000000007, .why = "the same" };
        assert_int_equal(store_aside_put(f->store, &source, &aside, &err), 0);
        assert_int_equal(store_aside_put(f->store, &source, &aside, &err), 0);
    }
    assert_int_equal(store_aside_clear(f->store, &source, 1, 1000000007, &err), 0);
    assert_int_equal(store_asides(f->store, &source, 2000000015, out, 4, &count, &total, &err), 0);
    assert_int_equal(total, 5);
    assert_int_equal(count, 4);
    assert_int_equal(out[0].sequence, 3000000021);
    assert_string_equal(out[0].why, "the same");
    assert_int_equal(store_asides(f->store, &other, 0, out, 4, &count, &total, &err), 0);
    assert_int_equal(total, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(a_close_names_what_it_covers_and_answers_a_repeat_with_the_same_bytes),
        T(decisions_are_refused_without_the_claim_or_with_something_newer),
        T(a_close_covers_nothing_that_came_unseen),
        T(a_verdict_that_rose_since_the_claim_is_not_closed_over),
        T(a_fact_for_the_audit_alone_is_handed_back_as_it_is),
        T(only_what_a_close_does_not_cover_opens_again),
        T(a_grade_lowers_place_and_deadline_until_something_new_comes),
        T(a_lowered_event_waits_where_it_would_if_it_were_routine),
        T(raising_to_urgent_orders_an_alert_for_the_newest_event),
        T(of_two_grades_the_later_counts_and_a_machine_never_lowers_one),
        T(an_emptied_redis_is_rebuilt_from_facts_and_events_in_either_order),
        T(notes_are_kept_and_change_nothing_else),
        T(the_latest_wish_for_a_language_counts_and_needs_no_claim),
        T(a_wish_comes_back_into_an_emptied_redis_and_goes_to_the_archive),
        T(a_message_too_short_to_tell_is_shown_in_its_conversation_s_language),
        T(an_alert_taken_by_the_desk_orders_no_second_one_after_a_rebuild),
        T(what_notify_told_first_is_told_again_only_if_it_is_worse),
        T(what_was_taken_out_of_quarantine_stays_out),
        T(one_that_redis_refuses_does_not_keep_its_neighbours),
        T(one_that_can_be_none_does_not_keep_its_neighbours),
        T(what_redis_says_of_itself_is_no_refusal),
        T(a_function_that_stumbles_over_what_it_finds_says_so),
        T(what_is_put_aside_is_named_until_it_is_cleared),
        T(sources_report_under_the_live_history_only),
    };
    return cmocka_run_group_tests_name("store facts", tests, set_up_server, tear_down_server);
}
