/* What holds for every adapter: nothing is dropped, nothing crashes, everything is bounded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/event_build.h"
#include "split_support.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const adapters[] = { "meta", "x", "web" };

static void what_cannot_be_read_is_one_event_a_person_sees(void **state)
{
    (void)state;
    static const struct {
        const char *body, *reason;
    } cases[] = {
        { "", "cut-short" },
        { "help", "not-json" },
        { "{\"object\":\"page\"", "cut-short" },
        { "[1,2]", "not-an-object" },
        { "{\"a\":1,\"a\":2}", "key-twice" },
        { "{\"a\":1e999}", "not-json" },
        { "{\"a\":\"raw\nnewline\"}", "not-json" },
        { "{} {}", "not-json" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t a = 0; a < COUNT(adapters); a++) {
            struct told told = tell(adapters[a], cases[i].body);
            assert_int_equal(told.count, 1);
            assert_int_equal(told.events[0]->kind, KIND(UNREADABLE));
            if (strcmp(told.events[0]->raw_kind, cases[i].reason) != 0)
                fail_msg("%s: %s", cases[i].body, told.events[0]->raw_kind);
            assert_int_equal(told.events[0]->raw.len, strlen(cases[i].body));
            told_clear(&told);
        }
    }
}

static void a_body_nested_100000_deep_is_unreadable(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *body = malloc(2 * DEPTH + 5);
    assert_non_null(body);
    (void)sprintf(body, "{\"a\":");
    memset(body + 5, '[', DEPTH);
    memset(body + 5 + DEPTH, ']', DEPTH);
    for (size_t a = 0; a < COUNT(adapters); a++) {
        struct told told = tell_bytes(adapters[a], body, 2 * DEPTH + 5);
        assert_int_equal(told.count, 1);
        assert_int_equal(told.events[0]->kind, KIND(UNREADABLE));
        assert_string_equal(told.events[0]->raw_kind, "too-deep");
        assert_int_equal(told.events[0]->raw.len, EVENT_RAW_MAX_BYTES);
        told_clear(&told);
    }
    free(body);
}

static void the_channel_of_an_unreadable_body_is_what_it_names(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "Facebook", "{\"object\":\"page\"", "UNREADABLE facebook/ as=cut-short raw\n" },
        { "Instagram", "{\"object\":\"instagram\"", "UNREADABLE instagram/ as=cut-short raw\n" },
        { "WhatsApp", "{\"object\":\"whatsapp_business_account\"",
          "UNREADABLE whatsapp/ as=cut-short raw\n" },
    };
    assert_splits("meta", cases, COUNT(cases));
}

static void broken_text_is_repaired_not_refused(void **state)
{
    (void)state;
#define TEXT(text)                                                                                 \
    "{\"object\":\"page\",\"entry\":[{\"id\":\"1\",\"messaging\":[{\"sender\":{\"id\":\"2\"},"     \
    "\"message\":{\"mid\":\"m\",\"text\":\"" text "\"}}]}]}"
#define TOLD(text) "MESSAGE facebook/1 person=2 object=m as=message \"" text "\"\n"
    static const struct split_case cases[] = {
        { "half an emoji", TEXT("a \\ud83d b"), TOLD("a \xef\xbf\xbd b") },
        { "the other half", TEXT("a \\udf0a b"), TOLD("a \xef\xbf\xbd b") },
        { "NUL as an escape", TEXT("a\\u0000b"),
          TOLD("a\xef\xbf\xbd"
               "b") },
        { "bytes that are not UTF-8", TEXT("a\xff\xc3 b"), TOLD("a\xef\xbf\xbd\xef\xbf\xbd b") },
        { "a surrogate in bytes", TEXT("\xed\xa0\x80"),
          TOLD("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
        { "a byte order mark", "\xef\xbb\xbf" TEXT("a"), TOLD("a") },
        { "whole emoji, Welsh letters", TEXT("\\ud83c\\udf0a ŵŷ"), TOLD("🌊 ŵŷ") },
    };
    assert_splits("meta", cases, COUNT(cases));
    static const char with_nul[] = TEXT("a\0b");
    struct told told = tell_bytes("meta", with_nul, sizeof with_nul - 1);
    char *lines = told_lines(&told);
    assert_string_equal(lines, TOLD("a\xef\xbf\xbd"
                                    "b"));
    free(lines);
    told_clear(&told);
}

static void numbers_of_64_bits_and_more_stay_exact(void **state)
{
    (void)state;
    static const struct split_case cases[] = {
        { "ids as numbers",
          "{\"object\":\"page\",\"entry\":[{\"id\":9007199254740993,\"messaging\":[{\"sender\":{"
          "\"id\":9223372036854775807},\"message\":{\"mid\":18446744073709551615,\"text\":\"a\"}}]}"
          "]}",
          "MESSAGE facebook/9007199254740993 person=9223372036854775807 "
          "object=18446744073709551615 as=message \"a\"\n" },
    };
    assert_splits("meta", cases, 1);
    struct told told =
        tell("x", "{\"for_user_id\":123456789012345678901234567890,\"hologram\":[{}]}");
    assert_string_equal(told.events[0]->account, "123456789012345678901234567890");
    told_clear(&told);
}

static char *many_messages(size_t count, size_t *length)
{
    static const char head[] = "{\"object\":\"page\",\"entry\":[{\"id\":\"1\",\"messaging\":[";
    char *body = malloc(sizeof head + count * 80);
    assert_non_null(body);
    size_t at = (size_t)sprintf(body, "%s", head);
    for (size_t i = 0; i < count; i++)
        at += (size_t)sprintf(body + at,
                              "%s{\"sender\":{\"id\":\"2\"},\"message\":{\"mid\":\"%zu\",\"text\":"
                              "\"a\"}}",
                              i ? "," : "", i);
    at += (size_t)sprintf(body + at, "]}]}");
    *length = at;
    return body;
}

static void a_delivery_with_too_many_events_says_so(void **state)
{
    (void)state;
    static const size_t counts[] = { EVENTS_MAX, EVENTS_MAX + 1, EVENTS_MAX + EVENTS_MAX };
    for (size_t i = 0; i < COUNT(counts); i++) {
        size_t length = 0;
        char *body = many_messages(counts[i], &length);
        struct told told = tell_bytes("meta", body, length);
        bool is_over = counts[i] > EVENTS_MAX;
        assert_int_equal(told.count, EVENTS_MAX + (is_over ? 1 : 0));
        const Desg__V1__Event *last = told.events[told.count - 1];
        assert_int_equal(last->kind, is_over ? KIND(UNREADABLE) : KIND(MESSAGE));
        assert_string_equal(last->raw_kind, is_over ? "too-many-events" : "message");
        told_clear(&told);
        free(body);
    }
}

static void long_texts_are_cut_between_letters(void **state)
{
    (void)state;
    enum { LENGTH = 3 << 20 };
    char *body = malloc(LENGTH + 100);
    assert_non_null(body);
    size_t at = (size_t)sprintf(body, "{\"id\":\"f\",\"text\":\"x");
    while (at < LENGTH)
        at += (size_t)sprintf(body + at, "ŵ");
    at += (size_t)sprintf(body + at, "\"}");
    struct told told = tell_bytes("web", body, at);
    assert_int_equal(told.count, 1);
    assert_int_equal(strlen(told.events[0]->text), EVENT_TEXT_MAX_BYTES - 1);
    assert_true(told.split.events[0].length < EVENT_TEXT_MAX_BYTES + 1024);
    told_clear(&told);
    free(body);
}

static void a_record_that_is_no_delivery_is_told(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct metrics *metrics = metrics_new();
    struct id_key *key = id_key_new("an id key for tests, 32 bytes long", 34);
    struct splitter *splitter = splitter_new(NULL, key, metrics, &err);
    assert_non_null(splitter);
    struct split split;
    splitter_split(splitter, (const uint8_t *)"\xff\xff\xff", 3, false, &split);
    assert_int_equal(split.count, 1);
    assert_int_equal(split.events[0].kind, KIND(UNREADABLE));
    split_clear(&split);
    splitter_split(splitter, NULL, 0, false, &split); /* an empty record names no adapter */
    assert_int_equal(split.count, 1);
    assert_int_equal(split.events[0].kind, KIND(UNREADABLE));
    split_clear(&split);
    assert_null(split.events);
    splitter_destroy(&splitter);
    id_key_destroy(&key);
    metrics_destroy(&metrics);
}

