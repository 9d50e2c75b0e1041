/* What people see of the flow: gauges, /status, the list of open alerts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "notify/alert_flow_inside.h"
#include "notify/status_json.h"

static struct counter *attempts_counter(struct metrics *metrics, enum alert_path path,
                                        enum answer answer)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "path=\"%s\",result=\"%s\"", alert_path_name(path),
                   answer_name(answer));
    return metrics_counter(metrics, "desg_notify_attempts_total", labels,
                           "POSTs of alerts by path and what the receiver answered.");
}

static void init_counters(struct alert_flow *self)
{
    struct metrics *metrics = self->options.metrics;
    struct flow_metrics *m = &self->metrics;
    static const char alerts_help[] = "Alerts taken, once each, by the way they came first.";
    m->alerts[PATH_IN_STREAM] =
        metrics_counter(metrics, "desg_notify_alerts_total", "path_in=\"stream\"", alerts_help);
    m->alerts[PATH_IN_PROVISIONAL] = metrics_counter(metrics, "desg_notify_alerts_total",
                                                     "path_in=\"provisional\"", alerts_help);
    for (unsigned path = 0; path < ALERT_PATH_COUNT; path++)
        for (unsigned answer = 0; answer < FLOW_ANSWERS; answer++)
            m->attempts[path][answer] =
                attempts_counter(metrics, (enum alert_path)path, (enum answer)answer);
    m->digest_members = metrics_counter(metrics, "desg_notify_digest_members_total", "",
                                        "Alerts that went out named in a digest.");
    m->not_journalled = metrics_counter(metrics, "desg_notify_not_journalled_total", "",
                                        "Facts the journal did not take.");
    m->elsewhere = metrics_counter(metrics, "desg_notify_elsewhere_total", "",
                                   "Alerts another replica or the desk had dealt with.");
    m->accept_seconds = metrics_histogram(metrics, "desg_notify_accept_seconds", "",
                                          "From first sight of an alert to dispatch's 2xx.");
}

void flow_metrics_init(struct alert_flow *self)
{
    struct metrics *metrics = self->options.metrics;
    struct flow_metrics *m = &self->metrics;
    init_counters(self);
    m->open = metrics_gauge(metrics, "desg_notify_alerts_open", "",
                            "Alerts no dispatcher has acknowledged.");
    m->unaccepted = metrics_gauge(metrics, "desg_notify_alerts_unaccepted", "",
                                  "Alerts dispatch has not taken.");
    m->unacknowledged = metrics_gauge(metrics, "desg_notify_alerts_unacknowledged", "",
                                      "Open alerts that climbed up to the supervisor.");
    m->oldest_unaccepted_seconds =
        metrics_gauge(metrics, "desg_notify_oldest_unaccepted_seconds", "",
                      "Age of the oldest alert dispatch has not taken.");
    static const char refused_help[] = "1 while a path answers what only a person can mend.";
    m->refused[ALERT_PATH_FIRST] =
        metrics_gauge(metrics, "desg_notify_path_refused", "path=\"first\"", refused_help);
    m->refused[ALERT_PATH_SECOND] =
        metrics_gauge(metrics, "desg_notify_path_refused", "path=\"second\"", refused_help);
    m->test_failed = metrics_gauge(metrics, "desg_notify_standing_test_failed", "",
                                   "1 if the last test message did not come back from dispatch.");
}

void flow_show(struct alert_flow *self, int64_t now_ms)
{
    struct alert_counts counts;
    alert_book_count(self->book, now_ms, &counts);
    gauge_set(self->metrics.open, (int64_t)counts.open);
    gauge_set(self->metrics.unaccepted, (int64_t)counts.unaccepted);
    gauge_set(self->metrics.unacknowledged, (int64_t)counts.unacknowledged);
    gauge_set(self->metrics.oldest_unaccepted_seconds, counts.oldest_unaccepted_ms / 1000);
}

static json_t *describe_path(const struct alert_flow *self, enum alert_path path)
{
    const char *state = alert_book_is_broken(self->book, path) ? "down" : "up";
    if (path == ALERT_PATH_SECOND && !self->options.has_second_path)
        state = "not configured";
    json_t *shown = json_object();
    status_put(shown, "state", json_string(state));
    status_put(shown, "last_error", json_string(self->paths[path].last_error));
    return shown;
}

static json_t *describe_test(const struct standing_test *test)
{
    json_t *shown = json_object();
    status_put(shown, "is_on", json_boolean(test->interval_ms != 0));
    status_put(shown, "is_failed", json_boolean(test->is_failed));
    status_put(shown, "came_back_at_ms", json_integer(test->came_back_unix_ms));
    return shown;
}

void alert_flow_describe(struct alert_flow *self, json_t *detail)
{
    struct alert_counts counts;
    (void)pthread_mutex_lock(&self->lock);
    alert_book_count(self->book, clock_monotonic_ms(), &counts);
    status_put(detail, "alerts_known", json_integer((json_int_t)counts.known));
    status_put(detail, "alerts_open", json_integer((json_int_t)counts.open));
    status_put(detail, "alerts_unaccepted", json_integer((json_int_t)counts.unaccepted));
    status_put(detail, "alerts_unacknowledged", json_integer((json_int_t)counts.unacknowledged));
    status_put(detail, "alerts_unstored", json_integer((json_int_t)counts.unstored));
    status_put(detail, "oldest_unaccepted_ms", json_integer(counts.oldest_unaccepted_ms));
    status_put(detail, "dispatch", describe_path(self, ALERT_PATH_FIRST));
    status_put(detail, "second_path", describe_path(self, ALERT_PATH_SECOND));
    status_put(detail, "standing_test", describe_test(&self->test));
    (void)pthread_mutex_unlock(&self->lock);
}

static json_t *show_alert(const struct alert_entry *entry)
{
    static const char *const kinds[] = { [ALERT_SINGLE] = "alert",
                                         [ALERT_MEMBER] = "digest-member",
                                         [ALERT_DIGEST] = "digest",
                                         [ALERT_STANDING_TEST] = "test" };
    char id[ID_TEXT_BYTES];
    id_text(entry->id.bytes, id);
    const struct alert_send *raised = &entry->sends[ALERT_RAISED];
    json_t *shown = json_object();
    status_put(shown, "alert", json_string(id));
    status_put(shown, "kind", json_string(kinds[entry->kind]));
    status_put(shown, "state",
               json_string(entry->is_escalated ? "escalated" : alert_state_name(entry->state)));
    status_put(shown, "opened_at_ms", json_integer(entry->opened_unix_ms));
    status_put(shown, "failures", json_integer(raised->failures));
    status_put(shown, "steps_taken", json_integer(entry->steps_taken));
    status_put(shown, "is_second_path_accepted",
               json_boolean(entry->sends[ALERT_SECOND].is_accepted));
    status_put(shown, "is_journalled", json_boolean(entry->storage == ALERT_STORED));
    if (entry->has_digest) {
        id_text(entry->digest_id.bytes, id);
        status_put(shown, "digest", json_string(id));
    }
    return shown;
}

static int by_age(const void *a, const void *b)
{
    const struct alert_entry *const *left = a;
    const struct alert_entry *const *right = b;
    return ((*left)->opened_ms > (*right)->opened_ms) - ((*left)->opened_ms < (*right)->opened_ms);
}

json_t *alert_flow_list(struct alert_flow *self, size_t limit)
{
    json_t *list = json_array();
    (void)pthread_mutex_lock(&self->lock);
    size_t live = 0;
    while (alert_book_live(self->book, live))
        live++;
    const struct alert_entry **open = calloc(live + 1, sizeof(struct alert_entry *));
    if (!open)
        abort();
    size_t count = 0;
    for (size_t i = 0; i < live; i++) {
        open[count] = alert_book_live(self->book, i);
        count +=
            open[count]->state < ALERT_ACKNOWLEDGED && open[count]->kind != ALERT_STANDING_TEST;
    }
    qsort(open, count, sizeof(struct alert_entry *), by_age);
    for (size_t i = 0; i < count && i < limit; i++)
        if (json_array_append_new(list, show_alert(open[i])) != 0)
            abort();
    (void)pthread_mutex_unlock(&self->lock);
    free(open);
    return list;
}
