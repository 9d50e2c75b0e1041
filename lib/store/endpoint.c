#include "store/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Shared with the thread that looks up; whoever is done with it last frees it. */
struct endpoint_lookup {
    char host[ENDPOINT_HOST_BYTES];
    unsigned turn;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t done;
    bool is_done;
    bool is_abandoned;
    char numeric[INET6_ADDRSTRLEN]; /* "": not found */
};

static void lookup_free(struct endpoint_lookup *lookup)
{
    (void)pthread_cond_destroy(&lookup->done);
    (void)pthread_mutex_destroy(&lookup->lock);
    free(lookup);
}

static void abandon(struct endpoint *self)
{
    struct endpoint_lookup *lookup = self->lookup;
    if (!lookup)
        return;
    self->lookup = NULL;
    (void)pthread_mutex_lock(&lookup->lock);
    lookup->is_abandoned = true;
    bool is_ours = lookup->is_done;
    (void)pthread_mutex_unlock(&lookup->lock);
    if (is_ours)
        lookup_free(lookup);
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

static void *look_up(void *arg)
{
    struct endpoint_lookup *lookup = arg;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *all = NULL;
    char numeric[INET6_ADDRSTRLEN] = "";
    if (getaddrinfo(lookup->host, NULL, &hints, &all) == 0 && all) {
        const struct addrinfo *one = address_in_turn(all, lookup->turn);
        (void)getnameinfo(one->ai_addr, one->ai_addrlen, numeric, sizeof numeric, NULL, 0,
                          NI_NUMERICHOST);
    }
    if (all)
        freeaddrinfo(all);
    (void)pthread_mutex_lock(&lookup->lock);
    memcpy(lookup->numeric, numeric, sizeof numeric);
    lookup->is_done = true;
    bool is_ours = lookup->is_abandoned;
    (void)pthread_cond_signal(&lookup->done);
    (void)pthread_mutex_unlock(&lookup->lock);
    if (is_ours)
        lookup_free(lookup);
    return NULL;
}

static struct endpoint_lookup *lookup_new(const struct endpoint *self)
{
    struct endpoint_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        abort(); /* as hiredis does */
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&lookup->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lookup->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)snprintf(lookup->host, sizeof lookup->host, "%s", self->host);
    lookup->turn = self->turn;
    return lookup;
}

void endpoint_look_up(struct endpoint *self)
{
    if (self->lookup || self->port == 0 || is_numeric(self))
        return;
    struct endpoint_lookup *lookup = lookup_new(self);
    pthread_attr_t detached;
    pthread_t thread;
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, look_up, lookup) == 0)
        self->lookup = lookup;
    else
        lookup_free(lookup); /* as a name not found; tried again at the next connection */
    (void)pthread_attr_destroy(&detached);
}

/* Waits at most wait_ms. Returns whether the lookup has ended; then its result is taken. */
static bool take_result(struct endpoint *self, int64_t wait_ms)
{
    struct endpoint_lookup *lookup = self->lookup;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (wait_ms % 1000) * 1000000L;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_mutex_lock(&lookup->lock);
    int rc = 0;
    while (!lookup->is_done && wait_ms > 0 && rc == 0)
        rc = pthread_cond_timedwait(&lookup->done, &lookup->lock, &until);
    bool is_done = lookup->is_done;
    (void)pthread_mutex_unlock(&lookup->lock);
    if (!is_done)
        return false;
    if (lookup->numeric[0])
        memcpy(self->numeric, lookup->numeric, sizeof self->numeric);
    self->lookup = NULL;
    lookup_free(lookup);
    return true;
}

enum endpoint_state endpoint_take(struct endpoint *self, int64_t wait_ms)
{
    if (self->is_unix)
        return ENDPOINT_FOUND;
    if (self->port == 0)
        return ENDPOINT_UNKNOWN;
    bool is_under_way = self->lookup && !take_result(self, wait_ms);
    if (self->numeric[0])
        return ENDPOINT_FOUND;
    return is_under_way ? ENDPOINT_LOOKING_UP : ENDPOINT_UNKNOWN;
}
