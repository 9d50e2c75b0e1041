/* http_intake_state - what http_intake.c (the listener's life) and http_request.c (a request from
 * its head to its answer) share. Private to them. */
#ifndef DESG_INGEST_HTTP_INTAKE_STATE_H
#define DESG_INGEST_HTTP_INTAKE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "ids/trace.h"
#include "ingest/channel.h"
#include "ingest/http_answer.h"
#include "ingest/http_clients.h"
#include "ingest/http_intake.h"
#include "ingest/http_waiting.h"

/* A channel and what is counted of it. */
struct intake_channel {
    struct channel *channel;
    struct counter *stored;
    struct counter *failed;
    struct gauge *last_delivery;
};

struct http_intake {
    const struct ingest_config *config;
    struct intake_store store;
    void (*tick)(void *arg);
    void *tick_arg;
    struct intake_channel channels[INGEST_CHANNELS_MAX];
    size_t channel_count;
    struct answers *answers;
    struct http_clients *clients;
    struct waiting *waiting;
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct trace_maker traces;
    atomic_bool is_draining;
    _Atomic uint64_t buffered_bytes;
    atomic_size_t outstanding; /* records the store has not answered for */
    atomic_size_t requests;    /* bodies in hand, until their answer is sent */
    struct counter *rejected[ANSWER_COUNT];
    struct counter *dribbled;
    struct counter *crowded; /* connections refused for want of descriptors */
    struct counter *handshakes;
    struct histogram *seconds;
    struct gauge *buffered;
    pthread_t deadline_thread;
    bool has_deadline_thread;
    pthread_rwlock_t secrets_lock; /* the channels' secrets and tokens */
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool is_stopping; /* guarded by stop_lock */
};

/* libmicrohttpd's callbacks (http_request.c); arg is the intake. */
enum MHD_Result http_request_accept(void *arg, const struct sockaddr *peer, socklen_t length);
void http_request_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                             enum MHD_ConnectionNotificationCode what);
void *http_request_first_line(void *arg, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_take(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **con_cls);
void http_request_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                            enum MHD_RequestTerminationCode how);

#endif
