/* Route as its neighbours see it: a client in the place of classify, one in the place of notify,
 * and a real Redis that is frozen and thawed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "link/link.h"
#include "redis_server.h"
#include "route/route.h"
#include "sample.h"

enum {
    DEADLINE_MS = 60000,
    SEEN_MAX = 4096,
    CHECK_MS = 2,
    REDIS_MS = 250, /* time-out of a call */
    OFFERS_MAX = 20,
};

#define KIND(name) DESG__V1__PACKET__KIND_##name
#define URGENT     DESG__V1__SEVERITY__SEVERITY_URGENT
#define ROUTINE    DESG__V1__SEVERITY__SEVERITY_ROUTINE

/* What route answered about one sequence number. */
struct seen {
    Desg__V1__Packet__KindCase kind; /* of the last answer */
    Desg__V1__DoneOutcome outcome;
    bool is_alerted;
    int64_t at_ms;
    size_t answers;
};

struct fixture {
    struct redis_server *server;
    char folder[64];
    char endpoints[3][96];
    char *notify_endpoint;
    struct config_common common;
    struct route_config config;
    struct metrics *metrics;
    struct route *route;
    struct id instances[3];
    struct id source;
    void *context;
    zloop_t *loop;
    struct link *lanes[2]; /* we, as classify */
    link_peer peers[2];
    struct link *notify; /* we, as notify */
    bool is_notify_mute;
    size_t orders;
    struct seen seen[SEEN_MAX];
    char history[STORE_HISTORY_BYTES];
    uint64_t mark[2];
    size_t histories;
    int marked; /* -1: no answer yet */
    bool is_draining;
};

static struct seen *seen_at(struct fixture *f, const Desg__V1__Position *position)
{
    assert_true(position->sequence < SEEN_MAX);
    struct seen *seen = &f->seen[position->sequence];
    seen->at_ms = clock_monotonic_ms();
    seen->answers++;
    return seen;
}

static void on_done(struct fixture *f, const Desg__V1__Done *done)
{
    memcpy(f->history, done->history, sizeof f->history);
    for (size_t i = 0; i < done->n_items; i++) {
        struct seen *seen = seen_at(f, done->items[i]->position);
        seen->kind = KIND(DONE);
        seen->outcome = done->items[i]->outcome;
        assert_true(done->items[i]->verdict.len > 0);
    }
}

static void on_answer(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    (void)peer;
    struct fixture *f = arg;
    switch (packet->kind_case) {
    case KIND(DONE):
        on_done(f, packet->done);
        break;
    case KIND(BUSY):
        for (size_t i = 0; i < packet->busy->n_items; i++) {
            struct seen *seen = seen_at(f, packet->busy->items[i]->position);
            seen->kind = KIND(BUSY);
            seen->is_alerted = packet->busy->items[i]->is_alerted;
        }
        break;
    case KIND(REFUSED):
        for (size_t i = 0; i < packet->refused->n_positions; i++)
            seen_at(f, packet->refused->positions[i])->kind = KIND(REFUSED);
        break;
    case KIND(HISTORY):
        assert_true(strlen(packet->history->history) < sizeof f->history);
        strcpy(f->history, packet->history->history); /* NOLINT: bounded above */
        f->mark[0] = packet->history->mark_incarnation;
        f->mark[1] = packet->history->mark_sequence;
        f->histories++;
        break;
    case KIND(MARKED):
        f->marked = packet->marked->is_stored;
        break;
    case KIND(DRAIN):
        f->is_draining = true;
        break;
    default:
        fail_msg("unexpected packet %d", (int)packet->kind_case);
    }
}

static void on_urgent_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    assert_string_equal(info->service, "route");
    ((struct fixture *)arg)->peers[0] = peer;
}

static void on_bulk_up(void *arg, link_peer peer, const struct link_peer_info *info)
{
    assert_string_equal(info->service, "route");
    ((struct fixture *)arg)->peers[1] = peer;
}

