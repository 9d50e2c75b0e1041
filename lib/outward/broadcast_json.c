/* Broadcasts as JSON, both ways. Strict on the way in: a member that is misspelt would otherwise be
 * left out of what the public reads. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ids/ids.h"
#include "outward/area.h"
#include "outward/broadcast.h"
#include "outward/said.h"

enum { STRING_MAX_BYTES = 20000, OUTLETS_MAX = 64, VERSIONS_MAX = 10000, NAME_BYTES = 96 };

/* --- out --- */

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text && *text)
        (void)json_object_set_new(object, name, json_string(text));
}

static void put_time(json_t *object, const char *name, int64_t at_ms)
{
    if (at_ms != 0)
        (void)json_object_set_new(object, name, json_integer(at_ms));
}

static json_t *words_to_json(const Desg__V1__BroadcastText *text)
{
    json_t *object = json_object();
    put_text(object, "headline", text->headline);
    put_text(object, "text", text->text);
    put_text(object, "instruction", text->instruction);
    put_text(object, "area", text->area);
    put_text(object, "ended", text->ended);
    return object;
}

static json_t *point_to_json(const Desg__V1__Point *point)
{
    return json_pack("{s:f, s:f}", "latitude", point->latitude, "longitude", point->longitude);
}

static json_t *area_to_json(const Desg__V1__Area *area)
{
    json_t *object = json_object();
    if (area->n_polygon > 0) {
        json_t *polygon = json_array();
        for (size_t i = 0; i < area->n_polygon; i++)
            (void)json_array_append_new(polygon, point_to_json(area->polygon[i]));
        (void)json_object_set_new(object, "polygon", polygon);
    }
    if (area->centre)
        (void)json_object_set_new(object, "centre", point_to_json(area->centre));
    if (area->radius_km != 0)
        (void)json_object_set_new(object, "radius_km", json_real(area->radius_km));
    return object;
}

/* What concerns everyone: without whose it is, what it belongs to, and where it goes. */
json_t *broadcast_public_json(const Desg__V1__Broadcast *broadcast)
{
    json_t *object = json_object();
    char id[ID_TEXT_BYTES];
    if (broadcast->id.len == ID_BYTES) {
        id_text(broadcast->id.data, id);
        put_text(object, "id", id);
    }
    if (broadcast->version != 0)
        (void)json_object_set_new(object, "version", json_integer(broadcast->version));
    if (broadcast->kind != 0)
        put_text(object, "kind", broadcast_kind_word(broadcast->kind));
    if (broadcast->en)
        (void)json_object_set_new(object, "en", words_to_json(broadcast->en));
    if (broadcast->cy)
        (void)json_object_set_new(object, "cy", words_to_json(broadcast->cy));
    if (broadcast->area)
        (void)json_object_set_new(object, "area", area_to_json(broadcast->area));
    put_time(object, "starts_at_ms", broadcast->starts_at_ms);
    put_time(object, "expires_at_ms", broadcast->expires_at_ms);
    put_text(object, "road", broadcast->road);
    if (broadcast->road_state != 0)
        put_text(object, "road_state", road_state_word(broadcast->road_state));
    put_text(object, "urgency", broadcast->urgency);
    put_text(object, "severity", broadcast->severity);
    put_text(object, "certainty", broadcast->certainty);
    put_time(object, "written_at_ms", broadcast->written_at_ms);
    return object;
}

