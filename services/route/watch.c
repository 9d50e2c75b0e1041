#include "route/watch.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "log/log.h"
#include "store/plan.h"

enum {
    PROBE_MS = 250,
    REFRESH_MS = 5000,
    BEAT_MS = 1000,
    ARCHIVE_MS = 60000,
    ARCHIVED_PER_CALL = 100, /* a call of the function stays within milliseconds */
    ARCHIVE_CALLS_MAX = 20,
    SAME_PROBLEM_LOGGED_MS = 60000, /* a Redis that comes and goes must not fill the log */
    PROBLEM_BYTES = 384,
    QUEUES_MAX = 80,
    GRADES_MAX = DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK + 1, /* a word for each, and "other" */
    QUARANTINED_MAX = 100                                       /* counted so far */
};

struct queue_gauges {
    const char *queue;
    struct gauge *depth;          /* NULL: restricted work is in no metric */
    struct gauge *oldest_waiting; /* seconds */
};

struct grade_gauge {
    const char *grade;
    struct gauge *oldest_waiting;
    int64_t waiting_ms; /* while one answer is read */
};

struct watch {
    const struct route_config *config;
    struct store *store;
    struct heartbeat *heartbeat;
    struct metrics *metrics;
    struct gauge *redis_state;
    struct gauge *restricted_overdue;
    struct gauge *quarantined;
    struct counter *archived;
    int64_t archived_at_ms; /* the thread's own */
    struct queue_gauges queues[QUEUES_MAX];
    size_t queue_count;
    struct grade_gauge grades[GRADES_MAX]; /* the last one: words of verdicts that are not here */
    size_t grade_count;
    pthread_t thread;
    bool is_started;
    atomic_bool is_silent;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;
    bool is_stopping;
    enum store_state state;
    char problem[PROBLEM_BYTES];
    char logged_problem[PROBLEM_BYTES]; /* the last one written to the log */
    int64_t logged_at_ms;
    bool is_end_to_be_logged;
    json_t *queue_list;
};

bool watch_is_silent(const struct watch *self)
{
    return atomic_load(&self->is_silent);
}

/* Under the lock. One line per change: somebody has to act on the first, the rest is noise. */
static void log_change(struct watch *self)
{
    int64_t now_ms = clock_monotonic_ms();
    if (self->problem[0] == '\0') {
        if (self->is_end_to_be_logged)
            log_info("redis_available");
        self->is_end_to_be_logged = false;
        return;
    }
    if (strcmp(self->logged_problem, self->problem) == 0 &&
        now_ms - self->logged_at_ms < SAME_PROBLEM_LOGGED_MS)
        return;
    memcpy(self->logged_problem, self->problem, sizeof self->logged_problem);
    self->logged_at_ms = now_ms;
    self->is_end_to_be_logged = true;
    log_error("redis_unavailable", KV("problem", (const char *)self->problem));
}

static void note_problem(struct watch *self, enum store_state state, const char *problem)
{
    gauge_set(self->redis_state, (int64_t)state);
    self->state = state;
    if (strcmp(self->problem, problem) == 0)
        return;
    (void)snprintf(self->problem, sizeof self->problem, "%s", problem);
    log_change(self);
}

void watch_report(struct watch *self, const char *problem)
{
    (void)pthread_mutex_lock(&self->lock);
    if (!atomic_exchange(&self->is_silent, true)) {
        note_problem(self, STORE_AWAY, problem[0] ? problem : "Redis did not answer");
        (void)pthread_cond_signal(&self->wake);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

static bool is_restricted(const struct route_config *config, const char *queue)
{
    if (strcmp(queue, "restricted") == 0)
        return true;
    for (unsigned i = 0; i < config->queues.rules_count; i++) {
        const struct store_queue_rule *rule = &config->queues.rules[i];
        if (strcmp(rule->queue, queue) == 0 && rule->restricted && rule->restricted[0])
            return true;
    }
    return false;
}

/* Label values are few and fixed: the queues that exist by design or configuration. */
static void add_queue(struct watch *self, const char *queue)
{
    for (size_t i = 0; i < self->queue_count; i++)
        if (strcmp(self->queues[i].queue, queue) == 0)
            return;
    if (self->queue_count == QUEUES_MAX)
        return;
    struct queue_gauges *gauges = &self->queues[self->queue_count++];
    gauges->queue = queue;
    if (is_restricted(self->config, queue))
        return;
    char labels[96];
    (void)snprintf(labels, sizeof labels, "queue=\"%s\"", queue);
    gauges->depth = metrics_gauge(self->metrics, "desg_route_queue_depth", labels,
                                  "Conversations waiting in a queue");
    gauges->oldest_waiting = metrics_gauge(self->metrics, "desg_route_oldest_waiting_seconds",
                                           labels, "How long the oldest of a queue has waited");
}

static void add_queues(struct watch *self)
{
    static const char *const built_in[] = { "urgent",     "urgent-review", "needs-review",
                                            "restricted", "cymraeg",       "general",
                                            "updates" };
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        add_queue(self, built_in[i]);
    for (unsigned i = 0; i < self->config->queues.rules_count; i++)
        add_queue(self, self->config->queues.rules[i].queue);
}

static void add_grade(struct watch *self, const char *grade)
{
    for (size_t i = 0; i < self->grade_count; i++)
        if (strcmp(self->grades[i].grade, grade) == 0)
            return;
    assert(self->grade_count < GRADES_MAX);
    char labels[96];
    (void)snprintf(labels, sizeof labels, "grade=\"%s\"", grade);
    self->grades[self->grade_count++] = (struct grade_gauge){
        .grade = grade,
        .oldest_waiting =
            metrics_gauge_of_ms(self->metrics, "desg_route_grade_oldest_waiting_seconds", labels,
                                "How long the oldest of a grade has waited"),
    };
}

static void add_grades(struct watch *self)
{
    for (uint32_t severity = DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK;
         severity > DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED; severity--)
        add_grade(self, store_grade_name(&self->config->queues, severity));
    add_grade(self, "other");
}

static const json_t *find_queue(const json_t *list, const char *queue)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(row, "name")), queue) == 0)
            return row;
    }
    return NULL;
}

