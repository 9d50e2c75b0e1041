/* The live feed for other programs, heard by one that misses some and catches up by the snapshot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "clock/clock.h"
#include "curve_keys.h"
#include "desg/v1/outward.pb-c.h"
#include "notify/feed_publisher.h"

enum { WAIT_MS = 60000, STEP_MS = 20, AGAIN_MS = 100, EPOCH_BYTES = 16 };

struct fixture {
    void *context;
    struct metrics *metrics;
    struct feed_publisher *publisher;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };
    f->context = zmq_ctx_new();
    f->metrics = metrics_new();
    const struct feed_publisher_options options = {
        .context = f->context,
        .publish_endpoint = "tcp://127.0.0.1:*",
        .snapshot_endpoint = "tcp://127.0.0.1:*",
        .metrics = f->metrics,
        .again_ms = AGAIN_MS,
    };
    f->publisher = feed_publisher_new(&options, &err);
    *state = f;
    return f->publisher ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    feed_publisher_destroy(&f->publisher);
    (void)zmq_ctx_term(f->context);
    metrics_destroy(&f->metrics);
    free(f);
    return 0;
}

/* --- what is told --- */

static struct feed_bytes news_bytes(uint8_t epoch, uint64_t sequence)
{
    uint8_t bytes[EPOCH_BYTES];
    memset(bytes, epoch, sizeof bytes);
    Desg__V1__BroadcastNews news = DESG__V1__BROADCAST_NEWS__INIT;
    news.epoch = (ProtobufCBinaryData){ sizeof bytes, bytes };
    news.sequence = sequence;
    struct feed_bytes out = { .length = desg__v1__broadcast_news__get_packed_size(&news) };
    out.bytes = malloc(out.length);
    assert_non_null(out.bytes);
    (void)desg__v1__broadcast_news__pack(&news, out.bytes);
    return out;
}

static struct feed_bytes snapshot_bytes(uint8_t epoch, uint64_t sequence)
{
    uint8_t bytes[EPOCH_BYTES];
    memset(bytes, epoch, sizeof bytes);
    Desg__V1__Snapshot snapshot = DESG__V1__SNAPSHOT__INIT;
    snapshot.epoch = (ProtobufCBinaryData){ sizeof bytes, bytes };
    snapshot.sequence = sequence;
    struct feed_bytes out = { .length = desg__v1__snapshot__get_packed_size(&snapshot) };
    out.bytes = malloc(out.length);
    assert_non_null(out.bytes);
    (void)desg__v1__snapshot__pack(&snapshot, out.bytes);
    return out;
}

/* Tells first..last of epoch; first > last: nothing new, but a snapshot. */
static void say(struct fixture *f, uint8_t epoch, uint64_t first, uint64_t last)
{
    struct feed_said said = { .snapshot = snapshot_bytes(epoch, last),
                              .last = news_bytes(epoch, last) };
    said.news = calloc(last - first + 2, sizeof *said.news);
    assert_non_null(said.news);
    for (uint64_t number = first; number <= last; number++)
        said.news[said.count++] = news_bytes(epoch, number);
    feed_publisher_say(f->publisher, &said);
}

/* --- a consumer, as docs/broadcasts.md describes it --- */

struct consumer {
    void *news;
    void *asks;
    uint8_t epoch[EPOCH_BYTES];
    uint64_t sequence;
    bool is_whole;
    unsigned snapshots;
};

static void consumer_open(struct consumer *self, struct fixture *f)
{
    const int limit_ms = STEP_MS;
    const int no_linger = 0;
    memset(self, 0, sizeof *self);
    self->news = zmq_socket(f->context, ZMQ_SUB);
    self->asks = zmq_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(self->news, ZMQ_SUBSCRIBE, "broadcast", 9), 0);
    assert_int_equal(zmq_setsockopt(self->news, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms), 0);
    assert_int_equal(zmq_setsockopt(self->asks, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms), 0);
    assert_int_equal(zmq_setsockopt(self->news, ZMQ_LINGER, &no_linger, sizeof no_linger), 0);
    assert_int_equal(zmq_setsockopt(self->asks, ZMQ_LINGER, &no_linger, sizeof no_linger), 0);
    assert_int_equal(zmq_connect(self->news, feed_publisher_endpoint(f->publisher)), 0);
    assert_int_equal(zmq_connect(self->asks, feed_publisher_snapshot_endpoint(f->publisher)), 0);
}

static void consumer_close(struct consumer *self)
{
    (void)zmq_close(self->news);
    (void)zmq_close(self->asks);
}

/* Length of one message of frames frames, of which the last lies in out; -1: none came. */
static int receive(void *socket, int frames, uint8_t *out, size_t bytes)
{
    int length = -1;
    for (int i = 0; i < frames; i++) {
        length = zmq_recv(socket, out, bytes, 0);
        if (length < 0)
            return -1;
    }
    return length;
}

