/* Broadcast orders of other programs: what is asked for them, what they are answered, over a real
 * socket and a real Redis. */
#include "desk_api.h"

#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "clock/clock.h"
#include "curve_keys.h"
#include "desk/broadcast_order.h"
#include "desk/order_server.h"
#include "outward/broadcast.h"
#include "store/outbox.h"

enum { TIMEOUT_MS = 20000 };

struct fixture {
    struct desk_api *desk;
    void *context;
    void *socket; /* a DEALER */
    struct order_server *server;
    uint64_t number;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *desk = NULL;
    assert_int_equal(desk_api_new(&desk), 0);
    f->desk = desk;
    f->context = zmq_ctx_new();
    struct error err = { 0 };
    const struct order_server_options options = { .endpoint = "tcp://127.0.0.1:0",
                                                  .context = f->context,
                                                  .asker = { dispatch_order, f->desk->dispatch },
                                                  .metrics = f->desk->metrics };
    f->server = order_server_start(&options, &err);
    if (!f->server)
        fail_msg("%s", err.text);
    f->socket = zmq_socket(f->context, ZMQ_DEALER);
    const int timeout_ms = TIMEOUT_MS, linger_ms = 0;
    assert_int_equal(zmq_setsockopt(f->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms), 0);
    assert_int_equal(zmq_setsockopt(f->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms), 0);
    assert_int_equal(zmq_connect(f->socket, order_server_endpoint(f->server)), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    void *desk = f->desk;
    (void)zmq_close(f->socket);
    order_server_destroy(&f->server);
    (void)zmq_ctx_term(f->context);
    free(f);
    return desk_api_free(&desk);
}

static int empty(void **state)
{
    struct fixture *f = *state;
    void *desk = f->desk;
    return desk_api_empty(&desk);
}

static Desg__V1__BroadcastAnswer *receive(struct fixture *f)
{
    uint8_t bytes[8192];
    int length = zmq_recv(f->socket, bytes, sizeof bytes, 0);
    if (length < 0)
        fail_msg("no answer: %s", zmq_strerror(zmq_errno()));
    Desg__V1__BroadcastAnswer *answer =
        desg__v1__broadcast_answer__unpack(NULL, (size_t)length, bytes);
    assert_non_null(answer);
    return answer;
}

static void send_order(struct fixture *f, const Desg__V1__BroadcastOrder *order)
{
    size_t length = desg__v1__broadcast_order__get_packed_size(order);
    uint8_t *bytes = malloc(length + 1);
    (void)desg__v1__broadcast_order__pack(order, bytes);
    assert_int_equal(zmq_send(f->socket, bytes, length, 0), (int)length);
    free(bytes);
}

/* Fills in number, token and (unless there is one) key; the answer is the caller's. */
static Desg__V1__BroadcastAnswer *ask(struct fixture *f, const char *agent,
                                      Desg__V1__BroadcastOrder *order)
{
    char token[64], key[32];
    order->number = ++f->number;
    desk_api_token(agent, token);
    (void)snprintf(key, sizeof key, "order-%08u", (unsigned)f->number);
    order->token = token;
    bool has_key = order->key[0] != '\0';
    if (!has_key)
        order->key = key;
    send_order(f, order);
    if (!has_key)
        order->key = (char *)protobuf_c_empty_string;
    Desg__V1__BroadcastAnswer *answer = receive(f);
    assert_true(answer->number == f->number);
    return answer;
}

/* The status; with the broadcast's id where there is one. */
static unsigned ask_status(struct fixture *f, const char *agent, Desg__V1__BroadcastOrder *order,
                           struct id *id)
{
    Desg__V1__BroadcastAnswer *answer = ask(f, agent, order);
    unsigned status = answer->status;
    if (status != 200)
        assert_true(answer->problem[0] != '\0');
    if (id && answer->id.len == ID_BYTES)
        memcpy(id->bytes, answer->id.data, ID_BYTES);
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
    return status;
}

static Desg__V1__Broadcast *closure(void)
{
    struct error err = { 0 };
    json_t *value = desk_api_closure();
    Desg__V1__Broadcast *broadcast = broadcast_from_json(value, &err);
    json_decref(value);
    assert_non_null(broadcast);
    return broadcast;
}

static Desg__V1__BroadcastOrder order_of(Desg__V1__BroadcastOrder__WhatCase what, struct id *id)
{
    Desg__V1__BroadcastOrder order = DESG__V1__BROADCAST_ORDER__INIT;
    order.what_case = what;
    order.version = 1;
    if (id)
        order.approve = (ProtobufCBinaryData){ ID_BYTES, id->bytes }; /* one place for all five */
    return order;
}

static struct id draft(struct fixture *f, const char *agent)
{
    struct id id = { { 0 } };
    Desg__V1__Broadcast *broadcast = closure();
    Desg__V1__BroadcastOrder order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_DRAFT, NULL);
    order.draft = broadcast;
    assert_int_equal(ask_status(f, agent, &order, &id), 200);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
    return id;
}

