/* Places and items: one owner at a time, what waits comes again until it is done, and every reason
 * for which something may not be sent just now. */
#include "fixture.h"

#include "clock/clock.h"
#include "decision.h"
#include "ids/reference.h"
#include "outgoing.h"

#define PLACE     "facebook:1001"
#define SECOND_MS 1000LL
enum { LEASE_MS = 60000 };

#define SENT    DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT
#define LATER   DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER
#define UNKNOWN DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN
#define REFUSED DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED
#define BLOCKED DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED
#define THERE   DESG__V1__SETTLED_AS__SETTLED_AS_THERE
#define AGAIN   DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN
#define BY_HAND DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND

/* --- helpers --- */

static struct store_owner take(struct fixture *f, const char *place, const char *name,
                               uint32_t lease_ms)
{
    struct store_owner owner;
    struct error err = { 0 };
    if (store_place_take(f->store, place, name, lease_ms, &owner, &err) != 0)
        fail_msg("take: %s", err.text);
    return owner;
}

static Desg__V1__Fact *unpacked(const struct store_fact_done *done)
{
    Desg__V1__Fact *fact = desg__v1__fact__unpack(NULL, done->fact_length, done->fact);
    assert_non_null(fact);
    return fact;
}

static Desg__V1__Fact *decided(struct fixture *f, const struct outgoing *what)
{
    struct store_fact_done done;
    struct error err = { 0 };
    if (store_outward_decide(f->store, &what->fact, true, &done, &err) != 0)
        fail_msg("decide: %s", err.text);
    Desg__V1__Fact *fact = unpacked(&done);
    free(done.fact);
    return fact;
}

static void forget(Desg__V1__Fact *fact)
{
    desg__v1__fact__free_unpacked(fact, NULL);
}

static void refused(struct fixture *f, const struct outgoing *what, const char *why)
{
    struct store_fact_done done;
    struct error err = { 0 };
    assert_int_equal(store_outward_decide(f->store, &what->fact, true, &done, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static uint64_t claim_it(struct fixture *f, const char *agent, const struct id *conversation)
{
    json_t *claim = NULL;
    struct error err = { 0 };
    if (store_claim(f->store, agent, "", conversation, &claim, &err) != 0)
        fail_msg("claim: %s", err.text);
    uint64_t fence = (uint64_t)json_integer_value(json_object_get(claim, "fence"));
    json_decref(claim);
    return fence;
}

static struct sample message(struct fixture *f, unsigned conversation, unsigned number,
                             int64_t at_ms)
{
    struct sample sample;
    sample_init(&sample, conversation, number, at_ms, ATTENTION);
    sample.event.object_id = (char *)"m_1";
    (void)apply_sample(f, &sample);
    return sample;
}

/* A message, claimed and answered. */
struct answered {
    struct sample sample;
    uint64_t fence;
    struct outgoing reply;
    Desg__V1__Fact *fact;
};

static void answer(struct fixture *f, struct answered *out, unsigned number)
{
    out->sample = message(f, number, 1, T0);
    out->fence = claim_it(f, "agent-1", &out->sample.conversation);
    outgoing_init(&out->reply, number, "agent-1", clock_unix_ms());
    outgoing_reply(&out->reply, &out->sample.conversation, out->fence, &out->sample.event_id, NULL);
    out->fact = decided(f, &out->reply);
}

static size_t read_all(struct fixture *f, const char *place, const char *name, char *cursor,
                       struct store_item *items, size_t max)
{
    size_t count = 0;
    struct error err = { 0 };
    if (store_outbox_read(f->store, place, name, cursor, items, max, &count, &err) != 0)
        fail_msg("read: %s", err.text);
    return count;
}

static struct store_begin_answer begin_part(struct fixture *f, const Desg__V1__OutboxItem *item,
                                            uint64_t fence, uint32_t part, uint32_t parts)
{
    const struct store_begin_ask ask = {
        .item = item, .part = part, .parts = parts, .owner_fence = fence
    };
    struct store_begin_answer out;
    struct error err = { 0 };
    if (store_item_begin(f->store, &ask, &out, &err) != 0)
        fail_msg("begin: %s", err.text);
    return out;
}

static enum store_begin begin(struct fixture *f, const Desg__V1__OutboxItem *item, uint64_t fence)
{
    return begin_part(f, item, fence, 0, 1).begin;
}

static void say(struct fixture *f, const struct said *said)
{
    const Desg__V1__OutwardFact *facts[] = { &said->fact };
    struct error err = { 0 };
    if (store_outward_apply(f->store, facts, 1, "notify-0", f->history, &err) != 0)
        fail_msg("apply: %s", err.text);
}

static void say_result(struct fixture *f, const struct id *item, Desg__V1__SendOutcome outcome,
                       int64_t at_ms, const char *object_id, bool is_last)
{
    struct said said;
    said_result(&said, item, 0, outcome, at_ms, object_id, is_last);
    say(f, &said);
}

static json_t *get(struct fixture *f, const struct id *item)
{
    json_t *row = NULL;
    struct error err = { 0 };
    if (store_item_get(f->store, item, &row, &err) != 0)
        fail_msg("get: %s", err.text);
    return row;
}

static void assert_state(struct fixture *f, const struct id *item, const char *state)
{
    json_t *row = get(f, item);
    assert_non_null(row);
    assert_string_equal(json_string_value(json_object_get(row, "state")), state);
    json_decref(row);
}

static size_t waiting(struct fixture *f, const char *state)
{
    json_t *rows = NULL;
    struct error err = { 0 };
    if (store_items_waiting(f->store, state, 100, &rows, &err) != 0)
        fail_msg("waiting: %s", err.text);
    size_t count = json_array_size(rows);
    json_decref(rows);
    return count;
}

/* --- places --- */

static void a_place_has_one_owner_until_its_lease_ends(void **state)
{
    struct fixture *f = *state;
    struct store_owner first = take(f, PLACE, "notify-0", LEASE_MS);
    assert_true(first.is_ours);
    struct store_owner other = take(f, PLACE, "notify-1", LEASE_MS);
    assert_false(other.is_ours);
    assert_string_equal(other.name, "notify-0");
    assert_int_equal(take(f, PLACE, "notify-0", 1).fence, first.fence); /* prolonged; now short */
    int64_t deadline_ms = clock_monotonic_ms() + 10 * SECOND_MS;
    while (!other.is_ours && clock_monotonic_ms() < deadline_ms)
        other = take(f, PLACE, "notify-1", LEASE_MS);
    assert_true(other.is_ours);
    assert_true(other.fence > first.fence);
    assert_false(take(f, PLACE, "notify-0", LEASE_MS).is_ours);
}

static void a_place_left_is_free_at_once_and_only_for_who_held_it(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    assert_int_equal(store_place_leave(f->store, PLACE, "notify-1", &err), 0);
    assert_false(take(f, PLACE, "notify-1", LEASE_MS).is_ours);
    assert_int_equal(store_place_leave(f->store, PLACE, "notify-0", &err), 0);
    struct store_owner next = take(f, PLACE, "notify-1", LEASE_MS);
    assert_true(next.is_ours);
    assert_true(next.fence > fence);
}

/* --- the stream --- */

static void items_come_again_to_each_owner_until_they_are_done(void **state)
{
    struct fixture *f = *state;
    struct answered first, second;
    struct store_item items[4];
    struct error err = { 0 };
    char cursor[32] = "0";
    answer(f, &first, 1);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 0); /* nobody's */
    (void)take(f, PLACE, "notify-0", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 1);
    assert_false(items[0].is_again);
    assert_string_equal(cursor, ">");
    store_items_clear(items, 1);
    answer(f, &second, 2);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 1); /* the new one alone */
    store_items_clear(items, 1);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 0);
    assert_int_equal(store_place_leave(f->store, PLACE, "notify-0", &err), 0);
    (void)take(f, PLACE, "notify-1", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 0);
    (void)snprintf(cursor, sizeof cursor, "0");
    assert_int_equal(read_all(f, PLACE, "notify-1", cursor, items, 4), 2);
    assert_true(items[0].is_again && items[1].is_again);
    const char *done[] = { items[0].stream_id };
    assert_int_equal(store_outbox_done(f->store, PLACE, done, 1, &err), 0);
    store_items_clear(items, 2);
    assert_int_equal(read_all(f, PLACE, "notify-1", cursor, items, 4), 0); /* now it is ">" */
    (void)snprintf(cursor, sizeof cursor, "0");
    assert_int_equal(read_all(f, PLACE, "notify-1", cursor, items, 4), 1);
    store_items_clear(items, 1);
    json_t *places = NULL;
    assert_int_equal(store_places(f->store, &places, &err), 0);
    json_t *place = json_object_get(places, PLACE);
    assert_int_equal(json_integer_value(json_object_get(place, "waiting")), 1);
    assert_string_equal(json_string_value(json_object_get(place, "owner")), "notify-1");
    json_decref(places);
    forget(first.fact);
    forget(second.fact);
}

