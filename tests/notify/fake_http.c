#include "fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { BODY_MAX_BYTES = 1 << 20, BACKLOG = 64 };

struct fake_http {
    struct MHD_Daemon *daemon;
    fake_http_handler *handle;
    void *arg;
};

struct upload {
    size_t length;
    char body[BODY_MAX_BYTES + 1];
};

static void die(const char *why)
{
    (void)fprintf(stderr, "fake http: %s\n", why);
    abort();
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *length, void **state)
{
    (void)version;
    const struct fake_http *self = arg;
    struct upload *upload = *state;
    if (!upload) {
        upload = malloc(sizeof *upload);
        if (!upload)
            die("no memory");
        upload->length = 0;
        *state = upload;
        return MHD_YES;
    }
    if (*length == 0) {
        upload->body[upload->length] = '\0';
        return self->handle(self->arg, connection, method, path, upload->body, upload->length);
    }
    if (upload->length + *length > BODY_MAX_BYTES)
        die("a body is too long");
    memcpy(upload->body + upload->length, bytes, *length);
    upload->length += *length;
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

int fake_http_keep_port(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(*port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    const int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("no port");
    *port = ntohs(address.sin_port);
    return fd;
}

struct fake_http *fake_http_start(uint16_t *port, fake_http_handler *handle, void *arg)
{
    struct fake_http *self = calloc(1, sizeof *self);
    if (!self)
        die("no memory");
    self->handle = handle;
    self->arg = arg;
    int listener = fake_http_keep_port(port);
    if (listen(listener, BACKLOG) != 0)
        die("cannot listen");
    self->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL,
        NULL, on_request, self, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_END);
    if (!self->daemon)
        die("cannot listen");
    return self;
}

void fake_http_stop(struct fake_http **self_p)
{
    struct fake_http *self = *self_p;
    if (!self)
        return;
    MHD_stop_daemon(self->daemon);
    free(self);
    *self_p = NULL;
}

void fake_http_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

struct timespec fake_http_after_ms(int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return until;
}
