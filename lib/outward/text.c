#include "outward/text.h"

#include <assert.h>
#include <string.h>

#include "ids/ids.h"
#include "outward/points.h"
#include "outward/weighted.h"

enum { BITS_PER_LETTER = 5, GROUP_LETTERS = 5, WITHOUT_MEMORY = 8 };

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

/* The id's first 50 bits, five at a time. Crockford's base 32 (crockford.com/base32.html) has no
 * I, L, O or U: nothing is misheard or misread. */
void text_reference(const struct id *conversation, char out[static TEXT_REFERENCE_BYTES])
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof bits; i++)
        bits = bits << 8 | conversation->bytes[i];
    size_t at = 0;
    for (int i = 0; i < 2 * GROUP_LETTERS; i++) {
        if (i == GROUP_LETTERS)
            out[at++] = '-';
        out[at++] = letters[bits >> (64 - BITS_PER_LETTER)];
        bits <<= BITS_PER_LETTER;
    }
    out[at] = '\0';
}
