#include "notify/notifier.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "crypto/crypto.h"
#include "journal/journal.h"
#include "link/link.h"
#include "log/log.h"
#include "notify/alert_flow.h"
#include "notify/alert_projection.h"
#include "notify/callback_server.h"
#include "notify/due_loop.h"
#include "notify/feed.h"
#include "notify/inbox.h"
#include "notify/notify_config.h"
#include "notify/outbound.h"
#include "notify/outbox.h"
#include "notify/status_json.h"
#include "notify/stream.h"
#include "outward/outward_config.h"
#include "projector/projector.h"

enum { TICK_MS = 500, ALERTED_MAX = 64, LIST_MAX = 1000, SOURCE_BYTES = 256, PROBLEM_BYTES = 512 };

/* Answers to one peer, gathered while the loop handles what lies before it. */
struct alerted_batch {
    link_peer peer;
    size_t count;
    struct id ids[ALERTED_MAX];
};

struct notifier {
    struct service *service;
    const struct notify_config *config;
    char source[SOURCE_BYTES];
    struct keyring *keyring;
    struct journal *journal;
    struct inbox *inbox;
    struct outbound *outbound;
    struct stream *stream;
    struct callback_server *callbacks;
    struct rebuild known; /* the sources of facts our journal names */
    struct alert_flow *flow;
    struct outbox *outbox; /* NULL: nothing but alerts goes out */
    struct feed *feed;     /* NULL: none is configured */
    struct alert_projection projection;
    struct projector_hook hook;
    struct projector *projector;
    void *context;
    struct link_security *security;
    struct link *link;
    struct due_loop *loop;
    struct heartbeat *heartbeat;
    struct alerted_batch alerted;
    atomic_bool is_draining;
};

/* --- the loop --- */

static void flush_alerted(struct notifier *self)
{
    struct alerted_batch *batch = &self->alerted;
    if (batch->count == 0)
        return;
    struct error err = { 0 };
    ProtobufCBinaryData ids[ALERTED_MAX];
    for (size_t i = 0; i < batch->count; i++)
        ids[i] = (ProtobufCBinaryData){ ID_BYTES, batch->ids[i].bytes };
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    alerted.n_alert_ids = batch->count;
    alerted.alert_ids = ids;
    const Desg__V1__Packet packet = link_packet_alerted(&alerted);
    if (link_send(self->link, batch->peer, &packet, &err) != 0)
        log_warn("alerted_not_sent", KV("alerts", batch->count), KV("error", err.text));
    batch->count = 0; /* whoever did not get it orders again, and it is known */
}

static int64_t run_due(void *arg)
{
    struct notifier *self = arg;
    flush_alerted(self);
    return alert_flow_run(self->flow);
}

static void on_tick(void *arg)
{
    struct notifier *self = arg;
    heartbeat_beat(self->heartbeat);
    alert_flow_tick(self->flow);
    due_loop_go_on(self->loop);
}

/* --- link --- */

/* The link logs who comes and goes; who orders an alert keeps it until Alerted. */
static void on_peer_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    (void)arg;
    (void)peer;
    (void)info;
}

static void on_peer_down(void *arg, link_peer peer, bool is_drain)
{
    (void)arg;
    (void)peer;
    (void)is_drain;
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct notifier *self = arg;
    if (packet->kind_case == DESG__V1__PACKET__KIND_ALERT_ORDER)
        alert_flow_take_order(self->flow, peer, packet->alert_order);
    else if (packet->kind_case != DESG__V1__PACKET__KIND_DRAIN)
        log_warn("packet_unexpected", KV("kind", (int)packet->kind_case));
    due_loop_go_on(self->loop);
}

/* --- what other threads hand over --- */

struct stream_item {
    struct inbox_item item;
    struct notifier *notifier;
    char stream_id[32];
    size_t length;
    uint8_t order[];
};

