/* neighbours - what stands around a real desg-classify in a test: an ingest, a route with two lanes
 * and a notify, each a link of its own that keeps what it is told. */
#ifndef DESG_TESTS_CLASSIFY_NEIGHBOURS_H
#define DESG_TESTS_CLASSIFY_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "link/link.h"
#include "rules_fixture.h"

enum { HEARD_MAX = 1024 };

/* One event, as somebody heard of it. */
struct heard {
    int kind; /* of the packet */
    uint64_t sequence;
    int lane;
    int severity; /* of Seen, or of the verdict */
    bool is_alerted;
    size_t event_bytes;
};

struct neighbour {
    struct link *link;
    struct metrics *metrics;
    struct id instance;
    link_peer peer; /* 0: none */
    int drains;     /* peers that said Drain before they went */
    bool is_answering;
    struct heard heard[HEARD_MAX];
    size_t count;
};

struct neighbours {
    struct rules_fixture *files;
    char config[128];
    void *context;
    zloop_t *loop;
    struct neighbour ingest;
    struct neighbour urgent;
    struct neighbour bulk;
    struct neighbour notify;
    pid_t pid; /* of desg-classify; 0: not running */
};

int neighbours_setup(void **state);
int neighbours_teardown(void **state);

void ingest_open(struct neighbours *self);
void route_open(struct neighbours *self, uint32_t credit);
void notify_open(struct neighbours *self, bool is_answering);
void neighbour_close(struct neighbour *self);

/* Starts desg-classify with further arguments (NULL: none). */
void classify_start(struct neighbours *self, const char *argument);
/* Sends a signal if signal is not 0, waits for the end, returns the exit code or 1000 + signal. */
int classify_end(struct neighbours *self, int signal);

/* All that are open have the worker, and it has them: what it is sent from now on it can send on.
 */
bool is_linked(const struct neighbours *self);
/* A number in the worker's own status, such as detail.peers.notify; -1: it does not say. */
int64_t classify_says(const struct neighbours *self, const char *part, const char *name);

/* Runs the loop until done, at most some seconds; fails the test otherwise. */
void await(struct neighbours *self, bool (*done)(const struct neighbours *self), const char *what);
/* Runs the loop for ms: for what must not happen. */
void run_for(struct neighbours *self, int ms);

/* Sends messages with these texts as one batch, sequences from first on. A NULL text is rubbish. */
void ingest_send(struct neighbours *self, uint64_t first, const char *const *texts, size_t count);

/* The same, each with this verdict kept from before, as a replay brings it. */
void ingest_send_kept(struct neighbours *self, uint64_t first, const char *const *texts,
                      size_t count, const Desg__V1__Verdict *kept);

/* How often somebody heard a kind of packet about an event; sequence 0: any. */
size_t heard(const struct neighbour *self, int kind, uint64_t sequence);
const struct heard *heard_first(const struct neighbour *self, int kind, uint64_t sequence);

#endif
