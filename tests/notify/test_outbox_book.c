/* Every reason for which something goes out, waits, is looked for, or is left to a person. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/outbox_book.h"

#define SENT    DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT
#define LATER   DESG__V1__SEND_OUTCOME__SEND_OUTCOME_LATER
#define UNKNOWN DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN
#define REFUSED DESG__V1__SEND_OUTCOME__SEND_OUTCOME_REFUSED
#define BLOCKED DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED
#define THERE   DESG__V1__SETTLED_AS__SETTLED_AS_THERE
#define AGAIN   DESG__V1__SETTLED_AS__SETTLED_AS_AGAIN
#define BY_HAND DESG__V1__SETTLED_AS__SETTLED_AS_BY_HAND

static const int64_t unix_t0 = 1790000000000;

enum { FENCE = 7, LEASE_MS = 10000, UNKNOWN_MS = 60000, HOUR_MS = 3600000, LONG_MS = 1 << 30 };

struct fixture {
    struct outbox_book *book;
    struct outbox_place *place;
    int64_t now_ms;
    unsigned streamed;
};

static int64_t unix_now(const struct fixture *f)
{
    return unix_t0 + f->now_ms;
}

static const struct outbox_place_options account = {
    .name = "facebook:1001", .per_minute = 60000, .calls_max = 8, .key_ms = INT64_MAX
};

static void renew(struct fixture *f)
{
    outbox_book_owned(f->book, f->place, FENCE, f->now_ms + LONG_MS);
}

static void open_book(struct fixture *f, const struct outbox_place_options *options)
{
    const struct outbox_book_options book = { .urgent_share_percent = 20,
                                              .unknown_after_ms = UNKNOWN_MS,
                                              .probe_ms = HOUR_MS,
                                              .receipt_again_ms = 24LL * HOUR_MS,
                                              .retention_ms = 72LL * HOUR_MS,
                                              .seed = 5 };
    f->now_ms = 1000;
    f->book = outbox_book_new(&book);
    f->place = outbox_book_add_place(f->book, options, f->now_ms);
    renew(f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    open_book(f, &account);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    outbox_book_destroy(&f->book);
    free(f);
    return 0;
}

static void with_place(struct fixture *f, const struct outbox_place_options *options)
{
    outbox_book_destroy(&f->book);
    open_book(f, options);
}

/* --- items --- */

struct made {
    Desg__V1__OutboxItem item;
    Desg__V1__ReplyItem reply;
    Desg__V1__ReceiptItem receipt;
    Desg__V1__BroadcastItem broadcast;
    Desg__V1__Broadcast version;
    uint8_t id[ID_BYTES], thread[ID_BYTES];
};

static void make(struct fixture *f, struct made *made, unsigned number, unsigned thread)
{
    memset(made, 0, sizeof *made);
    desg__v1__outbox_item__init(&made->item);
    desg__v1__reply_item__init(&made->reply);
    desg__v1__receipt_item__init(&made->receipt);
    desg__v1__broadcast_item__init(&made->broadcast);
    desg__v1__broadcast__init(&made->version);
    memcpy(made->id, &number, sizeof number);
    made->id[15] = 1;
    memcpy(made->thread, &thread, sizeof thread);
    made->item.id = (ProtobufCBinaryData){ ID_BYTES, made->id };
    made->item.place = f->place->name;
    made->item.decided_at_ms = unix_now(f);
    made->reply.conversation_id = (ProtobufCBinaryData){ ID_BYTES, made->thread };
    made->receipt.conversation_id = made->reply.conversation_id;
    made->receipt.received_at_ms = unix_now(f);
    made->version.id = made->reply.conversation_id;
    made->broadcast.broadcast = &made->version;
}

static struct outbox_item *take_made(struct fixture *f, const struct made *made)
{
    char stream_id[32];
    struct outbox_item *item = NULL;
    size_t length = desg__v1__outbox_item__get_packed_size(&made->item);
    uint8_t *bytes = malloc(length + 1);
    assert_non_null(bytes);
    desg__v1__outbox_item__pack(&made->item, bytes);
    Desg__V1__OutboxItem *what = desg__v1__outbox_item__unpack(NULL, length, bytes);
    free(bytes);
    assert_non_null(what);
    (void)snprintf(stream_id, sizeof stream_id, "%u-0", ++f->streamed);
    if (outbox_book_take(f->book, f->place, what, stream_id, f->now_ms, &item) == OUTBOX_NEW)
        outbox_book_stored(item, true, 100 + f->streamed);
    return item;
}

static struct outbox_item *take_reply(struct fixture *f, unsigned number, unsigned conversation,
                                      bool is_urgent)
{
    struct made made;
    make(f, &made, number, conversation);
    made.item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    made.item.reply = &made.reply;
    made.reply.is_urgent = is_urgent;
    return take_made(f, &made);
}

static struct outbox_item *take_receipt(struct fixture *f, unsigned number, unsigned conversation)
{
    struct made made;
    make(f, &made, number, conversation);
    made.item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT;
    made.item.receipt = &made.receipt;
    return take_made(f, &made);
}

static struct outbox_item *take_broadcast(struct fixture *f, unsigned number, unsigned broadcast)
{
    struct made made;
    make(f, &made, number, broadcast);
    made.item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST;
    made.item.broadcast = &made.broadcast;
    return take_made(f, &made);
}

/* --- steps --- */

static bool next(struct fixture *f, struct outbox_step *step)
{
    return outbox_book_next(f->book, f->now_ms, unix_now(f), step);
}

static void nothing(struct fixture *f)
{
    struct outbox_step step;
    if (next(f, &step))
        fail_msg("step %d, where none was expected", (int)step.what);
}

static struct outbox_item *expect(struct fixture *f, enum outbox_stage what)
{
    struct outbox_step step;
    if (!next(f, &step))
        fail_msg("no step, but %d", (int)what);
    if (step.what != what)
        fail_msg("step %d, not %d", (int)step.what, (int)what);
    return step.item;
}

