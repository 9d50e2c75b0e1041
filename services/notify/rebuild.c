#include "notify/rebuild.h"

#include <string.h>

void rebuild_init(struct rebuild *self, const struct id *own_source)
{
    *self = (struct rebuild){ .count = 1 };
    self->sources[0].id = *own_source;
}

static bool read_row(const json_t *row, struct id *source, bool *is_caught_up)
{
    const char *text = json_string_value(json_object_get(row, "source"));
    *is_caught_up = json_is_true(json_object_get(row, "is_caught_up"));
    return text && id_parse(text, source) == 0;
}

/* NULL: there is no room for another. */
static struct rebuild_source *place_of(struct rebuild *self, const struct id *source)
{
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(self->sources[i].id.bytes, source->bytes, ID_BYTES) == 0)
            return &self->sources[i];
    if (self->count == REBUILD_SOURCES_MAX)
        return NULL;
    struct rebuild_source *place = &self->sources[self->count++];
    *place = (struct rebuild_source){ .id = *source };
    return place;
}

void rebuild_remember(struct rebuild *self, const struct id *source)
{
    (void)place_of(self, source);
}

static void remember(struct rebuild *self, const json_t *rows)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, index, row)
    {
        struct id source;
        bool is_caught_up = false;
        if (read_row(row, &source, &is_caught_up))
            rebuild_remember(self, &source);
    }
}

bool rebuild_next_note(struct rebuild *self, const json_t *rows, int64_t now_ms, struct id *out)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, index, row)
    {
        struct id source;
        bool is_caught_up = false;
        if (!read_row(row, &source, &is_caught_up))
            continue;
        struct rebuild_source *place = place_of(self, &source);
        if (!place || place == self->sources || /* our own */
            (place->is_noted && now_ms - place->noted_ms < REBUILD_NOTE_EVERY_MS))
            continue;
        place->is_noted = true;
        place->noted_ms = now_ms;
        *out = source;
        return true;
    }
    return false;
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
        if (!has_caught_up(rows, &self->sources[i].id))
            return false;
    return true;
}
