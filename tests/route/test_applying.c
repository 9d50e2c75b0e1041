/* applying - route's decisions with an invented clock and a Redis that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/applying.h"
#include "sample.h"
#include "scarce_memory.h"

enum { PEER = 4, NOTIFY = 5, SENT_MAX = 64 };

struct sent {
    int kind;
    size_t items;
    uint64_t sequence;
    uint64_t incarnation;
    uint64_t number;
    bool is_alerted;
    bool is_stored;
    char history[STORE_HISTORY_BYTES];
};

struct fixture {
    struct metrics *metrics;
    struct store_queues queues;
    struct applying *applying;
    bool is_silent, is_redis_down;
    size_t reports, calls, applied;
    uint64_t fails_on; /* events received then */
    struct store_mark mark, wanted, previous;
    struct sent sent[SENT_MAX];
    size_t sent_count;
    size_t orders;
    struct id alert;
    struct applying_time at;
    uint64_t next_sequence;
};

static const char live[] = "0123456789012345678901234567890123456789";

/* --- hands --- */

static int apply(void *arg, const struct store_event *events, size_t count,
                 struct store_result *results, char history[static STORE_HISTORY_BYTES],
                 struct error *err)
{
    struct fixture *f = arg;
    (void)err;
    f->calls++;
    if (f->is_redis_down)
        return -1;
    for (size_t i = 0; i < count; i++) {
        bool is_bad = f->fails_on && events[i].event->received_at_ms == (int64_t)f->fails_on;
        results[i] =
            (struct store_result){ .outcome = events[i].quarantine_reason ? STORE_QUARANTINED
                                              : is_bad                    ? STORE_ERROR
                                                                          : STORE_NEW };
        f->applied += results[i].outcome != STORE_ERROR;
    }
    memcpy(history, live, sizeof live);
    return 0;
}

static int hello(void *arg, const struct id *source, struct store_mark *mark,
                 char history[static STORE_HISTORY_BYTES], struct error *err)
{
    struct fixture *f = arg;
    (void)source;
    (void)err;
    memcpy(history, live, sizeof live);
    *mark = f->mark;
    return f->is_redis_down ? -1 : 0;
}

static int set_mark(void *arg, const struct id *source, const struct store_mark *mark,
                    const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                    bool *is_stored, struct error *err)
{
    struct fixture *f = arg;
    (void)source;
    (void)err;
    f->wanted = *mark;
    f->previous = *previous;
    *is_stored = strcmp(history, live) == 0;
    memcpy(history, live, sizeof live);
    return f->is_redis_down ? -1 : 0;
}

static const char *problem(void *arg)
{
    (void)arg;
    return "down";
}

static bool is_silent(void *arg)
{
    return ((struct fixture *)arg)->is_silent;
}

static void report(void *arg, const char *text)
{
    struct fixture *f = arg;
    (void)text;
    f->reports++;
    f->is_silent = true;
}

static void note(struct sent *sent, const Desg__V1__Packet *packet)
{
    sent->kind = (int)packet->kind_case;
    if (packet->kind_case == DESG__V1__PACKET__KIND_DONE) {
        sent->items = packet->done->n_items;
        sent->incarnation = packet->done->incarnation;
        (void)snprintf(sent->history, sizeof sent->history, "%s", packet->done->history);
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY) {
        sent->items = packet->busy->n_items;
        sent->sequence = packet->busy->items[0]->position->sequence;
        sent->is_alerted = packet->busy->items[0]->is_alerted;
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_HISTORY) {
        sent->sequence = packet->history->mark_sequence;
        sent->number = packet->history->number;
        (void)snprintf(sent->history, sizeof sent->history, "%s", packet->history->history);
    } else if (packet->kind_case == DESG__V1__PACKET__KIND_MARKED) {
        sent->is_stored = packet->marked->is_stored;
        sent->number = packet->marked->number;
    }
}

static int answer(void *arg, link_peer peer, const Desg__V1__Packet *packet, struct error *err)
{
    struct fixture *f = arg;
    (void)err;
    assert_int_equal(peer, PEER);
    assert_true(f->sent_count < SENT_MAX);
    note(&f->sent[f->sent_count++], packet);
    return 0;
}