json_t *broadcast_to_json(const Desg__V1__Broadcast *broadcast)
{
    assert(broadcast);
    json_t *object = broadcast_public_json(broadcast);
    json_t *outlets = json_array();
    json_t *earlier = json_array();
    for (size_t i = 0; i < broadcast->n_outlets; i++)
        (void)json_array_append_new(outlets, json_string(broadcast->outlets[i]));
    for (size_t i = 0; i < broadcast->n_earlier_ms; i++)
        (void)json_array_append_new(earlier, json_integer(broadcast->earlier_ms[i]));
    put_time(object, "publish_at_ms", broadcast->publish_at_ms);
    (void)json_object_set_new(object, "outlets", outlets);
    (void)json_object_set_new(object, "earlier_ms", earlier);
    (void)json_object_set_new(object, "says_ended", json_boolean(broadcast->says_ended));
    (void)json_object_set_new(object, "may_thread", json_boolean(broadcast->may_thread));
    put_text(object, "author", broadcast->author);
    put_text(object, "incident", broadcast->incident);
    if (broadcast->welsh_owed) {
        json_t *owed = json_object();
        put_text(owed, "by", broadcast->welsh_owed->by);
        put_text(owed, "reason", broadcast->welsh_owed->reason);
        put_time(owed, "due_at_ms", broadcast->welsh_owed->due_at_ms);
        (void)json_object_set_new(object, "welsh_owed", owed);
    }
    return object;
}

/* --- in --- */

static int wrong(struct error *err, const char *name, const char *remedy)
{
    return error_set(err, ERROR_INVALID, "%s: %s", name, remedy);
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_SYSTEM, "no memory to read a broadcast");
}

static int read_text(const json_t *value, const char *name, char **out, struct error *err)
{
    if (!json_is_string(value))
        return wrong(err, name, "write a text");
    if (json_string_length(value) > STRING_MAX_BYTES)
        return wrong(err, name, "write at most 20000 bytes");
    char *copy = strdup(json_string_value(value));
    if (!copy)
        return no_memory(err);
    *out = copy;
    return 0;
}

static int read_time(const json_t *value, const char *name, int64_t *out, struct error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong(err, name, "write a time in milliseconds since 1970");
    *out = json_integer_value(value);
    return 0;
}

static int read_bool(const json_t *value, const char *name, protobuf_c_boolean *out,
                     struct error *err)
{
    if (!json_is_boolean(value))
        return wrong(err, name, "write true or false");
    *out = json_is_true(value);
    return 0;
}

static int read_number(const json_t *value, const char *name, double *out, struct error *err)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return wrong(err, name, "write a number");
    *out = json_number_value(value);
    return 0;
}

/* One member of an object: name is its whole name, such as en.headline. */
typedef int (*read_member)(void *to, const char *key, const json_t *value, const char *name,
                           struct error *err);

/* What somebody called a member, fit for an error's text. */
static void name_member(const char *object, const char *key, char out[static NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s%s%.40s", object, *object ? "." : "", key);
    for (char *c = out; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
}

/* Each member of value is read by read, which knows all there may be. */
static int read_object(const json_t *value, const char *name, read_member read, void *to,
                       struct error *err)
{
    const char *key;
    json_t *member;
    if (!json_is_object(value))
        return wrong(err, name, "write an object");
    json_object_foreach((json_t *)value, key, member)
    {
        char whole[NAME_BYTES];
        name_member(name, key, whole);
        if (read(to, key, member, whole, err) != 0)
            return -1;
    }
    return 0;
}

static int read_words_member(void *to, const char *key, const json_t *value, const char *name,
                             struct error *err)
{
    Desg__V1__BroadcastText *text = to;
    const struct {
        const char *key;
        char **to;
    } members[] = { { "headline", &text->headline },
                    { "text", &text->text },
                    { "instruction", &text->instruction },
                    { "area", &text->area },
                    { "ended", &text->ended } };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i].key, key) == 0)
            return read_text(value, name, members[i].to, err);
    return wrong(err, name, "is not known: write headline, text, instruction, area or ended");
}

static int read_words(const json_t *value, const char *name, Desg__V1__BroadcastText **out,
                      struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return no_memory(err);
    desg__v1__broadcast_text__init(*out);
    return read_object(value, name, read_words_member, *out, err);
}

static int read_point_member(void *to, const char *key, const json_t *value, const char *name,
                             struct error *err)
{
    Desg__V1__Point *point = to;
    if (strcmp(key, "latitude") == 0)
        return read_number(value, name, &point->latitude, err);
    if (strcmp(key, "longitude") == 0)
        return read_number(value, name, &point->longitude, err);
    return wrong(err, name, "is not known: write latitude and longitude");
}

