/* The alert stream as notify reads it, consumer group "notify". */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert.h"
#include "store/call.h"
#include "store/internal.h"
#include "store/plan.h"

enum { CLAIM_IDLE_MS = 5000, KEY_BYTES = 128 };

static bool is_missing_group(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOGROUP", 7) == 0;
}

/* As store_command, but a missing consumer group is made, from the stream's very start, and the
 * command asked again: Redis may have been emptied under us. */
static redisReply *stream_command(struct store *self, int argc, const char **argv,
                                  struct error *err)
{
    redisReply *reply = redisCommandArgv(self->connection, argc, argv, NULL);
    if (reply && reply->type != REDIS_REPLY_ERROR)
        return reply;
    bool is_missing = reply && is_missing_group(reply);
    store_reply_free(&reply);
    if (!is_missing) {
        (void)store_lose(self, err, "Redis did not let us read the alert stream");
        return NULL;
    }
    AUTO(store_reply_free)
    redisReply *made = store_call(self, "alert_group", NULL, 0, 2, NULL, err);
    return made ? store_command(self, argc, argv, NULL, err) : NULL;
}

/* Redis may have restarted since: what the stream holds is read again from its start. */
static int begin_stream(struct store *self, struct error *err)
{
    if (!self->is_stream_fresh)
        return 0;
    AUTO(store_reply_free)
    redisReply *made = store_call(self, "alert_group", NULL, 0, 2, NULL, err);
    if (!made)
        return -1;
    self->is_stream_fresh = false;
    return 0;
}

/* One entry: [id, [field, value, ...]]. An entry without an order (deleted meanwhile) is passed
 * over. */
static void take_entry(const redisReply *entry, struct store_alert *out, size_t *count)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY)
        return;
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (strcmp(store_text(fields->element[i]), "order") != 0)
            continue;
        const redisReply *order = fields->element[i + 1];
        if (order->type != REDIS_REPLY_STRING)
            return;
        struct store_alert *alert = &out[*count];
        (void)snprintf(alert->stream_id, sizeof alert->stream_id, "%s",
                       store_text(entry->element[0]));
        alert->order = malloc(order->len ? order->len : 1);
        if (!alert->order)
            abort(); /* as hiredis does */
        memcpy(alert->order, order->str, order->len);
        alert->order_length = order->len;
        (*count)++;
        return;
    }
}

static void take_entries(const redisReply *entries, struct store_alert *out, size_t max,
                         size_t *count)
{
    for (size_t i = 0; i < entries->elements && *count < max; i++)
        take_entry(entries->element[i], out, count);
}

/* Entries another consumer (or this one before a crash) took and never acknowledged. */
static int claim_idle(struct store *self, const char *stream, const char *consumer,
                      struct store_alert *out, size_t max, size_t *count, struct error *err)
{
    char idle[24], limit[24];
    (void)snprintf(idle, sizeof idle, "%d", CLAIM_IDLE_MS);
    (void)snprintf(limit, sizeof limit, "%zu", max);
    const char *argv[] = { "XAUTOCLAIM", stream, "notify", consumer, idle, "0-0", "COUNT", limit };
    AUTO(store_reply_free) redisReply *reply = stream_command(self, 8, argv, err);
    if (!reply)
        return -1;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2)
        take_entries(reply->element[1], out, max, count);
    return 0;
}

static int read_new(struct store *self, const char *stream, const char *consumer, uint32_t block_ms,
                    struct store_alert *out, size_t max, size_t *count, struct error *err)
{
    char block[24], limit[24];
    (void)snprintf(block, sizeof block, "%u", block_ms);
    (void)snprintf(limit, sizeof limit, "%zu", max);
    const char *waiting[] = { "XREADGROUP", "GROUP", "notify",  consumer, "COUNT", limit,
                              "BLOCK",      block,   "STREAMS", stream,   ">" };
    const char *at_once[] = { "XREADGROUP", "GROUP",   "notify", consumer, "COUNT",
                              limit,        "STREAMS", stream,   ">" };
    AUTO(store_reply_free)
    redisReply *reply = stream_command(self, block_ms ? 11 : 9, block_ms ? waiting : at_once, err);
    if (!reply)
        return -1;
    /* nil: nothing came; otherwise [[stream, entries]] */
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2)
        take_entries(reply->element[0]->element[1], out, max, count);
    return 0;
}

