#include "desk/desk.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "desk/api.h"
#include "desk/desk_config.h"
#include "desk/dispatch.h"
#include "desk/heads.h"
#include "desk/http_server.h"
#include "desk/order_server.h"
#include "link/link.h"
#include "log/log.h"
#include "unpack/unpack.h"

enum { FACTS_REMEMBERED = 65536, PATH_BYTES = 256, JOURNAL_CHECK_MS = 1000 };

struct desk {
    struct service *service;
    const struct desk_config *config;
    struct keyring *keyring;
    struct id_key *id_key;
    struct journal *journal;
    struct chain *chain;
    struct fact_index *index;
    struct heads *heads;
    struct dispatch *dispatch;
    struct http_server *server;
    void *context; /* ZeroMQ's; NULL without orders, as the next two */
    struct link_security *security;
    struct order_server *orders;
    struct api api;
    char socket_path[PATH_BYTES];
    int64_t journal_checked_ms; /* deadline thread only, as the next */
    bool has_failed;
    atomic_bool is_draining;
    struct projector_hook hook;
    struct projector *projector;
};

/* --- the journal's facts into Redis --- */

/* Facts of some records, gathered for one call. */
struct gathered {
    Desg__V1__Fact *facts[STORE_APPLY_MAX];
    size_t count;
    struct store *store;
    char *history;
    struct error *err;
    int rc;
};

static void apply_gathered(struct gathered *gathered)
{
    if (gathered->rc == 0)
        gathered->rc =
            store_facts_apply(gathered->store, (const Desg__V1__Fact *const *)gathered->facts,
                              gathered->count, gathered->history, gathered->err);
    for (size_t i = 0; i < gathered->count; i++)
        desg__v1__fact__free_unpacked(gathered->facts[i], NULL);
    gathered->count = 0;
}

static bool gather(void *arg, const struct chain_link *link)
{
    struct gathered *gathered = arg;
    if (!link->fact) {
        log_error("fact_not_understood", KV("sequence", link->sequence));
        return true;
    }
    if (gathered->count == STORE_APPLY_MAX)
        apply_gathered(gathered);
    Desg__V1__Fact *copy =
        unpack_or_end(&desg__v1__fact__descriptor, link->record->fact.data, link->record->fact.len);
    if (copy) /* it was read a moment ago */
        gathered->facts[gathered->count++] = copy;
    return gathered->rc == 0;
}

static int apply(void *arg, struct store *store, const struct journal_record *records, size_t count,
                 char history[STORE_HISTORY_BYTES], struct error *err)
{
    (void)arg;
    struct gathered gathered = { .store = store, .history = history, .err = err };
    for (size_t i = 0; i < count && gathered.rc == 0; i++)
        (void)chain_open(&records[i], gather, &gathered); /* its rc says how it went */
    apply_gathered(&gathered);                            /* also none: for the history */
    return gathered.rc;
}

/* --- starting --- */

/* Before there are other threads: link.h says why. */
static int open_links(struct desk *self, struct error *err)
{
    if (!self->config->order_endpoint)
        return 0;
    self->context = zmq_ctx_new();
    if (!self->context)
        return error_set(err, ERROR_SYSTEM, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
    return link_security_open(self->context, service_common(self->service)->curve,
                              service_metrics(self->service), &self->security, err);
}

static int open_journal(struct desk *self, struct error *err)
{
    const struct desk_journal_config *config = &self->config->journal;
    if (config->keys_file) {
        self->keyring = keyring_load(config->keys_file, err);
        if (!self->keyring)
            return -1;
    }
    const struct journal_options options = {
        .directory = config->directory,
        .max_bytes = (uint64_t)config->size_mib << 20,
        .retention_ms = (int64_t)config->retention_days * 24 * 3600 * 1000,
        .keyring = self->keyring,
        .metrics = service_metrics(self->service),
        .committed = projector_hook_committed,
        .committed_arg = &self->hook,
    };
    self->journal = journal_open(&options, err);
    return self->journal ? 0 : -1;
}

static bool remember(void *arg, const struct chain_link *link)
{
    struct desk *self = arg;
    struct id id;
    if (!link->fact || link->fact->id.len != ID_BYTES ||
        link->fact->what_case == DESG__V1__FACT__WHAT_VIEWED)
        return true;
    memcpy(id.bytes, link->fact->id.data, ID_BYTES);
    fact_index_put(self->index, &id, link->sequence);
    return true;
}

static int open_chain(struct desk *self, struct error *err)
{
    struct journal_stats stats;
    const struct chain_options options = {
        .journal = self->journal,
        .retention_ms = (int64_t)self->config->journal.retention_days * 24 * 3600 * 1000,
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "chain"),
    };
    self->index = fact_index_new(FACTS_REMEMBERED);
    self->chain = chain_new(&options, err);
    if (!self->chain)
        return -1;
    journal_stats(self->journal, &stats);
    uint64_t from =
        stats.newest_sequence > FACTS_REMEMBERED ? stats.newest_sequence - FACTS_REMEMBERED : 1;
    return chain_read_at(self->chain, from, remember, self, err);
}

