#include "classify/hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void hold_init(struct hold *self)
{
    *self = (struct hold){ 0 };
    self->last_next = &self->first;
}

void hold_clear(struct hold *self)
{
    while (self->first)
        free(hold_take(self, &self->first));
}

struct held *hold_add(struct hold *self, const struct id *source, uint64_t incarnation,
                      const Desg__V1__Item *item, int64_t now_ms)
{
    assert(self && source && item && item->position);
    size_t bytes_count = item->event.len + item->verdict.len;
    if (self->blocked_since_ms == 0)
        self->blocked_since_ms = now_ms;
    if (self->count >= HOLD_MAX_EVENTS || bytes_count > HOLD_MAX_BYTES - self->bytes)
        return NULL;
    struct held *held = calloc(1, sizeof *held + bytes_count);
    if (!held)
        return NULL;
    held->source = *source;
    held->incarnation = incarnation;
    held->position = *item->position;
    held->item = *item;
    held->item.position = &held->position;
    held->item.quarantine_reason = (char *)protobuf_c_empty_string;
    held->bytes_count = bytes_count;
    held->since_ms = now_ms;
    if (item->event.len > 0)
        memcpy(held->bytes, item->event.data, item->event.len);
    if (item->verdict.len > 0)
        memcpy(held->bytes + item->event.len, item->verdict.data, item->verdict.len);
    held->item.event.data = held->bytes;
    held->item.verdict.data = held->bytes + item->event.len;
    *self->last_next = held;
    self->last_next = &held->next;
    self->count++;
    self->bytes += bytes_count;
    return held;
}

struct held *hold_take(struct hold *self, struct held **link)
{
    struct held *held = *link;
    assert(held && self->count > 0);
    *link = held->next;
    if (self->last_next == &held->next)
        self->last_next = link;
    held->next = NULL;
    self->count--;
    self->bytes -= held->bytes_count;
    return held;
}

void hold_drop(struct hold *self, const ProtobufCBinaryData *source, uint64_t incarnation,
               const Desg__V1__Position *position)
{
    for (struct held **link = &self->first; *link && position; link = &(*link)->next) {
        const struct held *held = *link;
        if (held->position.sequence != position->sequence ||
            held->position.index != position->index || held->incarnation != incarnation ||
            source->len != ID_BYTES || memcmp(source->data, held->source.bytes, ID_BYTES) != 0)
            continue;
        free(hold_take(self, link));
        return;
    }
}

bool hold_is_due(const struct hold *self, const struct held *held, int64_t now_ms)
{
    bool is_lane_blocked =
        self->blocked_since_ms != 0 && now_ms - self->blocked_since_ms >= HOLD_WAIT_MS;
    return is_lane_blocked || now_ms - held->since_ms >= HOLD_WAIT_MS;
}

void hold_unblocked(struct hold *self)
{
    self->blocked_since_ms = 0;
}
