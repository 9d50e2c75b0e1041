/* bench_load - posts signed webhooks over keep-alive connections and says what was answered.
 *
 * --port N --secret-file F --texts F --count N: what, where. --rate N: open loop, latency counts
 * from the planned moment; without it every connection posts as soon as it has its answer.
 * --seconds S ends it early. --connections N (64), --tag T, and to see when conversations can be
 * claimed: --redis SOCKET --id-key F --force NAME.
 * Prints "ready", waits for a line on its standard input, runs, prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "claimable.h"
#include "figures.h"
#include "requests.h"

enum {
    CONNECTIONS_MAX = 1024,
    ANSWER_MAX_BYTES = 4096,
    LAST_ANSWERS_MS = 5000, /* how long the last answers may take */
    PATIENCE_MS = 3000      /* without anything new in Redis */
};

struct connection {
    int fd;
    struct request *request; /* under way, or NULL */
    size_t written;
    char answer[ANSWER_MAX_BYTES];
    size_t answer_bytes;
};

struct load {
    struct requests requests;
    uint16_t port;
    double rate; /* 0: as fast as answers come */
    int64_t started_ns, ends_ns;
    size_t next; /* request */
    size_t under_way;
    size_t ok, refused, broken;
    int epoll_fd;
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;
    struct connection *idle[CONNECTIONS_MAX];
    size_t idle_count;
};

static void open_connection(struct load *self, struct connection *connection)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(self->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("cannot connect to port %u: %s", self->port, strerror(errno));
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        give_up("epoll: %s", strerror(errno));
}

/* A request fits the socket's buffer, so it is written whole; anything else is a broken line. */
static bool post(struct connection *connection, struct request *request)
{
    connection->request = request;
    connection->answer_bytes = 0;
    return send(connection->fd, request->bytes, request->length, MSG_NOSIGNAL) ==
           (ssize_t)request->length;
}

static void reopen(struct load *self, struct connection *connection)
{
    self->broken++;
    if (connection->request)
        self->under_way--;
    connection->request = NULL;
    (void)close(connection->fd);
    open_connection(self, connection);
    self->idle[self->idle_count++] = connection;
}

static int64_t due_ns(const struct load *self, size_t index)
{
    return self->started_ns + (int64_t)((double)index * 1e9 / self->rate);
}

/* Gives idle connections what is due. */
static void post_due(struct load *self)
{
    int64_t at_ns = now_ns();
    while (self->idle_count > 0 && self->next < self->requests.count && at_ns < self->ends_ns) {
        bool is_planned = self->rate > 0;
        if (is_planned && due_ns(self, self->next) > at_ns)
            return;
        struct request *request = &self->requests.all[self->next];
        request->due_ns = is_planned ? due_ns(self, self->next) : now_ns();
        self->next++;
        self->under_way++;
        struct connection *connection = self->idle[--self->idle_count];
        if (!post(connection, request))
            reopen(self, connection);
    }
}

/* Length of a whole answer in the buffer, or 0; *status its status. */
static size_t whole_answer(const struct connection *connection, int *status)
{
    const char *end = memmem(connection->answer, connection->answer_bytes, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - connection->answer) + 4;
    size_t body = 0;
    const char *field = strcasestr(connection->answer, "\r\nContent-Length:");
    if (field && field < end)
        body = strtoul(field + 17, NULL, 10);
    *status = connection->answer_bytes > 12 ? (int)strtol(connection->answer + 9, NULL, 10) : 0;
    return head + body <= connection->answer_bytes ? head + body : 0;
}

static void on_readable(struct load *self, struct connection *connection)
{
    size_t room = sizeof connection->answer - 1 - connection->answer_bytes;
    ssize_t got = recv(connection->fd, connection->answer + connection->answer_bytes, room, 0);
    if (got <= 0) {
        reopen(self, connection);
        return;
    }
    connection->answer_bytes += (size_t)got;
    connection->answer[connection->answer_bytes] = '\0';
    int status = 0;
    if (whole_answer(connection, &status) == 0 || !connection->request)
        return;
    if (status == 200) {
        connection->request->answered_ns = now_ns();
        self->ok++;
    } else {
        self->refused++;
    }
    connection->request = NULL;
    self->under_way--;
    self->idle[self->idle_count++] = connection;
}

/* Until the next request is due, an answer comes, or the time is over. */
static void wait_for_more(struct load *self)
{
    struct epoll_event events[64];
    int64_t until_ns = self->ends_ns;
    bool has_more = self->next < self->requests.count && now_ns() < self->ends_ns;
    if (self->rate > 0 && has_more && self->idle_count > 0)
        until_ns = due_ns(self, self->next);
    else if (!has_more)
        until_ns = now_ns() + 100000000;
    int64_t left_ns = until_ns - now_ns();
    if (left_ns < 0)
        left_ns = 0;
    const struct timespec limit = { left_ns / 1000000000, left_ns % 1000000000 };
    int count = epoll_pwait2(self->epoll_fd, events, 64, &limit, NULL);
    for (int i = 0; i < count; i++)
        on_readable(self, events[i].data.ptr);
}

