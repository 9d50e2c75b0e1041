#include "desk/broadcast_like.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "ids/ids.h"
#include "outward/text.h"
#include "store/outbox.h"
#include "unpack/unpack.h"

enum { LISTED_MAX = 500, LOOKED_AT_MAX = 64 };
static const double worth_saying = 0.6; /* lib/outward/README.md, Lengths */

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static void free_broadcast(Desg__V1__Broadcast **broadcast_p)
{
    desg__v1__broadcast__free_unpacked(*broadcast_p, NULL);
}

static char *words_of(const Desg__V1__BroadcastText *text)
{
    size_t headline = strlen(text->headline);
    size_t length = strlen(text->text);
    char *words = malloc(headline + length + 2);
    if (!words)
        abort(); /* some kilobytes */
    memcpy(words, text->headline, headline);
    words[headline] = ' ';
    memcpy(words + headline + 1, text->text, length + 1);
    return words;
}

static double likeness_of(const Desg__V1__BroadcastText *one, const Desg__V1__BroadcastText *other)
{
    if (!one || !other)
        return 0;
    char *a = words_of(one);
    char *b = words_of(other);
    double likeness = text_likeness(a, b);
    free(a);
    free(b);
    return likeness;
}

double broadcast_likeness(const Desg__V1__Broadcast *one, const Desg__V1__Broadcast *other)
{
    assert(one && other);
    double english = likeness_of(one->en, other->en);
    double welsh = likeness_of(one->cy, other->cy);
    return english > welsh ? english : welsh;
}

/* False: it is none. out has room for 3 bytes of each 4 in text, and for one more. */
static bool unbase64(const char *text, size_t length, uint8_t *out, size_t *count)
{
    if (length == 0 || length % 4 != 0 || length > INT_MAX)
        return false;
    int decoded = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
    if (decoded < 0)
        return false;
    *count = (size_t)decoded - (text[length - 1] == '=') - (text[length - 2] == '=');
    return true;
}

Desg__V1__Broadcast *broadcast_of_row(const json_t *row)
{
    const json_t *text = json_object_get(row, "bytes");
    size_t length = json_string_length(text);
    size_t count = 0;
    uint8_t *bytes = malloc(length + 1);
    if (!bytes)
        abort();
    Desg__V1__Broadcast *broadcast =
        json_is_string(text) && unbase64(json_string_value(text), length, bytes, &count)
            ? unpack_or_end(&desg__v1__broadcast__descriptor, bytes, count)
            : NULL;
    free(bytes);
    return broadcast;
}

static int64_t time_at(const json_t *row, const char *name)
{
    return (int64_t)json_number_value(json_object_get(row, name));
}

/* A row of store_broadcasts: recent, or the public reads it now. */
static bool is_near(const json_t *row, int64_t since_ms)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    return (state && strcmp(state, "published") == 0) ||
           time_at(row, "written_at_ms") >= since_ms || time_at(row, "published_at_ms") >= since_ms;
}

static void insert(json_t *found, const json_t *row, double likeness)
{
    static const char *const shown[] = { "broadcast", "version", "state", "written_at_ms" };
    size_t at = 0;
    while (at < json_array_size(found) &&
           json_number_value(json_object_get(json_array_get(found, at), "likeness")) >= likeness)
        at++;
    json_t *entry = json_pack("{s:f}", "likeness", likeness);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (json_object_get(row, shown[i]))
            (void)json_object_set(entry, shown[i], json_object_get(row, shown[i]));
    (void)json_array_insert_new(found, at, entry);
}

static int compare(struct store *store, const Desg__V1__Broadcast *broadcast, const json_t *row,
                   json_t *found, struct error *err)
{
    struct id id;
    AUTO(drop_json) json_t *whole = NULL;
    const char *text = json_string_value(json_object_get(row, "broadcast"));
    if (!text || id_parse(text, &id) != 0 ||
        (broadcast->id.len == ID_BYTES && memcmp(broadcast->id.data, id.bytes, ID_BYTES) == 0))
        return 0;
    if (store_broadcast_get(store, &id, &whole, err) != 0)
        return -1;
    AUTO(free_broadcast) Desg__V1__Broadcast *other = whole ? broadcast_of_row(whole) : NULL;
    double likeness = other ? broadcast_likeness(broadcast, other) : 0;
    if (likeness >= worth_saying)
        insert(found, row, likeness);
    return 0;
}

int broadcast_like(struct store *store, const Desg__V1__Broadcast *broadcast, int64_t since_ms,
                   json_t **out, struct error *err)
{
    assert(store && broadcast && out);
    AUTO(drop_json) json_t *rows = NULL;
    AUTO(drop_json) json_t *found = json_array();
    size_t looked_at = 0;
    size_t index;
    const json_t *row;
    if (store_broadcasts(store, NULL, LISTED_MAX, &rows, err) != 0)
        return -1;
    json_array_foreach(rows, index, row)
    {
        if (!is_near(row, since_ms) || looked_at++ == LOOKED_AT_MAX)
            continue;
        if (compare(store, broadcast, row, found, err) != 0)
            return -1;
    }
    *out = json_incref(found);
    return 0;
}