static void catch_up(struct consumer *self)
{
    uint8_t bytes[4096];
    Desg__V1__SnapshotRequest request = DESG__V1__SNAPSHOT_REQUEST__INIT;
    request.client = (char *)"test";
    uint8_t asked[64];
    size_t length = desg__v1__snapshot_request__pack(&request, asked);
    assert_int_equal(zmq_send(self->asks, asked, length, 0), length);
    int got = -1;
    for (int64_t until = clock_monotonic_ms() + WAIT_MS; got < 0 && clock_monotonic_ms() < until;)
        got = receive(self->asks, 1, bytes, sizeof bytes);
    assert_true(got > 0);
    Desg__V1__Snapshot *snapshot = desg__v1__snapshot__unpack(NULL, (size_t)got, bytes);
    assert_non_null(snapshot);
    assert_int_equal(snapshot->epoch.len, EPOCH_BYTES);
    memcpy(self->epoch, snapshot->epoch.data, EPOCH_BYTES);
    self->sequence = snapshot->sequence;
    self->is_whole = true;
    self->snapshots++;
    desg__v1__snapshot__free_unpacked(snapshot, NULL);
}

/* One step: the next number goes on, an old one is passed over, a gap or another epoch asks. */
static void hear(struct consumer *self)
{
    uint8_t bytes[4096];
    int got = receive(self->news, 2, bytes, sizeof bytes);
    if (got < 0)
        return;
    Desg__V1__BroadcastNews *news = desg__v1__broadcast_news__unpack(NULL, (size_t)got, bytes);
    assert_non_null(news);
    bool is_same = self->is_whole && memcmp(news->epoch.data, self->epoch, EPOCH_BYTES) == 0;
    uint64_t sequence = news->sequence;
    desg__v1__broadcast_news__free_unpacked(news, NULL);
    if (is_same && sequence <= self->sequence)
        return;
    if (is_same && sequence == self->sequence + 1)
        self->sequence = sequence;
    else
        catch_up(self);
}

static void hear_until(struct consumer *self, uint8_t epoch, uint64_t sequence)
{
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    while (clock_monotonic_ms() < until && (self->epoch[0] != epoch || self->sequence != sequence))
        hear(self);
    assert_int_equal(self->epoch[0], epoch);
    assert_int_equal(self->sequence, sequence);
}

static void wait_for_metric(struct fixture *f, const char *line)
{
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    bool is_there = false;
    while (!is_there && clock_monotonic_ms() < until) {
        char *text = metrics_render(f->metrics);
        is_there = strstr(text, line) != NULL;
        free(text);
        if (!is_there)
            (void)zmq_poll(NULL, 0, STEP_MS);
    }
    if (!is_there)
        fail_msg("never '%s'", line);
}

/* --- tests --- */

static void who_comes_late_catches_up_by_what_is_told_again(void **state)
{
    struct fixture *f = *state;
    struct consumer consumer;
    say(f, 1, 1, 5); /* nobody hears it */
    consumer_open(&consumer, f);
    hear_until(&consumer, 1, 5); /* the last is told again; the number is news: it asks */
    assert_int_equal(consumer.snapshots, 1);
    consumer_close(&consumer);
}

static void who_misses_some_asks_for_the_snapshot(void **state)
{
    struct fixture *f = *state;
    struct consumer consumer;
    consumer_open(&consumer, f);
    wait_for_metric(f, "desg_feed_subscribers 1");
    say(f, 1, 1, 2);
    hear_until(&consumer, 1, 2);
    unsigned before = consumer.snapshots;
    say(f, 1, 3, 3);
    hear_until(&consumer, 1, 3);
    assert_int_equal(consumer.snapshots, before); /* no gap, no question */
    say(f, 1, 6, 6);                              /* 4 and 5 were lost */
    hear_until(&consumer, 1, 6);
    assert_int_equal(consumer.snapshots, before + 1);
    say(f, 2, 1, 1); /* another epoch */
    hear_until(&consumer, 2, 1);
    assert_int_equal(consumer.snapshots, before + 2);
    consumer_close(&consumer);
}

static void a_consumer_that_goes_is_counted_out(void **state)
{
    struct fixture *f = *state;
    struct consumer consumer;
    consumer_open(&consumer, f);
    wait_for_metric(f, "desg_feed_subscribers 1");
    consumer_close(&consumer);
    wait_for_metric(f, "desg_feed_subscribers 0");
}