/* Not what, whatever else. */
static void never(struct fixture *f, enum outbox_stage what)
{
    struct outbox_step step;
    if (next(f, &step) && step.what == what)
        fail_msg("step %d", (int)what);
}

/* Time goes on until something is due. */
static void pass(struct fixture *f)
{
    int64_t due_ms = outbox_book_due_ms(f->book, f->now_ms);
    assert_true(due_ms != INT64_MAX);
    f->now_ms = due_ms > f->now_ms ? due_ms : f->now_ms + 1;
}

static struct outbox_item *expect_then(struct fixture *f, enum outbox_stage what)
{
    struct outbox_step step;
    for (int i = 0; i < 1000; i++) {
        if (next(f, &step)) {
            if (step.what != what)
                fail_msg("step %d, not %d", (int)step.what, (int)what);
            return step.item;
        }
        pass(f);
    }
    fail_msg("never step %d", (int)what);
    return NULL;
}

static void begun(struct fixture *f, struct outbox_item *item, enum outbox_begun begun)
{
    const struct outbox_begun_answer answer = { .begun = begun,
                                                .frozen_until_unix_ms = unix_now(f) + HOUR_MS,
                                                .reason = "claimed again" };
    outbox_book_begun(f->book, item, &answer, f->now_ms, unix_now(f));
}

static void write_it(struct fixture *f, struct outbox_item *item)
{
    assert_ptr_equal(expect(f, OUTBOX_WRITE), item);
    (void)outbox_book_intent_at(item, unix_now(f));
    outbox_book_written(item);
}

static void prepare(struct fixture *f, struct outbox_item *item, uint32_t parts)
{
    assert_ptr_equal(expect_then(f, OUTBOX_PREPARE), item);
    outbox_book_prepared(f->book, item, parts, item, f->now_ms);
}

/* As far as the call. */
static struct outbox_item *call_next(struct fixture *f)
{
    struct outbox_item *item = expect_then(f, OUTBOX_BEGIN);
    begun(f, item, OUTBOX_BEGUN_NOW);
    write_it(f, item);
    assert_ptr_equal(expect(f, OUTBOX_CALL), item);
    return item;
}

static struct outbox_item *call_prepared(struct fixture *f, struct outbox_item *item,
                                         uint32_t parts)
{
    prepare(f, item, parts);
    return call_next(f);
}

static void answered(struct fixture *f, struct outbox_item *item, Desg__V1__SendOutcome outcome,
                     unsigned http_status)
{
    struct platform_result result = { .outcome = outcome };
    if (outcome == SENT)
        (void)snprintf(result.object_id, sizeof result.object_id, "object-%u", item->part);
    outbox_book_answered(f->book, item, &result, http_status, f->now_ms, unix_now(f));
}

static struct outbox_tell told(struct fixture *f, Desg__V1__SendOutcome outcome)
{
    struct outbox_tell tell = { 0 };
    if (!outbox_book_next_tell(f->book, &tell))
        fail_msg("nothing was told, but %d expected", (int)outcome);
    assert_int_equal(tell.outcome, outcome);
    return tell;
}

static void told_nothing(struct fixture *f)
{
    struct outbox_tell tell;
    if (outbox_book_next_tell(f->book, &tell))
        fail_msg("outcome %d was told", (int)tell.outcome);
}

static void looked(struct fixture *f, struct outbox_item *item, enum platform_found found)
{
    outbox_book_looked(f->book, item, found, "found-there", f->now_ms, unix_now(f));
}

static void checked(struct fixture *f, struct outbox_item *item, struct outbox_known known)
{
    assert_ptr_equal(expect_then(f, OUTBOX_CHECK), item);
    outbox_book_checked(f->book, item, &known, f->now_ms);
}

static bool settle(struct fixture *f, const struct outbox_item *item, Desg__V1__SettledAs as)
{
    Desg__V1__SendSettled settled = DESG__V1__SEND_SETTLED__INIT;
    settled.item_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)item->id.bytes };
    settled.as = as;
    settled.at_ms = unix_now(f);
    return outbox_book_settled(f->book, &settled, f->now_ms);
}

/* --- the plain way --- */

static void one_goes_out_step_by_step(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    assert_ptr_equal(call_prepared(f, item, 1), item);
    nothing(f);
    answered(f, item, SENT, 200);
    struct outbox_tell tell = told(f, SENT);
    assert_true(tell.is_last);
    assert_string_equal(tell.object_id, "object-0");
    told_nothing(f);
    nothing(f);
    assert_int_equal(item->stage, OUTBOX_OVER);
}

static void it_leaves_the_stream_when_redis_has_its_end(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, SENT, 200);
    assert_false(outbox_book_is_done(f->book, item)); /* not on disk */
    outbox_book_told(item, true, 900);
    assert_false(outbox_book_is_done(f->book, item)); /* not in Redis */
    outbox_book_projected(f->book, 899);
    assert_false(outbox_book_is_done(f->book, item));
    outbox_book_projected(f->book, 900);
    assert_true(outbox_book_is_done(f->book, item));
    outbox_book_gone(item);
    assert_null(f->place->first);
}

static void what_the_disk_did_not_take_is_told_again(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, SENT, 200);
    (void)told(f, SENT);
    outbox_book_told(item, false, 0);
    outbox_book_tick(f->book, f->now_ms, unix_now(f));
    struct outbox_tell tell = told(f, SENT);
    assert_true(tell.is_last);
    assert_string_equal(tell.object_id, "object-0");
    outbox_book_told(item, true, 9);
    outbox_book_tick(f->book, f->now_ms, unix_now(f));
    told_nothing(f);
}

