/* outbox_flow - replies, receipts and broadcasts through the process: out of the streams of their
 * places, into the journal, to the platforms, and what became of them back into journal and Redis.
 * The hands of outbox_book, which decides.
 * Threads: one lock inside. _describe and _list may be called from any thread, all else from the
 * loop's. */
#ifndef DESG_NOTIFY_OUTBOX_FLOW_H
#define DESG_NOTIFY_OUTBOX_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "journal/journal.h"
#include "metrics/metrics.h"
#include "notify/inbox.h"
#include "notify/outbound.h"
#include "notify/outbox_places.h"
#include "outward/outward_config.h"

struct outbox_flow_options {
    const struct outward_config *config; /* borrowed, as all pointers here */
    struct journal *journal;
    struct inbox *inbox;
    struct metrics *metrics;
    struct outbound *replies;    /* accounts */
    struct outbound *broadcasts; /* outlets: a slow one holds up no reply */
    int64_t retention_ms;
    uint64_t seed;
    /* Redis, behind its thread. */
    void (*ask)(void *arg, struct outbox_ask *ask);
    void (*done)(void *arg, size_t place, const char *stream_id);
    size_t (*add_place)(void *arg, const char *name);
    void (*failed)(void *arg, const struct error *err); /* nothing can go out any more */
    void *arg;
};

struct outbox_flow;

/* Reads the journal. Places are added in order: accounts, outlets, what else the journal names. */
struct outbox_flow *outbox_flow_new(const struct outbox_flow_options *options,
                                    struct error *err) MUST_USE;
/* After journal, outbounds and inbox have ended: their items point here. */
void outbox_flow_destroy(struct outbox_flow **self_p);

/* --- what Redis's thread says (outbox_places_sinks); places by their number --- */

void outbox_flow_owned(struct outbox_flow *self, size_t place, uint64_t fence, int64_t until_ms);
void outbox_flow_lost(struct outbox_flow *self, size_t place);
void outbox_flow_take(struct outbox_flow *self, size_t place, const char *stream_id,
                      const uint8_t *bytes, size_t length);
void outbox_flow_read_through(struct outbox_flow *self, size_t place);
void outbox_flow_settled(struct outbox_flow *self, const Desg__V1__SendSettled *settled);
void outbox_flow_stray(struct outbox_flow *self, const char *name);
/* The journal is in Redis up to here. */
void outbox_flow_projected(struct outbox_flow *self, uint64_t sequence);

/* Does all that is due. Returns when there may be more (monotonic ms). */
int64_t outbox_flow_run(struct outbox_flow *self);
/* A few times a second. */
void outbox_flow_tick(struct outbox_flow *self);

void outbox_flow_drain(struct outbox_flow *self);
bool outbox_flow_is_drained(struct outbox_flow *self);

/* Fills detail: waiting, oldest, places, blocked, unknown, frozen_until_ms, degraded … */
void outbox_flow_describe(struct outbox_flow *self, json_t *detail);
/* Open items, oldest first, at most limit: ids, states, times. */
json_t *outbox_flow_list(struct outbox_flow *self, size_t limit);

#endif
