/* zap - the process's ZAP handler: libzmq asks it about the key of whoever wants to come in under
 * CURVE, and it looks into a folder of public certificates (read again when that changes). A key
 * that is refused is named in the log, with what to do: key_refused. A thread of its own, "zap". */
#ifndef DESG_LINK_ZAP_H
#define DESG_LINK_ZAP_H

#include <stdbool.h>

#include "error/error.h"
#include "metrics/metrics.h"

struct zap;

/* domain: the sockets it answers for. ERROR_CONFIG: the context has a handler already. */
struct zap *zap_new(void *context, const char *domain, const char *directory,
                    struct error *err) MUST_USE;
void zap_destroy(struct zap **self_p);

/* Counts refusals from now on. Before any bind. */
void zap_count(struct zap *self, struct counter *refused_total);

/* While quiet a refusal is neither logged nor counted: a test of our own is under way. */
void zap_set_quiet(struct zap *self, bool is_quiet);

#endif
