/* What the projector puts aside: functions/aside.lua. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

enum { NUMBER_BYTES = 24 };

static void number_text(char out[static NUMBER_BYTES], uint64_t number)
{
    (void)snprintf(out, NUMBER_BYTES, "%" PRIu64, number);
}

int store_aside_put(struct store *self, const struct id *source, const struct store_aside *aside,
                    struct error *err)
{
    char text[ID_TEXT_BYTES], sequence[NUMBER_BYTES];
    assert(self && source && aside);
    id_text(source->bytes, text);
    number_text(sequence, aside->sequence);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "aside", (const char *[]){ text, sequence, aside->why }, 3, 2, NULL, err);
    return reply ? 0 : -1;
}

int store_aside_clear(struct store *self, const struct id *source, uint64_t first, uint64_t last,
                      struct error *err)
{
    char text[ID_TEXT_BYTES], from[NUMBER_BYTES], to[NUMBER_BYTES];
    assert(self && source && first <= last);
    id_text(source->bytes, text);
    number_text(from, first);
    number_text(to, last);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "aside_clear", (const char *[]){ text, from, to }, 3, 2, NULL, err);
    return reply ? 0 : -1;
}

int store_asides(struct store *self, const struct id *source, uint64_t first,
                 struct store_aside *out, size_t max, size_t *count, uint64_t *total,
                 struct error *err)
{
    char text[ID_TEXT_BYTES], from[NUMBER_BYTES], limit[NUMBER_BYTES];
    assert(self && source && out && count && total);
    id_text(source->bytes, text);
    number_text(from, first);
    number_text(limit, max);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "asides", (const char *[]){ text, from, limit }, 3, 2, NULL, err);
    if (!reply)
        return -1;
    if (reply->element[1]->type != REDIS_REPLY_INTEGER)
        return store_lose(self, err, "function asides answered no number");
    size_t found = 0;
    for (size_t i = 2; i + 1 < reply->elements && found < max; i += 2) {
        out[found].sequence = strtoull(store_text(reply->element[i]), NULL, 10);
        (void)snprintf(out[found].why, sizeof out[found].why, "%s",
                       store_text(reply->element[i + 1]));
        found++;
    }
    *count = found;
    *total = (uint64_t)reply->element[1]->integer;
    return 0;
}