static void nothing_goes_from_a_place_that_is_not_ours(void **state)
{
    struct fixture *f = *state;
    outbox_book_lost(f->book, f->place);
    struct outbox_item *item = take_reply(f, 1, 1, true);
    nothing(f);
    renew(f);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), item);
}

static void nothing_goes_once_the_lease_is_over(void **state)
{
    struct fixture *f = *state;
    (void)take_reply(f, 1, 1, true);
    outbox_book_owned(f->book, f->place, FENCE, f->now_ms + LEASE_MS);
    f->now_ms += LEASE_MS;
    nothing(f);
}

static void an_intent_on_a_slow_disk_is_not_called_after_the_lease(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, true);
    prepare(f, item, 1);
    outbox_book_owned(f->book, f->place, FENCE, f->now_ms + LEASE_MS);
    assert_ptr_equal(expect(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_NOW);
    write_it(f, item);
    f->now_ms += LEASE_MS;
    nothing(f);
    (void)told(f, LATER); /* certainly not sent */
    renew(f);
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
}

/* The disk was slow, another owner came and went: what it did with the item is not known here. */
static void what_was_allowed_to_an_earlier_owner_is_not_called(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, true);
    prepare(f, item, 1);
    assert_ptr_equal(expect(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_NOW);
    assert_ptr_equal(expect(f, OUTBOX_WRITE), item);
    outbox_book_lost(f->book, f->place);
    outbox_book_owned(f->book, f->place, FENCE + 2, f->now_ms + LONG_MS);
    assert_ptr_equal(take_reply(f, 1, 1, true), item);
    (void)outbox_book_intent_at(item, unix_now(f));
    outbox_book_written(item);
    never(f, OUTBOX_CALL);
    (void)told(f, LATER);
    f->now_ms += 2000;
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true });
    assert_int_equal(item->stage, OUTBOX_LOOK);
}

static void a_drain_begins_nothing_and_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    (void)take_reply(f, 2, 2, false);
    prepare(f, item, 1);
    assert_ptr_equal(expect(f, OUTBOX_BEGIN), item);
    outbox_book_drain(f->book);
    begun(f, item, OUTBOX_BEGUN_NOW);
    write_it(f, item);
    assert_true(outbox_book_is_busy(f->book));
    (void)expect(f, OUTBOX_CALL);
    answered(f, item, SENT, 200);
    nothing(f);
    assert_true(outbox_book_is_busy(f->book)); /* its end is not on disk */
    outbox_book_told(item, true, 9);
    assert_false(outbox_book_is_busy(f->book));
    assert_true(outbox_book_due_ms(f->book, f->now_ms) == INT64_MAX); /* nobody wakes for it */
}

/* --- order --- */

static void urgent_replies_first_then_replies_then_receipts(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *receipt = take_receipt(f, 1, 1);
    struct outbox_item *reply = take_reply(f, 2, 2, false);
    struct outbox_item *urgent = take_reply(f, 3, 3, true);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), urgent);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), reply);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), receipt);
}

static void a_conversation_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 1, true); /* urgent, but later */
    struct outbox_item *other = take_reply(f, 3, 2, false);
    answered(f, call_prepared(f, first, 1), LATER, 400);
    answered(f, call_prepared(f, other, 1), SENT, 200);
    assert_ptr_equal(call_next(f), first);
    answered(f, first, SENT, 200);
    prepare(f, second, 1);
}

static void what_waits_for_a_person_does_not_hold_up_the_next_reply(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 1, false);
    answered(f, call_prepared(f, first, 1), UNKNOWN, 0);
    while (first->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    assert_int_equal(first->stage, OUTBOX_HOLD);
    prepare(f, second, 1);
}

/* A version is posted when Redis knows what became of the one before: it names what is edited. */
static void versions_of_a_broadcast_wait_for_each_other(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_broadcast(f, 1, 1);
    struct outbox_item *second = take_broadcast(f, 2, 1);
    answered(f, call_prepared(f, first, 1), SENT, 200);
    nothing(f);
    outbox_book_told(first, true, 5);
    outbox_book_projected(f->book, 5);
    outbox_book_gone(first);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), second);
}

static void parts_go_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 3);
    for (uint32_t part = 0; part < 3; part++) {
        assert_ptr_equal(call_next(f), item);
        assert_int_equal(item->part, part);
        if (part == 1) { /* not sent: the same part again */
            answered(f, item, LATER, 500);
            assert_int_equal(told(f, LATER).part, 1);
            assert_ptr_equal(call_next(f), item);
            assert_int_equal(item->part, 1);
        }
        answered(f, item, SENT, 200);
        struct outbox_tell tell = told(f, SENT);
        assert_int_equal(tell.part, part);
        assert_int_equal(tell.is_last, part == 2);
    }
    nothing(f);
}

static void no_more_calls_at_once_than_allowed(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options outlet = account;
    outlet.calls_max = 1;
    with_place(f, &outlet);
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 2, false);
    (void)call_prepared(f, first, 1);
    prepare(f, second, 1);
    nothing(f);
    answered(f, first, SENT, 200);
    assert_ptr_equal(call_next(f), second);
}

/* --- later --- */

static void later_is_tried_again_and_never_failed(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    for (int i = 0; i < 50; i++) {
        answered(f, item, LATER, 500);
        struct outbox_tell tell = told(f, LATER);
        assert_false(tell.is_last);
        assert_true(tell.again_unix_ms > tell.at_unix_ms);
        nothing(f);
        assert_ptr_equal(call_next(f), item);
    }
    answered(f, item, SENT, 200);
}

static void a_rate_limit_holds_the_whole_account(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 2, true);
    const struct platform_result limited = { .outcome = LATER, .after_ms = 30000 };
    outbox_book_answered(f->book, call_prepared(f, second, 1), &limited, 429, f->now_ms,
                         unix_now(f));
    int64_t limited_ms = f->now_ms;
    prepare(f, first, 1);
    nothing(f);
    (void)call_next(f);
    assert_true(f->now_ms >= limited_ms + 30000);
}

