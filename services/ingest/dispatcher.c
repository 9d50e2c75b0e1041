#include "ingest/dispatcher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock/clock.h"
#include "desg/v1/verdict.pb-c.h"
#include "ingest/custody.h"
#include "ingest/dispatch_status.h"
#include "ingest/record_split.h"
#include "ingest/source_progress.h"
#include "link/link.h"
#include "log/log.h"

enum {
    TICK_MS = 25,
    SNAPSHOT_MS = 250,
    PUMP_ROUNDS = 8,
    PAGE_MAX_BYTES = 2 << 20,
    VERDICT_MAX_BYTES = 256,
    REQUESTS_MAX = 64,
};

/* What a person wants offered again, from the admin thread to ours. */
struct request {
    uint64_t first;
    uint64_t last;
    bool is_retry; /* suspicions are forgotten */
};
struct requests {
    pthread_mutex_t lock;
    struct request items[REQUESTS_MAX];
    size_t count;
};

struct dispatcher {
    struct service *service;
    const struct ingest_config *config;
    struct record_splitter reading;
    struct journal *journal;
    dispatcher_watch *watch;
    void *watch_arg;

    pthread_t thread;
    bool is_running;
    int wake_fd;
    atomic_bool is_signalled;
    atomic_bool is_draining;
    atomic_bool is_drained;
    atomic_bool is_stopping;
    atomic_uint_fast64_t committed;

    void *context;
    zloop_t *loop;
    struct link_security *security;
    struct link *workers;
    struct link *routes;
    struct custody *custody;
    struct source_progress progress;
    struct heartbeat *heartbeat;
    int64_t snapshot_at_ms;
    uint8_t unclassified[VERDICT_MAX_BYTES];
    size_t unclassified_length;
    struct dispatch_status *status;
    struct requests requests;
    struct journal_page page;
};

/* Links number their peers each for itself; custody needs one space. */
static uint64_t worker_peer(link_peer peer)
{
    return peer * 2;
}

static uint64_t route_peer(link_peer peer)
{
    return peer * 2 + 1;
}

static void pump(struct dispatcher *self);

/* --- from the links --- */

static void on_worker_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    struct dispatcher *self = arg;
    log_info("worker_came", KV("worker", info->name), KV("peer", peer));
    const struct custody_worker who = { .instance = info->instance,
                                        .credit = link_credit(self->workers, peer),
                                        .channels = info->channels,
                                        .channel_count = info->channel_count };
    custody_worker_up(self->custody, worker_peer(peer), &who, clock_monotonic_ms());
    pump(self);
}

static void on_worker_down(void *arg, link_peer peer, bool is_drain)
{
    struct dispatcher *self = arg;
    log_info("worker_went", KV("peer", peer), KV("drained", is_drain));
    custody_worker_down(self->custody, worker_peer(peer), is_drain, clock_monotonic_ms());
    pump(self);
}

static void on_route_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    struct dispatcher *self = arg;
    log_info("route_came", KV("route", info->name), KV("peer", peer));
    custody_route_up(self->custody, route_peer(peer), link_credit(self->routes, peer));
    pump(self);
}

static void on_route_down(void *arg, link_peer peer, bool is_drain)
{
    struct dispatcher *self = arg;
    log_info("route_went", KV("peer", peer), KV("drained", is_drain));
    custody_route_down(self->custody, route_peer(peer), clock_monotonic_ms());
    pump(self);
}

static void on_worker_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct dispatcher *self = arg;
    if (!source_progress_answers(&self->progress, worker_peer(peer), packet,
                                 clock_monotonic_ms())) {
        log_warn("packet_unexpected", KV("from", "classify"), KV("kind", (int)packet->kind_case));
        return;
    }
    uint32_t returned = custody_take_returned(self->custody, worker_peer(peer));
    if (returned > 0)
        link_credit_return(self->workers, peer, returned);
    pump(self);
}

