/* What a connection has to be before anything is applied through it. */
#include "store/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "store/functions.h"

enum { LOWEST_REDIS = 7, REPLICA_LAG_MAX_S = 2, LIBRARY_PREFIX_BYTES = 5 /* desg_ */ };

static enum store_state finding(struct store *self, enum store_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum store_state finding(struct store *self, enum store_state state, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(self->problem, sizeof self->problem, format, arguments);
    va_end(arguments);
    return state;
}

/* One question within what is left of the time. NULL: no answer. Error answers are returned. */
static redisReply *ask(struct store *self, int64_t deadline_ms, int argc, const char **argv)
{
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    if (left_ms < 1)
        left_ms = 1;
    struct timeval limit = { .tv_sec = left_ms / 1000, .tv_usec = (left_ms % 1000) * 1000 };
    if (redisSetTimeout(self->connection, limit) != REDIS_OK)
        return NULL;
    return redisCommandArgv(self->connection, argc, argv, NULL);
}

static bool is_error(const redisReply *reply, const char *code)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

static enum store_state no_answer(struct store *self, const char *question)
{
    return finding(self, STORE_AWAY, "Redis did not answer %s in time", question);
}

/* The file as it is now: a new password needs no restart. While it cannot be read the last one
 * counts. */
static void read_password(struct store *self)
{
    struct error ignored = { 0 };
    char *now =
        config_read_secret("common.redis.password_file", self->redis->password_file, &ignored);
    if (!now)
        return;
    explicit_bzero(self->password, strlen(self->password));
    free(self->password);
    self->password = now;
}

static enum store_state sign_in(struct store *self, int64_t deadline_ms)
{
    if (!self->password)
        return STORE_READY;
    read_password(self);
    const char *user = self->redis->username;
    const char *with_user[] = { "AUTH", user, self->password };
    const char *alone[] = { "AUTH", self->password };
    bool has_user = user && user[0];
    AUTO(store_reply_free)
    redisReply *reply = ask(self, deadline_ms, has_user ? 3 : 2, has_user ? with_user : alone);
    if (!reply)
        return no_answer(self, "AUTH");
    if (reply->type == REDIS_REPLY_ERROR)
        return finding(self, STORE_REFUSED,
                       "Redis refused our sign-in: check common.redis.username and password_file "
                       "against its ACL");
    return STORE_READY;
}

static enum store_state check_role(struct store *self, int64_t deadline_ms)
{
    AUTO(store_reply_free)
    redisReply *reply = ask(self, deadline_ms, 1, (const char *[]){ "ROLE" });
    if (!reply)
        return no_answer(self, "ROLE");
    if (is_error(reply, "LOADING"))
        return finding(self, STORE_AWAY, "Redis is loading its data");
    if (is_error(reply, "NOAUTH") || is_error(reply, "NOPERM"))
        return finding(self, STORE_REFUSED,
                       "Redis asks for a sign-in that may use ROLE, INFO, FUNCTION and FCALL: set "
                       "common.redis.username and password_file");
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1)
        return finding(self, STORE_AWAY, "Redis gave no role");
    if (strcmp(store_text(reply->element[0]), "master") == 0)
        return STORE_READY;
    if (self->sentinels) /* a failover is under way, or that Sentinel has not heard of one */
        return finding(self, STORE_AWAY,
                       "the master the Sentinels name, %.200s, is a %.16s: asking them again",
                       self->endpoint.text, store_text(reply->element[0]));
    return finding(self, STORE_REFUSED,
                   "this Redis is a %.16s: point common.redis at the master or at its Sentinels",
                   store_text(reply->element[0]));
}

/* Copies the value of "name:value" in an INFO text; "" if it is not there. */
static void info_value(const char *info, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    size_t length = strlen(name);
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return;
        }
    }
}

