/* Any JSON as a broadcast: taken or refused; what is taken comes out as it went in, is checked and
 * laid out. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const Desg__V1__Broadcast *broadcast)
{
    struct sample sample;
    struct broadcast_problems problems;
    sample_init(&sample);
    broadcast_check(&sample.config, broadcast, SAMPLE_NOW_MS, &problems);
    assert(problems.count <= BROADCAST_PROBLEMS_MAX);
    json_decref(broadcast_preview(&sample.config, broadcast));
    for (int action = 1; action <= 4; action++) {
        struct broadcast_posts posts;
        struct error err = { 0 };
        if (broadcast_posts(&sample.outlets[1], broadcast, (Desg__V1__BroadcastAction)action,
                            &posts, &err) != 0)
            continue;
        for (size_t i = 0; i < posts.count; i++)
            assert(text_length(posts.posts[i].text, TEXT_X_WEIGHTED) <= 280);
        broadcast_posts_free(&posts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    json_t *value = json_loadb((const char *)data, size, 0, NULL);
    Desg__V1__Broadcast *broadcast = value ? broadcast_from_json(value, &err) : NULL;
    json_decref(value);
    if (!broadcast)
        return 0;
    json_t *one = broadcast_to_json(broadcast);
    Desg__V1__Broadcast *again = broadcast_from_json(one, &err);
    assert(again);
    json_t *two = broadcast_to_json(again);
    assert(json_equal(one, two));
    json_decref(one);
    json_decref(two);
    use(broadcast);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
    desg__v1__broadcast__free_unpacked(again, NULL);
    return 0;
}