static void a_program_drafts_and_people_or_programs_go_on(void **state)
{
    struct fixture *f = *state;
    struct id id = draft(f, "nia");
    Desg__V1__BroadcastOrder order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_APPROVE, &id);
    assert_int_equal(ask_status(f, "nia", &order, NULL), 409); /* its author */
    assert_int_equal(ask_status(f, "owen", &order, NULL), 200);
    order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_PUBLISH, &id);
    Desg__V1__BroadcastAnswer *answer = ask(f, "nia", &order);
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->state, DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED);
    assert_int_equal(answer->version, 1);
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
    Desg__V1__Broadcast *second = closure();
    second->id = (ProtobufCBinaryData){ ID_BYTES, malloc(ID_BYTES) };
    memcpy(second->id.data, id.bytes, ID_BYTES);
    order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_UPDATE, NULL);
    order.update = second;
    answer = ask(f, "nia", &order);
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->version, 2);
    assert_memory_equal(answer->id.data, id.bytes, ID_BYTES);
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
    desg__v1__broadcast__free_unpacked(second, NULL);
    order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_CANCEL, &id);
    assert_int_equal(ask_status(f, "nia", &order, NULL), 422); /* no reason */
    order.reason = (char *)"another road";
    assert_int_equal(ask_status(f, "nia", &order, NULL), 200);
    order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_SHOW, &id);
    answer = ask(f, "mair", &order);
    assert_int_equal(answer->state, DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED);
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
}

static void tokens_roles_and_keys_are_those_of_the_api(void **state)
{
    struct fixture *f = *state;
    struct id id = draft(f, "nia");
    Desg__V1__BroadcastOrder order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_APPROVE, &id);
    assert_int_equal(ask_status(f, "nobody", &order, NULL), 401);
    assert_int_equal(ask_status(f, "mair", &order, NULL), 403);
    order.key = (char *)"short";
    assert_int_equal(ask_status(f, "owen", &order, NULL), 400);
    order.key = (char *)"key-of-an-approval";
    assert_int_equal(ask_status(f, "owen", &order, NULL), 200);
    assert_int_equal(ask_status(f, "owen", &order, NULL), 200);
    order.version = 2;
    assert_int_equal(ask_status(f, "owen", &order, NULL), 422); /* the key was for another */
    struct id none = { { 7 } };
    order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_SHOW, &none);
    assert_int_equal(ask_status(f, "owen", &order, NULL), 404);
}

static void a_draft_says_all_that_is_wrong_and_loses_nothing_on_the_way(void **state)
{
    struct fixture *f = *state;
    Desg__V1__Broadcast *broadcast = closure();
    Desg__V1__BroadcastOrder order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_DRAFT, NULL);
    order.draft = broadcast;
    int64_t expires_at_ms = broadcast->expires_at_ms;
    broadcast->expires_at_ms = 5;
    Desg__V1__BroadcastAnswer *answer = ask(f, "nia", &order);
    assert_int_equal(answer->status, 422);
    assert_non_null(strstr(answer->problem, "expires_at_ms"));
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
    broadcast->expires_at_ms = expires_at_ms;
    char *road = broadcast->road;
    broadcast->road = (char *)"A\xff";
    assert_int_equal(ask_status(f, "nia", &order, NULL), 422); /* it would have been left out */
    broadcast->road = road;
    Desg__V1__BroadcastKind kind = broadcast->kind;
    broadcast->kind = (Desg__V1__BroadcastKind)99;
    assert_int_equal(ask_status(f, "nia", &order, NULL), 422);
    broadcast->kind = kind;
    char *text = broadcast->en->text;
    broadcast->en->text = malloc(70001);
    memset(broadcast->en->text, 'a', 70000);
    broadcast->en->text[70000] = '\0';
    assert_int_equal(ask_status(f, "nia", &order, NULL), 422);
    free(broadcast->en->text);
    broadcast->en->text = text;
    assert_int_equal(ask_status(f, "nia", &order, NULL), 200);
    desg__v1__broadcast__free_unpacked(broadcast, NULL);
}

