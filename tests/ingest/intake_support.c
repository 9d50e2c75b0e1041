#include "intake_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock/clock.h"
#include "crypto/crypto.h"

enum { PATIENCE_MS = 30000 };

static const char secret[] = "app-secret-for-tests";

static void *run_store(void *arg)
{
    struct fake_store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    while (!store->is_over || store->queued > 0) {
        if (store->queued == 0 || (store->mood == STORE_HOLDS && !store->is_over)) {
            (void)pthread_cond_wait(&store->changed, &store->lock);
            continue;
        }
        size_t at = --store->queued;
        journal_stored *done = store->queue[at].done;
        void *done_arg = store->queue[at].arg;
        bool fails = store->mood == STORE_FAILS;
        (void)pthread_mutex_unlock(&store->lock);
        done(done_arg, fails ? JOURNAL_FAILED : JOURNAL_STORED, fails ? 0 : 1);
        (void)pthread_mutex_lock(&store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

static int fake_append(void *arg, const void *record, size_t length, journal_stored *done,
                       void *done_arg, struct error *err)
{
    struct fake_store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    bool takes = store->mood != STORE_FULL && store->queued < STORE_HELD_MAX;
    if (takes) {
        store->queue[store->queued].done = done;
        store->queue[store->queued++].arg = done_arg;
        store->appended++;
        free(store->last);
        store->last = malloc(length + 1);
        if (store->last)
            memcpy(store->last, record, length);
        store->last_bytes = length;
        (void)pthread_cond_broadcast(&store->changed);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return takes ? 0 : error_set(err, ERROR_UNAVAILABLE, "full");
}

void store_mood(struct fake_store *store, enum store_mood mood)
{
    (void)pthread_mutex_lock(&store->lock);
    store->mood = mood;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_let_go(struct fake_store *store)
{
    store_mood(store, STORE_AT_ONCE);
}

uint64_t store_appended(struct fake_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    uint64_t count = store->appended;
    (void)pthread_mutex_unlock(&store->lock);
    return count;
}

void store_await(struct fake_store *store, uint64_t count)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    int rc = 0;
    (void)pthread_mutex_lock(&store->lock);
    while (store->appended < count && rc == 0)
        rc = pthread_cond_timedwait(&store->changed, &store->lock, &until);
    (void)pthread_mutex_unlock(&store->lock);
    assert_int_equal(rc, 0);
}

static void write_secret(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void fill_channel(struct intake_fixture *self, size_t at, const char *name,
                         const char *adapter, const char *path)
{
    self->channels[at] = (struct ingest_channel_config){ .name = (char *)name,
                                                         .adapter = (char *)adapter,
                                                         .path = (char *)path,
                                                         .secret_files = self->secret_files,
                                                         .secret_files_count = 1,
                                                         .verify_token_file = self->token_path };
}

static void fill_config(struct intake_fixture *self)
{
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/desg-test-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    (void)snprintf(self->secret_path, sizeof self->secret_path, "%s/secret", self->folder);
    (void)snprintf(self->token_path, sizeof self->token_path, "%s/token", self->folder);
    write_secret(self->secret_path, secret);
    write_secret(self->token_path, "desk-verify-77");
    self->secret_files[0] = self->secret_path;
    self->proxies[0] = (char *)"127.0.0.1";
    fill_channel(self, 0, "facebook", "meta", "/hooks/facebook");
    fill_channel(self, 1, "x", "x", "/hooks/x");
    fill_channel(self, 2, "web", "web", "/v1/intake/web");
    self->config = (struct ingest_config){ .listen = (char *)"127.0.0.1:0",
                                           .channels = self->channels,
                                           .channels_count = 3 };
    self->config.http =
        (struct ingest_http_config){ .threads = 2,
                                     .connections_max = 1500,
                                     .connections_per_address_max = &self->per_address,
                                     .trusted_proxies = self->proxies,
                                     .request_deadline_ms = 5000,
                                     .body_max_bytes = 64 << 10,
                                     .buffered_max_bytes = 1 << 20 };
}

struct intake_fixture *intake_fixture_new(void (*tune)(struct ingest_config *config))
{
    struct intake_fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    fill_config(self);
    if (tune)
        tune(&self->config);
    self->metrics = metrics_new();
    (void)pthread_mutex_init(&self->store.lock, NULL);
    (void)pthread_cond_init(&self->store.changed, NULL);
    assert_int_equal(pthread_create(&self->store.thread, NULL, run_store, &self->store), 0);
    const struct http_intake_options options = {
        .config = &self->config,
        .metrics = self->metrics,
        .store = { .append = fake_append, .arg = &self->store },
    };
    struct error err = { 0 };
    self->intake = http_intake_start(&options, &err);
    if (!self->intake)
        fail_msg("%s", err.text);
    return self;
}

void intake_fixture_destroy(struct intake_fixture **self_p)
{
    struct intake_fixture *self = *self_p;
    http_intake_stop(self->intake);
    (void)pthread_mutex_lock(&self->store.lock);
    self->store.is_over = true;
    (void)pthread_cond_broadcast(&self->store.changed);
    (void)pthread_mutex_unlock(&self->store.lock);
    (void)pthread_join(self->store.thread, NULL);
    http_intake_destroy(&self->intake);
    metrics_destroy(&self->metrics);
    free(self->store.last);
    (void)pthread_cond_destroy(&self->store.changed);
    (void)pthread_mutex_destroy(&self->store.lock);
    (void)unlink(self->secret_path);
    (void)unlink(self->token_path);
    (void)rmdir(self->folder);
    free(self);
    *self_p = NULL;
}

int client_connect(const struct intake_fixture *fixture)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(http_intake_port(fixture->intake)),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(socket_fd >= 0);
    assert_int_equal(connect(socket_fd, (const struct sockaddr *)&address, sizeof address), 0);
    return socket_fd;
}

/* What the other side no longer takes is dropped: it may have answered and closed. */
void client_send(int socket_fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(socket_fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        length -= (size_t)sent;
    }
}

void client_say(int socket_fd, const char *text)
{
    client_send(socket_fd, text, strlen(text));
}

/* 1: something to read or the end; fails the test when neither comes. */
static void await_input(int socket_fd, int64_t until_ms)
{
    struct pollfd poll_fd = { .fd = socket_fd, .events = POLLIN };
    int64_t left_ms = until_ms - clock_monotonic_ms();
    assert_int_equal(poll(&poll_fd, 1, left_ms > 0 ? (int)left_ms : 0), 1);
}

static size_t body_length(const char *head)
{
    const char *length = strcasestr(head, "\r\nContent-Length:");
    return length ? strtoul(length + 17, NULL, 10) : 0;
}

int client_answer(int socket_fd, char *out, size_t room)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    size_t length = 0;
    size_t wanted = room - 1;
    out[0] = '\0';
    while (length < wanted) {
        await_input(socket_fd, until_ms);
        ssize_t got = recv(socket_fd, out + length, 1, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        out[length] = '\0';
        if (wanted == room - 1 && strstr(out, "\r\n\r\n"))
            wanted = length + body_length(out);
    }
    static const char version[] = "HTTP/1.1 ";
    return strncmp(out, version, sizeof version - 1) == 0
               ? (int)strtol(out + sizeof version - 1, NULL, 10)
               : 0;
}

bool client_ended(int socket_fd)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    char buffer[512];
    for (;;) {
        struct pollfd poll_fd = { .fd = socket_fd, .events = POLLIN };
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) != 1)
            return false;
        if (recv(socket_fd, buffer, sizeof buffer, 0) <= 0)
            return true;
    }
}

const char *sign_meta(const char *body, size_t length)
{
    static char value[7 + 64 + 1] = "sha256=";
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256(secret, sizeof secret - 1, body, length, digest);
    crypto_hex(digest, sizeof digest, value + 7);
    return value;
}

int post_meta(int socket_fd, const char *body, const char *more, char *out, size_t room)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nContent-Length: %zu\r\n"
                   "X-Hub-Signature-256: %s\r\n%s\r\n",
                   strlen(body), sign_meta(body, strlen(body)), more);
    client_say(socket_fd, head);
    client_say(socket_fd, body);
    return client_answer(socket_fd, out, room);
}

uint64_t rejected(const struct intake_fixture *fixture, const char *reason)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    return counter_value(
        metrics_counter(fixture->metrics, "desg_ingest_rejected_total", labels, ""));
}
