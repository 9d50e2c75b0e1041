#include "neighbours.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "admin/ask.h"
#include "clock/clock.h"
#include "desg/v1/event.pb-c.h"

enum { PATIENCE_MS = 60000, EXIT_BY_SIGNAL = 1000, STATUS_BYTES = 8192 };

#if defined(__SANITIZE_THREAD__)
/* libzmq hands messages over by atomics that ThreadSanitizer cannot see in it. Our own code is
 * watched: here by this, in desg-classify by a file it is told of. */
#define TSAN_SUPPRESSIONS "called_from_lib:libzmq.so\ncalled_from_lib:libczmq.so\nrace:libzmq.so\n"
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return TSAN_SUPPRESSIONS;
}

static void suppress_in_child(const struct neighbours *self)
{
    char path[128];
    char options[160];
    (void)snprintf(path, sizeof path, "%s/suppressions", self->files->directory);
    FILE *file = fopen(path, "we");
    if (!file || fputs(TSAN_SUPPRESSIONS, file) < 0 || fclose(file) != 0)
        _exit(126);
    (void)snprintf(options, sizeof options, "suppressions=%s", path);
    (void)setenv("TSAN_OPTIONS", options, 1);
}
#else
static void suppress_in_child(const struct neighbours *self)
{
    (void)self;
}
#endif

static const uint8_t source_id[ID_BYTES] = "journal of test";

static void note(struct neighbour *self, struct heard heard)
{
    assert_true(self->count < HEARD_MAX);
    self->heard[self->count++] = heard;
}

static int severity_of(const ProtobufCBinaryData *verdict)
{
    Desg__V1__Verdict *message = desg__v1__verdict__unpack(NULL, verdict->len, verdict->data);
    assert_non_null(message);
    int severity = (int)message->severity;
    desg__v1__verdict__free_unpacked(message, NULL);
    return severity;
}

static void answer_done(struct neighbour *self, link_peer peer, const Desg__V1__Batch *batch)
{
    Desg__V1__DoneItem items[LINK_BATCH_MAX_ITEMS];
    Desg__V1__DoneItem *list[LINK_BATCH_MAX_ITEMS];
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    done.source = batch->source;
    done.incarnation = batch->incarnation;
    done.history = (char *)"history-of-test";
    done.n_items = batch->n_items;
    done.items = list;
    for (size_t i = 0; i < batch->n_items; i++) {
        items[i] = (Desg__V1__DoneItem)DESG__V1__DONE_ITEM__INIT;
        items[i].position = batch->items[i]->position;
        items[i].outcome = DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW;
        list[i] = &items[i];
    }
    struct error err = { 0 };
    Desg__V1__Packet packet = link_packet_done(&done);
    assert_int_equal(link_send(self->link, peer, &packet, &err), 0);
}

static void hear_batch(struct neighbour *self, link_peer peer, const Desg__V1__Batch *batch)
{
    assert_int_equal(batch->incarnation, 42);
    for (size_t i = 0; i < batch->n_items; i++) {
        const Desg__V1__Item *item = batch->items[i];
        note(self, (struct heard){ DESG__V1__PACKET__KIND_BATCH, item->position->sequence,
                                   (int)batch->lane, severity_of(&item->verdict), item->is_alerted,
                                   item->event.len });
    }
    if (self->is_answering)
        answer_done(self, peer, batch);
}

static void hear_order(struct neighbour *self, link_peer peer, Desg__V1__AlertOrder *order)
{
    ProtobufCBinaryData ids[64];
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    for (size_t i = 0; i < order->n_alerts; i++) {
        const Desg__V1__Alert *alert = order->alerts[i];
        assert_true(alert->is_provisional);
        assert_int_equal(alert->alert_id.len, ID_BYTES);
        note(self, (struct heard){ .kind = DESG__V1__PACKET__KIND_ALERT_ORDER,
                                   .severity = severity_of(&alert->verdict),
                                   .event_bytes = alert->event.len });
        ids[i] = alert->alert_id;
    }
    alerted.n_alert_ids = order->n_alerts;
    alerted.alert_ids = ids;
    struct error err = { 0 };
    Desg__V1__Packet packet = link_packet_alerted(&alerted);
    if (self->is_answering)
        assert_int_equal(link_send(self->link, peer, &packet, &err), 0);
}

static void hear_answers(struct neighbour *self, const Desg__V1__Packet *packet)
{
    int kind = (int)packet->kind_case;
    for (size_t i = 0; kind == DESG__V1__PACKET__KIND_SEEN && i < packet->seen->n_items; i++)
        note(self, (struct heard){ .kind = kind,
                                   .sequence = packet->seen->items[i]->position->sequence,
                                   .severity = (int)packet->seen->items[i]->severity });
    for (size_t i = 0; kind == DESG__V1__PACKET__KIND_DONE && i < packet->done->n_items; i++)
        note(self, (struct heard){ .kind = kind,
                                   .sequence = packet->done->items[i]->position->sequence });
    for (size_t i = 0; kind == DESG__V1__PACKET__KIND_BUSY && i < packet->busy->n_items; i++)
        note(self, (struct heard){ .kind = kind,
                                   .sequence = packet->busy->items[i]->position->sequence,
                                   .is_alerted = packet->busy->items[i]->is_alerted });
    for (size_t i = 0; kind == DESG__V1__PACKET__KIND_REFUSED && i < packet->refused->n_positions;
         i++)
        note(self,
             (struct heard){ .kind = kind, .sequence = packet->refused->positions[i]->sequence });
}