/* --- replies --- */

static void a_reply_is_addressed_from_the_message_it_answers(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct store_item item;
    char cursor[32] = "0";
    answer(f, &a, 1);
    const Desg__V1__OutboxItem *filled = a.fact->replied->item;
    assert_string_equal(filled->place, PLACE);
    assert_memory_equal(filled->id.data, a.reply.id.bytes, ID_BYTES);
    assert_string_equal(filled->reply->person, "2002");
    assert_string_equal(filled->reply->object_id, "m_1");
    assert_memory_equal(filled->reply->event_id.data, a.sample.event_id.bytes, ID_BYTES);
    assert_string_equal(filled->reply->agent, "agent-1");
    assert_false(filled->reply->is_urgent);
    (void)take(f, PLACE, "notify-0", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 1);
    Desg__V1__OutboxItem *read = desg__v1__outbox_item__unpack(NULL, item.length, item.bytes);
    assert_string_equal(read->reply->text, filled->reply->text);
    desg__v1__outbox_item__free_unpacked(read, NULL);
    store_items_clear(&item, 1);
    struct store_fact_done again;
    struct error err = { 0 };
    assert_int_equal(store_outward_decide(f->store, &a.reply.fact, true, &again, &err), 0);
    assert_true(again.is_repeat);
    free(again.fact);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 0);
    json_t *shown = NULL;
    assert_int_equal(store_conversation(f->store, &a.sample.conversation, &shown, &err), 0);
    json_t *fact = json_array_get(json_object_get(shown, "facts"), 0);
    assert_string_equal(json_string_value(json_object_get(fact, "what")), "replied");
    assert_string_equal(json_string_value(json_object_get(fact, "text")), filled->reply->text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(fact, "item"), "state")),
                        "queued");
    assert_int_equal(json_integer_value(json_object_get(shown, "last_person_at_ms")), T0 - 500);
    json_decref(shown);
    forget(a.fact);
}

