/* dispatcher - ingest's one thread between journal and ZeroMQ: reads what was committed, splits it,
 * hands events to classify workers with credit, keeps custody until DONE, goes round stages that
 * are away, and keeps the mark in Redis. The decisions are custody.h's; this module is its hands
 * and feet. */
#ifndef DESG_INGEST_DISPATCHER_H
#define DESG_INGEST_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "ingest/custody.h"
#include "ingest/ingest_config.h"
#include "ingest/loading.h"
#include "ingest/split.h"
#include "journal/journal.h"
#include "service/service.h"

struct dispatcher;

/* Called on the dispatcher's thread about four times a second. */
typedef void dispatcher_watch(void *arg, const struct custody_status *status, int64_t now_ms);

struct dispatcher_options {
    struct service *service;            /* borrowed, as all below */
    const struct ingest_config *config; /* classify_endpoint, route_endpoints */
    struct splitter *splitter;
    dispatcher_watch *watch; /* may be NULL */
    void *watch_arg;
};

struct dispatcher *dispatcher_new(const struct dispatcher_options *options,
                                  struct error *err) MUST_USE;

/* Starts the thread over an open journal. (The journal's committed hook needs the dispatcher first,
 * hence two steps.) loading may be NULL. */
int dispatcher_start(struct dispatcher *self, struct journal *journal, struct loading *loading,
                     struct error *err) MUST_USE;

/* The journal's committed hook: any thread, cheap. arg is the dispatcher. */
void dispatcher_committed(void *arg, uint64_t last_sequence);

/* Hands out no new work and waits for what is in flight. */
void dispatcher_drain(struct dispatcher *self);
bool dispatcher_is_drained(const struct dispatcher *self);

/* Offers a record again though it was given up on (quarantine), with its suspicions forgotten. Any
 * thread. False: too many wait already. */
bool dispatcher_retry(struct dispatcher *self, uint64_t sequence);

/* Offers the records first..last again, whatever was answered before. Any thread. False: too many
 * requests wait already. */
bool dispatcher_replay(struct dispatcher *self, uint64_t first, uint64_t last);

/* As it stood at most a quarter of a second ago, but with all that is committed now. Any thread. */
void dispatcher_status(struct dispatcher *self, struct custody_status *out);

/* Backlog, in flight, deferred, workers, history and mark, for /status. Any thread. */
void dispatcher_describe(struct dispatcher *self, json_t *detail);

void dispatcher_destroy(struct dispatcher **self_p);

#endif
