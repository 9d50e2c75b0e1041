#include "classify/classifier.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "classify/rule_loader.h"
#include "classify/shadow.h"
#include "classify/worker.h"
#include "clock/clock.h"
#include "log/log.h"

enum { TICK_MS = 500, QUICK_TICK_MS = 20, LOOK_AT_RULES_MS = 5000 };

struct classifier {
    struct service *service;
    const struct classify_config *config;
    struct tally *tally;
    struct rule_loader *loader;
    struct shadow *shadow; /* NULL: none */
    struct worker *worker;
    struct heartbeat *heartbeat;
    void *context;
    struct link_security *security;
    zloop_t *loop;
    int quick_timer; /* while something is awaited; -1: none */

    pthread_t thread;
    bool is_running;
    int wake_fd;
    atomic_bool is_reload_asked;
    atomic_bool is_drain_asked;
    atomic_bool is_drained;
    atomic_bool is_stop_asked;

    struct triage_source source;
    uint64_t rules_stamp;   /* of the files as loaded */
    uint64_t changed_stamp; /* of the files as last seen, if they differ */
    int64_t looked_at_ms;

    pthread_mutex_t status_lock;
    struct worker_status status;
    char edition[RULE_EDITION_NAME_BYTES];
    char model_edition[MODEL_FILE_EDITION_BYTES]; /* "": rules judge alone */
    bool is_last_model_good;
    size_t rule_count;
    bool is_last_reload_good;
};

static void take_status(struct classifier *self)
{
    const struct rule_set *rules = triage_rules(worker_triage(self->worker));
    (void)pthread_mutex_lock(&self->status_lock);
    worker_status(self->worker, &self->status);
    memcpy(self->edition, rule_set_edition(rules), sizeof self->edition);
    const struct model *model = triage_model(worker_triage(self->worker));
    (void)snprintf(self->model_edition, sizeof self->model_edition, "%s",
                   model ? model->edition : "");
    self->rule_count = rule_set_count(rules);
    (void)pthread_mutex_unlock(&self->status_lock);
}

static void reload_ended(struct classifier *self, bool is_good)
{
    (void)pthread_mutex_lock(&self->status_lock);
    self->is_last_reload_good = is_good;
    (void)pthread_mutex_unlock(&self->status_lock);
    if (!is_good)
        tally_reload_failed(self->tally);
}

/* --- rules that change --- */

static void model_judged(struct classifier *self, bool is_good)
{
    (void)pthread_mutex_lock(&self->status_lock);
    self->is_last_model_good = is_good;
    (void)pthread_mutex_unlock(&self->status_lock);
    if (!is_good)
        tally_model_refused(self->tally);
}

/* New rules whose model is no good go on with the model there was. */
static void keep_model(struct classifier *self, struct triage *triage, struct error *model_err)
{
    AUTO(model_file_destroy) struct model_file *old = worker_release_model(self->worker);
    if (old) {
        struct error err = { 0 };
        if (triage_take_model(triage, &old, &err) != 0)
            (void)error_wrap(model_err, "%s", err.text);
    }
    const struct model *model = triage_model(triage);
    log_warn("model_refused", KV("error", model_err->text),
             KV("edition", model ? model->edition : "none"),
             KV("remedy",
                "put a good file there; meanwhile the edition named here, or the rules alone"));
}

static void log_editions(const struct classifier *self, const char *event)
{
    const struct rule_set *rules = triage_rules(worker_triage(self->worker));
    log_info(event, KV("edition", rule_set_edition(rules)), KV("rules", rule_set_count(rules)),
             KV("model", self->model_edition));
}

/* Returns whether a load is still running. */
static bool poll_loader(struct classifier *self)
{
    struct triage *triage = NULL;
    struct error model_err = { 0 };
    struct error err = { 0 };
    switch (rule_loader_poll(self->loader, &triage, &model_err, &err)) {
    case RULE_LOADER_BUSY:
        return true;
    case RULE_LOADER_LOADED:
        if (model_err.kind != ERROR_NONE)
            keep_model(self, triage, &model_err);
        model_judged(self, model_err.kind == ERROR_NONE);
        worker_change_triage(self->worker, &triage);
        reload_ended(self, true);
        take_status(self);
        log_editions(self, "rules_changed");
        return false;
    case RULE_LOADER_FAILED:
        reload_ended(self, false);
        log_error("rules_refused", KV("error", err.text),
                  KV("edition", rule_set_edition(triage_rules(worker_triage(self->worker)))),
                  KV("remedy", "correct the file; the edition named here stays in use"));
        return false;
    default:
        return false;
    }
}

static void begin_load(struct classifier *self)
{
    struct error err = { 0 };
    self->rules_stamp = triage_source_stamp(&self->source);
    self->changed_stamp = 0;
    if (rule_loader_begin(self->loader, &err) == 0)
        return;
    reload_ended(self, false);
    log_error("rules_refused", KV("error", err.text));
}

