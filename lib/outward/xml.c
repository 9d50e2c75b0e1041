#include "outward/xml.h"

#include <mxml.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* struct xml_element is never defined: it stands for mxml_node_t, whose header stays in here. */
static mxml_node_t *node_of(struct xml_element *element)
{
    return (mxml_node_t *)element;
}

static struct xml_element *element_of(mxml_node_t *node)
{
    if (!node)
        abort();
    return (struct xml_element *)node;
}

/* --- text --- */

static const char replacement[] = "\xEF\xBF\xBD";

/* XML 1.0, Char. */
static bool is_allowed(utf8proc_int32_t point)
{
    if (point < 0x20)
        return point == '\t' || point == '\n';
    return (point < 0x7F || point > 0x9F) && (point < 0xD800 || point > 0xDFFF) &&
           point != 0xFFFE && point != 0xFFFF;
}

/* A copy that XML can carry. */
static char *carriable(const char *text)
{
    size_t length = strlen(text);
    char *out = malloc(length * (sizeof replacement - 1) + 1);
    if (!out)
        abort();
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                  (utf8proc_ssize_t)(length - at), &point);
        bool is_good = bytes > 0 && is_allowed(point);
        size_t taken = bytes > 0 ? (size_t)bytes : 1;
        size_t written = is_good ? taken : sizeof replacement - 1;
        memcpy(out + used, is_good ? text + at : replacement, written);
        used += written;
        at += taken;
    }
    out[used] = '\0';
    return out;
}

/* --- elements --- */

struct xml_element *xml_document(const char *root)
{
    mxml_node_t *document = mxmlNewXML("1.0");
    (void)element_of(document);
    return element_of(mxmlNewElement(document, root));
}

struct xml_element *xml_child(struct xml_element *parent, const char *name)
{
    return element_of(mxmlNewElement(node_of(parent), name));
}

struct xml_element *xml_text(struct xml_element *parent, const char *name, const char *text)
{
    struct xml_element *element = xml_child(parent, name);
    char *copy = carriable(text);
    (void)element_of(mxmlNewOpaque(node_of(element), copy));
    free(copy);
    return element;
}

void xml_text_if(struct xml_element *parent, const char *name, const char *text)
{
    if (text && text[0] != '\0')
        (void)xml_text(parent, name, text);
}

void xml_attribute(struct xml_element *element, const char *name, const char *value)
{
    char *copy = carriable(value);
    mxmlElementSetAttr(node_of(element), name, copy);
    free(copy);
}

/* A line for each element that holds elements; text stays as it is. */
static const char *white_space(mxml_node_t *node, int where)
{
    mxml_node_t *child = mxmlGetFirstChild(node);
    bool holds_text = child && mxmlGetType(child) == MXML_OPAQUE;
    if (where == MXML_WS_AFTER_CLOSE || (where == MXML_WS_AFTER_OPEN && !holds_text))
        return "\n";
    return NULL;
}

char *xml_finish(struct xml_element *root)
{
    mxml_node_t *document = mxmlGetParent(node_of(root));
    mxmlSetWrapMargin(0); /* of this thread: the default would break lines within tags */
    char *text = mxmlSaveAllocString(document, white_space);
    mxmlDelete(document);
    if (!text)
        abort();
    return text;
}

void xml_time(int64_t unix_ms, const char *zone, char out[static XML_TIME_BYTES])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts = { 0 };
    (void)gmtime_r(&seconds, &parts);
    char date[XML_TIME_BYTES];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out, XML_TIME_BYTES, "%.*s%s", XML_TIME_BYTES - 8, date, zone);
}
