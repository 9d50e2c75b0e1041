/* A conversation is a fold over its events and facts: for many invented sets of events, verdicts
 * that rise or replace unclassified ones, closes, grades, notes and wishes, every order of arrival
 * (and every way to cut it into calls, with copies) gives the same conversation. Arguments: how
 * many sets, first seed. */
#include "fixture.h"

#include <assert.h>

#include "decision.h"

enum {
    EVENTS_MAX = 5,
    OFFERS_MAX = EVENTS_MAX * 2,
    FACTS_MAX = 4,
    STEPS_MAX = (OFFERS_MAX + FACTS_MAX) * 2,
    ORDERS = 6,
    BATCH_MAX = 4
};

struct sizes {
    unsigned sets, first_seed;
};

static struct sizes sizes = { 150, 1 };

struct story {
    struct sample offers[OFFERS_MAX]; /* an event with one of its verdicts */
    size_t offer_count;
    struct decision facts[FACTS_MAX];
    size_t fact_count;
    size_t event_count;
    uint32_t chance;
};

static unsigned below(struct story *self, unsigned limit)
{
    assert(limit > 0);
    self->chance = self->chance * 1664525U + 1013904223U;
    return (self->chance >> 8) % limit;
}

static Desg__V1__Severity any_severity(struct story *self)
{
    return (Desg__V1__Severity)(1 + below(self, 5));
}

static void set_words(struct story *self, struct sample *sample)
{
    static const char *const categories[] = { "other", "traffic", "update-request",
                                              "domestic-abuse" };
    static const Desg__V1__Language languages[] = { DESG__V1__LANGUAGE__LANGUAGE_CY,
                                                    DESG__V1__LANGUAGE__LANGUAGE_EN,
                                                    DESG__V1__LANGUAGE__LANGUAGE_EN,
                                                    DESG__V1__LANGUAGE__LANGUAGE_UNSURE };
    sample->verdict.category = (char *)categories[below(self, 4)];
    sample->verdict.language = languages[below(self, 4)];
    if (below(self, 6) == 0)
        sample->verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    if (below(self, 4) == 0)
        sample->verdict.grade = (char *)"priority";
}

/* One event, offered with one verdict or two. */
static void invent_event(struct story *self, unsigned number)
{
    static const int64_t hour_ms = 3600000;
    struct sample *first = &self->offers[self->offer_count++];
    int64_t at_ms = T0 + (int64_t)below(self, 40) * hour_ms;
    sample_init(first, 1, number, at_ms, any_severity(self));
    set_words(self, first);
    if (below(self, 6) == 0)
        first->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    first->verdict.is_context_sensitive = below(self, 3) == 0;
    unsigned way = below(self, 3);
    if (way == 0)
        return;
    struct sample *second = &self->offers[self->offer_count++];
    *second = *first;
    if (way == 1) { /* not classified at first */
        first->verdict.is_unclassified = true;
        first->verdict.severity = REVIEW;
        first->verdict.is_context_sensitive = false;
        first->verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE;
        first->verdict.language = DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
    } else { /* newer rules see more in it; of equals the first stands, so they differ */
        first->verdict.is_context_sensitive = second->verdict.is_context_sensitive = false;
        first->verdict.severity = (Desg__V1__Severity)(1 + below(self, 4));
        second->verdict.severity =
            (Desg__V1__Severity)(first->verdict.severity + 1 +
                                 below(self, 5 - (unsigned)first->verdict.severity));
        set_words(self, second);
    }
}

static void invent_fact(struct story *self, unsigned number)
{
    struct decision *fact = &self->facts[self->fact_count++];
    decision_init(fact, number, &self->offers[0].conversation, T0 + below(self, 3) * 1000LL);
    switch (below(self, 6)) {
    case 0:
        decision_note(fact);
        return;
    case 5:
        decision_wish(fact, (Desg__V1__Language)below(self, 4));
        return;
    case 1:
    case 2:
        decision_grade(fact, any_severity(self));
        break;
    default:
        decision_close(fact);
        break;
    }
    bool is_of_all = below(self, 2) == 0;
    for (unsigned i = 0; i < self->event_count; i++) {
        struct id event = sample_id("ev", 1, i);
        if (is_of_all || below(self, 2) == 0)
            decision_cover(fact, &event, any_severity(self));
    }
}