static int read_point(const json_t *value, const char *name, Desg__V1__Point **out,
                      struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return no_memory(err);
    desg__v1__point__init(*out);
    if (!json_object_get(value, "latitude") || !json_object_get(value, "longitude"))
        return wrong(err, name, "write an object with latitude and longitude");
    return read_object(value, name, read_point_member, *out, err);
}

static int read_polygon(const json_t *value, const char *name, Desg__V1__Area *area,
                        struct error *err)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > AREA_POINTS_MAX)
        return wrong(err, name, "write a list of at most 500 points");
    if (count == 0)
        return 0;
    area->polygon = calloc(count, sizeof(Desg__V1__Point *));
    if (!area->polygon)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        char point[112];
        (void)snprintf(point, sizeof point, "%s[%zu]", name, i);
        area->n_polygon = i + 1;
        if (read_point(json_array_get(value, i), point, &area->polygon[i], err) != 0)
            return -1;
    }
    return 0;
}

static int read_area_member(void *to, const char *key, const json_t *value, const char *name,
                            struct error *err)
{
    Desg__V1__Area *area = to;
    if (strcmp(key, "polygon") == 0)
        return read_polygon(value, name, area, err);
    if (strcmp(key, "centre") == 0)
        return read_point(value, name, &area->centre, err);
    if (strcmp(key, "radius_km") == 0)
        return read_number(value, name, &area->radius_km, err);
    return wrong(err, name, "is not known: write polygon, or centre and radius_km");
}

static int read_area(const json_t *value, const char *name, Desg__V1__Area **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return no_memory(err);
    desg__v1__area__init(*out);
    return read_object(value, name, read_area_member, *out, err);
}

static int read_owed_member(void *to, const char *key, const json_t *value, const char *name,
                            struct error *err)
{
    Desg__V1__WelshOwed *owed = to;
    if (strcmp(key, "by") == 0)
        return read_text(value, name, &owed->by, err);
    if (strcmp(key, "reason") == 0)
        return read_text(value, name, &owed->reason, err);
    if (strcmp(key, "due_at_ms") == 0)
        return read_time(value, name, &owed->due_at_ms, err);
    return wrong(err, name, "is not known: write by, reason or due_at_ms");
}

static int read_owed(const json_t *value, const char *name, Desg__V1__WelshOwed **out,
                     struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return no_memory(err);
    desg__v1__welsh_owed__init(*out);
    return read_object(value, name, read_owed_member, *out, err);
}

static int read_outlets(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                        struct error *err)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > OUTLETS_MAX)
        return wrong(err, name, "write a list of at most 64 names");
    if (count == 0)
        return 0;
    broadcast->outlets = calloc(count, sizeof *broadcast->outlets);
    if (!broadcast->outlets)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (read_text(json_array_get(value, i), name, &broadcast->outlets[i], err) != 0)
            return -1;
        broadcast->n_outlets = i + 1;
    }
    return 0;
}

static int read_earlier(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                        struct error *err)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > VERSIONS_MAX)
        return wrong(err, name, "write a list of times");
    if (count == 0)
        return 0;
    broadcast->earlier_ms = calloc(count, sizeof *broadcast->earlier_ms);
    if (!broadcast->earlier_ms)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (read_time(json_array_get(value, i), name, &broadcast->earlier_ms[i], err) != 0)
            return -1;
    broadcast->n_earlier_ms = count;
    return 0;
}

static int read_id(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                   struct error *err)
{
    struct id id;
    const char *text = json_string_value(value);
    if (!text || id_parse(text, &id) != 0)
        return wrong(err, name, "write 32 hex digits");
    broadcast->id.data = malloc(ID_BYTES);
    if (!broadcast->id.data)
        return no_memory(err);
    memcpy(broadcast->id.data, id.bytes, ID_BYTES);
    broadcast->id.len = ID_BYTES;
    return 0;
}

static int read_version(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                        struct error *err)
{
    json_int_t version = json_integer_value(value);
    if (!json_is_integer(value) || version < 0 || version > VERSIONS_MAX)
        return wrong(err, name, "write a whole number");
    broadcast->version = (uint32_t)version;
    return 0;
}

