#include "cli/broadcast_draft.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/broadcast_file.h"
#include "cli/time_word.h"

enum { POINTS_MAX = 500 };

enum value_kind { TEXT, NUMBER, TIME, PAST_TIME, YES, NAMES, POINT, POLYGON };

struct rule {
    const char *option;
    const char *group; /* NULL: of the broadcast itself */
    const char *key;
    enum value_kind kind;
};
static const struct rule rules[] = {
    { "kind", NULL, "kind", TEXT },
    { "headline-en", "en", "headline", TEXT },
    { "headline-cy", "cy", "headline", TEXT },
    { "text-en", "en", "text", TEXT },
    { "text-cy", "cy", "text", TEXT },
    { "instruction-en", "en", "instruction", TEXT },
    { "instruction-cy", "cy", "instruction", TEXT },
    { "area-en", "en", "area", TEXT },
    { "area-cy", "cy", "area", TEXT },
    { "ended-en", "en", "ended", TEXT },
    { "ended-cy", "cy", "ended", TEXT },
    { "polygon", "area", "polygon", POLYGON },
    { "centre", "area", "centre", POINT },
    { "radius-km", "area", "radius_km", NUMBER },
    { "starts", NULL, "starts_at_ms", PAST_TIME },
    { "expires", NULL, "expires_at_ms", TIME },
    { "at", NULL, "publish_at_ms", TIME },
    { "outlet", NULL, "outlets", NAMES },
    { "road", NULL, "road", TEXT },
    { "road-state", NULL, "road_state", TEXT },
    { "urgency", NULL, "urgency", TEXT },
    { "severity", NULL, "severity", TEXT },
    { "certainty", NULL, "certainty", TEXT },
    { "incident", NULL, "incident", TEXT },
    { "welsh-owed", "welsh_owed", "reason", TEXT },
    { "welsh-due", "welsh_owed", "due_at_ms", TIME },
    { "says-ended", NULL, "says_ended", YES },
    { "may-thread", NULL, "may_thread", YES },
};

static const struct rule *find_rule(const char *option)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i].option, option) == 0)
            return &rules[i];
    return NULL;
}

static json_t *wrong(const struct command_given *given, const char *remedy, struct error *err)
{
    (void)error_set(err, ERROR_INVALID, "--%s '%.80s': %s", given->name, given->value, remedy);
    return NULL;
}

/* Moves *text behind the number there. */
static bool read_number(const char **text, double *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtod(*text, &end);
    bool is_one = end != *text && errno == 0 && isfinite(*out);
    *text = end;
    return is_one;
}

static json_t *read_point(const char **text)
{
    double latitude = 0, longitude = 0;
    if (!read_number(text, &latitude) || **text != ',')
        return NULL;
    (*text)++;
    if (!read_number(text, &longitude))
        return NULL;
    return json_pack("{s:f, s:f}", "latitude", latitude, "longitude", longitude);
}

static json_t *read_polygon(const struct command_given *given, struct error *err)
{
    AUTO(answer_drop) json_t *points = json_array();
    const char *text = given->value;
    while (text && *text) {
        json_t *point = json_array_size(points) < POINTS_MAX ? read_point(&text) : NULL;
        if (!point || (*text != '\0' && *text != ' ')) {
            json_decref(point);
            return wrong(given, "write at most 500 points as 'LATITUDE,LONGITUDE …'", err);
        }
        (void)json_array_append_new(points, point);
        text += strspn(text, " ");
    }
    return json_incref(points);
}

static json_t *read_time(const struct command_given *given, bool may_be_past, int64_t now_unix_ms,
                         struct error *err)
{
    int64_t at_ms = 0;
    struct error why = { 0 };
    if (time_word_ahead(given->value, now_unix_ms, may_be_past, &at_ms, &why) == 0)
        return json_integer(at_ms);
    (void)error_set(err, ERROR_INVALID, "--%s: %s", given->name, why.text);
    return NULL;
}