static void a_damaged_record_names_its_sequence(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct metrics *metrics = metrics_new();
    struct id_key *key = id_key_new("an id key for tests, 32 bytes long", 34);
    struct splitter *splitter = splitter_new(NULL, key, metrics, &err);
    const struct id source = { { 0xab } };
    struct split split;
    struct split again;
    struct split next;
    splitter_damaged(splitter, &source, 77, 5, &split);
    splitter_damaged(splitter, &source, 77, 5, &again);
    splitter_damaged(splitter, &source, 78, 5, &next);
    assert_int_equal(split.count, 1);
    Desg__V1__Event *event =
        desg__v1__event__unpack(NULL, split.events[0].length, split.events[0].bytes);
    assert_non_null(event);
    assert_int_equal(event->kind, KIND(UNREADABLE));
    assert_string_equal(event->raw_kind, "journal-record-damaged");
    assert_string_equal(event->object_id, "ab000000000000000000000000000000/77");
    assert_memory_equal(&split.events[0].id, &again.events[0].id, ID_BYTES);
    assert_memory_not_equal(&split.events[0].id, &next.events[0].id, ID_BYTES);
    desg__v1__event__free_unpacked(event, NULL);
    split_clear(&split);
    split_clear(&again);
    split_clear(&next);
    splitter_destroy(&splitter);
    id_key_destroy(&key);
    metrics_destroy(&metrics);
}

