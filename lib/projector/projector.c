#include "projector/projector.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"
#include "log/log.h"

enum {
    HELLO_MS = 2000,
    IDLE_WAIT_MS = 500, /* at most: the heartbeat wants a beat a second */
    AWAY_WAIT_MS = 200,
    PAGE_BYTES = 1 << 20,
    PROBLEM_BYTES = 512
};

/* What other threads see. */
struct view {
    uint64_t newest; /* committed */
    uint64_t next;   /* the first sequence not applied under the live history */
    uint64_t marked;
    bool is_caught_up;
    bool is_away;
    uint64_t rewinds;
    char problem[PROBLEM_BYTES];
};

struct projector {
    struct projector_options options;
    struct id source;
    struct store *store;
    struct counter *rewinds_total;
    struct counter *applied_total;
    struct gauge *behind;
    struct gauge *caught_up;
    pthread_t thread;
    bool has_thread;
    /* the thread's own */
    char history[STORE_HISTORY_BYTES]; /* "": not known */
    struct store_mark mark;            /* as Redis has it under history */
    uint64_t next;
    uint64_t goal; /* newest at the last rewind: all up to it applied means caught up */
    bool is_caught_up;
    int64_t hello_due_ms;
    bool has_failed; /* and said so */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping;
    struct view view;
};

/* --- what the thread tells --- */

static void publish(struct projector *self)
{
    (void)pthread_mutex_lock(&self->lock);
    struct view *view = &self->view;
    view->next = self->next;
    view->marked = self->mark.sequence;
    view->is_caught_up = self->is_caught_up;
    uint64_t behind = view->newest >= self->next ? view->newest - self->next + 1 : 0;
    (void)pthread_mutex_unlock(&self->lock);
    gauge_set(self->behind, (int64_t)behind);
    gauge_set(self->caught_up, self->is_caught_up);
}

static void note_redis(struct projector *self, bool is_away, const char *problem)
{
    (void)pthread_mutex_lock(&self->lock);
    self->view.is_away = is_away;
    (void)snprintf(self->view.problem, sizeof self->view.problem, "%s", problem);
    (void)pthread_mutex_unlock(&self->lock);
}

static uint64_t newest(struct projector *self)
{
    (void)pthread_mutex_lock(&self->lock);
    uint64_t sequence = self->view.newest;
    (void)pthread_mutex_unlock(&self->lock);
    return sequence;
}

/* --- history and mark --- */

/* The sequence up to which Redis has all, by the mark it holds. A mark of an incarnation that
 * stored less than it says comes from a journal's copy that went on elsewhere. */
static uint64_t place_of(struct projector *self, const struct store_mark *mark)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (mark->incarnation == 0)
        return 0;
    if (!journal_find_incarnation(self->options.journal, mark->incarnation, &first, &last)) {
        log_warn("mark_unknown", KV("sequence", mark->sequence));
        return 0;
    }
    return mark->sequence < last ? mark->sequence : last;
}

static void rewind_to(struct projector *self, const char *history, const struct store_mark *mark)
{
    struct journal_stats stats;
    journal_stats(self->options.journal, &stats);
    uint64_t place = place_of(self, mark);
    bool is_first = self->history[0] == '\0';
    if (stats.oldest_sequence > 1 && place + 1 < stats.oldest_sequence)
        log_error("archive_needed", KV("mark", place), KV("oldest", stats.oldest_sequence));
    if (!is_first) {
        counter_add(self->rewinds_total, 1);
        log_info("projection_rewound", KV("history", history), KV("mark", place),
                 KV("newest", stats.newest_sequence));
    }
    (void)pthread_mutex_lock(&self->lock);
    self->view.rewinds += !is_first;
    if (self->view.newest < stats.newest_sequence)
        self->view.newest = stats.newest_sequence;
    (void)pthread_mutex_unlock(&self->lock);
    memcpy(self->history, history, sizeof self->history);
    self->mark = *mark;
    self->next = place + 1;
    self->goal = stats.newest_sequence;
    self->is_caught_up = false;
}

/* Before anything is applied there is a mark to be lost: without one a FLUSHALL between the first
 * records and their mark would go unseen. */
static int plant_mark(struct projector *self, struct error *err)
{
    const struct store_mark planted = {
        .incarnation = journal_incarnation(self->options.journal),
        .sequence = 0,
    };
    bool is_stored = false;
    if (store_set_mark(self->store, &self->source, &planted, &self->mark, self->history, &is_stored,
                       err) != 0)
        return -1;
    if (is_stored)
        self->mark = planted;
    self->hello_due_ms = is_stored ? self->hello_due_ms : 0;
    return 0;
}