static void replies_are_refused_without_claim_or_address(void **state)
{
    struct fixture *f = *state;
    struct sample first = message(f, 1, 1, T0);
    struct outgoing reply;
    outgoing_init(&reply, 1, "agent-1", T0);
    outgoing_reply(&reply, &first.conversation, 1, NULL, NULL);
    refused(f, &reply, "the claim has ended");
    uint64_t fence = claim_it(f, "agent-2", &first.conversation);
    outgoing_reply(&reply, &first.conversation, fence, NULL, NULL);
    refused(f, &reply, "another agent holds it");
    reply.fact.agent = (char *)"agent-2";
    struct id other = sample_id("no", 1, 1);
    outgoing_reply(&reply, &first.conversation, fence, NULL, &other);
    refused(f, &reply, "not in this conversation");
    outgoing_reply(&reply, &first.conversation, fence + 1, NULL, NULL);
    refused(f, &reply, "is stale");
    struct sample second = message(f, 1, 2, T0 + SECOND_MS);
    outgoing_reply(&reply, &first.conversation, fence, &first.event_id, NULL);
    refused(f, &reply, "something newer came");
    outgoing_reply(&reply, &first.conversation, fence, NULL, NULL);
    refused(f, &reply, "something newer came"); /* since the claim */
    outgoing_reply(&reply, &first.conversation, fence, NULL, &second.event_id);
    forget(decided(f, &reply));
    reply.reply.text = (char *)"";
    refused(f, &reply, "text");
}

static void what_cannot_be_answered_is_said_with_the_way_that_is_left(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *why;
        bool is_public, is_standby, is_web, is_hidden;
    } cases[] = { { "in public", true, false, false, false },
                  { "another app", false, true, false, false },
                  { "e-mail", false, false, true, false },
                  { "does not say who", false, false, false, true } };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        struct outgoing reply;
        sample_init(&sample, i, 1, T0, ATTENTION);
        sample.event.is_public = cases[i].is_public;
        sample.event.is_standby = cases[i].is_standby;
        if (cases[i].is_web)
            sample.event.channel = (char *)"web";
        if (cases[i].is_hidden)
            sample.event.person = (char *)"";
        (void)apply_sample(f, &sample);
        outgoing_init(&reply, i, "agent-1", T0);
        outgoing_reply(&reply, &sample.conversation, claim_it(f, "agent-1", &sample.conversation),
                       NULL, NULL);
        refused(f, &reply, cases[i].why);
    }
}

/* --- may it be sent? --- */

static void an_item_is_begun_once_and_by_the_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    answer(f, &a, 1);
    const Desg__V1__OutboxItem *item = a.fact->replied->item;
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    assert_int_equal(begin(f, item, fence + 1), STORE_BEGIN_NOT_OWNER);
    struct store_begin_answer now = begin_part(f, item, fence, 0, 1);
    assert_int_equal(now.begin, STORE_BEGIN_NOW);
    assert_int_equal(now.last_person_at_ms, T0 - 500);
    assert_int_equal(strlen(now.history), STORE_HISTORY_BYTES - 1);
    assert_state(f, &a.reply.id, "sending");
    assert_int_equal(begin(f, item, fence), STORE_BEGIN_STARTED);
    say_result(f, &a.reply.id, LATER, now.at_ms, "", false);
    assert_state(f, &a.reply.id, "later");
    struct store_begin_answer again = begin_part(f, item, fence, 0, 1);
    assert_int_equal(again.begin, STORE_BEGIN_NOW);
    assert_true(again.at_ms > now.at_ms);
    say_result(f, &a.reply.id, SENT, again.at_ms, "m_out", true);
    assert_state(f, &a.reply.id, "sent");
    assert_int_equal(begin(f, item, fence), STORE_BEGIN_OVER);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
    forget(a.fact);
}

static void a_reply_goes_stale_when_claimed_again_or_when_the_person_writes(void **state)
{
    struct fixture *f = *state;
    struct answered a, b;
    answer(f, &a, 1);
    answer(f, &b, 2);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    (void)claim_it(f, "agent-1", &a.sample.conversation);
    struct store_begin_answer stale = begin_part(f, a.fact->replied->item, fence, 0, 1);
    assert_int_equal(stale.begin, STORE_BEGIN_STALE);
    assert_non_null(strstr(stale.reason, "claimed again"));
    (void)message(f, 2, 2, T0 + SECOND_MS);
    stale = begin_part(f, b.fact->replied->item, fence, 0, 1);
    assert_int_equal(stale.begin, STORE_BEGIN_STALE);
    assert_non_null(strstr(stale.reason, "something newer came"));
    assert_state(f, &b.reply.id, "queued");
    forget(a.fact);
    forget(b.fact);
}

static void a_reply_in_parts_goes_on_to_its_end(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct said said;
    answer(f, &a, 1);
    const Desg__V1__OutboxItem *item = a.fact->replied->item;
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    int64_t at_ms = begin_part(f, item, fence, 0, 2).at_ms;
    say_result(f, &a.reply.id, SENT, at_ms, "m_a", false);
    assert_state(f, &a.reply.id, "queued");
    (void)message(f, 1, 2, T0 + SECOND_MS); /* half of it is out: the rest follows */
    assert_int_equal(begin_part(f, item, fence, 0, 2).begin, STORE_BEGIN_OVER);
    struct store_begin_answer second = begin_part(f, item, fence, 1, 2);
    assert_int_equal(second.begin, STORE_BEGIN_NOW);
    said_result(&said, &a.reply.id, 1, SENT, second.at_ms, "m_b", true);
    say(f, &said);
    json_t *row = get(f, &a.reply.id);
    assert_string_equal(json_string_value(json_object_get(row, "state")), "sent");
    assert_int_equal(json_integer_value(json_object_get(row, "parts_sent")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(row, "object_ids"), 1)),
                        "m_b");
    json_decref(row);
    forget(a.fact);
}

