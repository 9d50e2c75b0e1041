#include "notify/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/silence.h"
#include "pause/pause.h"
#include "store/store.h"

enum {
    READ_MAX = 64,
    READ_BLOCK_MS = 100,
    AWAY_WAIT_MS = 200,
    UNDONE_MAX = 512, /* read and not yet journalled: then it waits with reading */
    LOOK_PAUSE_MS = 2000,
    LOOK_ROWS = 64,
    LOOK_MAX_MS = 50, /* then it reads on: what is new goes first */
    PROBLEM_BYTES = 512
};

struct done_note {
    struct done_note *next;
    char stream_id[32];
};

/* A callback about an alert that is not known here. */
struct look_up {
    struct look_up *next;
    struct callback_message message;
    struct callback_ticket *ticket;
};

struct stream {
    struct stream_options options;
    struct store *store; /* the thread's own */
    struct heartbeat *heartbeat;
    struct rebuild rebuild; /* the thread's own, as the next four */
    struct silence silence;
    size_t orphan_cursor;
    int64_t looked_at_ms;
    size_t look_cursor;
    struct gauge *is_ready;
    pthread_t thread;
    bool has_thread;
    bool was_ready;
    atomic_bool is_draining;
    struct pause *pause;
    pthread_mutex_t lock; /* guards all below */
    size_t undone;
    struct done_note *dones;
    struct look_up *look_ups;
    enum store_state condition;
    char problem[PROBLEM_BYTES];
};

/* --- other threads --- */

void stream_done(struct stream *self, const char *stream_id, bool is_stored)
{
    struct done_note *note = is_stored ? calloc(1, sizeof *note) : NULL;
    if (is_stored && !note)
        abort();
    (void)pthread_mutex_lock(&self->lock);
    if (self->undone > 0)
        self->undone--;
    if (note) {
        strncat(note->stream_id, stream_id, sizeof note->stream_id - 1);
        note->next = self->dones;
        self->dones = note;
    }
    (void)pthread_mutex_unlock(&self->lock);
    pause_wake(self->pause);
}

void stream_look_up(struct stream *self, const struct callback_message *message,
                    struct callback_ticket *ticket)
{
    struct look_up *look_up = calloc(1, sizeof *look_up);
    if (!look_up)
        abort();
    look_up->message = *message;
    look_up->ticket = ticket;
    (void)pthread_mutex_lock(&self->lock);
    look_up->next = self->look_ups;
    self->look_ups = look_up;
    (void)pthread_mutex_unlock(&self->lock);
    pause_wake(self->pause);
}

const char *stream_condition(struct stream *self, char *problem, size_t problem_bytes)
{
    static const char *const names[] = {
        [STORE_READY] = "ready", [STORE_AWAY] = "away", [STORE_REFUSED] = "refused"
    };
    (void)pthread_mutex_lock(&self->lock);
    (void)snprintf(problem, problem_bytes, "%s", self->problem);
    const char *name = names[self->condition];
    (void)pthread_mutex_unlock(&self->lock);
    return name;
}

/* --- the thread --- */

static void note_condition(struct stream *self, enum store_state condition)
{
    bool is_ready = condition == STORE_READY;
    const char *problem = store_problem(self->store);
    (void)pthread_mutex_lock(&self->lock);
    self->condition = condition;
    (void)snprintf(self->problem, sizeof self->problem, "%s", problem);
    (void)pthread_mutex_unlock(&self->lock);
    gauge_set(self->is_ready, is_ready);
    if (is_ready == self->was_ready)
        return;
    self->was_ready = is_ready;
    if (!is_ready) {
        log_warn("redis_lost", KV("problem", problem));
        return;
    }
    log_info("redis_found");
}

static struct done_note *take_dones(struct stream *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct done_note *dones = self->dones;
    self->dones = NULL;
    (void)pthread_mutex_unlock(&self->lock);
    return dones;
}

/* What is not acknowledged is read again after 5 s and found known: nothing to keep. */
static int write_dones(struct stream *self, struct error *err)
{
    struct done_note *notes = take_dones(self);
    int rc = 0;
    while (notes) {
        const char *ids[READ_MAX];
        struct done_note *group = notes;
        size_t count = 0;
        for (; notes && count < READ_MAX; notes = notes->next)
            ids[count++] = notes->stream_id;
        if (rc == 0)
            rc = store_alert_ack(self->store, ids, count, err);
        for (; count > 0; count--) {
            struct done_note *next = group->next;
            free(group);
            group = next;
        }
    }
    return rc;
}

