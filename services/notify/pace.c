#include "notify/pace.h"

#include <assert.h>

void pace_init(struct pace *self, uint64_t seed)
{
    *self = (struct pace){ .random = seed | 1 };
}

int64_t pace_random(struct pace *self, int64_t below)
{
    assert(below > 0);
    self->random ^= self->random << 13; /* xorshift: spread, not secrecy */
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (int64_t)((self->random >> 11) % (uint64_t)below);
}

int64_t pace_delay_ms(struct pace *self, enum answer answer, uint32_t failure_count,
                      int64_t retry_after_ms)
{
    if (answer_needs_person(answer))
        return PACE_SLOW_MS;
    int64_t limit_ms = PACE_BASE_MS;
    for (uint32_t i = 1; i < failure_count && limit_ms < PACE_CAP_MS; i++)
        limit_ms *= 2;
    if (limit_ms > PACE_CAP_MS)
        limit_ms = PACE_CAP_MS;
    int64_t delay_ms = pace_random(self, limit_ms) + 1;
    if (retry_after_ms > PACE_RETRY_AFTER_MAX_MS)
        retry_after_ms = PACE_RETRY_AFTER_MAX_MS;
    return retry_after_ms > delay_ms ? retry_after_ms : delay_ms;
}

bool pace_is_broken(const struct pace *self)
{
    return self->failures_in_row >= PACE_BREAKS_AFTER;
}

int64_t pace_due_ms(const struct pace *self, bool is_first, int64_t at_ms)
{
    if (self->in_flight >= PACE_ALL_MAX)
        return INT64_MAX;
    if (is_first)
        return at_ms;
    if (self->repeats_in_flight >= PACE_REPEATS_MAX)
        return INT64_MAX;
    return pace_is_broken(self) && self->next_probe_ms > at_ms ? self->next_probe_ms : at_ms;
}

bool pace_allows(const struct pace *self, bool is_first, int64_t now_ms)
{
    return pace_due_ms(self, is_first, now_ms) <= now_ms;
}

void pace_started(struct pace *self, bool is_first, int64_t now_ms)
{
    self->in_flight++;
    if (is_first)
        return;
    self->repeats_in_flight++;
    self->next_probe_ms = now_ms + PACE_PROBE_MS;
}

bool pace_finished(struct pace *self, bool is_first, enum answer answer)
{
    assert(self->in_flight > 0);
    self->in_flight--;
    if (!is_first) {
        assert(self->repeats_in_flight > 0);
        self->repeats_in_flight--;
    }
    bool was_broken = pace_is_broken(self);
    if (answer == ANSWER_FAILED)
        self->failures_in_row++;
    else
        self->failures_in_row = 0; /* any other answer: it is alive */
    return was_broken && !pace_is_broken(self);
}