/* --- unknown, refused, settled --- */

static void the_unknown_waits_for_a_person_and_is_settled_each_way(void **state)
{
    struct fixture *f = *state;
    static const struct {
        Desg__V1__SettledAs as;
        const char *state;
        enum store_begin begin;
    } cases[] = { { THERE, "settled", STORE_BEGIN_OVER },
                  { AGAIN, "queued", STORE_BEGIN_NOW },
                  { BY_HAND, "settled", STORE_BEGIN_OVER } };
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    char cursor[32] = "0";
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answered a;
        struct outgoing settle;
        struct error err = { 0 };
        answer(f, &a, i);
        outgoing_init(&settle, 100 + i, "agent-2", T0); /* a clock that is far behind */
        outgoing_settle(&settle, &a.reply.id, cases[i].as);
        refused(f, &settle, "nothing to be settled");
        int64_t at_ms = begin_part(f, a.fact->replied->item, fence, 0, 1).at_ms;
        say_result(f, &a.reply.id, UNKNOWN, at_ms + 1, "", false);
        assert_state(f, &a.reply.id, "unknown");
        assert_int_equal(waiting(f, "unknown"), 1);
        assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_STARTED);
        Desg__V1__Fact *fact = decided(f, &settle);
        assert_true(fact->at_ms > at_ms + 1);
        assert_state(f, &a.reply.id, cases[i].state);
        assert_int_equal(waiting(f, "unknown"), 0);
        Desg__V1__SendSettled *told[2];
        size_t count = 0;
        assert_int_equal(store_settled_read(f->store, cursor, told, 2, &count, &err), 0);
        assert_int_equal(count, 1);
        assert_memory_equal(told[0]->item_id.data, a.reply.id.bytes, ID_BYTES);
        assert_int_equal(told[0]->as, cases[i].as);
        assert_int_equal(told[0]->at_ms, fact->at_ms);
        assert_string_equal(told[0]->agent, "agent-2");
        desg__v1__send_settled__free_unpacked(told[0], NULL);
        assert_int_equal(begin(f, a.fact->replied->item, fence), cases[i].begin);
        forget(fact);
        forget(a.fact);
    }
}

static void the_refused_is_a_task_and_may_be_sent_again(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct outgoing settle;
    struct store_item item;
    char cursor[32] = "0";
    answer(f, &a, 1);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 1);
    store_items_clear(&item, 1);
    int64_t at_ms = begin_part(f, a.fact->replied->item, fence, 0, 1).at_ms;
    say_result(f, &a.reply.id, REFUSED, at_ms, "", true);
    assert_state(f, &a.reply.id, "refused");
    assert_int_equal(waiting(f, "task"), 1);
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_OVER);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
    outgoing_init(&settle, 100, "agent-1", at_ms);
    outgoing_settle(&settle, &a.reply.id, THERE);
    refused(f, &settle, "it is not there");
    outgoing_settle(&settle, &a.reply.id, AGAIN);
    forget(decided(f, &settle));
    assert_int_equal(waiting(f, "task"), 0);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 1); /* it is there again */
    store_items_clear(&item, 1);
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_NOW);
    forget(a.fact);
}

static void a_blocked_item_blocks_its_place_visibly_and_stays(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct error err = { 0 };
    answer(f, &a, 1);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    int64_t at_ms = begin_part(f, a.fact->replied->item, fence, 0, 1).at_ms;
    say_result(f, &a.reply.id, BLOCKED, at_ms, "", false);
    json_t *places = NULL;
    assert_int_equal(store_places(f->store, &places, &err), 0);
    json_t *place = json_object_get(places, PLACE);
    assert_true(json_is_true(json_object_get(place, "blocked")));
    assert_int_equal(json_integer_value(json_object_get(place, "waiting")), 1);
    json_decref(places);
    assert_int_equal(waiting(f, "task"), 1);
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_NOW); /* mended */
    assert_int_equal(waiting(f, "task"), 0);
    forget(a.fact);
}

/* --- what comes in about what went out --- */

static void hear(struct fixture *f, Desg__V1__EventKind kind, const char *raw_kind, const char *ref,
                 const char *object_id)
{
    static unsigned number = 1000;
    struct sample sample;
    sample_init(&sample, 900, number++, clock_unix_ms(), ROUTINE);
    sample.event.kind = kind;
    sample.event.raw_kind = (char *)raw_kind;
    sample.event.outward_ref = (char *)ref;
    sample.event.object_id = (char *)object_id;
    (void)apply_sample(f, &sample);
}

static void an_echo_of_ours_is_found_by_its_mark(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct error err = { 0 };
    char mark[64], id[ID_TEXT_BYTES], object[64] = "-";
    answer(f, &a, 1);
    id_text(a.reply.id.bytes, id);
    (void)snprintf(mark, sizeof mark, "desk:%s/0", id);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    assert_int_equal(store_item_echo(f->store, &a.reply.id, 0, object, sizeof object, &err), 0);
    assert_string_equal(object, "");
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_ECHO, "message", mark, "m_echo");
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_ECHO, "message", "", "m_other");
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_ECHO, "message", "desk:nothing", "m_third");
    assert_int_equal(store_item_echo(f->store, &a.reply.id, 0, object, sizeof object, &err), 0);
    assert_string_equal(object, "m_echo");
    /* It came back, so it was sent, whatever was noted of it. */
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_STARTED);
    forget(a.fact);
}