static void log_rewind(struct dispatcher *self, const char *history, uint64_t mark)
{
    struct custody_status status;
    struct journal_stats stats;
    custody_status(self->custody, clock_monotonic_ms(), &status);
    journal_stats(self->journal, &stats);
    log_info("history_changed", KV("history", history), KV("mark", mark),
             KV("newest", status.newest), KV("replaying", status.deferred));
    if (stats.oldest_sequence > 1 && mark + 1 < stats.oldest_sequence)
        log_error("archive_needed", KV("mark", mark), KV("oldest", stats.oldest_sequence),
                  KV("remedy", "replay the archive that holds the records between"));
}

static void on_history(struct dispatcher *self, const Desg__V1__History *history)
{
    struct source_rewind rewind =
        source_progress_history(&self->progress, history, clock_monotonic_ms());
    if (rewind.is_mark_unknown)
        log_warn("mark_unknown", KV("sequence", history->mark_sequence));
}

/* The first mark under another history: from there all is replayed. */
static void on_marked(struct dispatcher *self, const Desg__V1__Marked *marked)
{
    struct source_rewind rewind =
        source_progress_marked(&self->progress, marked, clock_monotonic_ms());
    if (rewind.is_rewound)
        log_rewind(self, marked->history, rewind.mark);
}

static void on_route_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct dispatcher *self = arg;
    if (packet->kind_case == DESG__V1__PACKET__KIND_HISTORY)
        on_history(self, packet->history);
    else if (packet->kind_case == DESG__V1__PACKET__KIND_MARKED)
        on_marked(self, packet->marked);
    else if (!source_progress_answers(&self->progress, route_peer(peer), packet,
                                      clock_monotonic_ms()))
        log_warn("packet_unexpected", KV("from", "route"), KV("kind", (int)packet->kind_case));
    uint32_t returned = custody_take_returned(self->custody, route_peer(peer));
    if (returned > 0)
        link_credit_return(self->routes, peer, returned);
    pump(self);
}

/* --- journal → custody --- */

static uint64_t journal_incarnation_there(void *arg, uint64_t sequence)
{
    struct dispatcher *self = arg;
    return journal_incarnation_of(self->journal, sequence);
}

static bool find_incarnation(void *arg, uint64_t incarnation, uint64_t *first, uint64_t *last)
{
    struct dispatcher *self = arg;
    return journal_find_incarnation(self->journal, incarnation, first, last);
}

static void keep_note(void *arg, uint64_t sequence, uint32_t index, uint16_t kind,
                      const void *bytes, size_t length)
{
    struct dispatcher *self = arg;
    journal_note(self->journal, sequence, index, kind, bytes, length);
}

static void retain(void *arg, uint64_t sequence)
{
    struct dispatcher *self = arg;
    journal_retain(self->journal, sequence);
}

static void release(void *arg, uint64_t sequence)
{
    struct dispatcher *self = arg;
    journal_release(self->journal, sequence);
}

static void split_record(void *arg, const struct journal_record *record, bool is_replayed,
                         struct split *out)
{
    struct dispatcher *self = arg;
    record_split(&self->reading, record, is_replayed, out);
    if (record->is_damaged)
        dispatch_status_damaged(self->status, 1);
    if (out->poison)
        dispatch_status_set_aside(self->status);
}

/* What retention deleted lies before the oldest record. A hole behind it is damage, and a person
 * must know. */
static void on_gap(void *arg, uint64_t first, uint64_t last)
{
    struct dispatcher *self = arg;
    struct journal_stats stats;
    journal_stats(self->journal, &stats);
    if (first >= stats.oldest_sequence) {
        dispatch_status_damaged(self->status, last - first + 1);
        log_error("journal_gap_found", KV("first_sequence", first), KV("last_sequence", last));
    }
}

static bool load_some(struct dispatcher *self)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t max_records = 0;
    struct error err = { 0 };
    if (!custody_next_load(self->custody, clock_monotonic_ms(), &first, &last, &max_records))
        return false;
    if (journal_read(self->journal, first, max_records, PAGE_MAX_BYTES, &self->page, &err) != 0) {
        log_error("journal_unreadable", KV("sequence", first), KV("error", err.text));
        return false;
    }
    source_progress_load(&self->progress, &self->page, first, last, clock_monotonic_ms(),
                         clock_unix_ms(), on_gap, self);
    journal_page_clear(&self->page);
    return true;
}

/* --- custody → links --- */