static enum store_state check_settings(struct store *self, int64_t deadline_ms)
{
    AUTO(store_reply_free)
    redisReply *reply =
        ask(self, deadline_ms, 4, (const char *[]){ "INFO", "server", "memory", "persistence" });
    if (!reply)
        return no_answer(self, "INFO");
    if (reply->type != REDIS_REPLY_STRING)
        return finding(self, STORE_REFUSED,
                       "Redis did not answer INFO server memory persistence: it has to be version "
                       "%d or newer and the ACL has to allow INFO",
                       LOWEST_REDIS);
    char value[64];
    info_value(reply->str, "redis_version", value, sizeof value);
    if (strtol(value, NULL, 10) < LOWEST_REDIS)
        return finding(self, STORE_REFUSED, "Redis is version %s: Functions need %d or newer",
                       value, LOWEST_REDIS);
    info_value(reply->str, "maxmemory_policy", value, sizeof value);
    if (strcmp(value, "noeviction") != 0)
        return finding(self, STORE_REFUSED,
                       "Redis may evict (maxmemory-policy %s): set maxmemory-policy noeviction",
                       value);
    info_value(reply->str, "aof_enabled", value, sizeof value);
    if (strcmp(value, "1") != 0)
        return finding(
            self, STORE_REFUSED,
            "Redis keeps no append-only file: set appendonly yes and appendfsync everysec");
    return STORE_READY;
}

/* The value after key in a flat list of keys and values; NULL if absent. */
static const redisReply *pair_value(const redisReply *flat, const char *key)
{
    for (size_t i = 0; i + 1 < flat->elements; i += 2)
        if (strcmp(store_text(flat->element[i]), key) == 0)
            return flat->element[i + 1];
    return NULL;
}

/* is_there: one of our name is loaded already, with other text. */
static enum store_state load_library(struct store *self, bool is_there, int64_t deadline_ms)
{
    AUTO(store_reply_free)
    redisReply *reply = ask(self, deadline_ms, 4,
                            (const char *[]){ "FUNCTION", "LOAD", "REPLACE", store_functions });
    if (!reply)
        return no_answer(self, "FUNCTION LOAD");
    if (is_error(reply, "NOPERM")) {
        if (is_there)
            return STORE_READY; /* loading is another program's right, and its task */
        return finding(self, STORE_AWAY,
                       "Redis holds no function library " STORE_LIBRARY " yet, and our user may "
                       "not load it: desg-route does, as the user with +function|load");
    }
    if (reply->type == REDIS_REPLY_ERROR)
        return finding(self, STORE_REFUSED,
                       "Redis would not load function library " STORE_LIBRARY ": %.200s",
                       reply->str);
    return STORE_READY;
}

/* Advice: nothing is lost without it, but more has to be replayed, or texts get into Redis's own
 * logs. */
struct setting {
    const char *name;
    const char *written;  /* as CONFIG GET answers */
    const char *unwanted; /* anything else will do */
    long long least;      /* neither of the two: at least this */
    bool is_for_replicas; /* matters with Sentinels only */
    const char *advice;
};

static const struct setting settings[] = {
    { "appendfsync", NULL, "no", 0, false, "everysec" },
    { "slowlog-log-slower-than", "-1", NULL, 0, false, "-1: it would keep messages" },
    { "crash-log-enabled", "no", NULL, 0, false, "no: it would keep messages" },
    { "min-replicas-to-write", NULL, NULL, 1, true, "1" },
    { "min-replicas-max-lag", "2", NULL, 0, true, "2" },
    { "repl-diskless-sync-delay", "0", NULL, 0, true, "0" },
    { "repl-backlog-size", NULL, NULL, 256LL << 20, true, "256mb" },
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static void add_advice(char *out, size_t size, const struct setting *setting, const char *found)
{
    size_t used = strlen(out);
    (void)snprintf(out + used, size - used, "%s%s is %.16s, better %s", used ? "; " : "",
                   setting->name, found, setting->advice);
}

static bool is_good(const struct setting *setting, const char *found)
{
    if (setting->written)
        return strcmp(found, setting->written) == 0;
    if (setting->unwanted)
        return strcmp(found, setting->unwanted) != 0;
    return strtoll(found, NULL, 10) >= setting->least;
}

/* Said once by those that apply. An ACL without CONFIG GET keeps its settings to itself. */
static enum store_state advise(struct store *self, int64_t deadline_ms)
{
    const char *argv[2 + SETTINGS] = { "CONFIG", "GET" };
    for (size_t i = 0; i < SETTINGS; i++)
        argv[2 + i] = settings[i].name;
    AUTO(store_reply_free) redisReply *reply = ask(self, deadline_ms, 2 + SETTINGS, argv);
    if (!reply)
        return no_answer(self, "CONFIG GET");
    if (reply->type != REDIS_REPLY_ARRAY)
        return STORE_READY;
    char advice[sizeof self->advised] = "";
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        const redisReply *value = pair_value(reply, setting->name);
        if (!value || (setting->is_for_replicas && !self->sentinels))
            continue;
        const char *found = store_text(value);
        if (!is_good(setting, found))
            add_advice(advice, sizeof advice, setting, found);
    }
    if (advice[0] && strcmp(advice, self->advised) != 0)
        log_warn("redis_settings", KV("connection", (const char *)self->label),
                 KV("address", (const char *)self->endpoint.text),
                 KV("advice", (const char *)advice));
    memcpy(self->advised, advice, sizeof advice);
    return STORE_READY;
}