static void run_stream_item(struct inbox_item *item)
{
    struct stream_item *alert = (struct stream_item *)item;
    alert_flow_take_stream(alert->notifier->flow, alert->stream_id, alert->order, alert->length);
    free(alert);
}

static void discard_item(struct inbox_item *item)
{
    free(item);
}

static void on_stream_alert(void *arg, const char *stream_id, const uint8_t *order, size_t length)
{
    struct notifier *self = arg;
    struct stream_item *alert = calloc(1, sizeof *alert + length);
    if (!alert)
        abort();
    alert->item.run = run_stream_item;
    alert->item.discard = discard_item;
    alert->notifier = self;
    strncat(alert->stream_id, stream_id, sizeof alert->stream_id - 1);
    alert->length = length;
    memcpy(alert->order, order, length);
    inbox_post(self->inbox, &alert->item);
}

/* A word to the loop without more. */
struct order_item {
    struct inbox_item item;
    struct notifier *notifier;
};

static void post_order(struct notifier *self, void (*run)(struct inbox_item *item))
{
    struct order_item *order = calloc(1, sizeof *order);
    if (!order)
        abort();
    order->item.run = run;
    order->item.discard = discard_item;
    order->notifier = self;
    inbox_post(self->inbox, &order->item);
}

static void run_drain(struct inbox_item *item)
{
    struct notifier *self = ((struct order_item *)item)->notifier;
    link_drain(self->link, "stopping");
    alert_flow_drain(self->flow);
    free(item);
}

struct callback_item {
    struct inbox_item item;
    struct notifier *notifier;
    struct callback_message message;
    struct callback_ticket *ticket;
};

static void run_callback(struct inbox_item *item)
{
    struct callback_item *callback = (struct callback_item *)item;
    alert_flow_callback(callback->notifier->flow, &callback->message, callback->ticket);
    free(callback);
}

static void discard_callback(struct inbox_item *item)
{
    callback_ticket_answer(((struct callback_item *)item)->ticket, CALLBACK_NOT_STORED);
    free(item);
}

static void on_callback(void *arg, const struct callback_message *message,
                        struct callback_ticket *ticket)
{
    struct notifier *self = arg;
    struct callback_item *callback = calloc(1, sizeof *callback);
    if (!callback)
        abort();
    callback->item.run = run_callback;
    callback->item.discard = discard_callback;
    callback->notifier = self;
    callback->message = *message;
    callback->ticket = ticket;
    inbox_post(self->inbox, &callback->item);
}

/* What Redis answered about a callback for an alert not known here. */
struct looked_up_item {
    struct inbox_item item;
    struct notifier *notifier;
    struct callback_message message;
    struct callback_ticket *ticket;
    bool is_asked;
    bool is_known;
};

static void run_looked_up(struct inbox_item *item)
{
    struct looked_up_item *answer = (struct looked_up_item *)item;
    alert_flow_looked_up(answer->notifier->flow, &answer->message, answer->ticket, answer->is_asked,
                         answer->is_known);
    free(answer);
}

static void discard_looked_up(struct inbox_item *item)
{
    callback_ticket_answer(((struct looked_up_item *)item)->ticket, CALLBACK_NOT_STORED);
    free(item);
}

static void on_looked_up(void *arg, const struct callback_message *message,
                         struct callback_ticket *ticket, bool is_asked, bool is_known)
{
    struct notifier *self = arg;
    struct looked_up_item *answer = calloc(1, sizeof *answer);
    if (!answer)
        abort();
    answer->item.run = run_looked_up;
    answer->item.discard = discard_looked_up;
    answer->notifier = self;
    answer->message = *message;
    answer->ticket = ticket;
    answer->is_asked = is_asked;
    answer->is_known = is_known;
    inbox_post(self->inbox, &answer->item);
}

struct elsewhere_item {
    struct inbox_item item;
    struct notifier *notifier;
    struct alert_elsewhere news;
};

