/* chain - what both chains measure by: three threads with a ZeroMQ context each, ipc sockets,
 * items of 600 bytes, credit 512, an answer for every batch. */
#ifndef DESG_BENCH_CHAIN_H
#define DESG_BENCH_CHAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"

enum {
    CHAIN_CREDIT = 512,
    CHAIN_BATCH_MAX = 256,
    CHAIN_EVENT_BYTES = 600,
    CHAIN_VERDICT_BYTES = 60
};

struct chain {
    char ingest_endpoint[128];
    char route_endpoint[128];
    size_t batch; /* items in each */
    atomic_bool is_over;
    atomic_uint_fast64_t done; /* events whose DONE came back to the first stage */
};

/* A batch with its items in one piece of memory. */
struct chain_batch {
    Desg__V1__Batch message;
    Desg__V1__Item items[CHAIN_BATCH_MAX];
    Desg__V1__Item *pointers[CHAIN_BATCH_MAX];
    Desg__V1__Position positions[CHAIN_BATCH_MAX];
};
/* count items, numbered from first on. */
void chain_batch_fill(struct chain_batch *self, size_t count, uint64_t first);

/* Runs the stages for --seconds (after the first answer) with batches of --batch, prints JSON. */
int chain_main(int argc, char **argv, void *(*const stages[3])(void *chain));

#endif
