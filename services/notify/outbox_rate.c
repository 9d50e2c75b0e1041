#include "notify/outbox_rate.h"

#include <assert.h>

enum { MILLI = 1000, MINUTE_MS = 60000, BURST_MIN = 2, BURST_PART = 6, PERCENT = 100 };

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Ten seconds' worth at once, so that a pause is not made up for in one burst. */
static int64_t capacity_milli(const struct outbox_rate *self)
{
    return (int64_t)later(self->per_minute / BURST_PART, BURST_MIN) * MILLI;
}

void outbox_rate_init(struct outbox_rate *self, uint32_t per_minute, uint32_t urgent_share_percent,
                      uint64_t seed, int64_t now_ms)
{
    assert(per_minute > 0 && urgent_share_percent <= PERCENT);
    *self = (struct outbox_rate){ .per_minute = per_minute,
                                  .urgent_share_percent = urgent_share_percent,
                                  .filled_ms = now_ms,
                                  .random = seed | 1 };
    self->tokens_milli = capacity_milli(self);
}

static void fill(struct outbox_rate *self, int64_t now_ms)
{
    int64_t past_ms = now_ms - self->filled_ms;
    if (past_ms <= 0)
        return;
    if (past_ms > MINUTE_MS)
        past_ms = MINUTE_MS; /* more than the bucket holds */
    int64_t more_milli = past_ms * self->per_minute * MILLI / MINUTE_MS;
    if (more_milli == 0)
        return;
    self->filled_ms = now_ms;
    self->tokens_milli += more_milli;
    if (self->tokens_milli > capacity_milli(self))
        self->tokens_milli = capacity_milli(self);
}

int64_t outbox_rate_due_ms(struct outbox_rate *self, bool is_urgent, int64_t now_ms)
{
    fill(self, now_ms);
    int64_t kept_milli =
        is_urgent ? 0 : capacity_milli(self) * self->urgent_share_percent / PERCENT;
    int64_t lacking_milli = MILLI + kept_milli - self->tokens_milli;
    if (kept_milli + MILLI > capacity_milli(self)) /* a bucket too small to share */
        lacking_milli = capacity_milli(self) - self->tokens_milli;
    int64_t due_ms = now_ms;
    if (lacking_milli > 0)
        due_ms =
            self->filled_ms + (lacking_milli * MINUTE_MS + (int64_t)self->per_minute * MILLI - 1) /
                                  ((int64_t)self->per_minute * MILLI);
    due_ms = later(due_ms, self->hold_until_ms);
    if (!is_urgent)
        due_ms = later(due_ms, self->routine_until_ms);
    return outbox_rate_is_broken(self) ? later(due_ms, self->next_try_ms) : due_ms;
}

void outbox_rate_take(struct outbox_rate *self, int64_t now_ms)
{
    fill(self, now_ms);
    self->tokens_milli -= MILLI;
    if (outbox_rate_is_broken(self))
        self->next_try_ms = now_ms + outbox_rate_delay_ms(self, self->failures_in_row, 0);
}

void outbox_rate_give_back(struct outbox_rate *self)
{
    self->tokens_milli += MILLI;
}

void outbox_rate_usage(struct outbox_rate *self, uint32_t used_percent, int64_t reset_in_ms,
                       int64_t now_ms)
{
    if (used_percent == 0)
        return;
    int64_t until_ms = now_ms + (reset_in_ms > 0 ? reset_in_ms : OUTBOX_RATE_RESET_MS);
    if (used_percent >= PERCENT - self->urgent_share_percent)
        self->routine_until_ms = later(self->routine_until_ms, until_ms);
    else
        self->routine_until_ms = 0;
    if (used_percent >= PERCENT)
        self->hold_until_ms = later(self->hold_until_ms, until_ms);
}

void outbox_rate_hold(struct outbox_rate *self, int64_t wait_ms, int64_t now_ms)
{
    if (wait_ms > OUTBOX_RATE_WAIT_MAX_MS)
        wait_ms = OUTBOX_RATE_WAIT_MAX_MS;
    self->hold_until_ms = later(self->hold_until_ms, now_ms + wait_ms);
}

void outbox_rate_failed(struct outbox_rate *self, int64_t now_ms)
{
    self->failures_in_row++;
    if (outbox_rate_is_broken(self))
        self->next_try_ms = now_ms + outbox_rate_delay_ms(self, self->failures_in_row, 0);
}

void outbox_rate_worked(struct outbox_rate *self)
{
    self->failures_in_row = 0;
    self->next_try_ms = 0;
}

bool outbox_rate_is_broken(const struct outbox_rate *self)
{
    return self->failures_in_row >= OUTBOX_RATE_BREAKS_AFTER;
}

static int64_t chance(struct outbox_rate *self, int64_t below)
{
    self->random ^= self->random << 13; /* xorshift: spread, not secrecy */
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (int64_t)((self->random >> 11) % (uint64_t)below);
}

int64_t outbox_rate_delay_ms(struct outbox_rate *self, uint32_t failures, int64_t asked_ms)
{
    int64_t limit_ms = OUTBOX_RATE_BASE_MS;
    for (uint32_t i = 1; i < failures && limit_ms < OUTBOX_RATE_CAP_MS; i++)
        limit_ms *= 2;
    if (limit_ms > OUTBOX_RATE_CAP_MS)
        limit_ms = OUTBOX_RATE_CAP_MS;
    if (asked_ms > OUTBOX_RATE_WAIT_MAX_MS)
        asked_ms = OUTBOX_RATE_WAIT_MAX_MS;
    return later(chance(self, limit_ms) + 1, asked_ms);
}
