/* feed - broadcasts for everyone: Atom, CAP 1.2 and DATEX II over HTTP, and a live feed (XPUB) with
 * its snapshot for other programs (docs/broadcasts.md). Reads Redis with a connection and a thread
 * of its own; what it last read lies on disk and is served without Redis, too. Nothing here waits
 * for alerts or replies, and they for nothing here: no queue, lock or thread is shared. It has no
 * heartbeat either: a feed that hangs is no reason to end a process that alerts dispatch.
 * Threads: new, destroy and describe from any, destroy after the last describe.
 * Metrics: desg_feed_… (docs/operations.md). */
#ifndef DESG_NOTIFY_FEED_H
#define DESG_NOTIFY_FEED_H

#include <stdint.h>

#include <jansson.h>

#include "config/config.h"
#include "error/error.h"
#include "metrics/metrics.h"
#include "outward/outward_config.h"

struct feed;
struct link_security;

struct feed_options {                     /* all borrowed, until feed_destroy */
    const struct outward_config *config;  /* its feed, and which outlet that is */
    const struct config_common *common;   /* Redis and the force's name */
    const char *directory;                /* of the outbox journal: feed.state lies beside it */
    void *context;                        /* ZeroMQ; not needed without endpoints */
    const struct link_security *security; /* NULL: plain */
    struct metrics *metrics;
};

/* Serves what config->feed names: listen, publish_endpoint, snapshot_endpoint; none of them: a feed
 * that does nothing. Told are broadcasts that go to the outlet of kind feed, all where there is
 * none. ERROR_CONFIG: an address or endpoint that cannot be bound. What lies on disk is served at
 * once; a state that cannot be read is a warning. */
struct feed *feed_new(const struct feed_options *options, struct error *err) MUST_USE;

/* Closes the ports, joins the threads. */
void feed_destroy(struct feed **self_p);

/* For /status: {"listen","port","state":"live"|"last-known"|"empty"|"off","epoch","sequence",
 * "broadcasts","read_at_ms"}. */
void feed_describe(struct feed *self, json_t *detail);

/* The HTTP port; 0: none. */
uint16_t feed_port(const struct feed *self);

#endif
