#include "notify/status_json.h"

#include <stdlib.h>

void status_put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) != 0)
        abort();
}

void status_append(json_t *array, json_t *value)
{
    if (!value || json_array_append_new(array, value) != 0)
        abort();
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

void status_put_journal(json_t *object, struct journal *journal)
{
    struct journal_stats stats;
    journal_stats(journal, &stats);
    json_t *shown = json_object();
    status_put(shown, "state", json_string(journal_state_name(stats.state)));
    status_put(shown, "oldest_sequence", number(stats.oldest_sequence));
    status_put(shown, "newest_sequence", number(stats.newest_sequence));
    status_put(shown, "released_sequence", number(stats.released_sequence));
    status_put(shown, "damaged_records", number(stats.damaged_records));
    status_put(object, "journal", shown);
}

void status_put_redis(json_t *object, const char *state, const char *problem)
{
    json_t *shown = json_object();
    status_put(shown, "state", json_string(state));
    status_put(shown, "problem", json_string(problem));
    status_put(object, "redis", shown);
}
