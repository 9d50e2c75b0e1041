#include "http_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const struct sockaddr *address, socklen_t length,
                      const struct sockaddr_in *source)
{
    const struct timeval limit = { .tv_sec = PROBE_TIMEOUT_S };
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
        (!source || bind(fd, (const struct sockaddr *)source, sizeof *source) == 0) &&
        connect(fd, address, length) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

int probe_connect_tcp(uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return connect_to((const struct sockaddr *)&address, sizeof address, NULL);
}

int probe_connect_tcp_from(const char *source, uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct sockaddr_in from = { .sin_family = AF_INET };
    if (inet_pton(AF_INET, source, &from.sin_addr) != 1)
        return -1;
    return connect_to((const struct sockaddr *)&address, sizeof address, &from);
}

int probe_connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return connect_to((const struct sockaddr *)&address, sizeof address, NULL);
}

void probe_exchange(int fd, const void *request, size_t length, struct probe_answer *answer)
{
    const char *bytes = request;
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    size_t used = 0;
    while (used < sizeof answer->text - 1) {
        ssize_t n = recv(fd, answer->text + used, sizeof answer->text - 1 - used, 0);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    (void)close(fd);
    answer->text[used] = '\0';
    answer->status =
        strncmp(answer->text, "HTTP/1.", 7) == 0 ? (int)strtol(answer->text + 9, NULL, 10) : 0;
    const char *body = strstr(answer->text, "\r\n\r\n");
    answer->body = body ? body + 4 : "";
}

void probe_request(int fd, const char *method, const char *target, const char *body,
                   struct probe_answer *answer)
{
    char *request = NULL;
    int length =
        body ? asprintf(&request,
                        "%s %s HTTP/1.1\r\nHost: desg\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        method, target, strlen(body), body)
             : asprintf(&request, "%s %s HTTP/1.1\r\nHost: desg\r\nConnection: close\r\n\r\n",
                        method, target);
    if (length < 0)
        abort();
    probe_exchange(fd, request, (size_t)length, answer);
    free(request);
}
