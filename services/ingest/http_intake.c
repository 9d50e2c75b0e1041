#include "ingest/http_intake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "ingest/http_intake_state.h"
#include "ingest/http_listen.h"
#include "log/log.h"

enum {
    SWEEP_MS = 250,
    IDLE_SWEEP_MS = 1000,
    CONNECTION_MEMORY_BYTES = 16 << 10, /* head of a request, and the pieces its body comes in */
    STOP_PATIENCE_MS = 2000
};

static void sweep(struct http_intake *self)
{
    int64_t now_ms = clock_monotonic_ms();
    size_t late = waiting_sweep(self->waiting, now_ms, ANSWER_DEADLINE);
    size_t dribbled = http_clients_sweep(self->clients, now_ms);
    counter_add(self->dribbled, dribbled);
    if (late > 0)
        log_warn("deliveries_not_stored_in_time", KV("count", late));
    if (self->tick)
        self->tick(self->tick_arg);
}

static void *run_deadlines(void *arg)
{
    struct http_intake *self = arg;
    (void)pthread_setname_np(pthread_self(), "deadline");
    (void)pthread_mutex_lock(&self->stop_lock);
    while (!self->is_stopping) {
        (void)pthread_mutex_unlock(&self->stop_lock);
        sweep(self);
        size_t connections = http_clients_count(self->clients);
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)(connections > 0 ? SWEEP_MS : IDLE_SWEEP_MS) * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_mutex_lock(&self->stop_lock);
        if (!self->is_stopping)
            (void)pthread_cond_timedwait(&self->stop_signal, &self->stop_lock, &until);
    }
    (void)pthread_mutex_unlock(&self->stop_lock);
    return NULL;
}

static void make_metrics(struct http_intake *self, struct metrics *metrics)
{
    char labels[96];
    static const char rejected_help[] = "Requests not taken, by reason.";
    for (int i = ANSWER_VERSION; i < ANSWER_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "reason=\"%s\"", answer_reason((enum answer)i));
        self->rejected[i] =
            metrics_counter(metrics, "desg_ingest_rejected_total", labels, rejected_help);
    }
    self->dribbled = metrics_counter(metrics, "desg_ingest_rejected_total", "reason=\"too_slow\"",
                                     rejected_help);
    self->crowded = metrics_counter(metrics, "desg_ingest_rejected_total", "reason=\"descriptors\"",
                                    rejected_help);
    self->handshakes = metrics_counter(metrics, "desg_ingest_handshakes_total", "",
                                       "Verification GETs answered with 200.");
    self->seconds = metrics_histogram(metrics, "desg_ingest_request_seconds", "",
                                      "From the head of a POST to the end of its answer.");
    self->buffered = metrics_gauge(metrics, "desg_ingest_buffered_bytes", "",
                                   "Bodies in memory that are not yet handed to the journal.");
}

static int make_channels(struct http_intake *self, struct metrics *metrics, struct error *err)
{
    char labels[96];
    static const char help[] = "Bodies with a good signature, by what the journal said.";
    for (unsigned i = 0; i < self->config->channels_count; i++) {
        struct intake_channel *channel = &self->channels[i];
        const char *name = self->config->channels[i].name;
        channel->channel = channel_new(&self->config->channels[i], err);
        if (!channel->channel)
            return -1;
        self->channel_count++;
        (void)snprintf(labels, sizeof labels, "channel=\"%s\",result=\"stored\"", name);
        channel->stored = metrics_counter(metrics, "desg_ingest_deliveries_total", labels, help);
        (void)snprintf(labels, sizeof labels, "channel=\"%s\",result=\"failed\"", name);
        channel->failed = metrics_counter(metrics, "desg_ingest_deliveries_total", labels, help);
        (void)snprintf(labels, sizeof labels, "channel=\"%s\"", name);
        channel->last_delivery =
            metrics_gauge(metrics, "desg_ingest_last_delivery_timestamp_seconds", labels,
                          "When the last body of this channel was stored; 0: none since start.");
    }
    return 0;
}

static int start_daemon(struct http_intake *self, struct error *err)
{
    const struct ingest_http_config *http = &self->config->http;
    if (http_check_descriptors(http->connections_max, err) != 0)
        return -1;
    int socket_fd = http_listen(self->config->listen, &self->port, err);
    if (socket_fd < 0)
        return -1;
    self->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, http_request_accept, self,
        http_request_take, self, MHD_OPTION_LISTEN_SOCKET, socket_fd, MHD_OPTION_THREAD_POOL_SIZE,
        http->threads, MHD_OPTION_CONNECTION_LIMIT, http->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, http_request_first_line, self, MHD_OPTION_NOTIFY_COMPLETED,
        http_request_completed, self, MHD_OPTION_NOTIFY_CONNECTION, http_request_connection, self,
        MHD_OPTION_END);
    if (self->daemon)
        return 0;
    int reason = errno;
    (void)close(socket_fd); /* nothing was written to it */
    return error_set(err, ERROR_SYSTEM, "cannot start the webhook listener: %s", strerror(reason));
}

