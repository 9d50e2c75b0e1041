#include "fixture.h"

#include "decision.h"

static const int64_t MINUTE_MS = 60000;

static void close_it(struct fixture *f, const struct id *conversation)
{
    json_t *json = NULL;
    struct error err = { 0 };
    if (store_claim(f->store, "agent-1", "", conversation, &json, &err) != 0)
        fail_msg("claim: %s", err.text);
    uint64_t fence = (uint64_t)json_integer_value(json_object_get(json, "fence"));
    json_decref(json);
    if (decision_close_now(f->store, "agent-1", conversation, fence, NULL, &err) != 0)
        fail_msg("close: %s", err.text);
}

static size_t archive(struct fixture *f, int64_t after_ms, size_t limit)
{
    size_t count = 0;
    struct error err = { 0 };
    if (store_archive(f->store, after_ms, limit, &count, &err) != 0)
        fail_msg("archive: %s", err.text);
    return count;
}

static long long fields_of(struct fixture *f, const struct id *conversation)
{
    char id[ID_TEXT_BYTES];
    id_text(conversation->bytes, id);
    return redis_server_number(f->server, "HLEN desg:{testforce}:conv:%s", id);
}

static void only_what_rested_long_enough_is_archived(void **state)
{
    struct fixture *f = *state;
    struct sample open, closed, quiet;
    sample_init(&open, 1, 1, T0, ROUTINE);
    sample_init(&closed, 2, 1, T0, ROUTINE);
    sample_init(&quiet, 3, 1, T0, ROUTINE);
    quiet.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    (void)apply_sample(f, &open);
    (void)apply_sample(f, &closed);
    (void)apply_sample(f, &quiet);
    close_it(f, &closed.conversation);
    assert_int_equal(archive(f, 60 * MINUTE_MS, 10), 0);
    assert_int_equal(archive(f, 0, 1), 1); /* no more than asked for */
    assert_int_equal(archive(f, 0, 10), 1);
    assert_int_equal(archive(f, 0, 10), 0);
    assert_field(f, &open.conversation, "state", "open");
    assert_field(f, &closed.conversation, "state", "archived");
    assert_field(f, &quiet.conversation, "state", "archived");
    assert_int_equal(fields_of(f, &closed.conversation), 1);
    json_t *json = NULL;
    struct error err = { 0 };
    assert_int_equal(store_claim(f->store, "agent-1", "", &closed.conversation, &json, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void a_conversation_opened_again_is_not_archived(void **state)
{
    struct fixture *f = *state;
    struct sample first, second;
    sample_init(&first, 1, 1, T0, ROUTINE);
    sample_init(&second, 1, 2, T0 + MINUTE_MS, ROUTINE);
    (void)apply_sample(f, &first);
    close_it(f, &first.conversation);
    (void)apply_sample(f, &second);
    assert_int_equal(archive(f, 0, 10), 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS desg:{testforce}:resting"), 0);
    assert_field(f, &first.conversation, "state", "open");
}

static void a_copy_of_what_is_archived_is_a_duplicate(void **state)
{
    struct fixture *f = *state;
    struct sample dated, undated, later;
    sample_init(&dated, 1, 1, T0, URGENT);
    sample_init(&undated, 1, 2, T0 + 1, ROUTINE);
    undated.event.platform_time_ms = 0;
    (void)apply_sample(f, &dated);
    (void)apply_sample(f, &undated);
    long long orders = alerts_in_stream(f);
    close_it(f, &dated.conversation);
    assert_int_equal(archive(f, 0, 10), 1);
    assert_int_equal(apply_sample(f, &dated), STORE_DUPLICATE);
    undated.event.received_at_ms += 60 * MINUTE_MS; /* another delivery of it */
    assert_int_equal(apply_sample(f, &undated), STORE_DUPLICATE);
    assert_field(f, &dated.conversation, "state", "archived");
    sample_init(&later, 1, 3, T0 + MINUTE_MS, ROUTINE);
    assert_int_equal(apply_sample(f, &later), STORE_NEW);
    assert_int_equal(apply_sample(f, &dated), STORE_DUPLICATE); /* still, beside newer ones */
    assert_field(f, &dated.conversation, "n", "1");
    assert_field(f, &dated.conversation, "severity", "1");
    assert_int_equal(alerts_in_stream(f), orders);
    sample_init(&later, 1, 4, T0 - MINUTE_MS, ROUTINE); /* late, but never seen */
    assert_int_equal(apply_sample(f, &later), STORE_NEW);
}

static void who_was_restricted_or_welsh_is_so_again_after_the_archive(void **state)
{
    struct fixture *f = *state;
    static const char *const queues[] = { "restricted", "cymraeg" };
    for (unsigned i = 0; i < 2; i++) {
        struct sample first, later;
        sample_init(&first, i, 1, T0, ROUTINE);
        if (i == 0)
            first.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
        else
            first.verdict.language = DESG__V1__LANGUAGE__LANGUAGE_CY;
        (void)apply_sample(f, &first);
        close_it(f, &first.conversation);
        assert_int_equal(archive(f, 0, 10), 1);
        char id[ID_TEXT_BYTES];
        id_text(first.conversation.bytes, id);
        assert_true(redis_server_number(f->server, "TTL desg:{testforce}:conv:%s", id) > 0);
        sample_init(&later, i, 2, T0 + MINUTE_MS, ROUTINE);
        (void)apply_sample(f, &later);
        assert_true(waits_in(f, queues[i], &first.conversation));
        assert_int_equal(redis_server_number(f->server, "TTL desg:{testforce}:conv:%s", id), -1);
        json_t *json = NULL;
        struct error err = { 0 };
        assert_int_equal(store_conversation(f->store, &first.conversation, &json, &err), 0);
        assert_int_equal(json_array_size(json_object_get(json, "events")), 1);
        assert_int_equal(json_integer_value(json_object_get(json, "archived_n")), 1);
        json_decref(json);
    }
}

static void facts_of_what_is_archived_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    struct error err = { 0 };
    sample_init(&sample, 1, 1, T0, ROUTINE);
    (void)apply_sample(f, &sample);
    struct decision note, close;
    decision_init(&note, 1, &sample.conversation, T0);
    decision_note(&note);
    decision_init(&close, 2, &sample.conversation, T0);
    decision_close(&close);
    decision_cover(&close, &sample.event_id, ROUTINE);
    const Desg__V1__Fact *facts[] = { &note.fact, &close.fact };
    assert_int_equal(store_facts_apply(f->store, facts, 2, f->history, &err), 0);
    assert_field(f, &sample.conversation, "state", "closed");
    assert_int_equal(archive(f, 0, 10), 1);
    assert_int_equal(store_facts_apply(f->store, facts, 2, f->history, &err), 0);
    assert_field(f, &sample.conversation, "state", "archived");
    assert_int_equal(fields_of(f, &sample.conversation), 1);
}

static long long sum_of_keys(struct fixture *f, const char *pattern, const char *what)
{
    return redis_server_number(
        f->server,
        "EVAL local\tn=0\tfor\t_,k\tin\tipairs(redis.call('KEYS',ARGV[1]))do\t"
        "n=n+(ARGV[2]=='keys'and\t1\tor\tredis.call('MEMORY','USAGE',k))end\treturn\tn 0 %s %s",
        pattern, what);
}

/* Many small calls take a person with thousands of messages too; a tombstone stays small. */
static void tombstones_are_small_and_expire_by_day(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 200, EACH = 40, EVENTS = PEOPLE * EACH };
    f->queues.tombstone_days = 3;
    for (unsigned person = 0; person < PEOPLE; person++) {
        struct sample sample;
        for (unsigned i = 0; i < EACH; i++) {
            sample_init(&sample, person, i, T0 + i, ROUTINE);
            (void)apply_sample(f, &sample);
        }
        close_it(f, &sample.conversation);
    }
    size_t archived = 0, part = 0, calls = 0;
    do {
        part = archive(f, 0, PEOPLE);
        archived += part;
        calls++;
    } while (part > 0);
    assert_int_equal(archived, PEOPLE);
    assert_true(calls > 3); /* each call is bounded in events */
    long long bytes = sum_of_keys(f, "desg:{testforce}:tombstones:*", "bytes");
    print_message("a tombstone takes %.1f bytes\n", (double)bytes / (EVENTS + PEOPLE));
    assert_true(bytes < 48LL * EVENTS);
    assert_int_equal(sum_of_keys(f, "desg:{testforce}:index:*", "keys"), 0);
    long long ttl_s = redis_server_number(
        f->server,
        "EVAL return\tredis.call('TTL',redis.call('KEYS','desg:{testforce}:tombstones:*')[1]) 0");
    assert_true(ttl_s > 3 * 86400LL - 60 && ttl_s <= 4 * 86400LL);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(only_what_rested_long_enough_is_archived),
        T(a_conversation_opened_again_is_not_archived),
        T(a_copy_of_what_is_archived_is_a_duplicate),
        T(who_was_restricted_or_welsh_is_so_again_after_the_archive),
        T(facts_of_what_is_archived_change_nothing),
        T(tombstones_are_small_and_expire_by_day),
    };
    return cmocka_run_group_tests_name("store archive", tests, set_up_server, tear_down_server);
}
