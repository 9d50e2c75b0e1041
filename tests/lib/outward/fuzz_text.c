/* Any text, measured and cut: the parts are the text, none is too long, and nobody is overrun. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "outward/text.h"

enum { INPUT_MAX = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void check(const char *text, size_t max, enum text_unit unit)
{
    struct text_parts parts;
    struct error err = { 0 };
    if (text_split(text, max, unit, 4096, &parts, &err) != 0)
        return;
    const char *at = text;
    for (size_t i = 0; i < parts.count; i++) {
        size_t bytes = strlen(parts.parts[i]);
        assert(bytes > 0 && text_length(parts.parts[i], unit) <= max);
        assert(strncmp(at, parts.parts[i], bytes) == 0);
        for (at += bytes; is_space(*at);)
            at++;
    }
    assert(*at == '\0');
    text_parts_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    enum text_unit unit = (enum text_unit)(data[0] % 4);
    size_t max = data[1];
    char *text = strndup((const char *)data + 2, size - 2);
    if (!text)
        return 0;
    double likeness = text_likeness(text, "Mae'r ffordd ar gau");
    assert(likeness >= 0.0 && likeness <= 1.0);
    check(text, max, unit);
    free(text);
    return 0;
}