static void invent(struct story *self, unsigned seed)
{
    memset(self, 0, sizeof *self);
    self->chance = seed * 2654435761U + 12345U;
    self->event_count = 1 + below(self, EVENTS_MAX);
    for (unsigned i = 0; i < self->event_count; i++)
        invent_event(self, i);
    unsigned facts = below(self, FACTS_MAX + 1);
    for (unsigned i = 0; i < facts; i++)
        invent_fact(self, i);
    for (size_t i = 0; i < self->offer_count; i++) {
        Desg__V1__Verdict *verdict = &self->offers[i].verdict;
        verdict->is_urgent = verdict->severity >= URGENT;
        sample_pack(&self->offers[i]);
    }
}

/* --- one order of arrival --- */

static size_t make_order(struct story *self, unsigned steps[STEPS_MAX])
{
    size_t all = self->offer_count + self->fact_count, count = all;
    for (size_t i = 0; i < all; i++)
        steps[i] = (unsigned)i;
    for (unsigned copies = below(self, 4); copies > 0; copies--)
        steps[count++] = below(self, (unsigned)all);
    for (size_t i = count; i > 1; i--) {
        size_t other = below(self, (unsigned)i);
        unsigned kept = steps[i - 1];
        steps[i - 1] = steps[other];
        steps[other] = kept;
    }
    return count;
}

static void apply_events(struct fixture *f, const struct store_event *events, size_t count)
{
    struct store_result results[BATCH_MAX];
    struct error err = { 0 };
    if (count == 0)
        return;
    if (store_apply(f->store, events, count, results, f->history, &err) != 0)
        fail_msg("apply: %s", err.text);
    for (size_t i = 0; i < count; i++)
        if (results[i].outcome == STORE_ERROR)
            fail_msg("refused: %s", results[i].error);
}

static void apply_facts(struct fixture *f, const Desg__V1__Fact *const *facts, size_t count)
{
    struct error err = { 0 };
    if (count > 0 && store_facts_apply(f->store, facts, count, f->history, &err) != 0)
        fail_msg("facts: %s", err.text);
}

static void run_order(struct fixture *f, struct story *story, const unsigned *steps, size_t count)
{
    free(redis_server_ask(f->server, "FLUSHALL"));
    for (size_t at = 0; at < count;) {
        struct store_event events[BATCH_MAX];
        const Desg__V1__Fact *facts[BATCH_MAX];
        size_t event_count = 0, fact_count = 0, part = 1 + below(story, BATCH_MAX);
        for (; part > 0 && at < count; part--, at++) {
            unsigned step = steps[at];
            if (step < story->offer_count)
                events[event_count++] = sample_event(&story->offers[step]);
            else
                facts[fact_count++] = &story->facts[step - story->offer_count].fact;
        }
        apply_events(f, events, event_count);
        apply_facts(f, facts, fact_count);
    }
}

/* --- what is compared --- */

/* Without what belongs to this Redis alone: its clocks, leases and counts of arrivals. */
static char *shown(json_t *conversation)
{
    static const char *const own[] = { "tick",  "last_event", "owner",    "fence",
                                       "lease", "seen_tick",  "has_risen" };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        (void)json_object_del(conversation, own[i]);
    size_t at = 0;
    json_t *event = NULL;
    json_array_foreach(json_object_get(conversation, "events"), at, event)
    {
        (void)json_object_del(event, "n");
        (void)json_object_del(event, "applied_at_ms");
    }
    return json_dumps(conversation, JSON_SORT_KEYS | JSON_INDENT(1));
}