static void run_elsewhere(struct inbox_item *item)
{
    struct elsewhere_item *elsewhere = (struct elsewhere_item *)item;
    alert_flow_elsewhere(elsewhere->notifier->flow, &elsewhere->news);
    free(elsewhere);
}

static void on_elsewhere(void *arg, const struct alert_elsewhere *news)
{
    struct notifier *self = arg;
    struct elsewhere_item *elsewhere = calloc(1, sizeof *elsewhere);
    if (!elsewhere)
        abort();
    elsewhere->item.run = run_elsewhere;
    elsewhere->item.discard = discard_item;
    elsewhere->notifier = self;
    elsewhere->news = *news;
    inbox_post(self->inbox, &elsewhere->item);
}

static void on_heard_of(void *arg, const struct id *source)
{
    struct notifier *self = arg;
    alert_flow_heard_of(self->flow, source);
}

static size_t on_open_rows(void *arg, size_t *cursor, struct alert_open_row *rows, size_t max)
{
    struct notifier *self = arg;
    return alert_flow_open_rows(self->flow, cursor, rows, max);
}

/* --- what the flow says --- */

static void sink_stream_done(void *arg, const char *stream_id, bool is_stored)
{
    struct notifier *self = arg;
    stream_done(self->stream, stream_id, is_stored);
}

static void sink_alerted(void *arg, uint64_t peer, const struct id *alert)
{
    struct notifier *self = arg;
    if (self->alerted.peer != peer || self->alerted.count == ALERTED_MAX)
        flush_alerted(self);
    self->alerted.peer = peer;
    self->alerted.ids[self->alerted.count++] = *alert;
}

static void sink_look_up(void *arg, const struct callback_message *message,
                         struct callback_ticket *ticket)
{
    struct notifier *self = arg;
    stream_look_up(self->stream, message, ticket);
}

static void sink_failed(void *arg, const struct error *err)
{
    struct notifier *self = arg;
    service_fail(self->service, err);
}

static size_t on_members(void *arg, const struct id *digest, struct id *out)
{
    struct notifier *self = arg;
    return alert_flow_members(self->flow, digest, out);
}

/* --- start --- */

static int open_journal(struct notifier *self, struct error *err)
{
    const struct notify_journal_config *config = &self->config->journal;
    if (config->keys_file) {
        self->keyring = keyring_load(config->keys_file, err);
        if (!self->keyring)
            return -1;
    }
    const struct journal_options options = {
        .directory = config->directory,
        .max_bytes = (uint64_t)config->size_mib << 20,
        .retention_ms = (int64_t)config->retention_hours * 3600000,
        .keyring = self->keyring,
        .metrics = service_metrics(self->service),
        .committed = projector_hook_committed,
        .committed_arg = &self->hook,
    };
    self->journal = journal_open(&options, err);
    return self->journal ? 0 : -1;
}

static struct outbound_target target_of(const struct notify_target_config *config)
{
    return (struct outbound_target){ .url = config->url,
                                     .token_file = config->token_file,
                                     .signature_secret_file = config->signature_secret_file,
                                     .ca_file = config->ca_file,
                                     .quote_key = config->quote_key,
                                     .connect_timeout_ms = config->connect_timeout_ms,
                                     .timeout_ms = config->timeout_ms };
}

static void warn_if_readable(const char *path, const char *url)
{
    static const char *const near[] = { "https://", "http://127.", "http://localhost",
                                        "http://[::1]" };
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        if (strncmp(url, near[i], strlen(near[i])) == 0)
            return;
    log_warn("path_unencrypted", KV("path", path),
             KV("remedy", "write https, or make sure that a mesh encrypts it"));
}

