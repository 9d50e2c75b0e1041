#include "notify/unclassified_rate.h"

#include <string.h>

#include "crypto/crypto.h"
#include "desg/v1/event.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "unpack/unpack.h"

enum { MINUTE_MS = 60000 };

static bool is_unclassified(const Desg__V1__Alert *alert)
{
    Desg__V1__Verdict *verdict =
        alert->verdict.len > 0
            ? unpack_or_end(&desg__v1__verdict__descriptor, alert->verdict.data, alert->verdict.len)
            : NULL;
    bool is_so = verdict && verdict->is_unclassified;
    desg__v1__verdict__free_unpacked(verdict, NULL);
    return is_so;
}

/* Two accounts that meet in a hash share a digest's threshold: harmless. */
static uint64_t account_of(const Desg__V1__Alert *alert)
{
    uint8_t digest[CRYPTO_SHA256_BYTES] = { 1 };
    uint64_t account = 0;
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, alert->event.data, alert->event.len);
    if (event)
        crypto_hmac_sha256(event->channel, strlen(event->channel), event->account,
                           strlen(event->account), digest);
    desg__v1__event__free_unpacked(event, NULL);
    memcpy(&account, digest, sizeof account);
    return account | 1;
}

bool unclassified_rate_is_above(struct unclassified_rate *self, const Desg__V1__Alert *alert,
                                int64_t now_ms)
{
    if (!is_unclassified(alert))
        return false;
    if (now_ms - self->minute_began_ms >= MINUTE_MS)
        *self = (struct unclassified_rate){ .minute_began_ms = now_ms };
    uint64_t account = account_of(alert);
    for (size_t i = 0; i < UNCLASSIFIED_ACCOUNTS; i++) {
        if (self->accounts[i].account != account && self->accounts[i].account != 0)
            continue;
        self->accounts[i].account = account;
        return ++self->accounts[i].count > UNCLASSIFIED_PER_MINUTE;
    }
    return false; /* more accounts than a force has: rather alone than late */
}
