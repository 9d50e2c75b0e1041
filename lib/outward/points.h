/* points - a text as code points, and where links lie among them. Pure. */
#ifndef DESG_OUTWARD_POINTS_H
#define DESG_OUTWARD_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct points {
    int32_t *at; /* what is not UTF-8 is U+FFFD, byte by byte */
    size_t count;
};

/* The text's code points after NFC. False without memory. Release with points_clear(). */
bool points_read(const char *text, struct points *out);
void points_clear(struct points *points);

static inline int32_t points_at(const struct points *points, size_t i)
{
    return i < points->count ? points->at[i] : 0;
}

struct link {
    size_t count; /* code points; 0: no link begins here */
    bool has_scheme;
    bool is_known; /* its top-level domain is in our list: X shortens it for certain */
};
/* The link that begins at i. Follows what twitter-text (Apache 2.0, github.com/twitter/
 * twitter-text, its rules for extracting URLs) takes for one: a scheme and any domain, or a domain
 * alone whose top-level domain is known. */
struct link points_link(const struct points *points, size_t i);

/* word[0..length) in ASCII, any case. */
bool is_top_level_domain(const char *word, size_t length);

#endif
