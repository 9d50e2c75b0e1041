#include "ingest/http_clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"

enum { BUCKETS = 256, ADDRESS_TEXT_BYTES = 64 };

struct address_key {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct address {
    struct address *next;
    struct address_key key;
    uint32_t open;
};

struct client {
    struct client *previous, *next;
    struct address *address;
    bool is_proxy;
    int socket_fd;
    atomic_int phase;
    _Atomic int64_t ends_at_ms;
};

struct http_clients {
    pthread_mutex_t lock; /* guards everything below */
    struct client *first;
    size_t count;
    struct address *buckets[BUCKETS];
    const struct ingest_http_config *config;
    struct address_key *proxies;
    struct gauge *connections;
};

static struct address_key key_of_ipv4(const struct in_addr *address)
{
    struct address_key key = { .bytes = { [10] = 0xff, [11] = 0xff } };
    memcpy(key.bytes + 12, address, sizeof *address);
    return key;
}

static struct address_key key_of_peer(const struct sockaddr *peer)
{
    struct address_key key = { 0 };
    if (peer->sa_family == AF_INET)
        return key_of_ipv4(&((const struct sockaddr_in *)peer)->sin_addr);
    if (peer->sa_family == AF_INET6)
        memcpy(key.bytes, &((const struct sockaddr_in6 *)peer)->sin6_addr, sizeof key.bytes);
    return key;
}

/* An address as proxies write it, with or without port. Unreadable ones share the zero key. */
static struct address_key key_of_text(const char *text, size_t length)
{
    struct address_key key = { 0 };
    struct in_addr ipv4;
    char copy[ADDRESS_TEXT_BYTES];
    if (length >= sizeof copy)
        return key;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *start = copy;
    char *bracket = strchr(copy, ']');
    char *colon = strchr(copy, ':');
    if (copy[0] == '[' && bracket) {
        start++;
        *bracket = '\0';
    } else if (colon && !strchr(colon + 1, ':')) {
        *colon = '\0';
    }
    if (inet_pton(AF_INET, start, &ipv4) == 1)
        return key_of_ipv4(&ipv4);
    if (inet_pton(AF_INET6, start, key.bytes) != 1)
        memset(key.bytes, 0, sizeof key.bytes);
    return key;
}

static bool same_key(const struct address_key *a, const struct address_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool is_proxy(const struct http_clients *self, const struct address_key *key)
{
    for (unsigned i = 0; i < self->config->trusted_proxies_count; i++)
        if (same_key(key, &self->proxies[i]))
            return true;
    return false;
}

struct http_clients *http_clients_new(const struct ingest_http_config *config,
                                      struct metrics *metrics, struct error *err)
{
    struct http_clients *self = calloc(1, sizeof *self);
    struct address_key *proxies =
        calloc(config->trusted_proxies_count + 1, sizeof(struct address_key));
    if (!self || !proxies) {
        free(self);
        free(proxies);
        (void)error_set(err, ERROR_SYSTEM, "no memory for the table of connections");
        return NULL;
    }
    (void)pthread_mutex_init(&self->lock, NULL);
    self->config = config;
    self->proxies = proxies;
    for (unsigned i = 0; i < config->trusted_proxies_count; i++)
        proxies[i] = key_of_text(config->trusted_proxies[i], strlen(config->trusted_proxies[i]));
    self->connections = metrics_gauge(metrics, "desg_ingest_connections", "",
                                      "Connections of the webhook listener that are open.");
    return self;
}

void http_clients_destroy(struct http_clients **self_p)
{
    if (!*self_p)
        return;
    (void)pthread_mutex_destroy(&(*self_p)->lock);
    free((*self_p)->proxies);
    free(*self_p);
    *self_p = NULL;
}

static struct address **find_address(struct http_clients *self, const struct address_key *key)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof key->bytes; i++)
        hash = (hash ^ key->bytes[i]) * 16777619u;
    struct address **place = &self->buckets[hash % BUCKETS];
    while (*place && !same_key(&(*place)->key, key))
        place = &(*place)->next;
    return place;
}

/* NULL: no memory. */
static struct address *enter_address(struct http_clients *self, const struct address_key *key)
{
    struct address **place = find_address(self, key);
    if (!*place) {
        *place = calloc(1, sizeof **place);
        if (!*place)
            return NULL;
        (*place)->key = *key;
    }
    (*place)->open++;
    return *place;
}

static void leave_address(struct http_clients *self, struct address *address)
{
    if (--address->open > 0)
        return;
    struct address **place = find_address(self, &address->key);
    *place = address->next;
    free(address);
}

static bool has_room(struct http_clients *self, const struct address_key *key)
{
    uint32_t most = *self->config->connections_per_address_max;
    const struct address *address = *find_address(self, key);
    return most == 0 || !address || address->open < most;
}

