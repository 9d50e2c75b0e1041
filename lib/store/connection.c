#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "store/functions.h"

enum { RECONNECT_PAUSE_MS = 200, DEFAULT_TIMEOUT_MS = 250 };

void store_reply_free(redisReply **reply_p)
{
    if (*reply_p)
        freeReplyObject(*reply_p);
    *reply_p = NULL;
}

const char *store_text(const redisReply *reply)
{
    bool is_text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    return is_text ? reply->str : "";
}

static void context_free(redisContext **context_p)
{
    if (*context_p)
        redisFree(*context_p);
    *context_p = NULL;
}

static uint32_t timeout_ms(const struct store *self)
{
    return self->redis->timeout_ms ? self->redis->timeout_ms : DEFAULT_TIMEOUT_MS;
}

static struct timeval to_timeval(int64_t ms)
{
    if (ms < 1)
        ms = 1; /* zero would wait for ever */
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
}

static void make_metrics(struct store *self, struct metrics *metrics)
{
    if (!metrics)
        return;
    char labels[96];
    (void)snprintf(labels, sizeof labels, "connection=\"%s\"", self->label);
    self->connections_total = metrics_counter(metrics, "desg_store_connections_total", labels,
                                              "Connections to Redis made");
    self->losses_total = metrics_counter(metrics, "desg_store_losses_total", labels,
                                         "Connections to Redis dropped after a failure");
    if (self->redis->sentinels_count == 0)
        return;
    self->moves_total =
        metrics_counter(metrics, "desg_store_master_moves_total", labels,
                        "Connections dropped because the Sentinels named another master");
    self->sentinels_answering = metrics_gauge(metrics, "desg_store_sentinels_answering", labels,
                                              "Sentinels that answered when last asked");
}

struct store *store_new(const struct store_options *options, struct error *err)
{
    assert(options && options->redis && options->force);
    if (strlen(options->force) > STORE_FORCE_MAX_BYTES || strpbrk(options->force, "{}: \t\r\n")) {
        (void)error_set(err, ERROR_CONFIG,
                        "common.force: write a short name of at most %d letters, digits and dashes",
                        STORE_FORCE_MAX_BYTES);
        return NULL;
    }
    struct store *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a store");
        return NULL;
    }
    self->redis = options->redis;
    self->queues = options->queues;
    self->is_guest = options->is_guest;
    self->label = strdup(options->label ? options->label : "store");
    self->scratch = store_scratch_new();
    self->state = STORE_AWAY;
    self->tried_at_ms = INT64_MIN / 2;
    self->isolation_asked_at_ms = INT64_MIN / 2;
    (void)snprintf(self->force, sizeof self->force, "%s", options->force);
    (void)snprintf(self->prefix, sizeof self->prefix, "desg:{%s}:", options->force);
    (void)snprintf(self->problem, sizeof self->problem, "not connected to Redis yet");
    make_metrics(self, options->metrics);
    const char *file = options->redis->password_file;
    if (file && file[0]) {
        self->password = config_read_secret("common.redis.password_file", file, err);
        if (!self->password)
            store_destroy(&self);
    }
    if (self && options->redis->tls) {
        self->tls = tls_new(options->redis->tls, err);
        if (!self->tls)
            store_destroy(&self);
    }
    if (self && options->redis->sentinels_count > 0) {
        self->sentinels = sentinels_new(options->redis, err);
        if (!self->sentinels)
            store_destroy(&self);
    }
    return self;
}

void store_destroy(struct store **self_p)
{
    struct store *self = *self_p;
    if (!self)
        return;
    store_reply_free(&self->held);
    context_free(&self->connection);
    sentinels_destroy(&self->sentinels);
    tls_destroy(&self->tls);
    endpoint_clear(&self->endpoint);
    store_scratch_destroy(&self->scratch);
    if (self->password)
        explicit_bzero(self->password, strlen(self->password));
    free(self->password);
    free(self->label);
    free(self);
    *self_p = NULL;
}