static struct look_up *take_look_ups(struct stream *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct look_up *look_ups = self->look_ups;
    self->look_ups = NULL;
    (void)pthread_mutex_unlock(&self->lock);
    return look_ups;
}

static void answer_look_ups(struct stream *self, bool is_ready)
{
    for (struct look_up *look_up = take_look_ups(self); look_up;) {
        struct error err = { 0 };
        json_t *alert = NULL;
        bool is_asked =
            is_ready && store_alert_get(self->store, &look_up->message.alert, &alert, &err) == 0;
        self->options.looked_up(self->options.arg, &look_up->message, look_up->ticket, is_asked,
                                alert != NULL);
        json_decref(alert);
        struct look_up *next = look_up->next;
        free(look_up);
        look_up = next;
    }
}

/* --- what others know --- */

static void copy_word(const json_t *alert, const char *name, char *out, size_t size)
{
    const char *word = json_string_value(json_object_get(alert, name));
    (void)snprintf(out, size, "%s", word ? word : "");
}

static int64_t time_of(const json_t *alert, const char *name)
{
    const char *text = json_string_value(json_object_get(alert, name));
    return text ? strtoll(text, NULL, 10) : 0;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Takes out of news what was said before it turned into something else: an alert named in a digest
 * that turned urgent by itself is open anew; one that grew more severe is to be told anew, though
 * whoever acknowledged it has it. */
static void forget_older(const struct alert_open_row *row, const json_t *alert,
                         struct alert_elsewhere *news)
{
    int64_t reopened_ms = later(time_of(alert, "reopened_at_ms"), row->promoted_unix_ms);
    int64_t raised_ms = later(time_of(alert, "raised_at_ms"), reopened_ms);
    int64_t acknowledged_ms =
        later(later(time_of(alert, "acknowledged_at_ms"), time_of(alert, "resolved_at_ms")),
              time_of(alert, "taken_at_ms"));
    int64_t accepted_ms =
        later(time_of(alert, "accepted_at_ms"), time_of(alert, "escalated_at_ms"));
    news->is_acknowledged &= acknowledged_ms >= reopened_ms;
    news->is_accepted &= news->is_acknowledged || accepted_ms >= raised_ms;
}

static int look_at(struct stream *self, const struct alert_open_row *row, bool is_rebuilt,
                   struct error *err)
{
    json_t *alert = NULL;
    if (store_alert_get(self->store, &row->id, &alert, err) != 0)
        return -1;
    struct alert_elsewhere news = { .message = { .alert = row->id } };
    char state[32];
    copy_word(alert, "state", state, sizeof state);
    bool is_resolved = strcmp(state, alert_state_name(ALERT_RESOLVED)) == 0;
    news.is_acknowledged = is_resolved || strcmp(state, alert_state_name(ALERT_ACKNOWLEDGED)) == 0;
    news.is_accepted = news.is_acknowledged || strcmp(state, "escalated") == 0 ||
                       strcmp(state, alert_state_name(ALERT_ACCEPTED)) == 0;
    forget_older(row, alert, &news);
    news.message.is_outcome = is_resolved;
    copy_word(alert, "dispatcher", news.message.dispatcher, sizeof news.message.dispatcher);
    copy_word(alert, "log_number", news.message.log_number, sizeof news.message.log_number);
    if (is_resolved)
        copy_word(alert, "outcome", news.message.outcome, sizeof news.message.outcome);
    if (news.is_acknowledged || (row->is_quiet && (is_rebuilt || news.is_accepted)))
        self->options.elsewhere(self->options.arg, &news);
    json_decref(alert);
    return 0;
}

/* What a replica that has gone had in hand, into the stream again. */
static int take_over(struct stream *self, const json_t *sources, int64_t now_ms, struct error *err)
{
    struct id silent[SILENCE_SOURCES_MAX];
    size_t taken = 0;
    size_t count = silence_heard(&self->silence, sources, now_ms, silent);
    if (count == 0)
        return 0;
    if (store_orphans(self->store, silent, count, &self->options.source, &self->orphan_cursor,
                      &taken, err) != 0)
        return -1;
    if (taken > 0)
        log_warn("alerts_taken_over", KV("alerts", taken), KV("silent_replicas", count),
                 KV("remedy", "the replicas left go on with them; bring that one back, or leave it "
                              "for good"));
    return 0;
}

/* So that the next start waits for them too, should Redis be emptied in between. */
static void note_sources(struct stream *self, const json_t *sources, int64_t now_ms)
{
    struct id source;
    while (rebuild_next_note(&self->rebuild, sources, now_ms, &source))
        self->options.heard_of(self->options.arg, &source);
}

/* Every two seconds: has everybody said again what he knows, and what is known of our open alerts?
 */
static int look(struct stream *self, struct error *err)
{
    struct alert_open_row rows[LOOK_ROWS];
    json_t *sources = NULL;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - self->looked_at_ms < LOOK_PAUSE_MS)
        return 0;
    self->looked_at_ms = now_ms;
    if (store_sources(self->store, &sources, err) != 0)
        return -1;
    bool is_rebuilt = rebuild_is_over(&self->rebuild, sources);
    note_sources(self, sources, now_ms);
    int rc = take_over(self, sources, now_ms, err);
    json_decref(sources);
    if (rc != 0)
        return -1;
    do {
        size_t count =
            self->options.open_rows(self->options.arg, &self->look_cursor, rows, LOOK_ROWS);
        for (size_t i = 0; i < count; i++)
            if (look_at(self, &rows[i], is_rebuilt, err) != 0)
                return -1;
    } while (self->look_cursor != 0 && clock_monotonic_ms() - now_ms < LOOK_MAX_MS);
    return 0;
}

