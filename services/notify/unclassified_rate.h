/* unclassified_rate - how many unclassified events of one account may alert alone: five a minute,
 * the rest share digests. Redis counts for what comes by the stream; this is for provisional
 * alerts, when Redis and the classifiers are away together and everything is unclassified. Pure. */
#ifndef DESG_NOTIFY_UNCLASSIFIED_RATE_H
#define DESG_NOTIFY_UNCLASSIFIED_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/alert.pb-c.h"

enum { UNCLASSIFIED_PER_MINUTE = 5, UNCLASSIFIED_ACCOUNTS = 64 };

struct unclassified_rate {
    struct {
        uint64_t account; /* hash of channel and account; 0: free */
        unsigned count;
    } accounts[UNCLASSIFIED_ACCOUNTS];
    int64_t minute_began_ms;
};

/* Counts alert and says whether it is above the rate. A classified one never is. */
bool unclassified_rate_is_above(struct unclassified_rate *self, const Desg__V1__Alert *alert,
                                int64_t now_ms);

#endif