static int open_projection(struct desk *self, struct error *err)
{
    const struct config_common *common = service_common(self->service);
    const struct projector_options options = {
        .journal = self->journal,
        .hook = &self->hook,
        .redis = &common->redis,
        .force = common->force,
        .queues = &self->config->queues,
        .kind = "desk",
        .name = service_name(self->service),
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "projector"),
        .apply = apply,
        .arg = self,
    };
    const struct heads_options heads = {
        .chain = self->chain,
        .source = journal_source(self->journal),
        .name = service_name(self->service),
        .redis = &common->redis,
        .force = common->force,
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "heads"),
    };
    self->projector = projector_new(&options, err);
    if (!self->projector)
        return -1;
    self->heads = heads_new(&heads, err);
    return self->heads ? 0 : -1;
}

static int open_api(struct desk *self, struct error *err)
{
    const struct config_common *common = service_common(self->service);
    self->id_key = id_key_load(self->config->id_key_file, err);
    if (!self->id_key)
        return -1;
    self->api = (struct api){
        .journal = self->journal,
        .chain = self->chain,
        .index = self->index,
        .projector = self->projector,
        .id_key = self->id_key,
        .source = journal_source(self->journal),
        .name = service_name(self->service),
        .lease_s = self->config->queues.lease_s,
        .outward = service_shared(self->service),
    };
    const struct dispatch_options options = {
        .api = &self->api,
        .tokens_file = self->config->tokens_file,
        .redis = &common->redis,
        .force = common->force,
        .queues = &self->config->queues,
        .metrics = service_metrics(self->service),
        .workers = self->config->http.workers,
    };
    service_watch(self->service, self->config->tokens_file);
    self->dispatch = dispatch_new(&options, err);
    return self->dispatch ? 0 : -1;
}

static void on_tick(void *arg)
{
    struct desk *self = arg;
    int64_t now_ms = clock_monotonic_ms();
    if (self->has_failed || now_ms - self->journal_checked_ms < JOURNAL_CHECK_MS)
        return;
    self->journal_checked_ms = now_ms;
    struct journal_stats stats;
    journal_stats(self->journal, &stats);
    if (stats.state != JOURNAL_DEAD)
        return;
    struct error err = { 0 };
    self->has_failed = true;
    (void)error_set(&err, ERROR_SYSTEM,
                    "the journal in '%s' failed twice: no fact can be stored; look at the disk",
                    self->config->journal.directory);
    service_fail(self->service, &err);
}

static bool on_admit(void *arg, const struct http_request *head, struct http_answer *answer)
{
    struct desk *self = arg;
    return dispatch_admit(self->dispatch, head, answer);
}

static void on_handle(void *arg, size_t worker, const struct http_request *request,
                      struct http_answer *answer)
{
    struct desk *self = arg;
    dispatch_handle(self->dispatch, worker, request, answer);
}

static int start_server(struct desk *self, struct error *err)
{
    const struct config_common *common = service_common(self->service);
    int length = snprintf(self->socket_path, sizeof self->socket_path, "%s/%s.api",
                          common->run_directory, service_name(self->service));
    if (length < 0 || (size_t)length >= sizeof self->socket_path)
        return error_set(err, ERROR_CONFIG, "common.run_directory is too long for a socket's path");
    const struct http_server_options options = {
        .listen = self->config->listen,
        .socket_path = self->socket_path,
        .connections_max = self->config->http.connections_max,
        .request_deadline_ms = self->config->http.request_deadline_ms,
        .workers = self->config->http.workers,
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "deadline"),
        .admit = on_admit,
        .handle = on_handle,
        .problem = api_http_problem,
        .tick = on_tick,
        .arg = self,
    };
    self->server = http_server_start(&options, err);
    if (!self->server)
        return -1;
    log_info("listening", KV("port", http_server_port(self->server)),
             KV("socket", self->socket_path));
    return 0;
}

