#include "store/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct endpoint_lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[ENDPOINT_HOST_BYTES];
};

static void lookup_free(struct endpoint_lookup *lookup)
{
    if (lookup->request.ar_result)
        freeaddrinfo(lookup->request.ar_result);
    free(lookup);
}

/* A lookup the C library's thread has in hand cannot be taken back: its few bytes stay behind. */
static void abandon(struct endpoint *self)
{
    if (self->lookup && gai_cancel(&self->lookup->request) != EAI_NOTCANCELED)
        lookup_free(self->lookup);
    self->lookup = NULL;
}

void endpoint_clear(struct endpoint *self)
{
    abandon(self);
    *self = (struct endpoint){ 0 };
}

static bool is_numeric(const struct endpoint *self)
{
    struct in6_addr address;
    return inet_pton(AF_INET, self->host, &address) == 1 ||
           inet_pton(AF_INET6, self->host, &address) == 1;
}

static int set_host(struct endpoint *self, const char *host, size_t length)
{
    bool is_bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (is_bracketed) {
        host++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof self->host)
        return -1;
    memcpy(self->host, host, length);
    self->host[length] = '\0';
    if (strpbrk(self->host, "[] ") || (is_bracketed && !is_numeric(self)))
        return -1;
    if (is_numeric(self))
        (void)snprintf(self->numeric, sizeof self->numeric, "%.*s", INET6_ADDRSTRLEN - 1,
                       self->host);
    return 0;
}

int endpoint_set(struct endpoint *self, const char *text)
{
    assert(self && text);
    if ((self->port > 0 || self->is_unix) && strcmp(self->text, text) == 0)
        return 0;
    endpoint_clear(self);
    if (strlen(text) >= sizeof self->text)
        return -1;
    (void)snprintf(self->text, sizeof self->text, "%s", text);
    if (strncmp(text, "unix:", 5) == 0) {
        int length = snprintf(self->host, sizeof self->host, "%s", text + 5);
        self->is_unix = length > 0 && length < ENDPOINT_HOST_BYTES;
        return self->is_unix ? 0 : -1;
    }
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || end == colon + 1 || *end != '\0' || port < 1 || port > 65535 ||
        set_host(self, text, (size_t)(colon - text)) != 0)
        return -1;
    self->port = (int)port;
    return 0;
}

void endpoint_look_up(struct endpoint *self)
{
    if (self->lookup || self->port == 0 || is_numeric(self))
        return;
    struct endpoint_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        abort(); /* as hiredis does */
    (void)snprintf(lookup->host, sizeof lookup->host, "%s", self->host);
    lookup->hints.ai_socktype = SOCK_STREAM;
    lookup->request.ar_name = lookup->host;
    lookup->request.ar_request = &lookup->hints;
    if (getaddrinfo_a(GAI_NOWAIT, (struct gaicb *[]){ &lookup->request }, 1, NULL) != 0) {
        free(lookup);
        return;
    }
    self->lookup = lookup;
}

/* A name may have addresses that lead nowhere from here, such as one of IPv6. */
static const struct addrinfo *address_in_turn(const struct addrinfo *all, unsigned turn)
{
    unsigned count = 0;
    for (const struct addrinfo *one = all; one; one = one->ai_next)
        count++;
    const struct addrinfo *chosen = all;
    for (unsigned skip = count ? turn % count : 0; skip > 0; skip--)
        chosen = chosen->ai_next;
    return chosen;
}

void endpoint_failed(struct endpoint *self)
{
    self->turn++;
}

static void take_result(struct endpoint *self)
{
    const struct addrinfo *found = address_in_turn(self->lookup->request.ar_result, self->turn);
    if (found && gai_error(&self->lookup->request) == 0)
        (void)getnameinfo(found->ai_addr, found->ai_addrlen, self->numeric, sizeof self->numeric,
                          NULL, 0, NI_NUMERICHOST);
    lookup_free(self->lookup);
    self->lookup = NULL;
}

enum endpoint_state endpoint_take(struct endpoint *self, int64_t wait_ms)
{
    if (self->is_unix)
        return ENDPOINT_FOUND;
    if (self->port == 0)
        return ENDPOINT_UNKNOWN;
    if (self->lookup && wait_ms > 0 && gai_error(&self->lookup->request) == EAI_INPROGRESS) {
        const struct gaicb *const waited[] = { &self->lookup->request };
        const struct timespec limit = { .tv_sec = wait_ms / 1000,
                                        .tv_nsec = (wait_ms % 1000) * 1000000L };
        (void)gai_suspend(waited, 1, &limit);
    }
    bool is_under_way = self->lookup && gai_error(&self->lookup->request) == EAI_INPROGRESS;
    if (self->lookup && !is_under_way)
        take_result(self);
    if (self->numeric[0])
        return ENDPOINT_FOUND;
    return is_under_way ? ENDPOINT_LOOKING_UP : ENDPOINT_UNKNOWN;
}
