#include "fixture.h"

#include <pthread.h>

#include "alert/alert.h"
#include "clock/clock.h"
#include "decision.h"
#include "desg/v1/alert.pb-c.h"
#include "desg/v1/verdict.pb-c.h"

static const int64_t MINUTE_MS = 60000, HOUR_MS = 3600000;

static void a_new_event_waits_in_its_queue_once(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    assert_int_equal(apply_sample(f, &sample), STORE_NEW);
    assert_true(waits_in(f, "general", &sample.conversation));
    assert_int_equal(strlen(f->history), STORE_HISTORY_BYTES - 1);
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
    assert_int_equal(redis_server_number(f->server, "ZCARD desg:{testforce}:queue:general"), 1);
    assert_field(f, &sample.conversation, "n", "1");
    assert_int_equal(alerts_in_stream(f), 0);
}

static void the_deadline_is_received_plus_allowance(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ATTENTION);
    (void)apply_sample(f, &sample);
    assert_field(f, &sample.conversation, "score", "1790003600000");
    assert_field(f, &sample.conversation, "since", "1790000000000");
}

struct racer {
    struct fixture *f;
    struct sample *samples;
    size_t count;
    size_t new_count;
    size_t error_count;
};

static void *apply_all(void *arg)
{
    struct racer *self = arg;
    struct error err = { 0 };
    struct store *store = open_store(self->f);
    char history[STORE_HISTORY_BYTES];
    for (size_t i = 0; i < self->count; i++) {
        struct store_event event = sample_event(&self->samples[i]);
        struct store_result result;
        if (store_apply(store, &event, 1, &result, history, &err) != 0)
            self->error_count++;
        else if (result.outcome == STORE_NEW)
            self->new_count++;
    }
    store_destroy(&store);
    return NULL;
}

static void copies_from_three_connections_at_once_collapse(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 60, CONNECTIONS = 3 };
    struct sample *samples = calloc(COUNT, sizeof *samples);
    for (unsigned i = 0; i < COUNT; i++) {
        sample_init(&samples[i], i / 10, i, T0 + i, i % 5 == 0 ? URGENT : ROUTINE);
        sample_pack(&samples[i]);
    }
    pthread_t threads[CONNECTIONS];
    struct racer racers[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        racers[i] = (struct racer){ .f = f, .samples = samples, .count = COUNT };
        assert_int_equal(pthread_create(&threads[i], NULL, apply_all, &racers[i]), 0);
    }
    size_t new_count = 0;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].error_count, 0);
        new_count += racers[i].new_count;
    }
    assert_int_equal(new_count, COUNT);
    assert_int_equal(alerts_in_stream(f), COUNT / 5);
    assert_int_equal(redis_server_number(f->server, "ZCARD desg:{testforce}:queue:urgent"), 6);
    free(samples);
}

static void an_urgent_event_alerts_once(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, URGENT);
    assert_int_equal(apply_sample(f, &sample), STORE_NEW);
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
    assert_int_equal(alerts_in_stream(f), 1);
    struct store_alert alert;
    size_t count = 0;
    struct error err = { 0 };
    assert_int_equal(store_alerts_read(f->store, "n-0", 0, &alert, 1, &count, &err), 0);
    assert_int_equal(count, 1);
    Desg__V1__Alert *order = desg__v1__alert__unpack(NULL, alert.order_length, alert.order);
    assert_non_null(order);
    struct id expected = id_of_alert(sample.event_id.bytes);
    assert_memory_equal(order->alert_id.data, expected.bytes, ID_BYTES);
    assert_int_equal(order->event.len, sample.event_length);
    assert_memory_equal(order->event.data, sample.event_bytes, sample.event_length);
    assert_memory_equal(order->verdict.data, sample.verdict_bytes, sample.verdict_length);
    assert_false(order->is_digest_member);
    assert_false(order->is_provisional);
    assert_false(order->is_replayed);
    desg__v1__alert__free_unpacked(order, NULL);
    store_alerts_clear(&alert, 1);
}