static bool is_overdue(struct watch *self, const char *queue)
{
    struct error err = { 0 };
    json_t *rows = NULL;
    if (store_queue_list(self->store, queue, 1, &rows, &err) != 0)
        return false;
    const json_t *first = json_array_get(rows, 0);
    bool is_late = first && json_integer_value(json_object_get(first, "deadline_ms")) < 0;
    json_decref(rows);
    return is_late;
}

static void note_wait(struct watch *self, const char *grade, int64_t waiting_ms)
{
    size_t at = 0;
    while (at + 1 < self->grade_count && strcmp(self->grades[at].grade, grade) != 0)
        at++;
    if (waiting_ms > self->grades[at].waiting_ms)
        self->grades[at].waiting_ms = waiting_ms;
}

static void show_grades(struct watch *self)
{
    const char *queues[QUEUES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->queue_count; i++)
        if (self->queues[i].depth)
            queues[count++] = self->queues[i].queue;
    struct error err = { 0 };
    json_t *waits = NULL;
    if (store_grades(self->store, queues, count, &waits, &err) != 0)
        return;
    for (size_t i = 0; i < self->grade_count; i++)
        self->grades[i].waiting_ms = 0;
    const char *grade = NULL;
    json_t *waiting_ms = NULL;
    json_object_foreach(waits, grade, waiting_ms)
    {
        note_wait(self, grade, (int64_t)json_number_value(waiting_ms));
    }
    json_decref(waits);
    for (size_t i = 0; i < self->grade_count; i++)
        gauge_set(self->grades[i].oldest_waiting, self->grades[i].waiting_ms);
}

static void show_quarantine(struct watch *self)
{
    struct error err = { 0 };
    json_t *rows = NULL;
    if (store_quarantine_list(self->store, QUARANTINED_MAX, &rows, &err) != 0)
        return;
    gauge_set(self->quarantined, (int64_t)json_array_size(rows));
    json_decref(rows);
}

static void show_queues(struct watch *self, json_t *list)
{
    bool is_restricted_overdue = false;
    for (size_t i = 0; i < self->queue_count; i++) {
        const struct queue_gauges *gauges = &self->queues[i];
        const json_t *row = find_queue(list, gauges->queue);
        if (gauges->depth) {
            gauge_set(gauges->depth, json_integer_value(json_object_get(row, "depth")));
            gauge_set(gauges->oldest_waiting,
                      json_integer_value(json_object_get(row, "oldest_waiting_ms")) / 1000);
        } else if (row) {
            is_restricted_overdue = is_restricted_overdue || is_overdue(self, gauges->queue);
        }
    }
    gauge_set(self->restricted_overdue, is_restricted_overdue);
    /* restricted work is not in /status either */
    for (size_t i = json_array_size(list); i-- > 0;)
        if (is_restricted(self->config,
                          json_string_value(json_object_get(json_array_get(list, i), "name"))))
            (void)json_array_remove(list, i);
    (void)pthread_mutex_lock(&self->lock);
    json_decref(self->queue_list);
    self->queue_list = list;
    (void)pthread_mutex_unlock(&self->lock);
}

/* One question to Redis, outside the lock: up to the configured time-out. */
static bool probe(struct watch *self)
{
    struct error err = { 0 };
    bool is_well = store_probe(self->store, &err) == 0;
    enum store_state state = is_well ? STORE_READY : STORE_AWAY;
    if (!is_well && store_check(self->store) == STORE_REFUSED)
        state = STORE_REFUSED;
    (void)pthread_mutex_lock(&self->lock);
    atomic_store(&self->is_silent, !is_well);
    note_problem(self, state, is_well ? "" : store_problem(self->store));
    (void)pthread_mutex_unlock(&self->lock);
    return is_well;
}