static void send_batch(struct dispatcher *self, const struct custody_batch *batch)
{
    Desg__V1__Item items[CUSTODY_BATCH_MAX_ITEMS];
    Desg__V1__Item *pointers[CUSTODY_BATCH_MAX_ITEMS];
    Desg__V1__Position positions[CUSTODY_BATCH_MAX_ITEMS];
    for (size_t i = 0; i < batch->count; i++) {
        const struct custody_item *from = &batch->items[i];
        positions[i] = (Desg__V1__Position)DESG__V1__POSITION__INIT;
        positions[i].sequence = from->sequence;
        positions[i].index = from->index;
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].position = &positions[i];
        items[i].event =
            (ProtobufCBinaryData){ from->event->length, (uint8_t *)from->event->bytes };
        items[i].verdict = (ProtobufCBinaryData){ from->verdict_length, (uint8_t *)from->verdict };
        if (batch->is_to_route && !from->verdict)
            items[i].verdict =
                (ProtobufCBinaryData){ self->unclassified_length, self->unclassified };
        items[i].is_alerted = from->is_alerted;
        items[i].is_replayed = from->is_replayed;
        items[i].is_quarantined = from->quarantine_reason != NULL;
        if (from->quarantine_reason)
            items[i].quarantine_reason = (char *)from->quarantine_reason;
        pointers[i] = &items[i];
    }
    Desg__V1__Batch message = DESG__V1__BATCH__INIT;
    message.source = (ProtobufCBinaryData){ ID_BYTES, self->reading.source.bytes };
    message.incarnation = source_progress_fence(&self->progress);
    message.lane =
        batch->is_to_route ? DESG__V1__LANE__LANE_URGENT : DESG__V1__LANE__LANE_UNSPECIFIED;
    message.n_items = batch->count;
    message.items = pointers;
    Desg__V1__Packet packet = link_packet_batch(&message);
    struct error err = { 0 };
    struct link *link = batch->is_to_route ? self->routes : self->workers;
    if (link_send(link, batch->peer / 2, &packet, &err) != 0) {
        dispatch_status_not_sent(self->status);
        custody_not_sent(self->custody, batch, clock_monotonic_ms());
    }
}

static void send_hello(struct dispatcher *self, int64_t now_ms)
{
    uint64_t route = 0;
    Desg__V1__Hello hello;
    if (!source_progress_next_hello(&self->progress, now_ms, &route, &hello))
        return;
    Desg__V1__Packet packet = link_packet_hello(&hello);
    struct error err = { 0 };
    if (link_send(self->routes, route / 2, &packet, &err) != 0)
        dispatch_status_not_sent(self->status); /* the next one comes in two seconds */
}

static void send_mark(struct dispatcher *self, int64_t now_ms)
{
    uint64_t route = 0;
    Desg__V1__Mark mark;
    if (!source_progress_next_mark(&self->progress, now_ms, &route, &mark))
        return;
    Desg__V1__Packet packet = link_packet_mark(&mark);
    struct error err = { 0 };
    if (link_send(self->routes, route / 2, &packet, &err) != 0)
        dispatch_status_not_sent(self->status); /* the next one comes in a second */
}

static void wake(struct dispatcher *self)
{
    if (atomic_exchange(&self->is_signalled, true))
        return;
    uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof one);
    (void)written; /* full means it is readable already */
}

static void pump(struct dispatcher *self)
{
    struct custody_batch batch;
    bool has_more = true;
    custody_committed(self->custody, atomic_load(&self->committed));
    for (int round = 0; round < PUMP_ROUNDS && has_more; round++) {
        has_more = load_some(self);
        while (custody_next_batch(self->custody, clock_monotonic_ms(), &batch))
            send_batch(self, &batch);
    }
    source_progress_flush_notes(&self->progress);
    if (has_more)
        wake(self); /* let answers in between */
}

static void take_requests(struct dispatcher *self)
{
    (void)pthread_mutex_lock(&self->requests.lock);
    for (size_t i = 0; i < self->requests.count; i++) {
        const struct request *request = &self->requests.items[i];
        if (request->is_retry) {
            bool is_known = custody_retry(self->custody, request->first);
            log_info("retry_asked", KV("sequence", request->first), KV("known", is_known));
        } else {
            uint64_t records = custody_replay(self->custody, request->first, request->last);
            log_info("replay_asked", KV("first_sequence", request->first),
                     KV("last_sequence", request->last), KV("records", records));
        }
    }
    self->requests.count = 0;
    (void)pthread_mutex_unlock(&self->requests.lock);
}