static void an_event_already_alerted_provisionally_still_gets_its_entry(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, URGENT);
    sample_pack(&sample);
    /* notify had accepted the provisional one before Redis came back */
    struct id alert = id_of_alert(sample.event_id.bytes);
    struct error err = { 0 };
    assert_int_equal(store_alert_state(f->store, &alert, "accepted", NULL, &err), 0);
    struct store_event event = sample_event(&sample);
    event.is_alerted = true;
    struct store_result result;
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    assert_int_equal(alerts_in_stream(f), 1);
    char id[ID_TEXT_BYTES];
    id_text(alert.bytes, id);
    char *kept = redis_server_ask(f->server, "HGET desg:{testforce}:alert:%s state", id);
    assert_string_equal(kept, "accepted");
    free(kept);
}

static Desg__V1__Alert *read_order(struct fixture *f)
{
    struct store_alert alert;
    size_t count = 0;
    struct error err = { 0 };
    assert_int_equal(store_alerts_read(f->store, "n-0", 0, &alert, 1, &count, &err), 0);
    assert_int_equal(count, 1);
    Desg__V1__Alert *order = desg__v1__alert__unpack(NULL, alert.order_length, alert.order);
    assert_non_null(order);
    store_alerts_clear(&alert, 1);
    return order;
}

static void only_an_old_replay_is_marked_replayed(void **state)
{
    struct fixture *f = *state;
    for (unsigned is_old = 0; is_old < 2; is_old++) {
        struct sample sample;
        int64_t now_ms = (int64_t)time(NULL) * 1000;
        sample_init(&sample, 1, is_old, now_ms - (is_old ? 11 : 9) * MINUTE_MS, URGENT);
        sample_pack(&sample);
        struct store_event event = sample_event(&sample);
        event.is_replayed = true;
        struct store_result result;
        struct error err = { 0 };
        assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
        Desg__V1__Alert *order = read_order(f);
        assert_int_equal(order->is_replayed, is_old);
        desg__v1__alert__free_unpacked(order, NULL);
    }
}

static void a_more_severe_copy_raises_and_alerts(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    assert_int_equal(apply_sample(f, &sample), STORE_NEW);
    sample.verdict.severity = URGENT;
    sample.verdict.category = (char *)"domestic-abuse";
    assert_int_equal(apply_sample(f, &sample), STORE_RAISED);
    assert_true(waits_in(f, "urgent", &sample.conversation));
    assert_false(waits_in(f, "general", &sample.conversation));
    assert_field(f, &sample.conversation, "category", "domestic-abuse");
    assert_int_equal(alerts_in_stream(f), 1);
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
    assert_int_equal(alerts_in_stream(f), 1);
}

static void a_less_severe_copy_changes_nothing_and_says_what_stands(void **state)
{
    struct fixture *f = *state;
    struct sample sample, milder;
    sample_init(&sample, 1, 1, T0, URGENT);
    (void)apply_sample(f, &sample);
    milder = sample;
    milder.verdict.severity = ROUTINE;
    sample_pack(&milder);
    struct store_event event = sample_event(&milder);
    struct store_result result;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    assert_int_equal(result.outcome, STORE_DUPLICATE);
    assert_int_equal(result.standing_verdict_length, sample.verdict_length);
    assert_memory_equal(result.standing_verdict, sample.verdict_bytes, sample.verdict_length);
    assert_field(f, &sample.conversation, "severity", "4");
    assert_true(waits_in(f, "urgent", &sample.conversation));
}

static void make_unclassified(struct sample *sample)
{
    sample->verdict.is_unclassified = true;
    sample->verdict.severity = REVIEW;
}

static void the_first_real_verdict_replaces_unclassified(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    make_unclassified(&sample);
    assert_int_equal(apply_sample(f, &sample), STORE_PROVISIONAL);
    assert_int_equal(apply_sample(f, &sample), STORE_PROVISIONAL); /* to be offered again */
    assert_true(waits_in(f, "urgent-review", &sample.conversation));
    assert_int_equal(alerts_in_stream(f), 1);
    sample.verdict.is_unclassified = false;
    sample.verdict.severity = ROUTINE;
    assert_int_equal(apply_sample(f, &sample), STORE_RAISED);
    assert_true(waits_in(f, "general", &sample.conversation));
    assert_false(waits_in(f, "urgent-review", &sample.conversation));
    assert_field(f, &sample.conversation, "severity", "1");
    make_unclassified(&sample); /* a late copy of the bypass */
    assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
    assert_field(f, &sample.conversation, "severity", "1");
    assert_int_equal(alerts_in_stream(f), 1);
}