static void garbage_is_counted_and_never_answered(void **state)
{
    struct fixture *f = *state;
    struct consumer consumer;
    uint8_t bytes[4096];
    consumer_open(&consumer, f);
    say(f, 1, 1, 1);
    assert_int_equal(zmq_send(consumer.asks, "\xff\xff\xff", 3, 0), 3);
    assert_int_equal(zmq_send(consumer.asks, "\x10\x01", 2, 0), 2);         /* another message */
    assert_int_equal(zmq_send(consumer.asks, "\x0a\x02\x01\x02", 4, 0), 4); /* no name */
    assert_int_equal(zmq_send(consumer.asks, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(consumer.asks, "", 0, 0), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(zmq_send(consumer.asks, "x", 1, i < 3 ? ZMQ_SNDMORE : 0), 1);
    wait_for_metric(f, "desg_feed_snapshots_total{result=\"refused\"} 5");
    assert_int_equal(receive(consumer.asks, 1, bytes, sizeof bytes), -1);
    catch_up(&consumer); /* and the next good one is answered */
    consumer_close(&consumer);
}

static void a_request_too_long_ends_the_connection_alone(void **state)
{
    struct fixture *f = *state;
    struct consumer bad;
    struct consumer good;
    static uint8_t big[65536];
    consumer_open(&bad, f);
    consumer_open(&good, f);
    say(f, 1, 1, 1);
    assert_int_equal(zmq_send(bad.asks, big, sizeof big, 0), sizeof big);
    catch_up(&good);
    consumer_close(&bad);
    consumer_close(&good);
}

static void a_req_socket_is_answered_too(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[4096];
    const int limit_ms = WAIT_MS;
    const int no_linger = 0;
    void *socket = zmq_socket(f->context, ZMQ_REQ);
    say(f, 1, 1, 7);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger), 0);
    assert_int_equal(zmq_connect(socket, feed_publisher_snapshot_endpoint(f->publisher)), 0);
    wait_for_metric(f, "desg_feed_published_total 7");
    assert_int_equal(zmq_send(socket, "", 0, 0), 0); /* an empty SnapshotRequest */
    int got = zmq_recv(socket, bytes, sizeof bytes, 0);
    assert_true(got > 0);
    Desg__V1__Snapshot *snapshot = desg__v1__snapshot__unpack(NULL, (size_t)got, bytes);
    assert_non_null(snapshot);
    assert_int_equal(snapshot->sequence, 7);
    desg__v1__snapshot__free_unpacked(snapshot, NULL);
    (void)zmq_close(socket);
}

/* --- CURVE --- */

/* Whether who asks for a snapshot with certificate, or in clear, is answered. */
static bool is_answered(struct fixture *f, const struct curve_keys *keys, zcert_t *certificate,
                        int wait_ms)
{
    return curve_keys_is_answered(keys, f->context, certificate,
                                  feed_publisher_snapshot_endpoint(f->publisher), wait_ms, "", 0);
}

/* A SUB that shows certificate, or nothing; true: it heard the news, told over and over. */
static bool hears(struct fixture *f, const struct curve_keys *keys, zcert_t *certificate,
                  int wait_ms)
{
    uint8_t bytes[4096];
    void *socket = curve_keys_connect(keys, f->context, ZMQ_SUB, certificate,
                                      feed_publisher_endpoint(f->publisher), wait_ms);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0), 0);
    bool has_heard = zmq_recv(socket, bytes, sizeof bytes, 0) > 0;
    (void)zmq_close(socket);
    return has_heard;
}

static void only_those_whose_key_is_allowed_are_let_in(void **state)
{
    enum { REFUSED_MS = 500 };
    struct fixture *f = *state;
    struct curve_keys keys = { 0 };
    struct error err = { 0 };
    curve_keys_make(&keys, f->context);
    const struct feed_publisher_options options = { .context = f->context,
                                                    .security = keys.security,
                                                    .publish_endpoint = "tcp://127.0.0.1:*",
                                                    .snapshot_endpoint = "tcp://127.0.0.1:*",
                                                    .metrics = f->metrics,
                                                    .again_ms = AGAIN_MS };
    feed_publisher_destroy(&f->publisher);
    f->publisher = feed_publisher_new(&options, &err);
    assert_non_null(f->publisher);
    say(f, 1, 1, 3);
    wait_for_metric(f, "desg_feed_published_total 3");
    assert_true(is_answered(f, &keys, keys.friend, WAIT_MS));
    assert_false(is_answered(f, &keys, keys.stranger, REFUSED_MS));
    assert_false(is_answered(f, &keys, NULL, REFUSED_MS));
    assert_false(hears(f, &keys, keys.stranger, REFUSED_MS));
    assert_false(hears(f, &keys, NULL, REFUSED_MS));
    wait_for_metric(f, "desg_feed_subscribers 0");
    assert_true(hears(f, &keys, keys.friend, WAIT_MS));
    feed_publisher_destroy(&f->publisher);
    curve_keys_drop(&keys);
}

static void an_endpoint_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const endpoints[] = { "nonsense", "tcp://no.such.name:1",
                                             "ipc:///no/where" };
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        struct error err = { 0 };
        const struct feed_publisher_options options = { .context = f->context,
                                                        .publish_endpoint = endpoints[i],
                                                        .metrics = f->metrics };
        assert_null(feed_publisher_new(&options, &err));
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, "outward.feed.publish_endpoint"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_comes_late_catches_up_by_what_is_told_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_misses_some_asks_for_the_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_consumer_that_goes_is_counted_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_is_counted_and_never_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_too_long_ends_the_connection_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_req_socket_is_answered_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_those_whose_key_is_allowed_are_let_in, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_endpoint_that_is_none_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