/* It waits where it says, and nowhere else. */
static void check_place(struct fixture *f, const json_t *conversation, const char *id)
{
    const char *queue = json_string_value(json_object_get(conversation, "queue"));
    bool is_open = strcmp(json_string_value(json_object_get(conversation, "state")), "open") == 0;
    long long places = redis_server_number(
        f->server,
        "EVAL "
        "local\tn=0\tfor\t_,q\tin\tipairs(redis.call('SMEMBERS','desg:{testforce}:queues'))do\t"
        "n=n+redis.call('ZCARD','desg:{testforce}:queue:'..q)end\treturn\tn 0");
    assert_int_equal(places, is_open);
    if (!is_open)
        return;
    char *score = redis_server_ask(f->server, "ZSCORE desg:{testforce}:queue:%s %s", queue, id);
    if ((long long)json_number_value(json_object_get(conversation, "score")) !=
        strtoll(score, NULL, 10))
        fail_msg("waits at %s in %s", score, queue);
    free(score);
}

/* Whatever was urgent by its verdict has its alert, closed or not. */
static void check_alerts(struct fixture *f, const json_t *conversation)
{
    size_t at = 0;
    json_t *event = NULL;
    json_array_foreach(json_object_get(conversation, "events"), at, event)
    {
        const json_t *verdict = json_object_get(event, "verdict");
        const char *kind = json_string_value(json_object_get(event, "kind"));
        if (!json_is_true(json_object_get(verdict, "is_urgent")) || strcmp(kind, "echo") == 0)
            continue;
        struct id id, alert;
        assert_int_equal(id_parse(json_string_value(json_object_get(event, "event")), &id), 0);
        alert = id_of_alert(id.bytes);
        json_t *found = NULL;
        struct error err = { 0 };
        assert_int_equal(store_alert_get(f->store, &alert, &found, &err), 0);
        assert_non_null(found);
        assert_true(json_integer_value(json_object_get(found, "severity")) >= URGENT);
        json_decref(found);
    }
}

static char *state_after(struct fixture *f, const struct story *story)
{
    json_t *conversation = NULL;
    struct error err = { 0 };
    char id[ID_TEXT_BYTES];
    id_text(story->offers[0].conversation.bytes, id);
    if (store_conversation(f->store, &story->offers[0].conversation, &conversation, &err) != 0)
        fail_msg("conversation: %s", err.text);
    check_place(f, conversation, id);
    check_alerts(f, conversation);
    char *text = shown(conversation);
    json_decref(conversation);
    return text;
}

static void print_order(const struct story *story, const unsigned *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stderr, "%s%u ", steps[i] < story->offer_count ? "e" : "f", steps[i]);
    (void)fprintf(stderr, "\n");
}

static void every_order_of_arrival_gives_the_same_conversation(void **state)
{
    struct fixture *f = *state;
    struct story *story = calloc(1, sizeof *story);
    for (unsigned seed = sizes.first_seed; seed < sizes.first_seed + sizes.sets; seed++) {
        unsigned steps[STEPS_MAX], first_steps[STEPS_MAX];
        size_t first_count = 0;
        char *first = NULL;
        invent(story, seed);
        for (int order = 0; order < ORDERS; order++) {
            size_t count = make_order(story, steps);
            run_order(f, story, steps, count);
            char *now = state_after(f, story);
            if (!first) {
                first = now;
                first_count = count;
                memcpy(first_steps, steps, sizeof steps);
                continue;
            }
            if (strcmp(first, now) != 0) {
                print_order(story, first_steps, first_count);
                (void)fprintf(stderr, "%s\n", first);
                print_order(story, steps, count);
                (void)fprintf(stderr, "%s\n", now);
                fail_msg("seed %u: two orders, two conversations", seed);
            }
            free(now);
        }
        free(first);
    }
    free(story);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        sizes.sets = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        sizes.first_seed = (unsigned)strtoul(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_order_of_arrival_gives_the_same_conversation, empty,
                                        close_store),
    };
    return cmocka_run_group_tests_name("store fold", tests, set_up_server, tear_down_server);
}
