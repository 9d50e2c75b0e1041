#include "ingest/http_intake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "clock/clock.h"
#include "ingest/channel.h"
#include "ingest/http_answer.h"
#include "ingest/http_clients.h"
#include "ingest/http_head.h"
#include "ingest/http_listen.h"
#include "ingest/http_waiting.h"
#include "log/log.h"

enum {
    SWEEP_MS = 250,
    IDLE_SWEEP_MS = 1000,
    CONNECTION_MEMORY_BYTES = 16 << 10, /* head of a request, and the pieces its body comes in */
    BODY_FIRST_BYTES = 16 << 10,
    DISCARD_MAX_BYTES = 8 << 20, /* of an oversize chunked body, before the line is cut */
    STOP_PATIENCE_MS = 2000
};

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
    atomic_bool is_draining;
    _Atomic uint64_t buffered_bytes;
    atomic_size_t outstanding; /* records the store has not answered for */
    atomic_size_t requests;    /* bodies in hand, until their answer is sent */
    struct counter *rejected[ANSWER_COUNT];
    struct counter *dribbled;
    struct counter *handshakes;
    struct histogram *seconds;
    struct gauge *buffered;
    pthread_t deadline_thread;
    bool has_deadline_thread;
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool is_stopping; /* guarded by stop_lock */
};

/* One POST. Two hold it: the connection until it is answered, the store until it has called back.
 */
struct request {
    struct waiter waiter;
    struct http_intake *intake;
    const struct intake_channel *channel;
    struct client *client;
    struct address *address; /* counted for, behind a proxy */
    atomic_int holders;
    uint8_t *body;
    size_t length, room;
    size_t discarded;
    enum answer refusal; /* decided while the body still came in */
    int64_t started_us;
    char submission_id[CHANNEL_SUBMISSION_MAX_BYTES + 1];
};

static void request_let_go(struct request *request)
{
    if (atomic_fetch_sub(&request->holders, 1) == 1)
        free(request);
}

static void drop_body(struct request *request)
{
    struct http_intake *self = request->intake;
    uint64_t left = atomic_fetch_sub(&self->buffered_bytes, request->room) - request->room;
    gauge_set(self->buffered, (int64_t)left);
    free(request->body);
    request->body = NULL;
    request->length = 0;
    request->room = 0;
}

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void start_answering(struct MHD_Connection *connection)
{
    client_phase(client_of(connection), CLIENT_ANSWERING, clock_monotonic_ms() + CLIENT_ANSWER_MS);
}

static enum MHD_Result answer_with(struct http_intake *self, struct MHD_Connection *connection,
                                   enum answer answer)
{
    if (answer != ANSWER_STORED)
        counter_add(self->rejected[answer], 1);
    start_answering(connection);
    return answers_queue(self->answers, connection, answer);
}

static const char *query_value(const void *arg, const char *name)
{
    return MHD_lookup_connection_value((struct MHD_Connection *)arg, MHD_GET_ARGUMENT_KIND, name);
}

struct header_search {
    const char *name;
    const char *value;
    unsigned count;
};

static enum MHD_Result match_header(void *arg, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    struct header_search *search = arg;
    if (strcasecmp(key, search->name) == 0) {
        search->value = value ? value : "";
        search->count++;
    }
    return MHD_YES;
}

static const char *header_value(const void *arg, const char *name, bool *is_repeated)
{
    struct header_search search = { .name = name };
    (void)MHD_get_connection_values((struct MHD_Connection *)arg, MHD_HEADER_KIND, match_header,
                                    &search); /* a count of all */
    *is_repeated = search.count > 1;
    return search.count == 1 ? search.value : NULL;
}

static struct channel_request request_view(struct MHD_Connection *connection, const uint8_t *body,
                                           size_t length)
{
    static const uint8_t nothing[1];
    return (struct channel_request){ .header = header_value,
                                     .query = query_value,
                                     .arg = connection,
                                     .body = body ? body : nothing,
                                     .body_bytes = length,
                                     .now_unix_ms = clock_unix_ms() };
}

