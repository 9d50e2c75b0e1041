#include "notify/feed.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "log/log.h"
#include "notify/feed_book.h"
#include "notify/feed_file.h"
#include "notify/feed_pages.h"
#include "notify/feed_publisher.h"
#include "notify/feed_server.h"
#include "pause/pause.h"
#include "store/outbox.h"

enum {
    LOOK_MS = 500,     /* has anything changed? Two numbers from Redis */
    AGAIN_MS = 60000,  /* read all the same: time passes */
    UNSAVED_MS = 5000, /* the disk is tried again */
    LOST_AFTER_MS = 5000,
    MS_PER_HOUR = 3600000
};

static const char file_name[] = "feed.state";

struct feed {
    struct feed_options options;
    const char *outlet;
    int64_t keep_ms;
    struct store *store; /* the thread's own once it runs, as the next eight */
    struct feed_book book;
    bool has_book;
    bool is_saved;   /* what the book holds lies on disk */
    bool is_failing; /* to save: said once */
    bool was_lost;
    uint8_t told_epoch[16];
    uint64_t told_sequence;
    int64_t heard_ms;                 /* monotonic: Redis answered */
    int64_t shown_ms;                 /* monotonic: pages were made */
    struct feed_server *server;       /* NULL: none */
    struct feed_publisher *publisher; /* NULL: none */
    struct pause *pause;
    pthread_t thread;
    bool has_thread;
    struct counter *failures;
    struct counter *unread;
    struct counter *unsaved;
    struct gauge *broadcasts;
    struct gauge *read_at;
    pthread_mutex_t lock; /* guards the rest, for feed_describe */
    const char *state;
    uint8_t epoch[16];
    uint64_t sequence;
    size_t count;
    int64_t read_at_ms;
};

/* --- telling --- */

static void note(struct feed *self, const char *state)
{
    (void)pthread_mutex_lock(&self->lock);
    self->state = state;
    memcpy(self->epoch, self->book.epoch, sizeof self->epoch);
    self->sequence = self->book.sequence;
    self->count = self->book.count;
    self->read_at_ms = self->book.read_at_ms;
    (void)pthread_mutex_unlock(&self->lock);
    gauge_set(self->broadcasts, (int64_t)self->book.count);
    gauge_set(self->read_at, self->book.read_at_ms / 1000);
    if (self->server)
        feed_server_note(self->server, state, self->book.read_at_ms);
}

static void show(struct feed *self)
{
    self->shown_ms = clock_monotonic_ms();
    if (self->server)
        feed_server_show(self->server,
                         feed_pages_new(&self->options.config->feed, &self->book, clock_unix_ms()));
}

static struct feed_bytes pack(const Desg__V1__BroadcastNews *news)
{
    struct feed_bytes out = { .length = desg__v1__broadcast_news__get_packed_size(news) };
    out.bytes = malloc(out.length + 1);
    if (!out.bytes)
        abort();
    (void)desg__v1__broadcast_news__pack(news, out.bytes);
    return out;
}

