#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outward/broadcast.h"
#include "outward/feed_documents.h"
#include "outward/feed_words.h"
#include "outward/xml.h"

enum { ADDRESS_BYTES = 768, MS_PER_DAY = 86400000 };

static void add_time(struct xml_element *parent, int64_t unix_ms)
{
    char text[XML_TIME_BYTES];
    xml_time(unix_ms, "Z", text);
    (void)xml_text(parent, "updated", text);
}

static const char *base_of(const struct outward_feed *feed)
{
    return feed->base_url ? feed->base_url : "";
}

static void feed_address(const struct outward_feed *feed, enum feed_language language,
                         char out[static ADDRESS_BYTES])
{
    (void)snprintf(out, ADDRESS_BYTES, "%s/feed.%.2s.atom", base_of(feed), feed_tag(language));
}

static void add_link(struct xml_element *parent, const char *relation, const char *type,
                     const char *address, const char *language)
{
    struct xml_element *link = xml_child(parent, "link");
    xml_attribute(link, "rel", relation);
    xml_attribute(link, "type", type);
    if (language)
        xml_attribute(link, "hreflang", language);
    xml_attribute(link, "href", address);
}

static void add_author(struct xml_element *feed_element, const struct outward_feed *feed,
                       enum feed_language language)
{
    struct xml_element *author = xml_child(feed_element, "author");
    (void)xml_text(author, "name", feed_sender_name(feed, language));
}

static void add_line(FILE *out, const char *line)
{
    if (line && line[0] != '\0')
        (void)fprintf(out, "%s%s", ftell(out) > 0 ? "\n\n" : "", line);
}

/* What happened, what to do, where; or that it is over. The caller frees it. */
static char *content_of(const struct outward_feed *feed, const Desg__V1__BroadcastNews *news,
                        enum feed_language language)
{
    const Desg__V1__BroadcastText *text = feed_text(news->broadcast, language);
    char *content = NULL;
    size_t length = 0;
    if (news->state != DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED)
        return feed_over(news->broadcast, news->state, language);
    FILE *out = open_memstream(&content, &length);
    if (!out)
        abort();
    add_line(out, text->headline);
    add_line(out, text->text);
    add_line(out, text->instruction);
    add_line(out, feed_area(feed, news->broadcast, language));
    if (fclose(out) != 0)
        abort();
    return content;
}

static void add_entry(struct xml_element *feed_element, const struct outward_feed *feed,
                      const Desg__V1__BroadcastNews *news, enum feed_language wanted)
{
    /* Where the Welsh is owed still, its readers get the English. */
    enum feed_language language =
        feed_text(news->broadcast, wanted) ? wanted : (wanted == FEED_EN ? FEED_CY : FEED_EN);
    if (!feed_text(news->broadcast, language))
        return;
    char identifier[CAP_IDENTIFIER_BYTES];
    char address[ADDRESS_BYTES];
    char *headline = feed_headline(news->broadcast, news->state, language);
    char *content = content_of(feed, news, language);
    cap_identifier(news->broadcast, news->state, identifier);
    (void)snprintf(address, sizeof address, "%s/cap/%s.xml", base_of(feed), identifier);
    struct xml_element *entry = xml_child(feed_element, "entry");
    if (language != wanted)
        xml_attribute(entry, "xml:lang", feed_tag(language));
    (void)xml_text(entry, "id", address);
    (void)xml_text(entry, "title", headline);
    add_time(entry, news->at_ms);
    add_link(entry, "alternate", "application/cap+xml", address, NULL);
    xml_attribute(xml_child(entry, "category"), "term", broadcast_kind_word(news->broadcast->kind));
    xml_attribute(xml_text(entry, "content", content), "type", "text");
    free(content);
    free(headline);
}

static int64_t updated_at(const Desg__V1__BroadcastNews *const *news, size_t count, int64_t now_ms)
{
    int64_t newest_ms = 0;
    for (size_t i = 0; i < count; i++)
        if (news[i]->at_ms > newest_ms)
            newest_ms = news[i]->at_ms;
    return newest_ms > 0 ? newest_ms : now_ms - now_ms % MS_PER_DAY;
}

char *atom_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                    size_t count, const char *language, int64_t now_ms)
{
    enum feed_language own = strcmp(language, "cy") == 0 ? FEED_CY : FEED_EN;
    enum feed_language other = own == FEED_EN ? FEED_CY : FEED_EN;
    const char *title = own == FEED_CY ? feed->title_cy : feed->title_en;
    char address[ADDRESS_BYTES];
    struct xml_element *root = xml_document("feed");
    xml_attribute(root, "xmlns", "http://www.w3.org/2005/Atom");
    xml_attribute(root, "xml:lang", feed_tag(own));
    feed_address(feed, own, address);
    (void)xml_text(root, "id", address);
    (void)xml_text(root, "title", title ? title : feed_sender_name(feed, own));
    add_time(root, updated_at(news, count, now_ms));
    add_author(root, feed, own);
    add_link(root, "self", "application/atom+xml", address, NULL);
    feed_address(feed, other, address);
    add_link(root, "alternate", "application/atom+xml", address, feed_tag(other));
    for (size_t i = 0; i < count; i++)
        add_entry(root, feed, news[i], own);
    return xml_finish(root);
}
