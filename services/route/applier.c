#include "route/applier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "ids/trace.h"
#include "log/log.h"

enum { OUTCOMES = STORE_ERROR + 1 };

struct applier {
    struct applier_options options;
    struct counter *outcomes[OUTCOMES];
    uint64_t applied;
    struct store_event events[STORE_APPLY_MAX];
    struct store_result results[STORE_APPLY_MAX];
    struct answer answers[STORE_APPLY_MAX];
    size_t refused[STORE_APPLY_MAX]; /* indexes of events the function refused */
    size_t refused_count;
};

static const char *const outcome_words[OUTCOMES] = {
    [STORE_NEW] = "new",
    [STORE_DUPLICATE] = "duplicate",
    [STORE_RAISED] = "raised",
    [STORE_PROVISIONAL] = "provisional",
    [STORE_QUARANTINED] = "quarantined",
    [STORE_ERROR] = "error",
};

static Desg__V1__DoneOutcome wire_outcome(enum store_outcome outcome)
{
    switch (outcome) {
    case STORE_NEW:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW;
    case STORE_DUPLICATE:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_DUPLICATE;
    case STORE_RAISED:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_RAISED;
    case STORE_PROVISIONAL:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_PROVISIONAL;
    case STORE_QUARANTINED:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_QUARANTINED;
    default:
        return DESG__V1__DONE_OUTCOME__DONE_OUTCOME_UNSPECIFIED;
    }
}

struct applier *applier_new(const struct applier_options *options, struct error *err)
{
    struct applier *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for an applier");
        return NULL;
    }
    self->options = *options;
    char labels[96];
    for (int i = 0; i < OUTCOMES; i++) {
        (void)snprintf(labels, sizeof labels, "lane=\"%s\",outcome=\"%s\"", options->lane,
                       outcome_words[i]);
        self->outcomes[i] = metrics_counter(options->metrics, "desg_route_applied_total", labels,
                                            "Events applied to Redis, by outcome");
    }
    return self;
}

void applier_destroy(struct applier **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

uint64_t applier_applied(const struct applier *self)
{
    return self->applied;
}

static struct answer done_answer(const struct held *event, const struct store_result *result)
{
    struct answer answer = { .to = event->from,
                             .kind = ANSWER_DONE,
                             .outcome = wire_outcome(result->outcome),
                             .verdict = event->bytes + event->event_length,
                             .verdict_length = event->verdict_length };
    if (result->standing_verdict) {
        answer.verdict = result->standing_verdict;
        answer.verdict_length = result->standing_verdict_length;
    }
    return answer;
}

/* One call. Answers go out before the store is used again: they point into it. */
static int apply_once(struct applier *self, const struct held *events, size_t count)
{
    char history[STORE_HISTORY_BYTES];
    struct error err = { 0 };
    const struct route_hands *hands = self->options.hands;
    if (hands->apply(hands->arg, self->events, count, self->results, history, &err) != 0)
        return -1;
    size_t answered = 0;
    self->refused_count = 0;
    for (size_t i = 0; i < count; i++) {
        counter_add(self->outcomes[self->results[i].outcome], 1);
        if (self->results[i].outcome == STORE_ERROR)
            self->refused[self->refused_count++] = i;
        else
            self->answers[answered++] = done_answer(&events[i], &self->results[i]);
    }
    self->applied += answered;
    if (answered > 0)
        self->options.done(self->options.arg, self->answers, answered, history);
    return 0;
}

static void log_poison(const struct applier *self, const struct held *event, const char *fault)
{
    char id[ID_TEXT_BYTES];
    char trace[TRACE_TEXT_BYTES];
    id_text(event->event->id.data, id);
    trace_text((struct trace){ event->event->trace_high, event->event->trace_low }, trace);
    log_error("event_quarantined", KV("lane", self->options.lane), KV("event", id),
              KV("trace", trace), KV("sequence", event->from.sequence), KV("fault", fault));
}

static void give_up(struct applier *self, const struct held *event)
{
    struct answer busy = { .to = event->from,
                           .kind = ANSWER_BUSY,
                           .is_alerted = event->is_alerted,
                           .reason = "not applied" };
    self->options.done(self->options.arg, &busy, 1, "");
}

/* Refused once among others: again alone, then by quarantine, which touches nothing of what the
 * event may have broken. */
static void apply_refused(struct applier *self, const struct held *event)
{
    self->events[0] = held_event(event);
    if (apply_once(self, event, 1) != 0) {
        give_up(self, event);
        return;
    }
    if (self->refused_count == 0)
        return;
    log_poison(self, event, self->results[0].error);
    self->events[0].quarantine_reason = "refused twice by the function apply";
    if (apply_once(self, event, 1) != 0 || self->refused_count > 0)
        give_up(self, event);
}

int applier_apply(struct applier *self, const struct held *events, size_t count)
{
    assert(count >= 1 && count <= STORE_APPLY_MAX);
    for (size_t i = 0; i < count; i++)
        self->events[i] = held_event(&events[i]);
    if (apply_once(self, events, count) != 0)
        return -1;
    size_t refused[STORE_APPLY_MAX];
    size_t refused_count = self->refused_count;
    for (size_t i = 0; i < refused_count; i++)
        refused[i] = self->refused[i];
    for (size_t i = 0; i < refused_count; i++)
        apply_refused(self, &events[refused[i]]);
    return 0;
}
