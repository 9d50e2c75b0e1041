#include "raw_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/listen.h"

enum { REQUESTS_MAX = 64, CONNECTIONS_MAX = 64, REQUEST_MAX_BYTES = 256 << 10, WAIT_S = 10 };

struct raw_server {
    const struct raw_script *scripts;
    size_t script_count;
    int listener;
    int stop[2]; /* closed to end what hangs */
    uint16_t port;
    SSL_CTX *tls;
    pthread_t thread;
    pthread_t connections[CONNECTIONS_MAX];
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t came;
    size_t connection_count;
    char *requests[REQUESTS_MAX];
    size_t request_count;
};

struct connection {
    struct raw_server *server;
    int fd;
    SSL *ssl;
};

static void die(const char *why)
{
    (void)fprintf(stderr, "raw server: %s\n", why);
    abort();
}

static void must(bool worked, const char *what)
{
    if (!worked)
        die(what);
}

/* --- TLS --- */

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension && X509_add_ext(certificate, extension, -1) == 1, "certificate extension");
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    must(certificate && X509_set_version(certificate, 2) == 1, "certificate");
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1, "serial");
    must(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL, "time");
    must(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) != NULL, "time");
    must(X509_set_pubkey(certificate, key) == 1, "key");
    X509_NAME *name = X509_get_subject_name(certificate);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"raw server",
                                    -1, -1, 0) == 1,
         "name");
    must(X509_set_issuer_name(certificate, name) == 1, "issuer");
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
    must(X509_sign(certificate, key, EVP_sha256()) > 0, "signature");
    return certificate;
}

static SSL_CTX *make_tls(const char *ca_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(key != NULL, "key");
    X509 *certificate = make_certificate(key);
    FILE *file = fopen(ca_file, "we");
    must(file != NULL, "certificate file");
    bool is_written = PEM_write_X509(file, certificate) == 1;
    must(fclose(file) == 0 && is_written, "certificate file");
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    must(tls && SSL_CTX_use_certificate(tls, certificate) == 1 &&
             SSL_CTX_use_PrivateKey(tls, key) == 1,
         "TLS");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

/* --- one connection --- */

static bool wait_readable(const struct connection *connection)
{
    struct pollfd fds[] = { { .fd = connection->fd, .events = POLLIN },
                            { .fd = connection->server->stop[0], .events = POLLIN } };
    if (connection->ssl && SSL_pending(connection->ssl) > 0)
        return true;
    return poll(fds, 2, WAIT_S * 1000) > 0 && !fds[1].revents;
}

static ssize_t take(const struct connection *connection, char *out, size_t room)
{
    if (!wait_readable(connection))
        return 0;
    return connection->ssl ? SSL_read(connection->ssl, out, (int)room)
                           : recv(connection->fd, out, room, 0);
}

static void give(const struct connection *connection, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t sent = connection->ssl ? SSL_write(connection->ssl, text, (int)length)
                                       : send(connection->fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the other side went away: its affair */
        text += sent;
        length -= (size_t)sent;
    }
}

/* Head, empty line, as many bytes as Content-Length says. */
static bool is_whole(const char *text, size_t length)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *said = strcasestr(text, "\r\nContent-Length:");
    if (!end)
        return false;
    size_t body = said && said < end ? strtoul(said + 17, NULL, 10) : 0;
    return length >= (size_t)(end + 4 - text) + body;
}