static void what_ended_ingest_is_shown_and_not_read(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct metrics *metrics = metrics_new();
    struct id_key *key = id_key_new("an id key for tests, 32 bytes long", 34);
    struct splitter *splitter = splitter_new(NULL, key, metrics, &err);
    static const uint8_t record[] = "\x0a\x04meta\xff\xff not even a delivery";
    struct split split;
    struct split again;
    splitter_set_aside(splitter, record, sizeof record, 5, &split);
    splitter_set_aside(splitter, record, sizeof record, 6, &again);
    assert_int_equal(split.count, 1);
    assert_non_null(split.poison);
    Desg__V1__Event *event =
        desg__v1__event__unpack(NULL, split.events[0].length, split.events[0].bytes);
    assert_non_null(event);
    assert_int_equal(event->kind, KIND(UNREADABLE));
    assert_string_equal(event->raw_kind, "ended-ingest");
    assert_int_equal(event->raw.len, sizeof record);
    assert_memory_equal(event->raw.data, record, sizeof record);
    assert_memory_equal(&split.events[0].id, &again.events[0].id, ID_BYTES);
    desg__v1__event__free_unpacked(event, NULL);
    split_clear(&split);
    split_clear(&again);
    splitter_set_aside(splitter, NULL, 0, 5, &split); /* an empty one */
    assert_int_equal(split.count, 1);
    split_clear(&split);
    splitter_destroy(&splitter);
    id_key_destroy(&key);
    metrics_destroy(&metrics);
}

static void an_unknown_adapter_is_told(void **state)
{
    (void)state;
    const struct split_case one = { "a later version's adapter", "{}",
                                    "UNREADABLE other/ as=no-adapter raw\n" };
    assert_splits("telepathy", &one, 1);
}

