#include "alert/alert_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum { REPLACEMENT_BYTES = 3 };

json_t *alert_text(const void *bytes, size_t length, size_t max_bytes)
{
    const uint8_t *in = bytes;
    uint8_t *out = malloc(length * REPLACEMENT_BYTES + 1);
    if (!out)
        abort();
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t codepoint = 0;
        utf8proc_ssize_t step =
            utf8proc_iterate(in + at, (utf8proc_ssize_t)(length - at), &codepoint);
        bool is_valid = step > 0 && codepoint > 0;
        size_t adds = is_valid ? (size_t)step : REPLACEMENT_BYTES;
        if (max_bytes != 0 && used + adds > max_bytes)
            break;
        memcpy(out + used, is_valid ? (const char *)in + at : "\xEF\xBF\xBD", adds);
        used += adds;
        at += step > 0 ? (size_t)step : 1;
    }
    json_t *text = json_stringn((const char *)out, used);
    free(out);
    return text;
}