/* WhatsApp's pair rate is one person's: 400 with a code. */
static void a_limit_of_one_person_holds_that_message_alone(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 2, false);
    const struct platform_result limited = { .outcome = LATER, .after_ms = 6000, .code = 131056 };
    (void)call_prepared(f, first, 1);
    outbox_book_answered(f->book, first, &limited, 400, f->now_ms, unix_now(f));
    int64_t limited_ms = f->now_ms;
    (void)call_prepared(f, second, 1);
    assert_true(f->now_ms < limited_ms + 6000);
}

static void redis_away_postpones(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    assert_ptr_equal(expect(f, OUTBOX_BEGIN), item);
    outbox_book_postpone(f->book, item, "Redis away", 500, f->now_ms, unix_now(f));
    told_nothing(f);
    nothing(f);
    assert_int_equal(f->place->calls, 0);
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
}

static void a_disk_that_takes_no_intent_lets_nothing_go(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    assert_ptr_equal(expect(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_NOW);
    assert_ptr_equal(expect(f, OUTBOX_WRITE), item);
    outbox_book_postpone(f->book, item, "journal", 1000, f->now_ms, unix_now(f));
    nothing(f);
    /* Redis has it as begun, by us: nothing came of it. */
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true });
    write_it(f, item);
}

/* --- unknown --- */

static void an_unknown_outcome_is_looked_for_and_never_repeated_blind(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    told_nothing(f);
    int64_t began_ms = f->now_ms;
    unsigned looks = 0;
    while (item->stage == OUTBOX_LOOK) {
        assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
        looks++;
        looked(f, item, PLATFORM_CANNOT_SAY);
    }
    assert_in_range(looks, 5, 10);
    assert_in_range(f->now_ms - began_ms, UNKNOWN_MS, UNKNOWN_MS + 2000);
    assert_false(told(f, UNKNOWN).is_last);
    assert_int_equal(item->stage, OUTBOX_HOLD);
}

static void found_by_its_echo_it_counts_as_sent(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_THERE);
    assert_string_equal(told(f, SENT).object_id, "found-there");
    assert_int_equal(item->stage, OUTBOX_OVER);
}

static void an_echo_that_comes_late_spares_the_person(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    (void)told(f, UNKNOWN);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_THERE);
    (void)told(f, SENT);
    assert_int_equal(item->stage, OUTBOX_OVER);
}

static void not_there_for_long_enough_it_is_sent_again(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    int64_t began_ms = f->now_ms;
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    assert_in_range(f->now_ms - began_ms, UNKNOWN_MS / 2, UNKNOWN_MS);
    (void)told(f, LATER);
    assert_ptr_equal(call_next(f), item);
}

/* Another owner may have begun it meanwhile: what was not there before says nothing of that. */
static void looked_for_before_another_owner_came_it_is_looked_for_anew(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    f->now_ms += UNKNOWN_MS / 2;
    assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
    outbox_book_lost(f->book, f->place);
    looked(f, item, PLATFORM_IS_NOT);
    told_nothing(f);
    outbox_book_owned(f->book, f->place, FENCE + 2, f->now_ms + LONG_MS);
    int64_t began_ms = f->now_ms;
    assert_ptr_equal(take_reply(f, 1, 1, false), item);
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    assert_true(f->now_ms - began_ms >= UNKNOWN_MS / 2);
    (void)told(f, LATER);
}

static void anothers_call_is_given_the_time_it_may_take(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options slow = account;
    slow.call_ms = UNKNOWN_MS * 2LL;
    with_place(f, &slow);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true });
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    assert_int_equal(item->stage, OUTBOX_HOLD);
}

/* Else it outlives what another owner began since, and a third would think it was not sent. */
static void later_is_dated_as_the_call_it_answers(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    int64_t called_unix_ms = item->called_unix_ms;
    f->now_ms += 5000;
    answered(f, item, LATER, 0);
    assert_int_equal(told(f, LATER).at_unix_ms, called_unix_ms);
}

/* It says that it has it, and does not show it: sent again it would say so again. */
static void a_duplicate_that_is_not_shown_is_a_persons(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    const struct platform_result result = { .outcome = UNKNOWN, .is_duplicate = true };
    outbox_book_answered(f->book, item, &result, 403, f->now_ms, unix_now(f));
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    assert_int_equal(item->stage, OUTBOX_HOLD);
}

static void with_a_key_it_is_simply_repeated(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options keyed = account;
    keyed.has_key = true;
    keyed.key_ms = HOUR_MS;
    with_place(f, &keyed);
    struct outbox_item *item = call_prepared(f, take_broadcast(f, 1, 1), 1);
    answered(f, item, UNKNOWN, 0);
    (void)told(f, LATER);
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_STARTED);
    write_it(f, item);
    assert_ptr_equal(expect(f, OUTBOX_CALL), item);
    f->now_ms += HOUR_MS; /* the other side has forgotten the key */
    answered(f, item, UNKNOWN, 0);
    assert_int_equal(item->stage, OUTBOX_LOOK);
}

static void a_key_of_another_owner_is_no_good_once_it_is_old(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options keyed = account;
    keyed.has_key = true;
    keyed.key_ms = HOUR_MS;
    with_place(f, &keyed);
    struct outbox_item *item = take_broadcast(f, 1, 1);
    f->now_ms += HOUR_MS;
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true });
    assert_int_equal(item->stage, OUTBOX_LOOK);
}