static int order(void *arg, link_peer notify, const Desg__V1__Packet *packet, struct error *err)
{
    struct fixture *f = arg;
    (void)err;
    assert_int_equal(notify, NOTIFY);
    f->orders += packet->alert_order->n_alerts;
    memcpy(f->alert.bytes, packet->alert_order->alerts[0]->alert_id.data, ID_BYTES);
    return 0;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    f->metrics = metrics_new();
    f->queues.unclassified_alerts_per_minute = 5;
    f->at = (struct applying_time){ .now_ms = 90000, .unix_ms = 1790000000000 };
    const struct applying_options options = {
        .lane = "urgent",
        .queues = &f->queues,
        .metrics = f->metrics,
        .hands = { apply, hello, set_mark, problem, is_silent, report, answer, order, f },
    };
    f->applying = applying_new(&options, &err);
    assert_non_null(f->applying);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    applying_destroy(&f->applying);
    metrics_destroy(&f->metrics);
    free(f);
    return 0;
}

static const uint8_t source[ID_BYTES] = { 8 };

static void offer(struct fixture *f, size_t count, Desg__V1__Severity severity, bool is_decodable)
{
    struct sample sample;
    sample_init(&sample, 1, (unsigned)f->next_sequence, f->at.unix_ms, severity);
    sample_pack(&sample);
    Desg__V1__Item items[256];
    Desg__V1__Item *list[256];
    Desg__V1__Position positions[256];
    for (size_t i = 0; i < count; i++) {
        positions[i] = (Desg__V1__Position)DESG__V1__POSITION__INIT;
        positions[i].sequence = ++f->next_sequence;
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].position = &positions[i];
        items[i].event = (ProtobufCBinaryData){ sample.event_length, sample.event_bytes };
        items[i].verdict = (ProtobufCBinaryData){ sample.verdict_length, sample.verdict_bytes };
        if (!is_decodable)
            items[i].event = (ProtobufCBinaryData){ 1, (uint8_t *)"\xff" };
        list[i] = &items[i];
    }
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source };
    batch.incarnation = 55;
    batch.n_items = count;
    batch.items = list;
    Desg__V1__Packet packet = link_packet_batch(&batch);
    applying_packet(f->applying, PEER, &packet, f->at);
}

static const struct sent *last(const struct fixture *f)
{
    assert_true(f->sent_count > 0);
    return &f->sent[f->sent_count - 1];
}

static const Desg__V1__Severity routine = DESG__V1__SEVERITY__SEVERITY_ROUTINE;
static const Desg__V1__Severity urgent = DESG__V1__SEVERITY__SEVERITY_URGENT;

/* --- the rules --- */

static void gathers_and_applies_in_one_call_with_the_fence_it_got(void **state)
{
    struct fixture *f = *state;
    offer(f, 3, routine, true);
    offer(f, 2, routine, true);
    assert_true(applying_wants_flush(f->applying));
    assert_int_equal(f->calls, 0);
    applying_flush(f->applying, f->at);
    assert_int_equal(f->calls, 1);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_DONE);
    assert_int_equal(last(f)->items, 5);
    assert_int_equal(last(f)->incarnation, 55);
    assert_string_equal(last(f)->history, live);
    assert_false(applying_wants_flush(f->applying));
}

static void a_full_call_does_not_wait(void **state)
{
    struct fixture *f = *state;
    offer(f, STORE_APPLY_MAX, routine, true);
    assert_int_equal(f->calls, 1);
    assert_int_equal(applying_held(f->applying), 0);
}

static void refuses_what_it_cannot_decode(void **state)
{
    struct fixture *f = *state;
    offer(f, 1, routine, false);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_REFUSED);
    assert_false(applying_wants_flush(f->applying));
}

/* Offered again when there is memory, and applied then. */
static void a_want_of_memory_answers_busy_and_refuses_nothing(void **state)
{
    struct fixture *f = *state;
    size_t failures = 0;
    for (bool is_taken = false; !is_taken; failures += !is_taken) {
        assert_in_range(failures, 0, 100);
        memory_lasts(failures);
        offer(f, 1, urgent, true);
        (void)memory_is_plenty();
        is_taken = applying_wants_flush(f->applying);
        if (!is_taken)
            assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_BUSY);
        f->sent_count = 0;
    }
    assert_in_range(failures, 5, 100);
    applying_flush(f->applying, f->at);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_DONE);
}

static void a_failed_call_answers_busy_and_reports(void **state)
{
    struct fixture *f = *state;
    f->is_redis_down = true;
    offer(f, 2, routine, true);
    applying_flush(f->applying, f->at);
    assert_int_equal(f->reports, 1);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_BUSY);
    assert_int_equal(last(f)->items, 2);
    assert_int_equal(applying_busy(f->applying), 2);
}

