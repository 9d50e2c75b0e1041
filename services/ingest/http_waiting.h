/* http_waiting - requests suspended until their record is on disk. Three may end a wait: the store,
 * the deadline, a stop. Whoever takes the request off the list wins and alone may resume it; so a
 * connection is resumed once, and never after it is gone. Threads: any. */
#ifndef DESG_INGEST_HTTP_WAITING_H
#define DESG_INGEST_HTTP_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/http_answer.h"

struct waiting; /* the list */

/* Embedded in a request. */
struct waiter {
    struct waiter *previous, *next;
    struct MHD_Connection *connection;
    int64_t ends_at_ms;
    enum answer answer; /* what ended the wait; read it after the resume */
    bool is_listed;
};

struct waiting *waiting_new(struct error *err) MUST_USE;
void waiting_destroy(struct waiting **self_p);

/* Suspends the connection and lists the waiter. */
void waiting_add(struct waiting *self, struct waiter *waiter);
/* Ends this wait with answer and resumes. Returns false if it had ended already. */
bool waiting_end(struct waiting *self, struct waiter *waiter, enum answer answer);
/* Ends every wait whose time is over, or with now_ms INT64_MAX every wait. Returns how many. */
size_t waiting_sweep(struct waiting *self, int64_t now_ms, enum answer answer);
size_t waiting_count(struct waiting *self);

#endif