static enum MHD_Result queue_text(struct MHD_Connection *connection, unsigned status,
                                  const char *content_type, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    start_answering(connection);
    enum MHD_Result result = MHD_add_response_header(response, "Content-Type", content_type);
    if (result == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Verification GETs touch neither the journal nor the drain: a platform that gets no answer to them
 * drops the subscription. */
static enum MHD_Result answer_handshake(struct http_intake *self, struct MHD_Connection *connection,
                                        const struct channel *channel)
{
    struct channel_answer answer = { 0 };
    const struct channel_request request = request_view(connection, NULL, 0);
    channel->adapter->handshake(channel, &request, &answer);
    if (answer.status != 200)
        return answer_with(self, connection,
                           answer.status == 403 ? ANSWER_CHALLENGE_REFUSED
                                                : ANSWER_CHALLENGE_MALFORMED);
    counter_add(self->handshakes, 1);
    return queue_text(connection, answer.status, answer.content_type, answer.text);
}

static const struct intake_channel *find_channel(const struct http_intake *self, const char *path)
{
    for (size_t i = 0; i < self->channel_count; i++)
        if (strcmp(self->channels[i].channel->path, path) == 0)
            return &self->channels[i];
    return NULL;
}

static struct request *request_new(struct http_intake *self, struct MHD_Connection *connection,
                                   const struct intake_channel *channel)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->intake = self;
    request->channel = channel;
    request->client = client_of(connection);
    request->waiter.connection = connection;
    request->started_us = clock_monotonic_us();
    atomic_init(&request->holders, 1);
    atomic_fetch_add(&self->requests, 1);
    return request;
}

static enum MHD_Result start_post(struct http_intake *self, struct MHD_Connection *connection,
                                  const struct intake_channel *channel,
                                  const struct http_head *head, void **con_cls)
{
    enum answer refusal = http_head_check_post(head, self->config->http.body_max_bytes);
    if (refusal == ANSWER_NONE && atomic_load(&self->is_draining))
        refusal = ANSWER_DRAINING;
    if (refusal != ANSWER_NONE)
        return answer_with(self, connection, refusal);
    struct request *request = request_new(self, connection, channel);
    if (!request)
        return MHD_NO;
    *con_cls = request; /* from here on_completed releases it */
    bool is_repeated = false;
    const char *forwarded =
        self->config->http.trusted_proxy_header
            ? header_value(connection, self->config->http.trusted_proxy_header, &is_repeated)
            : NULL;
    if (!client_enter_request(self->clients, request->client, is_repeated ? "" : forwarded,
                              &request->address))
        return answer_with(self, connection, ANSWER_ADDRESS_BUSY);
    return MHD_YES;
}

static enum MHD_Result start_request(struct http_intake *self, struct MHD_Connection *connection,
                                     const char *path, const char *method, const char *version,
                                     void **con_cls)
{
    struct http_head head;
    http_head_read(connection, &head);
    bool is_get = strcmp(method, "GET") == 0;
    bool is_post = strcmp(method, "POST") == 0;
    enum answer refusal = http_head_check_common(&head, version);
    const struct intake_channel *channel = find_channel(self, path);
    if (refusal == ANSWER_NONE && !channel)
        refusal = ANSWER_PATH;
    if (refusal == ANSWER_NONE && !is_post && (!is_get || !channel->channel->adapter->handshake))
        refusal = channel->channel->adapter->handshake ? ANSWER_METHOD : ANSWER_METHOD_POST_ONLY;
    if (refusal == ANSWER_NONE && is_get)
        refusal = http_head_check_get(&head);
    if (refusal != ANSWER_NONE)
        return answer_with(self, connection, refusal);
    return is_get ? answer_handshake(self, connection, channel->channel)
                  : start_post(self, connection, channel, &head, con_cls);
}

/* Grows by what really came: a length that is only claimed holds no memory. */
static enum answer make_room(struct request *request, size_t more)
{
    struct http_intake *self = request->intake;
    size_t needed = request->length + more;
    if (needed > self->config->http.body_max_bytes)
        return ANSWER_BODY_TOO_LARGE;
    if (needed <= request->room)
        return ANSWER_NONE;
    size_t room = request->room ? 2 * request->room : more;
    while (room < needed)
        room *= 2;
    uint64_t extra = room - request->room;
    uint64_t total = atomic_fetch_add(&self->buffered_bytes, extra) + extra;
    uint8_t *body =
        total <= self->config->http.buffered_max_bytes ? realloc(request->body, room) : NULL;
    if (!body) {
        atomic_fetch_sub(&self->buffered_bytes, extra);
        return ANSWER_BUFFERS_FULL;
    }
    gauge_set(self->buffered, (int64_t)total);
    request->body = body;
    request->room = room;
    return ANSWER_NONE;
}

/* libmicrohttpd takes no answer in the middle of a body: what is refused is read and forgotten, up
 * to a point. */
static enum MHD_Result take_piece(struct request *request, const char *piece, size_t length)
{
    if (request->refusal == ANSWER_NONE)
        request->refusal = make_room(request, length);
    if (request->refusal != ANSWER_NONE) {
        drop_body(request);
        request->discarded += length;
        return request->discarded <= DISCARD_MAX_BYTES ? MHD_YES : MHD_NO;
    }
    memcpy(request->body + request->length, piece, length);
    request->length += length;
    return MHD_YES;
}

static enum answer answer_of_check(enum channel_check check)
{
    static const enum answer answers[] = {
        [CHANNEL_GENUINE] = ANSWER_NONE,
        [CHANNEL_SIGNATURE_MISSING] = ANSWER_SIGNATURE_MISSING,
        [CHANNEL_SIGNATURE_MALFORMED] = ANSWER_SIGNATURE_MALFORMED,
        [CHANNEL_SIGNATURE_WRONG] = ANSWER_SIGNATURE_WRONG,
        [CHANNEL_TIMESTAMP_STALE] = ANSWER_TIMESTAMP_STALE,
        [CHANNEL_KEY_MALFORMED] = ANSWER_KEY_MALFORMED,
    };
    return answers[check];
}

static enum answer verify(struct request *request)
{
    const struct channel *channel = request->channel->channel;
    const struct channel_request view =
        request_view(request->waiter.connection, request->body, request->length);
    return answer_of_check(channel->adapter->verify(channel, &view, request->submission_id));
}

/* The journal record: the body as it came, and what splitting needs beside it. */
static uint8_t *pack_delivery(const struct request *request, size_t *length)
{
    const struct channel *channel = request->channel->channel;
    bool is_repeated = false;
    const char *content_type =
        header_value(request->waiter.connection, "Content-Type", &is_repeated);
    Desg__V1__Delivery delivery = DESG__V1__DELIVERY__INIT;
    delivery.adapter = TEXT_FIELD(channel->adapter->name);
    delivery.path = TEXT_FIELD(channel->path);
    delivery.received_at_ms = clock_unix_ms();
    delivery.body = (ProtobufCBinaryData){ .len = request->length, .data = request->body };
    delivery.content_type = TEXT_FIELD(content_type ? content_type : "");
    delivery.submission_id = TEXT_FIELD(request->submission_id);
    *length = desg__v1__delivery__get_packed_size(&delivery);
    uint8_t *record = malloc(*length);
    if (record)
        (void)desg__v1__delivery__pack(&delivery, record); /* always writes *length bytes */
    return record;
}

static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    (void)sequence;
    struct request *request = arg;
    struct http_intake *self = request->intake;
    bool is_stored = outcome == JOURNAL_STORED;
    counter_add(is_stored ? request->channel->stored : request->channel->failed, 1);
    if (is_stored)
        gauge_set(request->channel->last_delivery, clock_unix_ms() / 1000);
    (void)waiting_end(self->waiting, &request->waiter,
                      is_stored ? ANSWER_STORED : ANSWER_JOURNAL_FAILED); /* false: was too late */
    request_let_go(request);
    atomic_fetch_sub(&self->outstanding, 1);
}

