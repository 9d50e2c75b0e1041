#include "link/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char ipc_prefix[] = "ipc://";
static const char tcp_prefix[] = "tcp://";

/* Copies text[0..length) with a final NUL. Returns false if it is empty or does not fit. */
static bool copy_part(char *out, size_t out_bytes, const char *text, size_t length)
{
    if (length == 0 || length >= out_bytes)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

static bool is_v4(const char *host)
{
    struct in_addr address;
    return inet_pton(AF_INET, host, &address) == 1;
}

static bool is_v6(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, host, &address) == 1;
}

/* A certificate's name becomes part of a path: letters, digits, '-', '_' and inner dots only. */
static bool is_certificate_name(const char *name)
{
    if (name[0] == '\0' || name[0] == '.')
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return false;
    return true;
}

static bool is_host_name(const char *host)
{
    for (const char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return false;
    return host[0] != '-' && host[0] != '.';
}

static bool parse_port(const char *text, size_t length, uint16_t *port)
{
    if (length == 1 && text[0] == '*') {
        *port = 0;
        return true;
    }
    unsigned long value = 0;
    if (length == 0 || length > 5)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* text: what follows tcp://, length bytes of it. */
static bool parse_tcp(const char *text, size_t length, struct endpoint *out)
{
    const char *colon = memrchr(text, ':', length);
    if (!colon || !parse_port(colon + 1, length - (size_t)(colon + 1 - text), &out->port))
        return false;
    size_t host_length = (size_t)(colon - text);
    bool is_bracketed = host_length > 2 && text[0] == '[' && colon[-1] == ']';
    if (is_bracketed) {
        if (!copy_part(out->host, sizeof out->host, text + 1, host_length - 2))
            return false;
        out->kind = ENDPOINT_NUMERIC;
        return is_v6(out->host);
    }
    if (!copy_part(out->host, sizeof out->host, text, host_length))
        return false;
    bool is_numeric = is_v4(out->host) || strcmp(out->host, "*") == 0;
    out->kind = is_numeric ? ENDPOINT_NUMERIC : ENDPOINT_NAMED;
    return is_numeric || is_host_name(out->host);
}

static int parse_ipc(const char *text, const char *path, size_t length, struct endpoint *out,
                     struct error *err)
{
    out->kind = ENDPOINT_IPC;
    if (length >= ENDPOINT_PATH_BYTES)
        return error_set(err, ERROR_CONFIG,
                         "endpoint '%s': the path has %zu bytes, a Unix socket takes %d: choose a "
                         "shorter folder, such as /run/desg",
                         text, length, ENDPOINT_PATH_BYTES - 1);
    if (!copy_part(out->path, sizeof out->path, path, length) || strcmp(out->path, "*") == 0)
        return error_set(err, ERROR_CONFIG, "endpoint '%s' has no path: write ipc:///run/desg/name",
                         text);
    return 0;
}

int endpoint_parse(const char *text, struct endpoint *out, struct error *err)
{
    assert(text && out);
    struct endpoint parsed = { 0 };
    size_t length = strcspn(text, "#");
    if (text[length] == '#') {
        const char *name = text + length + 1;
        if (!copy_part(parsed.certificate, sizeof parsed.certificate, name, strlen(name)) ||
            !is_certificate_name(parsed.certificate))
            return error_set(err, ERROR_CONFIG,
                             "endpoint '%s': after '#' comes the name of the listener's "
                             "certificate, such as #ingest for ingest.pub",
                             text);
    }
    if (strncmp(text, ipc_prefix, sizeof ipc_prefix - 1) == 0) {
        if (parse_ipc(text, text + sizeof ipc_prefix - 1, length - (sizeof ipc_prefix - 1), &parsed,
                      err) != 0)
            return -1;
    } else if (strncmp(text, tcp_prefix, sizeof tcp_prefix - 1) != 0 ||
               !parse_tcp(text + sizeof tcp_prefix - 1, length - (sizeof tcp_prefix - 1),
                          &parsed)) {
        return error_set(err, ERROR_CONFIG,
                         "endpoint '%s' is none: write tcp://host:port, tcp://[v6]:port or "
                         "ipc:///run/desg/name",
                         text);
    }
    *out = parsed;
    return 0;
}

/* A socket file left by a dead process refuses; a living one accepts. */
static bool somebody_listens(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return false;
    bool is_taken = connect(probe, (const struct sockaddr *)&address, sizeof address) == 0 ||
                    errno == EAGAIN; /* its backlog is full */
    (void)close(probe);
    return is_taken;
}

static int check_bind_ipc(const struct endpoint *self, struct error *err)
{
    char copy[ENDPOINT_PATH_BYTES];
    memcpy(copy, self->path, sizeof copy);
    const char *folder = dirname(copy);
    struct stat info;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return error_set(err, ERROR_CONFIG,
                         "cannot bind ipc://%s: there is no folder '%s'; create it (mkdir -p) or "
                         "change the endpoint",
                         self->path, folder);
    if (somebody_listens(self->path))
        return error_set(err, ERROR_CONFIG,
                         "cannot bind ipc://%s: another process listens there; stop it or give "
                         "this one an endpoint of its own",
                         self->path);
    return 0;
}

int endpoint_check_bind(const struct endpoint *self, struct error *err)
{
    assert(self);
    if (self->kind == ENDPOINT_IPC)
        return check_bind_ipc(self, err);
    if (self->kind == ENDPOINT_NAMED)
        return error_set(err, ERROR_CONFIG,
                         "cannot bind tcp://%s:%u: write a numeric address of this machine, such "
                         "as 127.0.0.1, or * for all",
                         self->host, self->port);
    return 0;
}

int endpoint_check_connect(const struct endpoint *self, struct error *err)
{
    assert(self);
    if (self->kind != ENDPOINT_IPC && (self->port == 0 || strcmp(self->host, "*") == 0))
        return error_set(err, ERROR_CONFIG,
                         "cannot connect to tcp://%s:%u: write the host and port of the listener",
                         self->host, self->port);
    return 0;
}

void endpoint_address(const struct endpoint *self, const char *host,
                      char out[static ENDPOINT_ADDRESS_BYTES])
{
    int length = 0;
    if (self->kind == ENDPOINT_IPC) {
        length = snprintf(out, ENDPOINT_ADDRESS_BYTES, "ipc://%s", self->path);
    } else {
        const char *chosen = host ? host : self->host;
        bool has_colons = strchr(chosen, ':') != NULL; /* IPv6 */
        char port[8] = "*";
        if (self->port != 0)
            (void)snprintf(port, sizeof port, "%u", self->port); /* five digits at most */
        length = snprintf(out, ENDPOINT_ADDRESS_BYTES, "tcp://%s%s%s:%s", has_colons ? "[" : "",
                          chosen, has_colons ? "]" : "", port);
    }
    assert(length > 0 && length < ENDPOINT_ADDRESS_BYTES);
}

bool endpoint_is_local(const struct endpoint *self)
{
    return self->kind == ENDPOINT_IPC || strncmp(self->host, "127.", 4) == 0 ||
           strcmp(self->host, "::1") == 0 || strcmp(self->host, "localhost") == 0;
}