static void replacing_one_keeps_what_the_others_say(void **state)
{
    struct fixture *f = *state;
    struct sample urgent, unclear, open;
    sample_init(&unclear, 1, 1, T0, ROUTINE);
    make_unclassified(&unclear);
    sample_init(&open, 1, 2, T0 + 1, ROUTINE);
    make_unclassified(&open);
    (void)apply_sample(f, &unclear);
    (void)apply_sample(f, &open);
    unclear.verdict.is_unclassified = false;
    unclear.verdict.severity = ROUTINE;
    (void)apply_sample(f, &unclear);
    assert_true(waits_in(f, "urgent-review", &open.conversation)); /* one is still unclassified */
    sample_init(&urgent, 1, 3, T0 + 2, URGENT);
    urgent.verdict.category = (char *)"assault";
    (void)apply_sample(f, &urgent);
    open.verdict.is_unclassified = false;
    open.verdict.severity = ROUTINE;
    (void)apply_sample(f, &open);
    assert_true(waits_in(f, "urgent", &open.conversation));
    assert_field(f, &open.conversation, "severity", "4");
    assert_field(f, &open.conversation, "category", "assault");
}

/* A flood from one person while no classifier answered: each call weighs the conversation anew
 * once, not once per event. */
static void thousands_of_unclassified_events_of_one_person_are_replaced_in_time(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 5000, DEADLINE_MS = 50000 };
    struct sample *samples = calloc(COUNT, sizeof *samples);
    int64_t begun_ms = 0;
    for (int is_real = 0; is_real < 2; is_real++) {
        begun_ms = clock_monotonic_ms();
        for (size_t at = 0; at < COUNT; at += STORE_APPLY_MAX) {
            struct store_event events[STORE_APPLY_MAX];
            struct store_result results[STORE_APPLY_MAX];
            size_t count = COUNT - at < STORE_APPLY_MAX ? COUNT - at : STORE_APPLY_MAX;
            struct error err = { 0 };
            for (size_t i = 0; i < count; i++) {
                sample_init(&samples[at + i], 1, (unsigned)(at + i), T0 + (int64_t)(at + i),
                            ROUTINE);
                if (!is_real)
                    make_unclassified(&samples[at + i]);
                sample_pack(&samples[at + i]);
                events[i] = sample_event(&samples[at + i]);
            }
            assert_int_equal(store_apply(f->store, events, count, results, f->history, &err), 0);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(results[i].outcome, is_real ? STORE_RAISED : STORE_PROVISIONAL);
        }
    }
    int64_t took_ms = clock_monotonic_ms() - begun_ms;
    print_message("%d verdicts replaced in %lld ms\n", COUNT, (long long)took_ms);
    assert_true(took_ms < DEADLINE_MS);
    assert_true(waits_in(f, "general", &samples[0].conversation));
    assert_field(f, &samples[0].conversation, "severity", "1");
    assert_field(f, &samples[0].conversation, "n", "5000");
    free(samples);
}