/* The first try may have arrived; the second was held up, by a freeze or Redis, for too long. */
static void a_key_of_our_own_is_no_good_once_it_is_old(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options keyed = account;
    keyed.has_key = true;
    keyed.key_ms = HOUR_MS;
    with_place(f, &keyed);
    struct outbox_item *item = call_prepared(f, take_broadcast(f, 1, 1), 1);
    answered(f, item, UNKNOWN, 0);
    (void)told(f, LATER);
    f->now_ms += HOUR_MS;
    begun(f, expect_then(f, OUTBOX_BEGIN), OUTBOX_BEGUN_NOW);
    assert_int_equal(item->stage, OUTBOX_LOOK);
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_NOT);
    (void)told(f, LATER);
    assert_ptr_equal(call_next(f), item);
}

static void what_does_no_harm_is_said_again(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_broadcast(f, 1, 1), 1);
    answered(f, item, UNKNOWN, 0);
    assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
    outbox_book_repeat(f->book, item, f->now_ms, unix_now(f));
    (void)told(f, LATER);
    assert_ptr_equal(call_next(f), item);
}

/* --- a person --- */

static struct outbox_item *held(struct fixture *f)
{
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, UNKNOWN, 0);
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    (void)told(f, UNKNOWN);
    f->now_ms += 1000;
    return item;
}

static void again_is_sent_if_redis_agrees(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = held(f);
    assert_true(settle(f, item, AGAIN));
    assert_false(settle(f, item, AGAIN)); /* read twice, it counts once */
    assert_ptr_equal(call_next(f), item);
    answered(f, item, SENT, 200);
    (void)told(f, SENT);
}

/* An old word read again after a restart: Redis has the newer call. */
static void again_is_not_sent_if_redis_has_it_begun_since(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = held(f);
    assert_true(settle(f, item, AGAIN));
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_STARTED);
    assert_int_equal(item->stage, OUTBOX_HOLD);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    assert_int_equal(item->stage, OUTBOX_HOLD);
}

static void there_goes_on_with_the_next_part(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    answered(f, call_prepared(f, item, 2), UNKNOWN, 0);
    while (item->stage == OUTBOX_LOOK)
        looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    f->now_ms += 1000;
    assert_true(settle(f, item, THERE));
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), item);
    begun(f, item, OUTBOX_BEGUN_OVER);
    checked(f, item, (struct outbox_known){ .is_known = true, .parts_sent = 1 });
    assert_ptr_equal(call_next(f), item);
    assert_int_equal(item->part, 1);
}

static void by_hand_ends_it(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = held(f);
    assert_true(settle(f, item, BY_HAND));
    nothing(f);
    assert_int_equal(item->stage, OUTBOX_OVER);
    assert_true(outbox_book_is_done(f->book, item));
}

static void what_nobody_here_knows_is_no_news(void **state)
{
    struct fixture *f = *state;
    struct outbox_item stranger = { .id = { { 9 } } };
    assert_false(settle(f, &stranger, AGAIN));
}

/* --- what Redis says --- */

static void a_stale_reply_is_refused_with_what_changed(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STALE);
    struct outbox_tell tell = told(f, REFUSED);
    assert_true(tell.is_last);
    assert_string_equal(tell.error, "claimed again");
    nothing(f);
}

static void a_broadcast_overtaken_ends(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_broadcast(f, 1, 1);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_CANCELLED);
    assert_true(told(f, REFUSED).is_last);
    assert_int_equal(f->place->refused, 0);
}

static void a_freeze_holds_what_is_automatic_and_is_looked_at_again(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *receipt = take_receipt(f, 1, 1);
    prepare(f, receipt, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_FROZEN);
    int64_t frozen_ms = f->now_ms;
    struct outbox_item *other = take_receipt(f, 2, 2);
    nothing(f);
    struct outbox_item *reply = take_reply(f, 3, 3, false);
    assert_ptr_equal(call_prepared(f, reply, 1), reply);
    answered(f, reply, SENT, 200);
    (void)other;
    assert_ptr_equal(expect_then(f, OUTBOX_BEGIN), receipt);
    assert_in_range(f->now_ms - frozen_ms, 1, OUTBOX_FROZEN_LOOK_MS);
}

static void not_the_owner_any_more(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_NOT_OWNER);
    assert_false(f->place->is_ours);
    assert_int_equal(f->place->calls, 0);
    assert_ptr_equal(expect_then(f, OUTBOX_CHECK), item); /* what became of it elsewhere */
}

static void begun_by_somebody_else_it_is_looked_for(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true });
    assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
}

static void begun_by_us_before_a_restart_and_never_written_it_goes_on(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_ours = true });
    write_it(f, item);
}

/* Sent again because it was not there; meanwhile its echo has come. */
static void an_echo_before_the_second_try_is_heard(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, LATER, 500);
    (void)told(f, LATER);
    begun(f, expect_then(f, OUTBOX_BEGIN), OUTBOX_BEGUN_STARTED);
    checked(f, item, (struct outbox_known){ .is_known = true, .has_echo = true });
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_IS_THERE);
    (void)told(f, SENT);
}

static void ended_elsewhere_it_ends_here_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_OVER);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_over = true });
    told_nothing(f);
    assert_true(outbox_book_is_done(f->book, item));
}

static void times_never_go_back(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    const struct outbox_begun_answer ahead = { .begun = OUTBOX_BEGUN_NOW,
                                               .at_unix_ms = unix_now(f) + 5000 };
    outbox_book_begun(f->book, expect(f, OUTBOX_BEGIN), &ahead, f->now_ms, unix_now(f));
    assert_ptr_equal(expect(f, OUTBOX_WRITE), item);
    int64_t intent_ms = outbox_book_intent_at(item, unix_now(f));
    assert_true(intent_ms > unix_now(f) + 5000 - 1);
    outbox_book_written(item);
    (void)expect(f, OUTBOX_CALL);
    answered(f, item, LATER, 500);
    assert_true(told(f, LATER).at_unix_ms >= intent_ms);
}

/* --- accounts --- */

static const struct platform_result dead = { .outcome = BLOCKED,
                                             .is_token_dead = true,
                                             .error = "token-expired" };

