#include "ingest/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "ingest/adoption.h"
#include "ingest/answer_json.h"
#include "ingest/archive_import.h"
#include "ingest/degraded.h"
#include "ingest/deliveries.h"
#include "ingest/dispatcher.h"
#include "ingest/drained.h"
#include "ingest/http_intake.h"
#include "ingest/ingest_config.h"
#include "ingest/loading.h"
#include "ingest/replay.h"
#include "ingest/retry.h"
#include "journal/journal.h"
#include "log/log.h"

enum { JOURNAL_CHECK_MS = 1000 };

struct ingest {
    struct service *service;
    const struct ingest_config *config;
    struct id_key *id_key;
    struct keyring *keyring;
    struct splitter *splitter;
    struct dispatcher *dispatcher; /* guarded by hook_lock while the journal is open */
    pthread_mutex_t hook_lock;
    struct journal *journal;
    struct loading *loading;
    struct http_intake *intake; /* NULL: this is an adoption */
    struct adoption *adoption;  /* NULL: it is none */
    struct gauge *degraded[DEGRADED_COUNT];
    struct heartbeat *heartbeat; /* of the intake's deadline thread */
    bool has_failed;             /* dispatcher's thread only */
    int64_t journal_checked_ms;  /* dispatcher's thread only */
    atomic_bool is_draining;
    bool is_dispatcher_draining; /* service's main thread only */
};

/* The journal outlives the dispatcher on the way down, and its committer knows nothing of that. */
static void on_committed(void *arg, uint64_t last_sequence)
{
    struct ingest *self = arg;
    (void)pthread_mutex_lock(&self->hook_lock);
    if (self->dispatcher)
        dispatcher_committed(self->dispatcher, last_sequence);
    (void)pthread_mutex_unlock(&self->hook_lock);
}

static int append_delivery(void *arg, const void *record, size_t length, journal_stored *done,
                           void *done_arg, struct error *err)
{
    struct ingest *self = arg;
    return journal_append(self->journal, INGEST_RECORD_DELIVERY, record, length, done, done_arg,
                          err);
}

static void on_tick(void *arg)
{
    struct ingest *self = arg;
    heartbeat_beat(self->heartbeat);
}

static void check_journal(struct ingest *self, const struct journal_stats *stats)
{
    if (self->has_failed || stats->state != JOURNAL_DEAD)
        return;
    struct error err = { 0 };
    self->has_failed = true;
    (void)error_set(&err, ERROR_SYSTEM,
                    "the journal in '%s' failed twice: nothing can be stored, so nothing is taken; "
                    "look at the disk",
                    self->config->journal.directory);
    service_fail(self->service, &err);
}

static void export_degraded(struct ingest *self, const struct custody_status *status,
                            const struct journal_stats *stats)
{
    bool is_degraded[DEGRADED_COUNT];
    const struct degraded_input input = { .dispatch = status,
                                          .journal = stats,
                                          .is_draining = atomic_load(&self->is_draining),
                                          .is_adopting = self->adoption != NULL };
    degraded_judge(&input, is_degraded);
    for (size_t i = 0; i < DEGRADED_COUNT; i++)
        gauge_set(self->degraded[i], is_degraded[i]);
}

/* On the dispatcher's thread. */
static void on_status(void *arg, const struct custody_status *status, int64_t now_ms)
{
    struct ingest *self = arg;
    if (self->adoption)
        adoption_watch(self->adoption, status, now_ms);
    if (now_ms - self->journal_checked_ms < JOURNAL_CHECK_MS)
        return;
    self->journal_checked_ms = now_ms;
    struct journal_stats stats;
    journal_stats(self->journal, &stats);
    check_journal(self, &stats);
    export_degraded(self, status, &stats);
}

