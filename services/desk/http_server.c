#include "desk/http_server.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "admin/listen.h"
#include "clock/clock.h"
#include "desk/http_strict.h"
#include "log/log.h"

enum {
    SWEEP_MS = 250,
    IDLE_MS = 75 * 1000, /* between requests */
    ANSWER_MS = 10 * 1000,
    CONNECTION_MEMORY_BYTES = 32 << 10,
    DISCARD_MAX_BYTES = 1 << 20,
    STOP_PATIENCE_MS = 2000
};

/* An open connection and when its present phase must end. */
struct client {
    struct client *previous, *next;
    int socket_fd;
    int64_t ends_at_ms;
};

struct request {
    struct request *next; /* waiting for a worker */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct client *client;
    struct http_request view;
    char method[8];
    char *path;
    char *authorization;
    char *key;
    char *body;
    size_t room;
    size_t discarded;
    bool is_handled;
    struct http_answer answer;
    int64_t started_us;
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *tcp;
    struct MHD_Daemon *local;
    uint16_t port;
    pthread_t *workers;
    size_t worker_count;
    pthread_t deadline_thread;
    bool has_deadline_thread;
    struct histogram *seconds;
    struct gauge *connections;
    struct counter *results[6]; /* by hundreds of the status */
    pthread_mutex_t lock;       /* guards all below */
    pthread_cond_t work;
    pthread_cond_t stop_signal;
    struct request *first;
    struct request **end;
    size_t waiting;  /* in the line */
    size_t in_hand;  /* with workers */
    size_t requests; /* until their answer is sent */
    struct client *clients;
    size_t client_count;
    bool is_draining;
    bool is_stopping;          /* the workers */
    bool is_deadline_stopping; /* after them */
};

struct worker {
    struct http_server *server;
    size_t number;
};

/* --- connections --- */

static void set_phase(struct http_server *self, struct client *client, int64_t ends_at_ms)
{
    (void)pthread_mutex_lock(&self->lock);
    client->ends_at_ms = ends_at_ms;
    (void)pthread_mutex_unlock(&self->lock);
}

static struct client *open_client(struct http_server *self, int socket_fd)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->socket_fd = socket_fd;
    client->ends_at_ms = clock_monotonic_ms() + self->options.request_deadline_ms;
    (void)pthread_mutex_lock(&self->lock);
    client->next = self->clients;
    if (self->clients)
        self->clients->previous = client;
    self->clients = client;
    gauge_set(self->connections, (int64_t)++self->client_count);
    (void)pthread_mutex_unlock(&self->lock);
    return client;
}

static void close_client(struct http_server *self, struct client *client)
{
    (void)pthread_mutex_lock(&self->lock);
    if (client->previous)
        client->previous->next = client->next;
    else
        self->clients = client->next;
    if (client->next)
        client->next->previous = client->previous;
    gauge_set(self->connections, (int64_t)--self->client_count);
    (void)pthread_mutex_unlock(&self->lock);
    free(client);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *self = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            close_client(self, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = info ? open_client(self, info->connect_fd) : NULL;
}

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The first byte of a line has come: the request's time runs. */
static void *on_first_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    struct http_server *self = arg;
    struct client *client = client_of(connection);
    if (client)
        set_phase(self, client, clock_monotonic_ms() + self->options.request_deadline_ms);
    return NULL;
}

/* libmicrohttpd closes the descriptor only after it has told us, so what is listed is open. */
static void end_the_slow(struct http_server *self)
{
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&self->lock);
    for (struct client *client = self->clients; client; client = client->next)
        if (client->ends_at_ms < now_ms) {
            (void)shutdown(client->socket_fd, SHUT_RDWR); /* it may be gone already */
            client->ends_at_ms = INT64_MAX;
        }
    (void)pthread_mutex_unlock(&self->lock);
}

static void *run_deadlines(void *arg)
{
    struct http_server *self = arg;
    (void)pthread_setname_np(pthread_self(), "deadline");
    (void)pthread_mutex_lock(&self->lock);
    while (!self->is_deadline_stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)SWEEP_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&self->stop_signal, &self->lock, &until); /* early is fine */
        (void)pthread_mutex_unlock(&self->lock);
        end_the_slow(self);
        if (self->options.heartbeat)
            heartbeat_beat(self->options.heartbeat);
        if (self->options.tick)
            self->options.tick(self->options.arg);
        (void)pthread_mutex_lock(&self->lock);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* --- answers --- */

