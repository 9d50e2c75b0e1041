/* sentinel - which Redis is the master, as the Sentinels of the configuration see it. All of them
 * are asked at once, each over a connection of its own that is kept; one that is away or hangs
 * delays nobody. The view with the newest configuration epoch counts (a Sentinel cut off with a
 * demoted master still names it, under an older one). Nothing here changes a Redis.
 * Threads: one thread each. */
#ifndef DESG_STORE_SENTINEL_H
#define DESG_STORE_SENTINEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "error/error.h"
#include "store/endpoint.h"

enum { SENTINELS_MAX = 16, SENTINELS_ASK_EVERY_MS = 500, SENTINELS_SILENT_AFTER_MS = 1000 };

/* What one of them says. Epochs only grow: one per failover. */
struct sentinel_view {
    bool is_known; /* it answered and knows the master's name */
    uint64_t epoch;
    char address[ENDPOINT_TEXT_BYTES]; /* host:port */
};

/* Pure: index of the view to believe, -1 for none. The newest epoch wins; within one the address
 * most often named. Views older than known_epoch are only believed if more than half of all agree
 * (the Sentinels were set up anew, their epochs began again). */
int sentinel_choose(const struct sentinel_view *views, size_t count, uint64_t known_epoch);

struct sentinels;

/* redis is borrowed. ERROR_CONFIG: an address that is none, or a password file not readable. */
struct sentinels *sentinels_new(const struct config_redis *redis, struct error *err) MUST_USE;
void sentinels_destroy(struct sentinels **self_p);

/* Asks now and waits until most is known, at the latest deadline_ms (monotonic). Returns 0 and the
 * master's address, or -1 with the reason in problem. */
int sentinels_find(struct sentinels *self, int64_t deadline_ms, char address[ENDPOINT_TEXT_BYTES],
                   char *problem, size_t problem_bytes);

/* Asks again when it is time and takes what answers came, without waiting for any; only after idle
 * time, when what is known is old, it waits a moment (30 ms at most). Returns true if the Sentinels
 * now name another master than address. Silent Sentinels change nothing: a master does not stop
 * being one because nobody can say so. */
bool sentinels_moved(struct sentinels *self, const char *address);

/* Not more than half of them answer. One that is merely late gets the benefit of the doubt. */
bool sentinels_lack_majority(const struct sentinels *self);

/* How many answered when last asked, and the epoch believed. */
size_t sentinels_answering(const struct sentinels *self);
uint64_t sentinels_epoch(const struct sentinels *self);

#endif
