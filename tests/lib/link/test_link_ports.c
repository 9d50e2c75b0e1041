/* Somebody else on the port: what stops libzmq from ever connecting again must not stop a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock/clock.h"
#include "node.h"

enum { SOON_MS = 30000, COMES_UP_MS = 60000 };

struct impostor {
    int listener;
    const char *greeting;
    size_t greeting_bytes;
    atomic_bool is_stopping;
    atomic_int visits;
    pthread_t thread;
    uint16_t port;
};

static void *be_impostor(void *arg)
{
    struct impostor *self = arg;
    while (!atomic_load(&self->is_stopping)) {
        struct pollfd item = { .fd = self->listener, .events = POLLIN };
        if (poll(&item, 1, 20) <= 0)
            continue;
        int caller = accept(self->listener, NULL, NULL);
        char ignored[256];
        if (caller < 0)
            continue;
        atomic_fetch_add(&self->visits, 1);
        (void)!recv(caller, ignored, sizeof ignored, 0);
        (void)send(caller, self->greeting, self->greeting_bytes, MSG_NOSIGNAL);
        struct pollfd end = { .fd = caller, .events = POLLIN };
        for (int i = 0; i < 50 && !atomic_load(&self->is_stopping); i++)
            if (poll(&end, 1, 20) > 0 && recv(caller, ignored, sizeof ignored, 0) <= 0)
                break;
        (void)close(caller);
    }
    return NULL;
}

static void impostor_start(struct impostor *self, const char *greeting, size_t length)
{
    *self = (struct impostor){ .greeting = greeting, .greeting_bytes = length };
    self->listener = bind_to_any(&self->port);
    assert_int_equal(listen(self->listener, 8), 0);
    assert_int_equal(pthread_create(&self->thread, NULL, be_impostor, self), 0);
}

static void impostor_stop(struct impostor *self)
{
    atomic_store(&self->is_stopping, true);
    assert_int_equal(pthread_join(self->thread, NULL), 0);
    assert_int_equal(close(self->listener), 0);
}

static bool was_visited(void *arg)
{
    return atomic_load(&((struct impostor *)arg)->visits) > 0;
}

/* Binds as soon as the port is free again. */
static void bind_again(struct node *bound, struct fixture *f, const char *endpoint)
{
    struct link_options options = node_options(bound, f, 5);
    struct error err = { 0 };
    int64_t until_ms = clock_monotonic_ms() + SOON_MS;
    while (!(bound->link = link_bind(&options, endpoint, &err)) && clock_monotonic_ms() < until_ms)
        run_for(f->loop, 20);
    if (!bound->link)
        fail_msg("%s", err.text);
}

static void expect_recovery(struct fixture *f, const char *greeting, size_t length)
{
    struct impostor impostor;
    struct node caller;
    struct node bound;
    char endpoint[NODE_PATH_BYTES];
    impostor_start(&impostor, greeting, length);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", impostor.port);
    node_init(&caller, 2);
    node_init(&bound, 1);
    node_connect(&caller, f, endpoint, 5);
    assert_true(run_until(f->loop, was_visited, &impostor, SOON_MS));
    run_for(f->loop, 200);
    impostor_stop(&impostor);
    bind_again(&bound, f, endpoint);
    int64_t start_ms = clock_monotonic_ms();
    assert_true(run_until(f->loop, node_is_up, &caller, COMES_UP_MS));
    print_message("up after %lld ms\n", (long long)(clock_monotonic_ms() - start_ms));
    node_clear(&caller);
    node_clear(&bound);
}

static void comes_up_after_a_web_server_left_the_port(void **state)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    expect_recovery(*state, http, sizeof http - 1);
}

static void comes_up_after_garbage_in_the_handshake(void **state)
{
    /* A ZMTP 3.0 greeting that asks for a mechanism nobody has. */
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NOSUCH";
    expect_recovery(*state, greeting, sizeof greeting);
}

static void comes_up_after_garbage_behind_the_handshake(void **state)
{
    /* A good greeting, then no READY command but noise. */
    static const char greeting[80] =
        "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\4\x0a\5NOISE!!!!";
    expect_recovery(*state, greeting, sizeof greeting);
}

static bool has_reconnected(void *arg)
{
    return node_counter(arg, "desg_link_reconnects_total") > 0;
}

static void comes_up_after_a_wrong_kind_of_socket(void **state)
{
    struct fixture *f = *state;
    struct node caller;
    struct node bound;
    char endpoint[NODE_PATH_BYTES];
    uint16_t port = 0;
    void *publisher = raw_socket(f->context, ZMQ_PUB);
    assert_int_equal(close(bind_to_any(&port)), 0);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    assert_int_equal(zmq_bind(publisher, endpoint), 0);
    node_init(&caller, 2);
    node_init(&bound, 1);
    node_connect(&caller, f, endpoint, 5);
    assert_true(run_until(f->loop, has_reconnected, &caller, SOON_MS)); /* it has met it */
    assert_int_equal(zmq_unbind(publisher, endpoint), 0);
    assert_int_equal(zmq_close(publisher), 0);
    bind_again(&bound, f, endpoint);
    assert_true(run_until(f->loop, node_is_up, &caller, COMES_UP_MS));
    node_clear(&caller);
    node_clear(&bound);
}

static bool has_sender(void *arg)
{
    int events = 0;
    size_t size = sizeof events;
    assert_int_equal(zmq_getsockopt(arg, ZMQ_EVENTS, &events, &size), 0);
    return (events & ZMQ_POLLIN) != 0;
}

/* A DEALER that got a frame over its limit never reconnects by itself. */
static void comes_up_after_an_oversize_frame(void **state)
{
    struct fixture *f = *state;
    struct node caller;
    struct node bound;
    uint8_t route[5];
    uint8_t *huge = calloc(1, LINK_FRAME_MAX_BYTES + 1);
    assert_non_null(huge);
    void *router = raw_socket(f->context, ZMQ_ROUTER);
    assert_int_equal(zmq_bind(router, f->endpoint), 0);
    node_init(&caller, 2);
    node_init(&bound, 1);
    node_connect(&caller, f, f->endpoint, 5);
    assert_true(run_until(f->loop, has_sender, router, SOON_MS)); /* its Ready has come */
    assert_int_equal(zmq_recv(router, route, sizeof route, ZMQ_DONTWAIT), sizeof route);
    assert_int_equal(zmq_send(router, route, sizeof route, ZMQ_SNDMORE), sizeof route);
    assert_true(zmq_send(router, huge, LINK_FRAME_MAX_BYTES + 1, 0) > 0);
    free(huge);
    run_for(f->loop, 300);
    assert_int_equal(zmq_unbind(router, f->endpoint), 0);
    assert_int_equal(zmq_close(router), 0);
    bind_again(&bound, f, f->endpoint);
    assert_true(run_until(f->loop, node_is_up, &caller, COMES_UP_MS));
    node_clear(&caller);
    node_clear(&bound);
}

#define LINK_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(comes_up_after_a_web_server_left_the_port),
        LINK_TEST(comes_up_after_garbage_in_the_handshake),
        LINK_TEST(comes_up_after_garbage_behind_the_handshake),
        LINK_TEST(comes_up_after_a_wrong_kind_of_socket),
        LINK_TEST(comes_up_after_an_oversize_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