/* As a build before facts left it: 24 values, a close as the count it covers. */
static void state_of_earlier_builds_is_understood(void **state)
{
    struct fixture *f = *state;
    struct sample first, second;
    sample_init(&first, 1, 1, T0, ATTENTION);
    sample_init(&second, 1, 2, T0 + MINUTE_MS, ROUTINE);
    (void)apply_sample(f, &first);
    char id[ID_TEXT_BYTES];
    id_text(first.conversation.bytes, id);
    free(redis_server_ask(
        f->server,
        "EVAL local\tw={cmsgpack.unpack(redis.call('HGET',KEYS[1],'work'))}w[1]='closed'w[3]=w[2]"
        "w[4]=9\tredis.call('HSET',KEYS[1],'work',cmsgpack.pack(unpack(w,1,24)))"
        "redis.call('ZREM','desg:{testforce}:queue:general',ARGV[1]) 1 desg:{testforce}:conv:%s %s",
        id, id));
    assert_field(f, &first.conversation, "state", "closed");
    assert_int_equal(apply_sample(f, &first), STORE_DUPLICATE);
    assert_field(f, &first.conversation, "state", "closed");
    (void)apply_sample(f, &second);
    assert_field(f, &first.conversation, "state", "open");
    assert_field(f, &first.conversation, "severity", "1"); /* the closed one does not count */
    second.verdict.severity = ATTENTION;                   /* weighs the whole conversation anew */
    (void)apply_sample(f, &second);
    assert_field(f, &first.conversation, "since", "1790000060000");
    first.verdict.severity = URGENT;
    (void)apply_sample(f, &first);
    assert_field(f, &first.conversation, "severity", "4");
    assert_field(f, &first.conversation, "since", "1790000000000");
}

/* What DONE carried is what a replay offers: an emptied Redis decides as it did. */
static void a_kept_verdict_rebuilds_the_same_conversation(void **state)
{
    struct fixture *f = *state;
    char *before = NULL;
    struct sample severe, hint;
    sample_init(&severe, 1, 1, T0, URGENT);
    sample_init(&hint, 1, 2, T0 + MINUTE_MS, ROUTINE);
    hint.verdict.is_context_sensitive = true;
    hint.verdict.grade = (char *)"scheduled";
    (void)apply_sample(f, &severe);
    sample_pack(&hint);
    struct store_event event = sample_event(&hint);
    struct store_result result;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    assert_non_null(result.standing_verdict);
    Desg__V1__Verdict *kept =
        desg__v1__verdict__unpack(NULL, result.standing_verdict_length, result.standing_verdict);
    for (int is_rebuilt = 0; is_rebuilt < 2; is_rebuilt++) {
        json_t *json = NULL;
        if (is_rebuilt) {
            free(redis_server_ask(f->server, "FLUSHALL"));
            hint.verdict = *kept;
            (void)apply_sample(f, &hint); /* the other way round */
            (void)apply_sample(f, &severe);
        }
        assert_int_equal(store_conversation(f->store, &severe.conversation, &json, &err), 0);
        (void)json_object_del(json, "tick");
        (void)json_object_del(json, "last_event");
        (void)json_object_del(json, "events");
        char *text = json_dumps(json, JSON_SORT_KEYS);
        json_decref(json);
        if (!is_rebuilt)
            before = text;
        else
            assert_string_equal(text, before);
        if (is_rebuilt)
            free(text);
    }
    /* newer rules that see less in it change nothing */
    hint.verdict.severity = ROUTINE;
    assert_int_equal(apply_sample(f, &hint), STORE_DUPLICATE);
    assert_field(f, &severe.conversation, "severity", "4");
    free(before);
    desg__v1__verdict__free_unpacked(kept, NULL);
}

static void a_severe_event_that_comes_late_gives_context_to_what_followed_it(void **state)
{
    struct fixture *f = *state;
    struct store_result result;
    struct sample hint, severe;
    sample_init(&hint, 1, 1, T0 + HOUR_MS, ROUTINE);
    hint.verdict.is_context_sensitive = true;
    (void)apply_sample(f, &hint);
    assert_int_equal(alerts_in_stream(f), 0);
    sample_init(&severe, 1, 2, T0, URGENT);
    (void)apply_sample(f, &severe);
    assert_int_equal(alerts_in_stream(f), 2);
    sample_pack(&hint);
    struct store_event event = sample_event(&hint);
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    assert_int_equal(result.outcome, STORE_DUPLICATE);
    assert_non_null(result.standing_verdict); /* a replay is told what stands */
}

static void a_real_urgent_verdict_after_unclassified_alerts_again(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    sample_init(&sample, 1, 1, T0, ROUTINE);
    make_unclassified(&sample);
    (void)apply_sample(f, &sample);
    sample.verdict.is_unclassified = false;
    sample.verdict.severity = URGENT;
    assert_int_equal(apply_sample(f, &sample), STORE_RAISED);
    assert_int_equal(alerts_in_stream(f), 2); /* same alert id: an update at dispatch */
    assert_int_equal(redis_server_number(f->server, "ZCARD desg:{testforce}:alerts-open"), 1);
}

