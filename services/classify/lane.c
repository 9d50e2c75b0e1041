#include "classify/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct lane_peer *find(struct lane *self, link_peer peer)
{
    for (size_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i].peer == peer)
            return &self->peers[i];
    }
    return NULL;
}

void lane_peer_up(struct lane *self, link_peer peer)
{
    if (!find(self, peer) && self->peer_count < LANE_PEERS_MAX)
        self->peers[self->peer_count++] = (struct lane_peer){ .peer = peer };
}

void lane_peer_down(struct lane *self, link_peer peer)
{
    struct lane_peer *entry = find(self, peer);
    if (entry)
        *entry = self->peers[--self->peer_count];
}

void lane_answered(struct lane *self, link_peer peer, size_t events)
{
    struct lane_peer *entry = find(self, peer);
    if (!entry)
        return;
    uint32_t returned = events < entry->in_flight ? (uint32_t)events : entry->in_flight;
    entry->in_flight -= returned;
    entry->old -= returned < entry->old ? returned : entry->old;
    self->outlets->credit_return(self->outlets->arg, self->outlet, peer, returned);
}

size_t lane_forget_unanswered(struct lane *self, int64_t now_ms)
{
    size_t forgotten = 0;
    if (now_ms - self->looked_at_ms < LANE_UNANSWERED_MS)
        return 0;
    self->looked_at_ms = now_ms;
    for (size_t i = 0; i < self->peer_count; i++) {
        struct lane_peer *entry = &self->peers[i];
        uint32_t lost = entry->old;
        entry->in_flight -= lost;
        entry->old = entry->in_flight;
        forgotten += lost;
        if (lost > 0)
            self->outlets->credit_return(self->outlets->arg, self->outlet, entry->peer, lost);
    }
    return forgotten;
}

/* The peer with the most credit, so that load spreads; NULL if none has any. */
static struct lane_peer *choose(struct lane *self, uint32_t *credit)
{
    struct lane_peer *best = NULL;
    *credit = 0;
    for (size_t i = 0; i < self->peer_count; i++) {
        uint32_t theirs =
            self->outlets->credit(self->outlets->arg, self->outlet, self->peers[i].peer);
        if (theirs > *credit) {
            *credit = theirs;
            best = &self->peers[i];
        }
    }
    return best;
}

/* How many of the first items fit one batch. */
static size_t fit(Desg__V1__Item *const *items, size_t count, uint32_t credit)
{
    size_t most = credit < LINK_BATCH_MAX_ITEMS ? credit : LINK_BATCH_MAX_ITEMS;
    size_t bytes = 0;
    for (size_t i = 0; i < count && i < most; i++) {
        bytes += items[i]->event.len + items[i]->verdict.len;
        if (bytes > LINK_BATCH_MAX_BYTES && i > 0)
            return i;
    }
    return count < most ? count : most;
}

size_t lane_send(struct lane *self, const struct id *source, uint64_t incarnation,
                 Desg__V1__Item *const *items, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        uint32_t credit = 0;
        struct lane_peer *peer = choose(self, &credit);
        if (!peer)
            break;
        Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
        batch.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source->bytes };
        batch.incarnation = incarnation;
        batch.lane = self->number;
        batch.n_items = fit(items + sent, count - sent, credit);
        batch.items = (Desg__V1__Item **)items + sent;
        Desg__V1__Packet packet = link_packet_batch(&batch);
        if (self->outlets->send(self->outlets->arg, self->outlet, peer->peer, &packet) != 0)
            break; /* gone, or not taking: the link will say so, the rest waits */
        peer->in_flight += (uint32_t)batch.n_items;
        sent += batch.n_items;
    }
    if (sent > 0)
        hold_unblocked(&self->hold);
    return sent;
}

/* The held events from the first on that share its source, at most a batch of them. */
static size_t gather(const struct hold *hold, Desg__V1__Item **items)
{
    size_t count = 0;
    const struct held *first = hold->first;
    for (struct held *held = hold->first; held && count < LINK_BATCH_MAX_ITEMS; held = held->next) {
        if (memcmp(&held->source, &first->source, sizeof held->source) != 0 ||
            held->incarnation != first->incarnation)
            break;
        items[count++] = &held->item;
    }
    return count;
}

size_t lane_send_held(struct lane *self)
{
    size_t total = 0;
    while (self->hold.first) {
        Desg__V1__Item *items[LINK_BATCH_MAX_ITEMS];
        size_t count = gather(&self->hold, items);
        struct id source = self->hold.first->source;
        size_t sent = lane_send(self, &source, self->hold.first->incarnation, items, count);
        for (size_t i = 0; i < sent; i++)
            free(hold_take(&self->hold, &self->hold.first));
        total += sent;
        if (sent < count)
            break;
    }
    return total;
}

size_t lane_in_flight(const struct lane *self)
{
    size_t total = 0;
    for (size_t i = 0; i < self->peer_count; i++)
        total += self->peers[i].in_flight;
    return total;
}
