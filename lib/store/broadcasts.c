/* Broadcasts as Redis has them, the freeze, and the numbers people quote. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ids/reference.h"
#include "store/call.h"
#include "store/outward_facts.h"

enum { NUMBER_BYTES = 24, EPOCH_BYTES = 16, SCAN_COUNT = 10000 };

static void json_free(json_t **json_p)
{
    json_decref(*json_p);
}

static void add_base64(json_t *object, const char *key, const redisReply *bytes)
{
    char *text = malloc(4 * ((bytes->len + 2) / 3) + 1);
    if (!text)
        abort(); /* as jansson's callers elsewhere */
    crypto_base64(bytes->str, bytes->len, text);
    (void)json_object_set_new(object, key, json_string(text));
    free(text);
}

int store_broadcast_get(struct store *self, const struct id *broadcast, json_t **out,
                        struct error *err)
{
    assert(self && broadcast && out);
    char text[ID_TEXT_BYTES];
    id_text(broadcast->bytes, text);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "broadcast_get", (const char *[]){ text }, 1, 3, NULL, err);
    AUTO(json_free) json_t *found = NULL;
    if (!reply || store_json(self, reply->element[1], &found, err) != 0)
        return -1;
    if (found) {
        json_t *rows = json_object_get(found, "rows"), *row = NULL;
        size_t at = 0;
        json_array_foreach(rows, at, row)
        {
            store_mend_row(row);
        }
        if (!rows)
            (void)json_object_set_new(found, "rows", json_array());
        add_base64(found, "bytes", reply->element[2]);
    }
    *out = json_incref(found);
    return 0;
}

int store_broadcasts(struct store *self, const char *state, size_t limit, json_t **out,
                     struct error *err)
{
    assert(self && out);
    char most[NUMBER_BYTES];
    (void)snprintf(most, sizeof most, "%zu", limit);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "broadcasts", (const char *[]){ state ? state : "", most },
                                   2, 2, NULL, err);
    return reply ? store_json(self, reply->element[1], out, err) : -1;
}

int store_broadcasts_sweep(struct store *self, int64_t now_ms, size_t *changed, struct error *err)
{
    assert(self);
    char now[NUMBER_BYTES];
    (void)snprintf(now, sizeof now, "%" PRId64, now_ms);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "broadcasts_sweep", (const char *[]){ now }, 1, 2, NULL, err);
    if (!reply)
        return -1;
    if (changed)
        *changed = (size_t)reply->element[1]->integer;
    return 0;
}

/* --- news --- */

static int read_epoch(struct store *self, const redisReply *reply, uint8_t epoch[EPOCH_BYTES],
                      uint64_t *sequence, struct error *err)
{
    const char *hex = store_text(reply->element[1]);
    if (!crypto_unhex(hex, strlen(hex), epoch, EPOCH_BYTES))
        return store_lose(self, err, "the epoch of the broadcasts is not understood");
    *sequence = strtoull(store_text(reply->element[2]), NULL, 10);
    return 0;
}

int store_broadcast_sequence(struct store *self, uint8_t epoch[16], uint64_t *sequence,
                             struct error *err)
{
    assert(self && epoch && sequence);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "broadcast_sequence", NULL, 0, 3, NULL, err);
    return reply ? read_epoch(self, reply, epoch, sequence, err) : -1;
}

int store_broadcast_news(struct store *self, int64_t keep_ms, struct store_news *out,
                         struct error *err)
{
    enum { FIRST = 3 };
    assert(self && keep_ms >= 0 && out);
    char keep[NUMBER_BYTES];
    (void)snprintf(keep, sizeof keep, "%" PRId64, keep_ms);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "broadcast_news", (const char *[]){ keep }, 1, FIRST, NULL, err);
    struct store_news found = { 0 };
    if (!reply || read_epoch(self, reply, found.epoch, &found.sequence, err) != 0)
        return -1;
    found.rows = calloc(reply->elements - FIRST + 1, sizeof *found.rows);
    for (size_t at = FIRST; found.rows && at < reply->elements; at++) {
        const redisReply *bytes = reply->element[at];
        struct store_bytes *row = &found.rows[found.count];
        row->bytes = malloc(bytes->len + 1);
        if (!row->bytes)
            abort(); /* as hiredis does */
        memcpy(row->bytes, bytes->str, bytes->len);
        row->length = bytes->len;
        found.count++;
    }
    *out = found;
    return 0;
}

void store_news_clear(struct store_news *news)
{
    for (size_t i = 0; i < news->count; i++)
        free(news->rows[i].bytes);
    free(news->rows);
    *news = (struct store_news){ 0 };
}

/* --- the freeze --- */

static json_t *lines_of(const char *text)
{
    json_t *lines = json_array();
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        if (length > 0)
            (void)json_array_append_new(lines, json_stringn(at, length));
        at += length + (at[length] == '\n');
    }
    return lines;
}

int store_freeze_get(struct store *self, json_t **out, struct error *err)
{
    assert(self && out);
    AUTO(store_reply_free) redisReply *reply = store_call(self, "freeze", NULL, 0, 3, NULL, err);
    json_t *found = NULL;
    if (!reply || store_json(self, reply->element[1], &found, err) != 0)
        return -1;
    if (found)
        (void)json_object_set_new(found, "except", lines_of(store_text(reply->element[2])));
    *out = found;
    return 0;
}

/* --- references --- */

/* Keys of one step of a SCAN; *found says whether one is the conversation. */
static bool find_among(const redisReply *keys, size_t prefix_length, uint64_t bits, struct id *out)
{
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = store_text(keys->element[i]);
        struct id id;
        if (strlen(key) > prefix_length && id_parse(key + prefix_length, &id) == 0 &&
            reference_bits(&id) == bits) {
            *out = id;
            return true;
        }
    }
    return false;
}

int store_reference(struct store *self, const char *reference, struct id *conversation,
                    struct error *err)
{
    assert(self && reference && conversation);
    uint64_t bits = 0;
    if (reference_read(reference, &bits) != 0)
        return error_set(err, ERROR_INVALID,
                         "a reference number has ten letters and digits, such as 4H2KM-9PQ0T");
    if (store_need(self, err) != 0)
        return -1;
    char pattern[sizeof self->prefix + 32], count[NUMBER_BYTES], cursor[NUMBER_BYTES] = "0";
    size_t prefix_length = strlen(self->prefix) + strlen("conv:");
    (void)snprintf(pattern, sizeof pattern, "%sconv:%012" PRIx64 "*", self->prefix, bits >> 16);
    (void)snprintf(count, sizeof count, "%d", SCAN_COUNT);
    do {
        const char *argv[] = { "SCAN", cursor, "MATCH", pattern, "COUNT", count };
        AUTO(store_reply_free) redisReply *reply = store_command(self, 6, argv, NULL, err);
        if (!reply)
            return -1;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[1]->type != REDIS_REPLY_ARRAY)
            return store_lose(self, err, "SCAN answered no keys");
        if (find_among(reply->element[1], prefix_length, bits, conversation))
            return 0;
        (void)snprintf(cursor, sizeof cursor, "%s", store_text(reply->element[0]));
    } while (strcmp(cursor, "0") != 0);
    return error_set(err, ERROR_INVALID,
                     "no conversation has this reference number: look whether it was read right");
}
