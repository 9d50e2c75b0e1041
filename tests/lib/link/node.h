/* node - one end of a hop for tests: a link, and what its handlers were told. */
#ifndef DESG_TESTS_LINK_NODE_H
#define DESG_TESTS_LINK_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/link.h"
#include "link/resolver.h"

enum { NODE_PATH_BYTES = 128 };

/* One loop and one context for all nodes of a test. */
struct fixture {
    void *context;
    zloop_t *loop;
    char directory[64];
    char endpoint[NODE_PATH_BYTES]; /* ipc, in directory */
};

struct node {
    struct link *link;
    struct metrics *metrics;
    struct id instance;
    link_peer peer; /* the one that came up last */
    uint32_t peer_credit_seen;
    int up_count;
    int down_count;
    int drain_count; /* downs that were drains */
    int packet_count;
    int kind;          /* of the last packet */
    size_t item_count; /* of all batches and Dones */
    bool is_answering; /* a Done for each batch */
    bool returns_credit;
    size_t event_bytes; /* of the last item */
    uint8_t event_first;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Runs the loop until done(arg) or ms are over; returns done(arg). */
bool run_until(zloop_t *loop, bool (*done)(void *arg), void *arg, int ms);
/* Runs the loop for ms, for what must not happen. */
void run_for(zloop_t *loop, int ms);

void node_init(struct node *self, uint32_t seed);
struct link_options node_options(struct node *self, const struct fixture *f, uint32_t credit);
void node_bind(struct node *self, const struct fixture *f, const char *endpoint, uint32_t credit);
void node_connect(struct node *self, const struct fixture *f, const char *endpoint,
                  uint32_t credit);
void node_connect_by(struct node *self, const struct fixture *f, const char *endpoint,
                     const struct resolver_source *source);
void node_stop(struct node *self);
void node_clear(struct node *self);

/* Sends a batch of count items of event_bytes each to the node's peer. */
int node_send_batch(struct node *self, size_t count, size_t event_bytes, struct error *err);
uint64_t node_refused(struct node *self, const char *reason);
uint64_t node_counter(struct node *self, const char *name);

bool node_is_up(void *node);
bool node_is_alone(void *node); /* no peer is up */

/* A socket bound to a port of loopback that nobody has, below those that the kernel gives to
 * outgoing connections: one of them could take a port between two who listen there. */
int bind_to_any(uint16_t *port);

/* A DEALER or ROUTER without a link, to say what a link would not. */
void *raw_socket(void *context, int type);
void raw_send(void *socket, const Desg__V1__Packet *packet);
/* The next packet within ms; the caller frees it. NULL: none came. */
Desg__V1__Packet *raw_receive(void *socket, zloop_t *loop, int ms);
void raw_say_ready(void *socket, uint8_t seed, uint32_t credit);

#endif
