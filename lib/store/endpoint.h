/* endpoint - where a Redis or a Sentinel is: unix:/path, host:port or [v6]:port. A name is looked
 * up by a thread of its own, so that a dead DNS server costs the caller no more than
 * the time it is willing to wait; the address found last is used while a lookup fails. Threads: an
 * endpoint belongs to one thread. */
#ifndef DESG_STORE_ENDPOINT_H
#define DESG_STORE_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { ENDPOINT_TEXT_BYTES = 280, ENDPOINT_HOST_BYTES = 256 };

struct endpoint_lookup;

struct endpoint {
    char text[ENDPOINT_TEXT_BYTES]; /* as configured or as a Sentinel said it */
    bool is_unix;                   /* then host is the path */
    char host[ENDPOINT_HOST_BYTES];
    int port;
    char numeric[INET6_ADDRSTRLEN]; /* "": not looked up yet; of a name the last one found */
    unsigned turn;                  /* which of a name's addresses is taken */
    struct endpoint_lookup *lookup; /* under way; NULL: none */
};

enum endpoint_state { ENDPOINT_FOUND, ENDPOINT_LOOKING_UP, ENDPOINT_UNKNOWN };

/* Takes text apart. Returns 0, or -1 and leaves an endpoint that is never found. Keeps what was
 * looked up if the text is the one it has already. */
int endpoint_set(struct endpoint *self, const char *text);
void endpoint_clear(struct endpoint *self);

/* Begins to look a name up, unless it is numeric, a path, or being looked up. */
void endpoint_look_up(struct endpoint *self);

/* Takes what the lookup brought, waiting at most wait_ms for it. ENDPOINT_FOUND: numeric (or the
 * path) can be connected to, perhaps from an earlier lookup. */
enum endpoint_state endpoint_take(struct endpoint *self, int64_t wait_ms);

/* Nobody answered there: the next lookup takes the name's next address. */
void endpoint_failed(struct endpoint *self);

#endif