static void on_packet(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct neighbour *self = arg;
    if (packet->kind_case == DESG__V1__PACKET__KIND_BATCH)
        hear_batch(self, peer, packet->batch);
    else if (packet->kind_case == DESG__V1__PACKET__KIND_ALERT_ORDER)
        hear_order(self, peer, packet->alert_order);
    else
        hear_answers(self, packet);
    if (packet->kind_case == DESG__V1__PACKET__KIND_SEEN)
        link_credit_return(self->link, peer, (uint32_t)packet->seen->n_items);
}

static void on_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    struct neighbour *self = arg;
    assert_string_equal(info->service, "classify");
    self->peer = peer;
}

static void on_down(void *arg, link_peer peer, bool is_drain)
{
    struct neighbour *self = arg;
    self->drains += is_drain;
    if (self->peer == peer)
        self->peer = 0;
}

static void open_link(struct neighbours *all, struct neighbour *self, const char *name,
                      uint32_t credit)
{
    char endpoint[160];
    struct error err = { 0 };
    self->metrics = metrics_new();
    self->instance = id_random();
    const struct link_options options = {
        .service = name,
        .name = name,
        .instance = &self->instance,
        .label = name,
        .credit = credit,
        .context = all->context,
        .loop = all->loop,
        .metrics = self->metrics,
        .handler = { on_up, on_down, on_packet },
        .arg = self,
    };
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", all->files->directory, name);
    self->link = link_bind(&options, endpoint, &err);
    if (!self->link)
        fail_msg("%s", err.text);
}

void ingest_open(struct neighbours *self)
{
    open_link(self, &self->ingest, "ingest", 0);
}

void route_open(struct neighbours *self, uint32_t credit)
{
    open_link(self, &self->urgent, "urgent", credit);
    open_link(self, &self->bulk, "bulk", credit);
    self->urgent.is_answering = self->bulk.is_answering = true;
}

void notify_open(struct neighbours *self, bool is_answering)
{
    open_link(self, &self->notify, "notify", 0);
    self->notify.is_answering = is_answering;
}

void neighbour_close(struct neighbour *self)
{
    link_destroy(&self->link);
    metrics_destroy(&self->metrics);
    self->peer = 0;
}

static void write_config(struct neighbours *self)
{
    const char *directory = self->files->directory;
    (void)snprintf(self->config, sizeof self->config, "%s/desg.yaml", directory);
    FILE *file = fopen(self->config, "we");
    assert_non_null(file);
    (void)fprintf(
        file,
        "common: { force: test, run_directory: %s/run, log_level: error, grace_ms: 5000,\n"
        "          redis: { address: \"unix:%s/redis\" } }\n"
        "classify:\n"
        "  ingest_endpoints: [\"ipc://%s/ingest\"]\n"
        "  route_urgent_endpoints: [\"ipc://%s/urgent\"]\n"
        "  route_bulk_endpoints: [\"ipc://%s/bulk\"]\n"
        "  notify_endpoints: [\"ipc://%s/notify\"]\n"
        "  rules_directory: %s\n",
        directory, directory, directory, directory, directory, directory, self->files->rules);
    assert_int_equal(fclose(file), 0);
}

int neighbours_setup(void **state)
{
    void *files = NULL;
    struct neighbours *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)rules_fixture_setup(&files);
    self->files = files;
    self->context = zmq_ctx_new();
    self->loop = zloop_new();
    write_config(self);
    *state = self;
    return 0;
}

int neighbours_teardown(void **state)
{
    struct neighbours *self = *state;
    void *files = self->files;
    if (self->pid > 0)
        (void)classify_end(self, SIGKILL);
    neighbour_close(&self->ingest);
    neighbour_close(&self->urgent);
    neighbour_close(&self->bulk);
    neighbour_close(&self->notify);
    zloop_destroy(&self->loop);
    (void)zmq_ctx_term(self->context);
    (void)rules_fixture_teardown(&files);
    free(self);
    return 0;
}

void classify_start(struct neighbours *self, const char *argument)
{
    assert_int_equal(self->pid, 0);
    self->pid = fork();
    assert_true(self->pid >= 0);
    if (self->pid == 0) {
        char *const arguments[] = { (char *)CLASSIFY_PROGRAM, (char *)"--config", self->config,
                                    (char *)argument, NULL };
        suppress_in_child(self);
        (void)execv(CLASSIFY_PROGRAM, arguments);
        _exit(127);
    }
}

int classify_end(struct neighbours *self, int signal)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    int status = 0;
    pid_t ended = 0;
    if (signal != 0)
        assert_int_equal(kill(self->pid, signal), 0);
    while (ended == 0 && clock_monotonic_ms() < until_ms) {
        run_for(self, 10);
        ended = waitpid(self->pid, &status, WNOHANG);
    }
    assert_int_equal(ended, self->pid);
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BY_SIGNAL + WTERMSIG(status);
}