static void stop(void **self_p)
{
    struct ingest *self = *self_p;
    if (!self)
        return;
    if (self->intake)
        http_intake_stop(self->intake);
    (void)pthread_mutex_lock(&self->hook_lock);
    struct dispatcher *dispatcher = self->dispatcher;
    self->dispatcher = NULL;
    (void)pthread_mutex_unlock(&self->hook_lock);
    dispatcher_destroy(&dispatcher);
    journal_close(&self->journal);      /* answers for every record it took … */
    http_intake_destroy(&self->intake); /* … which this waits for */
    loading_close(&self->loading);
    adoption_destroy(&self->adoption);
    splitter_destroy(&self->splitter);
    keyring_destroy(&self->keyring);
    id_key_destroy(&self->id_key);
    (void)pthread_mutex_destroy(&self->hook_lock);
    free(self);
    *self_p = NULL;
}

static const char *option(const struct ingest *self, const char *name)
{
    return service_option_value(self->service, name);
}

/* What comes out of an archive does not go there again. */
static const char *archive_of(const struct ingest *self)
{
    const char *directory = self->config->journal.archive_directory;
    return directory && directory[0] != '\0' && !option(self, "archive") ? directory : NULL;
}

static int open_journal(struct ingest *self, struct error *err)
{
    const struct ingest_journal_config *config = &self->config->journal;
    if (config->keys_file && config->keys_file[0] != '\0') {
        self->keyring = keyring_load(config->keys_file, err);
        if (!self->keyring)
            return -1;
    }
    const struct journal_options options = {
        .directory = config->directory,
        .max_bytes = (uint64_t)config->size_mib << 20,
        .retention_ms = (int64_t)config->retention_hours * 3600 * 1000,
        .keyring = self->keyring,
        .metrics = service_metrics(self->service),
        .committed = on_committed,
        .committed_arg = self,
        .archive_directory = archive_of(self),
        .may_delete_unarchived = config->delete_unarchived,
    };
    self->journal = journal_open(&options, err);
    return self->journal ? 0 : -1;
}

static int open_dispatcher(struct ingest *self, struct error *err)
{
    self->id_key = id_key_load(self->config->id_key_file, err);
    if (!self->id_key)
        return -1;
    self->splitter = splitter_new(self->config, self->id_key, service_metrics(self->service), err);
    if (!self->splitter)
        return -1;
    const struct dispatcher_options options = { .service = self->service,
                                                .config = self->config,
                                                .splitter = self->splitter,
                                                .watch = on_status,
                                                .watch_arg = self };
    self->dispatcher = dispatcher_new(&options, err);
    return self->dispatcher ? 0 : -1;
}

/* Without it ingest works as well; only a record that ends it would do so at each start. */
static void open_loading(struct ingest *self)
{
    struct error err = { 0 };
    const struct id source = journal_source(self->journal);
    self->loading = loading_open(self->config->journal.directory, &source, clock_unix_ms(), &err);
    if (!self->loading)
        log_warn("loading_not_traced", KV("error", err.text));
    if (loading_newly_set_aside(self->loading) > 0)
        log_error("record_set_aside", KV("sequence", loading_newly_set_aside(self->loading)));
}

static void make_metrics(struct ingest *self)
{
    for (int i = 0; i < DEGRADED_COUNT; i++) {
        char labels[64];
        (void)snprintf(labels, sizeof labels, "state=\"%s\"",
                       degraded_name((enum degraded_state)i));
        self->degraded[i] =
            metrics_gauge(service_metrics(self->service), "desg_ingest_degraded", labels,
                          "1 while a promise is kept only in part, by what is the matter");
    }
}

static void watch_secrets(const struct ingest *self)
{
    for (unsigned i = 0; i < self->config->channels_count; i++) {
        const struct ingest_channel_config *channel = &self->config->channels[i];
        for (unsigned j = 0; j < channel->secret_files_count; j++)
            service_watch(self->service, channel->secret_files[j]);
        if (channel->verify_token_file)
            service_watch(self->service, channel->verify_token_file);
    }
}

static int start_intake(struct ingest *self, struct error *err)
{
    self->heartbeat = service_heartbeat_new(self->service, "deadline");
    const struct http_intake_options options = {
        .config = self->config,
        .metrics = service_metrics(self->service),
        .store = { .append = append_delivery, .arg = self },
        .tick = on_tick,
        .tick_arg = self,
    };
    self->intake = http_intake_start(&options, err);
    if (!self->intake)
        return -1;
    watch_secrets(self);
    log_info("listening", KV("port", http_intake_port(self->intake)),
             KV("channels", self->config->channels_count));
    return 0;
}

