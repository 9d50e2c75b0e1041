#include "outward/text.h"

#include <assert.h>
#include <string.h>

#include "outward/points.h"
#include "outward/weighted.h"

enum { WITHOUT_MEMORY = 8 };

size_t text_length(const char *text, enum text_unit unit)
{
    assert(text);
    if (unit == TEXT_BYTES)
        return strlen(text);
    if (unit == TEXT_CHARACTERS) {
        size_t count = 0;
        for (const char *c = text; *c; c++)
            count += ((unsigned char)*c & 0xC0) != 0x80;
        return count;
    }
    struct points points;
    if (!points_read(text, &points))
        return strlen(text) * WITHOUT_MEMORY; /* no shorter than it is: refused rather than cut */
    size_t length = unit == TEXT_X_WEIGHTED ? weighted_x(&points) : weighted_mastodon(&points);
    points_clear(&points);
    return length;
}
