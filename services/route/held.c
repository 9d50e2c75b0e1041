#include "route/held.h"

#include <stdlib.h>
#include <string.h>

#include "store/plan.h"
#include "unpack/unpack.h"

enum { RAW_KEPT_BYTES = 16 << 10, REPLAYED_AFTER_MS = 10 * 60 * 1000 };

/* Poison that is not even an event: an unreadable one made of its bytes, always the same for the
 * same place in the same journal. Returns the packed event or NULL. */
static uint8_t *wrap_unreadable(const struct address *from, const ProtobufCBinaryData *bytes,
                                int64_t now_ms, size_t *length)
{
    struct id seeds[2] = { from->source, { { 0 } } };
    memcpy(seeds[1].bytes, &from->sequence, sizeof from->sequence);
    memcpy(seeds[1].bytes + sizeof from->sequence, &from->index, sizeof from->index);
    struct id id = id_of_digest(seeds, 2);
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    event.conversation_id = event.id;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE;
    event.received_at_ms = now_ms;
    event.raw = *bytes;
    if (event.raw.len > RAW_KEPT_BYTES)
        event.raw.len = RAW_KEPT_BYTES;
    uint8_t *packed = malloc(desg__v1__event__get_packed_size(&event));
    if (packed)
        *length = desg__v1__event__pack(&event, packed);
    return packed;
}

static int copy_bytes(struct held *out, const uint8_t *event, size_t event_length,
                      const ProtobufCBinaryData *verdict, struct error *err)
{
    out->bytes = malloc(event_length + verdict->len + 1);
    if (!out->bytes)
        return error_set(err, ERROR_SYSTEM, "no memory for an event of %zu bytes", event_length);
    if (event_length > 0)
        memcpy(out->bytes, event, event_length);
    if (verdict->len > 0)
        memcpy(out->bytes + event_length, verdict->data, verdict->len);
    out->event_length = event_length;
    out->verdict_length = verdict->len;
    return 0;
}

static int decode(struct held *out, struct error *err)
{
    out->event = unpack(&desg__v1__event__descriptor, out->bytes, out->event_length, err);
    if (!out->event)
        return -1;
    if (out->event->id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "event id has %zu bytes, not %d", out->event->id.len,
                         ID_BYTES);
    out->verdict = unpack(&desg__v1__verdict__descriptor, out->bytes + out->event_length,
                          out->verdict_length, err);
    return out->verdict ? 0 : -1;
}

static void clear_content(struct held *self)
{
    if (self->event)
        desg__v1__event__free_unpacked(self->event, NULL);
    if (self->verdict)
        desg__v1__verdict__free_unpacked(self->verdict, NULL);
    free(self->bytes);
    self->event = NULL;
    self->verdict = NULL;
    self->bytes = NULL;
}

static int take_poison(struct held *out, const Desg__V1__Item *item, int64_t now_ms,
                       struct error *err)
{
    static const ProtobufCBinaryData no_verdict = { 0, NULL };
    size_t length = 0;
    clear_content(out);
    uint8_t *packed = wrap_unreadable(&out->from, &item->event, now_ms, &length);
    if (!packed)
        return error_set(err, ERROR_SYSTEM, "no memory for an unreadable event");
    int rc = copy_bytes(out, packed, length, &no_verdict, err);
    free(packed);
    return rc == 0 ? decode(out, err) : -1;
}

int held_take(struct held *out, const struct address *from, const Desg__V1__Item *item,
              int64_t now_ms, struct error *err)
{
    *out = (struct held){ .from = *from,
                          .is_alerted = item->is_alerted,
                          .is_replayed = item->is_replayed };
    int rc = copy_bytes(out, item->event.data, item->event.len, &item->verdict, err);
    if (rc == 0)
        rc = decode(out, err);
    if (rc != 0 && item->is_quarantined && err->kind == ERROR_INVALID)
        rc = take_poison(out, item, now_ms, err);
    if (rc == 0 && item->is_quarantined) {
        const char *reason = item->quarantine_reason[0] ? item->quarantine_reason : "not said";
        out->quarantine_reason = strdup(reason);
        if (!out->quarantine_reason)
            rc = error_set(err, ERROR_SYSTEM, "no memory for a reason");
    }
    if (rc != 0)
        held_clear(out);
    return rc;
}

void held_clear(struct held *self)
{
    clear_content(self);
    free(self->quarantine_reason);
    self->quarantine_reason = NULL;
}

struct store_event held_event(const struct held *self)
{
    return (struct store_event){ .event_bytes = self->bytes,
                                 .event_length = self->event_length,
                                 .event = self->event,
                                 .verdict_bytes = self->bytes + self->event_length,
                                 .verdict_length = self->verdict_length,
                                 .verdict = self->verdict,
                                 .is_replayed = self->is_replayed,
                                 .is_alerted = self->is_alerted,
                                 .quarantine_reason = self->quarantine_reason };
}

bool held_needs_alert(const struct held *self, const struct store_queues *queues, int64_t now_ms)
{
    if (self->is_alerted)
        return false;
    if (self->is_replayed && now_ms - self->event->received_at_ms > REPLAYED_AFTER_MS)
        return false; /* goes through Redis, when it is back, marked as replayed */
    struct store_plan plan;
    store_plan_make(&plan, self->event, self->verdict, queues);
    return plan.may_alert;
}