const char *store_problem(const struct store *self)
{
    return self->problem;
}

static void set_problem(struct store *self, const char *format, va_list arguments)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(self->problem, sizeof self->problem, format, arguments);
}

int store_lose(struct store *self, struct error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format); /* may quote the connection's own text: format first */
    set_problem(self, format, arguments);
    va_end(arguments);
    context_free(&self->connection);
    self->state = STORE_AWAY;
    self->was_refused = false;
    if (self->losses_total)
        counter_add(self->losses_total, 1);
    return error_set(err, ERROR_UNAVAILABLE, "%s", self->problem);
}

static void problem(struct store *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void problem(struct store *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_problem(self, format, arguments);
    va_end(arguments);
}

static int start_tls(struct store *self, redisContext *context, int64_t deadline_ms)
{
    char why[160] = "no time limit can be set";
    const struct endpoint *to = &self->endpoint;
    if (redisSetTimeout(context, to_timeval(deadline_ms - clock_monotonic_ms())) == REDIS_OK &&
        tls_start(self->tls, context, to->host, why, sizeof why) == 0)
        return 0;
    problem(self,
            "cannot speak TLS with Redis at %.100s: %.150s: look at common.redis.tls and at the "
            "server's certificate",
            to->text, why);
    return -1;
}

/* Connects to self->endpoint. A name is looked up for half the time at most. */
static redisContext *open_endpoint(struct store *self, int64_t deadline_ms)
{
    const struct endpoint *to = &self->endpoint;
    endpoint_look_up(&self->endpoint);
    if (endpoint_take(&self->endpoint, (deadline_ms - clock_monotonic_ms()) / 2) !=
        ENDPOINT_FOUND) {
        problem(self, "Redis at %.200s cannot be found by its name", to->text);
        return NULL;
    }
    struct timeval limit = to_timeval(deadline_ms - clock_monotonic_ms());
    redisContext *context = to->is_unix ? redisConnectUnixWithTimeout(to->host, limit)
                                        : redisConnectWithTimeout(to->numeric, to->port, limit);
    if (!context || context->err) {
        problem(self, "cannot connect to Redis at %.200s: %s", to->text,
                context ? context->errstr : "no memory");
        endpoint_failed(&self->endpoint);
        context_free(&context);
        return NULL;
    }
    if (self->tls && !to->is_unix && start_tls(self, context, deadline_ms) != 0)
        context_free(&context);
    return context;
}

/* Half the time is for the Sentinels, the rest for the master and the questions it is asked. */
static redisContext *open_master(struct store *self, int64_t deadline_ms)
{
    char address[ENDPOINT_TEXT_BYTES];
    const char *configured = self->redis->address;
    if (self->sentinels) {
        int64_t now_ms = clock_monotonic_ms();
        if (store_find_master(self, now_ms + (deadline_ms - now_ms) / 2, address) != 0)
            return NULL;
        configured = address;
    }
    if (endpoint_set(&self->endpoint, configured) != 0) {
        problem(self, "common.redis: '%.64s' is no address: write unix:/path or host:port",
                configured);
        return NULL;
    }
    return open_endpoint(self, deadline_ms);
}

enum store_state store_check(struct store *self)
{
    assert(self);
    bool is_ready = self->connection && self->state == STORE_READY;
    if (is_ready && store_trusts_master(self))
        return STORE_READY;
    int64_t now_ms = clock_monotonic_ms();
    if (!is_ready && now_ms - self->tried_at_ms < RECONNECT_PAUSE_MS)
        return self->state;
    self->tried_at_ms = now_ms;
    context_free(&self->connection);
    self->state = STORE_AWAY;
    int64_t deadline_ms = now_ms + timeout_ms(self);
    self->connection = open_master(self, deadline_ms);
    if (!self->connection)
        return self->state;
    self->state = store_examine(self, deadline_ms);
    if (self->state == STORE_READY &&
        redisSetTimeout(self->connection, to_timeval(timeout_ms(self))) != REDIS_OK) {
        problem(self, "cannot set a time limit on the connection to Redis");
        self->state = STORE_AWAY;
    }
    if (self->state != STORE_READY) {
        context_free(&self->connection);
        return self->state;
    }
    self->problem[0] = '\0';
    self->is_stream_fresh = true;
    store_show_sentinels(self);
    if (self->connections_total)
        counter_add(self->connections_total, 1);
    return STORE_READY;
}

bool store_was_refused(const struct store *self)
{
    return self->was_refused;
}

int store_need(struct store *self, struct error *err)
{
    self->was_refused = false;
    if (store_check(self) == STORE_READY)
        return 0;
    return error_set(err, ERROR_UNAVAILABLE, "%s", self->problem);
}

/* Redis's error answers begin with a code word; what follows may quote arguments and stays out. */
static void error_code(const redisReply *reply, char out[static 32])
{
    size_t length = strcspn(reply->str, " ");
    (void)snprintf(out, 32, "%.*s", (int)(length < 31 ? length : 31), reply->str);
}

redisReply *store_command(struct store *self, int argc, const char **argv, const size_t *lengths,
                          struct error *err)
{
    redisReply *reply = redisCommandArgv(self->connection, argc, argv, lengths);
    if (!reply) {
        bool is_slow = errno == EAGAIN || errno == EWOULDBLOCK;
        (void)store_lose(self, err, "Redis did not answer: %s",
                         is_slow ? "time is up" : self->connection->errstr);
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        char code[32];
        bool is_refused = store_is_function_fault(reply->str);
        error_code(reply, code);
        store_reply_free(&reply);
        (void)store_lose(self, err,
                         "Redis refused the call with %s: see its log (MISCONF: its disk, OOM: "
                         "maxmemory, READONLY: a replica, NOREPLICAS: min-replicas-to-write, "
                         "ERR: mostly a right missing in its ACL)",
                         code);
        self->was_refused = is_refused;
        if (is_refused)
            self->tried_at_ms = INT64_MIN / 2; /* nothing is wrong with the connection */
        return NULL;
    }
    self->was_refused = false;
    return reply;
}

int store_take_history(struct store *self, const redisReply *reply, char *history,
                       struct error *err)
{
    const redisReply *first = reply->elements > 0 ? reply->element[0] : NULL;
    if (!first || first->type != REDIS_REPLY_STRING || first->len != STORE_HISTORY_BYTES - 1)
        return store_lose(self, err, "the function library's answer carries no history");
    if (history)
        memcpy(history, first->str, STORE_HISTORY_BYTES);
    return 0;
}

redisReply *store_call(struct store *self, const char *name, const char *const *args, size_t count,
                       size_t expected, char *history, struct error *err)
{
    assert(count <= STORE_FUNCTION_ARGS_MAX);
    if (store_need(self, err) != 0)
        return NULL;
    char function[64];
    (void)snprintf(function, sizeof function, STORE_LIBRARY "_%s", name);
    const char *argv[4 + STORE_FUNCTION_ARGS_MAX] = { "FCALL", function, "1", self->prefix };
    for (size_t i = 0; i < count; i++)
        argv[4 + i] = args[i];
    redisReply *reply = store_command(self, (int)(4 + count), argv, NULL, err);
    if (!reply)
        return NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < expected)
        (void)store_lose(self, err, "function %s answered %zu fields, expected %zu", function,
                         (size_t)reply->elements, expected);
    else if (store_take_history(self, reply, history, err) == 0)
        return reply;
    store_reply_free(&reply);
    return NULL;
}

int store_probe(struct store *self, struct error *err)
{
    AUTO(store_reply_free) redisReply *reply = store_call(self, "sweep", NULL, 0, 2, NULL, err);
    return reply ? 0 : -1;
}
