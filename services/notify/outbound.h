/* outbound - HTTP requests to the outside, by libcurl in a thread of its own. It knows requests and
 * receivers, not what is sent. A call is any request, as the caller made it: replies, broadcasts. A
 * post is a POST to a configured target whose secrets are read here: alerts. Both go one way: tried
 * once, within their time-outs, no redirect followed, no proxy taken from the environment; trying
 * again is the caller's decision. A process may have several, each with its own thread: what hangs
 * in one holds up none of the others. */
#ifndef DESG_NOTIFY_OUTBOUND_H
#define DESG_NOTIFY_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "ids/trace.h"
#include "service/service.h"

enum {
    OUTBOUND_TARGETS_MAX = 8,
    OUTBOUND_KEY_BYTES = 80,
    OUTBOUND_RECEIPT_BYTES = 65,
    OUTBOUND_ERROR_BYTES = 24,
    OUTBOUND_HEADERS_MAX = 8,
    OUTBOUND_ANSWER_MAX_BYTES = 64 << 10,
    OUTBOUND_ANSWER_HEADERS_MAX_BYTES = 16 << 10
};

struct outbound;

/* service may be NULL (tests): no heartbeat. name: of thread and heartbeat, a literal of at most 15
 * bytes. */
struct outbound *outbound_open(struct service *service, const char *name,
                               struct error *err) MUST_USE;
/* Ends what is on its way as error "stopped", joins the thread. */
void outbound_destroy(struct outbound **self_p);

/* --- calls --- */

/* One request: filled by the caller, handed over, handed back with the answer. Strings are borrowed
 * until done. */
struct outbound_call {
    const char *method; /* GET, POST, PUT, DELETE */
    const char *url;
    const char *headers[OUTBOUND_HEADERS_MAX]; /* whole lines, such as "Accept: text/plain" */
    size_t header_count;
    const char *body; /* NULL: none */
    size_t length;
    const char *ca_file; /* NULL: the system's */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms; /* of the whole exchange */
    /* Received twice it does no harm: it may go over a connection used before, and again over a
     * fresh one where that turns out dead. All others get a connection of their own and are written
     * at most once. */
    bool is_repeatable;
    /* Monotonic: not begun by then it comes back as unsent, error "too-late". 0: whenever. A
     * process that was stopped for a while must not go on with what is somebody else's by now. */
    int64_t not_after_ms;
    /* On the outbound thread, just before it is begun: the place to read a secret. NULL: nothing.
     */
    void (*prepare)(struct outbound_call *call);
    /* On the outbound thread, exactly once; the call is the caller's again. */
    void (*done)(void *arg, struct outbound_call *call);
    void *arg;
    /* The answer. */
    unsigned http_status;             /* 0: no whole answer */
    bool is_unsent;                   /* with 0: certainly not a byte of the request was written */
    char error[OUTBOUND_ERROR_BYTES]; /* why not, such as timeout; "" with a status */
    char *answer;                     /* its body, NUL-terminated; freed by outbound_call_clear */
    size_t answer_bytes;
    bool is_cut;            /* the body was longer than OUTBOUND_ANSWER_MAX_BYTES */
    int64_t retry_after_ms; /* Retry-After as seconds or date, at most a day; 0: not said */
    int64_t took_ms;
    char *answer_headers; /* outbound's own, as the rest */
    size_t answer_headers_bytes;
    struct outbound_call *next;
};

/* Any thread. */
void outbound_start(struct outbound *self, struct outbound_call *call);
void outbound_call_clear(struct outbound_call *call);
/* The answer's header of that name, any case; NULL: not there. call is a struct outbound_call:
 * fits platform_answer.header. */
const char *outbound_header(void *call, const char *name);

/* --- posts --- */

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
    struct trace trace; /* passed on as traceparent */
    /* The answer. */
    unsigned http_status;                 /* 0: no whole answer */
    char error[OUTBOUND_ERROR_BYTES];     /* why not, such as timeout; "" with a status */
    char receipt[OUTBOUND_RECEIPT_BYTES]; /* the receiver's id for it: printable ASCII or "" */
    int64_t retry_after_ms;               /* 0: not said */
    int64_t took_ms;
    struct outbound_call call; /* outbound's own, as the rest */
    struct outbound *owner;
    char *lines[OUTBOUND_HEADERS_MAX];
};

void outbound_post_clear(struct outbound_post *post);

/* An outbound that also knows targets; its thread is called "outbound". ERROR_CONFIG: a secret that
 * cannot be read, a bad address. */
struct outbound *outbound_new(struct service *service, const struct outbound_target *targets,
                              size_t count, struct error *err) MUST_USE;

/* Any thread. */
void outbound_send(struct outbound *self, struct outbound_post *post);

#endif
