/* resolver - host names to addresses, looked up again and again by a thread of its own: a dead DNS
 * server stalls nobody else. A lookup that fails keeps the addresses known; one that succeeds
 * replaces them.
 * Threads: all calls from the owner's thread. lookup runs in the resolver's. */
#ifndef DESG_LINK_RESOLVER_H
#define DESG_LINK_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "link/endpoint.h"

enum { RESOLVER_ADDRESSES_MAX = 256, RESOLVER_HOST_BYTES = 64, RESOLVER_INTERVAL_MS = 5000 };

struct resolver_answer {
    size_t count;
    char hosts[RESOLVER_ADDRESSES_MAX][RESOLVER_HOST_BYTES]; /* numeric, each once */
};

/* Fills *answer with all addresses of host. Returns false if they cannot be told now. */
typedef bool resolver_lookup(const char *host, struct resolver_answer *answer, void *arg);

/* How to look up: the system's way, every 5 s, if NULL is given instead. */
struct resolver_source {
    resolver_lookup *lookup;
    void *arg;
    uint32_t interval_ms;
};

struct resolver;

/* Starts looking up hosts[0..count), which are copied. */
struct resolver *resolver_new(const char *const *hosts, size_t count,
                              const struct resolver_source *source, struct error *err) MUST_USE;

/* Returns at once, even when a lookup hangs: the thread frees what it uses when it ends. */
void resolver_destroy(struct resolver **self_p);

/* Readable when there is something to take. */
int resolver_descriptor(const struct resolver *self);

/* Copies what is known of host number index if it is new since the last take. */
bool resolver_take(struct resolver *self, size_t index, struct resolver_answer *answer);

/* Makes the descriptor unreadable; call it before taking. */
void resolver_acknowledge(struct resolver *self);

#endif