static void unclassified_above_the_rate_join_a_digest(void **state)
{
    struct fixture *f = *state;
    f->queues.unclassified_alerts_per_minute = 3;
    for (unsigned i = 0; i < 5; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, T0 + i, ROUTINE);
        make_unclassified(&sample);
        (void)apply_sample(f, &sample);
        (void)apply_sample(f, &sample); /* copies do not count */
    }
    struct sample other; /* another account has its own rate */
    sample_init(&other, 9, 1, T0, ROUTINE);
    make_unclassified(&other);
    other.event.account = (char *)"1002";
    (void)apply_sample(f, &other);
    static const bool is_member[] = { false, false, false, true, true, false };
    for (size_t i = 0; i < 6; i++) {
        Desg__V1__Alert *order = read_order(f);
        assert_int_equal(order->is_digest_member, is_member[i]);
        desg__v1__alert__free_unpacked(order, NULL);
    }
}

static enum store_outcome apply_context(struct fixture *f, unsigned number, int64_t at_ms,
                                        struct store_result *result)
{
    struct sample sample;
    sample_init(&sample, 1, number, at_ms, ROUTINE);
    sample.verdict.is_context_sensitive = true;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, result, f->history, &err), 0);
    return result->outcome;
}

static void context_raises_only_near_a_severe_event(void **state)
{
    struct fixture *f = *state;
    struct store_result result;
    assert_int_equal(apply_context(f, 1, T0, &result), STORE_NEW); /* nothing severe before */
    assert_null(result.standing_verdict);
    assert_int_equal(alerts_in_stream(f), 0);
    struct sample severe;
    sample_init(&severe, 1, 2, T0 + HOUR_MS, URGENT);
    (void)apply_sample(f, &severe);
    assert_int_equal(apply_context(f, 3, T0 + 26 * HOUR_MS, &result), STORE_NEW);
    assert_null(result.standing_verdict); /* 25 hours later */
    assert_int_equal(alerts_in_stream(f), 1);
    assert_int_equal(apply_context(f, 4, T0 + 24 * HOUR_MS, &result), STORE_NEW);
    assert_int_equal(alerts_in_stream(f), 3); /* urgent now, and so is what follows it in 2 hours */
    Desg__V1__Verdict *raised =
        desg__v1__verdict__unpack(NULL, result.standing_verdict_length, result.standing_verdict);
    assert_non_null(raised);
    assert_int_equal(raised->severity, URGENT);
    assert_true(raised->is_urgent);
    assert_true(raised->is_context_sensitive);
    desg__v1__verdict__free_unpacked(raised, NULL);
    desg__v1__alert__free_unpacked(read_order(f), NULL);
    Desg__V1__Alert *order = read_order(f);
    raised = desg__v1__verdict__unpack(NULL, order->verdict.len, order->verdict.data);
    assert_non_null(raised);
    assert_int_equal(raised->severity, URGENT);
    desg__v1__verdict__free_unpacked(raised, NULL);
    desg__v1__alert__free_unpacked(order, NULL);
}

