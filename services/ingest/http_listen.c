#include "ingest/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* Cuts "host:port" or "[host]:port" in two. */
static bool cut_address(const char *address, char host[static 64], char port[static 8])
{
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
        return false;
    size_t length = (size_t)(colon - address);
    bool is_bracketed = length >= 2 && address[0] == '[' && colon[-1] == ']';
    if (is_bracketed) {
        address++;
        length -= 2;
    }
    if (length == 0 || length > 63)
        return false;
    memcpy(host, address, length);
    host[length] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

static uint16_t port_of(int socket_fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;
    char port[8] = "0";
    if (getsockname(socket_fd, (struct sockaddr *)&address, &length) == 0)
        (void)getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof port,
                          NI_NUMERICSERV); /* failing, it stays 0: the port is for display */
    return (uint16_t)strtoul(port, NULL, 10);
}

static int open_socket(const struct addrinfo *info)
{
    int on = 1;
    int off = 0;
    int socket_fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_fd < 0)
        return -1;
    (void)setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a fast restart */
    if (info->ai_family == AF_INET6) /* [::] also takes IPv4, as admin's does */
        (void)setsockopt(socket_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(socket_fd, info->ai_addr, info->ai_addrlen) == 0 && listen(socket_fd, BACKLOG) == 0)
        return socket_fd;
    int reason = errno;
    (void)close(socket_fd); /* nothing was written to it */
    errno = reason;
    return -1;
}

int http_listen(const char *address, uint16_t *port, struct error *err)
{
    char host[64];
    char service[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
    struct addrinfo *info = NULL;
    if (!cut_address(address, host, service) || getaddrinfo(host, service, &hints, &info) != 0)
        return error_set(err, ERROR_CONFIG,
                         "ingest.listen is '%s': write a numeric address and a port, such as "
                         "127.0.0.1:8080 or [::]:8080",
                         address);
    int socket_fd = open_socket(info);
    int reason = errno;
    freeaddrinfo(info);
    if (socket_fd < 0)
        return error_set(err, ERROR_CONFIG, "ingest.listen: cannot listen on '%s': %s", address,
                         strerror(reason));
    *port = port_of(socket_fd);
    return socket_fd;
}

int http_check_descriptors(uint32_t connections, struct error *err)
{
    struct rlimit limit = { 0 };
    rlim_t needed = (rlim_t)connections + HTTP_RESERVED_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "ingest.http.connections_max is %u and %d more files are kept for links and "
                     "journal, but this process may open only %llu: lower it, or raise the limit "
                     "(LimitNOFILE) to %llu",
                     connections, HTTP_RESERVED_DESCRIPTORS, (unsigned long long)limit.rlim_cur,
                     (unsigned long long)needed);
}

/* The lowest free number is given out first: those above it are free. */
bool http_has_descriptors(void)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    int lowest = eventfd(0, EFD_CLOEXEC);
    if (lowest < 0)
        return false;
    (void)close(lowest); /* nothing was written to it */
    return (rlim_t)lowest + HTTP_RESERVED_DESCRIPTORS < limit.rlim_cur;
}