static int start_deadlines(struct http_intake *self, struct error *err)
{
    int rc = pthread_create(&self->deadline_thread, NULL, run_deadlines, self);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the deadline thread: %s", strerror(rc));
    self->has_deadline_thread = true;
    return 0;
}

static int start_parts(struct http_intake *self, struct metrics *metrics, struct error *err)
{
    make_metrics(self, metrics);
    self->clients = http_clients_new(&self->config->http, metrics, err);
    self->answers = self->clients ? answers_new(err) : NULL;
    self->waiting = self->answers ? waiting_new(err) : NULL;
    if (!self->waiting || make_channels(self, metrics, err) != 0 || start_deadlines(self, err) != 0)
        return -1;
    return start_daemon(self, err);
}

struct http_intake *http_intake_start(const struct http_intake_options *options, struct error *err)
{
    struct http_intake *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the webhook listener");
        return NULL;
    }
    self->config = options->config;
    self->store = options->store;
    self->tick = options->tick;
    self->tick_arg = options->tick_arg;
    trace_maker_start(&self->traces);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->stop_signal, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&self->stop_lock, NULL);
    (void)pthread_rwlock_init(&self->secrets_lock, NULL);
    if (start_parts(self, options->metrics, err) != 0) {
        http_intake_stop(self);
        http_intake_destroy(&self);
    }
    return self;
}

uint16_t http_intake_port(const struct http_intake *self)
{
    return self->port;
}

void http_intake_drain(struct http_intake *self)
{
    atomic_store(&self->is_draining, true);
}

bool http_intake_is_drained(struct http_intake *self)
{
    return atomic_load(&self->is_draining) && http_intake_is_idle(self);
}

bool http_intake_is_idle(struct http_intake *self)
{
    return atomic_load(&self->outstanding) == 0 && waiting_count(self->waiting) == 0;
}

static void stop_deadlines(struct http_intake *self)
{
    if (!self->has_deadline_thread)
        return;
    (void)pthread_mutex_lock(&self->stop_lock);
    self->is_stopping = true;
    (void)pthread_cond_signal(&self->stop_signal);
    (void)pthread_mutex_unlock(&self->stop_lock);
    (void)pthread_join(self->deadline_thread, NULL);
    self->has_deadline_thread = false;
}

/* Lets libmicrohttpd's threads write the last answers. Also new ones may have been suspended
 * between the drain and now, and stopping it with one suspended aborts the process. */
static void answer_the_rest(struct http_intake *self)
{
    int64_t patience_ends_ms = clock_monotonic_ms() + STOP_PATIENCE_MS;
    (void)pthread_mutex_lock(&self->stop_lock);
    while (atomic_load(&self->requests) > 0 && clock_monotonic_ms() < patience_ends_ms) {
        struct timespec until;
        (void)waiting_sweep(self->waiting, INT64_MAX, ANSWER_DRAINING);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 5000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&self->stop_signal, &self->stop_lock, &until);
    }
    (void)pthread_mutex_unlock(&self->stop_lock);
}

void http_intake_stop(struct http_intake *self)
{
    http_intake_drain(self);
    stop_deadlines(self);
    if (!self->daemon)
        return;
    answer_the_rest(self);
    MHD_stop_daemon(self->daemon);
    self->daemon = NULL;
}

void http_intake_reload(struct http_intake *self)
{
    for (size_t i = 0; i < self->channel_count; i++) {
        struct error err = { 0 };
        struct channel *channel = self->channels[i].channel;
        bool is_changed = false;
        (void)pthread_rwlock_wrlock(&self->secrets_lock);
        int rc = channel_reload(channel, &self->config->channels[i], &is_changed, &err);
        (void)pthread_rwlock_unlock(&self->secrets_lock);
        if (rc != 0)
            log_error("secrets_not_reloaded", KV("channel", channel->name), KV("error", err.text));
        else if (is_changed)
            log_info("secrets_changed", KV("channel", channel->name),
                     KV("secrets", channel->secret_count));
    }
}

void http_intake_destroy(struct http_intake **self_p)
{
    struct http_intake *self = *self_p;
    if (!self)
        return;
    assert(!self->daemon && atomic_load(&self->outstanding) == 0);
    for (size_t i = 0; i < self->channel_count; i++)
        channel_destroy(&self->channels[i].channel);
    answers_destroy(&self->answers);
    waiting_destroy(&self->waiting);
    http_clients_destroy(&self->clients);
    (void)pthread_cond_destroy(&self->stop_signal);
    (void)pthread_mutex_destroy(&self->stop_lock);
    (void)pthread_rwlock_destroy(&self->secrets_lock);
    free(self);
    *self_p = NULL;
}

void http_intake_describe(struct http_intake *self, json_t *detail)
{
    json_t *intake = json_pack("{s:i,s:b,s:I,s:I,s:I}", "port", (int)self->port, "is_draining",
                               (int)atomic_load(&self->is_draining), "connections",
                               (json_int_t)http_clients_count(self->clients), "waiting",
                               (json_int_t)waiting_count(self->waiting), "buffered_bytes",
                               (json_int_t)atomic_load(&self->buffered_bytes));
    (void)json_object_set_new(detail, "intake",
                              intake); /* a part of /status missing is not fatal */
}
