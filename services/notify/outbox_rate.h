/* outbox_rate - how fast one place may be called: a token bucket filled by the configured rate and
 * by what the platform says of its own limit, a share of which is kept for urgent replies; what the
 * platform asked to wait; a breaker that lets one call at a time through while it is down. Pure:
 * time is passed in (monotonic ms), chance comes from a seed. */
#ifndef DESG_NOTIFY_OUTBOX_RATE_H
#define DESG_NOTIFY_OUTBOX_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OUTBOX_RATE_BASE_MS = 1000,
    OUTBOX_RATE_CAP_MS = 60000,
    OUTBOX_RATE_WAIT_MAX_MS = 86400000, /* of what a platform may ask for */
    OUTBOX_RATE_BREAKS_AFTER = 5,       /* failures in a row */
    OUTBOX_RATE_RESET_MS = 60000,       /* near its limit, and no word of when that ends */
};

struct outbox_rate {
    uint32_t per_minute;
    uint32_t urgent_share_percent;
    int64_t tokens_milli; /* thousandths of a call */
    int64_t filled_ms;
    int64_t hold_until_ms;    /* nobody */
    int64_t routine_until_ms; /* nobody but urgent replies */
    unsigned failures_in_row;
    int64_t next_try_ms; /* while broken */
    uint64_t random;
};

void outbox_rate_init(struct outbox_rate *self, uint32_t per_minute, uint32_t urgent_share_percent,
                      uint64_t seed, int64_t now_ms);

/* When a call may be made: now_ms or before it means now. */
int64_t outbox_rate_due_ms(struct outbox_rate *self, bool is_urgent, int64_t now_ms);
/* A call will be made. */
void outbox_rate_take(struct outbox_rate *self, int64_t now_ms);
/* It was not made after all. */
void outbox_rate_give_back(struct outbox_rate *self);

/* What an answer said. used_percent 0: nothing; reset_in_ms 0: not said. */
void outbox_rate_usage(struct outbox_rate *self, uint32_t used_percent, int64_t reset_in_ms,
                       int64_t now_ms);
/* The platform itself (not this one message) is to be left alone for so long. */
void outbox_rate_hold(struct outbox_rate *self, int64_t wait_ms, int64_t now_ms);
void outbox_rate_failed(struct outbox_rate *self, int64_t now_ms);
void outbox_rate_worked(struct outbox_rate *self);
bool outbox_rate_is_broken(const struct outbox_rate *self);

/* Full jitter: 1 to base * 2^(failures-1), at most cap; never before what was asked for. */
int64_t outbox_rate_delay_ms(struct outbox_rate *self, uint32_t failures, int64_t asked_ms);

#endif