struct watch {
    const struct neighbours *all;
    bool (*done)(const struct neighbours *self);
    int64_t until_ms;
    bool is_done;
};

static int on_look(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct watch *watch = arg;
    watch->is_done = watch->done && watch->done(watch->all);
    return watch->is_done || clock_monotonic_ms() >= watch->until_ms ? -1 : 0;
}

static bool run_until(struct neighbours *self, bool (*done)(const struct neighbours *self), int ms)
{
    struct watch watch = { self, done, clock_monotonic_ms() + ms, false };
    int timer = zloop_timer(self->loop, 2, 0, on_look, &watch);
    (void)zloop_start(self->loop);
    (void)zloop_timer_end(self->loop, timer);
    return watch.is_done;
}

void run_for(struct neighbours *self, int ms)
{
    (void)run_until(self, NULL, ms);
}

void await(struct neighbours *self, bool (*done)(const struct neighbours *self), const char *what)
{
    if (!run_until(self, done, PATIENCE_MS))
        fail_msg("in vain: %s", what);
}

int64_t classify_says(const struct neighbours *self, const char *part, const char *name)
{
    char path[160];
    char body[STATUS_BYTES] = "";
    struct error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/run/classify.sock", self->files->directory);
    if (admin_ask("", path, "/status", body, sizeof body, &err) != 200)
        return -1;
    json_t *status = json_loads(body, 0, NULL);
    const json_t *value =
        json_object_get(json_object_get(json_object_get(status, "detail"), part), name);
    int64_t number = json_is_integer(value)   ? (int64_t)json_integer_value(value)
                     : json_is_boolean(value) ? json_boolean_value(value)
                                              : -1;
    json_decref(status);
    return number;
}

static bool has_both_ends(const struct neighbours *self, const struct neighbour *neighbour,
                          const char *name)
{
    return !neighbour->link || (neighbour->peer != 0 && classify_says(self, "peers", name) == 1);
}

bool is_linked(const struct neighbours *self)
{
    return has_both_ends(self, &self->ingest, "ingest") &&
           has_both_ends(self, &self->urgent, "route_urgent") &&
           has_both_ends(self, &self->bulk, "route_bulk") &&
           has_both_ends(self, &self->notify, "notify");
}

static size_t make_event(uint64_t sequence, const char *text, uint8_t *out, size_t room)
{
    uint8_t id[ID_BYTES] = { 1, (uint8_t)sequence, (uint8_t)(sequence >> 8) };
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    if (!text) {
        memset(out, 0xFF, 10);
        return 10;
    }
    event.id = (ProtobufCBinaryData){ sizeof id, id };
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.channel = (char *)"facebook";
    event.text = (char *)text;
    assert_true(desg__v1__event__get_packed_size(&event) <= room);
    return desg__v1__event__pack(&event, out);
}

void ingest_send(struct neighbours *self, uint64_t first, const char *const *texts, size_t count)
{
    ingest_send_kept(self, first, texts, count, NULL);
}

void ingest_send_kept(struct neighbours *self, uint64_t first, const char *const *texts,
                      size_t count, const Desg__V1__Verdict *kept)
{
    enum { EVENTS_MAX = 64, EVENT_BYTES = 1024 };
    uint8_t verdict[256];
    size_t verdict_bytes = kept ? desg__v1__verdict__pack(kept, verdict) : 0;
    static uint8_t bytes[EVENTS_MAX][EVENT_BYTES];
    Desg__V1__Position positions[EVENTS_MAX];
    Desg__V1__Item items[EVENTS_MAX];
    Desg__V1__Item *list[EVENTS_MAX];
    assert_true(count <= EVENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        positions[i] = (Desg__V1__Position)DESG__V1__POSITION__INIT;
        positions[i].sequence = first + i;
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].position = &positions[i];
        items[i].event.data = bytes[i];
        items[i].event.len = make_event(first + i, texts[i], bytes[i], EVENT_BYTES);
        items[i].verdict = (ProtobufCBinaryData){ verdict_bytes, verdict };
        list[i] = &items[i];
    }
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.source = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)source_id };
    batch.incarnation = 42;
    batch.n_items = count;
    batch.items = list;
    struct error err = { 0 };
    Desg__V1__Packet packet = link_packet_batch(&batch);
    if (link_send(self->ingest.link, self->ingest.peer, &packet, &err) != 0)
        fail_msg("%s", err.text);
}

size_t heard(const struct neighbour *self, int kind, uint64_t sequence)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        count +=
            self->heard[i].kind == kind && (sequence == 0 || self->heard[i].sequence == sequence);
    return count;
}

const struct heard *heard_first(const struct neighbour *self, int kind, uint64_t sequence)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->heard[i].kind == kind && self->heard[i].sequence == sequence)
            return &self->heard[i];
    }
    fail_msg("nothing heard of event %llu", (unsigned long long)sequence);
    return NULL;
}
