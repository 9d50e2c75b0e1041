/* forwarder - what classify does with packets, with an invented clock and outlets that write down
 * what was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "classify/forwarder.h"
#include "classify/hold.h"
#include "classify/lane.h"
#include "ids/ids.h"
#include "scarce_memory.h"

enum { INGEST = 1, ROUTE = 2, NOTIFY = 3, SENT_MAX = 64 };

struct sent {
    enum outlet outlet;
    link_peer peer;
    int kind;
    uint64_t incarnation;
    uint64_t sequence; /* of its first item */
    size_t items;
    bool is_alerted;
    struct id alert;
};

struct fixture {
    struct metrics *metrics;
    struct tally *tally;
    struct forwarder *forwarder;
    uint32_t credit[OUTLET_NOTIFY + 1];
    bool is_notify_deaf;
    Desg__V1__Severity severity;
    size_t judged;
    struct sent sent[SENT_MAX];
    size_t sent_count;
    int64_t now_ms;
};

static const struct id source = { { 9 } };

static void note_batch(struct sent *sent, const Desg__V1__Batch *batch)
{
    sent->incarnation = batch->incarnation;
    sent->items = batch->n_items;
    sent->sequence = batch->items[0]->position->sequence;
}

static void note_busy(struct sent *sent, const Desg__V1__Busy *busy)
{
    sent->incarnation = busy->incarnation;
    sent->items = busy->n_items;
    sent->sequence = busy->items[0]->position->sequence;
    sent->is_alerted = busy->items[0]->is_alerted;
}

static int send_packet(void *arg, enum outlet outlet, link_peer peer,
                       const Desg__V1__Packet *packet)
{
    struct fixture *f = arg;
    if (outlet == OUTLET_NOTIFY && f->is_notify_deaf)
        return -1;
    assert_true(f->sent_count < SENT_MAX);
    struct sent *sent = &f->sent[f->sent_count++];
    *sent = (struct sent){ .outlet = outlet, .peer = peer, .kind = (int)packet->kind_case };
    if (packet->kind_case == DESG__V1__PACKET__KIND_BATCH) {
        note_batch(sent, packet->batch);
        f->credit[outlet] -= (uint32_t)packet->batch->n_items;
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY) {
        note_busy(sent, packet->busy);
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_SEEN) {
        sent->items = packet->seen->n_items;
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_REFUSED) {
        sent->items = packet->refused->n_positions;
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_ALERT_ORDER) {
        sent->items = packet->alert_order->n_alerts;
        memcpy(sent->alert.bytes, packet->alert_order->alerts[0]->alert_id.data, ID_BYTES);
    }
    return 0;
}

static uint32_t credit(void *arg, enum outlet outlet, link_peer peer)
{
    const struct fixture *f = arg;
    (void)peer;
    return f->credit[outlet];
}

static void credit_return(void *arg, enum outlet outlet, link_peer peer, uint32_t events)
{
    struct fixture *f = arg;
    (void)peer;
    f->credit[outlet] += events;
}

static void judge(void *arg, const Desg__V1__Event *event, struct verdict *out)
{
    struct fixture *f = arg;
    (void)event;
    *out = (struct verdict){ .message = DESG__V1__VERDICT__INIT };
    out->message.severity = f->severity;
    f->judged++;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ .now_ms = 50000, .severity = DESG__V1__SEVERITY__SEVERITY_ROUTINE };
    struct fixture *f = &fixture;
    struct error err = { 0 };
    f->metrics = metrics_new();
    f->tally = tally_new(f->metrics, &err);
    const struct forwarder_options options = {
        .tally = f->tally,
        .outlets = { send_packet, credit, credit_return, f },
        .judge = judge,
        .judge_arg = f,
    };
    f->forwarder = forwarder_new(&options, &err);
    assert_non_null(f->forwarder);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    forwarder_destroy(&f->forwarder);
    tally_destroy(&f->tally);
    metrics_destroy(&f->metrics);
    return 0;
}

static void route_up(struct fixture *f, uint32_t events)
{
    f->credit[OUTLET_URGENT] = f->credit[OUTLET_BULK] = events;
    forwarder_route_up(f->forwarder, OUTLET_URGENT, ROUTE);
    forwarder_route_up(f->forwarder, OUTLET_BULK, ROUTE);
}

