/* A status line and a short body from a server of our own: by hand, because libcurl would put some
 * twenty libraries into the images of services that call nobody over HTTP. */
#include "admin/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/listen.h"
#include "clock/clock.h"

enum { ANSWER_BYTES = 2048, STATUS_AT = 9 /* after "HTTP/1.1 " */, STATUS_DIGITS = 3 };

/* Waits for events on fd; false when the deadline comes first. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd waited = { .fd = fd, .events = events };
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        int ready = poll(&waited, 1, (int)left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static bool is_connected(int fd, const struct sockaddr *address, socklen_t length,
                         int64_t deadline_ms)
{
    int reason = 0;
    socklen_t reason_bytes = sizeof reason;
    if (connect(fd, address, length) == 0)
        return true;
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_ms))
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &reason_bytes) != 0)
        return false;
    errno = reason;
    return reason == 0;
}

static int open_connection(const struct sockaddr *address, socklen_t length, int64_t deadline_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || is_connected(fd, address, length, deadline_ms))
        return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return -1;
}

/* Who listens on every address is asked on loopback. Returns the port; 0: any. */
static uint16_t call_loopback(struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address;
        if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
            v6->sin6_addr = in6addr_loopback;
        return v6->sin6_port;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;
    if (v4->sin_addr.s_addr == htonl(INADDR_ANY))
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return v4->sin_port;
}

static int connect_unix(const char *path, int64_t deadline_ms)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, length + 1);
    return open_connection((const struct sockaddr *)&address, sizeof address, deadline_ms);
}

/* Returns the socket; -1 with what is wrong in err. */
static int call(const char *listen, const char *control_path, int64_t deadline_ms,
                struct error *err)
{
    struct addrinfo *found = *listen ? listen_resolve(listen, err) : NULL;
    if (*listen && !found)
        return -1;
    bool is_tcp = found && call_loopback(found->ai_addr) != 0;
    int fd = is_tcp ? open_connection(found->ai_addr, found->ai_addrlen, deadline_ms)
                    : connect_unix(control_path, deadline_ms);
    int reason = errno;
    if (found)
        freeaddrinfo(found);
    if (fd < 0)
        (void)error_set(err, ERROR_UNAVAILABLE, "nobody answers on %s: %s",
                        is_tcp ? listen : control_path, strerror(reason));
    return fd;
}

/* Until the other side closes, answer is full, or the deadline; what came is in answer. */
static void read_answer(int fd, char answer[static ANSWER_BYTES], int64_t deadline_ms)
{
    size_t length = 0;
    while (length < ANSWER_BYTES - 1 && wait_for(fd, POLLIN, deadline_ms)) {
        ssize_t got = recv(fd, answer + length, ANSWER_BYTES - 1 - length, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    answer[length] = '\0';
}

int admin_ask(const char *listen, const char *control_path, const char *path, char *body,
              size_t body_bytes, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + ASK_TIMEOUT_MS;
    char request[256];
    char answer[ANSWER_BYTES];
    int fd = call(listen, control_path, deadline_ms, err);
    if (fd < 0)
        return -1;
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    answer[0] = '\0';
    if (length > 0 && (size_t)length < sizeof request &&
        send(fd, request, (size_t)length, MSG_NOSIGNAL) == length)
        read_answer(fd, answer, deadline_ms);
    (void)close(fd);
    const char *start = strstr(answer, "\r\n\r\n");
    const char *digits = answer + STATUS_AT;
    if (!start || strncmp(answer, "HTTP/1.", 7) != 0 ||
        strspn(digits, "0123456789") != STATUS_DIGITS)
        return error_set(err, ERROR_UNAVAILABLE, "connected, but no answer to %s within %d ms",
                         path, ASK_TIMEOUT_MS);
    (void)snprintf(body, body_bytes, "%s", start + 4);
    return (int)strtol(digits, NULL, 10);
}
