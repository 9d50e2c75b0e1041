#include "classify/answers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES_MAX = 256 };

struct source {
    struct id id;
    link_peer peer;
    uint64_t used; /* the least used makes room for a new one */
};

struct answers {
    struct tally *tally;
    const struct outlets *outlets;
    struct source sources[SOURCES_MAX];
    size_t source_count;
    uint64_t uses;
    /* The Busy in the making: */
    struct id source;
    uint64_t incarnation;
    Desg__V1__Position positions[LINK_BATCH_MAX_ITEMS];
    Desg__V1__BusyItem items[LINK_BATCH_MAX_ITEMS];
    Desg__V1__BusyItem *list[LINK_BATCH_MAX_ITEMS];
    size_t count;
};

struct answers *answers_new(struct tally *tally, const struct outlets *outlets, struct error *err)
{
    struct answers *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for answers");
        return NULL;
    }
    self->tally = tally;
    self->outlets = outlets;
    return self;
}

void answers_destroy(struct answers **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static struct source *slot_for(struct answers *self, const struct id *id)
{
    struct source *oldest = &self->sources[0];
    for (size_t i = 0; i < self->source_count; i++) {
        struct source *entry = &self->sources[i];
        if (memcmp(&entry->id, id, sizeof *id) == 0)
            return entry;
        oldest = entry->used < oldest->used ? entry : oldest;
    }
    return self->source_count < SOURCES_MAX ? &self->sources[self->source_count++] : oldest;
}

void answers_learn(struct answers *self, const struct id *source, link_peer peer)
{
    *slot_for(self, source) = (struct source){ *source, peer, ++self->uses };
}

void answers_forget(struct answers *self, link_peer peer)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->source_count; i++) {
        if (self->sources[i].peer != peer)
            self->sources[kept++] = self->sources[i];
    }
    self->source_count = kept;
}

static link_peer find_peer(const struct answers *self, const ProtobufCBinaryData *source)
{
    for (size_t i = 0; source->len == ID_BYTES && i < self->source_count; i++) {
        if (memcmp(self->sources[i].id.bytes, source->data, ID_BYTES) == 0)
            return self->sources[i].peer;
    }
    return 0;
}

void answers_pass(struct answers *self, const ProtobufCBinaryData *source,
                  const Desg__V1__Packet *packet)
{
    link_peer peer = find_peer(self, source);
    if (peer == 0 || self->outlets->send(self->outlets->arg, OUTLET_INGEST, peer, packet) != 0)
        tally_answer_lost(self->tally);
}

void answers_send_busy(struct answers *self, const char *reason)
{
    if (self->count == 0)
        return;
    Desg__V1__Busy busy = DESG__V1__BUSY__INIT;
    busy.source = (ProtobufCBinaryData){ ID_BYTES, self->source.bytes };
    busy.incarnation = self->incarnation;
    busy.n_items = self->count;
    busy.items = self->list;
    busy.reason = (char *)reason; /* packed, not changed */
    Desg__V1__Packet packet = link_packet_busy(&busy);
    answers_pass(self, &busy.source, &packet);
    self->count = 0;
}

void answers_add_busy(struct answers *self, const struct id *source, uint64_t incarnation,
                      const Desg__V1__Position *position, bool is_alerted, const char *reason)
{
    assert(position);
    if (self->count == LINK_BATCH_MAX_ITEMS || incarnation != self->incarnation ||
        memcmp(&self->source, source, sizeof *source) != 0)
        answers_send_busy(self, reason);
    self->source = *source;
    self->incarnation = incarnation;
    Desg__V1__BusyItem *item = &self->items[self->count];
    *item = (Desg__V1__BusyItem)DESG__V1__BUSY_ITEM__INIT;
    self->positions[self->count] = *position;
    item->position = &self->positions[self->count];
    item->is_alerted = is_alerted;
    self->list[self->count++] = item;
}