static bool add_headers(struct MHD_Response *response, const struct http_answer *answer,
                        bool closes)
{
    char number[16];
    bool is_good = MHD_add_response_header(response, "Content-Type",
                                           answer->content_type ? answer->content_type
                                                                : "application/json") == MHD_YES;
    is_good &= MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
    is_good &= MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
    if (answer->allow)
        is_good &= MHD_add_response_header(response, "Allow", answer->allow) == MHD_YES;
    if (answer->status == 401)
        is_good &= MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"desk\"") ==
                   MHD_YES;
    (void)snprintf(number, sizeof number, "%u", answer->retry_after_s);
    if (answer->retry_after_s > 0)
        is_good &= MHD_add_response_header(response, "Retry-After", number) == MHD_YES;
    if (closes)
        is_good &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return is_good;
}

/* Takes answer's body over. */
static enum MHD_Result send_answer(struct http_server *self, struct MHD_Connection *connection,
                                   struct http_answer *answer, bool closes)
{
    struct client *client = client_of(connection);
    unsigned hundreds = answer->status / 100;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body_bytes, answer->body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(answer->body);
        return MHD_NO;
    }
    answer->body = NULL;
    counter_add(self->results[hundreds < 6 ? hundreds : 5], 1);
    if (client)
        set_phase(self, client, clock_monotonic_ms() + ANSWER_MS);
    enum MHD_Result result = add_headers(response, answer, closes)
                                 ? MHD_queue_response(connection, answer->status, response)
                                 : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct http_server *self, struct MHD_Connection *connection,
                              const struct http_fault *fault)
{
    struct http_answer answer = { .status = fault->status, .allow = fault->allow };
    self->options.problem(fault->status, fault->detail, fault->remedy, &answer);
    if (fault->status == 503)
        answer.retry_after_s = 1;
    return send_answer(self, connection, &answer, true);
}

/* --- requests --- */

static void request_free(struct request *request)
{
    for (size_t i = 0; i < request->view.query_count; i++) {
        free(request->view.query[i].name);
        free(request->view.query[i].value);
    }
    free(request->path);
    if (request->authorization)
        explicit_bzero(request->authorization, strlen(request->authorization));
    free(request->authorization);
    free(request->key);
    free(request->body);
    free(request->answer.body);
    free(request);
}

static char *copy_header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? strndup(value, HTTP_HEADER_MAX_BYTES) : NULL;
}

static enum MHD_Result add_query(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct http_request *view = arg;
    if (view->query_count == HTTP_QUERY_MAX)
        return MHD_NO;
    struct http_query *query = &view->query[view->query_count];
    query->name = strndup(name, HTTP_HEADER_MAX_BYTES);
    query->value = strndup(value ? value : "", HTTP_HEADER_MAX_BYTES);
    view->query_count++;
    return query->name && query->value ? MHD_YES : MHD_NO;
}

static struct request *request_new(struct http_server *self, struct MHD_Connection *connection,
                                   const char *path, const char *method)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->server = self;
    request->connection = connection;
    request->client = client_of(connection);
    request->started_us = clock_monotonic_us();
    request->path = strdup(path);
    request->authorization = copy_header(connection, "Authorization");
    request->key = copy_header(connection, "Idempotency-Key");
    (void)snprintf(request->method, sizeof request->method, "%s", method);
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query,
                                    &request->view); /* strict_check has counted them */
    request->view.method = request->method;
    request->view.path = request->path;
    request->view.authorization = request->authorization;
    request->view.idempotency_key = request->key;
    request->view.body = "";
    if (!request->path || !request->client) {
        request_free(request);
        return NULL;
    }
    (void)pthread_mutex_lock(&self->lock);
    self->requests++;
    (void)pthread_mutex_unlock(&self->lock);
    return request;
}

static bool is_draining(struct http_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is = self->is_draining;
    (void)pthread_mutex_unlock(&self->lock);
    return is;
}

static const struct http_fault draining = { .status = 503,
                                            .detail = "This desk is stopping.",
                                            .remedy = "Ask again: another one answers." };

static enum MHD_Result start_request(struct http_server *self, struct MHD_Connection *connection,
                                     const char *path, const char *method, const char *version,
                                     void **con_cls)
{
    struct http_fault fault = { 0 };
    if (!http_strict_check(connection, method, version, &fault))
        return refuse(self, connection, &fault);
    if (is_draining(self))
        return refuse(self, connection, &draining);
    struct request *request = request_new(self, connection, path, method);
    if (!request)
        return MHD_NO;
    *con_cls = request; /* from here on_completed releases it */
    if (self->options.admit(self->options.arg, &request->view, &request->answer))
        return MHD_YES;
    return send_answer(self, connection, &request->answer, strcmp(method, "POST") == 0);
}

