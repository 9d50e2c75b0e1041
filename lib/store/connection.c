#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "store/functions.h"

enum { RECONNECT_PAUSE_MS = 200, DEFAULT_TIMEOUT_MS = 250, HOST_MAX_BYTES = 256 };

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
    self->label = strdup(options->label ? options->label : "store");
    self->scratch = store_scratch_new();
    self->state = STORE_AWAY;
    self->tried_at_ms = INT64_MIN / 2;
    (void)snprintf(self->force, sizeof self->force, "%s", options->force);
    (void)snprintf(self->prefix, sizeof self->prefix, "desg:{%s}:", options->force);
    (void)snprintf(self->problem, sizeof self->problem, "not connected to Redis yet");
    if (options->metrics) {
        char labels[96];
        (void)snprintf(labels, sizeof labels, "connection=\"%s\"", self->label);
        self->connections_total = metrics_counter(options->metrics, "desg_store_connections_total",
                                                  labels, "Connections to Redis made");
        self->losses_total = metrics_counter(options->metrics, "desg_store_losses_total", labels,
                                             "Connections to Redis dropped after a failure");
    }
    const char *file = options->redis->password_file;
    if (file && file[0]) {
        self->password = config_read_secret("common.redis.password_file", file, err);
        if (!self->password)
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

/* host:port or unix:/path. Names are looked up by hiredis and may block: give numeric addresses
 * where the resolver may be away. */
static redisContext *open_address(const char *address, int64_t budget_ms, struct store *self)
{
    struct timeval limit = to_timeval(budget_ms);
    redisContext *context = NULL;
    if (strncmp(address, "unix:", 5) == 0) {
        context = redisConnectUnixWithTimeout(address + 5, limit);
    } else {
        const char *colon = strrchr(address, ':');
        char host[HOST_MAX_BYTES] = { 0 };
        size_t length = colon ? (size_t)(colon - address) : 0;
        long port = colon ? strtol(colon + 1, NULL, 10) : 0;
        if (length == 0 || length >= sizeof host || port < 1 || port > 65535) {
            problem(self, "common.redis: '%.64s' is no address: write unix:/path or host:port",
                    address);
            return NULL;
        }
        bool is_bracketed = address[0] == '[' && address[length - 1] == ']';
        memcpy(host, address + is_bracketed, length - 2 * (size_t)is_bracketed);
        context = redisConnectWithTimeout(host, (int)port, limit);
    }
    if (!context || context->err) {
        problem(self, "cannot connect to Redis at %.200s: %s", address,
                context ? context->errstr : "no memory");
        context_free(&context);
        return NULL;
    }
    return context;
}

/* Asks one Sentinel for the master's address. Returns 0 or -1. */
static int ask_sentinel(struct store *self, const char *sentinel, int64_t budget_ms,
                        char address[static HOST_MAX_BYTES])
{
    AUTO(context_free) redisContext *context = open_address(sentinel, budget_ms / 2, self);
    if (!context || redisSetTimeout(context, to_timeval(budget_ms / 2)) != REDIS_OK)
        return -1;
    AUTO(store_reply_free)
    redisReply *reply =
        redisCommand(context, "SENTINEL get-master-addr-by-name %s", self->redis->address);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        problem(self, "Sentinel %.128s does not know a master called %.64s", sentinel,
                self->redis->address);
        return -1;
    }
    const char *host = store_text(reply->element[0]);
    bool is_v6 = strchr(host, ':') != NULL;
    int length = snprintf(address, HOST_MAX_BYTES, "%s%s%s:%s", is_v6 ? "[" : "", host,
                          is_v6 ? "]" : "", store_text(reply->element[1]));
    return length > 0 && length < HOST_MAX_BYTES ? 0 : -1;
}

static redisContext *open_master(struct store *self, int64_t deadline_ms)
{
    unsigned count = self->redis->sentinels_count;
    if (count == 0)
        return open_address(self->redis->address, deadline_ms - clock_monotonic_ms(), self);
    for (unsigned i = 0; i < count; i++) {
        /* A dead Sentinel may take its share of the time, not all of it. */
        int64_t share_ms = (deadline_ms - clock_monotonic_ms()) / (int64_t)(count - i + 1);
        char address[HOST_MAX_BYTES];
        if (share_ms > 0 && ask_sentinel(self, self->redis->sentinels[i], share_ms, address) == 0)
            return open_address(address, deadline_ms - clock_monotonic_ms(), self);
    }
    return NULL;
}

enum store_state store_check(struct store *self)
{
    assert(self);
    if (self->connection && self->state == STORE_READY)
        return STORE_READY;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - self->tried_at_ms < RECONNECT_PAUSE_MS)
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
    if (self->connections_total)
        counter_add(self->connections_total, 1);
    return STORE_READY;
}

int store_need(struct store *self, struct error *err)
{
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
        error_code(reply, code);
        store_reply_free(&reply);
        (void)store_lose(self, err,
                         "Redis refused the call with %s: see its log (MISCONF: its disk, OOM: "
                         "maxmemory, READONLY: a replica, NOREPLICAS: min-replicas-to-write)",
                         code);
    }
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