static void what_became_of_a_message_is_shown_and_a_failure_is_a_task(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct outgoing settle;
    answer(f, &a, 1);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    int64_t at_ms = begin_part(f, a.fact->replied->item, fence, 0, 1).at_ms;
    say_result(f, &a.reply.id, SENT, at_ms, "wamid-1", true);
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME, "read", "", "wamid-1");
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME, "delivered", "", "wamid-1");
    json_t *row = get(f, &a.reply.id);
    assert_string_equal(json_string_value(json_object_get(row, "outcome")), "read");
    json_decref(row);
    hear(f, DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME, "failed", "", "wamid-1");
    assert_state(f, &a.reply.id, "refused");
    assert_int_equal(waiting(f, "task"), 1);
    outgoing_init(&settle, 100, "agent-1", clock_unix_ms() + SECOND_MS);
    outgoing_settle(&settle, &a.reply.id, AGAIN);
    forget(decided(f, &settle));
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_NOW);
    say_result(f, &a.reply.id, SENT, clock_unix_ms() + 2 * SECOND_MS, "wamid-2", true);
    assert_state(f, &a.reply.id, "sent");
    forget(a.fact);
}

/* --- receipts --- */

static void set_receipts(struct fixture *f, uint32_t hours)
{
    static char *sensitive[] = { (char *)"domestic-abuse" };
    f->queues.receipt_after_hours = hours;
    f->queues.sensitive_categories = sensitive;
    f->queues.sensitive_categories_count = 1;
}

static long long receipts(struct fixture *f)
{
    return redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE);
}

static void the_first_message_is_acknowledged_once_in_so_many_hours(void **state)
{
    struct fixture *f = *state;
    const int64_t now_ms = clock_unix_ms(), hour_ms = 3600 * SECOND_MS;
    struct store_item item;
    char cursor[32] = "0";
    struct error err = { 0 };
    set_receipts(f, 0);
    (void)message(f, 1, 1, now_ms);
    assert_int_equal(receipts(f), 0); /* off */
    set_receipts(f, 24);
    struct sample second = message(f, 1, 2, now_ms);
    (void)message(f, 1, 3, now_ms);
    assert_int_equal(apply_sample(f, &second), STORE_DUPLICATE);
    assert_int_equal(receipts(f), 1);
    (void)take(f, PLACE, "notify-0", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 1);
    Desg__V1__OutboxItem *read = desg__v1__outbox_item__unpack(NULL, item.length, item.bytes);
    assert_int_equal(read->what_case, DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT);
    assert_string_equal(read->place, PLACE);
    assert_memory_equal(read->receipt->event_id.data, second.event_id.bytes, ID_BYTES);
    assert_string_equal(read->receipt->person, "2002");
    assert_int_equal(read->receipt->language, DESG__V1__LANGUAGE__LANGUAGE_EN);
    assert_false(read->receipt->is_sensitive);
    json_t *shown = NULL;
    assert_int_equal(store_conversation(f->store, &second.conversation, &shown, &err), 0);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(shown, "receipt"), "state")), "queued");
    json_decref(shown);
    desg__v1__outbox_item__free_unpacked(read, NULL);
    store_items_clear(&item, 1);
    char conversation[ID_TEXT_BYTES];
    id_text(second.conversation.bytes, conversation);
    free(redis_server_ask(f->server, "SET desg:{testforce}:receipt:%s %lld", conversation,
                          (long long)(now_ms - 25 * hour_ms)));
    (void)message(f, 1, 4, now_ms);
    assert_int_equal(receipts(f), 2);
}

static void only_live_private_words_of_a_person_are_acknowledged(void **state)
{
    struct fixture *f = *state;
    const int64_t now_ms = clock_unix_ms();
    set_receipts(f, 24);
    for (unsigned i = 0; i < 6; i++) {
        struct sample sample;
        struct store_result result;
        struct error err = { 0 };
        sample_init(&sample, i, 1, i == 4 ? now_ms - 660 * SECOND_MS : now_ms, ROUTINE);
        sample.event.is_public = i == 0;
        sample.event.is_standby = i == 1;
        if (i == 2)
            sample.event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_REACTION;
        if (i == 5)
            sample.event.person = (char *)"";
        sample_pack(&sample);
        struct store_event event = sample_event(&sample);
        event.is_replayed = i == 3;
        assert_int_equal(store_apply(f->store, &event, 1, &result, f->history, &err), 0);
        assert_int_equal(result.outcome, STORE_NEW);
    }
    assert_int_equal(receipts(f), 0);
}

static void a_receipt_says_nothing_of_what_is_sensitive_or_not_known(void **state)
{
    struct fixture *f = *state;
    struct store_item items[4];
    char cursor[32] = "0";
    set_receipts(f, 24);
    for (unsigned i = 0; i < 4; i++) {
        struct sample sample;
        sample_init(&sample, i, 1, clock_unix_ms(), REVIEW);
        if (i == 1)
            sample.verdict.category = (char *)"domestic-abuse";
        if (i == 2)
            sample.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
        sample.verdict.is_unclassified = i == 3;
        (void)apply_sample(f, &sample);
    }
    (void)take(f, PLACE, "notify-0", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 4), 4);
    for (unsigned i = 0; i < 4; i++) {
        Desg__V1__OutboxItem *read =
            desg__v1__outbox_item__unpack(NULL, items[i].length, items[i].bytes);
        assert_int_equal(read->receipt->is_sensitive, i > 0);
        desg__v1__outbox_item__free_unpacked(read, NULL);
    }
    store_items_clear(items, 4);
}

