/* The model of the Redis Functions against the functions themselves: the same random sequences, the
 * same answers, the same marks, alerts and verdicts left behind. A difference names its seed. */
#include "fixture.h"

#include "redis_model.h"
#include "store/plan.h"

enum { SEQUENCES = 60, STEPS = 60, EVENTS = 12, SOURCES = 2, RATE = 5 };

struct pair {
    struct fixture *f;
    struct model_state *model;
    struct model_rules rules;
    unsigned dice;
    unsigned seed;
    struct model_mark marks[SOURCES][4]; /* some that were stored, to be quoted */
};

static unsigned dice(struct pair *pair, unsigned sides)
{
    return (unsigned)rand_r(&pair->dice) % sides;
}

static void make_sample(struct pair *pair, unsigned event, struct sample *sample)
{
    static const Desg__V1__Severity severities[] = { ROUTINE, ATTENTION, REVIEW, URGENT, LIFE };
    sample_init(sample, event % 4, event, T0 + (int64_t)event * 7000,
                severities[dice(pair, sizeof severities / sizeof severities[0])]);
    sample->event.account = (char *)"one"; /* they share a rate */
    if (dice(pair, 4) == 0) {
        sample->verdict = (Desg__V1__Verdict)DESG__V1__VERDICT__INIT;
        sample->verdict.severity = REVIEW;
        sample->verdict.is_unclassified = true;
    }
    sample->verdict.score = (float)dice(pair, 3) / 4;
    sample_pack(sample);
}

static struct model_offer offer_of(unsigned event, const struct sample *sample)
{
    struct store_plan plan;
    store_plan_make(&plan, &sample->event, &sample->verdict, NULL);
    struct model_offer offer = { .event = (uint16_t)event,
                                 .severity = (uint8_t)plan.severity,
                                 .certainty = plan.is_provisional ? MODEL_UNCLASSIFIED : MODEL_REAL,
                                 .is_work = plan.opens_work,
                                 .has_order = plan.may_alert,
                                 .received_ms = sample->event.received_at_ms,
                                 .verdict_length = (uint8_t)sample->verdict_length };
    assert_true(sample->verdict_length <= MODEL_VERDICT_BYTES);
    memcpy(offer.verdict, sample->verdict_bytes, sample->verdict_length);
    return offer;
}

static void compare_outcome(const struct pair *pair, const struct store_result *real,
                            const struct model_outcome *model)
{
    static const char letters[] = {
        [STORE_NEW] = 'n',         [STORE_DUPLICATE] = 'd',   [STORE_RAISED] = 'r',
        [STORE_PROVISIONAL] = 'p', [STORE_QUARANTINED] = 'q', [STORE_ERROR] = 'e'
    };
    if (letters[real->outcome] != model->letter)
        fail_msg("seed %u: Redis says %c, the model %c", pair->seed, letters[real->outcome],
                 model->letter);
    if ((real->standing_verdict != NULL) != model->has_verdict)
        fail_msg("seed %u: only one of them says which verdict stands", pair->seed);
    if (!model->has_verdict)
        return;
    assert_int_equal(real->standing_verdict_length, model->verdict_length);
    assert_memory_equal(real->standing_verdict, model->verdict, model->verdict_length);
}

static void apply_some(struct pair *pair)
{
    enum { MOST = 4 };
    struct sample samples[MOST];
    struct store_event events[MOST];
    struct store_result results[MOST];
    struct model_offer offers[MOST];
    struct error err = { 0 };
    size_t count = 1 + dice(pair, MOST);
    bool is_poison = dice(pair, 15) == 0;
    for (size_t i = 0; i < count; i++) {
        unsigned event = dice(pair, EVENTS);
        make_sample(pair, event, &samples[i]);
        events[i] = sample_event(&samples[i]);
        offers[i] = offer_of(event, &samples[i]);
        events[i].quarantine_reason = is_poison ? "a test" : NULL;
    }
    if (store_apply(pair->f->store, events, count, results, pair->f->history, &err) != 0)
        fail_msg("seed %u: %s", pair->seed, err.text);
    for (size_t i = 0; i < count; i++) {
        struct model_outcome outcome;
        if (is_poison)
            model_quarantine(pair->model, &pair->rules, &offers[i], &outcome);
        else
            model_apply(pair->model, &pair->rules, &offers[i], &outcome);
        compare_outcome(pair, &results[i], &outcome);
    }
}

static struct model_mark some_mark(struct pair *pair, size_t source)
{
    return dice(pair, 3) ? pair->model->marks[source] : pair->marks[source][dice(pair, 4)];
}

