#include "ingest/dispatch_status.h"

#include <pthread.h>
#include <stdlib.h>

struct counters {
    struct counter *hedges, *bypasses, *retries, *suspects, *quarantined, *rewinds, *stale_dones,
        *answers[4], *damaged, *set_aside, *not_sent, *foreign;
    struct gauge *unloaded, *held, *deferred, *provisional, *replaying, *oldest_unseen_ms, *workers,
        *busy;
};

struct dispatch_status {
    struct counters metrics;
    struct custody_status counted; /* counters as last exported; the dispatcher's thread only */
    struct source_counts counted_answers;
    pthread_mutex_t lock; /* over all below */
    struct custody_status status;
    json_t *workers;
    json_t *routes;
};

static void make_metrics(struct dispatch_status *self, struct metrics *registry)
{
    struct counters *m = &self->metrics;
    static const char *const answers[] = { "answer=\"done\"", "answer=\"provisional\"",
                                           "answer=\"busy\"", "answer=\"refused\"" };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        m->answers[i] = metrics_counter(registry, "desg_ingest_answers_total", answers[i],
                                        "Answers about events from the stages behind");
    m->hedges = metrics_counter(registry, "desg_ingest_hedges_total", "",
                                "Events sent a second way because an answer was late");
    m->bypasses = metrics_counter(registry, "desg_ingest_bypasses_total", "",
                                  "Events sent to route unclassified");
    m->retries = metrics_counter(registry, "desg_ingest_retries_total", "",
                                 "Events sent again after a time-out");
    m->suspects = metrics_counter(registry, "desg_ingest_suspects_total", "",
                                  "Events in hand of a worker that died");
    m->quarantined =
        metrics_counter(registry, "desg_ingest_quarantined_total", "", "Events sent to quarantine");
    m->rewinds = metrics_counter(registry, "desg_ingest_rewinds_total", "",
                                 "Replays from the mark because Redis had another history");
    m->stale_dones = metrics_counter(registry, "desg_ingest_stale_dones_total", "",
                                     "Acknowledgements under another history of Redis");
    m->damaged = metrics_counter(registry, "desg_ingest_damaged_records_total", "",
                                 "Journal records that failed their check");
    m->set_aside = metrics_counter(registry, "desg_ingest_set_aside_records_total", "",
                                   "Records not split because they ended ingest, sent raw");
    m->not_sent = metrics_counter(registry, "desg_ingest_batches_not_sent_total", "",
                                  "Batches a peer did not take");
    m->foreign = metrics_counter(registry, "desg_ingest_foreign_answers_total", "",
                                 "Answers meant for another start or journal");
    m->unloaded = metrics_gauge(registry, "desg_ingest_unloaded_records", "",
                                "Committed records not yet handed out");
    m->held = metrics_gauge(registry, "desg_ingest_held_events", "", "Events in custody in memory");
    m->deferred = metrics_gauge(registry, "desg_ingest_deferred_records", "",
                                "Records kept for later because route was busy");
    m->provisional = metrics_gauge(registry, "desg_ingest_provisional_records", "",
                                   "Records applied unclassified, to be offered again");
    m->replaying = metrics_gauge(registry, "desg_ingest_replaying_records", "",
                                 "Records of a replay that are not applied again yet");
    m->oldest_unseen_ms = metrics_gauge_of_ms(registry, "desg_ingest_oldest_unseen_seconds", "",
                                              "Age of the oldest event triage has not looked at");
    m->workers = metrics_gauge(registry, "desg_ingest_workers", "", "Classify workers connected");
    m->busy = metrics_gauge(registry, "desg_ingest_route_busy", "",
                            "1 while route cannot apply (Redis silent)");
}

struct dispatch_status *dispatch_status_new(struct metrics *metrics, struct error *err)
{
    struct dispatch_status *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the dispatcher's status");
        return NULL;
    }
    (void)pthread_mutex_init(&self->lock, NULL);
    make_metrics(self, metrics);
    return self;
}

