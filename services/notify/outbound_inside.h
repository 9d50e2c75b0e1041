/* outbound_inside - what outbound.c (calls, the thread) and outbound_post.c (targets, posts) share.
 */
#ifndef DESG_NOTIFY_OUTBOUND_INSIDE_H
#define DESG_NOTIFY_OUTBOUND_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "notify/outbound.h"

enum { OUTBOUND_HEADER_MAX_BYTES = 8 << 10 };

struct exchange;

struct target {
    struct outbound_target options;
    char *token; /* the outbound thread's own once that runs, as the next */
    char *signature_secret;
};

struct outbound {
    struct target targets[OUTBOUND_TARGETS_MAX];
    size_t target_count;
    CURLM *multi;
    struct heartbeat *heartbeat;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopping;
    struct exchange *exchanges; /* the thread's own */
    pthread_mutex_t lock;       /* guards both below */
    struct outbound_call *first;
    struct outbound_call **end;
};

/* ERROR_CONFIG: not an address that can be called. */
int outbound_check_url(const char *url, struct error *err) MUST_USE;
int outbound_open_targets(struct outbound *self, const struct outbound_target *targets,
                          size_t count, struct error *err) MUST_USE;
void outbound_close_targets(struct outbound *self);
struct outbound *outbound_make(void);
int outbound_run(struct outbound *self, struct service *service, const char *name,
                 struct error *err) MUST_USE;

#endif