static void on_order(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct fixture *f = arg;
    if (packet->kind_case != KIND(ALERT_ORDER))
        return;
    f->orders += packet->alert_order->n_alerts;
    if (f->is_notify_mute)
        return;
    ProtobufCBinaryData ids[LINK_BATCH_MAX_ITEMS];
    Desg__V1__Alerted alerted = DESG__V1__ALERTED__INIT;
    alerted.n_alert_ids = packet->alert_order->n_alerts;
    alerted.alert_ids = ids;
    for (size_t i = 0; i < alerted.n_alert_ids; i++) {
        assert_true(packet->alert_order->alerts[i]->is_provisional);
        ids[i] = packet->alert_order->alerts[i]->alert_id;
    }
    Desg__V1__Packet answer = link_packet_alerted(&alerted);
    struct error err = { 0 };
    assert_int_equal(link_send(f->notify, peer, &answer, &err), 0);
}

/* --- running the test's own loop until something holds --- */

typedef bool condition(struct fixture *f, size_t number);

struct waiting {
    struct fixture *f;
    condition *holds;
    size_t number;
    int64_t until_ms;
    bool is_met;
};

static int check(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct waiting *self = arg;
    self->is_met = self->holds(self->f, self->number);
    return self->is_met || clock_monotonic_ms() > self->until_ms ? -1 : 0;
}

static bool until(struct fixture *f, condition *holds, size_t number)
{
    struct waiting waiting = {
        .f = f, .holds = holds, .number = number, .until_ms = clock_monotonic_ms() + DEADLINE_MS
    };
    int timer = zloop_timer(f->loop, CHECK_MS, 0, check, &waiting);
    assert_true(timer >= 0);
    (void)zloop_start(f->loop);
    (void)zloop_timer_end(f->loop, timer);
    return waiting.is_met;
}

static bool is_connected(struct fixture *f, size_t number)
{
    (void)number;
    return f->peers[0] != 0 && f->peers[1] != 0;
}

static bool are_answered(struct fixture *f, size_t number)
{
    for (size_t i = 0; i < number; i++)
        if (f->seen[i].answers == 0)
            return false;
    return true;
}

static bool is_answered(struct fixture *f, size_t number)
{
    return f->seen[number].answers > 0;
}

static bool has_history(struct fixture *f, size_t number)
{
    return f->histories > number;
}

static bool is_marked(struct fixture *f, size_t number)
{
    (void)number;
    return f->marked >= 0;
}

static bool has_notify_peers(struct fixture *f, size_t number)
{
    return link_peer_count(f->notify) >= number;
}

static bool is_redis(struct fixture *f, const char *state)
{
    json_t *detail = json_object();
    route_describe(f->route, detail);
    bool is_so =
        strcmp(json_string_value(json_object_get(json_object_get(detail, "redis"), "state")),
               state) == 0;
    json_decref(detail);
    return is_so;
}

static bool is_redis_ready(struct fixture *f, size_t number)
{
    (void)number;
    return is_redis(f, "ready");
}

/* --- fixture --- */

static struct link *connect_lane(struct fixture *f, int lane)
{
    struct link_options options = { .service = "classify",
                                    .name = "classify-test",
                                    .instance = &f->instances[lane],
                                    .label = lane == 0 ? "urgent" : "bulk",
                                    .context = f->context,
                                    .loop = f->loop,
                                    .metrics = f->metrics,
                                    .handler = { .peer_up = lane == 0 ? on_urgent_up : on_bulk_up,
                                                 .packet = on_answer },
                                    .arg = f };
    struct error err = { 0 };
    const char *endpoint = f->endpoints[lane];
    struct link *link = link_connect(&options, &endpoint, 1, &err);
    if (!link)
        fail_msg("%s", err.text);
    return link;
}

static void start_route(struct fixture *f)
{
    struct error err = { 0 };
    static const struct id instance = { { 9 } };
    f->route = route_new(&(struct route_options){ .common = &f->common,
                                                  .config = &f->config,
                                                  .name = "route-test",
                                                  .instance = &instance,
                                                  .metrics = f->metrics },
                         &err);
    if (!f->route)
        fail_msg("%s", err.text);
}