/* A length that is only claimed holds no memory: it grows by what really came. */
static enum MHD_Result take_piece(struct request *request, const char *piece, size_t length)
{
    size_t needed = request->view.body_bytes + length + 1;
    if (needed > HTTP_BODY_MAX_BYTES + 1) { /* strict_check has seen the length: cannot be */
        request->discarded += length;
        return request->discarded <= DISCARD_MAX_BYTES ? MHD_YES : MHD_NO;
    }
    if (needed > request->room) {
        size_t room = request->room ? 2 * request->room : 1024;
        while (room < needed)
            room *= 2;
        char *body = realloc(request->body, room);
        if (!body)
            return MHD_NO;
        request->body = body;
        request->room = room;
    }
    memcpy(request->body + request->view.body_bytes, piece, length);
    request->view.body_bytes += length;
    request->body[request->view.body_bytes] = '\0';
    request->view.body = request->body;
    return MHD_YES;
}

/* Suspends before a worker can see it: whoever resumes must find it suspended. */
static bool line_up(struct http_server *self, struct request *request)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_taken = !self->is_draining && self->waiting < HTTP_WAITING_MAX;
    if (is_taken) {
        MHD_suspend_connection(request->connection);
        request->client->ends_at_ms = INT64_MAX; /* the handler's own limits hold now */
        request->next = NULL;
        *self->end = request;
        self->end = &request->next;
        self->waiting++;
        (void)pthread_cond_signal(&self->work);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return is_taken;
}

static enum MHD_Result finish_request(struct http_server *self, struct request *request)
{
    static const struct http_fault busy = { .status = 503,
                                            .detail = "Too many requests wait already.",
                                            .remedy = "Ask again in a second." };
    if (request->is_handled)
        return send_answer(self, request->connection, &request->answer, is_draining(self));
    if (line_up(self, request))
        return MHD_YES;
    return refuse(self, request->connection, is_draining(self) ? &draining : &busy);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **con_cls)
{
    struct http_server *self = arg;
    struct request *request = *con_cls;
    if (!request)
        return client_of(connection)
                   ? start_request(self, connection, path, method, version, con_cls)
                   : MHD_NO;
    if (*upload_data_size == 0)
        return finish_request(self, request);
    enum MHD_Result result = take_piece(request, upload_data, *upload_data_size);
    *upload_data_size = 0;
    return result;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    (void)how;
    struct http_server *self = arg;
    struct request *request = *con_cls;
    struct client *client = client_of(connection);
    if (client)
        set_phase(self, client, clock_monotonic_ms() + IDLE_MS);
    if (!request)
        return;
    *con_cls = NULL;
    histogram_observe(self->seconds, (double)(clock_monotonic_us() - request->started_us) / 1e6);
    request_free(request);
    (void)pthread_mutex_lock(&self->lock);
    self->requests--;
    (void)pthread_cond_broadcast(&self->stop_signal);
    (void)pthread_mutex_unlock(&self->lock);
}

static void on_log(void *arg, const char *format, va_list args)
{
    (void)arg; /* may quote what strangers sent: not for our log */
    (void)format;
    (void)args;
}

/* --- workers --- */

