/* A service that does nothing but what its tests ask of it: started as a process of its own. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "clock/clock.h"
#include "service/heartbeats.h"
#include "service/service.h"

enum probe_mode { MODE_PLAIN, MODE_STUCK, MODE_HOLDS, MODE_REFUSES };

struct probe_config {
    char *admin_listen;
    enum probe_mode mode;
    uint32_t refusal;
    uint32_t threads;
};

static const cyaml_strval_t modes[] = { { "plain", MODE_PLAIN },
                                        { "stuck", MODE_STUCK },
                                        { "holds", MODE_HOLDS },
                                        { "refuses", MODE_REFUSES } };
static const cyaml_schema_field_t probe_fields[] = {
    CYAML_FIELD_STRING_PTR("admin_listen", CYAML_FLAG_POINTER, struct probe_config, admin_listen, 0,
                           64),
    CYAML_FIELD_ENUM("mode", CYAML_FLAG_OPTIONAL, struct probe_config, mode, modes, 4),
    CYAML_FIELD_UINT("refusal", CYAML_FLAG_OPTIONAL, struct probe_config, refusal),
    CYAML_FIELD_UINT("threads", CYAML_FLAG_OPTIONAL, struct probe_config, threads), CYAML_FIELD_END
};

struct probe {
    struct service *service;
    enum probe_mode mode;
    atomic_bool is_draining;
    atomic_bool is_finished;
    atomic_int reloads;
};

static int check(void *config, struct error *err)
{
    struct probe_config *self = config;
    self->threads = config_default_u32(self->threads, 2);
    return config_check_range("probe.threads", self->threads, 1, 64, err);
}

static const char *admin_listen(const void *config)
{
    return ((const struct probe_config *)config)->admin_listen;
}

/* POST /fail?kind=3: says it twice, only the first counts. */
static void on_fail(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    (void)answer;
    struct probe *self = arg;
    const char *kind = admin_query(request, "kind");
    struct error err = { 0 };
    (void)error_set(&err, (enum error_kind)(kind ? strtol(kind, NULL, 10) : 0),
                    "the probe was told to fail");
    service_fail(self->service, &err);
    (void)error_set(&err, ERROR_CONFIG, "and again");
    service_fail(self->service, &err);
}

static void on_finish(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    (void)request;
    (void)answer;
    struct probe *self = arg;
    atomic_store(&self->is_finished, true);
}

/* POST /end: what it was started for is done. */
static void on_end(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    (void)request;
    (void)answer;
    struct probe *self = arg;
    service_finish(self->service);
}

static json_t *option_of(const struct service *service, const char *name)
{
    const char *value = service_option_value(service, name);
    return value ? json_string(value) : json_null();
}

static void *start(struct service *service, const void *config, struct error *err)
{
    static struct probe probe;
    const struct probe_config *settings = config;
    if (settings->mode == MODE_REFUSES) {
        (void)error_set(err, (enum error_kind)settings->refusal, "the probe does not start");
        return NULL;
    }
    struct heartbeat *heartbeat = service_heartbeat_new(service, "probe_loop");
    if (settings->mode == MODE_STUCK)
        heartbeat_beat_at(heartbeat, clock_monotonic_ms() - HEARTBEAT_LIMIT_MS - 1);
    else
        heartbeat_beat(heartbeat);
    probe.service = service;
    probe.mode = settings->mode;
    admin_handle(service_admin(service), "/fail", ADMIN_CONTROL, on_fail, &probe);
    admin_handle(service_admin(service), "/finish", ADMIN_CONTROL, on_finish, &probe);
    admin_handle(service_admin(service), "/end", ADMIN_CONTROL, on_end, &probe);
    counter_add(metrics_counter(service_metrics(service), "desg_probe_starts_total", "", "Starts"),
                1);
    return &probe;
}

static void drain(void *arg)
{
    struct probe *self = arg;
    atomic_store(&self->is_draining, true);
}

static bool is_drained(void *arg)
{
    struct probe *self = arg;
    return self->mode != MODE_HOLDS || atomic_load(&self->is_finished);
}

static void stop(void **self_p)
{
    *self_p = NULL;
}

static bool is_ready(void *arg)
{
    struct probe *self = arg;
    return !atomic_load(&self->is_draining);
}

static void describe(void *arg, json_t *detail)
{
    struct probe *self = arg;
    struct rlimit core = { 1, 1 };
    struct rlimit files = { 0 };
    struct sigaction pipe_action = { 0 };
    (void)getrlimit(RLIMIT_CORE, &core);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    (void)sigaction(SIGPIPE, NULL, &pipe_action);
    mode_t mask = umask(077);
    (void)umask(mask);
    const char *czmq = getenv("ZSYS_SIGHANDLER");
    (void)json_object_set_new(detail, "reloads", json_integer(atomic_load(&self->reloads)));
    (void)json_object_set_new(detail, "dumpable", json_integer(prctl(PR_GET_DUMPABLE)));
    (void)json_object_set_new(detail, "core_limit", json_integer((json_int_t)core.rlim_max));
    (void)json_object_set_new(detail, "files_limit", json_integer((json_int_t)files.rlim_cur));
    (void)json_object_set_new(detail, "umask", json_integer((json_int_t)mask));
    (void)json_object_set_new(detail, "ignores_sigpipe",
                              json_boolean(pipe_action.sa_handler == SIG_IGN));
    (void)json_object_set_new(detail, "zsys_sighandler", json_string(czmq ? czmq : ""));
    (void)json_object_set_new(detail, "force", json_string(service_common(self->service)->force));
    (void)json_object_set_new(detail, "name", json_string(service_name(self->service)));
    (void)json_object_set_new(detail, "twice", option_of(self->service, "twice"));
    (void)json_object_set_new(detail, "for", option_of(self->service, "for"));
}

static void reload(void *arg)
{
    struct probe *self = arg;
    atomic_fetch_add(&self->reloads, 1);
}

int main(int argc, char **argv)
{
    static const struct service_option options[] = {
        { "twice", NULL, "does it twice" },
        { "for", "SECONDS", "no longer than this" },
        { NULL, NULL, NULL },
    };
    static const struct service_spec spec = {
        .name = "probe",
        .summary = "shows its tests what every process does",
        .fields = probe_fields,
        .config_bytes = sizeof(struct probe_config),
        .check = check,
        .admin_listen = admin_listen,
        .start = start,
        .drain = drain,
        .is_drained = is_drained,
        .stop = stop,
        .is_ready = is_ready,
        .describe = describe,
        .reload = reload,
        .options = options,
    };
    return service_main(argc, argv, &spec);
}