static void reads_and_echoes_are_kept_but_open_no_work(void **state)
{
    struct fixture *f = *state;
    struct sample echo;
    sample_init(&echo, 1, 1, T0, REVIEW);
    echo.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    make_unclassified(&echo);
    (void)apply_sample(f, &echo);
    assert_field(f, &echo.conversation, "state", "quiet");
    assert_int_equal(alerts_in_stream(f), 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS desg:{testforce}:queues"), 0);
    struct sample message;
    sample_init(&message, 1, 2, T0 + 1, ROUTINE);
    (void)apply_sample(f, &message);
    assert_field(f, &echo.conversation, "state", "open");
    assert_true(waits_in(f, "general", &echo.conversation));
}

static void edits_and_unsends_merge_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct sample events[3];
    static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } };
    static const Desg__V1__EventKind kinds[] = { DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE,
                                                 DESG__V1__EVENT_KIND__EVENT_KIND_EDIT,
                                                 DESG__V1__EVENT_KIND__EVENT_KIND_UNSEND };
    for (unsigned order = 0; order < 4; order++) {
        for (int i = 0; i < 3; i++) {
            int which = orders[order][i];
            sample_init(&events[which], 10 + order, (unsigned)which, T0 + which * 1000LL,
                        which == 1 ? URGENT : ROUTINE);
            events[which].event.kind = kinds[which];
            assert_int_equal(apply_sample(f, &events[which]), STORE_NEW);
        }
        assert_field(f, &events[0].conversation, "severity", "4"); /* the edit raised it */
        assert_field(f, &events[0].conversation, "queue", "urgent");
        assert_field(f, &events[0].conversation, "since", "1790000000000");
        assert_field(f, &events[0].conversation, "score", "1790000301000");
        json_t *json = NULL;
        struct error err = { 0 };
        assert_int_equal(store_conversation(f->store, &events[0].conversation, &json, &err), 0);
        json_t *list = json_object_get(json, "events");
        assert_int_equal(json_array_size(list), 3);
        static const char *const words[] = { "message", "edit", "unsend" };
        for (size_t i = 0; i < 3; i++)
            assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "kind")),
                                words[i]);
        json_decref(json);
    }
    assert_int_equal(alerts_in_stream(f), 4);
}

static void restricted_and_welsh_conversations_keep_their_queue_after_an_urgent_spell(void **state)
{
    struct fixture *f = *state;
    struct sample sample, later;
    sample_init(&sample, 1, 1, T0, URGENT);
    sample.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    (void)apply_sample(f, &sample);
    assert_true(waits_in(f, "urgent", &sample.conversation));
    json_t *claim = NULL;
    struct error err = { 0 };
    assert_int_equal(store_claim(f->store, "agent-1", "", NULL, &claim, &err), 0);
    uint64_t fence = (uint64_t)json_integer_value(json_object_get(claim, "fence"));
    json_decref(claim);
    assert_int_equal(
        decision_close_now(f->store, "agent-1", &sample.conversation, fence, NULL, &err), 0);
    sample_init(&later, 1, 2, T0 + HOUR_MS, ROUTINE);
    (void)apply_sample(f, &later);
    assert_true(waits_in(f, "restricted", &sample.conversation));
}

/* An error between effects and record must leave an event that is applied again, not one that is
 * stored and waits nowhere: here the queue's key is of the wrong type. */
static void effects_come_before_the_events_own_record(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "SET desg:{testforce}:queue:general nonsense"));
    struct sample broken, fine;
    sample_init(&broken, 1, 1, T0, ROUTINE);
    sample_init(&fine, 2, 1, T0, URGENT);
    sample_pack(&broken);
    sample_pack(&fine);
    struct store_event events[] = { sample_event(&broken), sample_event(&fine) };
    struct store_result results[2];
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, events, 2, results, f->history, &err), 0);
    assert_int_equal(results[0].outcome, STORE_ERROR);
    assert_non_null(strstr(results[0].error, "WRONGTYPE"));
    assert_int_equal(results[1].outcome, STORE_NEW); /* its neighbour is unharmed */
    free(redis_server_ask(f->server, "DEL desg:{testforce}:queue:general"));
    assert_int_equal(apply_sample(f, &broken), STORE_NEW);
    assert_true(waits_in(f, "general", &broken.conversation));
}

