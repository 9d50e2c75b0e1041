/* http_server - strict HTTP/1.1 for desk's API, over TCP and a Unix socket, by libmicrohttpd. A
 * request's head is judged as soon as it is read, its body is bounded, and each phase of a
 * connection has an absolute end. What is admitted sleeps, suspended, until one of a few worker
 * threads has handled it: handlers may block on Redis and on the journal. Threads: libmicrohttpd's,
 * the workers, one for deadlines. */
#ifndef DESG_DESK_HTTP_SERVER_H
#define DESG_DESK_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "metrics/metrics.h"
#include "service/service.h"

enum {
    HTTP_BODY_MAX_BYTES = 64 << 10,
    HTTP_QUERY_MAX = 8,
    HTTP_HEADER_MAX_BYTES = 512, /* of those kept */
    HTTP_WAITING_MAX = 256       /* requests that wait for a worker; more: 503 */
};

struct http_query {
    char *name;
    char *value;
};

struct http_request {
    const char *method;        /* GET or POST */
    const char *path;          /* without the query */
    const char *authorization; /* NULL: none given, as below */
    const char *idempotency_key;
    struct http_query query[HTTP_QUERY_MAX]; /* percent-decoded */
    size_t query_count;
    const char *body; /* "" while only the head is there */
    size_t body_bytes;
};

struct http_answer {
    unsigned status;
    const char *content_type; /* application/json unless set; a literal */
    const char *allow;        /* of a 405; a literal */
    unsigned retry_after_s;   /* 0: none */
    char *body;               /* malloc'ed, freed by the server */
    size_t body_bytes;
};

struct http_server;

struct http_server_options {
    const char *listen;      /* NULL: no TCP */
    const char *socket_path; /* the Unix socket, mode 0600 */
    uint32_t connections_max;
    uint32_t request_deadline_ms;
    uint32_t workers;
    struct metrics *metrics;
    struct heartbeat *heartbeat; /* of the deadline thread; may be NULL */
    /* On libmicrohttpd's thread, quick: false with answer filled refuses before the body is read.
     */
    bool (*admit)(void *arg, const struct http_request *head, struct http_answer *answer);
    /* On worker thread number worker. */
    void (*handle)(void *arg, size_t worker, const struct http_request *request,
                   struct http_answer *answer);
    /* For what never gets that far: fills answer's body for status. */
    void (*problem)(unsigned status, const char *detail, const char *remedy,
                    struct http_answer *answer);
    /* By the deadline thread, at least every second; may be NULL. */
    void (*tick)(void *arg);
    void *arg;
};

struct http_server *http_server_start(const struct http_server_options *options,
                                      struct error *err) MUST_USE;
uint16_t http_server_port(const struct http_server *self); /* 0: no TCP */

/* From now on requests get 503; what is in hand still gets its answer. Returns at once. */
void http_server_drain(struct http_server *self);
bool http_server_is_drained(struct http_server *self);
/* Finishes what is in hand, stops listening, joins the threads. */
void http_server_destroy(struct http_server **self_p);

/* Adds "api": port, connections, requests waiting. Any thread. */
void http_server_describe(struct http_server *self, json_t *detail);

#endif
