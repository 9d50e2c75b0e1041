#include "notify/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "log/log.h"
#include "store/store.h"

enum {
    READ_MAX = 64,
    READ_BLOCK_MS = 100,
    AWAY_WAIT_MS = 200,
    UNDONE_MAX = 512, /* read and not yet journalled: then it waits with reading */
    STATES_MAX = 8192,
    PROBLEM_BYTES = 512
};

struct done_note {
    struct done_note *next;
    char stream_id[32];
};

struct state_note {
    struct state_note *next;
    struct id alert;
    const char *state; /* a literal */
    json_t *fields;
};

struct stream {
    struct stream_options options;
    struct store *store; /* the thread's own */
    struct heartbeat *heartbeat;
    struct counter *dropped;
    struct gauge *is_ready;
    pthread_t thread;
    bool has_thread;
    bool was_ready;
    atomic_bool is_stopping;
    atomic_bool is_draining;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    size_t undone;
    struct done_note *dones;
    struct state_note *states;
    struct state_note **states_end;
    size_t state_count;
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
    (void)pthread_cond_signal(&self->wake);
    (void)pthread_mutex_unlock(&self->lock);
}

static void state_note_free(struct state_note *note)
{
    json_decref(note->fields);
    free(note);
}

void stream_state(struct stream *self, const struct id *alert, const char *state, json_t *fields)
{
    struct state_note *note = calloc(1, sizeof *note);
    if (!note)
        abort();
    *note = (struct state_note){ .alert = *alert, .state = state, .fields = fields };
    struct state_note *oldest = NULL;
    (void)pthread_mutex_lock(&self->lock);
    *self->states_end = note;
    self->states_end = &note->next;
    if (++self->state_count > STATES_MAX) { /* written anew when Redis is back */
        oldest = self->states;
        self->states = oldest->next;
        self->state_count--;
    }
    (void)pthread_cond_signal(&self->wake);
    (void)pthread_mutex_unlock(&self->lock);
    if (!oldest)
        return;
    counter_add(self->dropped, 1);
    state_note_free(oldest);
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
    self->options.back(self->options.arg);
}

static void wait_ms(struct stream *self, int64_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + wait_ms * 1000000;
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    (void)pthread_mutex_lock(&self->lock);
    if (!atomic_load(&self->is_stopping))
        (void)pthread_cond_timedwait(&self->wake, &self->lock, &until); /* waking early is fine */
    (void)pthread_mutex_unlock(&self->lock);
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

static struct state_note *take_state(struct stream *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct state_note *note = self->states;
    if (note) {
        self->states = note->next;
        self->state_count--;
        if (!self->states)
            self->states_end = &self->states;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return note;
}

static void put_state_back(struct stream *self, struct state_note *note)
{
    (void)pthread_mutex_lock(&self->lock);
    note->next = self->states;
    if (!self->states)
        self->states_end = &note->next;
    self->states = note;
    self->state_count++;
    (void)pthread_mutex_unlock(&self->lock);
}

static int write_states(struct stream *self, struct error *err)
{
    for (struct state_note *note; (note = take_state(self)) != NULL;) {
        struct error why = { 0 };
        if (store_alert_state(self->store, &note->alert, note->state, note->fields, &why) == 0 ||
            why.kind == ERROR_INVALID) { /* an alert Redis does not know is no reason to stop */
            state_note_free(note);
            continue;
        }
        put_state_back(self, note);
        *err = why;
        return -1;
    }
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
    if (condition != STORE_READY) {
        wait_ms(self, AWAY_WAIT_MS);
        return;
    }
    int rc = write_dones(self, &err);
    if (rc == 0)
        rc = write_states(self, &err);
    if (rc == 0 && may_read(self))
        rc = read_alerts(self, &err);
    else if (rc == 0)
        wait_ms(self, AWAY_WAIT_MS);
    if (rc != 0)
        log_warn("redis_failed", KV("error", err.text));
}

static void *stream_thread(void *arg)
{
    struct stream *self = arg;
    while (!atomic_load(&self->is_stopping)) {
        heartbeat_beat(self->heartbeat);
        turn(self);
    }
    struct error err = { 0 };
    if (store_check(self->store) == STORE_READY &&
        (write_dones(self, &err) != 0 || write_states(self, &err) != 0))
        log_warn("redis_failed", KV("error", err.text));
    return NULL;
}

/* --- life --- */

static int start(struct stream *self, struct error *err)
{
    struct service *service = self->options.service;
    const struct config_common *common = service_common(service);
    struct metrics *metrics = service_metrics(service);
    self->dropped = metrics_counter(metrics, "desg_notify_states_dropped_total", "",
                                    "Alert states not written to Redis: too many were waiting.");
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
    self->states_end = &self->states;
    self->condition = STORE_AWAY;
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&self->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
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
        (void)pthread_mutex_lock(&self->lock);
        atomic_store(&self->is_stopping, true);
        (void)pthread_cond_signal(&self->wake);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    for (struct done_note *note = take_dones(self); note;) {
        struct done_note *next = note->next;
        free(note);
        note = next;
    }
    for (struct state_note *note; (note = take_state(self)) != NULL;)
        state_note_free(note);
    store_destroy(&self->store);
    (void)pthread_cond_destroy(&self->wake);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