static char *read_request(const struct connection *connection)
{
    char *text = calloc(1, REQUEST_MAX_BYTES);
    must(text != NULL, "memory");
    for (size_t length = 0; length < REQUEST_MAX_BYTES - 1;) {
        ssize_t got = take(connection, text + length, REQUEST_MAX_BYTES - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        if (is_whole(text, length))
            return text;
    }
    free(text);
    return NULL;
}

static struct raw_script keep(struct raw_server *self, char *request)
{
    (void)pthread_mutex_lock(&self->lock);
    must(self->request_count < REQUESTS_MAX, "too many requests");
    size_t index = self->request_count;
    self->requests[self->request_count++] = request;
    (void)pthread_cond_broadcast(&self->came);
    (void)pthread_mutex_unlock(&self->lock);
    return self->scripts[index < self->script_count ? index : self->script_count - 1];
}

static bool serve_one(const struct connection *connection)
{
    char *request = read_request(connection);
    if (!request)
        return false;
    struct raw_script script = keep(connection->server, request);
    if (script.answer)
        give(connection, script.answer);
    struct pollfd stop = { .fd = connection->server->stop[0], .events = POLLIN };
    if (script.manner == RAW_HANG)
        (void)poll(&stop, 1, 2 * WAIT_S * 1000);
    return script.manner == RAW_KEEP;
}

static void *connection_thread(void *arg)
{
    struct connection *connection = arg;
    bool is_open = true;
    if (connection->server->tls) {
        connection->ssl = SSL_new(connection->server->tls);
        must(connection->ssl && SSL_set_fd(connection->ssl, connection->fd) == 1, "TLS");
        is_open = SSL_accept(connection->ssl) == 1; /* refused by the other side: nothing comes */
    }
    while (is_open && serve_one(connection))
        ;
    if (connection->ssl && is_open)
        (void)SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    ERR_clear_error();
    (void)close(connection->fd);
    free(connection);
    return NULL;
}

static void *server_thread(void *arg)
{
    struct raw_server *self = arg;
    struct pollfd fds[] = { { .fd = self->listener, .events = POLLIN },
                            { .fd = self->stop[0], .events = POLLIN } };
    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        int fd = accept(self->listener, NULL, NULL);
        if (fd < 0)
            continue;
        struct connection *connection = calloc(1, sizeof *connection);
        must(connection != NULL, "memory");
        connection->server = self;
        connection->fd = fd;
        (void)pthread_mutex_lock(&self->lock);
        must(self->connection_count < CONNECTIONS_MAX, "too many connections");
        must(pthread_create(&self->connections[self->connection_count++], NULL, connection_thread,
                            connection) == 0,
             "thread");
        (void)pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

/* --- life --- */

struct raw_server *raw_server_new(const struct raw_script *scripts, size_t count,
                                  const char *ca_file)
{
    struct raw_server *self = calloc(1, sizeof *self);
    struct error err = { 0 };
    must(self != NULL, "memory");
    self->scripts = scripts;
    self->script_count = count;
    self->listener = listen_tcp("127.0.0.1:0", &self->port, &err);
    must(self->listener >= 0, err.text);
    must(pipe(self->stop) == 0, "pipe");
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_cond_init(&self->came, NULL);
    self->tls = ca_file ? make_tls(ca_file) : NULL;
    must(pthread_create(&self->thread, NULL, server_thread, self) == 0, "thread");
    return self;
}

void raw_server_destroy(struct raw_server **self_p)
{
    struct raw_server *self = *self_p;
    if (!self)
        return;
    (void)close(self->stop[1]);
    (void)pthread_join(self->thread, NULL);
    for (size_t i = 0; i < self->connection_count; i++)
        (void)pthread_join(self->connections[i], NULL);
    for (size_t i = 0; i < self->request_count; i++)
        free(self->requests[i]);
    (void)close(self->stop[0]);
    (void)close(self->listener);
    SSL_CTX_free(self->tls);
    (void)pthread_cond_destroy(&self->came);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

uint16_t raw_server_port(const struct raw_server *self)
{
    return self->port;
}

char *raw_server_request(struct raw_server *self, size_t index)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    (void)pthread_mutex_lock(&self->lock);
    while (self->request_count <= index && rc == 0)
        rc = pthread_cond_timedwait(&self->came, &self->lock, &until);
    char *copy = self->request_count > index ? strdup(self->requests[index]) : NULL;
    (void)pthread_mutex_unlock(&self->lock);
    return copy;
}

size_t raw_server_requests(struct raw_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = self->request_count;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

size_t raw_server_connections(struct raw_server *self)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = self->connection_count;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}