/* Files are taken when they have been the same for two looks: not while they are being written. */
static void look_at_rules(struct classifier *self, int64_t now_ms)
{
    if (now_ms - self->looked_at_ms < LOOK_AT_RULES_MS)
        return;
    self->looked_at_ms = now_ms;
    uint64_t stamp = triage_source_stamp(&self->source);
    bool is_settled = stamp != 0 && stamp == self->changed_stamp;
    self->changed_stamp = stamp == self->rules_stamp ? 0 : stamp;
    if (is_settled && self->changed_stamp != 0)
        begin_load(self);
}

/* --- the loop --- */

static int on_quick_tick(zloop_t *loop, int timer, void *arg);

static void look_often(struct classifier *self)
{
    if (self->quick_timer < 0)
        self->quick_timer = zloop_timer(self->loop, QUICK_TICK_MS, 0, on_quick_tick, self);
}

static int on_quick_tick(zloop_t *loop, int timer, void *arg)
{
    struct classifier *self = arg;
    bool is_loading = poll_loader(self);
    bool is_draining = atomic_load(&self->is_drain_asked);
    if (is_draining && worker_is_idle(self->worker, clock_monotonic_ms()))
        atomic_store(&self->is_drained, true);
    if (!is_loading && !is_draining) {
        (void)zloop_timer_end(loop, timer);
        self->quick_timer = -1;
    }
    return 0;
}

static int on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct classifier *self = arg;
    heartbeat_beat(self->heartbeat);
    take_status(self);
    look_at_rules(self, clock_monotonic_ms());
    if (poll_loader(self))
        look_often(self);
    return 0;
}

static int on_wake(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    struct classifier *self = arg;
    uint64_t count = 0;
    if (read(item->fd, &count, sizeof count) < 0)
        return 0; /* someone else's wake was read with an earlier one */
    if (atomic_load(&self->is_stop_asked))
        return -1;
    if (atomic_exchange(&self->is_reload_asked, false)) {
        begin_load(self);
        look_often(self);
        if (self->shadow)
            shadow_reload(self->shadow);
    }
    if (atomic_load(&self->is_drain_asked) && !atomic_load(&self->is_drained)) {
        worker_drain(self->worker);
        look_often(self);
    }
    return 0;
}

static void wake(const struct classifier *self)
{
    const uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof one);
    (void)written; /* full means that it is going to wake already */
}

static void *run(void *arg)
{
    struct classifier *self = arg;
    pthread_setname_np(pthread_self(), "classifier");
    (void)zloop_start(self->loop);
    if (!atomic_load(&self->is_stop_asked)) {
        struct error err = { 0 };
        (void)error_set(&err, ERROR_SYSTEM, "the classifier's loop ended by itself");
        service_fail(self->service, &err);
    }
    return NULL;
}

/* --- life --- */

static struct triage_source source_of(const struct classify_config *config)
{
    return (struct triage_source){ config->rules_directory, config->model,
                                   classify_config_triage(config) };
}

int classifier_check_files(const struct classify_config *config, struct error *err)
{
    const struct triage_source source = source_of(config);
    struct error model_err = { 0 };
    struct triage *triage = triage_source_open(&source, &model_err, err);
    if (!triage)
        return -1;
    triage_destroy(&triage);
    return model_err.kind == ERROR_NONE ? 0 : error_set(err, model_err.kind, "%s", model_err.text);
}

/* Starts by rules alone if the model is no good. */
static struct triage *load_triage(struct classifier *self, struct error *err)
{
    struct error model_err = { 0 };
    struct triage *triage = triage_source_open(&self->source, &model_err, err);
    if (triage && model_err.kind != ERROR_NONE)
        log_warn("model_refused", KV("error", model_err.text), KV("edition", "none"),
                 KV("remedy", "put a good file there; meanwhile the rules judge alone"));
    if (triage)
        model_judged(self, model_err.kind == ERROR_NONE);
    return triage;
}

static bool is_given(const char *text)
{
    return text && text[0] != '\0';
}

static int open_shadow(struct classifier *self, struct error *err)
{
    const struct classify_shadow *config = &self->config->shadow;
    if (!is_given(config->rules_directory) && !is_given(config->model))
        return 0;
    const struct shadow_options options = {
        .rules_directory = is_given(config->rules_directory) ? config->rules_directory
                                                             : self->config->rules_directory,
        .model = is_given(config->model) ? config->model : self->config->model,
        .triage = classify_config_triage(self->config),
        .tally = self->tally,
    };
    self->shadow = shadow_new(&options, err);
    return self->shadow ? 0 : -1;
}

