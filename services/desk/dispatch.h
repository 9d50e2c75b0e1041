/* dispatch - from an HTTP request to its handler: who asks, may they, what for. Holds the tokens
 * and a connection to Redis for each worker. */
#ifndef DESG_DESK_DISPATCH_H
#define DESG_DESK_DISPATCH_H

#include <stddef.h>

#include "desk/api.h"

struct dispatch;

struct dispatch_options {
    struct api *api; /* borrowed, as all below */
    const char *tokens_file;
    const struct config_redis *redis;
    const char *force;
    const struct store_queues *queues;
    struct metrics *metrics;
    size_t workers;
};

struct dispatch *dispatch_new(const struct dispatch_options *options, struct error *err) MUST_USE;
void dispatch_destroy(struct dispatch **self_p);

/* Reads the token file again; the old tokens stay if it cannot be read. Any thread. */
int dispatch_reload(struct dispatch *self, struct error *err) MUST_USE;

/* As http_server wants them, with a struct dispatch for arg. */
bool dispatch_admit(void *arg, const struct http_request *head, struct http_answer *answer);
void dispatch_handle(void *arg, size_t worker, const struct http_request *request,
                     struct http_answer *answer);
/* Both for what did not come by HTTP; one thread's alone. */
void dispatch_order(void *arg, const struct http_request *request, struct http_answer *answer);

#endif
