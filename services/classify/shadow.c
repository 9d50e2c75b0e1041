#include "classify/shadow.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log/log.h"
#include "unpack/unpack.h"

enum { LOOK_EVERY_S = 5 };

enum state { STATE_LOADING, STATE_RUNNING, STATE_REFUSED };

struct waiting {
    uint8_t *bytes; /* an Event */
    size_t length;
    Desg__V1__Severity severity;
};

struct counts {
    uint64_t judged;
    uint64_t differences[VERDICT_SEVERITIES][VERDICT_SEVERITIES]; /* from, to */
};

struct shadow {
    struct shadow_options options;
    pthread_t thread;
    bool is_started;
    bool has_condition;
    atomic_uint_fast64_t skipped; /* since the edition was loaded */
    atomic_bool is_reload_asked;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct waiting waiting[SHADOW_WAITING_MAX]; /* a ring */
    size_t first;
    size_t count;
    bool is_stop_asked;
    enum state state;
    struct counts counts;
    char rules_edition[RULE_EDITION_NAME_BYTES];
    char model_edition[MODEL_FILE_EDITION_BYTES];

    struct triage *triage;   /* the thread's, as what follows */
    struct timespec look_at; /* when to look at the files again */
    uint64_t loaded_stamp;
    uint64_t changed_stamp; /* of the files as last seen, if they differ */
};

/* --- the edition --- */

static uint64_t stamp_of(const struct shadow *self)
{
    uint64_t stamp = rule_edition_stamp(self->options.rules_directory);
    return self->options.model ? stamp * 31 + model_file_stamp(self->options.model) : stamp;
}

static struct triage *open_edition(const struct shadow *self, struct error *err)
{
    const char *path = self->options.model;
    struct model_file *model = NULL;
    struct triage *triage = NULL;
    if (path && !(model = model_file_load(path, err)))
        return NULL;
    struct rule_set *rules = rule_set_load(self->options.rules_directory, err);
    if (rules)
        triage = triage_new(&rules, &self->options.triage, err);
    if (triage && model && triage_take_model(triage, &model, err) != 0)
        triage_destroy(&triage);
    model_file_destroy(&model);
    return triage;
}

static void edition_opened(struct shadow *self)
{
    const struct model *model = triage_model(self->triage);
    const char *rules_edition = rule_set_edition(triage_rules(self->triage));
    const char *model_edition = model ? model->edition : "";
    (void)pthread_mutex_lock(&self->lock);
    self->state = STATE_RUNNING;
    self->counts = (struct counts){ 0 };
    atomic_store(&self->skipped, 0);
    (void)strncpy(self->rules_edition, rules_edition, sizeof self->rules_edition - 1);
    (void)strncpy(self->model_edition, model_edition, sizeof self->model_edition - 1);
    (void)pthread_mutex_unlock(&self->lock);
    tally_shadow_edition(self->options.tally, rules_edition, model_edition);
    log_info("shadow_changed", KV("rules", rules_edition), KV("model", model_edition));
}

/* One that is no good leaves none: differences to an edition that was given up would mislead. */
static void load(struct shadow *self)
{
    struct error err = { 0 };
    triage_destroy(&self->triage);
    self->loaded_stamp = stamp_of(self);
    self->changed_stamp = 0;
    self->triage = open_edition(self, &err);
    if (self->triage) {
        edition_opened(self);
        return;
    }
    (void)pthread_mutex_lock(&self->lock);
    self->state = STATE_REFUSED;
    self->rules_edition[0] = self->model_edition[0] = '\0';
    (void)pthread_mutex_unlock(&self->lock);
    tally_shadow_edition(self->options.tally, "", "");
    log_warn("shadow_refused", KV("error", err.text),
             KV("remedy", "correct the file; no verdict depends on it"));
}

/* Looks every few seconds. Files are taken when they have been the same for two looks: not while
 * they are being written. */
static bool has_changed(struct shadow *self)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec < self->look_at.tv_sec)
        return false;
    self->look_at = now;
    self->look_at.tv_sec += LOOK_EVERY_S;
    uint64_t stamp = stamp_of(self);
    bool is_settled = stamp != self->loaded_stamp && stamp == self->changed_stamp;
    self->changed_stamp = stamp == self->loaded_stamp ? 0 : stamp;
    return is_settled;
}

/* --- judging --- */

static void skip(struct shadow *self)
{
    atomic_fetch_add(&self->skipped, 1);
    tally_shadow_skipped(self->options.tally);
}

static void count(struct shadow *self, Desg__V1__Severity from, Desg__V1__Severity to)
{
    assert((unsigned)from < VERDICT_SEVERITIES && (unsigned)to < VERDICT_SEVERITIES);
    (void)pthread_mutex_lock(&self->lock);
    self->counts.judged++;
    if (from != to)
        self->counts.differences[from][to]++;
    (void)pthread_mutex_unlock(&self->lock);
    tally_shadow_judged(self->options.tally, from, to);
}

static void judge(struct shadow *self, const struct waiting *waiting)
{
    struct error err = { 0 };
    struct verdict verdict;
    Desg__V1__Event *event =
        self->triage ? unpack(&desg__v1__event__descriptor, waiting->bytes, waiting->length, &err)
                     : NULL;
    if (!event) {
        skip(self);
        return;
    }
    triage_judge(self->triage, event, &verdict);
    count(self, waiting->severity, verdict.message.severity);
    desg__v1__event__free_unpacked(event, NULL);
}

