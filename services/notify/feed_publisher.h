/* feed_publisher - broadcasts to programs that listen (XPUB), and the snapshot for those that
 * missed some (ROUTER): docs/broadcasts.md. One thread of its own. What nobody takes is dropped:
 * who finds a gap asks for the snapshot. Threads: any. */
#ifndef DESG_NOTIFY_FEED_PUBLISHER_H
#define DESG_NOTIFY_FEED_PUBLISHER_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "metrics/metrics.h"

struct feed_publisher;
struct link_security;

struct feed_bytes {
    uint8_t *bytes; /* malloc'ed */
    size_t length;
};

struct feed_publisher_options {
    void *context;                        /* ZeroMQ, borrowed */
    const struct link_security *security; /* NULL: plain */
    const char *publish_endpoint;         /* NULL: none */
    const char *snapshot_endpoint;        /* NULL: none */
    struct metrics *metrics;
    uint32_t again_ms; /* the last news is told again so often; 0: 10000 */
};

/* ERROR_CONFIG: an endpoint that is none or cannot be bound. */
struct feed_publisher *feed_publisher_new(const struct feed_publisher_options *options,
                                          struct error *err) MUST_USE;
void feed_publisher_destroy(struct feed_publisher **self_p);

/* Serialised BroadcastNews to be told, in order, and the Snapshot that holds from now on; last is
 * what is told again from time to time, empty for none. All become the publisher's. */
struct feed_said {
    struct feed_bytes *news; /* malloc'ed */
    size_t count;
    struct feed_bytes snapshot;
    struct feed_bytes last;
};
void feed_publisher_say(struct feed_publisher *self, struct feed_said *said);

/* Where it listens, as libzmq says it; "" for none. */
const char *feed_publisher_endpoint(const struct feed_publisher *self);
const char *feed_publisher_snapshot_endpoint(const struct feed_publisher *self);

#endif
