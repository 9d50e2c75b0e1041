#include "classify/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "triage/rule_edition.h"

enum { CHANNELS = 6, SEVERITIES = 6, LANGUAGES = 5, LANES = 2, LABELS_BYTES = 128 };

static const char *const channels[CHANNELS] = { "facebook", "instagram", "whatsapp",
                                                "x",        "web",       "other" };
static const char *const severities[SEVERITIES] = { "unspecified", "routine", "attention",
                                                    "review",      "urgent",  "life-at-risk" };
static const char *const languages[LANGUAGES] = { "none", "en", "cy", "mixed", "unsure" };
static const char *const lane_labels[LANES] = { "lane=\"urgent\"", "lane=\"bulk\"" };

struct tally {
    struct metrics *metrics;
    struct counter *events[CHANNELS][SEVERITIES][LANGUAGES]; /* made when first counted */
    struct histogram *seconds;
    struct counter *refused;
    struct counter *forwarded[LANES];
    struct counter *no_route[LANES];
    struct counter *unanswered[LANES];
    struct gauge *held[LANES];
    struct counter *alerts;
    struct counter *answers_lost;
    struct gauge *rules_loaded;
    struct gauge *edition; /* 1 for the one in use */
    struct counter *reload_failures;
    struct gauge *model_edition; /* 1 for the one in use; NULL: none is */
    struct gauge *model_loaded;
    struct counter *models_refused;
    struct counter *shadow_judged;
    struct counter *shadow_skipped;
    struct counter *shadow_differences[SEVERITIES][SEVERITIES]; /* made when first counted */
    struct gauge *shadow_edition;                               /* 1 for the one that runs */
};

struct tally *tally_new(struct metrics *metrics, struct error *err)
{
    struct tally *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for metrics");
        return NULL;
    }
    self->metrics = metrics;
    self->seconds =
        metrics_histogram(metrics, "desg_classify_triage_seconds", "", "Time to judge one event");
    self->refused = metrics_counter(metrics, "desg_classify_refused_total", "",
                                    "Events that could not be decoded");
    for (size_t i = 0; i < LANES; i++) {
        self->forwarded[i] = metrics_counter(metrics, "desg_classify_forwarded_total",
                                             lane_labels[i], "Events sent to route");
        self->no_route[i] = metrics_counter(metrics, "desg_classify_no_route_total", lane_labels[i],
                                            "Events given back because no route took them");
        self->unanswered[i] =
            metrics_counter(metrics, "desg_classify_unanswered_total", lane_labels[i],
                            "Events a route took and never answered for");
        self->held[i] = metrics_gauge(metrics, "desg_classify_held_events", lane_labels[i],
                                      "Events judged that wait for a route");
    }
    self->alerts = metrics_counter(metrics, "desg_classify_alert_orders_total", "",
                                   "Provisional alerts asked of notify because route was away");
    self->answers_lost = metrics_counter(metrics, "desg_classify_answers_lost_total", "",
                                         "Answers of route whose ingest was not connected");
    self->rules_loaded =
        metrics_gauge(metrics, "desg_classify_rules_loaded", "", "Rules of the edition in use");
    self->reload_failures = metrics_counter(metrics, "desg_classify_reload_failures_total", "",
                                            "New editions of rules that were refused");
    self->shadow_judged = metrics_counter(metrics, "desg_classify_shadow_judged_total", "",
                                          "Events judged by the shadow edition as well");
    self->shadow_skipped = metrics_counter(metrics, "desg_classify_shadow_skipped_total", "",
                                           "Events the shadow edition had no time for");
    self->model_loaded = metrics_gauge(metrics, "desg_classify_model_loaded", "",
                                       "1 if a model judges beside the rules");
    self->models_refused = metrics_counter(metrics, "desg_classify_model_refused_total", "",
                                           "Models that were missing or no good");
    return self;
}