static void start_neighbours(struct fixture *f)
{
    struct error err = { 0 };
    f->context = zmq_ctx_new();
    f->loop = zloop_new();
    struct link_options notify = { .service = "notify",
                                   .name = "notify-test",
                                   .instance = &f->instances[2],
                                   .label = "notify",
                                   .credit = 100,
                                   .context = f->context,
                                   .loop = f->loop,
                                   .metrics = f->metrics,
                                   .handler = { .packet = on_order },
                                   .arg = f };
    f->notify = link_bind(&notify, f->endpoints[2], &err);
    if (!f->notify)
        fail_msg("%s", err.text);
    f->lanes[0] = connect_lane(f, 0);
    f->lanes[1] = connect_lane(f, 1);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)setenv("ZSYS_SIGHANDLER", "false", 1);
    f->server = redis_server_new("noeviction", true);
    strcpy(f->folder, "/tmp/desg-route-XXXXXX"); /* NOLINT: fits */
    assert_non_null(mkdtemp(f->folder));
    static const char *const names[] = { "urgent", "bulk", "notify" };
    for (int i = 0; i < 3; i++) {
        (void)snprintf(f->endpoints[i], sizeof f->endpoints[i], "ipc://%s/%s", f->folder, names[i]);
        f->instances[i] = id_random();
    }
    f->source = id_random();
    f->notify_endpoint = f->endpoints[2];
    f->common.force = (char *)"testforce";
    f->common.redis.address = (char *)redis_server_address(f->server);
    f->common.redis.timeout_ms = REDIS_MS;
    f->config.urgent_endpoint = f->endpoints[0];
    f->config.bulk_endpoint = f->endpoints[1];
    f->config.notify_endpoints = &f->notify_endpoint;
    f->config.notify_endpoints_count = 1;
    struct error err = { 0 };
    assert_int_equal(route_config_check(&f->config, &err), 0);
    f->metrics = metrics_new();
    f->marked = -1;
    start_route(f);
    start_neighbours(f);
    assert_true(until(f, is_connected, 0));
    assert_true(until(f, has_notify_peers, 2));
    assert_true(until(f, is_redis_ready, 0));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    redis_server_thaw(f->server);
    for (int i = 0; i < 2; i++)
        link_destroy(&f->lanes[i]);
    link_destroy(&f->notify);
    zloop_destroy(&f->loop);
    (void)zmq_ctx_term(f->context);
    route_destroy(&f->route);
    metrics_destroy(&f->metrics);
    redis_server_destroy(&f->server);
    for (int i = 0; i < 3; i++)
        (void)unlink(f->endpoints[i] + strlen("ipc://"));
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

/* --- sending --- */

static void send_items(struct fixture *f, int lane, Desg__V1__Item *items, size_t count)
{
    Desg__V1__Item *pointers[LINK_BATCH_MAX_ITEMS];
    for (size_t i = 0; i < count; i++)
        pointers[i] = &items[i];
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.source = (ProtobufCBinaryData){ ID_BYTES, f->source.bytes };
    batch.incarnation = 77;
    batch.lane = lane == 0 ? DESG__V1__LANE__LANE_URGENT : DESG__V1__LANE__LANE_BULK;
    batch.n_items = count;
    batch.items = pointers;
    Desg__V1__Packet packet = link_packet_batch(&batch);
    struct error err = { 0 };
    if (link_send(f->lanes[lane], f->peers[lane], &packet, &err) != 0)
        fail_msg("%s", err.text);
    link_credit_return(f->lanes[lane], f->peers[lane], (uint32_t)count);
}

static Desg__V1__Item item_of(const struct sample *sample, Desg__V1__Position *position,
                              uint64_t sequence)
{
    desg__v1__position__init(position);
    position->sequence = sequence;
    Desg__V1__Item item = DESG__V1__ITEM__INIT;
    item.position = position;
    item.event = (ProtobufCBinaryData){ sample->event_length, (uint8_t *)sample->event_bytes };
    item.verdict =
        (ProtobufCBinaryData){ sample->verdict_length, (uint8_t *)sample->verdict_bytes };
    return item;
}

