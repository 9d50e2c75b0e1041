/* worker - the hands and feet of classify's forwarder: its links to ingest, route and notify, its
 * triage and its timer. What is done with a packet is forwarder.h's. Threads: the one that runs the
 * loop. */
#ifndef DESG_CLASSIFY_WORKER_H
#define DESG_CLASSIFY_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <czmq.h>
#include <jansson.h>

#include "classify/classify_config.h"
#include "classify/shadow.h"
#include "classify/tally.h"
#include "ids/ids.h"
#include "link/link.h"
#include "triage/triage.h"

struct worker;

struct worker_options {
    const struct classify_config *config; /* borrowed, as all below */
    const char *name;
    const struct id *instance;
    void *context;
    zloop_t *loop;
    struct metrics *metrics;
    const struct link_security *security; /* NULL: plain */
    struct tally *tally;
    struct shadow *shadow; /* NULL: none */
};

/* Takes over *triage (also when it fails) and sets it to NULL. */
struct worker *worker_new(const struct worker_options *options, struct triage **triage,
                          struct error *err) MUST_USE;
void worker_destroy(struct worker **self_p);

/* Judges by another triage from now on. Takes it over and sets *triage to NULL. */
void worker_change_triage(struct worker *self, struct triage **triage);
/* Takes the model away from the triage it judges by, for another that came without; NULL: it has
 * none. */
struct model_file *worker_release_model(struct worker *self) MUST_USE;
const struct triage *worker_triage(const struct worker *self);

/* Takes no more from ingest; what is in hand goes on. */
void worker_drain(struct worker *self);
/* Nothing is held, and route has answered for all that was sent (or has been silent for 2 s). */
bool worker_is_idle(const struct worker *self, int64_t now_ms);

struct worker_status {
    size_t ingest_peers;
    size_t route_urgent_peers;
    size_t route_bulk_peers;
    size_t notify_peers;
    size_t held;
    size_t in_flight;
};
void worker_status(const struct worker *self, struct worker_status *out);

#endif
