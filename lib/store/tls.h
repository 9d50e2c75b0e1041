/* tls - TLS on a connection to Redis: the server has to show a certificate of a known authority in
 * its own name. Only where hiredis has it (1.0 and newer, Debian 13); elsewhere tls_new refuses.
 * Files are read anew for each connection: renewed certificates need no restart. Threads: one. */
#ifndef DESG_STORE_TLS_H
#define DESG_STORE_TLS_H

#include <stddef.h>

#include <hiredis/hiredis.h>

#include "config/config.h"
#include "error/error.h"

struct tls;

/* Reads the files once, so that a mistake is told before anything starts. config is borrowed.
 * ERROR_CONFIG: a file that is none, or a build without TLS. */
struct tls *tls_new(const struct config_redis_tls *config, struct error *err) MUST_USE;
void tls_destroy(struct tls **self_p);

/* Shakes hands on a fresh connection to host, within the context's time-out. -1: why is filled. */
int tls_start(const struct tls *self, redisContext *context, const char *host, char *why,
              size_t why_bytes) MUST_USE;

#endif