static int by_sequence(const void *one, const void *other)
{
    const Desg__V1__BroadcastNews *a = *(Desg__V1__BroadcastNews *const *)one;
    const Desg__V1__BroadcastNews *b = *(Desg__V1__BroadcastNews *const *)other;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* What has changed since the number told last; *newest is the last of all. The caller frees it. */
static Desg__V1__BroadcastNews **changed_rows(struct feed *self, size_t *count,
                                              const Desg__V1__BroadcastNews **newest)
{
    const struct feed_book *book = &self->book;
    bool is_same = memcmp(self->told_epoch, book->epoch, sizeof self->told_epoch) == 0;
    uint64_t since = is_same ? self->told_sequence : 0;
    Desg__V1__BroadcastNews **rows = calloc(book->count + 1, sizeof(Desg__V1__BroadcastNews *));
    if (!rows)
        abort();
    for (size_t i = 0; i < book->count; i++) {
        if (!*newest || book->news[i]->sequence > (*newest)->sequence)
            *newest = book->news[i];
        if (book->news[i]->sequence > since)
            rows[(*count)++] = book->news[i];
    }
    if (*count > 1)
        qsort(rows, *count, sizeof(Desg__V1__BroadcastNews *), by_sequence);
    return rows;
}

static void tell(struct feed *self)
{
    const Desg__V1__BroadcastNews *newest = NULL;
    struct feed_said said = { 0 };
    size_t count = 0;
    if (!self->publisher)
        return;
    Desg__V1__BroadcastNews **rows = changed_rows(self, &count, &newest);
    said.news = calloc(count + 1, sizeof *said.news);
    if (!said.news)
        abort();
    for (; said.count < count; said.count++)
        said.news[said.count] = pack(rows[said.count]);
    free(rows);
    said.snapshot.bytes = feed_book_snapshot(&self->book, &said.snapshot.length);
    if (newest && newest->sequence > 0)
        said.last = pack(newest);
    memcpy(self->told_epoch, self->book.epoch, sizeof self->told_epoch);
    self->told_sequence = self->book.sequence;
    feed_publisher_say(self->publisher, &said);
}

/* --- disk --- */

static void save(struct feed *self)
{
    struct error err = { 0 };
    size_t length = 0;
    uint8_t *bytes = feed_book_pack(&self->book, &length);
    self->is_saved = feed_file_save(self->options.directory, file_name, bytes, length, &err) == 0;
    free(bytes);
    if (self->is_saved) {
        self->is_failing = false;
        return;
    }
    counter_add(self->unsaved, 1);
    if (!self->is_failing)
        log_warn("feed_not_saved", KV("error", err.text));
    self->is_failing = true;
}

static void load(struct feed *self)
{
    struct error err = { 0 };
    uint8_t *bytes = NULL;
    size_t length = 0;
    int rc = feed_file_load(self->options.directory, file_name, &bytes, &length, &err);
    if (rc == 0 && bytes)
        rc = feed_book_unpack(bytes, length, &self->book, &err);
    if (rc != 0)
        log_warn("feed_state_ignored", KV("error", err.text));
    self->has_book = rc == 0 && bytes;
    self->is_saved = self->has_book;
    free(bytes);
    if (!self->has_book)
        return;
    (void)feed_book_age(&self->book, self->keep_ms, clock_unix_ms());
    memcpy(self->told_epoch, self->book.epoch, sizeof self->told_epoch);
    self->told_sequence = self->book.sequence;
}

/* --- the thread --- */

static int read_news(struct feed *self, struct error *err)
{
    struct store_news news = { 0 };
    const struct feed_book_rules rules = { .outlet = self->outlet, .keep_ms = self->keep_ms };
    if (store_broadcast_news(self->store, self->keep_ms, &news, err) != 0)
        return -1;
    size_t unread = feed_book_take(&self->book, &news, &rules, clock_unix_ms());
    store_news_clear(&news);
    self->has_book = true;
    counter_add(self->unread, unread);
    if (unread > 0)
        log_warn("feed_rows_unread", KV("rows", unread));
    show(self);
    tell(self);
    save(self);
    return 0;
}

/* 1: something changed or enough time went by; 0: no; -1. */
static int is_due(struct feed *self, struct error *err)
{
    uint8_t epoch[16];
    uint64_t sequence = 0;
    if (store_broadcast_sequence(self->store, epoch, &sequence, err) != 0)
        return -1;
    return !self->has_book || sequence != self->book.sequence ||
           memcmp(epoch, self->book.epoch, sizeof epoch) != 0 ||
           clock_monotonic_ms() - self->shown_ms >= (self->is_saved ? AGAIN_MS : UNSAVED_MS);
}

static int look(struct feed *self, struct error *err)
{
    if (store_check(self->store) != STORE_READY)
        return error_set(err, ERROR_UNAVAILABLE, "%s", store_problem(self->store));
    int due = is_due(self, err);
    if (due < 0 || (due > 0 && read_news(self, err) != 0))
        return -1;
    self->book.read_at_ms = clock_unix_ms();
    self->heard_ms = clock_monotonic_ms();
    note(self, "live");
    if (self->was_lost)
        log_info("feed_live");
    self->was_lost = false;
    return 0;
}

/* What it last read is served on, and grows old by our own clock. */
static void go_on_without(struct feed *self, const struct error *err)
{
    counter_add(self->failures, 1);
    if (clock_monotonic_ms() - self->heard_ms < LOST_AFTER_MS)
        return;
    if (!self->was_lost)
        log_warn("feed_from_memory", KV("error", err->text));
    self->was_lost = true;
    note(self, self->has_book ? "last-known" : "empty");
    if (self->has_book && clock_monotonic_ms() - self->shown_ms >= AGAIN_MS) {
        (void)feed_book_age(&self->book, self->keep_ms, clock_unix_ms());
        show(self);
    }
}

static void *run(void *arg)
{
    struct feed *self = arg;
    (void)pthread_setname_np(pthread_self(), "feed");
    while (!pause_is_stopped(self->pause)) {
        struct error err = { 0 };
        if (look(self, &err) != 0)
            go_on_without(self, &err);
        pause_wait(self->pause, LOOK_MS);
    }
    return NULL;
}

/* --- life --- */

static const char *outlet_of(const struct outward_config *config)
{
    for (unsigned i = 0; i < config->outlets_count; i++)
        if (strcmp(config->outlets[i].kind, "feed") == 0)
            return config->outlets[i].name;
    return NULL;
}

static void make_metrics(struct feed *self)
{
    struct metrics *metrics = self->options.metrics;
    self->failures = metrics_counter(metrics, "desg_feed_redis_failures_total", "",
                                     "Looks at Redis for broadcasts that failed.");
    self->unread = metrics_counter(metrics, "desg_feed_unread_rows_total", "",
                                   "Broadcasts in Redis that could not be read.");
    self->unsaved = metrics_counter(metrics, "desg_feed_unsaved_total", "",
                                    "Times the feed's state could not be kept on disk.");
    self->broadcasts = metrics_gauge(metrics, "desg_feed_broadcasts", "",
                                     "Broadcasts in the feed, those just over among them.");
    self->read_at = metrics_gauge(metrics, "desg_feed_read_timestamp_seconds", "",
                                  "When the feed last heard from Redis, Unix time.");
}

static int open_ports(struct feed *self, struct error *err)
{
    const struct outward_feed *feed = &self->options.config->feed;
    const struct feed_publisher_options publisher = {
        .context = self->options.context,
        .security = self->options.security,
        .publish_endpoint = feed->publish_endpoint,
        .snapshot_endpoint = feed->snapshot_endpoint,
        .metrics = self->options.metrics,
    };
    if (feed->listen && !(self->server = feed_server_new(feed->listen, self->options.metrics, err)))
        return -1;
    if ((feed->publish_endpoint || feed->snapshot_endpoint) &&
        !(self->publisher = feed_publisher_new(&publisher, err)))
        return -1;
    return 0;
}

static int start(struct feed *self, struct error *err)
{
    const struct config_common *common = self->options.common;
    const struct store_options store = { .redis = &common->redis,
                                         .force = common->force,
                                         .metrics = self->options.metrics,
                                         .label = "feed" };
    make_metrics(self);
    if (open_ports(self, err) != 0)
        return -1;
    if (!self->server && !self->publisher)
        return 0;
    self->store = store_new(&store, err);
    if (!self->store)
        return -1;
    load(self);
    if (self->has_book) {
        show(self);
        tell(self);
    }
    note(self, self->has_book ? "last-known" : "empty");
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the feed's thread");
    self->has_thread = true;
    return 0;
}

struct feed *feed_new(const struct feed_options *options, struct error *err)
{
    struct feed *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the feed");
        return NULL;
    }
    self->options = *options;
    self->outlet = outlet_of(options->config);
    self->keep_ms = (int64_t)options->config->feed.keep_hours * MS_PER_HOUR;
    self->state = "off";
    self->heard_ms = clock_monotonic_ms();
    self->pause = pause_new();
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    if (start(self, err) != 0)
        feed_destroy(&self);
    return self;
}

