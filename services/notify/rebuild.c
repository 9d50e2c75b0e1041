#include "notify/rebuild.h"

#include <string.h>

void rebuild_init(struct rebuild *self, const struct id *own_source)
{
    *self = (struct rebuild){ .count = 1 };
    self->sources[0] = *own_source;
}

static bool read_row(const json_t *row, struct id *source, bool *is_caught_up)
{
    const char *text = json_string_value(json_object_get(row, "source"));
    *is_caught_up = json_is_true(json_object_get(row, "is_caught_up"));
    return text && id_parse(text, source) == 0;
}

static bool is_remembered(const struct rebuild *self, const struct id *source)
{
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(self->sources[i].bytes, source->bytes, ID_BYTES) == 0)
            return true;
    return false;
}

static void remember(struct rebuild *self, const json_t *rows)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, index, row)
    {
        struct id source;
        bool is_caught_up = false;
        if (read_row(row, &source, &is_caught_up) && !is_remembered(self, &source) &&
            self->count < REBUILD_SOURCES_MAX)
            self->sources[self->count++] = source;
    }
}

static bool has_caught_up(const json_t *rows, const struct id *wanted)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, index, row)
    {
        struct id source;
        bool is_caught_up = false;
        if (read_row(row, &source, &is_caught_up) &&
            memcmp(source.bytes, wanted->bytes, ID_BYTES) == 0)
            return is_caught_up;
    }
    return false;
}

bool rebuild_is_over(struct rebuild *self, const json_t *rows)
{
    remember(self, rows);
    for (size_t i = 0; i < self->count; i++)
        if (!has_caught_up(rows, &self->sources[i]))
            return false;
    return true;
}
