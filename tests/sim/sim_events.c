#include "sim_events.h"

#include <string.h>

#include "desg/v1/event.pb-c.h"
#include "ids/ids.h"

enum { CONVERSATIONS = 24, MARKER = 0xe7, EVENT_MOST = 3 };

size_t event_number(const uint8_t *id)
{
    return (size_t)id[1] << 8 | id[2];
}

int event_of(const struct world *world, const uint8_t *id, const ProtobufCBinaryData *raw)
{
    size_t number = event_number(id);
    if (id[0] == MARKER && number < world->event_count &&
        memcmp(world->events[number].id.bytes, id, ID_BYTES) == 0)
        return (int)number;
    if (raw->len >= 3 && raw->data[0] == 0xff) /* no tag of a protobuf message */
        return (int)((size_t)raw->data[1] << 8 | raw->data[2]);
    return NO_EVENT;
}

int event_of_alert(const struct world *world, const ProtobufCBinaryData *alert)
{
    for (size_t i = 0; alert->len == ID_BYTES && i < world->event_count; i++) {
        struct id id = id_of_alert(world->events[i].id.bytes);
        if (memcmp(id.bytes, alert->data, ID_BYTES) == 0)
            return (int)i;
    }
    return NO_EVENT;
}

static enum event_nature choose_nature(struct world *world)
{
    uint64_t side = world_dice(world, 150);
    if (side == 0)
        return NATURE_KILLS_WORKER;
    if (side == 1)
        return NATURE_UNDECODABLE;
    return side == 2 ? NATURE_BREAKS_FUNCTION : NATURE_PLAIN;
}

static uint8_t choose_severity(struct world *world)
{
    static const uint8_t some[] = { 1, 1, 1, 1, 2, 2, 3, 4, 4, 5 };
    return some[world_dice(world, sizeof some)];
}

static void pack_event(struct sim_event *event, size_t number)
{
    if (event->nature == NATURE_UNDECODABLE) {
        const uint8_t bytes[] = { 0xff, (uint8_t)(number >> 8), (uint8_t)number, 0xff };
        memcpy(event->bytes, bytes, sizeof bytes);
        event->length = sizeof bytes;
        return;
    }
    uint8_t conversation[ID_BYTES] = { 0xc0, (uint8_t)event->conversation };
    Desg__V1__Event message = DESG__V1__EVENT__INIT;
    message.id = (ProtobufCBinaryData){ ID_BYTES, event->id.bytes };
    message.conversation_id = (ProtobufCBinaryData){ ID_BYTES, conversation };
    message.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    message.channel = (char *)"x";
    message.account = (char *)"a";
    message.received_at_ms = event->received_ms;
    event->length = desg__v1__event__pack(&message, event->bytes);
}

static void make_event(struct world *world, int64_t received_ms)
{
    size_t number = world->event_count++;
    struct sim_event *event = &world->events[number];
    *event = (struct sim_event){
        .nature = choose_nature(world),
        .conversation = (uint16_t)world_dice(world, CONVERSATIONS),
        .received_ms = received_ms,
    };
    event->severity[0] = event->severity[1] = choose_severity(world);
    if (world->has_restless_rules || world_dice(world, 10) == 0)
        event->severity[1] = choose_severity(world);
    event->id.bytes[0] = MARKER;
    event->id.bytes[1] = (uint8_t)(number >> 8);
    event->id.bytes[2] = (uint8_t)number;
    pack_event(event, number);
}

void events_make(struct world *world)
{
    size_t deliveries = 20 + world_dice(world, DELIVERIES_MAX - 20);
    int64_t received_ms = process_unix_ms(world, &world->processes[0]);
    for (size_t i = 0; i < deliveries && world->event_count + EVENT_MOST <= EVENTS_MAX; i++) {
        struct delivery *delivery = &world->deliveries[world->delivery_count++];
        *delivery = (struct delivery){
            .first_event = (uint16_t)world->event_count,
            .event_count = (uint16_t)(world_dice(world, 3) ? 1 : 1 + world_dice(world, EVENT_MOST))
        };
        for (size_t n = 0; n < delivery->event_count; n++)
            make_event(world, received_ms + world_between(world, 0, 60000));
    }
}
