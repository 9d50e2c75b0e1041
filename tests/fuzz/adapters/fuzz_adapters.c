/* Every adapter over any bytes. The first byte picks the adapter (and for the web form its content
 * type), the rest is the body. Beyond not crashing: each delivery gives something, and twice the
 * same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desg/v1/event.pb-c.h"
#include "ingest/split.h"

static const struct splitter *splitter(void)
{
    static struct splitter *shared;
    if (!shared) {
        struct error err = { 0 };
        shared = splitter_new(NULL, id_key_new("an id key for fuzzing, 32 bytes!!", 33),
                              metrics_new(), &err);
        if (!shared)
            abort();
    }
    return shared;
}

static void must(int is_so)
{
    if (!is_so)
        abort();
}

static void check_events(const struct split *first, const struct split *second)
{
    must(first->count + first->non_events > 0);
    must(first->count == second->count && first->non_events == second->non_events);
    for (size_t i = 0; i < first->count; i++) {
        const struct split_event *event = &first->events[i];
        must(event->length == second->events[i].length &&
             memcmp(event->bytes, second->events[i].bytes, event->length) == 0);
        Desg__V1__Event *decoded = desg__v1__event__unpack(NULL, event->length, event->bytes);
        must(decoded && decoded->kind == event->kind && decoded->id.len == ID_BYTES);
        desg__v1__event__free_unpacked(decoded, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const adapters[] = { "meta", "x", "web", "web" };
    if (size == 0)
        return 0;
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    size_t pick = data[0] % 4;
    delivery.adapter = (char *)adapters[pick];
    delivery.content_type =
        (char *)(pick == 3 ? "application/x-www-form-urlencoded" : "application/json");
    delivery.submission_id = (char *)"submission";
    delivery.received_at_ms = 1770833999000;
    delivery.body = (ProtobufCBinaryData){ .len = size - 1, .data = (uint8_t *)data + 1 };
    size_t length = desg__v1__delivery__get_packed_size(&delivery);
    uint8_t *record = malloc(length);
    must(record != NULL);
    (void)desg__v1__delivery__pack(&delivery, record);
    struct split first;
    struct split second;
    splitter_split(splitter(), record, length, false, &first);
    splitter_split(splitter(), record, length, true, &second);
    check_events(&first, &second);
    split_clear(&first);
    split_clear(&second);
    splitter_split(splitter(), data, size, false, &first); /* any bytes as the record itself */
    must(first.count + first.non_events > 0);
    split_clear(&first);
    free(record);
    return 0;
}