static int open_outbound(struct notifier *self, struct error *err)
{
    struct outbound_target targets[ALERT_PATH_COUNT];
    size_t count = 1;
    targets[ALERT_PATH_FIRST] = target_of(&self->config->dispatch);
    warn_if_readable("dispatch", self->config->dispatch.url);
    if (self->config->second_path) {
        targets[ALERT_PATH_SECOND] = target_of(self->config->second_path);
        warn_if_readable("second_path", self->config->second_path->url);
        count = 2;
    } else {
        log_warn("second_path_missing",
                 KV("remedy", "configure notify.second_path: without it an alert waits until "
                              "dispatch is back"));
    }
    self->outbound = outbound_new(self->service, targets, count, err);
    return self->outbound ? 0 : -1;
}

static int open_flow(struct notifier *self, struct error *err)
{
    const struct notify_config *config = self->config;
    if (config->source)
        (void)snprintf(self->source, sizeof self->source, "%s", config->source);
    else
        (void)snprintf(self->source, sizeof self->source, "/force/%s/social-desk",
                       service_common(self->service)->force);
    struct alert_flow_options options = {
        .journal = self->journal,
        .outbound = self->outbound,
        .inbox = self->inbox,
        .metrics = service_metrics(self->service),
        .known = &self->known,
        .source = self->source,
        .ladder = config->ladder,
        .ladder_count = config->ladder_count,
        .has_second_path = config->second_path != NULL,
        .retention_ms = (int64_t)config->journal.retention_hours * 3600000,
        .test_interval_ms = (int64_t)*config->test_interval_s * 1000,
        .sinks = { .stream_done = sink_stream_done,
                   .alerted = sink_alerted,
                   .look_up = sink_look_up,
                   .failed = sink_failed,
                   .arg = self },
    };
    const struct id own = journal_source(self->journal);
    rebuild_init(&self->known, &own);
    crypto_random(&options.seed, sizeof options.seed);
    self->flow = alert_flow_new(&options, err);
    return self->flow ? 0 : -1;
}

static int open_link(struct notifier *self, struct error *err)
{
    const struct link_options options = {
        .service = "notify",
        .name = service_name(self->service),
        .instance = service_instance(self->service),
        .label = "notify",
        .context = self->context,
        .loop = due_loop_zloop(self->loop),
        .metrics = service_metrics(self->service),
        .security = self->security,
        .handler = { .peer_up = on_peer_up, .peer_down = on_peer_down, .packet = on_packet },
        .arg = self,
    };
    self->link = link_bind(&options, self->config->endpoint, err);
    return self->link ? 0 : -1;
}

static int open_callbacks(struct notifier *self, struct error *err)
{
    const struct callback_server_options options = {
        .listen = self->config->listen,
        .secret_files = (const char *const *)self->config->callback_secret_files,
        .secret_file_count = self->config->callback_secret_files_count,
        .metrics = service_metrics(self->service),
        .deliver = on_callback,
        .arg = self,
    };
    self->callbacks = callback_server_new(&options, err);
    return self->callbacks ? 0 : -1;
}

static int open_stream(struct notifier *self, struct error *err)
{
    const struct stream_options options = {
        .service = self->service,
        .source = journal_source(self->journal),
        .known = self->known,
        .take_over_ms = (int64_t)self->config->take_over_s * 1000,
        .deliver = on_stream_alert,
        .open_rows = on_open_rows,
        .elsewhere = on_elsewhere,
        .heard_of = on_heard_of,
        .looked_up = on_looked_up,
        .arg = self,
    };
    self->stream = stream_new(&options, err);
    return self->stream ? 0 : -1;
}

static int open_projector(struct notifier *self, struct error *err)
{
    const struct config_common *common = service_common(self->service);
    self->projection = (struct alert_projection){ .source = journal_source(self->journal),
                                                  .members = on_members,
                                                  .arg = self };
    const struct projector_options options = {
        .journal = self->journal,
        .hook = &self->hook,
        .redis = &common->redis,
        .force = common->force,
        .kind = "notify",
        .name = service_name(self->service),
        .metrics = service_metrics(self->service),
        .heartbeat = service_heartbeat_new(self->service, "projector"),
        .apply = alert_projection_apply,
        .arg = &self->projection,
    };
    self->projector = projector_new(&options, err);
    return self->projector ? 0 : -1;
}