static void send_message(struct fixture *f, int lane, unsigned number, uint64_t sequence,
                         Desg__V1__Severity severity)
{
    struct sample sample;
    Desg__V1__Position position;
    sample_init(&sample, number, 1, clock_unix_ms(), severity);
    sample_pack(&sample);
    Desg__V1__Item item = item_of(&sample, &position, sequence);
    send_items(f, lane, &item, 1);
}

/* Offers it again, as ingest would, while notify's word came too late for route's answer: then the
 * machine held us up, who speak for notify. Returns how often, from that sequence on. */
static size_t offer_until_alerted(struct fixture *f, unsigned number, uint64_t sequence)
{
    for (size_t offers = 1; offers <= OFFERS_MAX; offers++, sequence++) {
        send_message(f, 0, number, sequence, URGENT);
        assert_true(until(f, is_answered, sequence));
        assert_int_equal(f->seen[sequence].kind, KIND(BUSY));
        if (f->seen[sequence].is_alerted)
            return offers;
    }
    fail_msg("never alerted");
    return 0;
}

static bool is_in_redis(struct fixture *f, unsigned number)
{
    struct sample sample;
    char id[ID_TEXT_BYTES];
    sample_init(&sample, number, 1, clock_unix_ms(), URGENT);
    id_text(sample.conversation.bytes, id);
    return redis_server_number(f->server, "EXISTS desg:{testforce}:conv:%s", id) == 1;
}

/* --- tests --- */

static void answers_done_and_collapses_copies(void **state)
{
    struct fixture *f = *state;
    send_message(f, 0, 1, 0, URGENT);
    send_message(f, 1, 2, 1, ROUTINE);
    assert_true(until(f, are_answered, 2));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f->seen[i].kind, KIND(DONE));
        assert_int_equal(f->seen[i].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW);
    }
    assert_int_equal(strlen(f->history), STORE_HISTORY_BYTES - 1);
    send_message(f, 0, 1, 2, URGENT);
    send_message(f, 0, 2, 3, URGENT); /* the bulk one again, worse */
    assert_true(until(f, are_answered, 4));
    assert_int_equal(f->seen[2].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_DUPLICATE);
    assert_int_equal(f->seen[3].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_RAISED);
    assert_int_equal(redis_server_number(f->server, "XLEN desg:{testforce}:alerts"), 2);
}

static void many_batches_are_all_answered_once(void **state)
{
    struct fixture *f = *state;
    enum { BATCHES = 30, EACH = 32, ALL = BATCHES * EACH };
    static struct sample samples[EACH];
    static Desg__V1__Position positions[EACH];
    static Desg__V1__Item items[EACH];
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        for (unsigned i = 0; i < EACH; i++) {
            unsigned number = batch * EACH + i;
            sample_init(&samples[i], number % 100, number, clock_unix_ms(), ROUTINE);
            sample_pack(&samples[i]);
            items[i] = item_of(&samples[i], &positions[i], number);
        }
        send_items(f, 1, items, EACH);
    }
    assert_true(until(f, are_answered, ALL));
    for (unsigned i = 0; i < ALL; i++) {
        assert_int_equal(f->seen[i].answers, 1);
        assert_int_equal(f->seen[i].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW);
    }
    assert_int_equal(redis_server_number(f->server, "ZCARD desg:{testforce}:queue:general"), 100);
}

static void what_cannot_be_decoded_is_refused_and_its_neighbours_are_not(void **state)
{
    struct fixture *f = *state;
    static uint8_t rubbish[] = { 0xff, 0xff, 0xff };
    struct sample samples[3];
    Desg__V1__Position positions[3];
    Desg__V1__Item items[3];
    for (unsigned i = 0; i < 3; i++) {
        sample_init(&samples[i], i, 1, clock_unix_ms(), ROUTINE);
        sample_pack(&samples[i]);
        items[i] = item_of(&samples[i], &positions[i], i);
    }
    items[1].event = (ProtobufCBinaryData){ sizeof rubbish, rubbish };
    send_items(f, 0, items, 3);
    assert_true(until(f, are_answered, 3));
    assert_int_equal(f->seen[0].kind, KIND(DONE));
    assert_int_equal(f->seen[1].kind, KIND(REFUSED));
    assert_int_equal(f->seen[2].kind, KIND(DONE));
}