/* Waits for an event, a wish or the next look at the files. Returns whether to go on; *out has no
 * bytes if there is no event. */
static bool wait_for_work(struct shadow *self, struct waiting *out)
{
    int rc = 0;
    *out = (struct waiting){ 0 };
    (void)pthread_mutex_lock(&self->lock);
    while (rc == 0 && self->count == 0 && !self->is_stop_asked &&
           !atomic_load(&self->is_reload_asked))
        rc = pthread_cond_timedwait(&self->wake, &self->lock, &self->look_at);
    bool is_going_on = !self->is_stop_asked;
    if (is_going_on && self->count > 0) {
        *out = self->waiting[self->first];
        self->first = (self->first + 1) % SHADOW_WAITING_MAX;
        self->count--;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return is_going_on;
}

static void *run(void *arg)
{
    struct shadow *self = arg;
    const struct sched_param idle = { 0 };
    struct waiting waiting;
    pthread_setname_np(pthread_self(), "shadow");
    (void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &idle); /* if it may; else as all */
    load(self);
    while (wait_for_work(self, &waiting)) {
        bool is_asked = atomic_exchange(&self->is_reload_asked, false);
        if (has_changed(self) || is_asked)
            load(self);
        if (waiting.bytes)
            judge(self, &waiting);
        free(waiting.bytes);
    }
    return NULL;
}

/* --- from the worker's thread --- */

static bool put(struct shadow *self, struct waiting waiting)
{
    if (pthread_mutex_trylock(&self->lock) != 0)
        return false;
    bool has_room = self->count < SHADOW_WAITING_MAX;
    if (has_room) {
        self->waiting[(self->first + self->count) % SHADOW_WAITING_MAX] = waiting;
        self->count++;
    }
    (void)pthread_cond_signal(&self->wake);
    (void)pthread_mutex_unlock(&self->lock);
    return has_room;
}

void shadow_offer(struct shadow *self, const Desg__V1__Event *event, Desg__V1__Severity severity)
{
    struct waiting waiting = { .severity = severity };
    waiting.length = desg__v1__event__get_packed_size(event);
    if (waiting.length > 0 && waiting.length <= SHADOW_EVENT_MAX_BYTES)
        waiting.bytes = malloc(waiting.length);
    if (waiting.bytes) {
        (void)desg__v1__event__pack(event, waiting.bytes);
        if (put(self, waiting))
            return;
    }
    free(waiting.bytes);
    skip(self);
}

/* Without the lock: its thread may hold it and be kept from running. A wish it does not hear at
 * once it hears at its next look. */
void shadow_reload(struct shadow *self)
{
    atomic_store(&self->is_reload_asked, true);
    (void)pthread_cond_signal(&self->wake);
}

static json_t *describe_differences(const struct counts *counts)
{
    json_t *out = json_array();
    for (int from = 0; from < VERDICT_SEVERITIES; from++)
        for (int to = 0; to < VERDICT_SEVERITIES; to++)
            if (counts->differences[from][to] > 0)
                (void)json_array_append_new(
                    out, json_pack("{s:s, s:s, s:I}", "from", tally_severity(from), "to",
                                   tally_severity(to), "events",
                                   (json_int_t)counts->differences[from][to]));
    return out;
}

json_t *shadow_describe(struct shadow *self)
{
    static const char *const states[] = { "loading", "running", "refused" };
    (void)pthread_mutex_lock(&self->lock);
    json_t *out = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "state", states[self->state], "rules",
                            self->rules_edition, "model", self->model_edition, "judged",
                            (json_int_t)self->counts.judged, "skipped",
                            (json_int_t)atomic_load(&self->skipped), "differences",
                            describe_differences(&self->counts));
    (void)pthread_mutex_unlock(&self->lock);
    return out;
}

/* --- life --- */

static int start(struct shadow *self, struct error *err)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the shadow edition");
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    self->has_condition = pthread_cond_init(&self->wake, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    self->is_started = self->has_condition && pthread_create(&self->thread, NULL, run, self) == 0;
    return self->is_started ? 0 : error_set(err, ERROR_SYSTEM, "cannot start the shadow edition");
}

struct shadow *shadow_new(const struct shadow_options *options, struct error *err)
{
    assert(options && options->rules_directory && options->tally && err);
    struct shadow *self = calloc(1, sizeof *self);
    if (!self || pthread_mutex_init(&self->lock, NULL) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the shadow edition");
        free(self);
        return NULL;
    }
    self->options = *options;
    if (self->options.model && self->options.model[0] == '\0')
        self->options.model = NULL;
    if (start(self, err) != 0)
        shadow_destroy(&self);
    return self;
}

void shadow_destroy(struct shadow **self_p)
{
    struct shadow *self = *self_p;
    if (!self)
        return;
    if (self->is_started) {
        (void)pthread_mutex_lock(&self->lock);
        self->is_stop_asked = true;
        (void)pthread_cond_signal(&self->wake);
        (void)pthread_mutex_unlock(&self->lock);
        (void)pthread_join(self->thread, NULL);
    }
    for (size_t i = 0; i < self->count; i++)
        free(self->waiting[(self->first + i) % SHADOW_WAITING_MAX].bytes);
    triage_destroy(&self->triage);
    if (self->has_condition)
        (void)pthread_cond_destroy(&self->wake);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
