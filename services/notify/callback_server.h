/* callback_server - where the dispatch system tells us that a dispatcher has an alert:
 * POST /callbacks/dispatch, signed. By libmicrohttpd, a thread per connection, few connections: the
 * thread waits until the loop has the fact in the journal, then answers 200. */
#ifndef DESG_NOTIFY_CALLBACK_SERVER_H
#define DESG_NOTIFY_CALLBACK_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "metrics/metrics.h"
#include "notify/callback_message.h"

struct callback_server;

/* One request that waits. The loop answers each exactly once; the server may have given up. */
struct callback_ticket;

enum callback_result {
    CALLBACK_RECORDED,   /* 200: new, and in the journal */
    CALLBACK_ALREADY,    /* 200: a duplicate */
    CALLBACK_UNKNOWN,    /* 404: no such alert here */
    CALLBACK_NOT_STORED, /* 503: the journal did not take it; send it again */
    CALLBACK_RESULT_COUNT
};
void callback_ticket_answer(struct callback_ticket *ticket, enum callback_result result);

struct callback_server_options {
    const char *listen; /* 127.0.0.1:8099; port 0 takes a free one */
    const char *const *secret_files;
    size_t secret_file_count;
    struct metrics *metrics;
    /* On a server thread, quick: hands message (copied) and ticket to the loop. */
    void (*deliver)(void *arg, const struct callback_message *message,
                    struct callback_ticket *ticket);
    void *arg;
};

struct callback_server *callback_server_new(const struct callback_server_options *options,
                                            struct error *err) MUST_USE;
void callback_server_destroy(struct callback_server **self_p);

/* Reads the secret files again; the old secrets stay if one cannot be read. Any thread. */
int callback_server_reload(struct callback_server *self, struct error *err) MUST_USE;

uint16_t callback_server_port(const struct callback_server *self);

#endif
