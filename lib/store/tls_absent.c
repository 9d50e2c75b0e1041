/* Where hiredis has no TLS: Debian 12's 0.14. */
#include "store/tls.h"

#include <stdio.h>

struct tls *tls_new(const struct config_redis_tls *config, struct error *err)
{
    (void)config;
    (void)error_set(
        err, ERROR_CONFIG,
        "common.redis.tls: the hiredis of this build has no TLS (1.0 and newer have, as "
        "in Debian 13): run stunnel beside this process, point common.redis.address at "
        "it and take tls out; see Redis over TLS in docs/operations.md");
    return NULL;
}

void tls_destroy(struct tls **self_p)
{
    *self_p = NULL;
}

int tls_start(const struct tls *self, redisContext *context, const char *host, char *why,
              size_t why_bytes)
{
    (void)self;
    (void)context;
    (void)host;
    (void)snprintf(why, why_bytes, "no TLS in this build");
    return -1;
}