/* Nothing else of an event depends on it, its id least of all. */
static void every_event_carries_the_trace_of_its_delivery(void **state)
{
    (void)state;
    static const char body[] = "{\"for_user_id\":\"1\",\"hologram\":[{},{\"a\":1}]}";
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = (char *)"x";
    delivery.body = (ProtobufCBinaryData){ sizeof body - 1, (uint8_t *)body };
    struct told without = tell_delivery(&delivery);
    delivery.trace_high = 0x4bf92f3577b34da6U;
    delivery.trace_low = 0xa3ce929d0e0e4736U;
    struct told with = tell_delivery(&delivery);
    assert_int_equal(with.count, 2);
    assert_int_equal(without.count, 2);
    for (size_t i = 0; i < with.count; i++) {
        assert_true(with.events[i]->trace_high == delivery.trace_high);
        assert_true(with.events[i]->trace_low == delivery.trace_low);
        assert_true(without.events[i]->trace_high == 0 && without.events[i]->trace_low == 0);
        assert_memory_equal(with.split.events[i].id.bytes, without.split.events[i].id.bytes,
                            ID_BYTES);
    }
    told_clear(&with);
    told_clear(&without);
}

static void counts_by_channel_and_kind_and_replays_apart(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct metrics *metrics = metrics_new();
    struct id_key *key = id_key_new("an id key for tests, 32 bytes long", 34);
    struct splitter *splitter = splitter_new(NULL, key, metrics, &err);
    static const char body[] =
        "{\"for_user_id\":\"1\",\"hologram\":[{},{}],\"follow_events\":[{}]}";
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = (char *)"x";
    delivery.body = (ProtobufCBinaryData){ sizeof body - 1, (uint8_t *)body };
    uint8_t record[256];
    size_t length = desg__v1__delivery__pack(&delivery, record);
    struct split split;
    splitter_split(splitter, record, length, false, &split);
    split_clear(&split);
    splitter_split(splitter, record, length, true, &split);
    assert_int_equal(split.non_events, 1);
    split_clear(&split);
    static const struct {
        const char *name, *labels;
        uint64_t value;
    } counters[] = {
        { "desg_ingest_events_total", "channel=\"x\",kind=\"unknown\"", 2 },
        { "desg_ingest_replayed_events_total", "channel=\"x\",kind=\"unknown\"", 2 },
        { "desg_ingest_non_events_total", "channel=\"x\",kind=\"follow\"", 1 },
        { "desg_ingest_replayed_non_events_total", "channel=\"x\",kind=\"follow\"", 1 },
    };
    for (size_t i = 0; i < COUNT(counters); i++)
        assert_int_equal(
            counter_value(metrics_counter(metrics, counters[i].name, counters[i].labels, "")),
            counters[i].value);
    splitter_destroy(&splitter);
    id_key_destroy(&key);
    metrics_destroy(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_is_one_event_a_person_sees),
        cmocka_unit_test(a_body_nested_100000_deep_is_unreadable),
        cmocka_unit_test(the_channel_of_an_unreadable_body_is_what_it_names),
        cmocka_unit_test(broken_text_is_repaired_not_refused),
        cmocka_unit_test(numbers_of_64_bits_and_more_stay_exact),
        cmocka_unit_test(a_delivery_with_too_many_events_says_so),
        cmocka_unit_test(long_texts_are_cut_between_letters),
        cmocka_unit_test(a_record_that_is_no_delivery_is_told),
        cmocka_unit_test(a_damaged_record_names_its_sequence),
        cmocka_unit_test(what_ended_ingest_is_shown_and_not_read),
        cmocka_unit_test(an_unknown_adapter_is_told),
        cmocka_unit_test(every_event_carries_the_trace_of_its_delivery),
        cmocka_unit_test(counts_by_channel_and_kind_and_replays_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
