/* heads - desks tell each other through Redis how far their audit chains go, and each writes into
 * its own what it saw of the others: so none can be cut short unseen. One thread, with a connection
 * of its own. */
#ifndef DESG_DESK_HEADS_H
#define DESG_DESK_HEADS_H

#include "desk/chain.h"
#include "store/store.h"

struct heads;

struct heads_options {
    struct chain *chain; /* borrowed, as all below */
    struct id source;
    const char *name; /* of this desk, the agent of its own facts */
    const struct config_redis *redis;
    const char *force;
    struct metrics *metrics;
    struct heartbeat *heartbeat; /* may be NULL */
    int64_t interval_ms;         /* 0: 60000 */
};

struct heads *heads_new(const struct heads_options *options, struct error *err) MUST_USE;
void heads_destroy(struct heads **self_p);

#endif
