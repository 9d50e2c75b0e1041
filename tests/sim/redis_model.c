#include "redis_model.h"

#include <string.h>

enum { REVIEW = 3, MINUTE_MS = 60000 };

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

static void save(struct model_state *state, const struct model_offer *e)
{
    struct model_event *event = &state->events[e->event];
    event->is_known = true;
    event->severity = e->severity;
    event->certainty = e->certainty;
    event->verdict_length = e->verdict_length;
    memcpy(event->verdict, e->verdict, e->verdict_length);
}

static void say(struct model_outcome *out, char letter)
{
    *out = (struct model_outcome){ .letter = letter };
}

static void apply_new(struct model_state *state, const struct model_rules *rules,
                      const struct model_offer *e, struct model_outcome *out)
{
    raise_alert(state, rules, e);
    save(state, e);
    say(out, e->certainty == MODEL_UNCLASSIFIED ? 'p' : 'n');
}

/* A verdict more severe than the one that stands, or the first real one. */
static void apply_change(struct model_state *state, const struct model_rules *rules,
                         const struct model_offer *e, struct model_outcome *out)
{
    if (e->severity > state->events[e->event].severity)
        raise_alert(state, rules, e);
    save(state, e);
    say(out, 'r');
}

static void apply_again(struct model_state *state, const struct model_rules *rules,
                        const struct model_offer *e, struct model_outcome *out)
{
    const struct model_event *stood = &state->events[e->event];
    bool is_first_real = stood->certainty == MODEL_UNCLASSIFIED;
    if (e->certainty != MODEL_UNCLASSIFIED && (is_first_real || e->severity > stood->severity)) {
        apply_change(state, rules, e, out);
        return;
    }
    say(out, is_first_real ? 'p' : 'd');
    out->has_verdict = stood->verdict_length != e->verdict_length ||
                       memcmp(stood->verdict, e->verdict, e->verdict_length) != 0;
    out->verdict_length = stood->verdict_length;
    memcpy(out->verdict, stood->verdict, stood->verdict_length);
}

void model_apply(struct model_state *state, const struct model_rules *rules,
                 const struct model_offer *offer, struct model_outcome *out)
{
    if (offer->breaks_function)
        say(out, 'e');
    else if (state->events[offer->event].is_known)
        apply_again(state, rules, offer, out);
    else
        apply_new(state, rules, offer, out);
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
    say(out, 'q');
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
