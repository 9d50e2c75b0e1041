#include "notify/silence.h"

#include <stdbool.h>
#include <string.h>

void silence_init(struct silence *self, const struct id *own_source, int64_t limit_ms)
{
    *self = (struct silence){ .own = *own_source, .limit_ms = limit_ms };
}

void silence_interrupted(struct silence *self)
{
    self->count = 0;
}

static bool is_other_notify(const struct silence *self, const json_t *row, struct id *source)
{
    const char *kind = json_string_value(json_object_get(row, "kind"));
    const char *text = json_string_value(json_object_get(row, "source"));
    return kind && text && strcmp(kind, "notify") == 0 && id_parse(text, source) == 0 &&
           memcmp(source->bytes, self->own.bytes, ID_BYTES) != 0;
}

/* NULL: there is no room; one that is not watched is never silent. */
static struct silence_row *row_of(struct silence *self, const struct id *source, int64_t now_ms)
{
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(self->rows[i].source.bytes, source->bytes, ID_BYTES) == 0)
            return &self->rows[i];
    if (self->count == SILENCE_SOURCES_MAX)
        return NULL;
    struct silence_row *row = &self->rows[self->count++];
    *row = (struct silence_row){ .source = *source, .reports = -1, .heard_ms = now_ms };
    return row;
}

size_t silence_heard(struct silence *self, const json_t *rows, int64_t now_ms,
                     struct id out[static SILENCE_SOURCES_MAX])
{
    size_t count = 0;
    size_t index = 0;
    const json_t *named = NULL;
    json_array_foreach(rows, index, named)
    {
        struct id source;
        struct silence_row *row =
            is_other_notify(self, named, &source) ? row_of(self, &source, now_ms) : NULL;
        if (!row)
            continue;
        json_int_t reports = json_integer_value(json_object_get(named, "reports"));
        if (reports != row->reports)
            row->heard_ms = now_ms;
        row->reports = reports;
        if (now_ms - row->heard_ms >= self->limit_ms && count < SILENCE_SOURCES_MAX)
            out[count++] = source;
    }
    return count;
}