static enum MHD_Result store_body(struct request *request)
{
    struct http_intake *self = request->intake;
    size_t length = 0;
    uint8_t *record = pack_delivery(request, &length);
    drop_body(request);
    if (!record)
        return answer_with(self, request->waiter.connection, ANSWER_BUFFERS_FULL);
    request->waiter.ends_at_ms =
        request->started_us / 1000 + (int64_t)self->config->http.request_deadline_ms;
    client_phase(request->client, CLIENT_WAITING, INT64_MAX);
    atomic_fetch_add(&request->holders, 1);
    atomic_fetch_add(&self->outstanding, 1);
    waiting_add(self->waiting, &request->waiter);
    struct error err = { 0 };
    if (self->store.append(self->store.arg, record, length, on_stored, request, &err) != 0) {
        counter_add(request->channel->failed, 1);
        (void)waiting_end(self->waiting, &request->waiter, ANSWER_JOURNAL_FULL); /* or too late */
        request_let_go(request);
        atomic_fetch_sub(&self->outstanding, 1);
    }
    free(record);
    return MHD_YES;
}

static enum MHD_Result finish_body(struct request *request)
{
    struct http_intake *self = request->intake;
    enum answer refusal = request->refusal;
    if (refusal == ANSWER_NONE)
        refusal = verify(request);
    if (refusal == ANSWER_NONE && atomic_load(&self->is_draining))
        refusal = ANSWER_DRAINING;
    return refusal == ANSWER_NONE ? store_body(request)
                                  : answer_with(self, request->waiter.connection, refusal);
}

