#include "redis_model.h"

#include <stdlib.h>
#include <string.h>

enum { REVIEW = 3, URGENT = 4, MINUTE_MS = 60000 };

static const uint8_t raised_to_urgent[] = { 8, 1, 24, 4 };

static void raise_in_context(const struct model_rules *rules, const struct model_conversation *c,
                             struct model_offer *e, bool *is_raised)
{
    *is_raised = false;
    if (e->certainty != MODEL_CONTEXT || e->severity >= URGENT || c->severe_at == 0 ||
        llabs(e->moment_ms - c->severe_at) > rules->context_ms)
        return;
    e->severity = URGENT;
    memcpy(e->verdict + e->verdict_length, raised_to_urgent, sizeof raised_to_urgent);
    e->verdict_length = (uint8_t)(e->verdict_length + sizeof raised_to_urgent);
    *is_raised = true;
}

static void learn(struct model_conversation *c, const struct model_offer *e)
{
    if (e->is_work && e->severity >= URGENT && e->moment_ms > c->severe_at)
        c->severe_at = e->moment_ms;
}

static bool is_above_rate(struct model_state *state, const struct model_rules *rules,
                          int64_t received_ms)
{
    int64_t minute = received_ms / MINUTE_MS;
    size_t slot = (size_t)(minute % MODEL_MINUTES);
    if (state->rates[slot].minute != minute) {
        state->rates[slot].minute = minute;
        state->rates[slot].count = 0;
    }
    return ++state->rates[slot].count > rules->unclassified_per_minute;
}

static void raise_alert(struct model_state *state, const struct model_rules *rules,
                        const struct model_offer *e)
{
    struct model_event *event = &state->events[e->event];
    bool is_known = event->alert_severity > 0;
    if (e->severity < REVIEW || !e->is_work || !e->has_order ||
        (is_known && event->alert_severity >= e->severity))
        return;
    bool is_digest =
        e->severity == REVIEW && !is_known && is_above_rate(state, rules, e->received_ms);
    if (state->stream_length < MODEL_STREAM)
        state->stream[state->stream_length++] =
            (struct model_stream_entry){ .event = e->event, .is_digest = is_digest };
    event->alert_severity = e->severity;
}

static void save(struct model_state *state, const struct model_offer *e, uint32_t n)
{
    struct model_event *event = &state->events[e->event];
    event->is_known = true;
    event->severity = e->severity;
    event->certainty = e->certainty;
    event->n = n;
    event->verdict_length = e->verdict_length;
    memcpy(event->verdict, e->verdict, e->verdict_length);
}

static void say(struct model_outcome *out, char letter, const struct model_event *standing)
{
    *out = (struct model_outcome){ .letter = letter };
    if (standing) {
        out->has_verdict = true;
        out->verdict_length = standing->verdict_length;
        memcpy(out->verdict, standing->verdict, standing->verdict_length);
    }
}

static void apply_new(struct model_state *state, const struct model_rules *rules,
                      struct model_offer *e, struct model_outcome *out)
{
    struct model_conversation *c = &state->conversations[e->conversation];
    bool is_raised = false;
    raise_in_context(rules, c, e, &is_raised);
    learn(c, e);
    if (e->is_work) {
        c->n++;
        raise_alert(state, rules, e);
    }
    save(state, e, c->n);
    say(out, e->certainty == MODEL_UNCLASSIFIED ? 'p' : 'n',
        is_raised ? &state->events[e->event] : NULL);
}

/* A verdict more severe than the one that stands, or the first real one. */
static void apply_change(struct model_state *state, const struct model_rules *rules,
                         struct model_offer *e, bool is_raised, struct model_outcome *out)
{
    struct model_conversation *c = &state->conversations[e->conversation];
    const struct model_event stood = state->events[e->event];
    uint32_t n = stood.n;
    if (e->is_work) {
        learn(c, e);
        if (e->severity > stood.severity) {
            n = ++c->n;
            raise_alert(state, rules, e);
        }
    }
    save(state, e, n);
    say(out, 'r', is_raised ? &state->events[e->event] : NULL);
}

static void apply_again(struct model_state *state, const struct model_rules *rules,
                        struct model_offer *e, struct model_outcome *out)
{
    const struct model_event *stood = &state->events[e->event];
    if (e->certainty != MODEL_UNCLASSIFIED && stood->certainty == MODEL_UNCLASSIFIED) {
        bool is_raised = false;
        raise_in_context(rules, &state->conversations[e->conversation], e, &is_raised);
        apply_change(state, rules, e, is_raised, out);
        return;
    }
    if (e->certainty != MODEL_UNCLASSIFIED && e->severity > stood->severity) {
        apply_change(state, rules, e, false, out);
        return;
    }
    bool is_other = stood->verdict_length != e->verdict_length ||
                    memcmp(stood->verdict, e->verdict, e->verdict_length) != 0;
    say(out, stood->certainty == MODEL_UNCLASSIFIED ? 'p' : 'd', is_other ? stood : NULL);
}

void model_apply(struct model_state *state, const struct model_rules *rules,
                 const struct model_offer *offer, struct model_outcome *out)
{
    struct model_offer e = *offer;
    if (e.breaks_function)
        say(out, 'e', NULL);
    else if (state->events[e.event].is_known)
        apply_again(state, rules, &e, out);
    else
        apply_new(state, rules, &e, out);
}

void model_quarantine(struct model_state *state, const struct model_rules *rules,
                      const struct model_offer *offer, struct model_outcome *out)
{
    if (!state->events[offer->event].is_quarantined) {
        struct model_outcome ignored;
        model_apply(state, rules, offer, &ignored);
        raise_alert(state, rules, offer);
        state->events[offer->event].is_quarantined = true;
    }
    say(out, 'q', NULL);
}

bool model_mark(struct model_state *state, const struct model_rules *rules, size_t source,
                const char *live, const char *quoted, struct model_mark wanted,
                struct model_mark previous)
{
    struct model_mark *stored = &state->marks[source];
    bool is_history = rules->ignores_history || strcmp(live, quoted) == 0;
    if (!is_history || stored->incarnation != previous.incarnation ||
        stored->sequence != previous.sequence ||
        (!rules->ignores_beat && stored->beat != previous.beat))
        return false;
    *stored = wanted;
    return true;
}

void model_acknowledge(struct model_state *state, uint16_t event)
{
    for (size_t i = 0; i < state->stream_length; i++) {
        if (state->stream[i].event != event)
            continue;
        state->stream_length--;
        memmove(&state->stream[i], &state->stream[i + 1],
                (state->stream_length - i) * sizeof state->stream[0]);
        return;
    }
}
