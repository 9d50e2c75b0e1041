/* fixture - what the tests of store with a Redis share: one server a program, emptied per test. */
#ifndef DESG_TEST_STORE_FIXTURE_H
#define DESG_TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_server.h"
#include "sample.h"
#include "store/store.h"

#define T0        1790000000000LL /* a morning in 2026, before the tests run */
#define ROUTINE   DESG__V1__SEVERITY__SEVERITY_ROUTINE
#define ATTENTION DESG__V1__SEVERITY__SEVERITY_ATTENTION
#define REVIEW    DESG__V1__SEVERITY__SEVERITY_REVIEW
#define URGENT    DESG__V1__SEVERITY__SEVERITY_URGENT
#define LIFE      DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK

struct fixture {
    struct redis_server *server;
    struct config_redis redis;
    struct store_queues queues;
    struct store *store;
    char history[STORE_HISTORY_BYTES];
};

static inline struct store *open_store(struct fixture *f)
{
    struct error err = { 0 };
    struct store *store = store_new(
        &(struct store_options){
            .redis = &f->redis, .force = "testforce", .queues = &f->queues, .label = "test" },
        &err);
    assert_non_null(store);
    return store;
}

static inline int set_up_server(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = redis_server_new("noeviction", true);
    f->redis.address = (char *)redis_server_address(f->server);
    f->redis.timeout_ms = 2000; /* sanitizers are slow; tests of time-outs set their own */
    *state = f;
    return 0;
}

static inline int tear_down_server(void **state)
{
    struct fixture *f = *state;
    redis_server_destroy(&f->server);
    free(f);
    return 0;
}

static inline int empty(void **state)
{
    struct fixture *f = *state;
    free(redis_server_ask(f->server, "FLUSHALL"));
    f->queues = (struct store_queues){ 0 };
    f->store = open_store(f);
    return 0;
}

static inline int close_store(void **state)
{
    struct fixture *f = *state;
    store_destroy(&f->store);
    return 0;
}

static inline enum store_outcome apply_sample(struct fixture *f, struct sample *sample)
{
    sample_pack(sample);
    struct store_event event = sample_event(sample);
    struct store_result result;
    struct error err = { 0 };
    if (store_apply(f->store, &event, 1, &result, f->history, &err) != 0)
        fail_msg("apply: %s", err.text);
    if (result.outcome == STORE_ERROR)
        fail_msg("refused: %s", result.error);
    return result.outcome;
}

/* A field of the conversation's state, numbers as text. */
static inline void assert_field(struct fixture *f, const struct id *conversation, const char *field,
                                const char *expected)
{
    json_t *state = NULL;
    struct error err = { 0 };
    if (store_conversation(f->store, conversation, &state, &err) != 0)
        fail_msg("conversation: %s", err.text);
    json_t *value = json_object_get(state, field);
    char number[32] = "";
    if (json_is_number(value))
        (void)snprintf(number, sizeof number, "%.0f", json_number_value(value));
    assert_string_equal(json_is_string(value) ? json_string_value(value) : number, expected);
    json_decref(state);
}

static inline bool waits_in(struct fixture *f, const char *queue, const struct id *conversation)
{
    char id[ID_TEXT_BYTES];
    id_text(conversation->bytes, id);
    char *score = redis_server_ask(f->server, "ZSCORE desg:{testforce}:queue:%s %s", queue, id);
    bool is_there = score[0] != '\0';
    free(score);
    return is_there;
}

static inline long long alerts_in_stream(struct fixture *f)
{
    return redis_server_number(f->server, "XLEN desg:{testforce}:alerts");
}

#endif