static void garbage_is_answered_or_dropped_and_harms_nobody(void **state)
{
    struct fixture *f = *state;
    static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 1, 2, 3 };
    assert_int_equal(zmq_send(f->socket, garbage, sizeof garbage, 0), (int)sizeof garbage);
    Desg__V1__BroadcastAnswer *answer = receive(f);
    assert_int_equal(answer->status, 400);
    desg__v1__broadcast_answer__free_unpacked(answer, NULL);
    for (int i = 0; i < 5; i++) /* framed wrong: no answer */
        assert_true(zmq_send(f->socket, "x", 1, i < 4 ? ZMQ_SNDMORE : 0) == 1);
    Desg__V1__BroadcastOrder nothing = DESG__V1__BROADCAST_ORDER__INIT;
    assert_int_equal(ask_status(f, "nia", &nothing, NULL), 400);
    (void)draft(f, "nia");
}

static void a_req_is_answered_with_its_empty_frame(void **state)
{
    struct fixture *f = *state;
    const int timeout_ms = TIMEOUT_MS, linger_ms = 0;
    void *dealer = f->socket;
    f->socket = zmq_socket(f->context, ZMQ_REQ);
    assert_int_equal(zmq_setsockopt(f->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms), 0);
    assert_int_equal(zmq_setsockopt(f->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms), 0);
    assert_int_equal(zmq_connect(f->socket, order_server_endpoint(f->server)), 0);
    (void)draft(f, "nia");
    (void)zmq_close(f->socket);
    f->socket = dealer;
}

static void off_this_machine_it_needs_curve(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    const struct order_server_options options = { .endpoint = "tcp://*:0",
                                                  .context = f->context,
                                                  .asker = { dispatch_order, f->desk->dispatch },
                                                  .metrics = f->desk->metrics };
    assert_null(order_server_start(&options, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "curve"));
}

/* Whether who shows certificate, or nothing, is answered; what it asks is garbage. */
static bool is_answered(struct fixture *f, struct order_server *server,
                        const struct curve_keys *keys, zcert_t *certificate, int wait_ms)
{
    static const uint8_t garbage[] = { 0xff, 0xff, 0xff };
    return curve_keys_is_answered(keys, f->context, certificate, order_server_endpoint(server),
                                  wait_ms, garbage, sizeof garbage);
}

static void with_curve_an_unknown_key_is_not_heard(void **state)
{
    enum { REFUSED_MS = 500 };
    struct fixture *f = *state;
    struct curve_keys keys = { 0 };
    struct error err = { 0 };
    curve_keys_make(&keys, f->context);
    const struct order_server_options options = { .endpoint = "tcp://127.0.0.1:0",
                                                  .context = f->context,
                                                  .security = keys.security,
                                                  .asker = { dispatch_order, f->desk->dispatch },
                                                  .metrics = f->desk->metrics };
    struct order_server *server = order_server_start(&options, &err);
    if (!server)
        fail_msg("%s", err.text);
    assert_true(is_answered(f, server, &keys, keys.friend, TIMEOUT_MS));
    assert_false(is_answered(f, server, &keys, keys.stranger, REFUSED_MS));
    assert_false(is_answered(f, server, &keys, NULL, REFUSED_MS));
    assert_true(is_answered(f, server, &keys, keys.friend, TIMEOUT_MS));
    order_server_destroy(&server);
    curve_keys_drop(&keys);
}

/* Last: it drains the server. */
static void who_is_stopping_says_so(void **state)
{
    struct fixture *f = *state;
    order_server_drain(f->server);
    struct id id = { { 1 } };
    Desg__V1__BroadcastOrder order = order_of(DESG__V1__BROADCAST_ORDER__WHAT_SHOW, &id);
    assert_int_equal(ask_status(f, "owen", &order, NULL), 503);
    int64_t ends_ms = clock_monotonic_ms() + TIMEOUT_MS;
    while (!order_server_is_drained(f->server))
        assert_true(clock_monotonic_ms() < ends_ms);
}

#define WITH(test) cmocka_unit_test_setup(test, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_program_drafts_and_people_or_programs_go_on),
        WITH(tokens_roles_and_keys_are_those_of_the_api),
        WITH(a_draft_says_all_that_is_wrong_and_loses_nothing_on_the_way),
        WITH(garbage_is_answered_or_dropped_and_harms_nobody),
        WITH(a_req_is_answered_with_its_empty_frame),
        WITH(off_this_machine_it_needs_curve),
        WITH(with_curve_an_unknown_key_is_not_heard),
        WITH(who_is_stopping_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