static void what_the_function_refuses_twice_goes_to_quarantine(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    char id[ID_TEXT_BYTES];
    sample_init(&sample, 5, 1, clock_unix_ms(), ROUTINE);
    id_text(sample.conversation.bytes, id);
    free(redis_server_ask(f->server, "SET desg:{testforce}:conv:%s nonsense", id));
    send_message(f, 1, 5, 0, ROUTINE);
    send_message(f, 1, 6, 1, ROUTINE);
    assert_true(until(f, are_answered, 2));
    assert_int_equal(f->seen[0].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_QUARANTINED);
    assert_int_equal(f->seen[1].outcome, DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW);
    assert_int_equal(redis_server_number(f->server, "HLEN desg:{testforce}:quarantine"), 1);
}

static void when_redis_is_silent_alerts_go_on_and_it_is_asked_once(void **state)
{
    struct fixture *f = *state;
    enum { FIRST = 100, KNOWN = 200, BULK = 300, LATER = 400 };
    send_message(f, 0, 1, 0, URGENT);
    assert_true(until(f, is_answered, 0));
    redis_server_freeze(f->server);
    size_t offers = offer_until_alerted(f, 2, FIRST);
    assert_int_equal(f->orders, offers);
    /* known to be silent now: not asked any more, on either lane */
    offers += offer_until_alerted(f, 3, KNOWN);
    send_message(f, 1, 4, BULK, ROUTINE);
    assert_true(until(f, is_answered, BULK));
    assert_int_equal(f->seen[BULK].kind, KIND(BUSY));
    assert_false(f->seen[BULK].is_alerted);
    assert_int_equal(f->orders, offers);
    redis_server_thaw(f->server);
    assert_true(until(f, is_redis_ready, 0));
    assert_false(is_in_redis(f, 3)); /* what it was asked while frozen it does when it thaws */
    assert_false(is_in_redis(f, 4));
    send_message(f, 0, 2, LATER, URGENT); /* offered again */
    assert_true(until(f, is_answered, LATER));
    assert_int_equal(f->seen[LATER].kind, KIND(DONE));
    assert_true(is_in_redis(f, 2));
}

/* 300 ms, and no more: test_provisional has that by a clock of its own. */
static void a_mute_notify_delays_only_the_busy_that_waits_for_it(void **state)
{
    struct fixture *f = *state;
    f->is_notify_mute = true;
    redis_server_freeze(f->server);
    send_message(f, 0, 1, 0, URGENT);
    assert_true(until(f, are_answered, 1));
    int64_t sent_at_ms = clock_monotonic_ms();
    send_message(f, 0, 2, 1, URGENT);
    send_message(f, 0, 3, 2, ROUTINE);
    assert_true(until(f, are_answered, 3));
    assert_int_equal(f->seen[1].kind, KIND(BUSY));
    assert_false(f->seen[1].is_alerted);
    assert_true(f->seen[1].at_ms - sent_at_ms >= 290);
    assert_int_equal(f->seen[2].kind, KIND(BUSY));
    assert_true(f->seen[2].at_ms <= f->seen[1].at_ms); /* though it came later */
}

static void an_event_already_alerted_is_not_ordered_again(void **state)
{
    struct fixture *f = *state;
    redis_server_freeze(f->server);
    struct sample sample;
    Desg__V1__Position position;
    sample_init(&sample, 1, 1, clock_unix_ms(), URGENT);
    sample_pack(&sample);
    Desg__V1__Item item = item_of(&sample, &position, 0);
    item.is_alerted = true;
    send_items(f, 0, &item, 1);
    assert_true(until(f, are_answered, 1));
    assert_true(f->seen[0].is_alerted);
    assert_int_equal(f->orders, 0);
}