void feed_destroy(struct feed **self_p)
{
    struct feed *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        pause_stop(self->pause);
        (void)pthread_join(self->thread, NULL);
    }
    feed_server_destroy(&self->server);
    feed_publisher_destroy(&self->publisher);
    store_destroy(&self->store);
    feed_book_clear(&self->book);
    pause_destroy(&self->pause);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void feed_describe(struct feed *self, json_t *detail)
{
    char epoch[2 * sizeof self->epoch + 1];
    const char *listen = self->options.config->feed.listen;
    json_t *feed = json_object();
    (void)pthread_mutex_lock(&self->lock);
    crypto_hex(self->epoch, sizeof self->epoch, epoch);
    (void)json_object_set_new(feed, "state", json_string(self->state));
    (void)json_object_set_new(feed, "epoch", json_string(epoch));
    (void)json_object_set_new(feed, "sequence", json_integer((json_int_t)self->sequence));
    (void)json_object_set_new(feed, "broadcasts", json_integer((json_int_t)self->count));
    (void)json_object_set_new(feed, "read_at_ms", json_integer(self->read_at_ms));
    (void)pthread_mutex_unlock(&self->lock);
    (void)json_object_set_new(feed, "listen", listen ? json_string(listen) : json_null());
    (void)json_object_set_new(feed, "port", json_integer(feed_port(self)));
    (void)json_object_set_new(detail, "feed", feed);
}

uint16_t feed_port(const struct feed *self)
{
    return self->server ? feed_server_port(self->server) : 0;
}