static bool ask(struct dispatcher *self, struct request request)
{
    (void)pthread_mutex_lock(&self->requests.lock);
    bool has_room = self->requests.count < REQUESTS_MAX;
    if (has_room)
        self->requests.items[self->requests.count++] = request;
    (void)pthread_mutex_unlock(&self->requests.lock);
    if (has_room)
        wake(self);
    return has_room;
}

bool dispatcher_retry(struct dispatcher *self, uint64_t sequence)
{
    return ask(self, (struct request){ sequence, sequence, true });
}

bool dispatcher_replay(struct dispatcher *self, uint64_t first, uint64_t last)
{
    return ask(self, (struct request){ first, last, false });
}

static int on_wake(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    struct dispatcher *self = arg;
    uint64_t count = 0;
    ssize_t got = read(item->fd, &count, sizeof count);
    (void)got;
    atomic_store(&self->is_signalled, false);
    if (atomic_load(&self->is_stopping))
        return -1;
    if (atomic_load(&self->is_draining))
        custody_drain(self->custody);
    take_requests(self);
    pump(self);
    return 0;
}

/* --- how it stands --- */

static void take_snapshot(struct dispatcher *self, int64_t now_ms)
{
    struct custody_status status;
    custody_status(self->custody, now_ms, &status);
    dispatch_status_put(self->status, &status, &self->progress.counts, link_describe(self->workers),
                        link_describe(self->routes));
    if (self->watch)
        self->watch(self->watch_arg, &status, now_ms);
}

static int on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct dispatcher *self = arg;
    int64_t now_ms = clock_monotonic_ms();
    heartbeat_beat(self->heartbeat);
    custody_tick(self->custody, now_ms);
    send_hello(self, now_ms);
    send_mark(self, now_ms);
    pump(self);
    if (now_ms - self->snapshot_at_ms >= SNAPSHOT_MS) {
        self->snapshot_at_ms = now_ms;
        take_snapshot(self, now_ms);
    }
    atomic_store(&self->is_drained, custody_is_idle(self->custody));
    return 0;
}

void dispatcher_describe(struct dispatcher *self, json_t *detail)
{
    dispatch_status_describe(self->status, detail);
}

void dispatcher_status(struct dispatcher *self, struct custody_status *out)
{
    dispatch_status_get(self->status, out);
    uint64_t committed = atomic_load(&self->committed);
    if (committed > out->newest) { /* since the snapshot */
        out->unloaded += committed - out->newest;
        out->newest = committed;
    }
}

/* --- life --- */

/* What ingest says of an event that triage never saw: treated as urgent until somebody knows
 * better. */
static void make_unclassified(struct dispatcher *self)
{
    Desg__V1__Verdict verdict = DESG__V1__VERDICT__INIT;
    verdict.severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    verdict.is_unclassified = true;
    verdict.score = 1.0f;
    char category[] = "unclassified";
    verdict.category = category;
    self->unclassified_length = desg__v1__verdict__pack(&verdict, self->unclassified);
}

struct dispatcher *dispatcher_new(const struct dispatcher_options *options, struct error *err)
{
    struct dispatcher *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the dispatcher");
        return NULL;
    }
    self->service = options->service;
    self->config = options->config;
    self->reading.splitter = options->splitter;
    self->reading.reader = LOADING_DISPATCHER;
    self->watch = options->watch;
    self->watch_arg = options->watch_arg;
    (void)pthread_mutex_init(&self->requests.lock, NULL);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->wake_fd < 0) {
        (void)error_set(err, ERROR_SYSTEM, "no descriptor for the dispatcher");
        dispatcher_destroy(&self);
        return NULL;
    }
    self->status = dispatch_status_new(service_metrics(options->service), err);
    if (!self->status)
        dispatcher_destroy(&self);
    else
        make_unclassified(self);
    return self;
}