static void a_dead_token_stops_the_account_and_a_probe_starts_it(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options probed = account;
    probed.can_probe = true;
    with_place(f, &probed);
    const struct platform_result fine = { .outcome = SENT };
    assert_null(expect(f, OUTBOX_PROBE)); /* at start */
    outbox_book_probed(f->book, f->place, &fine, f->now_ms, unix_now(f));
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, true), 1);
    outbox_book_answered(f->book, item, &dead, 401, f->now_ms, unix_now(f));
    assert_false(told(f, BLOCKED).is_last);
    assert_true(f->place->is_blocked);
    assert_string_equal(f->place->problem, "token-expired");
    (void)take_reply(f, 2, 2, true);
    nothing(f);
    (void)expect_then(f, OUTBOX_PROBE);
    outbox_book_probed(f->book, f->place, &dead, f->now_ms, unix_now(f));
    nothing(f);
    outbox_book_probe_soon(f->place, f->now_ms); /* the file has changed */
    (void)expect(f, OUTBOX_PROBE);
    outbox_book_probed(f->book, f->place, &fine, f->now_ms, unix_now(f));
    assert_false(f->place->is_blocked);
    assert_ptr_equal(call_next(f), item);
}

static void without_a_probe_one_item_tries_after_a_while(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, true), 1);
    outbox_book_answered(f->book, item, &dead, 401, f->now_ms, unix_now(f));
    int64_t blocked_ms = f->now_ms;
    nothing(f);
    assert_ptr_equal(call_next(f), item);
    assert_true(f->now_ms - blocked_ms >= 60000);
    outbox_book_answered(f->book, item, &dead, 401, f->now_ms, unix_now(f));
    blocked_ms = f->now_ms;
    (void)call_next(f);
    assert_true(f->now_ms - blocked_ms >= 120000); /* ever more rarely */
}

static void tokens_are_tried_every_hour(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options probed = account;
    probed.can_probe = true;
    with_place(f, &probed);
    const struct platform_result fine = { .outcome = SENT };
    for (int i = 0; i < 3; i++) {
        int64_t before_ms = f->now_ms;
        (void)expect_then(f, OUTBOX_PROBE);
        assert_true(i == 0 || f->now_ms - before_ms >= HOUR_MS - 1);
        outbox_book_probed(f->book, f->place, &fine, f->now_ms, unix_now(f));
    }
}

static void a_probe_without_an_answer_blocks_nothing(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options probed = account;
    probed.can_probe = true;
    with_place(f, &probed);
    (void)expect(f, OUTBOX_PROBE);
    outbox_book_probed(f->book, f->place, NULL, f->now_ms, unix_now(f));
    assert_false(f->place->is_blocked);
    struct outbox_item *item = take_reply(f, 1, 1, true);
    assert_ptr_equal(expect(f, OUTBOX_PREPARE), item);
}

static void a_secret_that_cannot_be_read_blocks(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, true);
    prepare(f, item, 1);
    begun(f, expect(f, OUTBOX_BEGIN), OUTBOX_BEGUN_NOW);
    assert_ptr_equal(expect(f, OUTBOX_WRITE), item);
    outbox_book_cannot(f->book, item, "token_file cannot be read", f->now_ms, unix_now(f));
    (void)told(f, BLOCKED);
    assert_true(f->place->is_blocked);
    assert_int_equal(f->place->calls, 0);
}

static void a_place_that_is_not_configured_refuses(void **state)
{
    struct fixture *f = *state;
    struct outbox_place_options none = account;
    none.refuse = "not configured";
    with_place(f, &none);
    (void)take_reply(f, 1, 1, true);
    nothing(f);
    struct outbox_tell tell = told(f, REFUSED);
    assert_true(tell.is_last);
    assert_string_equal(tell.error, "not configured");
}

/* --- receipts --- */

static void a_receipt_that_comes_too_late_says_nothing(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_receipt(f, 1, 1);
    f->place->is_blocked = true;
    f->now_ms += OUTBOX_RECEIPT_AGE_MS;
    outbox_book_tick(f->book, f->now_ms, unix_now(f));
    told_nothing(f);
    f->now_ms += 1;
    outbox_book_tick(f->book, f->now_ms, unix_now(f));
    assert_string_equal(told(f, REFUSED).error, "too late");
    assert_int_equal(item->stage, OUTBOX_OVER);
}

static void a_reply_is_never_too_late(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    f->now_ms += 48LL * HOUR_MS;
    outbox_book_tick(f->book, f->now_ms, unix_now(f));
    told_nothing(f);
    prepare(f, item, 1);
}

static void no_second_receipt_within_the_hours(void **state)
{
    struct fixture *f = *state;
    answered(f, call_prepared(f, take_receipt(f, 1, 1), 1), SENT, 200);
    (void)told(f, SENT);
    f->now_ms += 23LL * HOUR_MS;
    (void)take_receipt(f, 2, 1);
    nothing(f);
    assert_string_equal(told(f, REFUSED).error, "said already");
    f->now_ms += 2LL * HOUR_MS;
    struct outbox_item *item = take_receipt(f, 3, 1);
    prepare(f, item, 1);
}

static void of_two_receipts_at_once_one_goes(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_receipt(f, 1, 1);
    (void)take_receipt(f, 2, 1);
    prepare(f, first, 1);
    assert_ptr_equal(call_next(f), first);
    nothing(f);
    assert_string_equal(told(f, REFUSED).error, "said already");
    answered(f, first, SENT, 200);
    (void)told(f, SENT);
}

/* --- seen before --- */

static void an_end_that_comes_again_in_the_stream_stays_an_end(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, SENT, 200);
    outbox_book_told(item, true, 5);
    outbox_book_projected(f->book, 5);
    outbox_book_gone(item);
    outbox_book_projected(f->book, 0); /* Redis lost its data */
    assert_ptr_equal(take_reply(f, 1, 1, false), item);
    nothing(f); /* until it has ours again */
    assert_false(outbox_book_is_done(f->book, item));
    outbox_book_projected(f->book, 5);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_over = true });
    assert_true(outbox_book_is_done(f->book, item));
    nothing(f);
}

