#include "outward/feed_words.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/said.h"

struct event_words {
    const char *now[FEED_LANGUAGES];
    const char *over[FEED_LANGUAGES];
};

static const struct event_words road_events[] = {
    [DESG__V1__ROAD_STATE__ROAD_STATE_UNSPECIFIED] = { { "Road closed", "Ffordd ar gau" },
                                                       { "Road reopened", "Ffordd wedi ailagor" } },
    [DESG__V1__ROAD_STATE__ROAD_STATE_ROAD_CLOSED] = { { "Road closed", "Ffordd ar gau" },
                                                       { "Road reopened", "Ffordd wedi ailagor" } },
    [DESG__V1__ROAD_STATE__ROAD_STATE_CARRIAGEWAY_CLOSED] = { { "Carriageway closed",
                                                                "Cerbytffordd ar gau" },
                                                              { "Carriageway reopened",
                                                                "Cerbytffordd wedi ailagor" } },
    [DESG__V1__ROAD_STATE__ROAD_STATE_LANE_CLOSED] = { { "Lane closed", "Lôn ar gau" },
                                                       { "Lane reopened", "Lôn wedi ailagor" } },
};

static const struct {
    const char *category;
    const char *response;
    struct event_words event;
} kinds[] = {
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_UNSPECIFIED] = { "Safety",
                                                               "Monitor",
                                                               { { "Notice", "Hysbysiad" },
                                                                 { "Notice ended",
                                                                   "Hysbysiad wedi dod i ben" } } },
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE] = { "Transport", "Avoid", { { 0 } } },
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_LIVE_INCIDENT] = { "Safety",
                                                                 "Avoid",
                                                                 { { "Incident", "Digwyddiad" },
                                                                   { "Incident over",
                                                                     "Digwyddiad ar ben" } } },
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ADVICE] = { "Safety",
                                                          "Monitor",
                                                          { { "Police advice",
                                                              "Cyngor gan yr heddlu" },
                                                            { "Advice ended",
                                                              "Cyngor wedi dod i ben" } } },
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL] = { "Security",
                                                          "Monitor",
                                                          { { "Police appeal",
                                                              "Apêl gan yr heddlu" },
                                                            { "Appeal ended",
                                                              "Apêl wedi dod i ben" } } },
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Kinds of a newer version count as unspecified. */
static size_t kind_index(Desg__V1__BroadcastKind kind)
{
    return (size_t)kind < COUNT(kinds) ? (size_t)kind : 0;
}

const char *feed_tag(enum feed_language language)
{
    return language == FEED_CY ? "cy-GB" : "en-GB";
}

static bool is_given(const char *text)
{
    return text && text[0] != '\0';
}

const Desg__V1__BroadcastText *feed_text(const Desg__V1__Broadcast *broadcast,
                                         enum feed_language language)
{
    const Desg__V1__BroadcastText *text = language == FEED_CY ? broadcast->cy : broadcast->en;
    return text && is_given(text->headline) ? text : NULL;
}

const char *feed_event(const Desg__V1__Broadcast *broadcast, enum feed_language language,
                       bool is_over)
{
    size_t road = (size_t)broadcast->road_state;
    const struct event_words *words =
        broadcast->kind == DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE
            ? &road_events[road < COUNT(road_events) ? road : 0]
            : &kinds[kind_index(broadcast->kind)].event;
    return is_over ? words->over[language] : words->now[language];
}

const char *feed_category(Desg__V1__BroadcastKind kind)
{
    return kinds[kind_index(kind)].category;
}

const char *feed_response(Desg__V1__BroadcastKind kind)
{
    return kinds[kind_index(kind)].response;
}

static const char *first_given(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_given(texts[i]))
            return texts[i];
    return "-";
}

const char *feed_sender_name(const struct outward_feed *feed, enum feed_language language)
{
    const char *own = language == FEED_CY ? feed->sender_name_cy : feed->sender_name_en;
    const char *other = language == FEED_CY ? feed->sender_name_en : feed->sender_name_cy;
    const char *const names[] = { own, other, feed->sender };
    return first_given(names, COUNT(names));
}

const char *feed_area(const struct outward_feed *feed, const Desg__V1__Broadcast *broadcast,
                      enum feed_language language)
{
    const Desg__V1__BroadcastText *own = language == FEED_CY ? broadcast->cy : broadcast->en;
    const Desg__V1__BroadcastText *other = language == FEED_CY ? broadcast->en : broadcast->cy;
    const char *const areas[] = { own ? own->area : NULL, other ? other->area : NULL,
                                  broadcast->road, feed_sender_name(feed, language) };
    return first_given(areas, COUNT(areas));
}

#define EXPIRED   DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED
#define CANCELLED DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED

static Desg__V1__BroadcastAction action_of(Desg__V1__BroadcastState state)
{
    if (state == CANCELLED)
        return DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL;
    return state == EXPIRED ? DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END
                            : DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST;
}

bool feed_is_withdrawn(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state)
{
    return said_is_withdrawn(broadcast, action_of(state));
}

bool feed_has_end(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state)
{
    return state == CANCELLED || feed_is_withdrawn(broadcast, state) ||
           (state == EXPIRED && broadcast->says_ended);
}

void feed_withdraw(Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state)
{
    said_withdraw(broadcast, action_of(state));
}

static char *expired_text(const char *headline, enum feed_language language)
{
    static const char *const words[] = { "No longer current", "Ddim yn gyfredol bellach" };
    char *out = NULL;
    if (asprintf(&out, "%s: %s", words[language], headline) < 0)
        abort();
    return out;
}

char *feed_over(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                enum feed_language language)
{
    if (!feed_has_end(broadcast, state))
        return expired_text(feed_text(broadcast, language)->headline, language);
    const struct said_how how = { .action = action_of(state) };
    char *out = said_text(broadcast, language == FEED_CY ? SAID_CY : SAID_EN, &how);
    if (!out)
        abort();
    return out;
}

char *feed_headline(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                    enum feed_language language)
{
    char *out = state == CANCELLED || state == EXPIRED
                    ? feed_over(broadcast, state, language)
                    : strdup(feed_text(broadcast, language)->headline);
    if (!out)
        abort();
    out[strcspn(out, "\n")] = '\0';
    return out;
}
