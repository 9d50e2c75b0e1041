/* outbound - HTTP POSTs to the outside, by libcurl in a thread of its own. It knows receivers
 * (targets), not what is sent: alerts today, replies and broadcasts by the same way. Each POST is
 * tried once, within its target's time-outs, no redirect followed, no proxy taken from the
 * environment; trying again is the caller's decision. */
#ifndef DESG_NOTIFY_OUTBOUND_H
#define DESG_NOTIFY_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "service/service.h"

enum {
    OUTBOUND_TARGETS_MAX = 8,
    OUTBOUND_KEY_BYTES = 80,
    OUTBOUND_RECEIPT_BYTES = 65,
    OUTBOUND_ERROR_BYTES = 24
};

/* Strings are borrowed and must live as long as the outbound. Secret files are read anew for each
 * POST, so that a rotated token works at once; one that cannot be read leaves the last good one. */
struct outbound_target {
    const char *url;
    const char *token_file;            /* NULL: no Authorization */
    const char *signature_secret_file; /* NULL: no X-Hub-Signature-256 */
    const char *ca_file;               /* NULL: the system's */
    bool quote_key;                    /* Idempotency-Key as a structured string, in quotes */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms; /* of the whole exchange */
};

/* One POST: filled by the caller, handed over, handed back with the answer. */
struct outbound_post {
    const char *content_type; /* a literal */
    char *body;               /* malloc'ed; freed by outbound_post_clear */
    size_t length;
    /* On the outbound thread, exactly once; the post is the caller's again. */
    void (*done)(void *arg, struct outbound_post *post);
    void *arg;
    char key[OUTBOUND_KEY_BYTES]; /* Idempotency-Key; "" for none */
    unsigned target;
    /* The answer. */
    unsigned http_status;                 /* 0: no whole answer */
    char error[OUTBOUND_ERROR_BYTES];     /* why not, such as timeout; "" with a status */
    char receipt[OUTBOUND_RECEIPT_BYTES]; /* the receiver's id for it: printable ASCII or "" */
    int64_t retry_after_ms;               /* 0: not said */
    int64_t took_ms;
    struct outbound_post *next; /* outbound's own */
};

void outbound_post_clear(struct outbound_post *post);

struct outbound;

/* service may be NULL (tests): no heartbeat. ERROR_CONFIG: a secret that cannot be read, a bad
 * address. */
struct outbound *outbound_new(struct service *service, const struct outbound_target *targets,
                              size_t count, struct error *err) MUST_USE;
/* Ends what is on its way as error "stopped", joins the thread. */
void outbound_destroy(struct outbound **self_p);

/* Any thread. */
void outbound_send(struct outbound *self, struct outbound_post *post);

#endif