static void a_refusal_that_a_person_wants_again_is_sent(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, REFUSED, 400);
    outbox_book_told(item, true, 5);
    outbox_book_projected(f->book, 5);
    outbox_book_gone(item);
    assert_ptr_equal(take_reply(f, 1, 1, false), item);
    checked(f, item, (struct outbox_known){ .is_known = true });
    assert_ptr_equal(call_prepared(f, item, 1), item);
}

static void what_redis_shows_no_more_has_ended_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = take_reply(f, 1, 1, false);
    outbox_book_lost(f->book, f->place);
    renew(f);
    outbox_book_read_through(f->place);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_over = true });
    assert_int_equal(item->stage, OUTBOX_OVER);
    assert_null(f->place->first);
}

static void what_is_over_is_forgotten_after_its_time(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *item = call_prepared(f, take_reply(f, 1, 1, false), 1);
    answered(f, item, SENT, 200);
    outbox_book_told(item, true, 5);
    outbox_book_gone(item);
    f->now_ms += 72LL * HOUR_MS;
    outbox_book_forget(f->book, f->now_ms);
    assert_int_equal(outbox_book_known(f->book), 1);
    f->now_ms += 1;
    outbox_book_forget(f->book, f->now_ms);
    assert_int_equal(outbox_book_known(f->book), 0);
}

static void the_journal_is_needed_from_the_oldest_that_is_open(void **state)
{
    struct fixture *f = *state;
    struct outbox_item *first = take_reply(f, 1, 1, false);
    struct outbox_item *second = take_reply(f, 2, 2, false);
    assert_int_equal(outbox_book_needed_from(f->book, 500), first->sequence);
    answered(f, call_prepared(f, first, 1), SENT, 200);
    assert_int_equal(outbox_book_needed_from(f->book, 500), first->sequence); /* its end is not */
    outbox_book_told(first, true, 400);
    assert_int_equal(outbox_book_needed_from(f->book, 500), second->sequence);
}

/* --- from the journal --- */

static void replay(struct fixture *f, Desg__V1__OutwardFact *fact, uint64_t sequence)
{
    outbox_book_replay(f->book, fact, sequence, f->now_ms);
}

static void replay_accepted(struct fixture *f, unsigned number)
{
    struct made made;
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    make(f, &made, number, number);
    made.item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    made.item.reply = &made.reply;
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_ACCEPTED;
    fact.accepted = &made.item;
    replay(f, &fact, 10);
}

static void replay_intent(struct fixture *f, unsigned number, uint32_t part, uint32_t parts)
{
    struct made made;
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    Desg__V1__SendIntent intent = DESG__V1__SEND_INTENT__INIT;
    make(f, &made, number, number);
    intent.item_id = made.item.id;
    intent.part = part;
    intent.parts = parts;
    intent.at_ms = unix_now(f);
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_INTENT;
    fact.intent = &intent;
    replay(f, &fact, 11);
}

static void replay_result(struct fixture *f, unsigned number, uint32_t part,
                          Desg__V1__SendOutcome outcome, bool is_last)
{
    struct made made;
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    Desg__V1__SendResult result = DESG__V1__SEND_RESULT__INIT;
    make(f, &made, number, number);
    result.item_id = made.item.id;
    result.part = part;
    result.outcome = outcome;
    result.is_last = is_last;
    result.object_id = (char *)(outcome == SENT ? "was-sent" : "");
    result.at_ms = unix_now(f);
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_RESULT;
    fact.result = &result;
    replay(f, &fact, 12);
}

static void an_intent_without_a_result_is_looked_for(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 1);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
    looked(f, item, PLATFORM_IS_THERE);
    (void)told(f, SENT);
}

/* Refused, wanted again by a person, and called: the crash came before the answer. */
static void what_was_sent_again_before_a_restart_is_looked_for(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 1);
    replay_result(f, 1, 0, REFUSED, true);
    f->now_ms += 1000;
    replay_intent(f, 1, 0, 1);
    outbox_book_projected(f->book, 12);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_ours = true });
    prepare(f, item, 1);
    assert_ptr_equal(expect_then(f, OUTBOX_LOOK), item);
    looked(f, item, PLATFORM_IS_THERE);
    (void)told(f, SENT);
}

static void an_intent_that_came_to_nothing_goes_again(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 1);
    replay_result(f, 1, 0, LATER, false);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    assert_ptr_equal(call_prepared(f, item, 1), item);
}

static void parts_that_were_sent_are_not_sent_again(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 2);
    replay_result(f, 1, 0, SENT, false);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    assert_ptr_equal(call_prepared(f, item, 2), item);
    assert_int_equal(item->part, 1);
    assert_string_equal(item->objects[0], "was-sent");
}

static void what_was_sent_stays_sent_after_a_restart(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 1);
    replay_result(f, 1, 0, SENT, true);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    assert_int_equal(item->stage, OUTBOX_OVER);
    outbox_book_projected(f->book, 12);
    checked(f, item, (struct outbox_known){ .is_known = true, .is_over = true });
    nothing(f);
}

static void what_a_person_was_asked_is_still_a_persons(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 1);
    replay_result(f, 1, 0, UNKNOWN, false);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    prepare(f, item, 1);
    assert_int_equal(item->stage, OUTBOX_HOLD);
    looked(f, expect_then(f, OUTBOX_LOOK), PLATFORM_CANNOT_SAY);
    assert_int_equal(item->stage, OUTBOX_HOLD);
    told_nothing(f);
}

