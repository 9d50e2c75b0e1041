#include "admin/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, HOST_BYTES = 64, PORT_BYTES = 6 };

/* "host:port" or "[host]:port" → host and port, both copied. */
static bool split_address(const char *address, char host[static HOST_BYTES],
                          char port[static PORT_BYTES])
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address)
        return false;
    const char *start = address;
    const char *end = colon;
    if (*start == '[') {
        if (end[-1] != ']')
            return false;
        start++;
        end--;
    } else if (memchr(start, ':', (size_t)(end - start))) {
        return false; /* IPv6 without brackets */
    }
    size_t host_length = (size_t)(end - start);
    size_t port_length = strlen(colon + 1);
    if (host_length == 0 || host_length >= HOST_BYTES || port_length == 0 ||
        port_length >= PORT_BYTES || strspn(colon + 1, "0123456789") != port_length)
        return false;
    memcpy(host, start, host_length);
    host[host_length] = '\0';
    memcpy(port, colon + 1, port_length + 1);
    return true;
}

struct addrinfo *listen_resolve(const char *address, struct error *err)
{
    char host[HOST_BYTES] = "";
    char port[PORT_BYTES] = "";
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
    if (split_address(address, host, port) && strtoul(port, NULL, 10) <= UINT16_MAX &&
        getaddrinfo(host, port, &hints, &found) == 0)
        return found;
    (void)error_set(err, ERROR_CONFIG,
                    "'%.80s' is not an address to listen on: write a numeric address and a port, "
                    "such as 127.0.0.1:9101 or [::]:9101",
                    address);
    return NULL;
}

static int open_socket(int family, struct error *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        (void)error_set(err, ERROR_SYSTEM, "cannot make a socket: %s", strerror(errno));
    return fd;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = { .v6 = { 0 } };
    socklen_t length = sizeof bound;
    if (getsockname(fd, &bound.any, &length) != 0)
        return 0;
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

int listen_tcp(const char *address, uint16_t *port, struct error *err)
{
    struct addrinfo *found = listen_resolve(address, err);
    if (!found)
        return -1;
    int fd = open_socket(found->ai_family, err);
    int yes = 1;
    bool is_listening =
        fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return -1;
    if (!is_listening) {
        (void)close(fd);
        return error_set(err, ERROR_CONFIG, "cannot listen on %s: %s; choose another address",
                         address, strerror(reason));
    }
    *port = port_of(fd);
    return fd;
}

/* Makes way for a new socket at address: what lies there must be a socket that nobody answers on.
 */
static int clear_way(const struct sockaddr_un *address, struct error *err)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return 0; /* nothing there, or bind() will say what is wrong */
    if (!S_ISSOCK(status.st_mode))
        return error_set(err, ERROR_CONFIG, "%s is in the way and is not a socket: move it",
                         address->sun_path);
    int probe = open_socket(AF_UNIX, err);
    if (probe < 0)
        return -1;
    bool is_live = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
                   errno == EAGAIN; /* its backlog is full: somebody is there */
    (void)close(probe);
    if (is_live)
        return error_set(err, ERROR_CONFIG,
                         "%s: another process answers there; stop it or start this one with "
                         "another --name",
                         address->sun_path);
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return error_set(err, ERROR_CONFIG, "cannot remove the stale socket %s: %s",
                         address->sun_path, strerror(errno));
    return 0;
}

int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path)
        return error_set(err, ERROR_CONFIG,
                         "control socket path of %zu bytes: at most %zu; choose a shorter "
                         "common.run_directory",
                         length, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length + 1);
    if (clear_way(&address, err) != 0)
        return -1;
    int fd = open_socket(AF_UNIX, err);
    if (fd < 0)
        return -1;
    /* Linux gives the file the mode the socket has at bind(), so it is never open to others. */
    if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        (void)close(fd);
        return error_set(err, ERROR_CONFIG, "cannot listen on %s: %s", path, strerror(reason));
    }
    return fd;
}
