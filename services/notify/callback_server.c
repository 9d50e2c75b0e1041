#include "notify/callback_server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <microhttpd.h>
#include <unistd.h>

#include "admin/listen.h"
#include "clock/clock.h"
#include "config/config.h"
#include "log/log.h"

enum {
    CONNECTIONS_MAX = 64,
    IDLE_TIMEOUT_S = 5,
    REQUEST_DEADLINE_MS = 5000, /* of a body, however slowly it drips */
    STORE_DEADLINE_MS = 3000,
    SECRETS_MAX = 8
};

static const char PATH[] = "/callbacks/dispatch";

enum refusal {
    REFUSED_UNSIGNED,
    REFUSED_STALE,
    REFUSED_FORGED,
    REFUSED_INVALID,
    REFUSED_TOO_LARGE,
    REFUSED_TIMEOUT,
    REFUSED_COUNT
};

struct callback_server {
    struct callback_server_options options;
    struct MHD_Daemon *daemon;
    uint16_t port;
    pthread_mutex_t lock; /* guards the secrets */
    char *secrets[SECRETS_MAX];
    size_t secret_count;
    struct counter *results[CALLBACK_RESULT_COUNT];
    struct counter *refusals[REFUSED_COUNT];
};

struct callback_ticket {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    unsigned owners; /* server thread and loop; the last frees it */
    bool is_answered;
    enum callback_result result;
};

/* --- ticket --- */

static struct callback_ticket *ticket_new(void)
{
    struct callback_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket)
        abort();
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&ticket->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&ticket->answered, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    ticket->owners = 2;
    return ticket;
}

/* Gives up one ownership; the lock is held and released. */
static void ticket_leave(struct callback_ticket *ticket)
{
    bool is_last = --ticket->owners == 0;
    (void)pthread_mutex_unlock(&ticket->lock);
    if (!is_last)
        return;
    (void)pthread_cond_destroy(&ticket->answered);
    (void)pthread_mutex_destroy(&ticket->lock);
    free(ticket);
}

void callback_ticket_answer(struct callback_ticket *ticket, enum callback_result result)
{
    (void)pthread_mutex_lock(&ticket->lock);
    ticket->is_answered = true;
    ticket->result = result;
    (void)pthread_cond_signal(&ticket->answered);
    ticket_leave(ticket);
}

static bool ticket_wait(struct callback_ticket *ticket, enum callback_result *result)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STORE_DEADLINE_MS / 1000;
    (void)pthread_mutex_lock(&ticket->lock);
    int rc = 0;
    while (!ticket->is_answered && rc == 0)
        rc = pthread_cond_timedwait(&ticket->answered, &ticket->lock, &until);
    bool is_answered = ticket->is_answered;
    *result = ticket->result;
    ticket_leave(ticket);
    return is_answered;
}

/* --- secrets --- */

static void forget_secrets(char **secrets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        explicit_bzero(secrets[i], strlen(secrets[i]));
        free(secrets[i]);
        secrets[i] = NULL;
    }
}

int callback_server_reload(struct callback_server *self, struct error *err)
{
    char *fresh[SECRETS_MAX] = { 0 };
    size_t count = 0;
    for (; count < self->options.secret_file_count && count < SECRETS_MAX; count++) {
        fresh[count] =
            config_read_secret("callback_secret_files", self->options.secret_files[count], err);
        if (!fresh[count]) {
            forget_secrets(fresh, count);
            return -1;
        }
    }
    (void)pthread_mutex_lock(&self->lock);
    forget_secrets(self->secrets, self->secret_count);
    memcpy(self->secrets, fresh, sizeof fresh);
    self->secret_count = count;
    (void)pthread_mutex_unlock(&self->lock);
    return 0;
}

/* --- requests --- */

struct request {
    int64_t deadline_ms;
    size_t length;
    bool is_too_large;
    char body[CALLBACK_BODY_MAX_BYTES];
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *word)
{
    char body[96];
    int length = snprintf(body, sizeof body, "{\"status\":\"%s\"}\n", word);
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)length, body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, "Allow", "POST");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)MHD_add_response_header(response, "Retry-After", "1");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct callback_server *self, struct MHD_Connection *connection,
                              enum refusal why)
{
    static const struct {
        unsigned status;
        const char *word;
    } answers[REFUSED_COUNT] = {
        [REFUSED_UNSIGNED] = { MHD_HTTP_UNAUTHORIZED, "unsigned" },
        [REFUSED_STALE] = { MHD_HTTP_UNAUTHORIZED, "stale" },
        [REFUSED_FORGED] = { MHD_HTTP_FORBIDDEN, "wrong-signature" },
        [REFUSED_INVALID] = { MHD_HTTP_BAD_REQUEST, "invalid" },
        [REFUSED_TOO_LARGE] = { MHD_HTTP_CONTENT_TOO_LARGE, "too-large" },
        [REFUSED_TIMEOUT] = { MHD_HTTP_SERVICE_UNAVAILABLE, "not-stored" },
    };
    counter_add(self->refusals[why], 1);
    return answer(connection, answers[why].status, answers[why].word);
}

static enum callback_trust check(struct callback_server *self, struct MHD_Connection *connection,
                                 const struct request *request)
{
    const char *timestamp =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Desk-Timestamp");
    const char *signature =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Desk-Signature-256");
    (void)pthread_mutex_lock(&self->lock);
    enum callback_trust trust =
        callback_check((const char *const *)self->secrets, self->secret_count, timestamp, signature,
                       request->body, request->length, clock_unix_ms());
    (void)pthread_mutex_unlock(&self->lock);
    return trust;
}

