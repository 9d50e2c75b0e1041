#include "classify/event_decode.h"

#include <stdalign.h>
#include <stdlib.h>

struct event_decoder {
    ProtobufCAllocator allocator;
    uint8_t *memory;
    size_t used;
};

static void *take(void *arg, size_t size)
{
    struct event_decoder *self = arg;
    size_t start = (self->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (size > EVENT_DECODE_BYTES || start > EVENT_DECODE_BYTES - size)
        return NULL;
    self->used = start + size;
    return self->memory + start;
}

/* All goes at once, with the next event. */
static void give_back(void *arg, void *pointer)
{
    (void)arg;
    (void)pointer;
}

struct event_decoder *event_decoder_new(struct error *err)
{
    struct event_decoder *self = calloc(1, sizeof *self);
    if (self)
        self->memory = malloc(EVENT_DECODE_BYTES);
    if (!self || !self->memory) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to decode events");
        event_decoder_destroy(&self);
        return NULL;
    }
    self->allocator = (ProtobufCAllocator){ take, give_back, self };
    return self;
}

void event_decoder_destroy(struct event_decoder **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->memory);
    free(*self_p);
    *self_p = NULL;
}

const Desg__V1__Verdict *verdict_decode(struct event_decoder *self, const uint8_t *bytes,
                                        size_t length)
{
    self->used = 0;
    return desg__v1__verdict__unpack(&self->allocator, length, bytes);
}

const Desg__V1__Event *event_decode(struct event_decoder *self, const uint8_t *bytes, size_t length)
{
    self->used = 0;
    return desg__v1__event__unpack(&self->allocator, length, bytes);
}
