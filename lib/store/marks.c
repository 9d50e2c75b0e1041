#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "store/internal.h"

enum { NUMBER_BYTES = 24 };

static int read_number(const redisReply *reply, uint64_t *out)
{
    if (reply->type != REDIS_REPLY_STRING)
        return -1;
    char *end = NULL;
    *out = strtoull(reply->str, &end, 10);
    return end != reply->str && *end == '\0' ? 0 : -1;
}

int store_hello(struct store *self, const struct id *source, struct store_mark *mark,
                char history[static STORE_HISTORY_BYTES], struct error *err)
{
    assert(self && source && mark);
    char text[ID_TEXT_BYTES];
    id_text(source->bytes, text);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "hello", (const char *[]){ text }, 1, 4, history, err);
    if (!reply)
        return -1;
    struct store_mark found;
    if (read_number(reply->element[1], &found.incarnation) != 0 ||
        read_number(reply->element[2], &found.sequence) != 0 ||
        read_number(reply->element[3], &found.beat) != 0)
        return store_lose(self, err, "the mark of source %s is not made of numbers", text);
    *mark = found;
    return 0;
}

int store_set_mark(struct store *self, const struct id *source, const struct store_mark *mark,
                   const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                   bool *is_stored, struct error *err)
{
    assert(self && source && mark && previous && is_stored);
    char text[ID_TEXT_BYTES], quoted[STORE_HISTORY_BYTES];
    enum { NUMBERS = 6 };
    char numbers[NUMBERS][NUMBER_BYTES];
    const uint64_t values[NUMBERS] = { mark->incarnation,  mark->sequence, previous->incarnation,
                                       previous->sequence, mark->beat,     previous->beat };
    id_text(source->bytes, text);
    (void)snprintf(quoted, sizeof quoted, "%s", history);
    for (size_t i = 0; i < NUMBERS; i++)
        (void)snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
    const char *args[] = { text,       quoted,     numbers[0], numbers[1],
                           numbers[2], numbers[3], numbers[4], numbers[5] };
    AUTO(store_reply_free) redisReply *reply = store_call(self, "mark", args, 8, 2, history, err);
    if (!reply)
        return -1;
    *is_stored = reply->element[1]->type == REDIS_REPLY_INTEGER && reply->element[1]->integer == 1;
    return 0;
}

int store_source_report(struct store *self, const struct id *source, const char *kind,
                        const char *name, bool is_caught_up,
                        char history[static STORE_HISTORY_BYTES], struct error *err)
{
    assert(self && source && kind && name);
    char text[ID_TEXT_BYTES], quoted[STORE_HISTORY_BYTES];
    id_text(source->bytes, text);
    (void)snprintf(quoted, sizeof quoted, "%s", history);
    const char *args[] = { text, quoted, kind, name, is_caught_up ? "1" : "0" };
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "source_report", args, 5, 2, history, err);
    return reply ? 0 : -1;
}

int store_head_put(struct store *self, const struct store_head *head, struct error *err)
{
    assert(self && head);
    char source[ID_TEXT_BYTES], number[NUMBER_BYTES], hash[2 * sizeof head->hash + 1];
    id_text(head->source.bytes, source);
    (void)snprintf(number, sizeof number, "%" PRIu64, head->number);
    crypto_hex(head->hash, sizeof head->hash, hash);
    const char *args[] = { source, number, hash };
    AUTO(store_reply_free) redisReply *reply = store_call(self, "head", args, 3, 2, NULL, err);
    return reply ? 0 : -1;
}

static bool read_head(const redisReply *reply, size_t at, struct store_head *out)
{
    const redisReply *hash = reply->element[at + 2];
    return id_parse(store_text(reply->element[at]), &out->source) == 0 &&
           read_number(reply->element[at + 1], &out->number) == 0 &&
           hash->type == REDIS_REPLY_STRING &&
           crypto_unhex(hash->str, hash->len, out->hash, sizeof out->hash);
}

int store_heads(struct store *self, struct store_head *out, size_t max, size_t *count,
                struct error *err)
{
    assert(self && out && count);
    size_t found = 0;
    AUTO(store_reply_free) redisReply *reply = store_call(self, "heads", NULL, 0, 1, NULL, err);
    if (!reply)
        return -1;
    for (size_t at = 1; at + 2 < reply->elements && found < max; at += 3) {
        if (!read_head(reply, at, &out[found]))
            return store_lose(self, err, "the head of an audit chain is not understood");
        found++;
    }
    *count = found;
    return 0;
}