static enum MHD_Result handle(struct callback_server *self, struct MHD_Connection *connection,
                              const struct request *request)
{
    static const struct {
        unsigned status;
        const char *word;
    } answers[CALLBACK_RESULT_COUNT] = {
        [CALLBACK_RECORDED] = { MHD_HTTP_OK, "recorded" },
        [CALLBACK_ALREADY] = { MHD_HTTP_OK, "already-known" },
        [CALLBACK_UNKNOWN] = { MHD_HTTP_NOT_FOUND, "unknown-alert" },
        [CALLBACK_NOT_STORED] = { MHD_HTTP_SERVICE_UNAVAILABLE, "not-stored" },
    };
    if (request->is_too_large)
        return refuse(self, connection, REFUSED_TOO_LARGE);
    enum callback_trust trust = check(self, connection, request);
    if (trust != CALLBACK_GENUINE) {
        log_warn("callback_refused",
                 KV("reason", trust == CALLBACK_UNSIGNED ? "unsigned"
                              : trust == CALLBACK_STALE  ? "stale"
                                                         : "wrong signature"),
                 KV("bytes", request->length));
        return refuse(self, connection,
                      trust == CALLBACK_UNSIGNED ? REFUSED_UNSIGNED
                      : trust == CALLBACK_STALE  ? REFUSED_STALE
                                                 : REFUSED_FORGED);
    }
    struct callback_message message;
    struct error err = { 0 };
    if (callback_parse(request->body, request->length, &message, &err) != 0) {
        log_warn("callback_refused", KV("reason", err.text), KV("bytes", request->length));
        return refuse(self, connection, REFUSED_INVALID);
    }
    struct callback_ticket *ticket = ticket_new();
    enum callback_result result = CALLBACK_NOT_STORED;
    self->options.deliver(self->options.arg, &message, ticket);
    if (!ticket_wait(ticket, &result))
        return refuse(self, connection, REFUSED_TIMEOUT);
    counter_add(self->results[result], 1);
    return answer(connection, answers[result].status, answers[result].word);
}

static enum MHD_Result begin(struct MHD_Connection *connection, const char *url, const char *method,
                             void **state)
{
    if (strcmp(url, PATH) != 0)
        return answer(connection, MHD_HTTP_NOT_FOUND, "no-such-path");
    if (strcmp(method, "POST") != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "post-only");
    struct request *request = malloc(sizeof *request);
    if (!request)
        return MHD_NO;
    request->deadline_ms = clock_monotonic_ms() + REQUEST_DEADLINE_MS;
    request->length = 0;
    request->is_too_large = false;
    *state = request;
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *length, void **state)
{
    (void)version;
    struct request *request = *state;
    if (!request)
        return begin(connection, url, method, state);
    if (*length == 0)
        return handle(arg, connection, request);
    if (clock_monotonic_ms() > request->deadline_ms)
        return MHD_NO;
    if (request->length + *length > sizeof request->body)
        request->is_too_large = true;
    if (!request->is_too_large) {
        memcpy(request->body + request->length, bytes, *length);
        request->length += *length;
    }
    *length = 0;
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)arg;
    (void)connection;
    (void)code;
    free(*state);
    *state = NULL;
}

static void on_log(void *arg, const char *format, va_list args)
{
    (void)arg; /* may quote what strangers sent: not for our log */
    (void)format;
    (void)args;
}

/* --- life --- */

static void make_counters(struct callback_server *self)
{
    static const char *const results[] = { "recorded", "duplicate", "unknown", "not-stored" };
    static const char *const refusals[] = { "unsigned", "stale",     "wrong-signature",
                                            "invalid",  "too-large", "timeout" };
    static const char help[] = "Callbacks of the dispatch system by what came of them.";
    char labels[48];
    for (size_t i = 0; i < CALLBACK_RESULT_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "result=\"%s\"", results[i]);
        self->results[i] =
            metrics_counter(self->options.metrics, "desg_notify_callbacks_total", labels, help);
    }
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "result=\"%s\"", refusals[i]);
        self->refusals[i] =
            metrics_counter(self->options.metrics, "desg_notify_callbacks_total", labels, help);
    }
}

static int start(struct callback_server *self, struct error *err)
{
    if (callback_server_reload(self, err) != 0)
        return -1;
    int listener = listen_tcp(self->options.listen, &self->port, err);
    if (listener < 0)
        return error_wrap(err, "notify.listen");
    self->daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                             MHD_USE_POLL | MHD_USE_ERROR_LOG,
                         0, NULL, NULL, on_request, self, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                         MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (self->daemon)
        return 0;
    (void)close(listener);
    return error_set(err, ERROR_SYSTEM, "cannot start the callback listener");
}

struct callback_server *callback_server_new(const struct callback_server_options *options,
                                            struct error *err)
{
    struct callback_server *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the callback listener");
        return NULL;
    }
    self->options = *options;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    make_counters(self);
    if (start(self, err) != 0)
        callback_server_destroy(&self);
    return self;
}

void callback_server_destroy(struct callback_server **self_p)
{
    struct callback_server *self = *self_p;
    if (!self)
        return;
    if (self->daemon)
        MHD_stop_daemon(self->daemon); /* closes the listener */
    forget_secrets(self->secrets, self->secret_count);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

uint16_t callback_server_port(const struct callback_server *self)
{
    return self->port;
}
