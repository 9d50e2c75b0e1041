/* http_intake - takes webhooks in over HTTP: strict about requests, checks signatures over the raw
 * bytes, and answers 200 only after the record is on disk. libmicrohttpd does the speaking (epoll,
 * a pool of threads); a request sleeps, suspended, while its group is synced. Every request gets an
 * answer: one whose record is not stored in time 503, one that dribbles 408. Verification GETs are
 * answered in every state. Threads: libmicrohttpd's, and one of ours for deadlines. All functions
 * from any thread. */
#ifndef DESG_INGEST_HTTP_INTAKE_H
#define DESG_INGEST_HTTP_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "ingest/ingest_config.h"
#include "journal/journal.h"
#include "metrics/metrics.h"

struct http_intake;

/* Where records go: the journal, or a stand-in in tests. As journal_append: queues a copy, calls
 * done once from any thread when it is on disk or failed; -1 at once and no call when it takes
 * none.
 */
struct intake_store {
    int (*append)(void *arg, const void *record, size_t length, journal_stored *done,
                  void *done_arg, struct error *err);
    void *arg;
};

struct http_intake_options {
    const struct ingest_config *config; /* borrowed, as all below */
    struct metrics *metrics;
    struct intake_store store;
    /* Called by the deadline thread at least every second; may be NULL. */
    void (*tick)(void *arg);
    void *tick_arg;
};

/* Binds, loads the channels' secrets, starts taking requests. ERROR_CONFIG: an address or secret
 * that cannot be used. */
struct http_intake *http_intake_start(const struct http_intake_options *options,
                                      struct error *err) MUST_USE;
uint16_t http_intake_port(const struct http_intake *self);

/* From now on POSTs get 503; what is suspended still gets its answer. Returns at once. */
void http_intake_drain(struct http_intake *self);
/* Reads the channels' secrets and verify tokens again, while requests go on. One that cannot be
 * read leaves its channel as it was. */
void http_intake_reload(struct http_intake *self);

/* Draining, and nothing waits for the store. */
bool http_intake_is_drained(struct http_intake *self);

/* Nothing waits for the store just now. */
bool http_intake_is_idle(struct http_intake *self);

/* Answers whatever still waits with 503, then stops listening and joins the threads. The store may
 * still call done afterwards. */
void http_intake_stop(struct http_intake *self);

/* Only after http_intake_stop, and after the store has called done for every record it took (a
 * journal has once it is closed). */
void http_intake_destroy(struct http_intake **self_p);

/* Connections, requests waiting, bytes buffered: for /status. */
void http_intake_describe(struct http_intake *self, json_t *detail);

#endif