/* One event in a batch of its own; verdict: kept from before, or NULL. */
static void offer(struct fixture *f, uint64_t sequence, const ProtobufCBinaryData *verdict,
                  bool is_decodable)
{
    uint8_t id[ID_BYTES] = { 5, (uint8_t)sequence };
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, id };
    event.channel = (char *)"x";
    uint8_t bytes[64] = { 0xff };
    size_t length = is_decodable ? desg__v1__event__pack(&event, bytes) : 1;
    Desg__V1__Position position = DESG__V1__POSITION__INIT;
    position.sequence = sequence;
    Desg__V1__Item item = DESG__V1__ITEM__INIT;
    item.position = &position;
    item.event = (ProtobufCBinaryData){ length, bytes };
    if (verdict)
        item.verdict = *verdict;
    Desg__V1__Item *items[] = { &item };
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source.bytes };
    batch.incarnation = 77;
    batch.n_items = 1;
    batch.items = items;
    Desg__V1__Packet packet = link_packet_batch(&batch);
    forwarder_ingest_packet(f->forwarder, INGEST, &packet, f->now_ms);
}

static void route_says_done(struct fixture *f)
{
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    Desg__V1__DoneItem item = DESG__V1__DONE_ITEM__INIT;
    Desg__V1__DoneItem *items[] = { &item };
    done.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source.bytes };
    done.n_items = 1;
    done.items = items;
    Desg__V1__Packet packet = link_packet_done(&done);
    forwarder_route_packet(f->forwarder, OUTLET_BULK, ROUTE, &packet, f->now_ms);
}

static const struct sent *last(const struct fixture *f, int kind)
{
    for (size_t i = f->sent_count; i > 0; i--)
        if (f->sent[i - 1].kind == kind)
            return &f->sent[i - 1];
    return NULL;
}

static void pass(struct fixture *f, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += FORWARDER_TICK_MS) {
        f->now_ms += FORWARDER_TICK_MS;
        forwarder_tick(f->forwarder, f->now_ms);
    }
}

static void says_seen_and_sends_by_lane_with_the_fence_it_got(void **state)
{
    struct fixture *f = *state;
    route_up(f, 8);
    offer(f, 1, NULL, true);
    assert_int_equal(f->sent[0].kind, DESG__V1__PACKET__KIND_SEEN);
    assert_int_equal(f->sent[0].peer, INGEST);
    assert_int_equal(f->sent[1].outlet, OUTLET_BULK);
    assert_int_equal(f->sent[1].incarnation, 77);
    assert_false(forwarder_is_holding(f->forwarder));
    f->severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    offer(f, 2, NULL, true);
    assert_int_equal(f->sent[3].outlet, OUTLET_URGENT);
    assert_true(forwarder_is_holding(f->forwarder)); /* until route has said what became of it */
}

static void refuses_what_it_cannot_decode(void **state)
{
    struct fixture *f = *state;
    route_up(f, 8);
    offer(f, 1, NULL, false);
    assert_int_equal(f->sent_count, 1);
    assert_int_equal(f->sent[0].kind, DESG__V1__PACKET__KIND_REFUSED);
}

/* What was decided is not decided anew, nor an event refused, because the machine is short. */
static void a_want_of_memory_is_no_fault_of_event_or_verdict(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[32];
    route_up(f, 8);
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    ProtobufCBinaryData kept = { desg__v1__verdict__pack(&verdict, bytes), bytes };
    memory_lasts(0);
    offer(f, 1, &kept, true);
    offer(f, 2, NULL, true);
    (void)memory_is_plenty();
    assert_int_equal(f->judged, 1);
    assert_int_equal(f->sent_count, 4);
    for (size_t i = 0; i < f->sent_count; i++)
        assert_int_not_equal(f->sent[i].kind, DESG__V1__PACKET__KIND_REFUSED);
}

static void keeps_a_real_verdict_and_replaces_an_unclassified_one(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[32];
    route_up(f, 8);
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    ProtobufCBinaryData kept = { desg__v1__verdict__pack(&verdict, bytes), bytes };
    offer(f, 1, &kept, true);
    assert_int_equal(f->judged, 0);
    assert_int_equal(f->sent[1].outlet, OUTLET_URGENT);
    verdict.is_unclassified = true;
    kept.len = desg__v1__verdict__pack(&verdict, bytes);
    offer(f, 2, &kept, true);
    assert_int_equal(f->judged, 1);
    assert_int_equal(f->sent[3].outlet, OUTLET_BULK);
}

static void never_sends_more_than_the_credit(void **state)
{
    struct fixture *f = *state;
    route_up(f, 2);
    for (uint64_t i = 1; i <= 3; i++)
        offer(f, i, NULL, true);
    assert_int_equal(f->credit[OUTLET_BULK], 0);
    assert_true(forwarder_is_holding(f->forwarder));
    route_says_done(f);
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_DONE)->peer, INGEST); /* passed on */
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BATCH)->sequence, 3);
    assert_false(forwarder_is_holding(f->forwarder));
}

static void without_a_route_bulk_is_given_back_after_half_a_second(void **state)
{
    struct fixture *f = *state;
    offer(f, 1, NULL, true);
    pass(f, HOLD_WAIT_MS - 50);
    assert_null(last(f, DESG__V1__PACKET__KIND_BUSY));
    pass(f, 75);
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BUSY)->incarnation, 77);
    assert_null(last(f, DESG__V1__PACKET__KIND_ALERT_ORDER));
    assert_false(forwarder_is_holding(f->forwarder));
}

