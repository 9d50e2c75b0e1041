#include "link/peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_BITS = 16 };

/* An id is a serial number and a slot: found at once, never the same again. */
struct peer_table {
    uint64_t serial;
    size_t count;
    size_t used;                    /* slots ever used: those above are empty */
    struct place places[PEERS_MAX]; /* beside the peers, so that a search stays in the cache */
    struct peer *peers[PEERS_MAX];
};

struct peer_table *peer_table_new(void)
{
    return calloc(1, sizeof(struct peer_table));
}

static void clear_info(struct link_peer_info *info)
{
    for (size_t i = 0; i < info->channel_count; i++)
        free((char *)info->channels[i]);
    free((void *)info->channels);
    free((char *)info->service);
    free((char *)info->name);
    *info = (struct link_peer_info){ 0 };
}

static bool copy_channels(struct link_peer_info *info, const Desg__V1__Ready *ready)
{
    if (ready->n_channels == 0)
        return true;
    char **channels = calloc(ready->n_channels, sizeof *channels);
    if (!channels)
        return false;
    info->channels = (const char *const *)channels;
    info->channel_count = ready->n_channels;
    for (size_t i = 0; i < ready->n_channels; i++)
        if (!(channels[i] = strdup(ready->channels[i])))
            return false;
    return true;
}

static bool copy_info(struct link_peer_info *out, const Desg__V1__Ready *ready)
{
    struct link_peer_info info = { .service = strdup(ready->service), .name = strdup(ready->name) };
    memcpy(info.instance.bytes, ready->instance.data, ID_BYTES);
    if (info.service && info.name && copy_channels(&info, ready)) {
        *out = info;
        return true;
    }
    clear_info(&info);
    return false;
}

/* Configured names: short and printable, as they go into logs and the status. */
static bool is_name(const char *text)
{
    size_t length = strnlen(text, PEER_TEXT_MAX_BYTES + 1);
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length <= PEER_TEXT_MAX_BYTES;
}

bool peer_is_acceptable(const Desg__V1__Ready *ready)
{
    if (ready->protocol == 0 || ready->instance.len != ID_BYTES || !is_name(ready->service) ||
        !is_name(ready->name) || ready->n_channels > PEER_CHANNELS_MAX)
        return false;
    for (size_t i = 0; i < ready->n_channels; i++)
        if (!is_name(ready->channels[i]))
            return false;
    return true;
}

static uint32_t credit_of(const Desg__V1__Ready *ready)
{
    return ready->credit < PEER_CREDIT_MAX ? ready->credit : PEER_CREDIT_MAX;
}

static void peer_destroy(struct peer *peer)
{
    clear_info(&peer->info);
    free(peer);
}

void peer_table_destroy(struct peer_table **self_p)
{
    if (!self_p || !*self_p)
        return;
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(*self_p, &cursor));)
        peer_destroy(peer);
    free(*self_p);
    *self_p = NULL;
}

static size_t slot_of(link_peer id)
{
    return (size_t)(id & ((1U << SLOT_BITS) - 1));
}

struct peer *peer_table_add(struct peer_table *self, const struct place *place,
                            const Desg__V1__Ready *ready)
{
    assert(peer_is_acceptable(ready));
    size_t slot = 0;
    while (slot < self->used && self->peers[slot])
        slot++;
    struct peer *peer = slot < PEERS_MAX ? calloc(1, sizeof *peer) : NULL;
    if (!peer || !copy_info(&peer->info, ready)) {
        free(peer);
        return NULL;
    }
    peer->id = ++self->serial << SLOT_BITS | slot;
    peer->place = *place;
    peer->granted = credit_of(ready);
    self->peers[slot] = peer;
    self->places[slot] = *place;
    self->used = slot == self->used ? slot + 1 : self->used;
    self->count++;
    return peer;
}

void peer_table_remove(struct peer_table *self, struct peer *peer)
{
    size_t slot = slot_of(peer->id);
    assert(self->peers[slot] == peer);
    self->peers[slot] = NULL;
    self->places[slot] = (struct place){ 0 };
    self->count--;
    peer_destroy(peer);
}

bool peer_says_the_same(const struct peer *peer, const Desg__V1__Ready *ready)
{
    const struct link_peer_info *info = &peer->info;
    if (peer->granted != credit_of(ready) || info->channel_count != ready->n_channels ||
        strcmp(info->service, ready->service) != 0 || strcmp(info->name, ready->name) != 0)
        return false;
    for (size_t i = 0; i < info->channel_count; i++)
        if (strcmp(info->channels[i], ready->channels[i]) != 0)
            return false;
    return true;
}

bool peer_update(struct peer *peer, const Desg__V1__Ready *ready)
{
    struct link_peer_info info;
    if (!copy_info(&info, ready))
        return false;
    clear_info(&peer->info);
    peer->info = info;
    peer->granted = credit_of(ready);
    return true;
}

struct peer *peer_table_find(const struct peer_table *self, link_peer id)
{
    size_t slot = slot_of(id);
    struct peer *peer = slot < self->used ? self->peers[slot] : NULL;
    return peer && peer->id == id ? peer : NULL;
}

static bool is_at(const struct place *a, const struct place *b)
{
    return a->route == b->route && a->connection == b->connection;
}

struct peer *peer_table_at(const struct peer_table *self, const struct place *place)
{
    assert(place->connection || place->route != 0);
    for (size_t slot = 0; slot < self->used; slot++)
        if (is_at(&self->places[slot], place))
            return self->peers[slot];
    return NULL;
}

struct peer *peer_table_instance(const struct peer_table *self, const struct id *instance)
{
    size_t cursor = 0;
    for (struct peer *peer; (peer = peer_table_next(self, &cursor));)
        if (memcmp(&peer->info.instance, instance, sizeof *instance) == 0)
            return peer;
    return NULL;
}

size_t peer_table_count(const struct peer_table *self)
{
    return self->count;
}

struct peer *peer_table_next(const struct peer_table *self, size_t *cursor)
{
    while (*cursor < self->used) {
        struct peer *peer = self->peers[(*cursor)++];
        if (peer)
            return peer;
    }
    return NULL;
}
