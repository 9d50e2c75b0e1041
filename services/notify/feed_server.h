/* feed_server - pages over HTTP, by libmicrohttpd: two threads of its own, each with many
 * connections. Handlers wait for nothing. Threads: any. */
#ifndef DESG_NOTIFY_FEED_SERVER_H
#define DESG_NOTIFY_FEED_SERVER_H

#include <stdint.h>

#include "error/error.h"
#include "metrics/metrics.h"
#include "notify/feed_pages.h"

struct feed_server;

/* listen: 127.0.0.1:8095; port 0 takes a free one. ERROR_CONFIG: it cannot be bound. Until the
 * first pages everything but /health is answered 503: an empty feed would say that all roads are
 * open. */
struct feed_server *feed_server_new(const char *listen, struct metrics *metrics,
                                    struct error *err) MUST_USE;
void feed_server_destroy(struct feed_server **self_p);

/* From now on these; they become the server's. */
void feed_server_show(struct feed_server *self, struct feed_pages *pages);
/* For /health: state is a literal. */
void feed_server_note(struct feed_server *self, const char *state, int64_t read_at_ms);

uint16_t feed_server_port(const struct feed_server *self);

#endif