static void quarantine_keeps_poison_whatever_is_broken(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    char id[ID_TEXT_BYTES];
    sample_init(&sample, 1, 1, T0, REVIEW);
    make_unclassified(&sample);
    sample_pack(&sample);
    id_text(sample.conversation.bytes, id);
    free(redis_server_ask(f->server, "SET desg:{testforce}:conv:%s nonsense", id));
    struct store_event event = sample_event(&sample);
    event.quarantine_reason = "refused twice";
    struct store_result result;
    struct error err = { 0 };
    for (int again = 0; again < 2; again++) {
        assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
        assert_int_equal(result.outcome, STORE_QUARANTINED);
    }
    assert_int_equal(redis_server_number(f->server, "HLEN desg:{testforce}:quarantine"), 1);
    assert_true(waits_in(f, "needs-review", &sample.event_id)); /* in a conversation of its own */
    assert_int_equal(alerts_in_stream(f), 1);
    json_t *json = NULL;
    assert_int_equal(store_quarantine_list(f->store, 10, &json, &err), 0);
    assert_int_equal(json_array_size(json), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "reason")),
                        "refused twice");
    json_decref(json);
    assert_int_equal(store_quarantine_show(f->store, &sample.event_id, &json, &err), 0);
    json_t *text = json_object_get(json_object_get(json, "content"), "text");
    assert_string_equal(json_string_value(text), sample.event.text);
    json_decref(json);
}

/* Whatever became of its conversation, the quarantine's own row and the story say how restricted it
 * is. */
static void what_is_quarantined_says_that_it_is_restricted(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    char id[ID_TEXT_BYTES];
    sample_init(&sample, 1, 1, T0, REVIEW);
    sample.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    sample_pack(&sample);
    struct store_event event = sample_event(&sample);
    event.quarantine_reason = "refused twice";
    struct store_result result;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
    id_text(sample.conversation.bytes, id);
    free(redis_server_ask(f->server, "DEL desg:{testforce}:conv:%s", id));
    json_t *rows = NULL;
    json_t *story = NULL;
    assert_int_equal(store_quarantine_list(f->store, 10, &rows, &err), 0);
    assert_true(json_number_value(json_object_get(json_array_get(rows, 0), "restricted")) > 0);
    assert_int_equal(store_trace(f->store, &sample.event_id, &story, &err), 0);
    bool is_said = false;
    size_t at = 0;
    json_t *row = NULL;
    json_array_foreach(story, at, row) is_said |=
        json_number_value(json_object_get(row, "restricted")) > 0;
    assert_true(is_said);
    json_decref(rows);
    json_decref(story);
}

static void a_full_batch_and_poison_among_it_are_applied(void **state)
{
    struct fixture *f = *state;
    struct sample *samples = calloc(STORE_APPLY_MAX, sizeof *samples);
    struct store_event events[STORE_APPLY_MAX];
    struct store_result results[STORE_APPLY_MAX];
    for (unsigned i = 0; i < STORE_APPLY_MAX; i++) {
        sample_init(&samples[i], i, 1, T0 + i, i % 2 ? URGENT : ROUTINE);
        sample_pack(&samples[i]);
        events[i] = sample_event(&samples[i]);
    }
    events[7].quarantine_reason = "crashed its worker twice";
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, events, STORE_APPLY_MAX, results, f->history, &err), 0);
    for (size_t i = 0; i < STORE_APPLY_MAX; i++)
        assert_int_equal(results[i].outcome, i == 7 ? STORE_QUARANTINED : STORE_NEW);
    assert_true(waits_in(f, "needs-review", &samples[7].conversation));
    assert_int_equal(alerts_in_stream(f), STORE_APPLY_MAX / 2);
    free(samples);
}

static void an_event_without_an_id_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    struct sample samples[2];
    struct store_event events[2];
    struct store_result results[2];
    for (unsigned i = 0; i < 2; i++) {
        sample_init(&samples[i], i, 1, T0, ROUTINE);
        sample_pack(&samples[i]);
        events[i] = sample_event(&samples[i]);
    }
    samples[0].event.id.len = 3;
    struct error err = { 0 };
    assert_int_equal(store_apply(f->store, events, 2, results, f->history, &err), 0);
    assert_int_equal(results[0].outcome, STORE_ERROR);
    assert_int_equal(results[1].outcome, STORE_NEW);
}

static void times_nobody_can_mean_do_no_harm(void **state)
{
    struct fixture *f = *state;
    static const int64_t times_ms[] = { INT64_MAX, INT64_MIN, 0, -1 };
    for (unsigned i = 0; i < 4; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, T0, URGENT);
        sample.event.platform_time_ms = times_ms[i];
        assert_int_equal(apply_sample(f, &sample), STORE_NEW);
        assert_int_equal(apply_sample(f, &sample), STORE_DUPLICATE);
        assert_true(waits_in(f, "urgent", &sample.conversation));
        assert_field(f, &sample.conversation, "severity", "4");
    }
}