static enum MHD_Result answer_reference(struct request *request)
{
    json_t *answer =
        json_pack("{s:s,s:s}", "status", "stored", "reference", request->submission_id);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    enum MHD_Result result =
        text ? queue_text(request->waiter.connection, 200, "application/json", text)
             : answer_with(request->intake, request->waiter.connection, ANSWER_STORED);
    free(text);
    return result;
}

static enum MHD_Result answer_resumed(struct request *request)
{
    enum answer answer = request->waiter.answer;
    if (answer == ANSWER_STORED && request->channel->channel->adapter->says_reference)
        return answer_reference(request);
    return answer_with(request->intake, request->waiter.connection, answer);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **con_cls)
{
    struct http_intake *self = arg;
    struct request *request = *con_cls;
    if (!request)
        return client_of(connection)
                   ? start_request(self, connection, path, method, version, con_cls)
                   : MHD_NO;
    if (*upload_data_size > 0) {
        enum MHD_Result result = take_piece(request, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return result;
    }
    return request->waiter.answer == ANSWER_NONE ? finish_body(request) : answer_resumed(request);
}

/* The request's first line is complete: its time runs. */
static void *on_first_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    struct http_intake *self = arg;
    struct client *client = client_of(connection);
    if (client)
        client_phase(client, CLIENT_RECEIVING,
                     clock_monotonic_ms() + self->config->http.request_deadline_ms);
    return NULL;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    (void)how;
    struct http_intake *self = arg;
    struct request *request = *con_cls;
    struct client *client = client_of(connection);
    if (client)
        client_phase(client, CLIENT_IDLE, clock_monotonic_ms() + CLIENT_IDLE_MS);
    if (!request)
        return;
    *con_cls = NULL;
    histogram_observe(self->seconds, (double)(clock_monotonic_us() - request->started_us) / 1e6);
    client_leave_request(self->clients, request->address);
    drop_body(request);
    request_let_go(request);
    atomic_fetch_sub(&self->requests, 1);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_intake *self = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            client_close(self->clients, *socket_context);
        *socket_context = NULL;
        return;
    }
    /* Since libmicrohttpd 1.0 each call answers in the same place: take what is wanted out of it
     * before the next. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info ? info->client_addr : NULL;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = peer && info ? client_open(self->clients, info->connect_fd, peer) : NULL;
}

static enum MHD_Result on_accept(void *arg, const struct sockaddr *peer, socklen_t length)
{
    struct http_intake *self = arg;
    (void)length;
    return http_clients_admits(self->clients, peer) ? MHD_YES : MHD_NO;
}

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
            metrics_gauge(metrics, "desg_ingest_last_delivery_unix_seconds", labels,
                          "When the last body of this channel was stored; 0: none since start.");
    }
    return 0;
}

static int start_daemon(struct http_intake *self, struct error *err)
{
    const struct ingest_http_config *http = &self->config->http;
    if (http_allow_descriptors(http->connections_max, err) != 0)
        return -1;
    int socket_fd = http_listen(self->config->listen, &self->port, err);
    if (socket_fd < 0)
        return -1;
    self->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, on_accept, self, on_request,
        self, MHD_OPTION_LISTEN_SOCKET, socket_fd, MHD_OPTION_THREAD_POOL_SIZE, http->threads,
        MHD_OPTION_CONNECTION_LIMIT, http->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_first_line, self,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, self, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, self, MHD_OPTION_END);
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
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->stop_signal, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&self->stop_lock, NULL);
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