/* Says in how many languages the receipts of conversations 1 … count are to go out. */
static void assert_receipt_languages(struct fixture *f, const Desg__V1__Language *expected,
                                     size_t count)
{
    struct store_item items[8];
    char cursor[32] = "0";
    (void)take(f, PLACE, "notify-0", LEASE_MS);
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, items, 8), count);
    for (size_t i = 0; i < count; i++) {
        Desg__V1__OutboxItem *read =
            desg__v1__outbox_item__unpack(NULL, items[i].length, items[i].bytes);
        Desg__V1__Language language =
            read->language ? read->language : read->receipt->language; /* as notify has it */
        if (language != expected[i])
            fail_msg("receipt %zu in language %d, not %d", i, (int)language, (int)expected[i]);
        desg__v1__outbox_item__free_unpacked(read, NULL);
    }
    store_items_clear(items, count);
}

static void say_in(struct fixture *f, unsigned conversation, unsigned number,
                   Desg__V1__Language language)
{
    struct sample sample;
    sample_init(&sample, conversation, number, clock_unix_ms(), ROUTINE);
    sample.verdict.language = language;
    (void)apply_sample(f, &sample);
}

static void wish(struct fixture *f, unsigned conversation, unsigned number,
                 Desg__V1__Language language)
{
    struct id id = sample_id("co", conversation, 0);
    struct decision decision;
    struct error err = { 0 };
    decision_init(&decision, number, &id, T0 + number);
    decision_wish(&decision, language);
    const Desg__V1__Fact *fact = &decision.fact;
    if (store_facts_apply(f->store, &fact, 1, f->history, &err) != 0)
        fail_msg("%s", err.text);
}

static void a_receipt_is_in_the_language_wished_or_the_conversation_s(void **state)
{
    static const Desg__V1__Language en = DESG__V1__LANGUAGE__LANGUAGE_EN,
                                    cy = DESG__V1__LANGUAGE__LANGUAGE_CY,
                                    mixed = DESG__V1__LANGUAGE__LANGUAGE_MIXED,
                                    unsure = DESG__V1__LANGUAGE__LANGUAGE_UNSURE,
                                    none = DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 3; i++) /* what they wrote before */
        say_in(f, i, 1, i == 3 ? unsure : cy);
    set_receipts(f, 24);
    say_in(f, 1, 2, unsure); /* two words: as the conversation */
    say_in(f, 2, 2, en);     /* enough words to tell: as they are */
    say_in(f, 3, 2, unsure); /* nobody knows */
    wish(f, 4, 1, cy);
    say_in(f, 4, 1, en); /* what the person said counts most */
    wish(f, 5, 2, cy);
    wish(f, 5, 3, mixed);
    say_in(f, 5, 1, en); /* the latest wish */
    wish(f, 6, 4, cy);
    wish(f, 6, 5, none);
    say_in(f, 6, 1, en); /* taken back */
    assert_receipt_languages(f, (Desg__V1__Language[]){ cy, en, unsure, cy, mixed, en }, 6);
}

/* --- an emptied Redis --- */

/* Notify's journal has it. */
static void accepted_by(struct fixture *f, const struct answered *a, const char *name)
{
    struct error err = { 0 };
    Desg__V1__OutwardFact accepted = DESG__V1__OUTWARD_FACT__INIT;
    const Desg__V1__OutwardFact *notes[] = { &accepted };
    accepted.fact_case = DESG__V1__OUTWARD_FACT__FACT_ACCEPTED;
    accepted.accepted = a->fact->replied->item;
    if (store_outward_apply(f->store, notes, 1, name, f->history, &err) != 0)
        fail_msg("accepted: %s", err.text);
}

static void empty_redis(struct fixture *f)
{
    free(redis_server_ask(f->server, "FLUSHALL"));
    store_destroy(&f->store);
    f->store = open_store(f);
}

/* The replica that sent it, and its journal, may be gone for good with the Redis it told. */
static void into_an_emptied_redis_nothing_comes_back_to_be_sent_blind(void **state)
{
    struct fixture *f = *state;
    struct outgoing there;
    struct answered a;
    struct error err = { 0 };
    answer(f, &a, 1);
    empty_redis(f);
    const Desg__V1__Fact *facts[] = { a.fact };
    (void)take(f, PLACE, "notify-1", LEASE_MS);
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    assert_state(f, &a.reply.id, "unknown");
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
    outgoing_init(&there, 100, "agent-1", clock_unix_ms());
    outgoing_settle(&there, &a.reply.id, THERE);
    forget(decided(f, &there));
    assert_state(f, &a.reply.id, "settled");
    assert_int_equal(waiting(f, "unknown"), 0);
    forget(a.fact);
}

static void sources_tell(struct fixture *f, const struct id *source, bool is_caught_up)
{
    struct error err = { 0 };
    char history[STORE_HISTORY_BYTES];
    struct store_mark mark;
    if (store_hello(f->store, source, &mark, history, &err) != 0 ||
        store_source_report(f->store, source, "outbox", "notify", is_caught_up, history, &err) != 0)
        fail_msg("report: %s", err.text);
}

static size_t found(struct fixture *f, int64_t since_ms, const char *const *sources, size_t count)
{
    size_t found = 0;
    struct error err = { 0 };
    if (store_items_find(f->store, since_ms, sources, count, &found, &err) != 0)
        fail_msg("find: %s", err.text);
    return found;
}