static void hello_and_mark_are_answered_from_redis(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    Desg__V1__Hello hello = DESG__V1__HELLO__INIT;
    hello.source = (ProtobufCBinaryData){ ID_BYTES, f->source.bytes };
    Desg__V1__Packet packet = link_packet_hello(&hello);
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &packet, &err), 0);
    assert_true(until(f, has_history, 0));
    assert_int_equal(f->mark[0], 0);
    assert_int_equal(strlen(f->history), STORE_HISTORY_BYTES - 1);

    Desg__V1__Mark mark = DESG__V1__MARK__INIT;
    mark.source = hello.source;
    mark.history = f->history;
    mark.incarnation = 77;
    mark.sequence = 12;
    mark.number = 1;
    mark.beat = 101;
    Desg__V1__Packet mark_packet = link_packet_mark(&mark);
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &mark_packet, &err), 0);
    assert_true(until(f, is_marked, 0));
    assert_int_equal(f->marked, 1);
    f->marked = -1; /* the same as a new one quotes a previous mark that no longer stands */
    mark.number = 2;
    mark.beat = 102;
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &mark_packet, &err), 0);
    assert_true(until(f, is_marked, 0));
    assert_int_equal(f->marked, 0);
    f->marked = -1; /* delivered once more it is none: the Hello behind it is what is answered */
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &mark_packet, &err), 0);
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &packet, &err), 0);
    assert_true(until(f, has_history, 1));
    assert_int_equal(f->marked, -1);
    assert_int_equal(f->mark[0], 77);
    assert_int_equal(f->mark[1], 12);

    redis_server_freeze(f->server);
    assert_int_equal(link_send(f->lanes[0], f->peers[0], &packet, &err), 0);
    assert_true(until(f, has_history, 2));
    assert_string_equal(f->history, "");
}

static bool shows_general(struct fixture *f, size_t number)
{
    struct gauge *depth = metrics_gauge(f->metrics, "desg_route_queue_depth", "queue=\"general\"",
                                        "Conversations waiting in a queue");
    return gauge_value(depth) == (int64_t)number;
}

static void restricted_work_is_in_no_metric_and_no_status(void **state)
{
    struct fixture *f = *state;
    struct sample sample;
    Desg__V1__Position position;
    sample_init(&sample, 1, 1, clock_unix_ms() - 30LL * 24 * 3600 * 1000, ROUTINE);
    sample.event.platform_time_ms = sample.event.received_at_ms;
    sample.verdict.restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    sample_pack(&sample);
    Desg__V1__Item item = item_of(&sample, &position, 0);
    send_items(f, 1, &item, 1);
    send_message(f, 1, 2, 1, ROUTINE);
    assert_true(until(f, are_answered, 2));
    route_destroy(&f->route); /* a fresh one looks at the queues at once */
    start_route(f);
    assert_true(until(f, shows_general, 1));
    char *metrics = metrics_render(f->metrics);
    assert_null(strstr(metrics, "\"restricted\""));
    assert_non_null(strstr(metrics, "desg_route_restricted_overdue 1"));
    free(metrics);
    json_t *detail = json_object();
    route_describe(f->route, detail);
    char *text = json_dumps(detail, 0);
    assert_null(strstr(text, "restricted"));
    free(text);
    json_decref(detail);
}

static bool is_over(struct fixture *f, size_t number)
{
    (void)number;
    return f->is_draining && route_is_drained(f->route);
}

static void a_drain_says_so_finishes_and_ends(void **state)
{
    struct fixture *f = *state;
    assert_true(route_is_ready(f->route));
    assert_false(route_is_drained(f->route));
    send_message(f, 0, 1, 0, URGENT);
    route_drain(f->route);
    assert_false(route_is_ready(f->route));
    assert_true(until(f, is_over, 0));
    assert_true(until(f, are_answered, 1));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(answers_done_and_collapses_copies),
        T(many_batches_are_all_answered_once),
        T(what_cannot_be_decoded_is_refused_and_its_neighbours_are_not),
        T(what_the_function_refuses_twice_goes_to_quarantine),
        T(when_redis_is_silent_alerts_go_on_and_it_is_asked_once),
        T(a_mute_notify_delays_only_the_busy_that_waits_for_it),
        T(an_event_already_alerted_is_not_ordered_again),
        T(hello_and_mark_are_answered_from_redis),
        T(restricted_work_is_in_no_metric_and_no_status),
        T(a_drain_says_so_finishes_and_ends),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
