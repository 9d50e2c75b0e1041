/* xml - a document written element by element, by Mini-XML, the only place that knows it. A want of
 * memory ends the program. Threads: a document belongs to one. */
#ifndef DESG_OUTWARD_XML_H
#define DESG_OUTWARD_XML_H

#include <stdint.h>

struct xml_element;

/* The root element of a new document. */
struct xml_element *xml_document(const char *root);
/* A child after those there are. */
struct xml_element *xml_child(struct xml_element *parent, const char *name);
/* A child with text; returned for its attributes. */
struct xml_element *xml_text(struct xml_element *parent, const char *name, const char *text);
/* The same, unless text is NULL or empty. */
void xml_text_if(struct xml_element *parent, const char *name, const char *text);
void xml_attribute(struct xml_element *element, const char *name, const char *value);

/* The document as UTF-8; freed by the caller. The elements are gone. */
char *xml_finish(struct xml_element *root);

/* unix_ms in UTC to the second, with zone: "Z", or "-00:00" as CAP wants it. */
enum { XML_TIME_BYTES = 48 };
void xml_time(int64_t unix_ms, const char *zone, char out[static XML_TIME_BYTES]);

#endif