int store_alerts_read(struct store *self, const char *consumer, uint32_t block_ms,
                      struct store_alert *out, size_t max, size_t *count, struct error *err)
{
    assert(self && consumer && out && max > 0 && count);
    if (store_need(self, err) != 0 || begin_stream(self, err) != 0)
        return -1;
    char stream[KEY_BYTES];
    (void)snprintf(stream, sizeof stream, "%salerts", self->prefix);
    size_t found = 0;
    if (claim_idle(self, stream, consumer, out, max, &found, err) != 0)
        return -1;
    if (found == 0) {
        /* The connection's own time limit must not end the wait. */
        uint32_t limit_ms = (self->redis->timeout_ms ? self->redis->timeout_ms : 250) / 2;
        if (read_new(self, stream, consumer, block_ms < limit_ms ? block_ms : limit_ms, out, max,
                     &found, err) != 0)
            return -1;
    }
    *count = found;
    return 0;
}

void store_alerts_clear(struct store_alert *alerts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(alerts[i].order);
        alerts[i].order = NULL;
        alerts[i].order_length = 0;
    }
}

int store_alert_ack(struct store *self, const char *const *stream_ids, size_t count,
                    struct error *err)
{
    assert(self && stream_ids);
    for (size_t at = 0; at < count; at += STORE_FUNCTION_ARGS_MAX) {
        size_t part = count - at;
        if (part > STORE_FUNCTION_ARGS_MAX)
            part = STORE_FUNCTION_ARGS_MAX;
        AUTO(store_reply_free)
        redisReply *reply = store_call(self, "alert_ack", stream_ids + at, part, 2, NULL, err);
        if (!reply)
            return -1;
    }
    return 0;
}

static int add_change(struct call *call, const struct store_alert_change *change, struct error *err)
{
    char text[ID_TEXT_BYTES];
    const char *key = NULL;
    json_t *value = NULL;
    id_text(change->alert.bytes, text);
    call_text(call, text);
    call_text(call, change->state);
    call_format(call, "%zu", 2 * json_object_size(change->fields));
    json_object_foreach((json_t *)change->fields, key, value)
    {
        if (!json_is_string(value))
            return error_set(err, ERROR_INVALID, "fields of an alert's state: all strings");
        call_text(call, key);
        call_bytes(call, json_string_value(value), json_string_length(value));
    }
    return 0;
}

int store_alert_states(struct store *self, const struct store_alert_change *changes, size_t count,
                       size_t *refused, char history[static STORE_HISTORY_BYTES], struct error *err)
{
    assert(self && changes && count >= 1 && count <= STORE_APPLY_MAX && refused);
    AUTO(call_free) struct call *call = call_new(self, "alert_states");
    call_format(call, "%lld", store_tombstone_days(self->queues) * 24LL * 3600);
    for (size_t i = 0; i < count; i++)
        if (add_change(call, &changes[i], err) != 0)
            return -1;
    AUTO(store_reply_free) redisReply *reply = call_send(self, call, count + 1, history, err);
    if (!reply)
        return -1;
    *refused = 0;
    for (size_t i = 0; i < count; i++)
        *refused += strcmp(store_text(reply->element[i + 1]), "refused") == 0;
    return 0;
}

int store_alert_state(struct store *self, const struct id *alert, const char *state,
                      const json_t *fields, struct error *err)
{
    assert(alert && state);
    const struct store_alert_change change = { *alert, state, fields };
    char history[STORE_HISTORY_BYTES];
    size_t refused = 0;
    if (store_alert_states(self, &change, 1, &refused, history, err) != 0)
        return -1;
    if (refused > 0)
        return error_set(err, ERROR_INVALID,
                         "'%.32s' is no state of an alert: write open, accepted, escalated, "
                         "acknowledged or resolved",
                         state);
    return 0;
}

int store_orphans(struct store *self, const struct id *silent, size_t silent_count,
                  const struct id *asker, size_t *cursor, size_t *taken, struct error *err)
{
    assert(self && silent && silent_count <= STORE_SILENT_MAX && asker && cursor && taken);
    char sources[STORE_SILENT_MAX * ID_TEXT_BYTES] = "";
    char own[ID_TEXT_BYTES], version[16], from[24];
    for (size_t i = 0; i < silent_count; i++)
        id_text(silent[i].bytes, sources + i * (ID_TEXT_BYTES - 1));
    id_text(asker->bytes, own);
    (void)snprintf(version, sizeof version, "%d", (int)ALERT_RENDER_VERSION);
    (void)snprintf(from, sizeof from, "%zu", *cursor);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "orphans", (const char *[]){ sources, own, version, from },
                                   4, 3, NULL, err);
    if (!reply)
        return -1;
    *taken = (size_t)reply->element[1]->integer;
    *cursor = (size_t)reply->element[2]->integer;
    return 0;
}
