#include "redis_server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { START_DEADLINE_MS = 20000, POLL_MS = 5, PATH_BYTES = 256 };

struct redis_server {
    char folder[PATH_BYTES / 2];
    char socket[PATH_BYTES];
    char address[PATH_BYTES + 8];
    char policy[32];
    bool is_durable;
    pid_t pid;
    redisContext *control;
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "test redis: %s: %s\n", what, strerror(errno));
    abort();
}

static void run_server(const struct redis_server *self)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives a crashed test */
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", self->socket, "--dir",
           self->folder, "--appendonly", self->is_durable ? "yes" : "no", "--maxmemory-policy",
           self->policy, "--save", "", "--logfile", "redis.log", "--daemonize", "no", (char *)NULL);
    give_up("cannot run redis-server");
}

static void drop_control(struct redis_server *self)
{
    if (self->control)
        redisFree(self->control);
    self->control = NULL;
}

static bool answers(struct redis_server *self)
{
    if (!self->control)
        self->control = redisConnectUnix(self->socket);
    redisReply *reply =
        self->control && !self->control->err ? redisCommand(self->control, "PING") : NULL;
    bool is_up = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    if (!is_up)
        drop_control(self);
    return is_up;
}

void redis_server_start(struct redis_server *self)
{
    self->pid = fork();
    if (self->pid < 0)
        give_up("fork");
    if (self->pid == 0)
        run_server(self);
    for (int waited_ms = 0; !answers(self); waited_ms += POLL_MS) {
        if (waited_ms > START_DEADLINE_MS || waitpid(self->pid, NULL, WNOHANG) == self->pid)
            give_up("redis-server did not come up");
        (void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
}

struct redis_server *redis_server_new(const char *policy, bool is_durable)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as every service does: hiredis writes to closed sockets */
    struct redis_server *self = calloc(1, sizeof *self);
    if (!self)
        give_up("memory");
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/desg-redis-XXXXXX");
    if (!mkdtemp(self->folder))
        give_up("mkdtemp");
    (void)snprintf(self->socket, sizeof self->socket, "%s/redis.sock", self->folder);
    (void)snprintf(self->address, sizeof self->address, "unix:%s", self->socket);
    (void)snprintf(self->policy, sizeof self->policy, "%s", policy);
    self->is_durable = is_durable;
    redis_server_start(self);
    return self;
}

void redis_server_kill(struct redis_server *self)
{
    drop_control(self);
    if (self->pid > 0) {
        (void)kill(self->pid, SIGKILL);
        (void)waitpid(self->pid, NULL, 0);
    }
    self->pid = 0;
}

void redis_server_destroy(struct redis_server **self_p)
{
    struct redis_server *self = *self_p;
    if (!self)
        return;
    redis_server_kill(self);
    pid_t remover = fork();
    if (remover == 0) {
        execlp("rm", "rm", "-rf", self->folder, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(remover, NULL, 0);
    free(self);
    *self_p = NULL;
}

const char *redis_server_address(const struct redis_server *self)
{
    return self->address;
}

void redis_server_freeze(struct redis_server *self)
{
    (void)kill(self->pid, SIGSTOP);
}

void redis_server_thaw(struct redis_server *self)
{
    (void)kill(self->pid, SIGCONT);
}

static redisReply *ask(struct redis_server *self, const char *command)
{
    if (!answers(self))
        give_up("redis-server went away");
    char *words[64], *copy = strdup(command), *rest = NULL;
    size_t lengths[64];
    int count = 0;
    for (char *word = strtok_r(copy, " ", &rest); word && count < 64;
         word = strtok_r(NULL, " ", &rest)) {
        words[count] = word;
        lengths[count++] = strlen(word);
    }
    redisReply *reply = redisCommandArgv(self->control, count, (const char **)words, lengths);
    free(copy);
    if (!reply)
        give_up("no answer");
    return reply;
}

static char *to_text(const redisReply *reply)
{
    char *text = NULL;
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        return asprintf(&text, "%lld", reply->integer) < 0 ? NULL : text;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return strndup(reply->str, reply->len);
    case REDIS_REPLY_ERROR:
        return asprintf(&text, "-%s", reply->str) < 0 ? NULL : text;
    case REDIS_REPLY_ARRAY:
        return asprintf(&text, "%zu", (size_t)reply->elements) < 0 ? NULL : text;
    default:
        return strdup("");
    }
}

char *redis_server_ask(struct redis_server *self, const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    redisReply *reply = ask(self, command);
    char *text = to_text(reply);
    freeReplyObject(reply);
    return text;
}

long long redis_server_number(struct redis_server *self, const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    redisReply *reply = ask(self, command);
    char *text = to_text(reply);
    long long number = text ? strtoll(text, NULL, 10) : -1;
    free(text);
    freeReplyObject(reply);
    return number;
}

void redis_server_load_library(struct redis_server *self, unsigned version)
{
    char code[160];
    (void)snprintf(code, sizeof code,
                   "#!lua name=desg_%u\nredis.register_function('desg_%u_x', function() return 1 "
                   "end)",
                   version, version);
    redisReply *reply =
        answers(self) ? redisCommand(self->control, "FUNCTION LOAD %s", code) : NULL;
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        give_up("function library not loaded");
    freeReplyObject(reply);
}
