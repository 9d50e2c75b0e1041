/* pace - when the next try towards one receiver may start: full-jitter back-off, how many at once,
 * and a circuit breaker that lets one repeat a second through while the receiver is down but never
 * holds back a first try. Pure: time is passed in, chance comes from a seed. */
#ifndef DESG_NOTIFY_PACE_H
#define DESG_NOTIFY_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "notify/answer.h"

enum {
    PACE_BASE_MS = 250,
    PACE_CAP_MS = 10000,
    PACE_SLOW_MS = 10000,            /* after an answer that needs a person */
    PACE_RETRY_AFTER_MAX_MS = 60000, /* of what the receiver may ask for */
    PACE_REPEATS_MAX = 8,            /* repeats on their way at once */
    PACE_ALL_MAX = 32,               /* first tries and repeats together */
    PACE_BREAKS_AFTER = 5,           /* failures in a row */
    PACE_PROBE_MS = 1000
};

struct pace {
    uint64_t random;
    unsigned failures_in_row;
    unsigned in_flight;
    unsigned repeats_in_flight;
    int64_t next_probe_ms;
};

void pace_init(struct pace *self, uint64_t seed);

/* How long to wait after the failure_count-th failure (1, 2 …) with this answer. retry_after_ms: as
 * the receiver asked, 0 if it did not. */
int64_t pace_delay_ms(struct pace *self, enum answer answer, uint32_t failure_count,
                      int64_t retry_after_ms);

bool pace_allows(const struct pace *self, bool is_first, int64_t now_ms);
/* When what wants to go at at_ms may go; INT64_MAX: after something on its way has ended. */
int64_t pace_due_ms(const struct pace *self, bool is_first, int64_t at_ms);
bool pace_is_broken(const struct pace *self);
void pace_started(struct pace *self, bool is_first, int64_t now_ms);
/* Returns true if this answer closed the breaker: what waits may go at once. */
bool pace_finished(struct pace *self, bool is_first, enum answer answer);

/* 0..below-1 */
int64_t pace_random(struct pace *self, int64_t below);

#endif
