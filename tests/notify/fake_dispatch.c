#include "fake_dispatch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "fake_http.h"

enum { REQUESTS_MAX = 4096, SCRIPTS_MAX = 32, HANG_MS = 20000 };

struct fake_dispatch {
    struct fake_http *http; /* NULL: it is down */
    uint16_t port;
    int port_keeper;      /* nobody else takes the port while it is down */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool is_released;
    struct fake_request requests[REQUESTS_MAX];
    size_t request_count;
    const struct fake_request *keys[REQUESTS_MAX]; /* the first of each key */
    size_t key_count;
    struct fake_script scripts[SCRIPTS_MAX];
    size_t script_count;
};

static void die(const char *why)
{
    (void)fprintf(stderr, "fake dispatch: %s\n", why);
    abort();
}

/* Holds the lock before and after. */
static void hang(struct fake_dispatch *self)
{
    struct timespec until = fake_http_after_ms(HANG_MS);
    int rc = 0;
    while (!self->is_released && rc == 0)
        rc = pthread_cond_timedwait(&self->changed, &self->lock, &until);
}

static struct fake_script next_script(struct fake_dispatch *self, const char *path)
{
    for (size_t i = 0; i < self->script_count; i++) {
        struct fake_script *script = &self->scripts[i];
        if (script->times == 0 || strcmp(script->path, path) != 0)
            continue;
        script->times--;
        return *script;
    }
    return (struct fake_script){ .manner = FAKE_ANSWER, .status = 202 };
}

