#include "notify/feed_publisher.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.h>

#include "clock/clock.h"
#include "desg/v1/outward.pb-c.h"
#include "link/endpoint.h"
#include "link/security.h"
#include "log/log.h"

enum {
    PUBLISH_HWM = 1000,
    SNAPSHOT_HWM = 4,              /* snapshots waiting for one that does not read */
    SUBSCRIPTION_MAX_BYTES = 1024, /* CURVE's own longest command counts as well: some 600 */
    REQUEST_MAX_BYTES = 1024,
    CLIENT_MAX_BYTES = 128,
    REQUESTS_PER_WAKE = 64,
    FRAMES_MAX = 3, /* identity, the empty one of a REQ, the request */
    AGAIN_MS = 10000
};

static const char topic[] = "broadcast";

struct feed_publisher {
    struct feed_publisher_options options;
    void *publish; /* these four: the thread's own once it runs */
    void *snapshot;
    struct feed_bytes last;
    struct feed_bytes held; /* the snapshot */
    char endpoint[ENDPOINT_ADDRESS_BYTES];
    char snapshot_endpoint[ENDPOINT_ADDRESS_BYTES];
    int wake; /* eventfd */
    pthread_t thread;
    bool has_thread;
    struct counter *published;
    struct counter *answered;
    struct counter *refused;
    struct counter *dropped;
    struct gauge *subscribers;
    pthread_mutex_t lock; /* guards the rest */
    struct feed_said said;
    bool has_said;
    bool is_stopping;
};

/* --- bytes --- */

static void free_bytes(struct feed_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (struct feed_bytes){ 0 };
}

static void free_news(struct feed_said *said)
{
    for (size_t i = 0; i < said->count; i++)
        free_bytes(&said->news[i]);
    free(said->news);
    said->news = NULL;
    said->count = 0;
}

static void free_said(struct feed_said *said)
{
    free_news(said);
    free_bytes(&said->snapshot);
    free_bytes(&said->last);
}

/* What has not been taken yet is told before what is new. */
static void join_news(struct feed_said *earlier, struct feed_said *later)
{
    size_t count = earlier->count + later->count;
    if (earlier->count == 0)
        return;
    struct feed_bytes *all = reallocarray(earlier->news, count, sizeof *all);
    if (!all)
        abort();
    if (later->count > 0)
        memcpy(all + earlier->count, later->news, later->count * sizeof *all);
    free(later->news);
    later->news = all;
    later->count = count;
    earlier->news = NULL;
    earlier->count = 0;
}

/* --- the thread --- */

