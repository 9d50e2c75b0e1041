#include "redis_cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { START_DEADLINE_MS = 60000, POLL_MS = 20, PATH_BYTES = 128, MEMBERS = 5 };
enum { LOWEST_PORT = 10000, PORTS = 20000, APART = 2 * MEMBERS };

struct member {
    char folder[PATH_BYTES];
    char address[32];
    int port;
    pid_t pid;
};

struct redis_cluster {
    char folder[PATH_BYTES / 2];
    const char *password;           /* of the Sentinels; NULL: none */
    struct member members[MEMBERS]; /* servers, then Sentinels */
    char *sentinels[CLUSTER_SENTINELS];
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "test redis cluster: %s: %s\n", what, strerror(errno));
    abort();
}

/* Looks for a port nobody listens on, from *port up: far below those that the kernel gives to
 * outgoing connections, one of which could take it before Redis listens. */
static int free_port(int *port)
{
    for (bool is_free = false; !is_free;) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                       .sin_port = htons((uint16_t)++ * port) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            give_up("socket");
        is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
        (void)close(fd);
    }
    return *port;
}

static void run_server(const struct redis_cluster *self, const struct member *member)
{
    char port[16], master_port[16];
    (void)snprintf(port, sizeof port, "%d", member->port);
    (void)snprintf(master_port, sizeof master_port, "%d", self->members[0].port);
    bool is_replica = member != &self->members[0];
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir",
           member->folder, "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "",
           "--repl-diskless-sync-delay", "0", "--logfile", "redis.log", "--daemonize", "no",
           is_replica ? "--replicaof" : NULL, "127.0.0.1", master_port, (char *)NULL);
    give_up("cannot run redis-server");
}

static void write_sentinel_file(const struct redis_cluster *self, const struct member *member,
                                const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        give_up("sentinel.conf");
    (void)fprintf(file,
                  "port %d\nbind 127.0.0.1\ndir %s\nlogfile sentinel.log\n"
                  "sentinel monitor desg 127.0.0.1 %d 2\n"
                  "sentinel down-after-milliseconds desg 1000\n"
                  "sentinel failover-timeout desg 4000\n",
                  member->port, member->folder, self->members[0].port);
    if (self->password)
        (void)fprintf(file,
                      "user default on nopass +@all\n"
                      "user desg on >%s resetchannels -@all +auth "
                      "+sentinel|get-master-addr-by-name +sentinel|master\n",
                      self->password);
    if (fclose(file) != 0)
        give_up("sentinel.conf");
}

static void run_sentinel(const struct member *member)
{
    char path[PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", member->folder);
    execlp("redis-sentinel", "redis-sentinel", path, (char *)NULL);
    give_up("cannot run redis-sentinel");
}

static redisReply *ask(const struct member *member, const char *command)
{
    struct timeval limit = { .tv_sec = 10 };
    redisContext *context = redisConnectWithTimeout("127.0.0.1", member->port, limit);
    redisReply *reply = NULL;
    if (context && !context->err && redisSetTimeout(context, limit) == REDIS_OK) {
        char *words[16], *copy = strdup(command), *rest = NULL;
        int count = 0;
        for (char *word = strtok_r(copy, " ", &rest); word && count < 16;
             word = strtok_r(NULL, " ", &rest))
            words[count++] = word;
        reply = redisCommandArgv(context, count, (const char **)words, NULL);
        free(copy);
    }
    if (context)
        redisFree(context);
    return reply;
}

static char *ask_text(const struct member *member, const char *command)
{
    redisReply *reply = ask(member, command);
    if (!reply)
        return strdup("");
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->str) {
        char *second = strdup(reply->element[1]->str); /* of host and port the port tells */
        freeReplyObject(reply);
        return second;
    }
    char *text = strdup(reply->str ? reply->str : "");
    freeReplyObject(reply);
    return text;
}

static long long sentinel_number(const struct member *member, const char *field)
{
    redisReply *reply = ask(member, "SENTINEL master desg");
    long long number = -1;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
        if (strcmp(reply->element[i]->str, field) == 0)
            number = strtoll(reply->element[i + 1]->str, NULL, 10);
    if (reply)
        freeReplyObject(reply);
    return number;
}

