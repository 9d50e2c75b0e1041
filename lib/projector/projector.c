#include "projector/projector.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "pause/pause.h"

enum {
    HELLO_MS = 2000,
    IDLE_WAIT_MS = 500, /* at most: the heartbeat wants a beat a second */
    AWAY_WAIT_MS = 200,
    PAGE_BYTES = 1 << 20,
    PROBLEM_BYTES = 512,
    REFUSED_TRIES = 5, /* of a record alone, some 200 ms apart, before it is put aside */
    ASIDES_SHOWN = 16,
    ASIDES_A_TURN = 64
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
    uint64_t asides;
    struct store_aside oldest[ASIDES_SHOWN];
    size_t oldest_count;
};

struct projector {
    struct projector_options options;
    struct id source;
    struct store *store;
    struct counter *rewinds_total;
    struct counter *applied_total;
    struct gauge *behind;
    struct gauge *caught_up;
    struct counter *put_aside_total;
    struct gauge *put_aside;
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
    size_t most;     /* records a page: fewer while one among them is looked for */
    uint64_t refused_sequence;
    unsigned refused_tries;
    uint64_t asides;       /* as Redis names them */
    bool are_asides_known; /* under this history */
    uint64_t retry_from;   /* the first put aside to be tried again; 0: that is done */
    struct pause *pause;
    pthread_mutex_t lock; /* guards view */
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
    self->are_asides_known = false;
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

/* --- what Redis refuses for itself --- */

static int learn_asides(struct projector *self, struct error *err)
{
    struct store_aside oldest[ASIDES_SHOWN];
    size_t count = 0;
    if (store_asides(self->store, &self->source, 0, oldest, ASIDES_SHOWN, &count, &self->asides,
                     err) != 0)
        return -1;
    self->are_asides_known = true;
    gauge_set(self->put_aside, (int64_t)self->asides);
    (void)pthread_mutex_lock(&self->lock);
    self->view.asides = self->asides;
    memcpy(self->view.oldest, oldest, count * sizeof oldest[0]);
    self->view.oldest_count = count;
    (void)pthread_mutex_unlock(&self->lock);
    return 0;
}

/* Whether the records themselves are what does not go. */
static bool is_refusal(const struct projector *self, const struct error *err)
{
    return err->kind == ERROR_INVALID || store_was_refused(self->store);
}

static int put_aside(struct projector *self, const struct journal_record *record,
                     const struct error *why, struct error *err)
{
    struct store_aside aside = { .sequence = record->sequence };
    (void)snprintf(aside.why, sizeof aside.why, "%.*s", (int)sizeof aside.why - 1, why->text);
    if (store_probe(self->store, err) != 0 || /* it takes other changes */
        store_aside_put(self->store, &self->source, &aside, err) != 0)
        return -1;
    counter_add(self->put_aside_total, 1);
    log_error("fact_put_aside", KV("sequence", record->sequence), KV("error", why->text),
              KV("remedy", "it stays in the journal; report it. It is tried again at each start"));
    return learn_asides(self, err);
}

/* A page was refused: a smaller one is next, until the record that is refused stands alone. 0: it
 * is put aside, or *is_narrowed. -1: to be tried again. */
static int look_closer(struct projector *self, const struct journal_page *page, bool *is_narrowed,
                       struct error *err)
{
    const struct journal_record *record = &page->records[0];
    *is_narrowed = page->count > 1;
    if (*is_narrowed) {
        self->most = page->count / 2;
        return 0;
    }
    if (record->sequence != self->refused_sequence)
        self->refused_tries = 0;
    self->refused_sequence = record->sequence;
    if (++self->refused_tries < REFUSED_TRIES)
        return -1;
    self->refused_tries = 0;
    struct error why = *err;
    return put_aside(self, record, &why, err);
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

static int note_applied(struct projector *self, uint64_t first, uint64_t last, struct error *err)
{
    self->most = self->most * 2 < STORE_APPLY_MAX ? self->most * 2 : STORE_APPLY_MAX;
    if (self->asides == 0)
        return 0;
    return store_aside_clear(self->store, &self->source, first, last, err) == 0
               ? learn_asides(self, err)
               : -1;
}

static int apply_page(struct projector *self, const struct journal_page *page, struct error *err)
{
    bool is_narrowed = false;
    uint64_t last = page->records[page->count - 1].sequence;
    int rc = apply(self, page, err);
    if (rc == 0)
        rc = note_applied(self, page->records[0].sequence, last, err);
    else if (is_refusal(self, err))
        rc = look_closer(self, page, &is_narrowed, err);
    if (rc == 0 && !is_narrowed && self->hello_due_ms != 0) {
        rc = set_mark(self, last, err);
        if (rc == 0 && self->hello_due_ms != 0)
            self->next = last + 1;
    }
    return rc;
}

/* A page of records into Redis, and the mark behind it. *count: how many there were. */
static int advance(struct projector *self, size_t *count, struct error *err)
{
    struct journal_page page = { 0 };
    uint64_t end = newest(self);
    if (journal_read(self->options.journal, self->next, self->most, PAGE_BYTES, &page, err) != 0)
        return -1;
    *count = page.count;
    if (page.count == 0 && end >= self->next)
        self->next = end + 1; /* those between are deleted */
    int rc = page.count > 0 ? apply_page(self, &page, err) : 0;
    journal_page_clear(&page);
    return rc == 0 ? note_progress(self, *count == 0, err) : rc;
}

/* One that was put aside by an earlier start, once more. -1 only if Redis is away. */
static int try_again(struct projector *self, uint64_t sequence, struct error *err)
{
    struct journal_page page = { 0 };
    if (journal_read(self->options.journal, sequence, 1, PAGE_BYTES, &page, err) != 0)
        return -1;
    bool is_there = page.count == 1 && page.records[0].sequence == sequence;
    int rc = is_there ? apply(self, &page, err) : 0;
    journal_page_clear(&page);
    if (rc != 0)
        return is_refusal(self, err) ? 0 : -1;
    if (is_there)
        log_info("fact_applied_after_all", KV("sequence", sequence));
    else
        log_error("fact_put_aside_deleted", KV("sequence", sequence));
    return store_aside_clear(self->store, &self->source, sequence, sequence, err);
}

/* Some of those put aside, behind what this start has got through already. */
static int try_asides_again(struct projector *self, struct error *err)
{
    struct store_aside asides[ASIDES_A_TURN];
    size_t count = 0;
    uint64_t total = 0;
    if (store_asides(self->store, &self->source, self->retry_from, asides, ASIDES_A_TURN, &count,
                     &total, err) != 0)
        return -1;
    for (size_t i = 0; i < count && asides[i].sequence < self->next; i++) {
        if (try_again(self, asides[i].sequence, err) != 0)
            return -1;
        self->retry_from = asides[i].sequence + 1;
    }
    if (count < ASIDES_A_TURN || asides[count - 1].sequence >= self->next)
        self->retry_from = 0; /* what is left has its turn with the journal */
    return learn_asides(self, err);
}

/* --- the thread --- */

/* Whatever failed may have happened or not: the next HELLO tells. */
static void note_failure(struct projector *self, bool is_away, const char *problem)
{
    if (!self->has_failed)
        log_warn("projection_halted", KV("problem", problem));
    self->has_failed = true;
    self->hello_due_ms = 0;
    note_redis(self, is_away, problem);
    pause_rest(self->pause, AWAY_WAIT_MS);
}

static void turn(struct projector *self)
{
    struct error err = { 0 };
    size_t count = 0;
    if (store_check(self->store) != STORE_READY) {
        note_failure(self, true, store_problem(self->store));
        return;
    }
    int64_t now_ms = clock_monotonic_ms();
    int rc = now_ms >= self->hello_due_ms ? hello(self, now_ms, &err) : 0;
    if (rc == 0 && !self->are_asides_known)
        rc = learn_asides(self, &err);
    if (rc == 0 && self->retry_from != 0)
        rc = try_asides_again(self, &err);
    if (rc == 0 && self->hello_due_ms != 0)
        rc = advance(self, &count, &err);
    if (rc != 0) {
        note_failure(self, !is_refusal(self, &err), err.text);
        return;
    }
    if (self->has_failed)
        log_info("projection_resumed", KV("from", self->next));
    self->has_failed = false;
    note_redis(self, false, "");
    publish(self);
    if (count == 0 && self->hello_due_ms != 0)
        pause_wait(self->pause, IDLE_WAIT_MS);
}

static void *projector_thread(void *arg)
{
    struct projector *self = arg;
    (void)pthread_setname_np(pthread_self(), "projector");
    while (!pause_is_stopped(self->pause)) {
        if (self->options.heartbeat)
            heartbeat_beat(self->options.heartbeat);
        turn(self);
    }
    return NULL;
}

/* --- the journal's hook --- */

void projector_hook_init(struct projector_hook *self)
{
    self->projector = NULL;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
}

void projector_hook_clear(struct projector_hook *self)
{
    assert(!self->projector);
    (void)pthread_mutex_destroy(&self->lock);
}

static void notice(struct projector *self, uint64_t last_sequence)
{
    (void)pthread_mutex_lock(&self->lock);
    if (self->view.newest < last_sequence)
        self->view.newest = last_sequence;
    (void)pthread_mutex_unlock(&self->lock);
    pause_wake(self->pause);
}

void projector_hook_committed(void *arg, uint64_t last_sequence)
{
    struct projector_hook *self = arg;
    (void)pthread_mutex_lock(&self->lock);
    if (self->projector)
        notice(self->projector, last_sequence);
    (void)pthread_mutex_unlock(&self->lock);
}

static void point_hook(struct projector_hook *self, struct projector *projector)
{
    (void)pthread_mutex_lock(&self->lock);
    self->projector = projector;
    (void)pthread_mutex_unlock(&self->lock);
}

/* --- life --- */

static int start(struct projector *self, struct error *err)
{
    struct metrics *metrics = self->options.metrics;
    const char *labels = self->options.metrics_labels ? self->options.metrics_labels : "";
    const struct store_options options = {
        .redis = self->options.redis,
        .force = self->options.force,
        .queues = self->options.queues,
        .metrics = metrics,
        .label = "projector",
        .is_guest = true,
    };
    struct journal_stats stats;
    journal_stats(self->options.journal, &stats);
    self->next = 1;
    self->most = STORE_APPLY_MAX;
    self->retry_from = 1;
    self->view.next = 1;
    self->view.newest = stats.newest_sequence;
    self->source = journal_source(self->options.journal);
    self->rewinds_total = metrics_counter(metrics, "desg_projector_rewinds_total", labels,
                                          "Times Redis had lost what was applied, or another "
                                          "history, and the journal was applied again.");
    self->applied_total = metrics_counter(metrics, "desg_projector_applied_total", labels,
                                          "Records applied to Redis.");
    self->behind = metrics_gauge(metrics, "desg_projector_behind_records", labels,
                                 "Records of the journal not applied to Redis yet.");
    self->caught_up = metrics_gauge(metrics, "desg_projector_caught_up", labels,
                                    "1 while all the journal held is applied to Redis.");
    self->put_aside_total = metrics_counter(metrics, "desg_projector_put_aside_total", labels,
                                            "Records put aside because Redis refuses them.");
    self->put_aside = metrics_gauge(metrics, "desg_projector_put_aside_records", labels,
                                    "Records put aside that Redis still does not have.");
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
    assert(options->journal && options->hook && options->apply && options->metrics);
    struct projector *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the projector");
        return NULL;
    }
    self->options = *options;
    self->pause = pause_new();
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    if (start(self, err) != 0)
        projector_destroy(&self);
    else
        point_hook(self->options.hook, self);
    return self;
}

void projector_destroy(struct projector **self_p)
{
    struct projector *self = *self_p;
    if (!self)
        return;
    point_hook(self->options.hook, NULL);
    if (self->has_thread) {
        pause_stop(self->pause);
        (void)pthread_join(self->thread, NULL);
    }
    store_destroy(&self->store);
    pause_destroy(&self->pause);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

/* --- what it tells --- */

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
        .put_aside = view.asides,
    };
}

static json_t *describe_asides(const struct view *view)
{
    json_t *oldest = json_array();
    for (size_t i = 0; i < view->oldest_count; i++)
        (void)json_array_append_new(oldest, json_pack("{s:I, s:s}", "sequence",
                                                      (json_int_t)view->oldest[i].sequence,
                                                      "problem", view->oldest[i].why));
    return json_pack("{s:I, s:o}", "count", (json_int_t)view->asides, "oldest", oldest);
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
    (void)json_object_set_new(object, "put_aside", describe_asides(&view));
    (void)json_object_set_new(detail, "projector", object); /* a gap in /status is not fatal */
}