static void on_deliveries(void *arg, const struct admin_request *request,
                          struct admin_answer *answer)
{
    struct ingest *self = arg;
    deliveries_show(self->journal, request, answer);
}

static void on_retry(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct ingest *self = arg;
    const struct record_splitter reading = { .splitter = self->splitter,
                                             .loading = self->loading,
                                             .reader = LOADING_SEARCH,
                                             .source = journal_source(self->journal) };
    retry_event(self->journal, &reading, self->dispatcher, request, answer);
}

static void on_replay(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct ingest *self = arg;
    replay_stored(self->journal, self->dispatcher, request, answer);
}

static void on_drained(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct ingest *self = arg;
    struct custody_status status;
    bool is_idle = !self->intake || http_intake_is_idle(self->intake);
    dispatcher_status(self->dispatcher, &status);
    drained_answer(&status, is_idle, request, answer);
}

static void drain(void *arg);

/* No more webhooks; all else goes on until somebody stops the process. Only a restart undoes it. */
static void on_drain(void *arg, const struct admin_request *request, struct admin_answer *answer)
{
    struct ingest *self = arg;
    if (!answer_only(answer, request, "POST"))
        return;
    if (!atomic_load(&self->is_draining))
        log_info("intake_ended");
    drain(self);
    answer_json(answer, 200, json_pack("{s:b}", "draining", 1));
}

static void register_paths(struct ingest *self)
{
    struct admin *admin = service_admin(self->service);
    admin_handle(admin, "/deliveries", ADMIN_CONTROL, on_deliveries, self);
    admin_handle(admin, "/retry", ADMIN_CONTROL, on_retry, self);
    admin_handle(admin, "/replay", ADMIN_CONTROL, on_replay, self);
    admin_handle(admin, "/drain", ADMIN_CONTROL, on_drain, self);
    admin_handle(admin, "/drained", ADMIN_PUBLIC, on_drained, self);
}

static int read_ms(const char *text, int64_t *out, struct error *err)
{
    char *end = NULL;
    if (!text)
        return 0;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0)
        return error_set(err, ERROR_CONFIG, "'%s' is no time: write milliseconds since 1970", text);
    *out = value;
    return 0;
}

/* Before the journal is opened, for that would make one. */
static int prepare_adoption(struct ingest *self, struct error *err)
{
    static const char *const alone[] = { "for", "archive", "since-ms", "until-ms" };
    for (size_t i = 0; i < sizeof alone / sizeof alone[0] && !option(self, "adopt"); i++)
        if (option(self, alone[i]))
            return error_set(err, ERROR_CONFIG, "--%s goes with --adopt", alone[i]);
    if (!option(self, "adopt"))
        return 0;
    self->adoption = adoption_new(self->service, option(self, "for"), clock_monotonic_ms(), err);
    if (!self->adoption)
        return -1;
    const char *directory = self->config->journal.directory;
    return option(self, "archive") ? archive_import_begin(directory, err)
                                   : adoption_check(directory, err);
}

static int import_archive(struct ingest *self, struct error *err)
{
    struct archive_import_counts counts;
    struct archive_import from = { .directory = option(self, "archive"),
                                   .until_ms = INT64_MAX,
                                   .keyring = self->keyring };
    if (!from.directory)
        return 0;
    if (read_ms(option(self, "since-ms"), &from.since_ms, err) != 0 ||
        read_ms(option(self, "until-ms"), &from.until_ms, err) != 0 ||
        archive_import_run(&from, self->journal, self->config->journal.directory, &counts, err) !=
            0)
        return -1;
    log_info("archive_imported", KV("files", counts.files), KV("records", counts.records),
             KV("of_another_time", counts.passed), KV("damaged", counts.damaged));
    return 0;
}

static int open_all(struct ingest *self, struct error *err)
{
    if (prepare_adoption(self, err) != 0 || open_dispatcher(self, err) != 0 ||
        open_journal(self, err) != 0 || import_archive(self, err) != 0)
        return -1;
    open_loading(self);
    if (dispatcher_start(self->dispatcher, self->journal, self->loading, err) != 0)
        return -1;
    return self->adoption ? 0 : start_intake(self, err);
}

