/* peer - who is at the other end, and how much it takes. Found by its id, by where its packets come
 * from, and by the instance it says it is.
 * Threads: a table belongs to the thread of its link. */
#ifndef DESG_LINK_PEER_H
#define DESG_LINK_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/link.h"

enum {
    PEERS_MAX = 1024, /* of one link */
    PEER_TEXT_MAX_BYTES = 128,
    PEER_CHANNELS_MAX = 64,
    PEER_CREDIT_MAX = 20000 /* as many packets as libzmq holds for a peer */
};

struct connection;

/* Where packets come from and go to. */
struct place {
    struct connection *connection; /* connecting side; else NULL */
    uint64_t route;                /* bound side: ROUTER's id of the other end, never 0 */
};

struct peer {
    link_peer id;
    struct place place;
    struct link_peer_info info;
    uint32_t granted;
    uint32_t outstanding;
    int64_t heard_at_ms;
    int64_t sent_at_ms;
    bool has_spoken;  /* something after its Ready: a further Ready then means it began anew */
    bool is_draining; /* it said so */
    bool is_lost;     /* libzmq knows it no more; the loop takes it down */
};

struct peer_table;

struct peer_table *peer_table_new(void); /* NULL: no memory */
void peer_table_destroy(struct peer_table **self_p);

/* True if a Ready holds what it must and no more than we take. */
bool peer_is_acceptable(const Desg__V1__Ready *ready);

/* Adds what said an acceptable ready at place. NULL: the table is full, or no memory. */
struct peer *peer_table_add(struct peer_table *self, const struct place *place,
                            const Desg__V1__Ready *ready);
void peer_table_remove(struct peer_table *self, struct peer *peer);

/* Takes over what a further ready of the same peer says. Returns false: no memory, all as it was.
 */
bool peer_update(struct peer *peer, const Desg__V1__Ready *ready);
bool peer_says_the_same(const struct peer *peer, const Desg__V1__Ready *ready);

struct peer *peer_table_find(const struct peer_table *self, link_peer id);
struct peer *peer_table_at(const struct peer_table *self, const struct place *place);
struct peer *peer_table_instance(const struct peer_table *self, const struct id *instance);

size_t peer_table_count(const struct peer_table *self);
/* Peers in turn: start with *cursor = 0, ends with NULL. Removing the one just given is fine. */
struct peer *peer_table_next(const struct peer_table *self, size_t *cursor);

#endif