static void a_silent_redis_is_not_asked_and_urgent_ones_are_alerted_first(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    applying_notify_up(f->applying, NOTIFY);
    offer(f, 1, urgent, true);
    applying_flush(f->applying, f->at);
    assert_int_equal(f->calls, 0);
    assert_int_equal(f->orders, 1);
    assert_int_equal(f->sent_count, 0); /* not before notify has it */
    assert_int_equal(applying_waiting(f->applying), 1);
    ProtobufCBinaryData id = { ID_BYTES, f->alert.bytes };
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    alerted.n_alert_ids = 1;
    alerted.alert_ids = &id;
    Desg__V1__Packet packet = link_packet_alerted(&alerted);
    applying_notify_packet(f->applying, &packet);
    assert_true(last(f)->is_alerted);
    assert_int_equal(applying_waiting(f->applying), 0);
}

static void a_notify_that_says_nothing_ends_the_waiting(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    applying_notify_up(f->applying, NOTIFY);
    offer(f, 1, urgent, true);
    applying_flush(f->applying, f->at);
    applying_expire(f->applying, f->at.now_ms + 200);
    assert_int_equal(f->sent_count, 0);
    applying_expire(f->applying, f->at.now_ms + 300);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_BUSY);
    assert_false(last(f)->is_alerted);
}

static void what_the_function_refuses_goes_alone_then_to_quarantine(void **state)
{
    struct fixture *f = *state;
    f->fails_on = (uint64_t)f->at.unix_ms;
    offer(f, 1, routine, true);
    f->at.unix_ms++;
    offer(f, 1, routine, true);
    applying_flush(f->applying, f->at);
    assert_int_equal(f->calls, 3); /* both, it alone, quarantine */
    assert_int_equal(f->applied, 2);
    assert_int_equal(last(f)->kind, DESG__V1__PACKET__KIND_DONE);
}

static void hello_tells_history_and_mark_and_nothing_while_redis_is_silent(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Hello message = DESG__V1__HELLO__INIT;
    message.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source };
    message.number = 12;
    f->mark = (struct store_mark){ 3, 44, 5 };
    Desg__V1__Packet packet = link_packet_hello(&message);
    applying_packet(f->applying, PEER, &packet, f->at);
    assert_string_equal(last(f)->history, live);
    assert_int_equal(last(f)->sequence, 44);
    assert_int_equal(last(f)->number, 12);
    f->is_silent = true;
    applying_packet(f->applying, PEER, &packet, f->at);
    assert_string_equal(last(f)->history, "");
    f->is_silent = false;
    f->is_redis_down = true;
    applying_packet(f->applying, PEER, &packet, f->at);
    assert_string_equal(last(f)->history, "");
    assert_int_equal(f->reports, 1);
}

static void a_mark_is_passed_on_whole_and_its_fate_told(void **state)
{
    struct fixture *f = *state;
    char other[] = "ffffffffffffffffffffffffffffffffffffffff";
    Desg__V1__Mark message = DESG__V1__MARK__INIT;
    message.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source };
    message.history = (char *)live;
    message.incarnation = 1;
    message.sequence = 2;
    message.beat = 3;
    message.previous_incarnation = 4;
    message.previous_sequence = 5;
    message.previous_beat = 6;
    message.number = 7;
    Desg__V1__Packet packet = link_packet_mark(&message);
    applying_packet(f->applying, PEER, &packet, f->at);
    assert_true(last(f)->is_stored);
    assert_int_equal(last(f)->number, 7);
    assert_int_equal(f->wanted.beat, 3);
    assert_int_equal(f->previous.incarnation, 4);
    assert_int_equal(f->previous.sequence, 5);
    assert_int_equal(f->previous.beat, 6);
    size_t told = f->sent_count;
    applying_packet(f->applying, PEER, &packet, f->at); /* delivered twice */
    assert_int_equal(f->sent_count, told);
    message.number++;
    message.beat++;
    message.history = other;
    applying_packet(f->applying, PEER, &packet, f->at);
    assert_false(last(f)->is_stored);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(gathers_and_applies_in_one_call_with_the_fence_it_got),
        T(a_full_call_does_not_wait),
        T(refuses_what_it_cannot_decode),
        T(a_want_of_memory_answers_busy_and_refuses_nothing),
        T(a_failed_call_answers_busy_and_reports),
        T(a_silent_redis_is_not_asked_and_urgent_ones_are_alerted_first),
        T(a_notify_that_says_nothing_ends_the_waiting),
        T(what_the_function_refuses_goes_alone_then_to_quarantine),
        T(hello_tells_history_and_mark_and_nothing_while_redis_is_silent),
        T(a_mark_is_passed_on_whole_and_its_fate_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
