#include "test_feed_documents_samples.h"

#include <stdlib.h>
#include <string.h>

#include "ids/ids.h"

const struct outward_feed sample_feed = {
    .base_url = (char *)"https://alerts.gwent.example/desk",
    .title_en = (char *)"Gwent alerts",
    .title_cy = (char *)"Rhybuddion Gwent",
    .sender = (char *)"desk@gwent.example",
    .sender_name_en = (char *)"Gwent Police (example)",
    .sender_name_cy = (char *)"Heddlu Gwent (enghraifft)",
    .keep_hours = 24,
};

static const Desg__V1__BroadcastText road_en = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"A55 closed eastbound J11 to J12",
    .text = (char *)"Closed after a collision.",
    .instruction = (char *)"Use another route.",
    .area = (char *)"A55 eastbound J11 to J12",
    .ended = (char *)"",
};
static const Desg__V1__BroadcastText road_cy = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Yr A55 ar gau tua'r dwyrain C11 i C12",
    .text = (char *)"Ar gau ar ôl gwrthdrawiad.",
    .instruction = (char *)"Defnyddiwch ffordd arall.",
    .area = (char *)"A55 tua'r dwyrain C11 i C12",
    .ended = (char *)"Mae'r A55 wedi ailagor i'r ddau gyfeiriad.",
};
static const Desg__V1__BroadcastText odd_en = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Fire & smoke <\"Bryn\"> ]]> keep away",
    .text = (char *)"A bell\a, a bad byte \xFF, an escape \x1b[1m, DEL \x7F, 🚒 & a line\nbreak.",
    .instruction = (char *)"Doors & windows shut; &amp; is no entity here.",
    .area = (char *)"Bryn <industrial> estate",
    .ended = (char *)"",
};
static const Desg__V1__BroadcastText odd_cy = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Tân & mwg <\"Bryn\"> cadwch draw",
    .text = (char *)"Ŵŷ.",
    .instruction = (char *)"",
    .area = (char *)"",
    .ended = (char *)"",
};
static const Desg__V1__BroadcastText advice_en = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Lock your vans",
    .text = (char *)"Tools are being taken.",
    .instruction = (char *)"",
    .area = (char *)"",
    .ended = (char *)"",
};
static const Desg__V1__BroadcastText appeal_en = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Have you seen Mair Example?",
    .text = (char *)"Last seen near the pier.",
    .instruction = (char *)"Call 101.",
    .area = (char *)"Bangor pier",
    .ended = (char *)"",
};
static const Desg__V1__BroadcastText appeal_cy = {
    PROTOBUF_C_MESSAGE_INIT(&desg__v1__broadcast_text__descriptor),
    .headline = (char *)"Ydych chi wedi gweld Mair Example?",
    .text = (char *)"Gwelwyd ddiwethaf ger y pier.",
    .instruction = (char *)"Ffoniwch 101.",
    .area = (char *)"Pier Bangor",
    .ended = (char *)"",
};

#define HOUR_MS INT64_C(3600000)
#define ROAD    DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE

/* All that a sample says of itself; the rest is the same for each. */
struct shape {
    Desg__V1__BroadcastKind kind;
    Desg__V1__BroadcastState state;
    const Desg__V1__BroadcastText *en, *cy;
    Desg__V1__RoadState road_state;
    uint32_t version;
    bool has_polygon, has_circle, says_ended;
    int64_t starts_after_ms;
};

static const struct shape shapes[SAMPLE_COUNT] = {
    [SAMPLE_ROAD] = { .kind = ROAD,
                      .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                      .en = &road_en,
                      .cy = &road_cy,
                      .road_state = DESG__V1__ROAD_STATE__ROAD_STATE_ROAD_CLOSED,
                      .version = 1,
                      .has_polygon = true },
    [SAMPLE_ROAD_UPDATED] = { .kind = ROAD,
                              .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                              .en = &road_en,
                              .cy = &road_cy,
                              .road_state = DESG__V1__ROAD_STATE__ROAD_STATE_CARRIAGEWAY_CLOSED,
                              .version = 3,
                              .has_circle = true },
    [SAMPLE_ROAD_REOPENED] = { .kind = ROAD,
                               .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED,
                               .en = &road_en,
                               .cy = &road_cy,
                               .road_state = DESG__V1__ROAD_STATE__ROAD_STATE_ROAD_CLOSED,
                               .version = 2,
                               .has_polygon = true,
                               .says_ended = true },
    [SAMPLE_ROAD_EXPIRED] = { .kind = ROAD,
                              .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED,
                              .en = &road_en,
                              .cy = &road_cy,
                              .version = 1,
                              .has_circle = true },
    [SAMPLE_ROAD_PLANNED] = { .kind = ROAD,
                              .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                              .en = &road_en,
                              .cy = &road_cy,
                              .road_state = DESG__V1__ROAD_STATE__ROAD_STATE_LANE_CLOSED,
                              .version = 1,
                              .starts_after_ms = 24 * HOUR_MS },
    [SAMPLE_INCIDENT] = { .kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_LIVE_INCIDENT,
                          .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                          .en = &odd_en,
                          .cy = &odd_cy,
                          .version = 1,
                          .has_circle = true },
    [SAMPLE_ADVICE] = { .kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ADVICE,
                        .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED,
                        .en = &advice_en,
                        .version = 1 },
    [SAMPLE_APPEAL] = { .kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL,
                        .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
                        .en = &appeal_en,
                        .cy = &appeal_cy,
                        .version = 1,
                        .has_circle = true },
    [SAMPLE_APPEAL_WITHDRAWN] = { .kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL,
                                  .state = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED,
                                  .en = &appeal_en,
                                  .cy = &appeal_cy,
                                  .version = 1,
                                  .has_circle = true },
};