/* 202, or 422 if the key is known with other bytes. */
static unsigned accept_key(struct fake_dispatch *self, const struct fake_request *request)
{
    for (size_t i = 0; i < self->key_count; i++) {
        const struct fake_request *known = self->keys[i];
        if (strcmp(known->path, request->path) == 0 && strcmp(known->key, request->key) == 0)
            return known->length == request->length &&
                           memcmp(known->body, request->body, known->length) == 0
                       ? 202
                       : 422;
    }
    self->keys[self->key_count++] = request;
    return 202;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

static struct fake_request *keep(struct fake_dispatch *self, struct MHD_Connection *connection,
                                 const char *path, const char *body, size_t length)
{
    if (self->request_count == REQUESTS_MAX)
        die("too many requests");
    struct fake_request *request = &self->requests[self->request_count++];
    (void)snprintf(request->path, sizeof request->path, "%s", path);
    (void)snprintf(request->key, sizeof request->key, "%s", header(connection, "Idempotency-Key"));
    (void)snprintf(request->authorization, sizeof request->authorization, "%s",
                   header(connection, "Authorization"));
    (void)snprintf(request->signature, sizeof request->signature, "%s",
                   header(connection, "X-Hub-Signature-256"));
    (void)snprintf(request->content_type, sizeof request->content_type, "%s",
                   header(connection, "Content-Type"));
    (void)snprintf(request->traceparent, sizeof request->traceparent, "%s",
                   header(connection, "traceparent"));
    request->body = malloc(length + 1);
    if (!request->body)
        die("no memory");
    memcpy(request->body, body, length + 1);
    request->length = length;
    request->at_ms = clock_monotonic_ms();
    (void)pthread_cond_broadcast(&self->changed);
    return request;
}

static ssize_t half_body(void *arg, uint64_t position, char *out, size_t max)
{
    (void)arg;
    if (position > 0 || max == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    *out = '{';
    return 1;
}

static enum MHD_Result answer(struct MHD_Connection *connection, const struct fake_script *script)
{
    static const char body[] = "{\"receipt\":\"D-0001\"}";
    struct MHD_Response *response =
        script->manner == FAKE_HALF
            ? MHD_create_response_from_callback(4000, 1024, half_body, NULL, NULL)
            : MHD_create_response_from_buffer(sizeof body - 1, (void *)(uintptr_t)body,
                                              MHD_RESPMEM_PERSISTENT);
    if (!response)
        die("no response");
    if (script->retry_after)
        (void)MHD_add_response_header(response, "Retry-After", script->retry_after);
    if (script->location)
        (void)MHD_add_response_header(response, "Location", script->location);
    enum MHD_Result rc = MHD_queue_response(connection, script->status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *method,
                              const char *path, const char *body, size_t length)
{
    struct fake_dispatch *self = arg;
    (void)method;
    (void)pthread_mutex_lock(&self->lock);
    struct fake_request *request = keep(self, connection, path, body, length);
    struct fake_script script = next_script(self, path);
    bool takes = script.manner == FAKE_TAKE_HANG || script.manner == FAKE_HALF ||
                 (script.manner == FAKE_ANSWER && script.status == 202);
    if (takes) {
        script.status = accept_key(self, request);
        if (script.manner == FAKE_ANSWER)
            request->answered = script.status;
    } else if (script.manner == FAKE_ANSWER) {
        request->answered = script.status;
    }
    if (script.manner == FAKE_HANG || script.manner == FAKE_TAKE_HANG)
        hang(self);
    (void)pthread_mutex_unlock(&self->lock);
    if (script.manner == FAKE_DROP || script.manner == FAKE_HANG || script.manner == FAKE_TAKE_HANG)
        return MHD_NO;
    return answer(connection, &script);
}

void fake_dispatch_up(struct fake_dispatch *self)
{
    self->is_released = false;
    self->http = fake_http_start(&self->port, handle, self);
}

void fake_dispatch_release(struct fake_dispatch *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_released = true;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
}

void fake_dispatch_down(struct fake_dispatch *self)
{
    fake_dispatch_release(self);
    fake_http_stop(&self->http);
}

struct fake_dispatch *fake_dispatch_new(void)
{
    struct fake_dispatch *self = calloc(1, sizeof *self);
    if (!self)
        die("no memory");
    (void)pthread_mutex_init(&self->lock, NULL);
    fake_http_cond_init(&self->changed);
    self->port_keeper = fake_http_keep_port(&self->port);
    fake_dispatch_up(self);
    return self;
}

void fake_dispatch_destroy(struct fake_dispatch **self_p)
{
    struct fake_dispatch *self = *self_p;
    if (!self)
        return;
    fake_dispatch_down(self);
    (void)close(self->port_keeper);
    for (size_t i = 0; i < self->request_count; i++)
        free(self->requests[i].body);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

uint16_t fake_dispatch_port(const struct fake_dispatch *self)
{
    return self->port;
}

void fake_dispatch_script(struct fake_dispatch *self, const struct fake_script *script)
{
    (void)pthread_mutex_lock(&self->lock);
    if (self->script_count == SCRIPTS_MAX)
        die("too many scripts");
    self->scripts[self->script_count++] = *script;
    (void)pthread_mutex_unlock(&self->lock);
}

static bool fits(const struct fake_request *request, const char *path, const char *key_end)
{
    if (strcmp(request->path, path) != 0)
        return false;
    size_t length = strlen(request->key);
    size_t end = key_end ? strlen(key_end) : 0;
    return end <= length && (end == 0 || strcmp(request->key + length - end, key_end) == 0);
}

static size_t count_locked(const struct fake_dispatch *self, const char *path, const char *key_end)
{
    size_t count = 0;
    for (size_t i = 0; i < self->request_count; i++)
        count += fits(&self->requests[i], path, key_end);
    return count;
}

size_t fake_dispatch_count(struct fake_dispatch *self, const char *path, const char *key_end)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = count_locked(self, path, key_end);
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

bool fake_dispatch_wait(struct fake_dispatch *self, const char *path, const char *key_end,
                        size_t count, int64_t timeout_ms)
{
    struct timespec until = fake_http_after_ms(timeout_ms);
    int rc = 0;
    (void)pthread_mutex_lock(&self->lock);
    while (count_locked(self, path, key_end) < count && rc == 0)
        rc = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    bool is_there = count_locked(self, path, key_end) >= count;
    (void)pthread_mutex_unlock(&self->lock);
    return is_there;
}

struct fake_request fake_dispatch_request(struct fake_dispatch *self, const char *path,
                                          const char *key_end, size_t index)
{
    struct fake_request copy = { 0 };
    (void)pthread_mutex_lock(&self->lock);
    size_t seen = 0;
    for (size_t i = 0; i < self->request_count && !copy.body; i++) {
        if (!fits(&self->requests[i], path, key_end) || seen++ != index)
            continue;
        copy = self->requests[i];
        copy.body = strdup(copy.body);
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (!copy.body)
        die("no such request");
    return copy;
}