static void once_all_who_send_have_told_theirs_what_nobody_took_goes_out(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct error err = { 0 };
    const struct id first = { { 1 } }, second = { { 2 } };
    char names[2][ID_TEXT_BYTES];
    const char *const sources[] = { names[0], names[1] };
    id_text(first.bytes, names[0]);
    id_text(second.bytes, names[1]);
    answer(f, &a, 1);
    empty_redis(f);
    const Desg__V1__Fact *facts[] = { a.fact };
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    int64_t born_ms = clock_unix_ms() - 10 * SECOND_MS;
    free(redis_server_ask(f->server, "SET desg:{testforce}:born %lld", (long long)born_ms));
    sources_tell(f, &first, true);
    assert_int_equal(found(f, born_ms - 1, sources, 2), 0); /* one is missing */
    sources_tell(f, &second, false);
    assert_int_equal(found(f, born_ms - 1, sources, 2), 0); /* it has not told all */
    sources_tell(f, &second, true);
    assert_int_equal(found(f, born_ms, sources, 2), 0); /* who knows what was before? */
    assert_state(f, &a.reply.id, "unknown");
    assert_int_equal(found(f, born_ms - 1, sources, 2), 1);
    assert_state(f, &a.reply.id, "queued");
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 1);
    assert_int_equal(found(f, born_ms - 1, sources, 2), 0);
    forget(a.fact);
}

/* Taken long ago, and forgotten since, by a journal that had no room for more? */
static void what_should_have_been_taken_long_before_is_a_persons(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct error err = { 0 };
    const struct id source = { { 1 } };
    char name[ID_TEXT_BYTES];
    const char *const sources[] = { name };
    id_text(source.bytes, name);
    answer(f, &a, 1);
    a.fact->at_ms -= 20 * 60 * SECOND_MS;
    a.fact->replied->item->decided_at_ms = a.fact->at_ms;
    empty_redis(f);
    const Desg__V1__Fact *facts[] = { a.fact };
    int64_t born_ms = clock_unix_ms() - 10 * SECOND_MS;
    free(redis_server_ask(f->server, "SET desg:{testforce}:born %lld", (long long)born_ms));
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    sources_tell(f, &source, true);
    assert_int_equal(found(f, born_ms - 1, sources, 1), 0);
    assert_state(f, &a.reply.id, "unknown");
    forget(a.fact);
}

/* What notify's journal has not begun was not sent; what was decided since has nobody to be gone.
 */
static void what_a_journal_of_notify_vouches_for_goes_on(void **state)
{
    struct fixture *f = *state;
    for (int is_young = 0; is_young < 2; is_young++) {
        struct answered a;
        struct error err = { 0 };
        empty_redis(f);
        answer(f, &a, 1);
        empty_redis(f);
        const Desg__V1__Fact *facts[] = { a.fact };
        if (is_young)
            free(redis_server_ask(f->server, "SET desg:{testforce}:born 1"));
        assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
        if (!is_young)
            accepted_by(f, &a, "notify-0");
        assert_state(f, &a.reply.id, "queued");
        assert_int_equal(waiting(f, "unknown"), 0);
        assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 1);
        forget(a.fact);
    }
}

static void what_comes_back_from_one_journal_waits_for_the_others(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct store_item item;
    struct error err = { 0 };
    char cursor[32] = "0";
    answer(f, &a, 1);
    free(redis_server_ask(f->server, "FLUSHALL"));
    store_destroy(&f->store);
    f->store = open_store(f);
    const Desg__V1__Fact *facts[] = { a.fact };
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_FROZEN);
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    (void)apply_sample(f, &a.sample);
    accepted_by(f, &a, "notify-0");
    assert_int_equal(read_all(f, PLACE, "notify-0", cursor, &item, 1), 1);
    assert_true(item.is_again);
    store_items_clear(&item, 1);
    struct store_begin_answer wait = begin_part(f, a.fact->replied->item, fence, 0, 1);
    assert_int_equal(wait.begin, STORE_BEGIN_FROZEN);
    assert_true(wait.until_ms > clock_unix_ms() - 10 * SECOND_MS);
    struct said sent;
    said_result(&sent, &a.reply.id, 0, SENT, clock_unix_ms(), "m_out", true);
    say(f, &sent);
    assert_int_equal(begin(f, a.fact->replied->item, fence), STORE_BEGIN_OVER);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
    assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
    forget(a.fact);
}

static void what_notify_may_have_forgotten_is_not_sent_by_itself(void **state)
{
    struct fixture *f = *state;
    for (int is_accepted = 0; is_accepted < 2; is_accepted++) {
        struct answered a;
        struct outgoing settle;
        struct error err = { 0 };
        free(redis_server_ask(f->server, "FLUSHALL"));
        store_destroy(&f->store);
        f->store = open_store(f);
        answer(f, &a, 1);
        a.fact->at_ms -= 90000 * SECOND_MS;
        a.fact->replied->item->decided_at_ms = a.fact->at_ms;
        free(redis_server_ask(f->server, "FLUSHALL"));
        store_destroy(&f->store);
        f->store = open_store(f);
        const Desg__V1__Fact *facts[] = { a.fact };
        Desg__V1__OutwardFact accepted = DESG__V1__OUTWARD_FACT__INIT;
        const Desg__V1__OutwardFact *notes[] = { &accepted };
        accepted.fact_case = DESG__V1__OUTWARD_FACT__FACT_ACCEPTED;
        accepted.accepted = a.fact->replied->item;
        assert_int_equal(store_facts_apply(f->store, facts, 1, f->history, &err), 0);
        assert_state(f, &a.reply.id, "unknown");
        assert_int_equal(waiting(f, "unknown"), 1);
        assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 0);
        if (is_accepted) { /* it has not: its journal has it, and nothing of its being sent */
            assert_int_equal(store_outward_apply(f->store, notes, 1, "notify-0", f->history, &err),
                             0);
        } else {
            outgoing_init(&settle, 100, "agent-1", clock_unix_ms());
            outgoing_settle(&settle, &a.reply.id, AGAIN);
            forget(decided(f, &settle));
        }
        assert_state(f, &a.reply.id, "queued");
        assert_int_equal(waiting(f, "unknown"), 0);
        assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:outbox:" PLACE), 1);
        forget(a.fact);
    }
}

