#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "route/held.h"
#include "sample.h"
#include "scarce_memory.h"

static const int64_t now_ms = 1790000000000;

static Desg__V1__Item item_of(struct sample *sample)
{
    sample_pack(sample);
    Desg__V1__Item item = DESG__V1__ITEM__INIT;
    item.event = (ProtobufCBinaryData){ sample->event_length, sample->event_bytes };
    item.verdict = (ProtobufCBinaryData){ sample->verdict_length, sample->verdict_bytes };
    return item;
}

static const struct address somewhere = { .peer = 1, .incarnation = 2, .sequence = 3, .index = 4 };

static void keeps_copies_of_the_bytes_as_they_came(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample, 1, 1, now_ms, DESG__V1__SEVERITY__SEVERITY_URGENT);
    Desg__V1__Item item = item_of(&sample);
    struct held held;
    struct error err = { 0 };
    assert_int_equal(held_take(&held, &somewhere, &item, now_ms, &err), 0);
    struct store_event event = held_event(&held);
    assert_ptr_not_equal(event.event_bytes, sample.event_bytes);
    assert_int_equal(event.event_length, sample.event_length);
    assert_memory_equal(event.event_bytes, sample.event_bytes, sample.event_length);
    assert_memory_equal(event.verdict_bytes, sample.verdict_bytes, sample.verdict_length);
    assert_null(event.quarantine_reason);
    assert_int_equal(held.from.sequence, 3);
    held_clear(&held);
}

static void what_cannot_be_decoded_is_refused(void **state)
{
    (void)state;
    static uint8_t rubbish[] = { 0xff, 0xff, 0xff };
    struct sample sample;
    sample_init(&sample, 1, 1, now_ms, DESG__V1__SEVERITY__SEVERITY_ROUTINE);
    for (int broken = 0; broken < 3; broken++) {
        Desg__V1__Item item = item_of(&sample);
        if (broken == 0)
            item.event = (ProtobufCBinaryData){ sizeof rubbish, rubbish };
        else if (broken == 1)
            item.verdict = (ProtobufCBinaryData){ sizeof rubbish, rubbish };
        else
            item.event = (ProtobufCBinaryData){ 0, NULL }; /* an event without an id */
        struct held held;
        struct error err = { 0 };
        assert_int_equal(held_take(&held, &somewhere, &item, now_ms, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(held.bytes);
    }
}

static void poison_that_is_no_event_is_kept_as_an_unreadable_one(void **state)
{
    (void)state;
    static uint8_t rubbish[] = { 0xff, 0xff, 0xff };
    Desg__V1__Item item = DESG__V1__ITEM__INIT;
    item.event = (ProtobufCBinaryData){ sizeof rubbish, rubbish };
    item.is_quarantined = true;
    item.quarantine_reason = (char *)"crashed its worker twice";
    struct id first;
    for (int again = 0; again < 2; again++) {
        struct held held;
        struct error err = { 0 };
        assert_int_equal(held_take(&held, &somewhere, &item, now_ms + again, &err), 0);
        assert_int_equal(held.event->kind, DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE);
        assert_int_equal(held.event->raw.len, sizeof rubbish);
        assert_string_equal(held_event(&held).quarantine_reason, "crashed its worker twice");
        if (again)
            assert_memory_equal(held.event->id.data, first.bytes, ID_BYTES); /* collapses */
        memcpy(first.bytes, held.event->id.data, ID_BYTES);
        held_clear(&held);
    }
}

static void needs_an_alert_only_what_is_urgent_fresh_and_not_yet_told(void **state)
{
    (void)state;
    static const struct {
        int64_t age_ms;
        Desg__V1__Severity severity;
        Desg__V1__EventKind kind;
        bool is_alerted, is_replayed, expected;
    } cases[] = {
        { 0, 4, DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, false, false, true },
        { 60000, 5, DESG__V1__EVENT_KIND__EVENT_KIND_EDIT, false, true, true },
        { 0, 3, DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, false, false, true },
        { 0, 2, DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, false, false, false },
        { 0, 4, DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, true, false, false },
        { 660000, 4, DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE, false, true, false },
        { 0, 3, DESG__V1__EVENT_KIND__EVENT_KIND_READ, false, false, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_init(&sample, 1, 1, now_ms - cases[i].age_ms, cases[i].severity);
        sample.event.kind = cases[i].kind;
        Desg__V1__Item item = item_of(&sample);
        item.is_alerted = cases[i].is_alerted;
        item.is_replayed = cases[i].is_replayed;
        struct held held;
        struct error err = { 0 };
        assert_int_equal(held_take(&held, &somewhere, &item, now_ms, &err), 0);
        if (held_needs_alert(&held, NULL, now_ms) != cases[i].expected)
            fail_msg("case %zu", i);
        held_clear(&held);
    }
}

/* Whatever allocation it is that fails: the event is as good as before, and comes again. */
static void a_want_of_memory_is_no_fault_of_the_event(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample, 1, 1, now_ms, DESG__V1__SEVERITY__SEVERITY_URGENT);
    for (int is_poison = 0; is_poison < 2; is_poison++) {
        Desg__V1__Item item = item_of(&sample);
        item.is_quarantined = is_poison;
        item.quarantine_reason = (char *)"crashed its worker twice";
        size_t refusals = 0;
        for (int rc = -1; rc != 0; refusals += rc != 0) {
            struct held held;
            struct error err = { 0 };
            assert_in_range(refusals, 0, 200);
            memory_lasts(refusals);
            rc = held_take(&held, &somewhere, &item, now_ms, &err);
            (void)memory_is_plenty();
            if (rc != 0)
                assert_int_equal(err.kind, ERROR_SYSTEM);
            else
                assert_int_equal(held.event->kind, sample.event.kind);
            held_clear(&held);
        }
        assert_in_range(refusals, 5, 200); /* also where event and verdict are taken apart */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_copies_of_the_bytes_as_they_came),
        cmocka_unit_test(what_cannot_be_decoded_is_refused),
        cmocka_unit_test(poison_that_is_no_event_is_kept_as_an_unreadable_one),
        cmocka_unit_test(a_want_of_memory_is_no_fault_of_the_event),
        cmocka_unit_test(needs_an_alert_only_what_is_urgent_fresh_and_not_yet_told),
    };
    return cmocka_run_group_tests_name("route held", tests, NULL, NULL);
}
