/* text - how long a text is where it goes, and how it is cut. Unicode by utf8proc. Pure. */
#ifndef DESG_OUTWARD_TEXT_H
#define DESG_OUTWARD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum text_unit {
    TEXT_CHARACTERS, /* code points */
    TEXT_BYTES,      /* of UTF-8 */
    TEXT_X_WEIGHTED, /* X: 280 = a whole post, URL 23, emoji 2 (twitter-text, config v3) */
    TEXT_MASTODON,   /* code points after NFC, URL 23, a remote account counts by its local part */
};

/* Length of text in the unit; text is UTF-8. */
size_t text_length(const char *text, enum text_unit unit);

/* Cuts text into parts of at most max units each, at ends of sentences, else between words, else
 * between graphemes. Nothing is lost: the parts joined are the text but for the white space at the
 * cuts. The caller frees with text_parts_free. ERROR_INVALID: max is too small for a grapheme, or
 * more than parts_max parts. */
struct text_parts {
    char **parts;
    size_t count;
};
int text_split(const char *text, size_t max, enum text_unit unit, size_t parts_max,
               struct text_parts *out, struct error *err) MUST_USE;
void text_parts_free(struct text_parts *parts);

/* How alike two texts are, 0 to 1: shingles of their folded words. */
double text_likeness(const char *one, const char *other);

#endif