static void tell(struct feed_publisher *self, const struct feed_bytes *news)
{
    if (!self->publish || news->length == 0)
        return;
    /* XPUB never blocks: whoever does not keep up misses some, and sees it from the number. */
    if (zmq_send(self->publish, topic, sizeof topic - 1, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(self->publish, news->bytes, news->length, ZMQ_DONTWAIT) < 0)
        counter_add(self->dropped, 1);
    else
        counter_add(self->published, 1);
}

static bool take_said(struct feed_publisher *self, struct feed_said *out)
{
    (void)pthread_mutex_lock(&self->lock);
    bool has_said = self->has_said;
    *out = self->said;
    self->said = (struct feed_said){ 0 };
    self->has_said = false;
    (void)pthread_mutex_unlock(&self->lock);
    return has_said;
}

/* The snapshot changes first: who asks after hearing a number gets it. */
static void take_news(struct feed_publisher *self)
{
    struct feed_said said;
    if (!take_said(self, &said))
        return;
    free_bytes(&self->held);
    free_bytes(&self->last);
    self->held = said.snapshot;
    self->last = said.last;
    for (size_t i = 0; i < said.count; i++)
        tell(self, &said.news[i]);
    free_news(&said);
}

/* Counts who listens to our topic; the rest is nobody's business. */
static void take_subscription(struct feed_publisher *self, const uint8_t *bytes, size_t length)
{
    if (length == 0 || length - 1 > sizeof topic - 1 || bytes[0] > 1 ||
        memcmp(bytes + 1, topic, length - 1) != 0)
        return;
    int64_t count = gauge_value(self->subscribers) + (bytes[0] == 1 ? 1 : -1);
    gauge_set(self->subscribers, count > 0 ? count : 0);
}

static void take_subscriptions(struct feed_publisher *self)
{
    zmq_msg_t frame;
    (void)zmq_msg_init(&frame); /* cannot fail */
    for (int i = 0; i < REQUESTS_PER_WAKE && zmq_msg_recv(&frame, self->publish, ZMQ_DONTWAIT) >= 0;
         i++)
        take_subscription(self, zmq_msg_data(&frame), zmq_msg_size(&frame));
    (void)zmq_msg_close(&frame);
}

/* --- snapshots --- */

struct request {
    zmq_msg_t frames[FRAMES_MAX];
    size_t count; /* more than FRAMES_MAX: too many */
};

/* False: there is none. What is more than FRAMES_MAX is counted and not kept. */
static bool receive(struct feed_publisher *self, struct request *out)
{
    zmq_msg_t frame;
    (void)zmq_msg_init(&frame); /* cannot fail */
    out->count = 0;
    for (bool has_more = true; has_more; out->count++) {
        if (zmq_msg_recv(&frame, self->snapshot, ZMQ_DONTWAIT) < 0)
            break;
        has_more = zmq_msg_more(&frame);
        if (out->count < FRAMES_MAX) {
            (void)zmq_msg_init(&out->frames[out->count]);
            (void)zmq_msg_move(&out->frames[out->count], &frame);
        }
    }
    (void)zmq_msg_close(&frame);
    return out->count > 0;
}

static void close_request(struct request *request)
{
    for (size_t i = 0; i < request->count && i < FRAMES_MAX; i++)
        (void)zmq_msg_close(&request->frames[i]);
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length <= CLIENT_MAX_BYTES;
}

/* A DEALER sends one frame, a REQ an empty one before it. */
static bool is_request(struct request *request)
{
    if (request->count < 2 || request->count > FRAMES_MAX ||
        (request->count == FRAMES_MAX && zmq_msg_size(&request->frames[1]) != 0))
        return false;
    zmq_msg_t *frame = &request->frames[request->count - 1];
    if (zmq_msg_size(frame) > REQUEST_MAX_BYTES)
        return false;
    Desg__V1__SnapshotRequest *asked =
        desg__v1__snapshot_request__unpack(NULL, zmq_msg_size(frame), zmq_msg_data(frame));
    bool is_good = asked && asked->base.n_unknown_fields == 0 && is_name(asked->client);
    if (is_good)
        log_debug("feed_snapshot_asked", KV("client", asked->client));
    if (asked)
        desg__v1__snapshot_request__free_unpacked(asked, NULL);
    return is_good;
}

static void answer(struct feed_publisher *self, struct request *request)
{
    if (!is_request(request) || self->held.length == 0) {
        counter_add(self->refused, 1);
        return;
    }
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i + 1 < request->count; i++)
        rc = zmq_msg_send(&request->frames[i], self->snapshot, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    if (rc >= 0)
        rc = zmq_send(self->snapshot, self->held.bytes, self->held.length, ZMQ_DONTWAIT);
    counter_add(rc >= 0 ? self->answered : self->dropped, 1); /* gone, or does not read */
}

static void take_requests(struct feed_publisher *self)
{
    struct request request;
    for (int i = 0; i < REQUESTS_PER_WAKE && receive(self, &request); i++) {
        answer(self, &request);
        close_request(&request);
    }
}

static bool is_stopping(struct feed_publisher *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_stopping = self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return is_stopping;
}

static void *run(void *arg)
{
    struct feed_publisher *self = arg;
    int64_t told_ms = clock_monotonic_ms();
    (void)pthread_setname_np(pthread_self(), "feed-publisher");
    while (!is_stopping(self)) {
        zmq_pollitem_t items[3] = { { .fd = self->wake, .events = ZMQ_POLLIN } };
        int count = 1;
        if (self->publish)
            items[count++] = (zmq_pollitem_t){ .socket = self->publish, .events = ZMQ_POLLIN };
        if (self->snapshot)
            items[count++] = (zmq_pollitem_t){ .socket = self->snapshot, .events = ZMQ_POLLIN };
        int64_t left_ms = told_ms + self->options.again_ms - clock_monotonic_ms();
        if (zmq_poll(items, count, left_ms > 0 ? (long)left_ms : 0) < 0 && errno != EINTR)
            break; /* the context is gone */
        uint64_t wakes = 0;
        if (items[0].revents != 0)
            (void)!read(self->wake, &wakes, sizeof wakes); /* how often does not matter */
        take_news(self);
        if (self->publish)
            take_subscriptions(self);
        if (self->snapshot)
            take_requests(self);
        if (clock_monotonic_ms() - told_ms >= self->options.again_ms) {
            told_ms = clock_monotonic_ms();
            tell(self, &self->last);
        }
    }
    return NULL;
}

/* --- sockets --- */

struct option {
    int name;
    int value;
};

static const struct option common_options[] = {
    { ZMQ_LINGER, 0 },           { ZMQ_IPV6, 1 },
    { ZMQ_HEARTBEAT_IVL, 1000 }, { ZMQ_HEARTBEAT_TIMEOUT, 3000 },
    { ZMQ_HEARTBEAT_TTL, 3000 }, { ZMQ_HANDSHAKE_IVL, 3000 },
    { ZMQ_TCP_MAXRT, 5000 },     { ZMQ_BACKLOG, 256 },
};
static const struct option publish_options[] = {
    { ZMQ_SNDHWM, PUBLISH_HWM },
    { ZMQ_RCVHWM, PUBLISH_HWM },
    { ZMQ_XPUB_VERBOSER, 1 }, /* each comes and goes: to count them */
};
static const struct option snapshot_options[] = {
    { ZMQ_SNDHWM, SNAPSHOT_HWM },
    { ZMQ_RCVHWM, SNAPSHOT_HWM },
    { ZMQ_ROUTER_MANDATORY, 1 }, /* else what nobody takes is dropped without a word */
};

static int set_options(void *socket, const struct option *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) != 0)
            return -1;
    return 0;
}