static struct request *take_request(struct http_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    while (!self->first && !self->is_stopping)
        (void)pthread_cond_wait(&self->work, &self->lock);
    struct request *request = self->first;
    if (request) {
        self->first = request->next;
        if (!self->first)
            self->end = &self->first;
        self->waiting--;
        self->in_hand++;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return request;
}

static void *run_worker(void *arg)
{
    struct worker worker = *(struct worker *)arg;
    struct http_server *self = worker.server;
    free(arg);
    (void)pthread_setname_np(pthread_self(), "worker");
    for (struct request *request; (request = take_request(self)) != NULL;) {
        self->options.handle(self->options.arg, worker.number, &request->view, &request->answer);
        request->is_handled = true;
        MHD_resume_connection(request->connection); /* from here it is libmicrohttpd's again */
        (void)pthread_mutex_lock(&self->lock);
        self->in_hand--;
        (void)pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

/* --- life --- */

static struct MHD_Daemon *start_daemon(struct http_server *self, int listener)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, self, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        listener, MHD_OPTION_CONNECTION_LIMIT, self->options.connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_first_line, self, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        self, MHD_OPTION_NOTIFY_CONNECTION, on_connection, self, MHD_OPTION_END);
}

static int listen_on(struct http_server *self, int listener, struct MHD_Daemon **out,
                     struct error *err)
{
    if (listener < 0)
        return -1;
    *out = start_daemon(self, listener);
    if (*out)
        return 0;
    (void)close(listener); /* nothing was written to it */
    return error_set(err, ERROR_SYSTEM, "cannot start the API's listener");
}

static int start_workers(struct http_server *self, struct error *err)
{
    self->workers = calloc(self->options.workers, sizeof *self->workers);
    for (size_t i = 0; self->workers && i < self->options.workers; i++) {
        struct worker *worker = malloc(sizeof *worker);
        if (!worker)
            break;
        *worker = (struct worker){ .server = self, .number = i };
        if (pthread_create(&self->workers[i], NULL, run_worker, worker) != 0) {
            free(worker);
            break;
        }
        self->worker_count++;
    }
    return self->worker_count == self->options.workers
               ? 0
               : error_set(err, ERROR_SYSTEM, "cannot start the API's workers");
}

static int start_parts(struct http_server *self, struct error *err)
{
    const struct http_server_options *options = &self->options;
    if (start_workers(self, err) != 0)
        return -1;
    if (pthread_create(&self->deadline_thread, NULL, run_deadlines, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the deadline thread");
    self->has_deadline_thread = true;
    if (options->listen &&
        listen_on(self, listen_tcp(options->listen, &self->port, err), &self->tcp, err) != 0)
        return error_wrap(err, "desk.listen");
    return listen_on(self, listen_unix(options->socket_path, err), &self->local, err);
}

static void make_metrics(struct http_server *self, struct metrics *metrics)
{
    char labels[32];
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(labels, sizeof labels, "status=\"%uxx\"", i);
        if (i >= 2 || i == 0)
            self->results[i] =
                metrics_counter(metrics, "desg_desk_requests_total",
                                i == 0 ? "status=\"other\"" : labels, "Requests by answer.");
    }
    self->results[1] = self->results[0];
    self->seconds = metrics_histogram(metrics, "desg_desk_request_seconds", "",
                                      "From the head of a request to the end of its answer.");
    self->connections =
        metrics_gauge(metrics, "desg_desk_connections", "", "Connections of the API.");
}

struct http_server *http_server_start(const struct http_server_options *options, struct error *err)
{
    struct http_server *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the API");
        return NULL;
    }
    self->options = *options;
    self->end = &self->first;
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&self->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->work, NULL);
    (void)pthread_cond_init(&self->stop_signal, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    make_metrics(self, options->metrics);
    if (start_parts(self, err) != 0)
        http_server_destroy(&self);
    return self;
}

uint16_t http_server_port(const struct http_server *self)
{
    return self->port;
}

void http_server_drain(struct http_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_draining = true;
    (void)pthread_mutex_unlock(&self->lock);
}

bool http_server_is_drained(struct http_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is = self->is_draining && self->waiting == 0 && self->in_hand == 0;
    (void)pthread_mutex_unlock(&self->lock);
    return is;
}

/* The workers finish the line first: stopping libmicrohttpd with a request suspended aborts. */
static void stop_workers(struct http_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    (void)pthread_cond_broadcast(&self->work);
    (void)pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->worker_count; i++)
        (void)pthread_join(self->workers[i], NULL);
}

static void let_answers_go(struct http_server *self)
{
    int64_t ends_ms = clock_monotonic_ms() + STOP_PATIENCE_MS;
    (void)pthread_mutex_lock(&self->lock);
    while (self->requests > 0 && clock_monotonic_ms() < ends_ms) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&self->stop_signal, &self->lock, &until);
    }
    self->is_deadline_stopping = true;
    (void)pthread_cond_broadcast(&self->stop_signal);
    (void)pthread_mutex_unlock(&self->lock);
}

void http_server_destroy(struct http_server **self_p)
{
    struct http_server *self = *self_p;
    if (!self)
        return;
    http_server_drain(self);
    stop_workers(self);
    let_answers_go(self);
    if (self->has_deadline_thread)
        (void)pthread_join(self->deadline_thread, NULL);
    if (self->tcp)
        MHD_stop_daemon(self->tcp);
    if (self->local) {
        MHD_stop_daemon(self->local);
        (void)unlink(self->options.socket_path); /* a stale one is replaced at the next start */
    }
    free(self->workers);
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_cond_destroy(&self->stop_signal);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void http_server_describe(struct http_server *self, json_t *detail)
{
    (void)pthread_mutex_lock(&self->lock);
    json_t *api =
        json_pack("{s:i, s:b, s:I, s:I, s:I}", "port", (int)self->port, "is_draining",
                  (int)self->is_draining, "connections", (json_int_t)self->client_count, "waiting",
                  (json_int_t)self->waiting, "in_hand", (json_int_t)self->in_hand);
    (void)pthread_mutex_unlock(&self->lock);
    (void)json_object_set_new(detail, "api", api); /* a gap in /status is not fatal */
}