/* A copy in protobuf's own memory, so that it can be freed as one. */
static Desg__V1__BroadcastNews *copy_of(const Desg__V1__BroadcastNews *news)
{
    size_t length = desg__v1__broadcast_news__get_packed_size(news);
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();
    (void)desg__v1__broadcast_news__pack(news, bytes);
    Desg__V1__BroadcastNews *copy = desg__v1__broadcast_news__unpack(NULL, length, bytes);
    free(bytes);
    if (!copy)
        abort();
    return copy;
}

Desg__V1__BroadcastNews *sample_news(enum feed_sample which)
{
    static const double corners[][2] = { { 53.2261, -4.1280 },
                                         { 53.2270, -4.1010 },
                                         { 53.2210, -4.1010 },
                                         { 53.2200, -4.1280 },
                                         { 53.2261, -4.1280 } };
    const struct shape *shape = &shapes[which];
    Desg__V1__Point points[5];
    Desg__V1__Point *polygon[5];
    for (size_t i = 0; i < 5; i++) {
        desg__v1__point__init(&points[i]);
        points[i].latitude = corners[i][0];
        points[i].longitude = corners[i][1];
        polygon[i] = &points[i];
    }
    Desg__V1__Area area = DESG__V1__AREA__INIT;
    area.polygon = polygon;
    area.n_polygon = shape->has_polygon ? 5 : 0;
    area.centre = shape->has_circle ? &points[0] : NULL;
    area.radius_km = shape->has_circle ? 1.25 : 0;
    int64_t earlier_ms[] = { SAMPLE_NOW_MS - 3 * HOUR_MS, 0 };
    uint8_t id[ID_BYTES] = { 0xd5, [1] = (uint8_t)which, [15] = 0x7f };
    char *outlets[] = { (char *)"secret-outlet" };
    Desg__V1__WelshOwed owed = DESG__V1__WELSH_OWED__INIT;
    owed.by = (char *)"inspector-secret";
    owed.reason = (char *)"secret reason";
    Desg__V1__Broadcast broadcast = DESG__V1__BROADCAST__INIT;
    broadcast.id = (ProtobufCBinaryData){ sizeof id, id };
    broadcast.version = shape->version;
    broadcast.kind = shape->kind;
    broadcast.en = (Desg__V1__BroadcastText *)shape->en;
    broadcast.cy = (Desg__V1__BroadcastText *)shape->cy;
    broadcast.welsh_owed = shape->cy ? NULL : &owed;
    broadcast.area = &area;
    broadcast.starts_at_ms = SAMPLE_NOW_MS - 2 * HOUR_MS + shape->starts_after_ms;
    broadcast.expires_at_ms = SAMPLE_NOW_MS + 6 * HOUR_MS + shape->starts_after_ms;
    broadcast.outlets = outlets;
    broadcast.n_outlets = 1;
    broadcast.road = (char *)(shape->kind == ROAD ? "A55" : "");
    broadcast.road_state = shape->road_state;
    broadcast.urgency = (char *)"Immediate";
    broadcast.severity = (char *)"Moderate";
    broadcast.certainty = (char *)(which == SAMPLE_INCIDENT ? "" : "Observed");
    broadcast.says_ended = shape->says_ended;
    broadcast.author = (char *)"agent-secret";
    broadcast.incident = (char *)"SECRET-0345";
    broadcast.written_at_ms = SAMPLE_NOW_MS - HOUR_MS + 123;
    broadcast.earlier_ms = earlier_ms;
    broadcast.n_earlier_ms = shape->version - 1;
    Desg__V1__BroadcastNews news = DESG__V1__BROADCAST_NEWS__INIT;
    news.broadcast = &broadcast;
    news.state = shape->state;
    news.at_ms = SAMPLE_NOW_MS - (int64_t)which * 1000;
    return copy_of(&news);
}
