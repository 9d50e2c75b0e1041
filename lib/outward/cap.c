#include "outward/feed_documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ids/ids.h"
#include "outward/feed_words.h"
#include "outward/xml.h"

enum { MS_PER_HOUR = 3600000 };

static const char zone[] = "-00:00"; /* CAP 1.2 has no Z */

#define EXPIRED   DESG__V1__BROADCAST_STATE__BROADCAST_STATE_EXPIRED
#define CANCELLED DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED

/* --- identifiers --- */

static void write_identifier(const Desg__V1__Broadcast *broadcast, uint32_t version,
                             const char *suffix, char out[static CAP_IDENTIFIER_BYTES])
{
    char id[ID_TEXT_BYTES] = "";
    if (broadcast->id.len == ID_BYTES)
        id_text(broadcast->id.data, id);
    (void)snprintf(out, CAP_IDENTIFIER_BYTES, "%s-%u%s", id, (unsigned)version, suffix);
}

void cap_identifier(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                    char out[static CAP_IDENTIFIER_BYTES])
{
    write_identifier(broadcast, broadcast->version, feed_has_end(broadcast, state) ? "-end" : "",
                     out);
}

/* --- the message --- */

struct message {
    const struct outward_feed *feed;
    const Desg__V1__Broadcast *broadcast;
    Desg__V1__BroadcastState state; /* EXPIRED: with a word, or it would be PUBLISHED */
    int64_t at_ms;
};

static void add_time(struct xml_element *parent, const char *name, int64_t unix_ms)
{
    char text[XML_TIME_BYTES];
    xml_time(unix_ms, zone, text);
    (void)xml_text(parent, name, text);
}

static void add_reference(FILE *out, const struct message *message, uint32_t version,
                          int64_t sent_ms)
{
    char identifier[CAP_IDENTIFIER_BYTES];
    char sent[XML_TIME_BYTES];
    if (sent_ms == 0)
        return; /* never went out */
    write_identifier(message->broadcast, version, "", identifier);
    xml_time(sent_ms, zone, sent);
    (void)fprintf(out, "%s%s,%s,%s", ftell(out) > 0 ? " " : "", message->feed->sender, identifier,
                  sent);
}

/* "" for the first that went out. The caller frees it. */
static char *references_of(const struct message *message)
{
    const Desg__V1__Broadcast *broadcast = message->broadcast;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    for (size_t i = 0; i < broadcast->n_earlier_ms && i + 1 < broadcast->version; i++)
        add_reference(out, message, (uint32_t)i + 1, broadcast->earlier_ms[i]);
    if (feed_has_end(broadcast, message->state))
        add_reference(out, message, broadcast->version, broadcast->written_at_ms);
    if (fclose(out) != 0)
        abort();
    return text;
}

static void add_parameter(struct xml_element *info, const char *name, const char *value)
{
    if (!value || value[0] == '\0')
        return;
    struct xml_element *parameter = xml_child(info, "parameter");
    (void)xml_text(parameter, "valueName", name);
    (void)xml_text(parameter, "value", value);
}

static void add_polygon(struct xml_element *area, const Desg__V1__Area *drawn)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    for (size_t i = 0; i < drawn->n_polygon; i++)
        (void)fprintf(out, "%s%.6f,%.6f", i > 0 ? " " : "", drawn->polygon[i]->latitude,
                      drawn->polygon[i]->longitude);
    if (fclose(out) != 0)
        abort();
    (void)xml_text(area, "polygon", text);
    free(text);
}

static void add_area(struct xml_element *info, const struct message *message,
                     enum feed_language language)
{
    const Desg__V1__Area *drawn = message->broadcast->area;
    struct xml_element *area = xml_child(info, "area");
    if (feed_is_withdrawn(message->broadcast, message->state)) {
        (void)xml_text(area, "areaDesc", feed_sender_name(message->feed, language));
        return;
    }
    (void)xml_text(area, "areaDesc", feed_area(message->feed, message->broadcast, language));
    if (drawn && drawn->n_polygon > 0)
        add_polygon(area, drawn);
    if (drawn && drawn->centre && drawn->radius_km > 0) {
        char circle[96];
        (void)snprintf(circle, sizeof circle, "%.6f,%.6f %.3f", drawn->centre->latitude,
                       drawn->centre->longitude, drawn->radius_km);
        (void)xml_text(area, "circle", circle);
    }
}

static const char *or_unknown(const char *word)
{
    return word && word[0] != '\0' ? word : "Unknown";
}