static unsigned long library_version(const char *name)
{
    return strtoul(name + LIBRARY_PREFIX_BYTES, NULL, 10);
}

static enum store_state check_library(struct store *self, int64_t deadline_ms)
{
    AUTO(store_reply_free)
    redisReply *reply =
        ask(self, deadline_ms, 5,
            (const char *[]){ "FUNCTION", "LIST", "LIBRARYNAME", "desg_*", "WITHCODE" });
    if (!reply)
        return no_answer(self, "FUNCTION LIST");
    if (reply->type != REDIS_REPLY_ARRAY)
        return finding(self, STORE_REFUSED,
                       "Redis does not let us list functions: allow FUNCTION in the ACL");
    bool is_there = false, is_same = false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *name_reply = pair_value(reply->element[i], "library_name");
        const redisReply *code = pair_value(reply->element[i], "library_code");
        const char *name = name_reply ? store_text(name_reply) : "";
        if (!code || strncmp(name, "desg_", LIBRARY_PREFIX_BYTES) != 0)
            continue;
        if (library_version(name) > store_functions_version)
            return finding(
                self, STORE_REFUSED,
                "Redis holds the newer function library %.32s, this program brings " STORE_LIBRARY
                ": finish the roll-out (start the newer program here too), "
                "or, to go back, run FUNCTION DELETE %.32s",
                name, name);
        if (strcmp(name, STORE_LIBRARY) != 0)
            continue;
        is_there = true;
        is_same = strcmp(store_text(code), store_functions) == 0;
    }
    /* A client that applies nothing leaves the code to those that do. */
    if (is_there && (is_same || !self->queues))
        return STORE_READY;
    return load_library(self, is_there, deadline_ms);
}

/* Replicas that have said within REPLICA_LAG_MAX_S what they have. A replica that the network took
 * away is listed for a minute, with a growing lag. */
static unsigned replicas_in_step(const char *info)
{
    unsigned count = 0;
    for (const char *lag = strstr(info, ",lag="); lag; lag = strstr(lag + 1, ",lag="))
        count += strtol(lag + 5, NULL, 10) <= REPLICA_LAG_MAX_S;
    return count;
}

/* As min-replicas-to-write does it in Redis itself, if that is set. */
enum store_state store_check_isolation(struct store *self, int64_t deadline_ms)
{
    if (!self->sentinels || !sentinels_lack_majority(self->sentinels))
        return STORE_READY;
    AUTO(store_reply_free)
    redisReply *reply = ask(self, deadline_ms, 2, (const char *[]){ "INFO", "replication" });
    if (!reply)
        return no_answer(self, "INFO");
    if (reply->type != REDIS_REPLY_STRING || replicas_in_step(reply->str) > 0)
        return STORE_READY;
    return finding(self, STORE_AWAY,
                   "Redis %.200s has no replica in step and most Sentinels do not answer: another "
                   "may be master by now",
                   self->endpoint.text);
}

enum store_state store_examine(struct store *self, int64_t deadline_ms)
{
    enum store_state state = sign_in(self, deadline_ms);
    if (state == STORE_READY)
        state = check_role(self, deadline_ms);
    if (state == STORE_READY)
        state = store_check_isolation(self, deadline_ms);
    if (state == STORE_READY)
        state = check_settings(self, deadline_ms);
    if (state == STORE_READY)
        state = check_library(self, deadline_ms);
    if (state == STORE_READY && self->queues && !self->is_guest)
        state = advise(self, deadline_ms);
    return state;
}
