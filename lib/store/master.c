/* Which Redis a store may speak to when the Sentinels decide that. */
#include "store/internal.h"

#include <stdio.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"

enum { ISOLATION_ASKED_EVERY_MS = 500 };

int store_find_master(struct store *self, int64_t deadline_ms, char address[ENDPOINT_TEXT_BYTES])
{
    if (sentinels_find(self->sentinels, deadline_ms, address, self->problem,
                       sizeof self->problem) != 0)
        return -1;
    if (strcmp(address, self->endpoint.text) != 0)
        log_info("master_found", KV("connection", (const char *)self->label),
                 KV("address", (const char *)address),
                 KV("epoch", sentinels_epoch(self->sentinels)));
    return 0;
}

void store_show_sentinels(struct store *self)
{
    if (!self->sentinels)
        return;
    size_t answering = sentinels_answering(self->sentinels);
    if (self->sentinels_answering)
        gauge_set(self->sentinels_answering, (int64_t)answering);
    bool is_silent = answering == 0;
    if (is_silent == self->are_sentinels_silent)
        return;
    self->are_sentinels_silent = is_silent;
    if (is_silent)
        log_warn("sentinels_silent", KV("connection", (const char *)self->label));
    else
        log_info("sentinels_found", KV("connection", (const char *)self->label),
                 KV("answering", answering));
}

static bool has_moved(struct store *self)
{
    bool is_elsewhere = sentinels_moved(self->sentinels, self->endpoint.text);
    store_show_sentinels(self);
    if (!is_elsewhere)
        return false;
    log_warn("master_moved", KV("connection", (const char *)self->label),
             KV("from", (const char *)self->endpoint.text),
             KV("epoch", sentinels_epoch(self->sentinels)));
    if (self->moves_total)
        counter_add(self->moves_total, 1);
    return true;
}

static bool is_isolated(struct store *self)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!sentinels_lack_majority(self->sentinels) ||
        now_ms - self->isolation_asked_at_ms < ISOLATION_ASKED_EVERY_MS)
        return false;
    self->isolation_asked_at_ms = now_ms;
    if (store_check_isolation(self, now_ms + self->redis->timeout_ms) == STORE_READY)
        return false;
    if (self->losses_total)
        counter_add(self->losses_total, 1);
    return true;
}

bool store_trusts_master(struct store *self)
{
    return !self->sentinels || (!has_moved(self) && !is_isolated(self));
}