static int open_links(struct dispatcher *self, struct error *err)
{
    self->context = zmq_ctx_new();
    self->loop = zloop_new();
    if (!self->context || !self->loop)
        return error_set(err, ERROR_SYSTEM, "cannot make a ZeroMQ context");
    if (link_security_open(self->context, service_common(self->service)->curve,
                           service_metrics(self->service), &self->security, err) != 0)
        return -1;
    struct link_options options = {
        .service = "ingest",
        .name = service_name(self->service),
        .instance = service_instance(self->service),
        .label = "classify",
        .context = self->context,
        .loop = self->loop,
        .metrics = service_metrics(self->service),
        .security = self->security,
        .handler = { on_worker_up, on_worker_down, on_worker_packet },
        .arg = self,
    };
    self->workers = link_bind(&options, self->config->classify_endpoint, err);
    if (!self->workers)
        return -1;
    options.label = "route";
    options.handler = (struct link_handler){ on_route_up, on_route_down, on_route_packet };
    self->routes = link_connect(&options, (const char *const *)self->config->route_endpoints,
                                self->config->route_endpoints_count, err);
    return self->routes ? 0 : -1;
}

static void *run(void *arg)
{
    struct dispatcher *self = arg;
    pthread_setname_np(pthread_self(), "dispatcher");
    (void)zloop_start(self->loop);
    return NULL;
}

int dispatcher_start(struct dispatcher *self, struct journal *journal, struct loading *loading,
                     struct error *err)
{
    struct journal_stats stats;
    self->journal = journal;
    self->reading.source = journal_source(journal);
    self->reading.loading = loading;
    journal_stats(journal, &stats);
    atomic_store(&self->committed, stats.newest_sequence);
    struct custody_limits limits = custody_default_limits();
    if (service_common(self->service)->redis.sentinels_count > 0)
        limits.settles_ms = SOURCE_RELEASE_AFTER_MS; /* a replica that lags may take it back */
    self->custody =
        custody_new(&limits, stats.oldest_sequence, stats.newest_sequence, clock_monotonic_ms());
    const struct source_journal hands = { .incarnation_of = journal_incarnation_there,
                                          .find_incarnation = find_incarnation,
                                          .note = keep_note,
                                          .retain = retain,
                                          .release = release,
                                          .split = split_record,
                                          .arg = self };
    const struct source_found found = { stats.newest_sequence, stats.released_sequence };
    source_progress_init(&self->progress, self->custody, &hands, &self->reading.source,
                         journal_incarnation(journal), &found);
    if (open_links(self, err) != 0)
        return -1;
    self->heartbeat = service_heartbeat_new(self->service, "dispatcher");
    zmq_pollitem_t wake_item = { .fd = self->wake_fd, .events = ZMQ_POLLIN };
    if (zloop_poller(self->loop, &wake_item, on_wake, self) != 0 ||
        zloop_timer(self->loop, TICK_MS, 0, on_tick, self) < 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the dispatcher's loop");
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the dispatcher's thread");
    self->is_running = true;
    return 0;
}

void dispatcher_committed(void *arg, uint64_t last_sequence)
{
    struct dispatcher *self = arg;
    atomic_store(&self->committed, last_sequence);
    wake(self);
}

void dispatcher_drain(struct dispatcher *self)
{
    atomic_store(&self->is_draining, true);
    wake(self);
}

bool dispatcher_is_drained(const struct dispatcher *self)
{
    return !self->is_running || (atomic_load(&self->is_draining) && atomic_load(&self->is_drained));
}

void dispatcher_destroy(struct dispatcher **self_p)
{
    struct dispatcher *self = *self_p;
    if (!self)
        return;
    if (self->is_running) {
        atomic_store(&self->is_stopping, true);
        atomic_store(&self->is_signalled, false);
        wake(self);
        (void)pthread_join(self->thread, NULL);
    }
    link_destroy(&self->workers);
    link_destroy(&self->routes);
    link_security_destroy(&self->security);
    zloop_destroy(&self->loop);
    if (self->context)
        (void)zmq_ctx_term(self->context);
    custody_destroy(&self->custody);
    dispatch_status_destroy(&self->status);
    (void)pthread_mutex_destroy(&self->requests.lock);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    free(self);
    *self_p = NULL;
}