static int open_loop(struct notifier *self, struct error *err)
{
    const struct due_loop_options options = { .name = "alerts",
                                              .inbox = self->inbox,
                                              .tick_ms = TICK_MS,
                                              .run = run_due,
                                              .tick = on_tick,
                                              .arg = self };
    self->loop = due_loop_new(&options, err);
    return self->loop ? 0 : -1;
}

static int open_security(struct notifier *self, struct error *err)
{
    const struct config_curve *curve = service_common(self->service)->curve;
    self->context = zmq_ctx_new();
    if (!self->context)
        return error_set(err, ERROR_SYSTEM, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
    return link_security_open(self->context, curve, service_metrics(self->service), &self->security,
                              err);
}

static void handle_alerts(void *arg, const struct admin_request *request,
                          struct admin_answer *answer)
{
    struct notifier *self = arg;
    (void)request;
    json_t *list = alert_flow_list(self->flow, LIST_MAX);
    answer->body = json_dumps(list, JSON_COMPACT);
    json_decref(list);
}

static int need_outbox_journal(const struct notifier *self, struct error *err)
{
    if (self->config->outbox_journal)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "notify.outbox_journal is missing: outward names accounts, outlets or a feed, "
                     "and what goes out is journalled first; write its directory");
}

/* Apart from the alerts in all it has. */
static int open_outbox(struct notifier *self, struct error *err)
{
    const struct outward_config *outward = service_shared(self->service);
    const struct outbox_options options = { .service = self->service,
                                            .outward = outward,
                                            .journal = self->config->outbox_journal };
    if (outward->accounts_count == 0 && outward->outlets_count == 0)
        return 0;
    if (need_outbox_journal(self, err) != 0)
        return -1;
    struct error why = { 0 };
    self->outbox = outbox_new(&options, &why);
    if (self->outbox)
        return 0;
    if (why.kind == ERROR_CONFIG) {
        *err = why;
        return -1;
    }
    /* A broken disk beside theirs must not keep alerts from going out. */
    log_error("outbox_not_started", KV("error", why.text),
              KV("remedy", "alerts go on, nothing else goes out from here: mend it, then restart"));
    return 0;
}

static int open_feed(struct notifier *self, struct error *err)
{
    const struct outward_config *outward = service_shared(self->service);
    const struct outward_feed *feed = &outward->feed;
    if (!feed->listen && !feed->publish_endpoint && !feed->snapshot_endpoint)
        return 0;
    if (need_outbox_journal(self, err) != 0)
        return -1;
    const struct feed_options options = { .config = outward,
                                          .common = service_common(self->service),
                                          .directory = self->config->outbox_journal->directory,
                                          .context = self->context,
                                          .security = self->security,
                                          .metrics = service_metrics(self->service) };
    self->feed = feed_new(&options, err);
    return self->feed ? 0 : -1;
}

/* In this order: whoever is opened later uses those before. */
static int open_all(struct notifier *self, struct error *err)
{
    self->inbox = inbox_new(err);
    if (!self->inbox || open_security(self, err) != 0 || open_journal(self, err) != 0 ||
        open_outbound(self, err) != 0 || open_flow(self, err) != 0 || open_loop(self, err) != 0 ||
        open_link(self, err) != 0 || open_stream(self, err) != 0 ||
        open_projector(self, err) != 0 || open_callbacks(self, err) != 0 ||
        open_outbox(self, err) != 0 || open_feed(self, err) != 0)
        return -1;
    admin_handle(service_admin(self->service), "/alerts", ADMIN_CONTROL, handle_alerts, self);
    self->heartbeat = service_heartbeat_new(self->service, "alerts");
    return due_loop_start(self->loop, err);
}

