#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct id sample_id(const char *kind, unsigned a, unsigned b)
{
    struct id seed = { { 0 } };
    (void)snprintf((char *)seed.bytes, sizeof seed.bytes, "%.3s%u-%u", kind, a % 100000,
                   b % 100000);
    return id_of_digest(&seed, 1);
}

void sample_init(struct sample *self, unsigned conversation, unsigned number,
                 int64_t received_at_ms, Desg__V1__Severity severity)
{
    memset(self, 0, sizeof *self);
    desg__v1__event__init(&self->event);
    desg__v1__verdict__init(&self->verdict);
    self->event_id = sample_id("ev", conversation, number);
    self->conversation = sample_id("co", conversation, 0);
    self->event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    self->event.channel = (char *)"facebook";
    self->event.account = (char *)"1001";
    self->event.person = (char *)"2002";
    self->event.text = (char *)"pothole on the invented road";
    self->event.received_at_ms = received_at_ms;
    self->event.platform_time_ms = received_at_ms - 500;
    self->verdict.severity = severity;
    self->verdict.is_urgent = severity >= DESG__V1__SEVERITY__SEVERITY_URGENT;
    self->verdict.category = (char *)"other";
    self->verdict.language = DESG__V1__LANGUAGE__LANGUAGE_EN;
}

void sample_pack(struct sample *self)
{
    self->event.id = (ProtobufCBinaryData){ ID_BYTES, self->event_id.bytes };
    self->event.conversation_id = (ProtobufCBinaryData){ ID_BYTES, self->conversation.bytes };
    if (desg__v1__event__get_packed_size(&self->event) > SAMPLE_MAX_BYTES ||
        desg__v1__verdict__get_packed_size(&self->verdict) > SAMPLE_MAX_BYTES)
        abort();
    self->event_length = desg__v1__event__pack(&self->event, self->event_bytes);
    self->verdict_length = desg__v1__verdict__pack(&self->verdict, self->verdict_bytes);
}

struct store_event sample_event(const struct sample *self)
{
    return (struct store_event){ .event_bytes = self->event_bytes,
                                 .event_length = self->event_length,
                                 .event = &self->event,
                                 .verdict_bytes = self->verdict_bytes,
                                 .verdict_length = self->verdict_length,
                                 .verdict = &self->verdict };
}