static void mark_something(struct pair *pair)
{
    size_t number = dice(pair, SOURCES);
    struct id source = sample_id("source", (unsigned)number, 0);
    struct model_mark previous = some_mark(pair, number);
    struct model_mark wanted = { 1 + dice(pair, 3), dice(pair, 9), 1 + dice(pair, 1000) };
    const struct store_mark real_wanted = { wanted.incarnation, wanted.sequence, wanted.beat };
    const struct store_mark real_previous = { previous.incarnation, previous.sequence,
                                              previous.beat };
    char quoted[STORE_HISTORY_BYTES], live[STORE_HISTORY_BYTES];
    struct store_mark ignored;
    struct error err = { 0 };
    assert_int_equal(store_hello(pair->f->store, &source, &ignored, live, &err), 0);
    memcpy(quoted, live, sizeof quoted);
    if (dice(pair, 4) == 0)
        quoted[3] = quoted[3] == 'a' ? 'b' : 'a';
    bool is_expected =
        model_mark(pair->model, &pair->rules, number, live, quoted, wanted, previous);
    bool is_stored = false;
    assert_int_equal(store_set_mark(pair->f->store, &source, &real_wanted, &real_previous, quoted,
                                    &is_stored, &err),
                     0);
    if (is_stored != is_expected)
        fail_msg("seed %u: a mark is %s by Redis only", pair->seed,
                 is_stored ? "stored" : "refused");
    if (is_stored)
        pair->marks[number][dice(pair, 4)] = wanted;
}

static void compare_marks(struct pair *pair)
{
    for (size_t i = 0; i < SOURCES; i++) {
        struct id source = sample_id("source", (unsigned)i, 0);
        struct store_mark found;
        struct error err = { 0 };
        assert_int_equal(store_hello(pair->f->store, &source, &found, pair->f->history, &err), 0);
        assert_int_equal(found.incarnation, pair->model->marks[i].incarnation);
        assert_int_equal(found.sequence, pair->model->marks[i].sequence);
        assert_int_equal(found.beat, pair->model->marks[i].beat);
    }
}

static void compare_alerts(struct pair *pair)
{
    if (alerts_in_stream(pair->f) != (long long)pair->model->stream_length)
        fail_msg("seed %u: %lld alerts in the stream, %zu in the model", pair->seed,
                 alerts_in_stream(pair->f), pair->model->stream_length);
    size_t digests = 0;
    for (size_t i = 0; i < pair->model->stream_length; i++)
        digests += pair->model->stream[i].is_digest;
    size_t counted = 0;
    for (unsigned event = 0; event < EVENTS; event++) {
        struct sample sample;
        char alert[ID_TEXT_BYTES];
        sample_init(&sample, event % 4, event, T0, ROUTINE);
        struct id id = id_of_alert(sample.event_id.bytes);
        id_text(id.bytes, alert);
        char *severity =
            redis_server_ask(pair->f->server, "HGET desg:{testforce}:alert:%s severity", alert);
        assert_int_equal(strtol(severity, NULL, 10), pair->model->events[event].alert_severity);
        free(severity);
        counted += pair->model->events[event].alert_severity > 0;
    }
    assert_true(digests <= counted);
}

static void compare_quarantine(struct pair *pair)
{
    size_t expected = 0;
    for (size_t i = 0; i < EVENTS; i++)
        expected += pair->model->events[i].is_quarantined;
    assert_int_equal(redis_server_number(pair->f->server, "HLEN desg:{testforce}:quarantine"),
                     expected);
}

static void run_sequence(struct pair *pair)
{
    free(redis_server_ask(pair->f->server, "FLUSHALL"));
    memset(pair->model, 0, sizeof *pair->model);
    memset(pair->marks, 0, sizeof pair->marks);
    for (int step = 0; step < STEPS; step++) {
        unsigned side = dice(pair, 40);
        if (side == 0) {
            free(redis_server_ask(pair->f->server, "FLUSHALL"));
            memset(pair->model, 0, sizeof *pair->model);
        } else if (side < 12) {
            mark_something(pair);
        } else {
            apply_some(pair);
        }
    }
    compare_marks(pair);
    compare_alerts(pair);
    compare_quarantine(pair);
}

static void the_model_decides_as_the_functions_do(void **state)
{
    struct pair pair = { .f = *state,
                         .model = calloc(1, sizeof *pair.model),
                         .rules = { .unclassified_per_minute = RATE } };
    assert_non_null(pair.model);
    for (pair.seed = 1; pair.seed <= SEQUENCES; pair.seed++) {
        pair.dice = pair.seed;
        run_sequence(&pair);
    }
    free(pair.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
        the_model_decides_as_the_functions_do, empty, close_store) };
    return cmocka_run_group_tests(tests, set_up_server, tear_down_server);
}