static void an_urgent_one_is_alerted_before_it_is_given_back(void **state)
{
    struct fixture *f = *state;
    f->severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    forwarder_notify_up(f->forwarder, NOTIFY);
    offer(f, 1, NULL, true);
    pass(f, HOLD_WAIT_MS + 25);
    const struct sent *order = last(f, DESG__V1__PACKET__KIND_ALERT_ORDER);
    assert_non_null(order);
    assert_null(last(f, DESG__V1__PACKET__KIND_BUSY));
    ProtobufCBinaryData id = { ID_BYTES, (uint8_t *)order->alert.bytes };
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    alerted.n_alert_ids = 1;
    alerted.alert_ids = &id;
    Desg__V1__Packet packet = link_packet_alerted(&alerted);
    forwarder_notify_packet(f->forwarder, &packet);
    assert_true(last(f, DESG__V1__PACKET__KIND_BUSY)->is_alerted);
}

static void a_silent_notify_does_not_keep_it_for_ever(void **state)
{
    struct fixture *f = *state;
    f->severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    forwarder_notify_up(f->forwarder, NOTIFY);
    offer(f, 1, NULL, true);
    pass(f, HOLD_WAIT_MS + HOLD_ALERT_WAIT_MS + 50);
    assert_false(last(f, DESG__V1__PACKET__KIND_BUSY)->is_alerted);
    f->is_notify_deaf = true;
    offer(f, 2, NULL, true);
    pass(f, HOLD_WAIT_MS + 50);
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BUSY)->sequence, 2);
}

static void a_route_that_comes_takes_what_is_held(void **state)
{
    struct fixture *f = *state;
    offer(f, 1, NULL, true);
    pass(f, 100);
    route_up(f, 4);
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BATCH)->sequence, 1);
    assert_false(forwarder_is_holding(f->forwarder));
}

static void holds_a_bounded_number_and_gives_back_the_rest_at_once(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i <= HOLD_MAX_EVENTS; i++) {
        f->sent_count = 0;
        offer(f, i + 1, NULL, true);
    }
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BUSY)->sequence, HOLD_MAX_EVENTS + 1);
}

static void idle_when_route_has_answered_or_is_silent_for_long(void **state)
{
    struct fixture *f = *state;
    route_up(f, 4);
    offer(f, 1, NULL, true);
    forwarder_drain(f->forwarder, f->now_ms);
    assert_false(forwarder_is_idle(f->forwarder, f->now_ms));
    assert_true(forwarder_is_idle(f->forwarder, f->now_ms + 2000));
}

/* A route may swallow an answer and live on: its credit is not gone for ever with it. */
static void credit_of_what_was_never_answered_comes_back(void **state)
{
    struct fixture *f = *state;
    route_up(f, 1);
    offer(f, 1, NULL, true);
    assert_int_equal(f->credit[OUTLET_BULK], 0);
    pass(f, LANE_UNANSWERED_MS - FORWARDER_TICK_MS);
    assert_int_equal(f->credit[OUTLET_BULK], 0);
    pass(f, LANE_UNANSWERED_MS + FORWARDER_TICK_MS);
    assert_int_equal(f->credit[OUTLET_BULK], 1);
    offer(f, 3, NULL, true);
    assert_int_equal(last(f, DESG__V1__PACKET__KIND_BATCH)->sequence, 3);
}

static void what_is_answered_in_time_is_not_taken_for_lost(void **state)
{
    struct fixture *f = *state;
    route_up(f, 8);
    for (int i = 0; i < 8; i++) {
        offer(f, 1, NULL, true);
        pass(f, LANE_UNANSWERED_MS - FORWARDER_TICK_MS);
        route_says_done(f);
        assert_int_equal(f->credit[OUTLET_BULK], 8);
        f->sent_count = 0;
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(says_seen_and_sends_by_lane_with_the_fence_it_got),
        T(refuses_what_it_cannot_decode),
        T(a_want_of_memory_is_no_fault_of_event_or_verdict),
        T(keeps_a_real_verdict_and_replaces_an_unclassified_one),
        T(never_sends_more_than_the_credit),
        T(without_a_route_bulk_is_given_back_after_half_a_second),
        T(an_urgent_one_is_alerted_before_it_is_given_back),
        T(a_silent_notify_does_not_keep_it_for_ever),
        T(a_route_that_comes_takes_what_is_held),
        T(holds_a_bounded_number_and_gives_back_the_rest_at_once),
        T(credit_of_what_was_never_answered_comes_back),
        T(what_is_answered_in_time_is_not_taken_for_lost),
        T(idle_when_route_has_answered_or_is_silent_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
