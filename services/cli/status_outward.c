#include "cli/status_outward.h"

#include <assert.h>

#include "cli/answer.h"
#include "cli/table.h"
#include "cli/window_words.h"
#include "store/outbox.h"

enum { COUNTED_MAX = 1000, WORD_BYTES = 64, SLOW_MS = 10 * 60 * 1000 };

static int count_waiting(struct store *store, const char *state, json_t *out, const char *key,
                         struct error *err)
{
    AUTO(answer_drop) json_t *rows = NULL;
    if (store_items_waiting(store, state, COUNTED_MAX, &rows, err) != 0)
        return -1;
    return json_object_set_new(out, key, json_integer((json_int_t)json_array_size(rows)));
}

json_t *status_outward_ask(struct store *store, struct error *err)
{
    assert(store && err);
    json_t *freeze = NULL;
    json_t *places = NULL;
    AUTO(answer_drop) json_t *outward = json_object();
    if (store_freeze_get(store, &freeze, err) != 0)
        return NULL;
    (void)json_object_set_new(outward, "freeze", freeze ? freeze : json_null());
    if (store_places(store, &places, err) != 0)
        return NULL;
    (void)json_object_set_new(outward, "places", places ? places : json_object());
    if (count_waiting(store, "unknown", outward, "unknown", err) != 0 ||
        count_waiting(store, "task", outward, "tasks", err) != 0)
        return NULL;
    return json_incref(outward);
}

static void say(json_t *lines, json_t *text)
{
    (void)json_array_append_new(lines, text);
}

static void say_freeze(json_t *lines, const json_t *freeze, int64_t now_unix_ms)
{
    char until[WORD_BYTES], left[WORD_BYTES];
    int64_t until_ms = json_integer_value(json_object_get(freeze, "until_ms"));
    size_t index;
    const json_t *place;
    if (until_ms <= now_unix_ms)
        return;
    window_time(until_ms, now_unix_ms, until, sizeof until);
    window_length(until_ms - now_unix_ms, left, sizeof left);
    const char *by = answer_text(freeze, "by");
    const char *reason = answer_text(freeze, "reason");
    say(lines,
        json_sprintf("FROZEN until %s, %s left%s%s%s%s: nothing scheduled or automatic goes out "
                     "(desg freeze lift)",
                     until, left, *by ? ", by " : "", by, *reason ? ", " : "", reason));
    json_array_foreach(json_object_get(freeze, "except"), index, place)
        say(lines, json_sprintf("  but %s goes on", json_string_value(place)));
}

static void say_places(json_t *lines, const json_t *places)
{
    const char *name;
    const json_t *place;
    json_object_foreach((json_t *)places, name, place)
    {
        char age[TABLE_CELL_BYTES];
        json_int_t waiting = json_integer_value(json_object_get(place, "waiting"));
        int64_t oldest_ms = json_integer_value(json_object_get(place, "oldest_ms"));
        table_format_duration(oldest_ms, age);
        if (json_is_true(json_object_get(place, "blocked")))
            say(lines,
                json_sprintf("BLOCKED: %s: its token is dead or the platform has restricted it; "
                             "%" JSON_INTEGER_FORMAT " wait. Mend it: it goes on by itself",
                             name, waiting));
        else if (waiting > 0 && *answer_text(place, "owner") == '\0')
            say(lines, json_sprintf("NOBODY SENDS at %s: %" JSON_INTEGER_FORMAT
                                    " wait, the oldest for %s: is a notify running?",
                                    name, waiting, age));
        else if (waiting > 0 && oldest_ms > SLOW_MS)
            say(lines, json_sprintf("SLOW: %s: %" JSON_INTEGER_FORMAT " wait, the oldest for %s",
                                    name, waiting, age));
    }
}

json_t *status_outward_banner(const json_t *outward, int64_t now_unix_ms)
{
    json_t *lines = json_array();
    json_int_t unknown = json_integer_value(json_object_get(outward, "unknown"));
    json_int_t tasks = json_integer_value(json_object_get(outward, "tasks"));
    say_freeze(lines, json_object_get(outward, "freeze"), now_unix_ms);
    say_places(lines, json_object_get(outward, "places"));
    if (unknown > 0)
        say(lines, json_sprintf("UNKNOWN: of %" JSON_INTEGER_FORMAT
                                " nobody knows whether they were sent: desg unknown",
                                unknown));
    if (tasks > 0)
        say(lines,
            json_sprintf("TASKS: %" JSON_INTEGER_FORMAT " wait for a person's hand: desg tasks",
                         tasks));
    return lines;
}

bool status_outward_is_blocked(const json_t *outward)
{
    const char *name;
    const json_t *place;
    json_object_foreach(json_object_get(outward, "places"), name,
                        place) if (json_is_true(json_object_get(place, "blocked"))) return true;
    return false;
}
