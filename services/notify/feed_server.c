#include "notify/feed_server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>
#include <unistd.h>

#include "admin/listen.h"

enum { CONNECTIONS_MAX = 256, IDLE_TIMEOUT_S = 10, THREADS = 2 };

enum what { WHAT_ATOM, WHAT_CAP, WHAT_DATEX, WHAT_HEALTH, WHAT_OTHER, WHAT_COUNT };
enum result { RESULT_SENT, RESULT_UNCHANGED, RESULT_REFUSED, RESULT_AWAY, RESULT_COUNT };

struct feed_server {
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct counter *requests[WHAT_COUNT][RESULT_COUNT];
    pthread_mutex_t lock; /* guards all below */
    struct feed_pages *pages;
    const char *state;
    int64_t read_at_ms;
};

/* --- answers --- */

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
                             struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *word)
{
    char body[96];
    int length = snprintf(body, sizeof body, "{\"status\":\"%s\"}\n", word);
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)length, body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)MHD_add_response_header(response, "Retry-After", "5");
    return queue(connection, status, response);
}

static enum MHD_Result answer_health(struct feed_server *self, struct MHD_Connection *connection)
{
    char body[128];
    (void)pthread_mutex_lock(&self->lock);
    int length = snprintf(body, sizeof body, "{\"status\":\"%s\",\"read_at_ms\":%lld}\n",
                          self->state, (long long)self->read_at_ms);
    bool has_pages = self->pages != NULL;
    (void)pthread_mutex_unlock(&self->lock);
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)length, body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    return queue(connection, has_pages ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, response);
}

/* One of the tags named, weak or strong, or any. Ours is hex in quotes: it is part of no other. */
static bool is_unchanged(struct MHD_Connection *connection, const struct feed_page *page)
{
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    return known && (strcmp(known, "*") == 0 || strstr(known, page->etag) != NULL);
}

static struct MHD_Response *response_of(const struct feed_page *page, bool has_body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        has_body ? page->length : 0, page->body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return NULL;
    if (has_body)
        (void)MHD_add_response_header(response, "Content-Type", page->type);
    (void)MHD_add_response_header(response, "ETag", page->etag);
    (void)MHD_add_response_header(response, "Last-Modified", page->modified);
    /* Soon stale, as a cancellation must be seen; better stale than nothing if we are away. */
    (void)MHD_add_response_header(response, "Cache-Control",
                                  "public, max-age=15, stale-if-error=3600");
    return response;
}

static enum MHD_Result answer_page(struct feed_server *self, struct MHD_Connection *connection,
                                   const char *path, enum result *result)
{
    struct MHD_Response *response = NULL;
    unsigned status = MHD_HTTP_NOT_FOUND;
    *result = RESULT_REFUSED;
    (void)pthread_mutex_lock(&self->lock); /* the pages may be replaced: a copy is sent */
    const struct feed_page *page = self->pages ? feed_pages_find(self->pages, path) : NULL;
    if (!self->pages) {
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
        *result = RESULT_AWAY;
    } else if (page && !page->body) {
        status = MHD_HTTP_GONE;
    } else if (page) {
        bool is_known = is_unchanged(connection, page);
        status = is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
        *result = is_known ? RESULT_UNCHANGED : RESULT_SENT;
        response = response_of(page, !is_known);
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (status == MHD_HTTP_OK || status == MHD_HTTP_NOT_MODIFIED)
        return queue(connection, status, response);
    return answer(connection, status,
                  status == MHD_HTTP_GONE        ? "withdrawn"
                  : status == MHD_HTTP_NOT_FOUND ? "no-such-path"
                                                 : "not-read-yet");
}

/* --- requests --- */

static enum what what_of(const char *path)
{
    if (strncmp(path, "/feed.", 6) == 0)
        return WHAT_ATOM;
    if (strncmp(path, "/cap/", 5) == 0)
        return WHAT_CAP;
    if (strcmp(path, "/datex.xml") == 0)
        return WHAT_DATEX;
    return strcmp(path, "/health") == 0 ? WHAT_HEALTH : WHAT_OTHER;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *length, void **state)
{
    static const char begun[] = "begun";
    struct feed_server *self = arg;
    enum what what = what_of(url);
    enum result result = RESULT_REFUSED;
    enum MHD_Result queued = MHD_NO;
    (void)version;
    (void)bytes;
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (is_read && !*state) {
        *state = (void *)begun;
        return MHD_YES;
    }
    if (is_read && *length != 0)
        return MHD_NO; /* a body where there is none */
    if (!is_read) {
        queued = answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "get-only");
    } else if (what == WHAT_HEALTH) {
        result = RESULT_SENT;
        queued = answer_health(self, connection);
    } else if (what == WHAT_OTHER) {
        queued = answer(connection, MHD_HTTP_NOT_FOUND, "no-such-path");
    } else {
        queued = answer_page(self, connection, url, &result);
    }
    counter_add(self->requests[what][result], 1);
    return queued;
}

static void on_log(void *arg, const char *format, va_list args)
{
    (void)arg; /* may quote what strangers sent: not for our log */
    (void)format;
    (void)args;
}

/* --- life --- */

static void make_counters(struct feed_server *self, struct metrics *metrics)
{
    static const char *const whats[] = { "atom", "cap", "datex", "health", "other" };
    static const char *const results[] = { "sent", "unchanged", "refused", "away" };
    char labels[64];
    for (size_t i = 0; i < WHAT_COUNT; i++)
        for (size_t j = 0; j < RESULT_COUNT; j++) {
            (void)snprintf(labels, sizeof labels, "what=\"%s\",result=\"%s\"", whats[i],
                           results[j]);
            self->requests[i][j] =
                metrics_counter(metrics, "desg_feed_requests_total", labels,
                                "Requests to the public feed by what came of them.");
        }
}

static int start(struct feed_server *self, const char *address, struct error *err)
{
    int listener = listen_tcp(address, &self->port, err);
    if (listener < 0)
        return error_wrap(err, "outward.feed.listen");
    self->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, self,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
        MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_END);
    if (self->daemon)
        return 0;
    (void)close(listener);
    return error_set(err, ERROR_SYSTEM, "cannot start the feed's listener");
}

struct feed_server *feed_server_new(const char *address, struct metrics *metrics, struct error *err)
{
    struct feed_server *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the feed's listener");
        return NULL;
    }
    self->state = "empty";
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    make_counters(self, metrics);
    if (start(self, address, err) != 0)
        feed_server_destroy(&self);
    return self;
}

void feed_server_destroy(struct feed_server **self_p)
{
    struct feed_server *self = *self_p;
    if (!self)
        return;
    if (self->daemon)
        MHD_stop_daemon(self->daemon); /* closes the listener */
    feed_pages_destroy(&self->pages);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void feed_server_show(struct feed_server *self, struct feed_pages *pages)
{
    (void)pthread_mutex_lock(&self->lock);
    struct feed_pages *old = self->pages;
    self->pages = pages;
    (void)pthread_mutex_unlock(&self->lock);
    feed_pages_destroy(&old);
}

void feed_server_note(struct feed_server *self, const char *state, int64_t read_at_ms)
{
    (void)pthread_mutex_lock(&self->lock);
    self->state = state;
    self->read_at_ms = read_at_ms;
    (void)pthread_mutex_unlock(&self->lock);
}

uint16_t feed_server_port(const struct feed_server *self)
{
    return self->port;
}
