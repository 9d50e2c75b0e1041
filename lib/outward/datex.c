#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ids/ids.h"
#include "outward/feed_documents.h"
#include "outward/feed_words.h"
#include "outward/xml.h"

enum { MS_PER_DAY = 86400000 };

static void add_time(struct xml_element *parent, const char *name, int64_t unix_ms)
{
    char text[XML_TIME_BYTES];
    xml_time(unix_ms, "Z", text);
    (void)xml_text(parent, name, text);
}

struct pair {
    const char *cap;
    const char *datex;
};

static const char *translate(const struct pair *pairs, size_t count, const char *cap,
                             const char *otherwise)
{
    for (size_t i = 0; cap && i < count; i++)
        if (strcmp(pairs[i].cap, cap) == 0)
            return pairs[i].datex;
    return otherwise;
}

static const char *probability_of(const Desg__V1__Broadcast *broadcast)
{
    static const struct pair pairs[] = { { "Likely", "probable" },
                                         { "Possible", "riskOf" },
                                         { "Unlikely", "riskOf" } };
    return translate(pairs, sizeof pairs / sizeof pairs[0], broadcast->certainty, "certain");
}

static const char *severity_of(const Desg__V1__Broadcast *broadcast)
{
    static const struct pair pairs[] = {
        { "Extreme", "highest" }, { "Severe", "high" }, { "Moderate", "medium" }, { "Minor", "low" }
    };
    return translate(pairs, sizeof pairs / sizeof pairs[0], broadcast->severity, "unknown");
}

/* False: nowhere on the map. */
static bool place_of(const Desg__V1__Area *area, double *latitude, double *longitude)
{
    if (area && area->centre && area->radius_km > 0) {
        *latitude = area->centre->latitude;
        *longitude = area->centre->longitude;
        return true;
    }
    if (!area || area->n_polygon < 2)
        return false;
    *latitude = 0;
    *longitude = 0;
    size_t corners = area->n_polygon - 1; /* the last is the first */
    for (size_t i = 0; i < corners; i++) {
        *latitude += area->polygon[i]->latitude / (double)corners;
        *longitude += area->polygon[i]->longitude / (double)corners;
    }
    return true;
}

static bool is_over(const Desg__V1__BroadcastNews *news)
{
    return news->state != DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED;
}

static void add_validity(struct xml_element *record, const Desg__V1__BroadcastNews *news,
                         int64_t now_ms)
{
    const Desg__V1__Broadcast *broadcast = news->broadcast;
    int64_t starts_ms =
        broadcast->starts_at_ms > 0 ? broadcast->starts_at_ms : broadcast->written_at_ms;
    int64_t ends_ms = is_over(news) ? news->at_ms : broadcast->expires_at_ms;
    struct xml_element *validity = xml_child(record, "sit:validity");
    (void)xml_text(validity, "com:validityStatus",
                   is_over(news)        ? "definedByValidityTimeSpec"
                   : starts_ms > now_ms ? "planned"
                                        : "active");
    struct xml_element *times = xml_child(validity, "com:validityTimeSpecification");
    add_time(times, "com:overallStartTime", starts_ms < ends_ms ? starts_ms : ends_ms);
    add_time(times, "com:overallEndTime", ends_ms);
}

static void add_comment(struct xml_element *record, const Desg__V1__BroadcastNews *news)
{
    struct xml_element *comment =
        xml_child(xml_child(record, "sit:generalPublicComment"), "sit:comment");
    struct xml_element *values = xml_child(comment, "com:values");
    for (int i = FEED_EN; i < FEED_LANGUAGES; i++) {
        enum feed_language language = (enum feed_language)i;
        if (!feed_text(news->broadcast, language))
            continue;
        char *headline = feed_headline(news->broadcast, news->state, language);
        char code[3] = { feed_tag(language)[0], feed_tag(language)[1] };
        xml_attribute(xml_text(values, "com:value", headline), "lang", code);
        free(headline);
    }
}

static void add_location(struct xml_element *record, const char *road, double latitude,
                         double longitude)
{
    char text[32];
    struct xml_element *location = xml_child(record, "sit:locationReference");
    xml_attribute(location, "xsi:type", "loc:PointLocation");
    if (road && road[0] != '\0') {
        struct xml_element *description =
            xml_child(location, "loc:supplementaryPositionalDescription");
        (void)xml_text(xml_child(description, "loc:roadInformation"), "loc:roadName", road);
    }
    struct xml_element *point =
        xml_child(xml_child(location, "loc:pointByCoordinates"), "loc:pointCoordinates");
    (void)snprintf(text, sizeof text, "%.6f", latitude);
    (void)xml_text(point, "loc:latitude", text);
    (void)snprintf(text, sizeof text, "%.6f", longitude);
    (void)xml_text(point, "loc:longitude", text);
}

