#include "ingest/split.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/channel.h"
#include "ingest/event_build.h"
#include "ingest/split_json.h"
#include "unpack/unpack.h"

enum { KIND_COUNT = 14 };

static const char *const kind_names[KIND_COUNT] = {
    "unspecified", "message", "edit",    "unsend", "reaction", "postback",   "read",
    "echo",        "comment", "mention", "notice", "unknown",  "unreadable", "outcome",
};

/* Channels an adapter may name; the last stands for any other. */
static const char *const channel_names[] = { "facebook", "instagram", "whatsapp",
                                             "x",        "web",       "other" };
enum { CHANNEL_COUNT = sizeof channel_names / sizeof channel_names[0] };

/* Counters are made when first needed: most forces use a few of the many. The registry gives the
 * same one to whoever asks first, so a race is harmless. */
typedef _Atomic(struct counter *) lazy_counter;

struct splitter {
    const struct id_key *key;
    struct metrics *metrics;
    lazy_counter *events;     /* [is_replay][channel][kind] */
    lazy_counter *non_events; /* [is_replay][channel][non-event] */
};

struct splitter *splitter_new(const struct ingest_config *config, const struct id_key *key,
                              struct metrics *metrics, struct error *err)
{
    (void)config; /* splitting depends on the record and the id key alone, so replays agree */
    split_json_prepare();
    struct splitter *self = calloc(1, sizeof *self);
    if (self) {
        self->key = key;
        self->metrics = metrics;
        self->events = calloc((size_t)2 * CHANNEL_COUNT * KIND_COUNT, sizeof *self->events);
        self->non_events =
            calloc((size_t)2 * CHANNEL_COUNT * NON_EVENT_COUNT, sizeof *self->non_events);
        if (self->events && self->non_events)
            return self;
    }
    (void)error_set(err, ERROR_SYSTEM, "no memory for the splitter");
    splitter_destroy(&self);
    return NULL;
}

void splitter_destroy(struct splitter **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->events);
    free((*self_p)->non_events);
    free(*self_p);
    *self_p = NULL;
}

static size_t channel_index(const char *channel)
{
    size_t i = 0;
    while (i < CHANNEL_COUNT - 1 && strcmp(channel, channel_names[i]) != 0)
        i++;
    return i;
}

static void count(const struct splitter *self, lazy_counter *place, const char *name,
                  const char *channel, const char *kind, uint64_t amount)
{
    struct counter *counter = atomic_load_explicit(place, memory_order_acquire);
    if (!counter) {
        char labels[96];
        (void)snprintf(labels, sizeof labels, "channel=\"%s\",kind=\"%s\"", channel, kind);
        counter = metrics_counter(self->metrics, name, labels,
                                  "What deliveries said, by channel and kind.");
        atomic_store_explicit(place, counter, memory_order_release);
    }
    counter_add(counter, amount);
}

static void count_events(const struct splitter *self, bool is_replay, const struct split *split)
{
    const char *name = is_replay ? "desg_ingest_replayed_events_total" : "desg_ingest_events_total";
    size_t offset = is_replay ? CHANNEL_COUNT : 0;
    for (size_t i = 0; i < split->count; i++) {
        const struct split_event *event = &split->events[i];
        size_t channel = channel_index(event->channel);
        size_t kind = (size_t)event->kind < KIND_COUNT ? (size_t)event->kind : 0;
        count(self, &self->events[(offset + channel) * KIND_COUNT + kind], name,
              channel_names[channel], kind_names[kind], 1);
    }
}

static void count_non_events(const struct splitter *self, bool is_replay,
                             const struct builder *builder)
{
    const char *name =
        is_replay ? "desg_ingest_replayed_non_events_total" : "desg_ingest_non_events_total";
    size_t offset = is_replay ? CHANNEL_COUNT : 0;
    size_t channel = channel_index(builder_channel(builder));
    for (size_t kind = 0; kind < NON_EVENT_COUNT; kind++) {
        uint64_t amount = builder_skipped(builder, (enum non_event)kind);
        if (amount > 0)
            count(self, &self->non_events[(offset + channel) * NON_EVENT_COUNT + kind], name,
                  channel_names[channel], non_event_name((enum non_event)kind), amount);
    }
}

static void finish(const struct splitter *self, struct builder *builder, bool is_replay,
                   struct split *out)
{
    count_non_events(self, is_replay, builder);
    builder_finish(&builder, out);
    count_events(self, is_replay, out);
}

static const uint8_t nothing[1];

static void split_delivery(const Desg__V1__Delivery *journalled, struct builder *builder)
{
    Desg__V1__Delivery view = *journalled;
    const Desg__V1__Delivery *delivery = &view;
    if (!view.body.data) /* an empty body */
        view.body = (ProtobufCBinaryData){ .len = 0, .data = (uint8_t *)nothing };
    const struct channel_adapter *adapter = channel_adapter_find(delivery->adapter);
    if (!adapter) { /* journalled by a later version, or by one that had more adapters */
        builder_account(builder, "other", "");
        builder_unreadable(builder, delivery->body.data, delivery->body.len, "no-adapter");
        return;
    }
    adapter->split(delivery, builder);
    if (builder_is_overflowing(builder))
        builder_unreadable(builder, delivery->body.data, delivery->body.len, "too-many-events");
}

void splitter_split(const struct splitter *self, const uint8_t *record, size_t length,
                    bool is_replay, struct split *out)
{
    Desg__V1__Delivery *delivery =
        unpack_or_end(&desg__v1__delivery__descriptor, record ? record : nothing, length);
    struct builder *builder = builder_new(self->key, delivery ? delivery->received_at_ms : 0);
    if (delivery) {
        builder_trace(builder, (struct trace){ delivery->trace_high, delivery->trace_low });
        split_delivery(delivery, builder);
    } else {
        builder_account(builder, "other", "");
        builder_unreadable(builder, record ? record : nothing, length, "not-a-delivery");
    }
    finish(self, builder, is_replay, out);
    out->received_at_ms = delivery ? delivery->received_at_ms : 0;
    if (delivery)
        desg__v1__delivery__free_unpacked(delivery, NULL);
}

void splitter_damaged(const struct splitter *self, const struct id *source, uint64_t sequence,
                      int64_t stored_at_ms, struct split *out)
{
    struct builder *builder = builder_new(self->key, stored_at_ms);
    char source_text[ID_TEXT_BYTES];
    id_text(source->bytes, source_text);
    builder_account(builder, "other", "");
    builder_lost(builder, builder_text(builder, "%s/%" PRIu64, source_text, sequence),
                 "journal-record-damaged");
    finish(self, builder, false, out);
}

void splitter_set_aside(const struct splitter *self, const uint8_t *record, size_t length,
                        int64_t stored_at_ms, struct split *out)
{
    struct builder *builder = builder_new(self->key, stored_at_ms);
    builder_account(builder, "other", "");
    builder_unreadable(builder, record ? record : nothing, length, "ended-ingest");
    finish(self, builder, true, out);
    out->poison = "ingest ended three times while it read this delivery";
}