static void run(struct load *self, double seconds)
{
    self->started_ns = now_ns();
    self->ends_ns = self->started_ns + (int64_t)(seconds * 1e9);
    int64_t give_up_ns = self->ends_ns + LAST_ANSWERS_MS * 1000000LL;
    bool is_over = false;
    while (!is_over) {
        post_due(self);
        wait_for_more(self);
        bool is_sent = self->next == self->requests.count || now_ns() >= self->ends_ns;
        is_over = (is_sent && self->under_way == 0) || now_ns() >= give_up_ns;
    }
}

static void start(struct load *self, size_t connections)
{
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0 || connections == 0 || connections > CONNECTIONS_MAX)
        give_up("--connections: write 1 to %d", CONNECTIONS_MAX);
    self->connection_count = connections;
    for (size_t i = 0; i < connections; i++) {
        open_connection(self, &self->connections[i]);
        self->idle[self->idle_count++] = &self->connections[i];
    }
}

/* ---- what it came to ---- */

enum which { WHICH_ALL, WHICH_URGENT };

static void say_spread(const struct load *self, const char *name, bool is_claimable,
                       enum which which)
{
    double *values = calloc(self->next + 1, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; values && i < self->next; i++) {
        const struct request *request = &self->requests.all[i];
        int64_t end_ns = is_claimable ? request->claimable_ns : request->answered_ns;
        if (end_ns != 0 && (which == WHICH_ALL || request->is_urgent))
            values[count++] = (double)(end_ns - request->due_ns) / 1e6;
    }
    (void)printf(", \"%s\": {\"count\": %zu, \"p50_ms\": %.3f", name, count,
                 percentile(values, count, 0.50));
    (void)printf(", \"p99_ms\": %.3f, \"max_ms\": %.3f}", percentile(values, count, 0.99),
                 percentile(values, count, 1.0));
    free(values);
}

static int64_t latest_ns(const struct load *self, bool is_claimable)
{
    int64_t latest = self->started_ns + 1;
    for (size_t i = 0; i < self->next; i++) {
        const struct request *request = &self->requests.all[i];
        int64_t end_ns = is_claimable ? request->claimable_ns : request->answered_ns;
        if (end_ns > latest)
            latest = end_ns;
    }
    return latest;
}

static void say(const struct load *self, bool is_watched, size_t seen)
{
    double took_s = (double)(latest_ns(self, false) - self->started_ns) / 1e9;
    (void)printf("{\"posted\": %zu, \"ok\": %zu, \"refused\": %zu, \"broken\": %zu", self->next,
                 self->ok, self->refused, self->broken);
    (void)printf(", \"seconds\": %.4f, \"rate\": %.1f, \"body_bytes\": %.0f", took_s,
                 (double)self->ok / took_s,
                 (double)self->requests.body_bytes / (double)self->requests.count);
    (void)printf(", \"started_ns\": %lld", (long long)self->started_ns);
    say_spread(self, "answered", false, WHICH_ALL);
    if (is_watched) {
        double applied_s = (double)(latest_ns(self, true) - self->started_ns) / 1e9;
        (void)printf(", \"seen\": %zu, \"applied_seconds\": %.4f", seen, applied_s);
        say_spread(self, "claimable", true, WHICH_ALL);
        say_spread(self, "urgent_claimable", true, WHICH_URGENT);
    }
    (void)printf("}\n");
}

int main(int argc, char **argv)
{
    static struct load load;
    struct texts texts;
    const char *redis = option_text(argc, argv, "--redis", NULL);
    const char *force = option_text(argc, argv, "--force", "gwent");
    texts_load(&texts, option_text(argc, argv, "--texts", ""));
    const struct requests_options options = {
        .count = (size_t)option_number(argc, argv, "--count", 10000),
        .tag = option_text(argc, argv, "--tag", "0"),
        .secret_file = option_text(argc, argv, "--secret-file", ""),
        .id_key_file = option_text(argc, argv, "--id-key", NULL),
        .texts = &texts,
    };
    requests_make(&load.requests, &options);
    load.port = (uint16_t)option_number(argc, argv, "--port", 8080);
    load.rate = option_number(argc, argv, "--rate", 0);
    start(&load, (size_t)option_number(argc, argv, "--connections", 64));
    struct claimable *claimable = redis ? claimable_start(&load.requests, redis, force) : NULL;
    (void)puts("ready");
    (void)fflush(stdout);
    (void)getchar();
    run(&load, option_number(argc, argv, "--seconds", 3600));
    size_t seen = claimable ? claimable_stop(&claimable, load.ok, PATIENCE_MS) : 0;
    say(&load, redis != NULL, seen);
    requests_clear(&load.requests);
    texts_clear(&texts);
    return EXIT_SUCCESS;
}