static void one_fact_that_cannot_be_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    struct answered a;
    struct outgoing broken;
    struct said said;
    struct error err = { 0 };
    answer(f, &a, 1);
    outgoing_init(&broken, 50, "comms-1", T0);
    outgoing_draft(&broken, NULL); /* without id and version */
    free(redis_server_ask(f->server, "FLUSHALL"));
    const Desg__V1__Fact *facts[] = { &broken.fact, a.fact };
    assert_int_equal(store_facts_apply(f->store, facts, 2, f->history, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_state(f, &a.reply.id, "unknown"); /* it is there */
    said_result(&said, &a.reply.id, 0, SENT, T0, "m_out", true);
    const Desg__V1__OutwardFact *notes[2] = { NULL, &said.fact };
    Desg__V1__OutwardFact empty = DESG__V1__OUTWARD_FACT__INIT;
    notes[0] = &empty;
    assert_int_equal(store_outward_apply(f->store, notes, 2, "notify-0", f->history, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_state(f, &a.reply.id, "sent");
    assert_int_equal(store_outward_apply(f->store, NULL, 0, "notify-0", f->history, &err), 0);
    forget(a.fact);
}

static void an_item_tells_its_story(void **state)
{
    struct fixture *f = *state;
    static const char *const expected[] = { "reply_decided", "begun", "sent" };
    struct answered a;
    struct error err = { 0 };
    answer(f, &a, 1);
    uint64_t fence = take(f, PLACE, "notify-0", LEASE_MS).fence;
    int64_t at_ms = begin_part(f, a.fact->replied->item, fence, 0, 1).at_ms;
    say_result(f, &a.reply.id, SENT, at_ms + 1, "m_out", true);
    json_t *rows = NULL;
    assert_int_equal(store_trace(f->store, &a.reply.id, &rows, &err), 0);
    assert_int_equal(json_array_size(rows), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *row = json_array_get(rows, i);
        assert_string_equal(json_string_value(json_object_get(row, "what")), expected[i]);
        assert_non_null(json_object_get(row, "conversation"));
    }
    json_decref(rows);
    assert_int_equal(store_trace(f->store, &a.sample.event_id, &rows, &err), 0);
    assert_true(json_array_size(rows) >= 3 + 3);
    json_decref(rows);
    forget(a.fact);
}

static void a_reference_number_leads_to_its_conversation(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct sample sample = message(f, 1, 1, T0);
    struct id found;
    char reference[REFERENCE_BYTES];
    reference_write(&sample.conversation, reference);
    if (store_reference(f->store, reference, &found, &err) != 0)
        fail_msg("%s: %s", reference, err.text);
    assert_memory_equal(found.bytes, sample.conversation.bytes, ID_BYTES);
    static const char *const wrong[] = { "", "12345", "UUUUU-UUUUU", "00000-000000" };
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(store_reference(f->store, wrong[i], &found, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    assert_int_equal(store_reference(f->store, "00000-00000", &found, &err), -1);
    assert_non_null(strstr(err.text, "no conversation"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, empty, close_store)
    const struct CMUnitTest tests[] = {
        T(a_place_has_one_owner_until_its_lease_ends),
        T(a_place_left_is_free_at_once_and_only_for_who_held_it),
        T(items_come_again_to_each_owner_until_they_are_done),
        T(a_reply_is_addressed_from_the_message_it_answers),
        T(replies_are_refused_without_claim_or_address),
        T(what_cannot_be_answered_is_said_with_the_way_that_is_left),
        T(an_item_is_begun_once_and_by_the_owner_alone),
        T(a_reply_goes_stale_when_claimed_again_or_when_the_person_writes),
        T(a_reply_in_parts_goes_on_to_its_end),
        T(the_unknown_waits_for_a_person_and_is_settled_each_way),
        T(the_refused_is_a_task_and_may_be_sent_again),
        T(a_blocked_item_blocks_its_place_visibly_and_stays),
        T(an_echo_of_ours_is_found_by_its_mark),
        T(what_became_of_a_message_is_shown_and_a_failure_is_a_task),
        T(the_first_message_is_acknowledged_once_in_so_many_hours),
        T(only_live_private_words_of_a_person_are_acknowledged),
        T(a_receipt_says_nothing_of_what_is_sensitive_or_not_known),
        T(a_receipt_is_in_the_language_wished_or_the_conversation_s),
        T(into_an_emptied_redis_nothing_comes_back_to_be_sent_blind),
        T(what_a_journal_of_notify_vouches_for_goes_on),
        T(once_all_who_send_have_told_theirs_what_nobody_took_goes_out),
        T(what_should_have_been_taken_long_before_is_a_persons),
        T(what_comes_back_from_one_journal_waits_for_the_others),
        T(what_notify_may_have_forgotten_is_not_sent_by_itself),
        T(one_fact_that_cannot_be_holds_up_no_other),
        T(an_item_tells_its_story),
        T(a_reference_number_leads_to_its_conversation),
    };
    return cmocka_run_group_tests_name("store outbox", tests, set_up_server, tear_down_server);
}