static bool pauses_until(int *waited_ms)
{
    if (*waited_ms > START_DEADLINE_MS)
        return false;
    (void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    *waited_ms += POLL_MS;
    return true;
}

static void wait_for_text(const struct member *member, const char *command, const char *wanted)
{
    for (int waited_ms = 0;;) {
        char *text = ask_text(member, command);
        bool is_there = strstr(text, wanted) != NULL;
        free(text);
        if (is_there)
            return;
        if (!pauses_until(&waited_ms))
            give_up(wanted);
    }
}

static void wait_for_number(const struct member *member, const char *field, long long wanted)
{
    int waited_ms = 0;
    while (sentinel_number(member, field) != wanted)
        if (!pauses_until(&waited_ms))
            give_up(field);
}

static void start(struct redis_cluster *self, size_t index)
{
    struct member *member = &self->members[index];
    member->pid = fork();
    if (member->pid < 0)
        give_up("fork");
    if (member->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives a crashed test */
        if (index < CLUSTER_SERVERS)
            run_server(self, member);
        run_sentinel(member);
    }
    wait_for_text(member, "PING", "PONG");
}

struct redis_cluster *redis_cluster_new(const char *password)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as every service does: hiredis writes to closed sockets */
    struct redis_cluster *self = calloc(1, sizeof *self);
    if (!self)
        give_up("memory");
    self->password = password;
    int port = LOWEST_PORT + (int)getpid() * APART % PORTS;
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/desg-cluster-XXXXXX");
    if (!mkdtemp(self->folder))
        give_up("mkdtemp");
    for (size_t i = 0; i < MEMBERS; i++) {
        struct member *member = &self->members[i];
        (void)snprintf(member->folder, sizeof member->folder, "%s/%zu", self->folder, i);
        char make[PATH_BYTES + 16];
        (void)snprintf(make, sizeof make, "mkdir %s", member->folder);
        if (system(make) != 0) /* NOLINT(cert-env33-c): a path of our own making */
            give_up("mkdir");
        member->port = free_port(&port);
        (void)snprintf(member->address, sizeof member->address, "127.0.0.1:%d", member->port);
        char path[PATH_BYTES + 32];
        (void)snprintf(path, sizeof path, "%s/sentinel.conf", member->folder);
        if (i >= CLUSTER_SERVERS) {
            self->sentinels[i - CLUSTER_SERVERS] = member->address;
            write_sentinel_file(self, member, path);
        }
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        start(self, i);
        if (i + 1 == CLUSTER_SERVERS) /* Sentinels look for replicas only every 10 s */
            wait_for_text(&self->members[0], "INFO replication", "state=online");
    }
    for (size_t i = CLUSTER_SERVERS; i < MEMBERS; i++) {
        wait_for_number(&self->members[i], "num-other-sentinels", CLUSTER_SENTINELS - 1);
        wait_for_number(&self->members[i], "num-slaves", CLUSTER_SERVERS - 1);
    }
    return self;
}

static void end(struct member *member)
{
    if (member->pid > 0) {
        (void)kill(member->pid, SIGKILL);
        (void)waitpid(member->pid, NULL, 0);
    }
    member->pid = 0;
}

void redis_cluster_destroy(struct redis_cluster **self_p)
{
    struct redis_cluster *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < MEMBERS; i++)
        end(&self->members[i]);
    pid_t remover = fork();
    if (remover == 0) {
        execlp("rm", "rm", "-rf", self->folder, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(remover, NULL, 0);
    free(self);
    *self_p = NULL;
}

char **redis_cluster_sentinels(struct redis_cluster *self)
{
    return self->sentinels;
}

const char *redis_cluster_address(const struct redis_cluster *self, int server)
{
    return self->members[server].address;
}

static int named_by(const struct redis_cluster *self, size_t sentinel)
{
    char *port = ask_text(&self->members[CLUSTER_SERVERS + sentinel],
                          "SENTINEL get-master-addr-by-name desg");
    long number = strtol(port, NULL, 10);
    free(port);
    for (int i = 0; i < CLUSTER_SERVERS; i++)
        if (self->members[i].port == number)
            return i;
    return -1;
}

int redis_cluster_master(struct redis_cluster *self)
{
    return named_by(self, 0);
}

void redis_cluster_signal(struct redis_cluster *self, int server, int number)
{
    (void)kill(self->members[server].pid, number);
}

void redis_cluster_signal_sentinel(struct redis_cluster *self, int sentinel, int number)
{
    (void)kill(self->members[CLUSTER_SERVERS + sentinel].pid, number);
}

void redis_cluster_kill(struct redis_cluster *self, int server)
{
    end(&self->members[server]);
}

void redis_cluster_start(struct redis_cluster *self, int server)
{
    start(self, (size_t)server);
}

void redis_cluster_wait_for_other(struct redis_cluster *self, int than)
{
    int waited_ms = 0;
    for (size_t i = 0; i < CLUSTER_SENTINELS; i++)
        for (int named = named_by(self, i); named < 0 || named == than; named = named_by(self, i))
            if (!pauses_until(&waited_ms))
                give_up("no failover");
}

void redis_cluster_begin_fail_over(struct redis_cluster *self)
{
    int waited_ms = 0;
    for (;;) {
        char *said = redis_cluster_ask_sentinel(self, 0, "SENTINEL FAILOVER desg");
        bool has_begun = strncmp(said, "OK", 2) == 0;
        free(said);
        if (has_begun)
            break;
        if (!pauses_until(&waited_ms)) /* one failover at a time, and a replica has to be well */
            give_up("no failover begun");
    }
}

void redis_cluster_fail_over(struct redis_cluster *self)
{
    int before = redis_cluster_master(self);
    redis_cluster_begin_fail_over(self);
    redis_cluster_wait_for_other(self, before);
}

static char *ask_formatted(const struct member *member, const char *format, va_list arguments)
{
    char command[512];
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vsnprintf(command, sizeof command, format, arguments);
    return ask_text(member, command);
}

char *redis_cluster_ask(struct redis_cluster *self, int server, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = ask_formatted(&self->members[server], format, arguments);
    va_end(arguments);
    return text;
}

char *redis_cluster_ask_sentinel(struct redis_cluster *self, int sentinel, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = ask_formatted(&self->members[CLUSTER_SERVERS + sentinel], format, arguments);
    va_end(arguments);
    return text;
}