static json_t *read_value(const struct command_given *given, enum value_kind kind,
                          int64_t now_unix_ms, struct error *err)
{
    const char *text = given->value ? given->value : "";
    double number = 0;
    json_t *value = NULL;
    switch (kind) {
    case YES:
        return json_true();
    case TIME:
    case PAST_TIME:
        return read_time(given, kind == PAST_TIME, now_unix_ms, err);
    case NUMBER:
        return read_number(&text, &number) && *text == '\0'
                   ? json_real(number)
                   : wrong(given, "write a number such as 2.5", err);
    case POINT:
        value = read_point(&text);
        if (value && *text == '\0')
            return value;
        json_decref(value);
        return wrong(given, "write LATITUDE,LONGITUDE such as 51.82,-3.09", err);
    case POLYGON:
        return read_polygon(given, err);
    default:
        value = json_string(text);
        return value ? value : wrong(given, "write it in UTF-8", err);
    }
}

/* A circle takes the place of a polygon, and the other way round. */
static void drop_other_area(json_t *area, const char *key)
{
    if (strcmp(key, "polygon") == 0) {
        (void)json_object_del(area, "centre");
        (void)json_object_del(area, "radius_km");
    } else {
        (void)json_object_del(area, "polygon");
    }
}

static json_t *group_of(json_t *draft, const char *name)
{
    json_t *group = name ? json_object_get(draft, name) : draft;
    if (!json_is_object(group)) {
        group = json_object();
        (void)json_object_set_new(draft, name, group);
    }
    return group;
}

static int apply(json_t *draft, const struct command_given *given, bool *has_outlets,
                 int64_t now_unix_ms, struct error *err)
{
    const struct rule *rule = find_rule(given->name);
    if (!rule)
        return error_set(err, ERROR_INVALID, "--%s is no member of a broadcast", given->name);
    json_t *group = group_of(draft, rule->group);
    if (given->value && given->value[0] == '\0') {
        (void)json_object_del(group, rule->key);
        if (rule->group && json_object_size(group) == 0)
            (void)json_object_del(draft, rule->group);
        return 0;
    }
    json_t *value = read_value(given, rule->kind, now_unix_ms, err);
    if (!value)
        return -1;
    if (rule->group && strcmp(rule->group, "area") == 0)
        drop_other_area(group, rule->key);
    if (rule->kind != NAMES)
        return json_object_set_new(group, rule->key, value);
    if (!*has_outlets)
        (void)json_object_set_new(group, rule->key, json_array());
    *has_outlets = true;
    return json_array_append_new(json_object_get(group, rule->key), value);
}

/* What desk fills in, and a time of publication that has passed. */
static void strip(json_t *draft, int64_t now_unix_ms)
{
    static const char *const own[] = { "id", "version", "author", "written_at_ms", "earlier_ms" };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        (void)json_object_del(draft, own[i]);
    if (json_integer_value(json_object_get(draft, "publish_at_ms")) <= now_unix_ms)
        (void)json_object_del(draft, "publish_at_ms");
}

static const char *headline(const json_t *draft, const char *language)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(draft, language), "headline"));
    return text ? text : "";
}

json_t *broadcast_draft_make(const struct command_line *line, const json_t *base,
                             int64_t now_unix_ms, struct error *err)
{
    assert(line && err);
    AUTO(answer_drop) json_t *draft = NULL;
    bool has_outlets = false;
    if (line->file)
        draft = broadcast_file_read(line->file, now_unix_ms, err);
    else
        draft = base ? json_deep_copy(base) : json_object();
    if (!draft)
        return NULL;
    if (!line->file)
        strip(draft, now_unix_ms);
    for (size_t i = 0; i < line->given_count; i++)
        if (apply(draft, &line->given[i], &has_outlets, now_unix_ms, err) != 0)
            return NULL;
    if (!json_object_get(draft, "starts_at_ms"))
        (void)json_object_set_new(draft, "starts_at_ms", json_integer(now_unix_ms));
    if (base && !headline(base, "cy")[0] && headline(draft, "cy")[0])
        (void)json_object_del(draft, "welsh_owed");
    return json_incref(draft);
}

bool broadcast_draft_is_lopsided(const json_t *before, const json_t *after)
{
    bool is_same[2];
    static const char *const languages[] = { "en", "cy" };
    for (size_t i = 0; i < 2; i++) {
        const json_t *old = json_object_get(before, languages[i]);
        const json_t *new = json_object_get(after, languages[i]);
        if (!old || !new)
            return false;
        is_same[i] = json_equal(old, new);
    }
    return is_same[0] != is_same[1];
}
