#include "outward/points.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum { REPLACEMENT = 0xFFFD };

static size_t read_loosely(const char *text, int32_t *out)
{
    const uint8_t *c = (const uint8_t *)text;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
    size_t count = 0;
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate(c, left, &point);
        if (step <= 0) {
            point = REPLACEMENT;
            step = 1;
        }
        out[count++] = point;
        c += step;
        left -= step;
    }
    return count;
}

bool points_read(const char *text, struct points *out)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    size_t bytes = strlen(text);
    utf8proc_ssize_t needed =
        utf8proc_decompose((const uint8_t *)text, (utf8proc_ssize_t)bytes, NULL, 0, options);
    size_t room = needed > 0 && (size_t)needed > bytes ? (size_t)needed : bytes;
    *out = (struct points){ .at = calloc(room + 1, sizeof *out->at) };
    if (!out->at)
        return false;
    utf8proc_ssize_t count = needed;
    if (needed > 0)
        count = utf8proc_decompose((const uint8_t *)text, (utf8proc_ssize_t)bytes, out->at, needed,
                                   options);
    if (count > 0)
        count = utf8proc_normalize_utf32(out->at, count, options);
    out->count = count >= 0 ? (size_t)count : read_loosely(text, out->at);
    return true;
}

void points_clear(struct points *points)
{
    free(points->at);
    *points = (struct points){ 0 };
}