/* --- the service --- */

/* Whoever hands things over ends before whoever takes them; the inbox outlives all threads. */
static void notifier_stop(void **self_p)
{
    struct notifier *self = *self_p;
    if (!self)
        return;
    feed_destroy(&self->feed);
    outbox_destroy(&self->outbox);
    callback_server_destroy(&self->callbacks);
    due_loop_stop(self->loop);
    stream_destroy(&self->stream);
    outbound_destroy(&self->outbound);
    projector_destroy(&self->projector);
    journal_close(&self->journal);
    link_destroy(&self->link);
    due_loop_destroy(&self->loop);
    link_security_destroy(&self->security);
    if (self->context)
        (void)zmq_ctx_term(self->context); /* no socket is left to wait for */
    inbox_destroy(&self->inbox);
    alert_flow_destroy(&self->flow);
    keyring_destroy(&self->keyring);
    projector_hook_clear(&self->hook);
    free(self);
    *self_p = NULL;
}

static void *notifier_start(struct service *service, const void *config, struct error *err)
{
    struct notifier *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory");
        return NULL;
    }
    self->service = service;
    self->config = config;
    projector_hook_init(&self->hook);
    for (unsigned i = 0; i < self->config->callback_secret_files_count; i++)
        service_watch(service, self->config->callback_secret_files[i]);
    if (open_all(self, err) == 0)
        return self;
    void *half = self;
    notifier_stop(&half);
    return NULL;
}

static void notifier_drain(void *arg)
{
    struct notifier *self = arg;
    if (atomic_exchange(&self->is_draining, true))
        return;
    stream_drain(self->stream);
    post_order(self, run_drain);
    if (self->outbox)
        outbox_drain(self->outbox);
}

static bool notifier_is_drained(void *arg)
{
    struct notifier *self = arg;
    return alert_flow_is_drained(self->flow) && (!self->outbox || outbox_is_drained(self->outbox));
}

static bool notifier_is_ready(void *arg)
{
    struct notifier *self = arg;
    return !atomic_load(&self->is_draining);
}

static void notifier_describe(void *arg, json_t *detail)
{
    struct notifier *self = arg;
    char problem[PROBLEM_BYTES] = "";
    alert_flow_describe(self->flow, detail);
    status_put_journal(detail, self->journal);
    status_put(detail, "callback_port", json_integer(callback_server_port(self->callbacks)));
    const char *redis = stream_condition(self->stream, problem, sizeof problem);
    status_put_redis(detail, redis, problem);
    projector_describe(self->projector, detail);
    if (self->outbox)
        outbox_describe(self->outbox, detail);
    if (self->feed)
        feed_describe(self->feed, detail);
}

static void notifier_reload(void *arg)
{
    struct notifier *self = arg;
    struct error err = { 0 };
    if (callback_server_reload(self->callbacks, &err) != 0)
        log_error("secrets_not_reloaded", KV("error", err.text));
}

static const char *admin_listen(const void *arg)
{
    const struct notify_config *config = arg;
    return config->admin_listen ? config->admin_listen : "";
}

const struct service_spec *notifier_spec(void)
{
    static const struct service_part outward = { .name = "outward",
                                                 .fields = outward_config_fields,
                                                 .config_bytes = sizeof(struct outward_config),
                                                 .check = outward_config_check };
    static const struct service_spec spec = {
        .name = "notify",
        .summary =
            "Tells the dispatch system of urgent alerts, and the public what people decided.",
        .fields = notify_config_fields,
        .config_bytes = sizeof(struct notify_config),
        .check = notify_config_check,
        .admin_listen = admin_listen,
        .start = notifier_start,
        .drain = notifier_drain,
        .is_drained = notifier_is_drained,
        .stop = notifier_stop,
        .is_ready = notifier_is_ready,
        .describe = notifier_describe,
        .reload = notifier_reload,
        .shared = &outward,
    };
    return &spec;
}
