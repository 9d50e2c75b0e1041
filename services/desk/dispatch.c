#include "desk/dispatch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock/clock.h"
#include "log/log.h"

enum { REFUSAL_LOG_MS = 1000 };

struct dispatch {
    struct dispatch_options options;
    struct counter *unknown_tokens;
    struct counter *forbidden;
    struct store **stores; /* one for each worker, used by it alone; the last is for orders */
    pthread_mutex_t lock;  /* guards all below */
    struct tokens *tokens;
    int64_t refusal_logged_ms;
};

static bool find_holder(struct dispatch *self, const char *authorization,
                        struct token_holder *holder)
{
    static const char scheme[] = "Bearer ";
    size_t length = sizeof scheme - 1;
    if (!authorization || strncasecmp(authorization, scheme, length) != 0)
        return false;
    const char *token = authorization + length;
    (void)pthread_mutex_lock(&self->lock);
    const struct token_holder *found = tokens_find(self->tokens, token, strlen(token));
    if (found)
        *holder = *found;
    (void)pthread_mutex_unlock(&self->lock);
    return found != NULL;
}

/* At most one line a second: somebody may be trying many. */
static void log_refusal(struct dispatch *self, const char *path_kind)
{
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&self->lock);
    bool is_due = now_ms - self->refusal_logged_ms >= REFUSAL_LOG_MS;
    if (is_due)
        self->refusal_logged_ms = now_ms;
    (void)pthread_mutex_unlock(&self->lock);
    if (is_due)
        log_warn("token_refused", KV("path", path_kind));
}

/* Route, caller and rights; false with the answer given. */
static bool identify(struct dispatch *self, struct api_call *call)
{
    const char *allow = NULL;
    const struct http_request *request = call->request;
    unsigned status = api_match(request->method, request->path, call, &allow);
    bool is_open = status == 0 && call->route->roles == 0;
    if (!is_open && !find_holder(self, request->authorization, &call->holder)) {
        counter_add(self->unknown_tokens, 1);
        log_refusal(self, status == 0 ? call->route->path : "unknown");
        api_problem(call->answer, 401, "token", "The bearer token is missing or not known.",
                    "Send Authorization: Bearer with a token of this desk.", NULL);
        return false;
    }
    if (status == 405) {
        api_problem(call->answer, 405, "method", "This path does not take this method.",
                    "See /v1/openapi.yaml.", NULL);
        call->answer->allow = allow;
        return false;
    }
    if (status != 0) {
        api_absent(call);
        return false;
    }
    if (is_open || (call->holder.roles & call->route->roles))
        return true;
    counter_add(self->forbidden, 1);
    api_problem(call->answer, 403, "role", "None of your roles may do this.",
                "Ask a supervisor to do it, or an operator for the role.", NULL);
    return false;
}

bool dispatch_admit(void *arg, const struct http_request *head, struct http_answer *answer)
{
    struct dispatch *self = arg;
    struct api_call call = { .api = self->options.api, .request = head, .answer = answer };
    return identify(self, &call) && api_check_query(&call, answer) && api_check_key(&call, answer);
}

void dispatch_handle(void *arg, size_t worker, const struct http_request *request,
                     struct http_answer *answer)
{
    struct dispatch *self = arg;
    struct api_call call = {
        .api = self->options.api,
        .store = self->stores[worker],
        .request = request,
        .answer = answer,
    };
    if (!identify(self, &call) || !api_check_key(&call, answer)) /* the tokens may have changed */
        return;
    if (api_parse_body(&call))
        call.route->handler(&call);
    json_decref(call.body);
    json_decref(call.beside);
}

void dispatch_order(void *arg, const struct http_request *request, struct http_answer *answer)
{
    struct dispatch *self = arg;
    if (dispatch_admit(self, request, answer))
        dispatch_handle(self, self->options.workers, request, answer);
}

int dispatch_reload(struct dispatch *self, struct error *err)
{
    struct tokens *fresh = tokens_load(self->options.tokens_file, err);
    if (!fresh)
        return -1;
    (void)pthread_mutex_lock(&self->lock);
    struct tokens *old = self->tokens;
    self->tokens = fresh;
    size_t count = tokens_count(fresh);
    (void)pthread_mutex_unlock(&self->lock);
    tokens_destroy(&old);
    log_info("tokens_loaded", KV("tokens", count));
    return 0;
}

static int open_stores(struct dispatch *self, struct error *err)
{
    const struct store_options options = {
        .redis = self->options.redis,
        .force = self->options.force,
        .queues = self->options.queues,
        .metrics = self->options.metrics,
        .label = "desk",
        .is_guest = true,
    };
    self->stores = calloc(self->options.workers + 1, sizeof(void *));
    if (!self->stores)
        return error_set(err, ERROR_SYSTEM, "no memory for the connections");
    for (size_t i = 0; i <= self->options.workers; i++) {
        self->stores[i] = store_new(&options, err);
        if (!self->stores[i])
            return -1;
    }
    return 0;
}

struct dispatch *dispatch_new(const struct dispatch_options *options, struct error *err)
{
    struct dispatch *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the API");
        return NULL;
    }
    static const char help[] = "Requests refused for who asked.";
    self->options = *options;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    self->refusal_logged_ms = INT64_MIN / 2;
    self->unknown_tokens =
        metrics_counter(options->metrics, "desg_desk_refused_total", "reason=\"token\"", help);
    self->forbidden =
        metrics_counter(options->metrics, "desg_desk_refused_total", "reason=\"role\"", help);
    if (dispatch_reload(self, err) != 0 || open_stores(self, err) != 0)
        dispatch_destroy(&self);
    return self;
}

void dispatch_destroy(struct dispatch **self_p)
{
    struct dispatch *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; self->stores && i <= self->options.workers; i++)
        store_destroy(&self->stores[i]);
    free(self->stores);
    tokens_destroy(&self->tokens);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