static int start_orders(struct desk *self, struct error *err)
{
    if (!self->config->order_endpoint)
        return 0;
    const struct order_server_options options = {
        .endpoint = self->config->order_endpoint,
        .context = self->context,
        .security = self->security,
        .asker = { dispatch_order, self->dispatch },
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "orders"),
    };
    self->orders = order_server_start(&options, err);
    if (!self->orders)
        return -1;
    log_info("orders_listening", KV("endpoint", order_server_endpoint(self->orders)));
    return 0;
}

/* --- the service --- */

/* Whoever asks ends before whoever answers. */
static void stop(void **self_p)
{
    struct desk *self = *self_p;
    if (!self)
        return;
    http_server_destroy(&self->server);
    order_server_destroy(&self->orders);
    link_security_destroy(&self->security);
    if (self->context)
        (void)zmq_ctx_term(self->context); /* its sockets are closed */
    dispatch_destroy(&self->dispatch);
    heads_destroy(&self->heads);
    chain_destroy(&self->chain);
    projector_destroy(&self->projector);
    journal_close(&self->journal);
    fact_index_destroy(&self->index);
    id_key_destroy(&self->id_key);
    keyring_destroy(&self->keyring);
    projector_hook_clear(&self->hook);
    free(self);
    *self_p = NULL;
}

static void *start(struct service *service, const void *config, struct error *err)
{
    struct desk *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the service");
        return NULL;
    }
    self->service = service;
    self->config = config;
    projector_hook_init(&self->hook);
    if (open_links(self, err) == 0 && open_journal(self, err) == 0 && open_chain(self, err) == 0 &&
        open_projection(self, err) == 0 && open_api(self, err) == 0 &&
        start_server(self, err) == 0 && start_orders(self, err) == 0)
        return self;
    void *half = self;
    stop(&half);
    return NULL;
}

static void drain(void *arg)
{
    struct desk *self = arg;
    atomic_store(&self->is_draining, true);
    http_server_drain(self->server);
    if (self->orders)
        order_server_drain(self->orders);
}

static bool is_drained(void *arg)
{
    struct desk *self = arg;
    return http_server_is_drained(self->server) &&
           (!self->orders || order_server_is_drained(self->orders)) && chain_is_idle(self->chain);
}

static bool is_ready(void *arg)
{
    struct desk *self = arg;
    return !atomic_load(&self->is_draining);
}

static void describe(void *arg, json_t *detail)
{
    struct desk *self = arg;
    struct journal_stats stats;
    struct chain_head head;
    struct projector_status status;
    char source[ID_TEXT_BYTES];
    journal_stats(self->journal, &stats);
    chain_head(self->chain, &head);
    id_text(self->api.source.bytes, source);
    json_t *journal = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I}", "state", journal_state_name(stats.state), "source",
        source, "oldest_sequence", (json_int_t)stats.oldest_sequence, "newest_sequence",
        (json_int_t)stats.newest_sequence, "released_sequence", (json_int_t)stats.released_sequence,
        "damaged_records", (json_int_t)stats.damaged_records);
    (void)json_object_set_new(detail, "journal", journal); /* gaps in /status are not fatal */
    (void)json_object_set_new(detail, "audit_number", json_integer((json_int_t)head.number));
    projector_status(self->projector, &status);
    projector_describe(self->projector, detail);
    const json_t *projector = json_object_get(detail, "projector");
    const char *problem = json_string_value(json_object_get(projector, "problem"));
    json_t *redis = json_pack("{s:s, s:s}", "state", status.is_redis_away ? "away" : "ready",
                              "problem", problem ? problem : "");
    (void)json_object_set_new(detail, "redis", redis);
    http_server_describe(self->server, detail);
}

static void reload(void *arg)
{
    struct desk *self = arg;
    struct error err = { 0 };
    if (dispatch_reload(self->dispatch, &err) != 0)
        log_error("tokens_not_reloaded", KV("error", err.text));
}

static const char *admin_listen(const void *arg)
{
    const struct desk_config *config = arg;
    return config->admin_listen ? config->admin_listen : "";
}

static const struct service_part outward = { .name = "outward",
                                             .fields = outward_config_fields,
                                             .config_bytes = sizeof(struct outward_config),
                                             .check = outward_config_check };

const struct service_spec desk_service = {
    .name = "desk",
    .summary = "Keeps what people decide about conversations, and shows them what waits.",
    .fields = desk_config_fields,
    .config_bytes = sizeof(struct desk_config),
    .check = desk_config_check,
    .admin_listen = admin_listen,
    .start = start,
    .drain = drain,
    .is_drained = is_drained,
    .stop = stop,
    .is_ready = is_ready,
    .describe = describe,
    .reload = reload,
    .shared = &outward,
};