static int open_worker(struct classifier *self, struct error *err)
{
    struct triage *triage = load_triage(self, err);
    if (!triage)
        return -1;
    struct worker_options options = {
        .config = self->config,
        .name = service_name(self->service),
        .instance = service_instance(self->service),
        .context = self->context,
        .loop = self->loop,
        .metrics = service_metrics(self->service),
        .security = self->security,
        .tally = self->tally,
        .shadow = self->shadow,
    };
    self->worker = worker_new(&options, &triage, err);
    return self->worker ? 0 : -1;
}

static int start(struct classifier *self, struct error *err)
{
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->context = zmq_ctx_new();
    self->loop = zloop_new();
    if (self->wake_fd < 0 || !self->context || !self->loop)
        return error_set(err, ERROR_SYSTEM, "cannot make the classifier's loop");
    self->tally = tally_new(service_metrics(self->service), err);
    self->source = source_of(self->config);
    self->loader = rule_loader_new(&self->source, err);
    self->rules_stamp = triage_source_stamp(&self->source);
    if (!self->tally || !self->loader ||
        link_security_open(self->context, service_common(self->service)->curve,
                           service_metrics(self->service), &self->security, err) != 0 ||
        open_shadow(self, err) != 0 || open_worker(self, err) != 0)
        return -1;
    take_status(self);
    log_editions(self, "rules_loaded");
    self->heartbeat = service_heartbeat_new(self->service, "classifier");
    zmq_pollitem_t wake_item = { .fd = self->wake_fd, .events = ZMQ_POLLIN };
    if (zloop_poller(self->loop, &wake_item, on_wake, self) != 0 ||
        zloop_timer(self->loop, TICK_MS, 0, on_tick, self) < 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the classifier's loop");
    zloop_poller_set_tolerant(self->loop, &wake_item);
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the classifier's thread");
    self->is_running = true;
    return 0;
}

struct classifier *classifier_new(struct service *service, const struct classify_config *config,
                                  struct error *err)
{
    assert(service && config && err);
    struct classifier *self = calloc(1, sizeof *self);
    if (!self || pthread_mutex_init(&self->status_lock, NULL) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the classifier");
        free(self);
        return NULL;
    }
    self->service = service;
    self->config = config;
    self->wake_fd = -1;
    self->quick_timer = -1;
    self->is_last_reload_good = true;
    self->looked_at_ms = clock_monotonic_ms();
    if (start(self, err) != 0)
        classifier_destroy(&self);
    return self;
}

void classifier_destroy(struct classifier **self_p)
{
    struct classifier *self = *self_p;
    if (!self)
        return;
    if (self->is_running) {
        atomic_store(&self->is_stop_asked, true);
        wake(self);
        (void)pthread_join(self->thread, NULL);
    }
    rule_loader_destroy(&self->loader);
    worker_destroy(&self->worker);
    shadow_destroy(&self->shadow);
    link_security_destroy(&self->security);
    zloop_destroy(&self->loop);
    if (self->context)
        (void)zmq_ctx_term(self->context); /* all sockets are closed: does not wait */
    tally_destroy(&self->tally);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    (void)pthread_mutex_destroy(&self->status_lock);
    free(self);
    *self_p = NULL;
}

void classifier_drain(struct classifier *self)
{
    atomic_store(&self->is_drain_asked, true);
    wake(self);
}

bool classifier_is_drained(const struct classifier *self)
{
    return atomic_load(&self->is_drained);
}

void classifier_reload(struct classifier *self)
{
    atomic_store(&self->is_reload_asked, true);
    wake(self);
}

bool classifier_is_ready(const struct classifier *self)
{
    return !link_security_is_unwelcome(self->security);
}

void classifier_describe(struct classifier *self, json_t *detail)
{
    (void)pthread_mutex_lock(&self->status_lock);
    struct worker_status status = self->status;
    json_t *rules = json_pack("{s:s, s:I, s:b}", "edition", self->edition, "count",
                              (json_int_t)self->rule_count, "is_last_reload_good",
                              (int)self->is_last_reload_good);
    json_t *model = json_pack("{s:s, s:b}", "edition", self->model_edition, "is_last_reload_good",
                              (int)self->is_last_model_good);
    (void)pthread_mutex_unlock(&self->status_lock);
    json_t *peers =
        json_pack("{s:I, s:I, s:I, s:I}", "ingest", (json_int_t)status.ingest_peers, "route_urgent",
                  (json_int_t)status.route_urgent_peers, "route_bulk",
                  (json_int_t)status.route_bulk_peers, "notify", (json_int_t)status.notify_peers);
    /* These fail only without memory; the answer is then shorter. */
    (void)json_object_set_new(detail, "rules", rules);
    (void)json_object_set_new(detail, "model", model);
    (void)json_object_set_new(detail, "peers", peers);
    (void)json_object_set_new(detail, "held", json_integer((json_int_t)status.held));
    if (self->shadow)
        (void)json_object_set_new(detail, "shadow", shadow_describe(self->shadow));
    (void)json_object_set_new(detail, "in_flight", json_integer((json_int_t)status.in_flight));
}