static const char *management_of(const Desg__V1__BroadcastNews *news)
{
    if (news->state == DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED &&
        news->broadcast->says_ended)
        return "roadCleared";
    switch (news->broadcast->road_state) {
    case DESG__V1__ROAD_STATE__ROAD_STATE_CARRIAGEWAY_CLOSED:
        return "carriagewayClosures";
    case DESG__V1__ROAD_STATE__ROAD_STATE_LANE_CLOSED:
        return "laneClosures";
    default:
        return "roadClosed";
    }
}

/* Each version counts twice: as it stands, and that it is over. Records' versions must rise. */
static void record_version(const Desg__V1__BroadcastNews *news, char out[static 24])
{
    (void)snprintf(out, 24, "%llu",
                   2ULL * news->broadcast->version - (is_over(news) ? 0ULL : 1ULL));
}

/* The order is the schema's. */
static void add_situation(struct xml_element *root, const Desg__V1__BroadcastNews *news,
                          int64_t now_ms)
{
    const Desg__V1__Broadcast *broadcast = news->broadcast;
    double latitude = 0;
    double longitude = 0;
    if (broadcast->kind != DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE ||
        broadcast->id.len != ID_BYTES || !place_of(broadcast->area, &latitude, &longitude))
        return;
    char id[ID_TEXT_BYTES];
    char record_id[ID_TEXT_BYTES + 2];
    char version[24];
    id_text(broadcast->id.data, id);
    (void)snprintf(record_id, sizeof record_id, "%s_1", id);
    record_version(news, version);
    struct xml_element *situation = xml_child(root, "sit:situation");
    xml_attribute(situation, "id", id);
    (void)xml_text(xml_child(situation, "sit:headerInformation"), "com:informationStatus", "real");
    struct xml_element *record = xml_child(situation, "sit:situationRecord");
    xml_attribute(record, "xsi:type", "sit:RoadOrCarriagewayOrLaneManagement");
    xml_attribute(record, "id", record_id);
    xml_attribute(record, "version", version);
    add_time(record, "sit:situationRecordCreationTime",
             broadcast->n_earlier_ms > 0 && broadcast->earlier_ms[0] > 0
                 ? broadcast->earlier_ms[0]
                 : broadcast->written_at_ms);
    add_time(record, "sit:situationRecordVersionTime",
             is_over(news) ? news->at_ms : broadcast->written_at_ms);
    (void)xml_text(record, "sit:probabilityOfOccurrence", probability_of(broadcast));
    (void)xml_text(record, "sit:severity", severity_of(broadcast));
    add_validity(record, news, now_ms);
    add_comment(record, news);
    add_location(record, broadcast->road, latitude, longitude);
    (void)xml_text(record, "sit:complianceOption", "mandatory");
    (void)xml_text(record, "sit:roadOrCarriagewayOrLaneManagementType", management_of(news));
}

/* When anything of it last changed: the same at every replica. */
static int64_t published_at(const Desg__V1__BroadcastNews *const *news, size_t count,
                            int64_t now_ms)
{
    int64_t newest_ms = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t starts_ms = news[i]->broadcast->starts_at_ms;
        if (news[i]->at_ms > newest_ms)
            newest_ms = news[i]->at_ms;
        if (starts_ms > newest_ms && starts_ms <= now_ms)
            newest_ms = starts_ms;
    }
    return newest_ms > 0 ? newest_ms : now_ms - now_ms % MS_PER_DAY;
}

char *datex_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                     size_t count, int64_t now_ms)
{
    static const char *const spaces[][2] = {
        { "xmlns:d2", "http://datex2.eu/schema/3/d2Payload" },
        { "xmlns:com", "http://datex2.eu/schema/3/common" },
        { "xmlns:sit", "http://datex2.eu/schema/3/situation" },
        { "xmlns:loc", "http://datex2.eu/schema/3/locationReferencing" },
        { "xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance" },
        { "xsi:type", "sit:SituationPublication" },
        { "lang", "en" },
        { "modelBaseVersion", "3" },
    };
    struct xml_element *root = xml_document("d2:payload");
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        xml_attribute(root, spaces[i][0], spaces[i][1]);
    add_time(root, "com:publicationTime", published_at(news, count, now_ms));
    struct xml_element *creator = xml_child(root, "com:publicationCreator");
    (void)xml_text(creator, "com:country", "gb");
    (void)xml_text(creator, "com:nationalIdentifier", feed->sender ? feed->sender : "-");
    for (size_t i = 0; i < count; i++)
        add_situation(root, news[i], now_ms);
    return xml_finish(root);
}