static void marks_are_accepted_only_under_the_live_history_and_the_last_mark(void **state)
{
    struct fixture *f = *state;
    struct id source = sample_id("so", 1, 1);
    struct store_mark none = { 0 }, found = { 1, 1, 1 };
    struct store_mark first = { UINT64_MAX - 1, UINT64_MAX, UINT64_MAX },
                      second = { UINT64_MAX - 1, 7, 8 };
    struct error err = { 0 };
    bool is_stored = false;
    char history[STORE_HISTORY_BYTES], wrong[STORE_HISTORY_BYTES];
    assert_int_equal(store_hello(f->store, &source, &found, history, &err), 0);
    assert_int_equal(found.incarnation, 0);
    memset(wrong, 'a', sizeof wrong - 1);
    wrong[sizeof wrong - 1] = '\0';
    assert_int_equal(store_set_mark(f->store, &source, &first, &none, wrong, &is_stored, &err), 0);
    assert_false(is_stored);
    assert_string_equal(wrong, history); /* the live one is told */
    assert_int_equal(store_set_mark(f->store, &source, &first, &none, history, &is_stored, &err),
                     0);
    assert_true(is_stored);
    assert_int_equal(store_set_mark(f->store, &source, &second, &none, history, &is_stored, &err),
                     0);
    assert_false(is_stored); /* quoted the wrong previous mark */
    assert_int_equal(store_set_mark(f->store, &source, &second, &first, history, &is_stored, &err),
                     0);
    assert_true(is_stored);
    assert_int_equal(store_hello(f->store, &source, &found, history, &err), 0);
    assert_int_equal(found.incarnation, second.incarnation);
    assert_int_equal(found.sequence, second.sequence);
    free(redis_server_ask(f->server, "FLUSHALL")); /* keeps the replid */
    assert_int_equal(store_set_mark(f->store, &source, &first, &second, history, &is_stored, &err),
                     0);
    assert_false(is_stored);
    assert_int_equal(store_hello(f->store, &source, &found, history, &err), 0);
    assert_int_equal(found.incarnation, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(a_new_event_waits_in_its_queue_once),
        T(the_deadline_is_received_plus_allowance),
        T(copies_from_three_connections_at_once_collapse),
        T(an_urgent_event_alerts_once),
        T(an_event_already_alerted_provisionally_still_gets_its_entry),
        T(only_an_old_replay_is_marked_replayed),
        T(a_more_severe_copy_raises_and_alerts),
        T(a_less_severe_copy_changes_nothing_and_says_what_stands),
        T(the_first_real_verdict_replaces_unclassified),
        T(replacing_one_keeps_what_the_others_say),
        T(thousands_of_unclassified_events_of_one_person_are_replaced_in_time),
        T(state_of_earlier_builds_is_understood),
        T(a_kept_verdict_rebuilds_the_same_conversation),
        T(a_severe_event_that_comes_late_gives_context_to_what_followed_it),
        T(a_real_urgent_verdict_after_unclassified_alerts_again),
        T(unclassified_above_the_rate_join_a_digest),
        T(context_raises_only_near_a_severe_event),
        T(reads_and_echoes_are_kept_but_open_no_work),
        T(edits_and_unsends_merge_in_any_order),
        T(restricted_and_welsh_conversations_keep_their_queue_after_an_urgent_spell),
        T(effects_come_before_the_events_own_record),
        T(quarantine_keeps_poison_whatever_is_broken),
        T(what_is_quarantined_says_that_it_is_restricted),
        T(a_full_batch_and_poison_among_it_are_applied),
        T(an_event_without_an_id_is_refused_alone),
        T(times_nobody_can_mean_do_no_harm),
        T(marks_are_accepted_only_under_the_live_history_and_the_last_mark),
    };
    return cmocka_run_group_tests_name("store apply", tests, set_up_server, tear_down_server);
}