static void add_urgency(struct xml_element *info, const struct message *message)
{
    const Desg__V1__Broadcast *broadcast = message->broadcast;
    bool is_ended = message->state == EXPIRED;
    (void)xml_text(info, "urgency", is_ended ? "Past" : or_unknown(broadcast->urgency));
    (void)xml_text(info, "severity", is_ended ? "Minor" : or_unknown(broadcast->severity));
    (void)xml_text(info, "certainty", is_ended ? "Observed" : or_unknown(broadcast->certainty));
}

static const char *response_of(const struct message *message)
{
    if (message->state == CANCELLED || feed_is_withdrawn(message->broadcast, message->state))
        return "None";
    return message->state == EXPIRED ? "AllClear" : feed_response(message->broadcast->kind);
}

static void add_times(struct xml_element *info, const struct message *message)
{
    const Desg__V1__Broadcast *broadcast = message->broadcast;
    bool is_ended = message->state == EXPIRED;
    if (broadcast->starts_at_ms > 0 && !is_ended)
        add_time(info, "onset", broadcast->starts_at_ms);
    /* Readers pass over what has expired: the word that it is over holds while the feed shows it.
     */
    add_time(info, "expires",
             is_ended ? message->at_ms + (int64_t)message->feed->keep_hours * MS_PER_HOUR
                      : broadcast->expires_at_ms);
}

static void add_words(struct xml_element *info, const struct message *message,
                      const Desg__V1__BroadcastText *text, enum feed_language language)
{
    bool is_over = feed_has_end(message->broadcast, message->state);
    char *headline = feed_headline(message->broadcast, message->state, language);
    char *over = is_over ? feed_over(message->broadcast, message->state, language) : NULL;
    (void)xml_text(info, "headline", headline);
    xml_text_if(info, "description", is_over ? over : text->text);
    if (!is_over)
        xml_text_if(info, "instruction", text->instruction);
    free(headline);
    free(over);
}

/* The order is the schema's. */
static void add_info(struct xml_element *alert, const struct message *message,
                     enum feed_language language)
{
    const Desg__V1__Broadcast *broadcast = message->broadcast;
    const Desg__V1__BroadcastText *text = feed_text(broadcast, language);
    if (!text)
        return;
    struct xml_element *info = xml_child(alert, "info");
    (void)xml_text(info, "language", feed_tag(language));
    (void)xml_text(info, "category", feed_category(broadcast->kind));
    (void)xml_text(info, "event", feed_event(broadcast, language, message->state == EXPIRED));
    (void)xml_text(info, "responseType", response_of(message));
    add_urgency(info, message);
    add_times(info, message);
    (void)xml_text(info, "senderName", feed_sender_name(message->feed, language));
    add_words(info, message, text, language);
    if (!feed_is_withdrawn(broadcast, message->state))
        add_parameter(info, "desk:road", broadcast->road);
    add_area(info, message, language);
}

static const char *type_of(const struct message *message, const char *references)
{
    if (message->state == CANCELLED)
        return "Cancel";
    return references[0] != '\0' ? "Update" : "Alert";
}

char *cap_document(const struct outward_feed *feed, const Desg__V1__Broadcast *broadcast,
                   Desg__V1__BroadcastState state, int64_t ended_at_ms)
{
    bool is_over = feed_has_end(broadcast, state);
    struct message message = {
        .feed = feed,
        .broadcast = broadcast,
        .state = is_over ? state : DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED,
        .at_ms = is_over ? ended_at_ms : broadcast->written_at_ms,
    };
    char identifier[CAP_IDENTIFIER_BYTES];
    char *references = references_of(&message);
    cap_identifier(broadcast, message.state, identifier);
    struct xml_element *alert = xml_document("alert");
    xml_attribute(alert, "xmlns", "urn:oasis:names:tc:emergency:cap:1.2");
    (void)xml_text(alert, "identifier", identifier);
    (void)xml_text(alert, "sender", feed->sender);
    add_time(alert, "sent", message.at_ms);
    (void)xml_text(alert, "status", "Actual");
    (void)xml_text(alert, "msgType", type_of(&message, references));
    (void)xml_text(alert, "scope", "Public");
    if (message.state == CANCELLED)
        (void)xml_text(alert, "note", "Cancelled by the sender / Canslwyd gan yr anfonwr");
    xml_text_if(alert, "references", references);
    for (int language = FEED_EN; language < FEED_LANGUAGES; language++)
        add_info(alert, &message, (enum feed_language)language);
    free(references);
    return xml_finish(alert);
}
