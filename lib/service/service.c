#include "service/service.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock/clock.h"
#include "log/log.h"
#include "service/arguments.h"
#include "service/probe.h"
#include "service/process.h"
#include "service/watched.h"

enum { DRAIN_POLL_MS = 20, LOOK_MS = 1000 /* at watched files */ };

static int exit_code_of(enum error_kind kind)
{
    switch (kind) {
    case ERROR_CONFIG:
        return EX_CONFIG;
    case ERROR_SYSTEM:
        return EX_OSERR;
    case ERROR_UNAVAILABLE:
        return EX_TEMPFAIL;
    default:
        return EX_SOFTWARE;
    }
}

static struct config *read_config(const struct arguments *arguments,
                                  const struct service_spec *spec, struct error *err)
{
    struct config *config =
        config_load(arguments->config, spec->name, spec->fields, spec->config_bytes, err);
    if (config && spec->check && spec->check(config->service, err) != 0) {
        (void)error_wrap(err, "%s", arguments->config);
        config_destroy(&config);
    }
    return config;
}

/* Both parts, or neither. */
static int read_all(const struct arguments *arguments, const struct service_spec *spec,
                    struct config **config, struct config **shared, struct error *err)
{
    const struct service_part *part = spec->shared;
    *config = read_config(arguments, spec, err);
    if (!*config)
        return -1;
    if (!part)
        return 0;
    *shared = config_load(arguments->config, part->name, part->fields, part->config_bytes, err);
    if (*shared && (!part->check || part->check((*shared)->service, err) == 0))
        return 0;
    if (*shared)
        (void)error_wrap(err, "%s", arguments->config);
    config_destroy(shared);
    config_destroy(config);
    return -1;
}

static int check_only(const struct arguments *arguments, const struct service_spec *spec)
{
    struct error err = { 0 };
    struct config *config = NULL;
    struct config *shared = NULL;
    int rc = read_all(arguments, spec, &config, &shared, &err);
    if (rc == 0 && spec->check_files && spec->check_files(config->service, &err) != 0)
        rc = error_wrap(&err, "%s", arguments->config);
    config_destroy(&config);
    config_destroy(&shared);
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return exit_code_of(err.kind);
    }
    (void)printf("%s: ok\n", arguments->config);
    return EX_OK;
}

/* Message texts lie in this process's memory: no core file, no debugger of the same user. Files and
 * sockets it makes are its own. */
static void harden(void)
{
    const struct rlimit no_core = { 0, 0 };
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)umask(S_IRWXG | S_IRWXO);
    (void)setenv("ZSYS_SIGHANDLER", "false", 1); /* czmq: leave the signals to us */
}

/* The soft limit is low for programs that use select(); none of ours does. Without descriptors
 * libzmq ends the process. */
static void allow_descriptors(void)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* whoever needs many looks at what there is */
}

/* Makes directory and those above it; one that is there stays as it is. */
static int make_directory(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    size_t length = strlen(directory);
    if (length >= sizeof path)
        return error_set(err, ERROR_CONFIG, "common.run_directory is too long");
    memcpy(path, directory, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        char was = path[i];
        path[i] = '\0';
        if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
            return error_set(err, ERROR_CONFIG,
                             "cannot make %s: %s; make it, or change common.run_directory", path,
                             strerror(errno));
        path[i] = was;
    }
    return 0;
}

static int open_admin(struct service *self, struct error *err)
{
    const char *directory = self->config->common.run_directory;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.sock", directory, self->name);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(err, ERROR_CONFIG, "common.run_directory is too long");
    if (make_directory(directory, err) != 0)
        return -1;
    const char *listen =
        self->spec->admin_listen ? self->spec->admin_listen(self->config->service) : NULL;
    self->admin = admin_new(listen ? listen : "", path, err);
    if (!self->admin)
        return -1;
    paths_register(self);
    return 0;
}

static int start(struct service *self, struct error *err)
{
    if (signals_open(&self->signals, err) != 0 || open_admin(self, err) != 0)
        return -1;
    self->self = self->spec->start(self, self->config->service, err);
    if (!self->self)
        return -1;
    atomic_store(&self->state, SERVICE_RUNNING);
    if (admin_start(self->admin, err) != 0)
        return -1;
    char instance[ID_TEXT_BYTES];
    id_text(self->instance.bytes, instance);
    log_info("started", KV("version", DESG_VERSION), KV("instance", instance),
             KV("force", self->config->common.force), KV("config", self->config->path),
             KV("admin_port", admin_port(self->admin)),
             KV("took_ms", clock_monotonic_ms() - self->started_at_ms));
    return 0;
}

static void reload(struct service *self)
{
    if (self->spec->reload)
        self->spec->reload(self->self);
    log_info(self->spec->reload ? "reloaded" : "reload_ignored");
}

/* Until a signal to stop (true) or a failure (false). */
static bool run(struct service *self)
{
    for (;;) {
        switch (signals_wait(&self->signals, watched_is_empty(self->watched) ? -1 : LOOK_MS)) {
        case SIGNALS_STOP:
            return true;
        case SIGNALS_WOKEN:
            return false;
        case SIGNALS_RELOAD:
            reload(self);
            break;
        default:
            if (watched_changed(self->watched))
                reload(self);
            break;
        }
    }
}

static bool is_drained(struct service *self)
{
    return !self->spec->is_drained || self->spec->is_drained(self->self);
}