void dispatch_status_destroy(struct dispatch_status **self_p)
{
    struct dispatch_status *self = *self_p;
    if (!self)
        return;
    json_decref(self->workers);
    json_decref(self->routes);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

static void add_delta(struct counter *counter, uint64_t *counted, uint64_t now)
{
    counter_add(counter, now - *counted);
    *counted = now;
}

static void export_metrics(struct dispatch_status *self, const struct custody_status *status,
                           const struct source_counts *counts)
{
    struct counters *m = &self->metrics;
    add_delta(m->hedges, &self->counted.hedges, status->hedges);
    add_delta(m->bypasses, &self->counted.bypasses, status->bypasses);
    add_delta(m->retries, &self->counted.retries, status->retries);
    add_delta(m->suspects, &self->counted.suspects, status->suspects);
    add_delta(m->quarantined, &self->counted.quarantined, status->quarantined);
    add_delta(m->rewinds, &self->counted.rewinds, status->rewinds);
    add_delta(m->stale_dones, &self->counted.stale_dones, status->stale_dones);
    for (size_t i = 0; i < sizeof counts->answers / sizeof counts->answers[0]; i++)
        add_delta(m->answers[i], &self->counted_answers.answers[i], counts->answers[i]);
    add_delta(m->foreign, &self->counted_answers.foreign, counts->foreign);
    gauge_set(m->unloaded, (int64_t)status->unloaded);
    gauge_set(m->held, (int64_t)status->held_events);
    gauge_set(m->deferred, (int64_t)status->deferred);
    gauge_set(m->provisional, (int64_t)status->provisional);
    gauge_set(m->replaying, (int64_t)status->replaying);
    gauge_set(m->oldest_unseen_ms, status->oldest_unseen_ms);
    gauge_set(m->workers, (int64_t)status->workers);
    gauge_set(m->busy, status->is_route_busy);
}

void dispatch_status_put(struct dispatch_status *self, const struct custody_status *status,
                         const struct source_counts *counts, json_t *workers, json_t *routes)
{
    export_metrics(self, status, counts);
    (void)pthread_mutex_lock(&self->lock);
    self->status = *status;
    json_decref(self->workers);
    json_decref(self->routes);
    self->workers = workers;
    self->routes = routes;
    (void)pthread_mutex_unlock(&self->lock);
}

void dispatch_status_get(struct dispatch_status *self, struct custody_status *out)
{
    (void)pthread_mutex_lock(&self->lock);
    *out = self->status;
    (void)pthread_mutex_unlock(&self->lock);
}

static json_t *describe_channels(const struct custody_status *status)
{
    json_t *channels = json_array();
    for (size_t i = 0; i < status->channel_count; i++) {
        const struct custody_channel_status *channel = &status->channels[i];
        (void)json_array_append_new(
            channels,
            json_pack("{s:s, s:b, s:I, s:I}", "name", channel->name, "served", channel->is_served,
                      "unseen_events", (json_int_t)channel->unseen_events, "provisional_records",
                      (json_int_t)channel->provisional_records));
    }
    return channels;
}

void dispatch_status_describe(struct dispatch_status *self, json_t *detail)
{
    (void)pthread_mutex_lock(&self->lock);
    const struct custody_status *s = &self->status;
    json_t *dispatch = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I}", "newest_sequence",
        (json_int_t)s->newest, "unloaded_records", (json_int_t)s->unloaded, "held_events",
        (json_int_t)s->held_events, "deferred_records", (json_int_t)s->deferred,
        "provisional_records", (json_int_t)s->provisional, "replaying_records",
        (json_int_t)s->replaying, "done_through", (json_int_t)s->done_through, "marked",
        (json_int_t)s->marked, "oldest_unseen_ms", (json_int_t)s->oldest_unseen_ms, "route_busy",
        s->is_route_busy, "history_known", s->is_history_known, "rewinds", (json_int_t)s->rewinds,
        "bypasses", (json_int_t)s->bypasses);
    if (dispatch) {
        /* copies: the admin thread must not share what the next snapshot frees */
        (void)json_object_set_new(dispatch, "workers", json_deep_copy(self->workers));
        (void)json_object_set_new(dispatch, "routes", json_deep_copy(self->routes));
        (void)json_object_set_new(dispatch, "channels", describe_channels(s));
        (void)json_object_set_new(detail, "dispatch", dispatch);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

void dispatch_status_damaged(struct dispatch_status *self, uint64_t records)
{
    counter_add(self->metrics.damaged, records);
}

void dispatch_status_set_aside(struct dispatch_status *self)
{
    counter_add(self->metrics.set_aside, 1);
}

void dispatch_status_not_sent(struct dispatch_status *self)
{
    counter_add(self->metrics.not_sent, 1);
}
