#include "fake_platform.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_http.h"

enum { REQUESTS_MAX = 4096, SCRIPTS_MAX = 64, HANG_MS = 30000 };

struct request {
    char method[8];
    char path[256];
    char *body;
};

struct fake_platform {
    struct fake_http *http;
    uint16_t port;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool is_released;
    struct request requests[REQUESTS_MAX];
    size_t request_count;
    struct platform_script scripts[SCRIPTS_MAX];
    size_t script_count;
    unsigned made;
};

static void die(const char *why)
{
    (void)fprintf(stderr, "fake platform: %s\n", why);
    abort();
}

static bool fits(const char *method, const char *path, const char *wanted, const char *end)
{
    size_t length = strlen(path);
    size_t tail = end ? strlen(end) : 0;
    return (!wanted || strcmp(method, wanted) == 0) &&
           (tail <= length && strcmp(path + length - tail, end ? end : "") == 0);
}

static struct platform_script next_script(struct fake_platform *self, const char *method,
                                          const char *path)
{
    for (size_t i = 0; i < self->script_count; i++) {
        struct platform_script *script = &self->scripts[i];
        if (script->times == 0 || !fits(method, path, script->method, script->path_end))
            continue;
        script->times--;
        return *script;
    }
    return (struct platform_script){ .manner = PLATFORM_ANSWERS };
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *body,
                              const char *retry_after)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        die("no memory");
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    if (retry_after)
        (void)MHD_add_response_header(response, "Retry-After", retry_after);
    enum MHD_Result rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result take(void *arg, struct MHD_Connection *connection, const char *method,
                            const char *path, const char *body, size_t length)
{
    struct fake_platform *self = arg;
    (void)length;
    char made[96];
    (void)pthread_mutex_lock(&self->lock);
    if (self->request_count == REQUESTS_MAX)
        die("too many requests");
    struct request *request = &self->requests[self->request_count++];
    (void)snprintf(request->method, sizeof request->method, "%s", method);
    (void)snprintf(request->path, sizeof request->path, "%s", path);
    request->body = strdup(body);
    struct platform_script script = next_script(self, method, path);
    unsigned number = ++self->made;
    (void)pthread_cond_broadcast(&self->changed);
    if (script.manner == PLATFORM_TAKES_AND_HANGS) {
        struct timespec until = fake_http_after_ms(HANG_MS);
        int rc = 0;
        while (!self->is_released && rc == 0)
            rc = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (script.manner != PLATFORM_ANSWERS)
        return MHD_NO;
    (void)snprintf(made, sizeof made, "{\"id\":\"p_%u\",\"message_id\":\"m_%u\",\"success\":true}",
                   number, number);
    if (script.status == 0)
        return answer(connection, MHD_HTTP_OK, made, NULL);
    return answer(connection, script.status, script.body ? script.body : "{}", script.retry_after);
}

struct fake_platform *fake_platform_new(void)
{
    struct fake_platform *self = calloc(1, sizeof *self);
    if (!self)
        die("no memory");
    (void)pthread_mutex_init(&self->lock, NULL);
    fake_http_cond_init(&self->changed);
    self->http = fake_http_start(&self->port, take, self);
    return self;
}

void fake_platform_release(struct fake_platform *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_released = true;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
}

void fake_platform_destroy(struct fake_platform **self_p)
{
    struct fake_platform *self = *self_p;
    if (!self)
        return;
    fake_platform_release(self);
    fake_http_stop(&self->http);
    for (size_t i = 0; i < self->request_count; i++)
        free(self->requests[i].body);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

uint16_t fake_platform_port(const struct fake_platform *self)
{
    return self->port;
}

void fake_platform_script(struct fake_platform *self, const struct platform_script *script)
{
    (void)pthread_mutex_lock(&self->lock);
    if (self->script_count == SCRIPTS_MAX)
        die("too many scripts");
    self->scripts[self->script_count++] = *script;
    (void)pthread_mutex_unlock(&self->lock);
}

static size_t count_locked(const struct fake_platform *self, const char *method, const char *end)
{
    size_t count = 0;
    for (size_t i = 0; i < self->request_count; i++)
        count += fits(self->requests[i].method, self->requests[i].path, method, end);
    return count;
}

size_t fake_platform_count(struct fake_platform *self, const char *method, const char *path_end)
{
    (void)pthread_mutex_lock(&self->lock);
    size_t count = count_locked(self, method, path_end);
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

bool fake_platform_wait(struct fake_platform *self, const char *method, const char *path_end,
                        size_t count, int64_t timeout_ms)
{
    struct timespec until = fake_http_after_ms(timeout_ms);
    int rc = 0;
    (void)pthread_mutex_lock(&self->lock);
    while (count_locked(self, method, path_end) < count && rc == 0)
        rc = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    bool is_there = count_locked(self, method, path_end) >= count;
    (void)pthread_mutex_unlock(&self->lock);
    return is_there;
}

char *fake_platform_body(struct fake_platform *self, const char *method, const char *path_end,
                         size_t index)
{
    char *body = NULL;
    (void)pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->request_count && !body; i++)
        if (fits(self->requests[i].method, self->requests[i].path, method, path_end) &&
            index-- == 0)
            body = strdup(self->requests[i].body);
    (void)pthread_mutex_unlock(&self->lock);
    if (!body)
        die("no such request");
    return body;
}