static int report(struct projector *self, struct error *err)
{
    char live[STORE_HISTORY_BYTES];
    memcpy(live, self->history, sizeof live);
    if (store_source_report(self->store, &self->source, self->options.kind, self->options.name,
                            self->is_caught_up, live, err) != 0)
        return -1;
    if (strcmp(live, self->history) != 0)
        self->hello_due_ms = 0;
    return 0;
}

static int hello(struct projector *self, int64_t now_ms, struct error *err)
{
    char history[STORE_HISTORY_BYTES];
    struct store_mark found = { 0 };
    if (store_hello(self->store, &self->source, &found, history, err) != 0)
        return -1;
    self->hello_due_ms = now_ms + HELLO_MS;
    if (strcmp(history, self->history) != 0 || found.incarnation != self->mark.incarnation ||
        found.sequence != self->mark.sequence)
        rewind_to(self, history, &found);
    if (self->mark.incarnation == 0 && plant_mark(self, err) != 0)
        return -1;
    return report(self, err);
}

/* --- records --- */

static int apply(struct projector *self, const struct journal_page *page, struct error *err)
{
    struct journal_record whole[STORE_APPLY_MAX];
    size_t count = 0;
    char history[STORE_HISTORY_BYTES];
    for (size_t i = 0; i < page->count; i++)
        if (!page->records[i].is_damaged)
            whole[count++] = page->records[i];
    if (count == 0)
        return 0;
    memcpy(history, self->history, sizeof history);
    if (self->options.apply(self->options.arg, self->store, whole, count, history, err) != 0)
        return -1;
    counter_add(self->applied_total, count);
    if (strcmp(history, self->history) != 0)
        self->hello_due_ms = 0; /* applied there, but what lies before may not be */
    return 0;
}

static int set_mark(struct projector *self, uint64_t sequence, struct error *err)
{
    const struct store_mark mark = {
        .incarnation = journal_incarnation_of(self->options.journal, sequence),
        .sequence = sequence,
    };
    bool is_stored = false;
    if (mark.incarnation == 0) /* older than the journal remembers: the next one moves it */
        return 0;
    if (store_set_mark(self->store, &self->source, &mark, &self->mark, self->history, &is_stored,
                       err) != 0)
        return -1;
    if (is_stored)
        self->mark = mark;
    else
        self->hello_due_ms = 0; /* another history, or the mark is not what it was */
    return 0;
}

/* Everything there was is applied: what waits for it may go on. */
static int note_progress(struct projector *self, bool is_end, struct error *err)
{
    if (self->is_caught_up || self->hello_due_ms == 0 || !(is_end || self->next > self->goal))
        return 0;
    self->is_caught_up = true;
    log_info("projection_caught_up", KV("sequence", self->next - 1));
    return report(self, err);
}

/* A page of records into Redis, and the mark behind it. *count: how many there were. */
static int advance(struct projector *self, size_t *count, struct error *err)
{
    struct journal_page page = { 0 };
    uint64_t end = newest(self);
    if (journal_read(self->options.journal, self->next, STORE_APPLY_MAX, PAGE_BYTES, &page, err) !=
        0)
        return -1;
    *count = page.count;
    if (page.count == 0 && end >= self->next)
        self->next = end + 1; /* those between are deleted */
    int rc = page.count > 0 ? apply(self, &page, err) : 0;
    if (rc == 0 && page.count > 0 && self->hello_due_ms != 0) {
        uint64_t last = page.records[page.count - 1].sequence;
        rc = set_mark(self, last, err);
        if (rc == 0 && self->hello_due_ms != 0)
            self->next = last + 1;
    }
    journal_page_clear(&page);
    return rc == 0 ? note_progress(self, *count == 0, err) : rc;
}

/* --- the thread --- */

static void wait_ms(struct projector *self, int64_t ms, bool is_for_records)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + ms * 1000000;
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    (void)pthread_mutex_lock(&self->lock);
    int rc = 0;
    while (rc == 0 && !self->is_stopping && !(is_for_records && self->view.newest >= self->next))
        rc = pthread_cond_timedwait(&self->wake, &self->lock, &until);
    (void)pthread_mutex_unlock(&self->lock);
}

static bool is_stopping(struct projector *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool stop = self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return stop;
}

/* Whatever failed may have happened or not: the next HELLO tells. */
static void note_failure(struct projector *self, const char *problem)
{
    if (!self->has_failed)
        log_warn("projection_halted", KV("problem", problem));
    self->has_failed = true;
    self->hello_due_ms = 0;
    note_redis(self, true, problem);
    wait_ms(self, AWAY_WAIT_MS, false);
}