static void *start(struct service *service, const void *config, struct error *err)
{
    struct ingest *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the service");
        return NULL;
    }
    self->service = service;
    self->config = config;
    (void)pthread_mutex_init(&self->hook_lock, NULL);
    make_metrics(self);
    if (open_all(self, err) != 0) {
        void *half = self;
        stop(&half);
        return NULL;
    }
    register_paths(self);
    return self;
}

static void drain(void *arg)
{
    struct ingest *self = arg;
    atomic_store(&self->is_draining, true);
    if (self->intake)
        http_intake_drain(self->intake);
}

/* What was answered 200 is handed on if it can be; the dispatcher stops handing out only then. */
static bool is_drained(void *arg)
{
    struct ingest *self = arg;
    if (self->intake && !http_intake_is_drained(self->intake))
        return false;
    if (!self->is_dispatcher_draining)
        dispatcher_drain(self->dispatcher);
    self->is_dispatcher_draining = true;
    return dispatcher_is_drained(self->dispatcher);
}

static bool is_ready(void *arg)
{
    struct ingest *self = arg;
    return !atomic_load(&self->is_draining);
}

static void reload(void *arg)
{
    struct ingest *self = arg;
    if (self->intake)
        http_intake_reload(self->intake);
}

static json_t *describe_journal(struct journal *journal, const struct journal_stats *stats)
{
    char source[ID_TEXT_BYTES];
    char incarnation[20];
    const struct id id = journal_source(journal);
    id_text(id.bytes, source);
    (void)snprintf(incarnation, sizeof incarnation, "%016" PRIx64, journal_incarnation(journal));
    return json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "state",
        journal_state_name(stats->state), "source", source, "incarnation", incarnation,
        "oldest_sequence", (json_int_t)stats->oldest_sequence, "newest_sequence",
        (json_int_t)stats->newest_sequence, "released_sequence",
        (json_int_t)stats->released_sequence, "records", (json_int_t)stats->records, "used_bytes",
        (json_int_t)stats->used_bytes, "max_bytes", (json_int_t)stats->max_bytes, "reusable_bytes",
        (json_int_t)stats->reusable_bytes, "disk_free_bytes", (json_int_t)stats->disk_free_bytes,
        "last_commit_unix_ms", (json_int_t)stats->last_commit_unix_ms, "damaged_records",
        (json_int_t)stats->damaged_records, "archived_sequence",
        (json_int_t)stats->archived_sequence);
}

static void describe(void *arg, json_t *detail)
{
    struct ingest *self = arg;
    struct journal_stats stats;
    struct custody_status status;
    journal_stats(self->journal, &stats);
    dispatcher_status(self->dispatcher, &status);
    const struct degraded_input input = { .dispatch = &status,
                                          .journal = &stats,
                                          .is_draining = atomic_load(&self->is_draining),
                                          .is_adopting = self->adoption != NULL };
    /* A part of /status that is missing for want of memory is not fatal. */
    (void)json_object_set_new(detail, "degraded", degraded_describe(&input));
    (void)json_object_set_new(detail, "journal", describe_journal(self->journal, &stats));
    dispatcher_describe(self->dispatcher, detail);
    if (self->intake)
        http_intake_describe(self->intake, detail);
}

static const char *admin_listen(const void *arg)
{
    const struct ingest_config *config = arg;
    return config->admin_listen ? config->admin_listen : "";
}

static const struct service_option options[] = {
    { "adopt", NULL, "no webhooks: hand on what the journal holds, then end" },
    { "for", "SECONDS", "with --adopt: give up after so long (75)" },
    { "archive", "DIR", "with --adopt: import DIR into a new journal first" },
    { "since-ms", "N", "with --archive: stored since then, Unix time" },
    { "until-ms", "N", "with --archive: stored until then" },
    { NULL, NULL, NULL },
};

const struct service_spec ingest_service = {
    .name = "ingest",
    .summary = "Takes webhooks in, stores them before answering, and hands their events to triage.",
    .fields = ingest_config_fields,
    .config_bytes = sizeof(struct ingest_config),
    .check = ingest_config_check,
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