bool http_clients_admits(struct http_clients *self, const struct sockaddr *peer)
{
    struct address_key key = key_of_peer(peer);
    (void)pthread_mutex_lock(&self->lock);
    bool admits = is_proxy(self, &key) || has_room(self, &key);
    (void)pthread_mutex_unlock(&self->lock);
    return admits;
}

struct client *client_open(struct http_clients *self, int socket_fd, const struct sockaddr *peer)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    struct address_key key = key_of_peer(peer);
    client->socket_fd = socket_fd;
    client_phase(client, CLIENT_IDLE, clock_monotonic_ms() + self->config->request_deadline_ms);
    (void)pthread_mutex_lock(&self->lock);
    client->is_proxy = is_proxy(self, &key);
    client->address = enter_address(self, &key);
    bool is_good = client->address != NULL;
    if (is_good) {
        client->next = self->first;
        if (self->first)
            self->first->previous = client;
        self->first = client;
        gauge_set(self->connections, (int64_t)++self->count);
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (!is_good) {
        free(client);
        return NULL;
    }
    return client;
}

void client_close(struct http_clients *self, struct client *client)
{
    (void)pthread_mutex_lock(&self->lock);
    if (client->previous)
        client->previous->next = client->next;
    else
        self->first = client->next;
    if (client->next)
        client->next->previous = client->previous;
    leave_address(self, client->address);
    gauge_set(self->connections, (int64_t)--self->count);
    (void)pthread_mutex_unlock(&self->lock);
    free(client);
}

void client_phase(struct client *client, enum client_phase phase, int64_t ends_at_ms)
{
    atomic_store_explicit(&client->ends_at_ms, ends_at_ms, memory_order_relaxed);
    atomic_store_explicit(&client->phase, (int)phase, memory_order_release);
}

/* The last address in the list that is no proxy of ours: what stands before it anybody can write.
 */
static struct address_key forwarded_key(const struct http_clients *self, const char *list)
{
    struct address_key key = { 0 };
    size_t end = strlen(list);
    while (end > 0) {
        size_t start = end;
        while (start > 0 && list[start - 1] != ',')
            start--;
        size_t from = start + strspn(list + start, " \t");
        size_t to = end;
        while (to > from && (list[to - 1] == ' ' || list[to - 1] == '\t'))
            to--;
        key = key_of_text(list + from, to > from ? to - from : 0);
        if (!is_proxy(self, &key))
            return key;
        end = start > 0 ? start - 1 : 0;
    }
    return key;
}

bool client_enter_request(struct http_clients *self, const struct client *client,
                          const char *forwarded, struct address **address)
{
    *address = NULL;
    if (!client->is_proxy || !forwarded)
        return true;
    (void)pthread_mutex_lock(&self->lock);
    struct address_key key = forwarded_key(self, forwarded);
    bool is_room = has_room(self, &key);
    if (is_room)
        *address = enter_address(self, &key);
    (void)pthread_mutex_unlock(&self->lock);
    return is_room && *address;
}

void client_leave_request(struct http_clients *self, struct address *address)
{
    if (!address)
        return;
    (void)pthread_mutex_lock(&self->lock);
    leave_address(self, address);
    (void)pthread_mutex_unlock(&self->lock);
}

/* libmicrohttpd answers from its own thread only; while a request is coming in it writes nothing,
 * so these few bytes do not meet any of its own. */
static void cut_off(const struct client *client)
{
    static const char answer[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                                 "Content-Type: application/json\r\nContent-Length: 47\r\n\r\n"
                                 "{\"error\":\"the request took too long to arrive\"}";
    ssize_t sent = send(client->socket_fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* a courtesy */
}

size_t http_clients_sweep(struct http_clients *self, int64_t now_ms)
{
    size_t cut = 0;
    (void)pthread_mutex_lock(&self->lock); /* holds client_close off, so no descriptor is reused */
    for (struct client *client = self->first; client; client = client->next) {
        int phase = atomic_load_explicit(&client->phase, memory_order_acquire);
        int64_t ends_at_ms = atomic_load_explicit(&client->ends_at_ms, memory_order_relaxed);
        if (phase == CLIENT_WAITING || now_ms < ends_at_ms)
            continue;
        if (phase == CLIENT_RECEIVING) {
            cut_off(client);
            cut++;
        }
        (void)shutdown(client->socket_fd, SHUT_RDWR); /* libmicrohttpd sees the end and closes */
        client_phase(client, CLIENT_IDLE, now_ms + CLIENT_IDLE_MS);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return cut;
}

size_t http_clients_count(struct http_clients *self)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = self->count;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}