static void turn(struct projector *self)
{
    struct error err = { 0 };
    size_t count = 0;
    if (store_check(self->store) != STORE_READY) {
        note_failure(self, store_problem(self->store));
        return;
    }
    int64_t now_ms = clock_monotonic_ms();
    int rc = now_ms >= self->hello_due_ms ? hello(self, now_ms, &err) : 0;
    if (rc == 0 && self->hello_due_ms != 0)
        rc = advance(self, &count, &err);
    if (rc != 0) {
        note_failure(self, err.text);
        return;
    }
    if (self->has_failed)
        log_info("projection_resumed", KV("from", self->next));
    self->has_failed = false;
    note_redis(self, false, "");
    publish(self);
    if (count == 0 && self->hello_due_ms != 0)
        wait_ms(self, IDLE_WAIT_MS, true);
}

static void *projector_thread(void *arg)
{
    struct projector *self = arg;
    (void)pthread_setname_np(pthread_self(), "projector");
    while (!is_stopping(self)) {
        if (self->options.heartbeat)
            heartbeat_beat(self->options.heartbeat);
        turn(self);
    }
    return NULL;
}

/* --- life --- */

static int start(struct projector *self, struct error *err)
{
    struct metrics *metrics = self->options.metrics;
    const struct store_options options = {
        .redis = self->options.redis,
        .force = self->options.force,
        .queues = self->options.queues,
        .metrics = metrics,
        .label = "projector",
    };
    struct journal_stats stats;
    journal_stats(self->options.journal, &stats);
    self->next = 1;
    self->view.next = 1;
    self->view.newest = stats.newest_sequence;
    self->source = journal_source(self->options.journal);
    self->rewinds_total = metrics_counter(metrics, "desg_projector_rewinds_total", "",
                                          "Times Redis had lost what was applied, or another "
                                          "history, and the journal was applied again.");
    self->applied_total =
        metrics_counter(metrics, "desg_projector_applied_total", "", "Records applied to Redis.");
    self->behind = metrics_gauge(metrics, "desg_projector_behind_records", "",
                                 "Records of the journal not applied to Redis yet.");
    self->caught_up = metrics_gauge(metrics, "desg_projector_caught_up", "",
                                    "1 while all the journal held is applied to Redis.");
    self->store = store_new(&options, err);
    if (!self->store)
        return -1;
    if (pthread_create(&self->thread, NULL, projector_thread, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the projector's thread");
    self->has_thread = true;
    return 0;
}

struct projector *projector_new(const struct projector_options *options, struct error *err)
{
    assert(options->journal && options->apply && options->metrics);
    struct projector *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the projector");
        return NULL;
    }
    self->options = *options;
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&self->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (start(self, err) != 0)
        projector_destroy(&self);
    return self;
}

void projector_destroy(struct projector **self_p)
{
    struct projector *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        (void)pthread_mutex_lock(&self->lock);
        self->is_stopping = true;
        (void)pthread_cond_signal(&self->wake);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    store_destroy(&self->store);
    (void)pthread_cond_destroy(&self->wake);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void projector_committed(struct projector *self, uint64_t last_sequence)
{
    (void)pthread_mutex_lock(&self->lock);
    if (self->view.newest < last_sequence)
        self->view.newest = last_sequence;
    (void)pthread_cond_signal(&self->wake);
    (void)pthread_mutex_unlock(&self->lock);
}

/* The lock is no part of what a caller may see change. */
static struct view look(const struct projector *self)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&self->lock;
    (void)pthread_mutex_lock(lock);
    struct view view = self->view;
    (void)pthread_mutex_unlock(lock);
    return view;
}

void projector_status(const struct projector *self, struct projector_status *out)
{
    struct view view = look(self);
    *out = (struct projector_status){
        .newest = view.newest,
        .marked = view.marked,
        .is_caught_up = view.is_caught_up,
        .is_redis_away = view.is_away,
        .rewinds = view.rewinds,
    };
}

void projector_describe(const struct projector *self, json_t *detail)
{
    struct view view = look(self);
    json_int_t behind = view.newest >= view.next ? (json_int_t)(view.newest - view.next + 1) : 0;
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:b, s:b, s:s, s:I}", "newest", (json_int_t)view.newest,
                  "marked", (json_int_t)view.marked, "behind", behind, "is_caught_up",
                  (int)view.is_caught_up, "is_redis_away", (int)view.is_away, "problem",
                  view.problem, "rewinds", (json_int_t)view.rewinds);
    (void)json_object_set_new(detail, "projector", object); /* a gap in /status is not fatal */
}
