#include "link/resolver.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct name {
    char host[ENDPOINT_HOST_BYTES];
    struct resolver_answer answer;
    bool is_new;
};

/* Shared with the thread; freed by whoever leaves last. */
struct resolver {
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool is_stopping;
    int holders;
    int descriptor;
    struct resolver_source source;
    struct resolver_answer scratch; /* the thread's */
    size_t count;
    struct name names[];
};

static bool holds(const struct resolver_answer *answer, const char *host)
{
    for (size_t i = 0; i < answer->count; i++)
        if (strcmp(answer->hosts[i], host) == 0)
            return true;
    return false;
}

static void add_address(struct resolver_answer *answer, const struct addrinfo *entry)
{
    char host[RESOLVER_HOST_BYTES];
    if (answer->count == RESOLVER_ADDRESSES_MAX ||
        getnameinfo(entry->ai_addr, entry->ai_addrlen, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0 ||
        holds(answer, host))
        return;
    memcpy(answer->hosts[answer->count++], host, sizeof host);
}

static bool lookup_system(const char *host, struct resolver_answer *answer, void *arg)
{
    (void)arg;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    for (const struct addrinfo *entry = found; entry; entry = entry->ai_next)
        add_address(answer, entry);
    freeaddrinfo(found);
    return answer->count > 0;
}

static bool is_same(const struct resolver_answer *a, const struct resolver_answer *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) /* DNS rotates its answers: order says nothing */
        if (!holds(b, a->hosts[i]))
            return false;
    return true;
}

/* Called with the lock held; gives it up while the lookup runs. */
static void look_up(struct resolver *self, struct name *name)
{
    (void)pthread_mutex_unlock(&self->lock);
    self->scratch.count = 0;
    bool is_known = self->source.lookup(name->host, &self->scratch, self->source.arg);
    (void)pthread_mutex_lock(&self->lock);
    if (!is_known || self->is_stopping || is_same(&self->scratch, &name->answer))
        return;
    name->answer = self->scratch;
    name->is_new = true;
    (void)eventfd_write(self->descriptor, 1); /* fails only when readable already */
}

static void wait_for_next(struct resolver *self)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += self->source.interval_ms / 1000;
    until.tv_nsec += (long)(self->source.interval_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    int rc = 0;
    while (!self->is_stopping && rc == 0)
        rc = pthread_cond_timedwait(&self->stopped, &self->lock, &until);
}

/* Called with the lock held. */
static void leave(struct resolver *self)
{
    bool is_last = --self->holders == 0;
    (void)pthread_mutex_unlock(&self->lock);
    if (!is_last)
        return;
    if (self->descriptor >= 0)
        (void)close(self->descriptor);
    (void)pthread_cond_destroy(&self->stopped);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

static void *run(void *arg)
{
    struct resolver *self = arg;
    (void)pthread_mutex_lock(&self->lock);
    while (!self->is_stopping) {
        for (size_t i = 0; i < self->count && !self->is_stopping; i++)
            look_up(self, &self->names[i]);
        wait_for_next(self);
    }
    leave(self);
    return NULL;
}

/* The thread takes no signals: they are the service's. */
static int start_thread(struct resolver *self)
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    pthread_attr_t attributes;
    (void)sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0)
        return -1;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attributes, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (rc == 0)
        (void)pthread_setname_np(thread, "resolver"); /* a name for debuggers only */
    return rc == 0 ? 0 : -1;
}

static void init_locks(struct resolver *self)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* these cannot fail on Linux */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->stopped, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&self->lock, NULL);
}

struct resolver *resolver_new(const char *const *hosts, size_t count,
                              const struct resolver_source *source, struct error *err)
{
    assert(hosts && count > 0);
    static const struct resolver_source by_system = { lookup_system, NULL, RESOLVER_INTERVAL_MS };
    struct resolver *self = calloc(1, sizeof *self + count * sizeof(struct name));
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to resolve %zu host names", count);
        return NULL;
    }
    init_locks(self);
    self->source = source ? *source : by_system;
    self->count = count;
    for (size_t i = 0; i < count; i++) {
        assert(strlen(hosts[i]) < ENDPOINT_HOST_BYTES);
        memcpy(self->names[i].host, hosts[i], strlen(hosts[i]) + 1);
    }
    self->holders = 2;
    self->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->descriptor >= 0 && start_thread(self) == 0)
        return self;
    (void)error_set(err, ERROR_SYSTEM, "cannot start the resolver: %s", strerror(errno));
    self->holders = 1; /* there is no thread */
    resolver_destroy(&self);
    return NULL;
}

void resolver_destroy(struct resolver **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct resolver *self = *self_p;
    *self_p = NULL;
    (void)pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    (void)pthread_cond_signal(&self->stopped);
    leave(self);
}

int resolver_descriptor(const struct resolver *self)
{
    return self->descriptor;
}

void resolver_acknowledge(struct resolver *self)
{
    eventfd_t ignored;
    (void)eventfd_read(self->descriptor, &ignored); /* nothing there: a spurious wake-up */
}

bool resolver_take(struct resolver *self, size_t index, struct resolver_answer *answer)
{
    assert(index < self->count);
    (void)pthread_mutex_lock(&self->lock);
    struct name *name = &self->names[index];
    bool is_new = name->is_new;
    name->is_new = false;
    if (is_new)
        *answer = name->answer;
    (void)pthread_mutex_unlock(&self->lock);
    return is_new;
}