static void written_again_further_up_it_reads_the_same(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    replay_intent(f, 1, 0, 2);
    replay_result(f, 1, 0, SENT, false);
    replay_intent(f, 1, 1, 2);
    replay_accepted(f, 1);
    replay_result(f, 1, 0, SENT, false);
    replay_intent(f, 1, 1, 2);
    struct outbox_item *item = take_reply(f, 1, 1, false);
    assert_int_equal(item->part, 1);
    assert_true(item->is_open);
    assert_int_equal(item->stage, OUTBOX_LOOK);
}

static void what_came_before_a_restart_waits_for_redis_to_show_it(void **state)
{
    struct fixture *f = *state;
    replay_accepted(f, 1);
    nothing(f);
    outbox_book_read_through(f->place);
    (void)expect(f, OUTBOX_CHECK);
}

#define WITH_BOOK(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOOK(one_goes_out_step_by_step),
        WITH_BOOK(it_leaves_the_stream_when_redis_has_its_end),
        WITH_BOOK(what_the_disk_did_not_take_is_told_again),
        WITH_BOOK(nothing_goes_from_a_place_that_is_not_ours),
        WITH_BOOK(nothing_goes_once_the_lease_is_over),
        WITH_BOOK(an_intent_on_a_slow_disk_is_not_called_after_the_lease),
        WITH_BOOK(what_was_allowed_to_an_earlier_owner_is_not_called),
        WITH_BOOK(a_drain_begins_nothing_and_ends_what_is_under_way),
        WITH_BOOK(urgent_replies_first_then_replies_then_receipts),
        WITH_BOOK(a_conversation_keeps_its_order),
        WITH_BOOK(what_waits_for_a_person_does_not_hold_up_the_next_reply),
        WITH_BOOK(versions_of_a_broadcast_wait_for_each_other),
        WITH_BOOK(parts_go_one_after_the_other),
        WITH_BOOK(no_more_calls_at_once_than_allowed),
        WITH_BOOK(later_is_tried_again_and_never_failed),
        WITH_BOOK(a_rate_limit_holds_the_whole_account),
        WITH_BOOK(a_limit_of_one_person_holds_that_message_alone),
        WITH_BOOK(redis_away_postpones),
        WITH_BOOK(a_disk_that_takes_no_intent_lets_nothing_go),
        WITH_BOOK(an_unknown_outcome_is_looked_for_and_never_repeated_blind),
        WITH_BOOK(found_by_its_echo_it_counts_as_sent),
        WITH_BOOK(an_echo_that_comes_late_spares_the_person),
        WITH_BOOK(not_there_for_long_enough_it_is_sent_again),
        WITH_BOOK(looked_for_before_another_owner_came_it_is_looked_for_anew),
        WITH_BOOK(anothers_call_is_given_the_time_it_may_take),
        WITH_BOOK(later_is_dated_as_the_call_it_answers),
        WITH_BOOK(a_duplicate_that_is_not_shown_is_a_persons),
        WITH_BOOK(with_a_key_it_is_simply_repeated),
        WITH_BOOK(a_key_of_another_owner_is_no_good_once_it_is_old),
        WITH_BOOK(a_key_of_our_own_is_no_good_once_it_is_old),
        WITH_BOOK(what_does_no_harm_is_said_again),
        WITH_BOOK(again_is_sent_if_redis_agrees),
        WITH_BOOK(again_is_not_sent_if_redis_has_it_begun_since),
        WITH_BOOK(there_goes_on_with_the_next_part),
        WITH_BOOK(by_hand_ends_it),
        WITH_BOOK(what_nobody_here_knows_is_no_news),
        WITH_BOOK(a_stale_reply_is_refused_with_what_changed),
        WITH_BOOK(a_broadcast_overtaken_ends),
        WITH_BOOK(a_freeze_holds_what_is_automatic_and_is_looked_at_again),
        WITH_BOOK(not_the_owner_any_more),
        WITH_BOOK(begun_by_somebody_else_it_is_looked_for),
        WITH_BOOK(begun_by_us_before_a_restart_and_never_written_it_goes_on),
        WITH_BOOK(an_echo_before_the_second_try_is_heard),
        WITH_BOOK(ended_elsewhere_it_ends_here_without_a_word),
        WITH_BOOK(times_never_go_back),
        WITH_BOOK(a_dead_token_stops_the_account_and_a_probe_starts_it),
        WITH_BOOK(without_a_probe_one_item_tries_after_a_while),
        WITH_BOOK(tokens_are_tried_every_hour),
        WITH_BOOK(a_probe_without_an_answer_blocks_nothing),
        WITH_BOOK(a_secret_that_cannot_be_read_blocks),
        WITH_BOOK(a_place_that_is_not_configured_refuses),
        WITH_BOOK(a_receipt_that_comes_too_late_says_nothing),
        WITH_BOOK(a_reply_is_never_too_late),
        WITH_BOOK(no_second_receipt_within_the_hours),
        WITH_BOOK(of_two_receipts_at_once_one_goes),
        WITH_BOOK(an_end_that_comes_again_in_the_stream_stays_an_end),
        WITH_BOOK(a_refusal_that_a_person_wants_again_is_sent),
        WITH_BOOK(what_redis_shows_no_more_has_ended_elsewhere),
        WITH_BOOK(what_is_over_is_forgotten_after_its_time),
        WITH_BOOK(the_journal_is_needed_from_the_oldest_that_is_open),
        WITH_BOOK(an_intent_without_a_result_is_looked_for),
        WITH_BOOK(what_was_sent_again_before_a_restart_is_looked_for),
        WITH_BOOK(an_intent_that_came_to_nothing_goes_again),
        WITH_BOOK(parts_that_were_sent_are_not_sent_again),
        WITH_BOOK(what_was_sent_stays_sent_after_a_restart),
        WITH_BOOK(what_a_person_was_asked_is_still_a_persons),
        WITH_BOOK(written_again_further_up_it_reads_the_same),
        WITH_BOOK(what_came_before_a_restart_waits_for_redis_to_show_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