static int read_kind(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                     struct error *err)
{
    const char *word = json_string_value(value);
    broadcast->kind = word ? broadcast_kind_from(word) : 0;
    return broadcast->kind
               ? 0
               : wrong(err, name, "write road-closure, live-incident, advice or appeal");
}

static int read_road_state(const json_t *value, const char *name, Desg__V1__Broadcast *broadcast,
                           struct error *err)
{
    const char *word = json_string_value(value);
    broadcast->road_state = word ? road_state_from(word) : 0;
    return broadcast->road_state
               ? 0
               : wrong(err, name, "write road-closed, carriageway-closed or lane-closed");
}

/* Members that are plain: 1 if key is none of them. value NULL: left out. */
static int read_plain(Desg__V1__Broadcast *broadcast, const char *key, const json_t *value,
                      const char *name, struct error *err)
{
    const struct {
        const char *key;
        char **to;
    } texts[] = { { "road", &broadcast->road },         { "urgency", &broadcast->urgency },
                  { "severity", &broadcast->severity }, { "certainty", &broadcast->certainty },
                  { "author", &broadcast->author },     { "incident", &broadcast->incident } };
    const struct {
        const char *key;
        int64_t *to;
    } times[] = { { "starts_at_ms", &broadcast->starts_at_ms },
                  { "expires_at_ms", &broadcast->expires_at_ms },
                  { "publish_at_ms", &broadcast->publish_at_ms },
                  { "written_at_ms", &broadcast->written_at_ms } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].key, key) == 0)
            return value ? read_text(value, name, texts[i].to, err) : 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (strcmp(times[i].key, key) == 0)
            return value ? read_time(value, name, times[i].to, err) : 0;
    if (strcmp(key, "says_ended") == 0)
        return value ? read_bool(value, name, &broadcast->says_ended, err) : 0;
    if (strcmp(key, "may_thread") == 0)
        return value ? read_bool(value, name, &broadcast->may_thread, err) : 0;
    return 1;
}

static int read_broadcast_member(void *to, const char *key, const json_t *value, const char *name,
                                 struct error *err)
{
    Desg__V1__Broadcast *broadcast = to;
    if (json_is_null(value))
        value = NULL; /* said to be left out: only its name is looked at */
    static const struct {
        const char *key;
        int (*read)(const json_t *, const char *, Desg__V1__Broadcast *, struct error *);
    } members[] = { { "id", read_id },           { "version", read_version },
                    { "kind", read_kind },       { "road_state", read_road_state },
                    { "outlets", read_outlets }, { "earlier_ms", read_earlier } };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i].key, key) == 0)
            return value ? members[i].read(value, name, broadcast, err) : 0;
    if (strcmp(key, "en") == 0)
        return value ? read_words(value, name, &broadcast->en, err) : 0;
    if (strcmp(key, "cy") == 0)
        return value ? read_words(value, name, &broadcast->cy, err) : 0;
    if (strcmp(key, "area") == 0)
        return value ? read_area(value, name, &broadcast->area, err) : 0;
    if (strcmp(key, "welsh_owed") == 0)
        return value ? read_owed(value, name, &broadcast->welsh_owed, err) : 0;
    int rc = read_plain(broadcast, key, value, name, err);
    return rc == 1 ? wrong(err, name, "is not known: see the API's description of a broadcast")
                   : rc;
}

Desg__V1__Broadcast *broadcast_from_json(const json_t *value, struct error *err)
{
    assert(err);
    if (!json_is_object(value)) {
        (void)error_set(err, ERROR_INVALID, "a broadcast is an object");
        return NULL;
    }
    Desg__V1__Broadcast *broadcast = calloc(1, sizeof *broadcast);
    if (!broadcast) {
        (void)no_memory(err);
        return NULL;
    }
    desg__v1__broadcast__init(broadcast);
    if (read_object(value, "", read_broadcast_member, broadcast, err) == 0)
        return broadcast;
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
    return NULL; /* NOLINT(clang-analyzer-unix.Malloc): the line above frees it */
}