static void refresh(struct watch *self)
{
    struct error err = { 0 };
    json_t *list = NULL;
    if (store_queues_list(self->store, &list, &err) == 0)
        show_queues(self, list);
    show_grades(self);
    show_quarantine(self);
}

/* Once a minute, in small calls. What is not done now is done in a minute. */
static void archive(struct watch *self, int64_t now_ms)
{
    if (self->archived_at_ms != 0 && now_ms - self->archived_at_ms < ARCHIVE_MS)
        return;
    self->archived_at_ms = now_ms;
    const int64_t after_ms = store_archive_after_hours(&self->config->queues) * 3600000LL;
    size_t total = 0, count = ARCHIVED_PER_CALL;
    for (int calls = 0; calls < ARCHIVE_CALLS_MAX && count > 0; calls++) {
        struct error err = { 0 };
        count = 0;
        if (store_archive(self->store, after_ms, ARCHIVED_PER_CALL, &count, &err) != 0)
            log_warn("archive_failed", KV("error", err.text));
        total += count;
        if (self->heartbeat)
            heartbeat_beat(self->heartbeat);
    }
    counter_add(self->archived, total);
    if (total > 0)
        log_info("conversations_archived", KV("count", total));
}

/* Sleeps until the next beat or a report. Returns false when it is time to end. */
static bool wait_for_work(struct watch *self)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    long wait_ms = watch_is_silent(self) ? PROBE_MS : BEAT_MS;
    until.tv_nsec += (wait_ms % 1000) * 1000000L;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_mutex_lock(&self->lock);
    if (!self->is_stopping)
        (void)pthread_cond_timedwait(&self->wake, &self->lock, &until);
    bool is_going_on = !self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return is_going_on;
}

static void *run(void *arg)
{
    struct watch *self = arg;
    int64_t refreshed_at_ms = 0;
    do {
        if (self->heartbeat)
            heartbeat_beat(self->heartbeat);
        int64_t now_ms = clock_monotonic_ms();
        bool is_due = refreshed_at_ms == 0 || now_ms - refreshed_at_ms >= REFRESH_MS;
        if (!is_due && !watch_is_silent(self))
            continue;
        if (probe(self) && is_due) {
            refresh(self);
            archive(self, now_ms);
            refreshed_at_ms = now_ms;
        }
    } while (wait_for_work(self));
    return NULL;
}

static void open_locks(struct watch *self)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct watch *watch_new(const struct config_common *common, const struct route_config *config,
                        struct metrics *metrics, struct heartbeat *heartbeat, struct error *err)
{
    struct watch *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the watch");
        return NULL;
    }
    self->config = config;
    self->metrics = metrics;
    self->heartbeat = heartbeat;
    self->state = STORE_AWAY;
    open_locks(self);
    self->redis_state = metrics_gauge(metrics, "desg_route_redis_state", "",
                                      "Redis as route sees it: 0 ready, 1 away, 2 refused");
    self->restricted_overdue =
        metrics_gauge(metrics, "desg_route_restricted_overdue", "",
                      "1 if anything in a restricted queue is past its deadline");
    self->quarantined = metrics_gauge(metrics, "desg_route_quarantined_events", "",
                                      "Events in quarantine that wait for a person; 100 at most");
    self->archived = metrics_counter(metrics, "desg_route_archived_total", "",
                                     "Conversations at rest that left Redis");
    gauge_set(self->redis_state, STORE_AWAY);
    add_queues(self);
    add_grades(self);
    self->store = store_new(&(struct store_options){ .redis = &common->redis,
                                                     .force = common->force,
                                                     .queues = &config->queues,
                                                     .metrics = metrics,
                                                     .label = "watch" },
                            err);
    if (self->store && pthread_create(&self->thread, NULL, run, self) == 0)
        self->is_started = true;
    else if (self->store)
        (void)error_set(err, ERROR_SYSTEM, "cannot start the watch on Redis");
    if (!self->is_started)
        watch_destroy(&self);
    return self;
}

void watch_destroy(struct watch **self_p)
{
    struct watch *self = *self_p;
    if (!self)
        return;
    if (self->is_started) {
        (void)pthread_mutex_lock(&self->lock);
        self->is_stopping = true;
        (void)pthread_cond_signal(&self->wake);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    store_destroy(&self->store);
    json_decref(self->queue_list);
    (void)pthread_cond_destroy(&self->wake);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void watch_describe(struct watch *self, json_t *detail)
{
    static const char *const states[] = {
        [STORE_READY] = "ready", [STORE_AWAY] = "away", [STORE_REFUSED] = "refused"
    };
    (void)pthread_mutex_lock(&self->lock);
    (void)json_object_set_new(
        detail, "redis",
        json_pack("{s:s, s:s}", "state", states[self->state], "problem", self->problem));
    (void)json_object_set_new(detail, "queues",
                              self->queue_list ? json_deep_copy(self->queue_list) : json_array());
    (void)pthread_mutex_unlock(&self->lock);
}

bool watch_is_refused(const struct watch *self)
{
    return gauge_value(self->redis_state) == (int64_t)STORE_REFUSED;
}
