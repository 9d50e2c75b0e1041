/* Places, and the items that wait there. */
#include "store/outbox.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "store/call.h"
#include "store/outward_facts.h"
#include "unpack/unpack.h"

enum { NUMBER_BYTES = 24, CURSOR_BYTES = 32, HASH_BYTES = 32 };

static void json_free(json_t **json_p)
{
    json_decref(*json_p);
}

int store_json(struct store *self, const redisReply *text, json_t **out, struct error *err)
{
    json_error_t problem;
    json_t *json = text->type == REDIS_REPLY_STRING
                       ? json_loadb(text->str, text->len, JSON_DECODE_ANY, &problem)
                       : NULL;
    if (!json)
        return store_lose(self, err, "a function's answer is no JSON");
    if (json_is_null(json)) {
        json_decref(json);
        json = NULL;
    }
    *out = json;
    return 0;
}

/* Lua knows no empty array. */
void store_mend_row(json_t *row)
{
    if (json_object_get(row, "object_ids") && !json_is_array(json_object_get(row, "object_ids")))
        (void)json_object_set_new(row, "object_ids", json_array());
}

static void number_text(char out[static NUMBER_BYTES], uint64_t number)
{
    (void)snprintf(out, NUMBER_BYTES, "%" PRIu64, number);
}

/* --- places --- */

int store_place_take(struct store *self, const char *place, const char *name, uint32_t lease_ms,
                     struct store_owner *out, struct error *err)
{
    assert(self && place && name && out);
    char lease[NUMBER_BYTES];
    number_text(lease, lease_ms);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "place_take", (const char *[]){ place, name, lease }, 3, 4, NULL, err);
    if (!reply)
        return -1;
    *out = (struct store_owner){ .is_ours = reply->element[1]->integer == 1,
                                 .fence = strtoull(store_text(reply->element[2]), NULL, 10) };
    (void)snprintf(out->name, sizeof out->name, "%s", store_text(reply->element[3]));
    return 0;
}

int store_place_leave(struct store *self, const char *place, const char *name, struct error *err)
{
    assert(self && place && name);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "place_leave", (const char *[]){ place, name }, 2, 2, NULL, err);
    return reply ? 0 : -1;
}

int store_places(struct store *self, json_t **out, struct error *err)
{
    assert(self && out);
    AUTO(store_reply_free) redisReply *reply = store_call(self, "places", NULL, 0, 2, NULL, err);
    return reply ? store_json(self, reply->element[1], out, err) : -1;
}

/* --- the stream --- */

static void take_item(const redisReply *const *parts, struct store_item *out)
{
    *out = (struct store_item){ .length = parts[1]->len, .is_again = parts[2]->integer == 1 };
    (void)snprintf(out->stream_id, sizeof out->stream_id, "%s", store_text(parts[0]));
    out->bytes = malloc(parts[1]->len + 1);
    if (!out->bytes)
        abort(); /* as hiredis does */
    memcpy(out->bytes, parts[1]->str, parts[1]->len);
}

int store_outbox_read(struct store *self, const char *place, const char *name, char cursor[32],
                      struct store_item *out, size_t max, size_t *count, struct error *err)
{
    assert(self && place && name && cursor && out && max > 0 && count);
    enum { FIRST = 2, PARTS = 3 };
    char most[NUMBER_BYTES];
    number_text(most, max);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "outbox_read",
                                   (const char *[]){ place, name, cursor, most }, 4, 2, NULL, err);
    (void)snprintf(cursor, CURSOR_BYTES, "%s", reply ? store_text(reply->element[1]) : "0");
    if (!reply)
        return -1;
    size_t found = 0;
    for (size_t at = FIRST; at + PARTS <= reply->elements && found < max; at += PARTS)
        if (reply->element[at + 1]->type == REDIS_REPLY_STRING)
            take_item((const redisReply *const *)&reply->element[at], &out[found++]);
    *count = found;
    return 0;
}

void store_items_clear(struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].bytes);
        items[i] = (struct store_item){ 0 };
    }
}

int store_outbox_done(struct store *self, const char *place, const char *const *stream_ids,
                      size_t count, struct error *err)
{
    assert(self && place && (stream_ids || count == 0));
    if (count == 0)
        return 0;
    AUTO(call_free) struct call *call = call_new(self, "outbox_done");
    call_text(call, place);
    for (size_t i = 0; i < count; i++)
        call_text(call, stream_ids[i]);
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, 2, NULL, err);
    return reply ? 0 : -1;
}

/* --- may it be sent? --- */

static int read_word(struct store *self, const char *word, enum store_begin *out, struct error *err)
{
    static const char *const words[] = {
        [STORE_BEGIN_NOW] = "now",
        [STORE_BEGIN_NOT_OWNER] = "not_owner",
        [STORE_BEGIN_FROZEN] = "frozen",
        [STORE_BEGIN_STALE] = "stale",
        [STORE_BEGIN_CANCELLED] = "cancelled",
        [STORE_BEGIN_STARTED] = "started",
        [STORE_BEGIN_OVER] = "over",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum store_begin)i;
            return 0;
        }
    return store_lose(self, err, "function item_begin answered no word that is known");
}

