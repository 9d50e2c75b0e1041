#include "split_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct metrics *registry(void)
{
    static struct metrics *metrics;
    if (!metrics)
        metrics = metrics_new();
    return metrics;
}

static const struct splitter *splitter(void)
{
    static struct splitter *shared;
    static struct id_key *key;
    if (!shared) {
        struct error err = { 0 };
        key = id_key_new("an id key for tests, 32 bytes long", 34);
        shared = splitter_new(NULL, key, registry(), &err);
        assert_non_null(shared);
    }
    return shared;
}

uint64_t split_counter(const char *name, const char *labels)
{
    return counter_value(metrics_counter(registry(), name, labels, ""));
}

struct told tell_delivery(Desg__V1__Delivery *delivery)
{
    struct told told = { 0 };
    delivery->received_at_ms = SPLIT_RECEIVED_AT_MS;
    size_t length = desg__v1__delivery__get_packed_size(delivery);
    uint8_t *record = malloc(length + 1);
    assert_non_null(record);
    (void)desg__v1__delivery__pack(delivery, record);
    splitter_split(splitter(), record, length, false, &told.split);
    free(record);
    told.count = told.split.count;
    told.events = calloc(told.count + 1, sizeof(Desg__V1__Event *));
    assert_non_null(told.events);
    for (size_t i = 0; i < told.count; i++) {
        const struct split_event *event = &told.split.events[i];
        told.events[i] = desg__v1__event__unpack(NULL, event->length, event->bytes);
        assert_non_null(told.events[i]);
        assert_memory_equal(told.events[i]->id.data, event->id.bytes, ID_BYTES);
        assert_string_equal(told.events[i]->channel, event->channel);
        assert_int_equal(told.events[i]->received_at_ms, SPLIT_RECEIVED_AT_MS);
        assert_int_equal(told.events[i]->conversation_id.len, ID_BYTES);
    }
    return told;
}

struct told tell_bytes(const char *adapter, const void *body, size_t length)
{
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = (char *)adapter;
    delivery.body.data = (uint8_t *)body;
    delivery.body.len = length;
    return tell_delivery(&delivery);
}

struct told tell(const char *adapter, const char *body)
{
    return tell_bytes(adapter, body, strlen(body));
}

void told_clear(struct told *told)
{
    for (size_t i = 0; i < told->count; i++)
        desg__v1__event__free_unpacked(told->events[i], NULL);
    free(told->events);
    split_clear(&told->split);
    *told = (struct told){ 0 };
}

static void write_text(FILE *out, const char *label, const char *text)
{
    if (text[0] != '\0')
        (void)fprintf(out, " %s=%s", label, text);
}

static void write_event(FILE *out, const Desg__V1__Event *event)
{
    const ProtobufCEnumValue *kind =
        protobuf_c_enum_descriptor_get_value(&desg__v1__event_kind__descriptor, (int)event->kind);
    (void)fprintf(out, "%s %s/%s", kind->name + strlen("EVENT_KIND_"), event->channel,
                  event->account);
    write_text(out, "person", event->person);
    write_text(out, "name", event->person_name);
    write_text(out, "handle", event->person_handle);
    write_text(out, "contact", event->contact);
    write_text(out, "object", event->object_id);
    write_text(out, "target", event->target_object_id);
    if (event->edit_version > 0)
        (void)fprintf(out, " edit=%u", event->edit_version);
    if (event->platform_time_ms != 0)
        (void)fprintf(out, " at=%" PRId64, event->platform_time_ms);
    write_text(out, "reaction", event->reaction);
    write_text(out, "as", event->raw_kind);
    write_text(out, "ref", event->outward_ref);
    write_text(out, "language", event->language_hint);
    write_text(out, "place", event->location_text);
    (void)fprintf(out, "%s%s%s", event->is_public ? " public" : "",
                  event->is_standby ? " standby" : "", event->raw.len > 0 ? " raw" : "");
    for (size_t i = 0; i < event->n_attachments; i++) {
        const Desg__V1__Attachment *attachment = event->attachments[i];
        (void)fprintf(out, " +%s(%s%s%s)", attachment->type, attachment->url, attachment->id,
                      attachment->title);
    }
    if (event->text[0] != '\0')
        (void)fprintf(out, " \"%s\"", event->text);
    (void)fputc('\n', out);
}

char *told_lines(const struct told *told)
{
    char *lines = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&lines, &length);
    assert_non_null(out);
    for (size_t i = 0; i < told->count; i++)
        write_event(out, told->events[i]);
    if (told->split.non_events > 0)
        (void)fprintf(out, "skipped %zu\n", told->split.non_events);
    (void)fclose(out);
    return lines;
}

void assert_splits(const char *adapter, const struct split_case *cases, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        struct told told = tell(adapter, cases[i].body);
        char *lines = told_lines(&told);
        if (strcmp(lines, cases[i].lines) != 0) {
            print_error("%s\n told:\n%s expected:\n%s", cases[i].name, lines, cases[i].lines);
            failures++;
        }
        free(lines);
        told_clear(&told);
    }
    assert_int_equal(failures, 0);
}