#define SET(socket, options) set_options(socket, options, sizeof(options) / sizeof(options)[0])

static void *open_socket(struct feed_publisher *self, int type, int64_t max_bytes,
                         struct error *err)
{
    void *socket = zmq_socket(self->options.context, type);
    if (socket && SET(socket, common_options) == 0 &&
        (type == ZMQ_XPUB ? SET(socket, publish_options) : SET(socket, snapshot_options)) == 0 &&
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0)
        return socket;
    (void)error_set(err, ERROR_SYSTEM, "cannot make a socket: %s", zmq_strerror(zmq_errno()));
    if (socket)
        (void)zmq_close(socket);
    return NULL;
}

static int bind_socket(const struct feed_publisher *self, void *socket, const char *key,
                       const char *text, char bound[static ENDPOINT_ADDRESS_BYTES],
                       struct error *err)
{
    struct endpoint endpoint;
    char address[ENDPOINT_ADDRESS_BYTES];
    size_t size = ENDPOINT_ADDRESS_BYTES;
    if (endpoint_parse(text, &endpoint, err) != 0 || endpoint_check_bind(&endpoint, err) != 0)
        return error_wrap(err, "%s", key);
    if (self->options.security && endpoint.kind != ENDPOINT_IPC &&
        security_apply_listener(self->options.security, socket, err) != 0)
        return -1;
    endpoint_address(&endpoint, NULL, address);
    if (zmq_bind(socket, address) != 0)
        return error_set(err, ERROR_CONFIG, "%s: cannot listen on '%s': %s", key, text,
                         zmq_strerror(zmq_errno()));
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        bound[0] = '\0';
    if (!self->options.security && !endpoint_is_local(&endpoint))
        log_warn("link_unprotected", KV("link", "feed"), KV("endpoint", bound),
                 KV("remedy", "configure curve"));
    return 0;
}

