/* Words of the API and the command for the enumerations. */
#include <stddef.h>
#include <string.h>

#include "outward/broadcast.h"

static const char *const kinds[] = {
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE] = "road-closure",
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_LIVE_INCIDENT] = "live-incident",
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ADVICE] = "advice",
    [DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL] = "appeal",
};

static const char *const states[] = {
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_DRAFT] = "draft",
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_APPROVED] = "approved",
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_SCHEDULED] = "scheduled",
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED] = "published",
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED] = "expired",
    [DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED] = "cancelled",
};

static const char *const road_states[] = {
    [DESG__V1__ROAD_STATE__ROAD_STATE_ROAD_CLOSED] = "road-closed",
    [DESG__V1__ROAD_STATE__ROAD_STATE_CARRIAGEWAY_CLOSED] = "carriageway-closed",
    [DESG__V1__ROAD_STATE__ROAD_STATE_LANE_CLOSED] = "lane-closed",
};

#define COUNT(words) (sizeof(words) / sizeof(words)[0])

static const char *word_of(const char *const *words, size_t count, int value)
{
    return value > 0 && (size_t)value < count ? words[value] : "unknown";
}

static int value_of(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return 0;
}

const char *broadcast_kind_word(Desg__V1__BroadcastKind kind)
{
    return word_of(kinds, COUNT(kinds), (int)kind);
}

Desg__V1__BroadcastKind broadcast_kind_from(const char *word)
{
    return (Desg__V1__BroadcastKind)value_of(kinds, COUNT(kinds), word);
}

const char *broadcast_state_word(Desg__V1__BroadcastState state)
{
    return word_of(states, COUNT(states), (int)state);
}

const char *road_state_word(Desg__V1__RoadState state)
{
    return word_of(road_states, COUNT(road_states), (int)state);
}

Desg__V1__RoadState road_state_from(const char *word)
{
    return (Desg__V1__RoadState)value_of(road_states, COUNT(road_states), word);
}