int store_item_begin(struct store *self, const struct store_begin_ask *ask,
                     struct store_begin_answer *out, struct error *err)
{
    assert(self && ask && ask->item && out);
    const Desg__V1__OutboxItem *item = ask->item;
    char hash[2 * HASH_BYTES + 1], head[STORE_ITEM_HEAD_BYTES];
    if (store_item_head(item, head, err) != 0)
        return -1;
    bool is_reply = item->what_case == DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    const ProtobufCBinaryData none = { 0 };
    crypto_hex(ask->body_hash, HASH_BYTES, hash);
    AUTO(call_free) struct call *call = call_new(self, "item_begin");
    call_format(call, "%" PRId64, clock_unix_ms());
    call_text(call, item->place);
    call_format(call, "%" PRIu64, ask->owner_fence);
    call_id(call, &item->id);
    call_format(call, "%" PRIu32, ask->part);
    call_format(call, "%" PRIu32, ask->parts);
    call_text(call, hash);
    call_text(call, head);
    call_format(call, "%" PRIu64, is_reply ? item->reply->fence : 0);
    call_id(call, is_reply ? &item->reply->last_event : &none);
    struct store_begin_answer found = { 0 };
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, 6, found.history, err);
    if (!reply || read_word(self, store_text(reply->element[1]), &found.begin, err) != 0)
        return -1;
    found.until_ms = strtoll(store_text(reply->element[2]), NULL, 10);
    found.last_person_at_ms = strtoll(store_text(reply->element[3]), NULL, 10);
    found.at_ms = strtoll(store_text(reply->element[4]), NULL, 10);
    (void)snprintf(found.reason, sizeof found.reason, "%s", store_text(reply->element[5]));
    *out = found;
    return 0;
}

int store_items_find(struct store *self, int64_t since_ms, const char *const *sources, size_t count,
                     size_t *found, struct error *err)
{
    assert(self && (sources || count == 0) && found);
    AUTO(call_free) struct call *call = call_new(self, "items_find");
    call_format(call, "%" PRId64, since_ms);
    for (size_t i = 0; i < count; i++)
        call_text(call, sources[i]);
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, 2, NULL, err);
    if (!reply)
        return -1;
    *found = reply->element[1]->integer > 0 ? (size_t)reply->element[1]->integer : 0;
    return 0;
}

/* --- asked --- */

int store_item_get(struct store *self, const struct id *item, json_t **out, struct error *err)
{
    assert(self && item && out);
    char text[ID_TEXT_BYTES];
    id_text(item->bytes, text);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "item_get", (const char *[]){ text }, 1, 2, NULL, err);
    if (!reply || store_json(self, reply->element[1], out, err) != 0)
        return -1;
    if (*out)
        store_mend_row(*out);
    return 0;
}

int store_items_waiting(struct store *self, const char *state, size_t limit, json_t **out,
                        struct error *err)
{
    assert(self && state && out);
    if (strcmp(state, "unknown") != 0 && strcmp(state, "task") != 0)
        return error_set(err, ERROR_INVALID, "items wait as unknown or task, not '%.32s'", state);
    char most[NUMBER_BYTES];
    number_text(most, limit);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "items_waiting", (const char *[]){ state, most }, 2, 2, NULL, err);
    AUTO(json_free) json_t *rows = NULL;
    if (!reply || store_json(self, reply->element[1], &rows, err) != 0)
        return -1;
    size_t at = 0;
    json_t *row = NULL;
    json_array_foreach(rows, at, row)
    {
        store_mend_row(row);
    }
    *out = json_incref(rows);
    return 0;
}

int store_item_echo(struct store *self, const struct id *item, uint32_t part, char *object_id,
                    size_t bytes, struct error *err)
{
    assert(self && item && object_id && bytes > 0);
    char text[ID_TEXT_BYTES], number[NUMBER_BYTES];
    id_text(item->bytes, text);
    number_text(number, part);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "item_echo", (const char *[]){ text, number }, 2, 2, NULL, err);
    if (!reply)
        return -1;
    (void)snprintf(object_id, bytes, "%s", store_text(reply->element[1]));
    return 0;
}

int store_settled_read(struct store *self, char cursor[32], Desg__V1__SendSettled **out, size_t max,
                       size_t *count, struct error *err)
{
    assert(self && cursor && out && max > 0 && count);
    char most[NUMBER_BYTES];
    number_text(most, max);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "settled", (const char *[]){ cursor, most }, 2, 2, NULL, err);
    if (!reply)
        return -1;
    size_t found = 0;
    for (size_t at = 2; at < reply->elements && found < max; at++) {
        Desg__V1__SendSettled *settled = unpack_or_end(
            &desg__v1__send_settled__descriptor, reply->element[at]->str, reply->element[at]->len);
        if (settled)
            out[found++] = settled;
    }
    (void)snprintf(cursor, CURSOR_BYTES, "%s", store_text(reply->element[1]));
    *count = found;
    return 0;
}
