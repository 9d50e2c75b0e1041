/* claimable - when each request's conversation could be claimed: a subscriber to Redis's keyspace
 * notifications, which come once the function has run. The conversation is written last, after its
 * place in the queue. Resolution: one wake-up of this thread, some 0.05 ms. Threads: one of its
 * own; what it notes in the requests may be read after claimable_stop. */
#ifndef DESG_BENCH_CLAIMABLE_H
#define DESG_BENCH_CLAIMABLE_H

#include "requests.h"

struct claimable;

/* socket_path: of Redis, which is told to notify. */
struct claimable *claimable_start(struct requests *requests, const char *socket_path,
                                  const char *force);
/* Waits until all have been seen or nothing more has come for patience_ms. Returns how many. */
size_t claimable_stop(struct claimable **self_p, size_t expected, int64_t patience_ms);

#endif
