/* Any bytes that are a BroadcastNews make documents that are well-formed: whatever the texts are,
 * nothing in them becomes an element, and no character is one that XML forbids. */
#include <mxml.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "outward/feed_documents.h"
#include "test_feed_documents_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_characters(const char *text)
{
    for (size_t at = 0, length = strlen(text); at < length;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t taken = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                  (utf8proc_ssize_t)(length - at), &point);
        if (taken <= 0 || (point < 0x20 && point != '\n' && point != '\t') || point == 0xFFFE ||
            point == 0xFFFF)
            abort();
        at += (size_t)taken;
    }
}

static size_t count_elements(mxml_node_t *document)
{
    size_t count = 0;
    for (mxml_node_t *node = document; node; node = mxmlWalkNext(node, document, MXML_DESCEND))
        count += mxmlGetType(node) == MXML_ELEMENT;
    return count;
}

/* Elements are what was opened in clear: text has no '<' of its own. */
static void check(char *text)
{
    size_t opened = 0;
    check_characters(text);
    mxml_node_t *document = mxmlLoadString(NULL, text, MXML_OPAQUE_CALLBACK);
    if (!document)
        abort();
    for (const char *at = text; (at = strchr(at, '<')) != NULL; at++)
        opened += at[1] != '/';
    if (count_elements(document) != opened)
        abort();
    mxmlDelete(document);
    free(text);
}

static void check_news(const Desg__V1__BroadcastNews *news)
{
    check(cap_document(&sample_feed, news->broadcast, news->state, news->at_ms));
    check(atom_document(&sample_feed, &news, 1, "en", SAMPLE_NOW_MS));
    check(atom_document(&sample_feed, &news, 1, "cy", SAMPLE_NOW_MS));
    check(datex_document(&sample_feed, &news, 1, SAMPLE_NOW_MS));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    Desg__V1__BroadcastNews *news = desg__v1__broadcast_news__unpack(NULL, length, bytes);
    if (news && news->broadcast)
        check_news(news);
    if (news)
        desg__v1__broadcast_news__free_unpacked(news, NULL);
    return 0;
}
