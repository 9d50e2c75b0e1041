/* Any bytes as a broadcast order, and as what the API answers to it: every order gets an answer
 * that can be read, with its number. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desk/broadcast_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct api {
    const uint8_t *data;
    size_t size;
};

/* Answers with what came in, so that answers are any bytes, too. */
static void ask(void *arg, const struct http_request *request, struct http_answer *answer)
{
    const struct api *api = arg;
    assert(request->path && request->authorization && strlen(request->body) == request->body_bytes);
    answer->status = api->size % 2 ? 200 : 422;
    answer->body_bytes = api->size;
    answer->body = malloc(api->size + 1);
    assert(answer->body);
    memcpy(answer->body, api->data, api->size);
}

static void check(const Desg__V1__BroadcastOrder *order,
                  const struct broadcast_order_answer *packed)
{
    Desg__V1__BroadcastAnswer *answer =
        desg__v1__broadcast_answer__unpack(NULL, packed->length, packed->bytes);
    assert(answer && answer->number == (order ? order->number : 0) && answer->status >= 200);
    assert(answer->status / 100 == 2 || answer->problem[0] != '\0');
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api api = { data, size };
    const struct broadcast_order_asker asker = { ask, &api };
    struct broadcast_order_answer answer = { 0 };
    Desg__V1__BroadcastOrder *order = desg__v1__broadcast_order__unpack(NULL, size, data);
    broadcast_order_answer(order, &asker, &answer);
    check(order, &answer);
    free(answer.bytes);
    broadcast_order_refuse(order, &answer);
    check(order, &answer);
    free(answer.bytes);
    if (order)
        desg__v1__broadcast_order__free_unpacked(order, NULL);
    return 0;
}