void tally_destroy(struct tally **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static size_t channel_index(const char *channel)
{
    for (size_t i = 0; i < CHANNELS - 1; i++) {
        if (strcmp(channels[i], channel) == 0)
            return i;
    }
    return CHANNELS - 1;
}

static size_t lane_index(Desg__V1__Lane lane)
{
    return lane == DESG__V1__LANE__LANE_URGENT ? 0 : 1;
}

void tally_verdict(struct tally *self, const char *channel, const Desg__V1__Verdict *verdict,
                   int64_t took_us)
{
    static const double us_per_second = 1e6;
    size_t i = channel_index(channel);
    size_t severity = (size_t)verdict->severity < SEVERITIES ? (size_t)verdict->severity : 0;
    size_t language = (size_t)verdict->language < LANGUAGES ? (size_t)verdict->language : 0;
    struct counter **counter = &self->events[i][severity][language];
    if (!*counter) {
        char labels[LABELS_BYTES];
        (void)snprintf(labels, sizeof labels, "channel=\"%s\",severity=\"%s\",language=\"%s\"",
                       channels[i], severities[severity], languages[language]);
        *counter =
            metrics_counter(self->metrics, "desg_classify_events_total", labels, "Events judged");
    }
    counter_add(*counter, 1);
    histogram_observe(self->seconds, (double)took_us / us_per_second);
}

void tally_refused(struct tally *self)
{
    counter_add(self->refused, 1);
}

void tally_forwarded(struct tally *self, Desg__V1__Lane lane, size_t events)
{
    counter_add(self->forwarded[lane_index(lane)], events);
}

void tally_unanswered(struct tally *self, Desg__V1__Lane lane, size_t events)
{
    counter_add(self->unanswered[lane_index(lane)], events);
}

void tally_no_route(struct tally *self, Desg__V1__Lane lane, size_t events)
{
    counter_add(self->no_route[lane_index(lane)], events);
}

void tally_held(struct tally *self, Desg__V1__Lane lane, size_t events)
{
    gauge_set(self->held[lane_index(lane)], (int64_t)events);
}

void tally_alerts(struct tally *self, size_t alerts)
{
    counter_add(self->alerts, alerts);
}

void tally_answer_lost(struct tally *self)
{
    counter_add(self->answers_lost, 1);
}

void tally_rules(struct tally *self, const char *edition, size_t rules)
{
    char labels[LABELS_BYTES];
    (void)snprintf(labels, sizeof labels, "edition=\"%.*s\"", RULE_EDITION_NAME_BYTES, edition);
    if (self->edition)
        gauge_set(self->edition, 0);
    self->edition = metrics_gauge(self->metrics, "desg_classify_rules_edition_info", labels,
                                  "1 for the edition of rules in use");
    gauge_set(self->edition, 1);
    gauge_set(self->rules_loaded, (int64_t)rules);
}

const char *tally_severity(int severity)
{
    return severities[severity >= 0 && severity < SEVERITIES ? severity : 0];
}

void tally_shadow_judged(struct tally *self, Desg__V1__Severity from, Desg__V1__Severity to)
{
    counter_add(self->shadow_judged, 1);
    if (from == to || (size_t)from >= SEVERITIES || (size_t)to >= SEVERITIES)
        return;
    struct counter **counter = &self->shadow_differences[from][to];
    if (!*counter) {
        char labels[LABELS_BYTES];
        (void)snprintf(labels, sizeof labels, "from=\"%s\",to=\"%s\"", severities[from],
                       severities[to]);
        *counter = metrics_counter(self->metrics, "desg_classify_shadow_differences_total", labels,
                                   "Events the shadow edition would have judged otherwise");
    }
    counter_add(*counter, 1);
}

void tally_shadow_skipped(struct tally *self)
{
    counter_add(self->shadow_skipped, 1);
}

void tally_shadow_edition(struct tally *self, const char *rules, const char *model)
{
    char labels[LABELS_BYTES];
    if (self->shadow_edition)
        gauge_set(self->shadow_edition, 0);
    self->shadow_edition = NULL;
    if (rules[0] == '\0')
        return;
    (void)snprintf(labels, sizeof labels, "rules=\"%.*s\",model=\"%.*s\"", RULE_EDITION_NAME_BYTES,
                   rules, RULE_EDITION_NAME_BYTES, model);
    self->shadow_edition = metrics_gauge(self->metrics, "desg_classify_shadow_edition_info", labels,
                                         "1 for the edition that judges in the shadow");
    gauge_set(self->shadow_edition, 1);
}

void tally_model(struct tally *self, const char *edition)
{
    char labels[LABELS_BYTES];
    if (self->model_edition)
        gauge_set(self->model_edition, 0);
    self->model_edition = NULL;
    gauge_set(self->model_loaded, edition[0] != '\0');
    if (edition[0] == '\0')
        return;
    (void)snprintf(labels, sizeof labels, "edition=\"%.*s\"", RULE_EDITION_NAME_BYTES, edition);
    self->model_edition = metrics_gauge(self->metrics, "desg_classify_model_edition_info", labels,
                                        "1 for the edition of the model in use");
    gauge_set(self->model_edition, 1);
}

void tally_model_refused(struct tally *self)
{
    counter_add(self->models_refused, 1);
}

void tally_reload_failed(struct tally *self)
{
    counter_add(self->reload_failures, 1);
}
