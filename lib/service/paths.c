#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "service/process.h"

static const char *const state_names[] = { "starting", "running", "draining", "stopping" };

static void answer_json(struct admin_answer *answer, unsigned status, json_t *body)
{
    answer->status = status;
    answer->body = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    if (!answer->body)
        answer->status = 500;
}

static bool is_get(const struct admin_request *request, struct admin_answer *answer)
{
    if (strcmp(request->method, "GET") == 0)
        return true;
    answer->status = 405;
    return false;
}

static void on_healthz(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct service *self = arg;
    if (!is_get(request, answer))
        return;
    const char *stuck = heartbeats_stuck(self->heartbeats, clock_monotonic_ms());
    if (stuck)
        answer_json(answer, 503, json_pack("{s:s,s:s}", "status", "stuck", "loop", stuck));
    else
        answer_json(answer, 200, json_pack("{s:s}", "status", "ok"));
}

static void on_readyz(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct service *self = arg;
    if (!is_get(request, answer))
        return;
    int state = atomic_load(&self->state);
    bool is_ready =
        state == SERVICE_RUNNING && (!self->spec->is_ready || self->spec->is_ready(self->self));
    const char *word = is_ready                   ? "ready"
                       : state == SERVICE_RUNNING ? "not ready"
                                                  : state_names[state];
    answer_json(answer, is_ready ? 200 : 503, json_pack("{s:s}", "status", word));
}

static int64_t resident_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    char line[128] = "";
    if (fgets(line, sizeof line, file)) {
        char *second = strchr(line, ' ');
        pages = second ? strtoll(second, NULL, 10) : 0;
    }
    (void)fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    int64_t count = -1; /* the directory itself */
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        if (entry->d_name[0] != '.')
            count++;
    (void)closedir(directory);
    return count;
}

static void on_metrics(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct service *self = arg;
    if (!is_get(request, answer))
        return;
    gauge_set(self->resident_bytes, resident_bytes());
    gauge_set(self->open_files, open_files());
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer->body = metrics_render(self->metrics);
}

static void on_status(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct service *self = arg;
    if (!is_get(request, answer))
        return;
    char instance[ID_TEXT_BYTES];
    id_text(self->instance.bytes, instance);
    json_t *detail = json_object();
    if (self->spec->describe)
        self->spec->describe(self->self, detail);
    answer_json(answer, 200,
                json_pack("{s:s,s:s,s:s,s:i,s:s,s:I,s:s,s:i,s:o}", "service", self->spec->name,
                          "name", self->name, "version", DESG_VERSION, "pid", (int)getpid(),
                          "instance", instance, "uptime_ms",
                          (json_int_t)(clock_monotonic_ms() - self->started_at_ms), "state",
                          state_names[atomic_load(&self->state)], "admin_port",
                          (int)admin_port(self->admin), "detail", detail));
}

static void register_metrics(struct service *self)
{
    char labels[128];
    (void)snprintf(labels, sizeof labels, "service=\"%s\",version=\"%s\"", self->spec->name,
                   DESG_VERSION);
    gauge_set(metrics_gauge(self->metrics, "desg_build_info", labels,
                            "Always 1: which service and version this is"),
              1);
    gauge_set(metrics_gauge(self->metrics, "desg_start_time_seconds", "",
                            "When this process started, Unix time"),
              clock_unix_ms() / 1000);
    self->resident_bytes = metrics_gauge(self->metrics, "process_resident_memory_bytes", "",
                                         "Memory of this process that is in RAM");
    self->open_files = metrics_gauge(self->metrics, "process_open_fds", "",
                                     "File descriptors this process has open");
}

void paths_register(struct service *self)
{
    register_metrics(self);
    admin_handle(self->admin, "/healthz", ADMIN_PUBLIC, on_healthz, self);
    admin_handle(self->admin, "/readyz", ADMIN_PUBLIC, on_readyz, self);
    admin_handle(self->admin, "/metrics", ADMIN_PUBLIC, on_metrics, self);
    admin_handle(self->admin, "/status", ADMIN_CONTROL, on_status, self);
}
