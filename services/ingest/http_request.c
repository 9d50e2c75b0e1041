/* http_request - a request from its head to its answer: checked, gathered, verified, stored. */
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "ingest/http_framing.h"
#include "ingest/http_intake_state.h"
#include "ingest/http_listen.h"

enum {
    DISCARD_MAX_BYTES = 8 << 20 /* of an oversize chunked body, before the line is cut */
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
    (void)pthread_rwlock_rdlock(&self->secrets_lock); /* fails only for what is no lock */
    channel->adapter->handshake(channel, &request, &answer);
    (void)pthread_rwlock_unlock(&self->secrets_lock);
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
    enum answer refusal = http_framing_check_post(head, self->config->http.body_max_bytes);
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
    enum answer refusal = http_framing_check_common(&head, version);
    const struct intake_channel *channel = find_channel(self, path);
    if (refusal == ANSWER_NONE && !channel)
        refusal = ANSWER_PATH;
    if (refusal == ANSWER_NONE && !is_post && (!is_get || !channel->channel->adapter->handshake))
        refusal = channel->channel->adapter->handshake ? ANSWER_METHOD : ANSWER_METHOD_POST_ONLY;
    if (refusal == ANSWER_NONE && is_get)
        refusal = http_framing_check_get(&head);
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
    (void)pthread_rwlock_rdlock(
        &request->intake->secrets_lock); /* fails only for what is no lock */
    enum channel_check check = channel->adapter->verify(channel, &view, request->submission_id);
    (void)pthread_rwlock_unlock(&request->intake->secrets_lock);
    return answer_of_check(check);
}

/* The sender's, if the request names one properly; else a new one. */
static struct trace trace_of(const struct request *request)
{
    bool is_repeated = false;
    struct trace trace;
    const char *parent = header_value(request->waiter.connection, "traceparent", &is_repeated);
    return parent && !is_repeated && trace_parse(parent, &trace)
               ? trace
               : trace_make(&request->intake->traces);
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
    struct trace trace = trace_of(request);
    delivery.trace_high = trace.high;
    delivery.trace_low = trace.low;
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

enum MHD_Result http_request_take(void *arg, struct MHD_Connection *connection, const char *path,
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
void *http_request_first_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    struct http_intake *self = arg;
    struct client *client = client_of(connection);
    if (client)
        client_phase(client, CLIENT_RECEIVING,
                     clock_monotonic_ms() + self->config->http.request_deadline_ms);
    return NULL;
}

void http_request_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
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

void http_request_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
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

enum MHD_Result http_request_accept(void *arg, const struct sockaddr *peer, socklen_t length)
{
    struct http_intake *self = arg;
    (void)length;
    if (!http_has_descriptors()) {
        counter_add(self->crowded, 1);
        return MHD_NO;
    }
    return http_clients_admits(self->clients, peer) ? MHD_YES : MHD_NO;
}
