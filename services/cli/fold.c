#include "cli/fold.h"

#include <stdint.h>
#include <string.h>

enum { GROUP_SHOWN = 8 };

static const char *group_of(const json_t *row)
{
    return json_string_value(json_object_get(json_object_get(row, "alike"), "group"));
}

/* What somebody works at stays in sight. */
static bool is_foldable(const json_t *row)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    return group_of(row) && state && strcmp(state, "open") == 0;
}

static void count_folded(json_t *row)
{
    json_int_t folded = json_integer_value(json_object_get(row, "folded"));
    (void)json_object_set_new(row, "folded", json_integer(folded + 1));
}

size_t fold_rows(json_t *rows)
{
    size_t gone = 0;
    json_t *first = json_object(); /* by group */
    for (size_t i = 0; i < json_array_size(rows);) {
        json_t *row = json_array_get(rows, i);
        json_t *line = is_foldable(row) ? json_object_get(first, group_of(row)) : NULL;
        if (line) {
            count_folded(line);
            (void)json_array_remove(rows, i);
            gone++;
            continue;
        }
        if (is_foldable(row))
            (void)json_object_set(first, group_of(row), row);
        i++;
    }
    json_decref(first);
    return gone;
}

bool fold_mark(json_t *rows)
{
    bool is_any = false;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        const char *group = group_of(row);
        json_int_t folded = json_integer_value(json_object_get(row, "folded"));
        json_int_t count =
            json_integer_value(json_object_get(json_object_get(row, "alike"), "count"));
        if (!group)
            continue;
        is_any = true;
        (void)json_object_set_new(
            row, "copies",
            folded > 0
                ? json_sprintf("+%" JSON_INTEGER_FORMAT " alike", folded)
                : json_sprintf("%" JSON_INTEGER_FORMAT " of %.*s", count, GROUP_SHOWN, group));
    }
    return is_any;
}
