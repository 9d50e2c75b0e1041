/* What waits in conversations, for the desk to see which are near-copies of one event. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/call.h"
#include "store/internal.h"
#include "unpack/unpack.h"

/* PER_CALL: so that no call keeps others waiting for long. */
enum { PER_CALL = 250, WORDS = 3 };

static void drop_verdict(Desg__V1__Verdict **verdict_p)
{
    desg__v1__verdict__free_unpacked(*verdict_p, NULL);
}

/* The event's id, moment and verdict. One whose verdict cannot be read has no sketch. */
static int read_event(redisReply *const *words, struct store_waiting *out)
{
    if (id_parse(store_text(words[0]), &out->event) != 0 || words[1]->type != REDIS_REPLY_INTEGER ||
        words[2]->type != REDIS_REPLY_STRING)
        return -1;
    out->at_ms = words[1]->integer;
    AUTO(drop_verdict)
    Desg__V1__Verdict *verdict =
        unpack_or_end(&desg__v1__verdict__descriptor, words[2]->str, words[2]->len);
    if (verdict && verdict->sketch.len > 0 && verdict->sketch.len <= sizeof out->sketch) {
        out->sketch_length = verdict->sketch.len;
        memcpy(out->sketch, verdict->sketch.data, verdict->sketch.len);
    }
    return 0;
}

static int read_conversation(const redisReply *reply, size_t conversation,
                             struct store_waiting *list, size_t *count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % WORDS != 0 ||
        reply->elements / WORDS > STORE_WAITING_FEW)
        return -1;
    for (size_t at = 0; at < reply->elements; at += WORDS) {
        list[*count] = (struct store_waiting){ .conversation = conversation };
        if (read_event(reply->element + at, &list[*count]) != 0)
            return -1;
        *count += 1;
    }
    return 0;
}

static int ask_some(struct store *self, const struct id *conversations, size_t first, size_t last,
                    struct store_waiting *list, size_t *count, struct error *err)
{
    AUTO(call_free) struct call *call = call_new(self, "waiting");
    for (size_t i = first; i < last; i++) {
        char text[ID_TEXT_BYTES];
        id_text(conversations[i].bytes, text);
        call_text(call, text);
    }
    AUTO(store_reply_free)
    redisReply *reply = call_send(self, call, 1 + last - first, NULL, err);
    if (!reply)
        return -1;
    for (size_t i = first; i < last; i++)
        if (read_conversation(reply->element[1 + i - first], i, list, count) != 0)
            return store_lose(self, err, "a function's answer names no events");
    return 0;
}

int store_waiting(struct store *self, const struct id *conversations, size_t count,
                  struct store_waiting **out, size_t *out_count, struct error *err)
{
    assert(self && (conversations || count == 0) && out && out_count);
    struct store_waiting *list = calloc(count * STORE_WAITING_FEW + 1, sizeof *list);
    size_t found = 0;
    if (!list)
        return error_set(err, ERROR_SYSTEM, "no memory for what waits");
    for (size_t first = 0; first < count; first += PER_CALL) {
        size_t last = count - first > PER_CALL ? first + PER_CALL : count;
        if (ask_some(self, conversations, first, last, list, &found, err) != 0) {
            free(list);
            return -1;
        }
    }
    *out = list;
    *out_count = found;
    return 0;
}