static int read_alerts(struct stream *self, struct error *err)
{
    struct store_alert alerts[READ_MAX];
    size_t count = 0;
    if (store_alerts_read(self->store, service_name(self->options.service), READ_BLOCK_MS, alerts,
                          READ_MAX, &count, err) != 0)
        return -1;
    (void)pthread_mutex_lock(&self->lock);
    self->undone += count;
    (void)pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < count; i++)
        self->options.deliver(self->options.arg, alerts[i].stream_id, alerts[i].order,
                              alerts[i].order_length);
    store_alerts_clear(alerts, count);
    return 0;
}

static bool may_read(struct stream *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool has_room = self->undone < UNDONE_MAX;
    (void)pthread_mutex_unlock(&self->lock);
    return has_room && !atomic_load(&self->is_draining);
}

static void turn(struct stream *self)
{
    struct error err = { 0 };
    enum store_state condition = store_check(self->store);
    note_condition(self, condition);
    answer_look_ups(self, condition == STORE_READY);
    if (condition != STORE_READY) {
        silence_interrupted(&self->silence);
        pause_wait(self->pause, AWAY_WAIT_MS);
        return;
    }
    int rc = write_dones(self, &err);
    if (rc == 0)
        rc = look(self, &err);
    if (rc == 0 && may_read(self))
        rc = read_alerts(self, &err);
    else if (rc == 0)
        pause_wait(self->pause, AWAY_WAIT_MS);
    if (rc != 0) {
        silence_interrupted(&self->silence);
        log_warn("redis_failed", KV("error", err.text));
    }
}

static void *stream_thread(void *arg)
{
    struct stream *self = arg;
    while (!pause_is_stopped(self->pause)) {
        heartbeat_beat(self->heartbeat);
        turn(self);
    }
    struct error err = { 0 };
    if (store_check(self->store) == STORE_READY && write_dones(self, &err) != 0)
        log_warn("redis_failed", KV("error", err.text));
    return NULL;
}

/* --- life --- */

static int start(struct stream *self, struct error *err)
{
    struct service *service = self->options.service;
    const struct config_common *common = service_common(service);
    struct metrics *metrics = service_metrics(service);
    self->is_ready = metrics_gauge(metrics, "desg_notify_redis_ready", "",
                                   "1 while the alert stream can be read.");
    const struct store_options options = {
        .redis = &common->redis, .force = common->force, .metrics = metrics, .label = "notify"
    };
    self->store = store_new(&options, err);
    if (!self->store)
        return -1;
    self->heartbeat = service_heartbeat_new(service, "stream");
    if (pthread_create(&self->thread, NULL, stream_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the stream thread");
    self->has_thread = true;
    return 0;
}

struct stream *stream_new(const struct stream_options *options, struct error *err)
{
    struct stream *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the stream thread");
        return NULL;
    }
    self->options = *options;
    self->rebuild = options->known;
    silence_init(&self->silence, &options->source, options->take_over_ms);
    self->condition = STORE_AWAY;
    self->pause = pause_new();
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    if (start(self, err) != 0)
        stream_destroy(&self);
    return self;
}

void stream_drain(struct stream *self)
{
    atomic_store(&self->is_draining, true);
}

void stream_destroy(struct stream **self_p)
{
    struct stream *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        pause_stop(self->pause);
        (void)pthread_join(self->thread, NULL);
    }
    for (struct done_note *note = take_dones(self); note;) {
        struct done_note *next = note->next;
        free(note);
        note = next;
    }
    answer_look_ups(self, false);
    store_destroy(&self->store);
    pause_destroy(&self->pause);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