/* --- life --- */

static int open_sockets(struct feed_publisher *self, struct error *err)
{
    const struct feed_publisher_options *options = &self->options;
    if (options->publish_endpoint &&
        (!(self->publish = open_socket(self, ZMQ_XPUB, SUBSCRIPTION_MAX_BYTES, err)) ||
         bind_socket(self, self->publish, "outward.feed.publish_endpoint",
                     options->publish_endpoint, self->endpoint, err) != 0))
        return -1;
    if (options->snapshot_endpoint &&
        (!(self->snapshot = open_socket(self, ZMQ_ROUTER, REQUEST_MAX_BYTES, err)) ||
         bind_socket(self, self->snapshot, "outward.feed.snapshot_endpoint",
                     options->snapshot_endpoint, self->snapshot_endpoint, err) != 0))
        return -1;
    return 0;
}

static void make_counters(struct feed_publisher *self)
{
    static const char help[] = "Answers to requests for the snapshot.";
    struct metrics *metrics = self->options.metrics;
    self->published =
        metrics_counter(metrics, "desg_feed_published_total", "", "News told to listeners.");
    self->dropped = metrics_counter(metrics, "desg_feed_dropped_total", "",
                                    "News and snapshots that could not be handed over.");
    self->answered = metrics_counter(metrics, "desg_feed_snapshots_total", "result=\"sent\"", help);
    self->refused =
        metrics_counter(metrics, "desg_feed_snapshots_total", "result=\"refused\"", help);
    self->subscribers = metrics_gauge(metrics, "desg_feed_subscribers", "",
                                      "Subscriptions to the live feed of broadcasts.");
}

static int start(struct feed_publisher *self, struct error *err)
{
    make_counters(self);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0)
        return error_set(err, ERROR_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    if (open_sockets(self, err) != 0)
        return -1;
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the feed's publisher");
    self->has_thread = true;
    return 0;
}

struct feed_publisher *feed_publisher_new(const struct feed_publisher_options *options,
                                          struct error *err)
{
    struct feed_publisher *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the feed's publisher");
        return NULL;
    }
    self->options = *options;
    if (self->options.again_ms == 0)
        self->options.again_ms = AGAIN_MS;
    self->wake = -1;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    if (start(self, err) != 0)
        feed_publisher_destroy(&self);
    return self;
}

static void wake(struct feed_publisher *self)
{
    const uint64_t one = 1;
    (void)!write(self->wake, &one, sizeof one); /* full: it is awake */
}

void feed_publisher_destroy(struct feed_publisher **self_p)
{
    struct feed_publisher *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        (void)pthread_mutex_lock(&self->lock);
        self->is_stopping = true;
        (void)pthread_mutex_unlock(&self->lock);
        wake(self);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->publish)
        (void)zmq_close(self->publish);
    if (self->snapshot)
        (void)zmq_close(self->snapshot);
    if (self->wake >= 0)
        (void)close(self->wake);
    free_said(&self->said);
    free_bytes(&self->held);
    free_bytes(&self->last);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void feed_publisher_say(struct feed_publisher *self, struct feed_said *said)
{
    (void)pthread_mutex_lock(&self->lock);
    join_news(&self->said, said);
    free_said(&self->said);
    self->said = *said;
    self->has_said = true;
    (void)pthread_mutex_unlock(&self->lock);
    *said = (struct feed_said){ 0 };
    wake(self);
}

const char *feed_publisher_endpoint(const struct feed_publisher *self)
{
    return self->endpoint;
}

const char *feed_publisher_snapshot_endpoint(const struct feed_publisher *self)
{
    return self->snapshot_endpoint;
}