static void drain(struct service *self)
{
    int64_t started_ms = clock_monotonic_ms();
    int64_t deadline_ms = started_ms + self->config->common.grace_ms;
    atomic_store(&self->state, SERVICE_DRAINING);
    log_info("draining", KV("grace_ms", self->config->common.grace_ms));
    if (self->spec->drain)
        self->spec->drain(self->self);
    const char *cut_short = NULL;
    while (!cut_short && !is_drained(self)) {
        enum signals_event event = signals_wait(&self->signals, DRAIN_POLL_MS);
        if (event == SIGNALS_STOP)
            cut_short = "signal";
        else if (event == SIGNALS_WOKEN)
            cut_short = "failure";
        else if (clock_monotonic_ms() >= deadline_ms)
            cut_short = "grace_over";
    }
    int64_t took_ms = clock_monotonic_ms() - started_ms;
    if (cut_short)
        log_warn("drain_cut_short", KV("by", cut_short), KV("took_ms", took_ms));
    else
        log_info("drained", KV("took_ms", took_ms));
}

/* The admin door first: its handlers use the service's object. */
static void stop(struct service *self)
{
    atomic_store(&self->state, SERVICE_STOPPING);
    admin_destroy(&self->admin);
    if (self->self && self->spec->stop)
        self->spec->stop(&self->self);
    self->self = NULL;
}

static int live(struct service *self)
{
    struct error err = { 0 };
    if (start(self, &err) != 0) {
        log_error("start_failed", KV("error", err.text));
        stop(self);
        return exit_code_of(err.kind);
    }
    if (run(self))
        drain(self);
    stop(self);
    /* All threads of the service are joined. */
    int code = self->failure.kind == ERROR_NONE ? EX_OK : exit_code_of(self->failure.kind);
    log_info("stopped", KV("code", code),
             KV("uptime_ms", clock_monotonic_ms() - self->started_at_ms));
    return code;
}

static void prepare(struct service *self, const struct service_spec *spec, const char *name)
{
    self->spec = spec;
    self->name = name;
    self->started_at_ms = clock_monotonic_ms();
    self->instance = id_random();
    self->metrics = metrics_new();
    self->heartbeats = heartbeats_new();
    self->watched = watched_new();
    self->signals = (struct signals){ -1, -1 };
    atomic_store(&self->state, SERVICE_STARTING);
    if (pthread_mutex_init(&self->failure_lock, NULL) != 0)
        abort();
}

static void clear(struct service *self)
{
    signals_close(&self->signals);
    heartbeats_destroy(&self->heartbeats);
    watched_destroy(&self->watched);
    metrics_destroy(&self->metrics);
    config_destroy(&self->config);
    config_destroy(&self->shared);
    (void)pthread_mutex_destroy(&self->failure_lock);
}

int service_main(int argc, char **argv, const struct service_spec *spec)
{
    assert(spec && spec->name && spec->summary && spec->fields && spec->start);
    struct arguments arguments;
    int code = arguments_parse(argc, argv, spec, &arguments);
    if (code >= 0)
        return code;
    if (arguments.is_check)
        return check_only(&arguments, spec);
    if (arguments.probe)
        return probe_ask(&arguments, spec);
    harden();
    allow_descriptors();
    log_setup(arguments.name, LOG_LEVEL_INFO, STDERR_FILENO);
    struct error err = { 0 };
    struct service self = { 0 };
    if (read_all(&arguments, spec, &self.config, &self.shared, &err) != 0) {
        log_error("start_failed", KV("error", err.text));
        return exit_code_of(err.kind);
    }
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_parse(self.config->common.log_level, &level); /* checked when read */
    log_setup(arguments.name, level, STDERR_FILENO);
    prepare(&self, spec, arguments.name);
    self.option_values = arguments.values;
    code = live(&self);
    clear(&self);
    return code;
}

const struct config_common *service_common(const struct service *self)
{
    return &self->config->common;
}

const void *service_shared(const struct service *self)
{
    assert(self->shared);
    return self->shared->service;
}

const char *service_name(const struct service *self)
{
    return self->name;
}

const struct id *service_instance(const struct service *self)
{
    return &self->instance;
}

const char *service_option_value(const struct service *self, const char *option)
{
    const struct service_option *own = self->spec->options;
    size_t at = 0;
    while (own && own[at].name && strcmp(own[at].name, option) != 0)
        at++;
    assert(own && own[at].name); /* the spec lists it */
    return self->option_values[at];
}

struct metrics *service_metrics(struct service *self)
{
    return self->metrics;
}

struct admin *service_admin(struct service *self)
{
    return self->admin;
}

struct heartbeat *service_heartbeat_new(struct service *self, const char *loop_name)
{
    return heartbeats_add(self->heartbeats, loop_name, clock_monotonic_ms());
}

void heartbeat_beat(struct heartbeat *self)
{
    heartbeat_beat_at(self, clock_monotonic_ms());
}

void service_finish(struct service *self)
{
    signals_wake(&self->signals);
}

void service_fail(struct service *self, const struct error *err)
{
    (void)pthread_mutex_lock(&self->failure_lock);
    bool is_first = self->failure.kind == ERROR_NONE;
    if (is_first) {
        self->failure = *err;
        if (self->failure.kind == ERROR_NONE)
            self->failure.kind = ERROR_INVALID; /* said nothing: our own fault */
    }
    (void)pthread_mutex_unlock(&self->failure_lock);
    if (is_first)
        log_error("failed", KV("error", err->text));
    signals_wake(&self->signals);
}

void service_watch(struct service *self, const char *path)
{
    watched_add(self->watched, path);
}
