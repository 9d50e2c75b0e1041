/* The hop protocol between two links, and between a link and somebody who does not keep to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock/clock.h"
#include "node.h"

enum { SOON_MS = 30000, FOUND_OUT_MS = 2500 };

/* ---- conditions to wait for ---- */

static bool has_packet(void *arg)
{
    return ((struct node *)arg)->packet_count > 0;
}

static bool has_three_items(void *arg)
{
    return ((struct node *)arg)->item_count >= 3;
}

static bool has_two_ups(void *arg)
{
    return ((struct node *)arg)->up_count >= 2;
}

static bool has_down(void *arg)
{
    return ((struct node *)arg)->down_count > 0;
}

static void bring_up(struct fixture *f, struct node *bound, struct node *caller)
{
    node_init(bound, 1);
    node_init(caller, 2);
    node_bind(bound, f, f->endpoint, 5);
    node_connect(caller, f, f->endpoint, 64);
    assert_true(run_until(f->loop, node_is_up, bound, SOON_MS));
    assert_true(run_until(f->loop, node_is_up, caller, SOON_MS));
}

static void send_or_fail(struct node *node, size_t count, size_t event_bytes)
{
    struct error err = { 0 };
    if (node_send_batch(node, count, event_bytes, &err) != 0)
        fail_msg("%s", err.text);
}

/* A DEALER that has said Ready to bound and read the answer. */
static void *raw_peer(struct fixture *f, struct node *bound, uint8_t seed)
{
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    raw_say_ready(raw, seed, 9);
    assert_true(run_until(f->loop, node_is_up, bound, SOON_MS));
    Desg__V1__Packet *answer = raw_receive(raw, f->loop, SOON_MS);
    assert_non_null(answer);
    assert_int_equal(answer->kind_case, DESG__V1__PACKET__KIND_READY);
    desg__v1__packet__free_unpacked(answer, NULL);
    return raw;
}

static void raw_ping(void *raw)
{
    Desg__V1__Ping ping = DESG__V1__PING__INIT;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_PING;
    packet.ping = &ping;
    raw_send(raw, &packet);
}

/* ---- tests ---- */

static void both_ends_learn_who_is_there_and_its_credit(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    assert_int_equal(bound.peer_credit_seen, 64);
    assert_int_equal(caller.peer_credit_seen, 5);
    assert_int_equal(link_credit(bound.link, bound.peer), 64);
    assert_int_equal(link_credit(bound.link, bound.peer + 1), 0); /* nobody */
    assert_int_equal(bound.up_count, 1);
    assert_int_equal(caller.up_count, 1);
    node_clear(&caller);
    node_clear(&bound);
}

static void a_batch_takes_credit_until_its_answer(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    caller.is_answering = true;
    bound.returns_credit = false;
    send_or_fail(&bound, 3, 600);
    assert_int_equal(link_credit(bound.link, bound.peer), 61);
    assert_true(run_until(f->loop, has_three_items, &bound, SOON_MS));
    assert_int_equal(caller.item_count, 3);
    assert_int_equal(caller.event_bytes, 600);
    assert_int_equal(caller.event_first, 0x5a);
    assert_int_equal(bound.kind, DESG__V1__PACKET__KIND_DONE);
    link_credit_return(bound.link, bound.peer, 2);
    assert_int_equal(link_credit(bound.link, bound.peer), 63);
    link_credit_return(bound.link, bound.peer, 500); /* never more than was granted */
    assert_int_equal(link_credit(bound.link, bound.peer), 64);
    node_clear(&caller);
    node_clear(&bound);
}

static void credit_never_goes_below_nothing(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    send_or_fail(&caller, 9, 10); /* 5 were granted */
    assert_int_equal(link_credit(caller.link, caller.peer), 0);
    link_credit_return(caller.link, caller.peer, 4);
    assert_int_equal(link_credit(caller.link, caller.peer), 0);
    link_credit_return(caller.link, caller.peer, 1);
    assert_int_equal(link_credit(caller.link, caller.peer), 1);
    node_clear(&caller);
    node_clear(&bound);
}

static void the_largest_batches_pass(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    send_or_fail(&bound, LINK_BATCH_MAX_ITEMS, LINK_BATCH_MAX_BYTES / LINK_BATCH_MAX_ITEMS);
    send_or_fail(&bound, 1, LINK_FRAME_MAX_BYTES - 1000);
    send_or_fail(&bound, 3, 1);
    for (int i = 0; i < 3; i++) {
        assert_true(run_until(f->loop, has_packet, &caller, SOON_MS));
        if (caller.item_count >= LINK_BATCH_MAX_ITEMS + 4)
            break;
        caller.packet_count = 0;
    }
    assert_int_equal(caller.item_count, LINK_BATCH_MAX_ITEMS + 4);
    node_clear(&caller);
    node_clear(&bound);
}

static void a_frame_over_the_limit_is_refused_by_its_sender(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    bring_up(f, &bound, &caller);
    assert_int_equal(node_send_batch(&bound, 1, LINK_FRAME_MAX_BYTES, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(link_credit(bound.link, bound.peer), 64);
    send_or_fail(&bound, 1, 10); /* the connection is none the worse */
    assert_true(run_until(f->loop, has_packet, &caller, SOON_MS));
    node_clear(&caller);
    node_clear(&bound);
}

static void an_oversize_frame_costs_only_its_own_connection(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    raw_say_ready(raw, 9, 1);
    assert_true(run_until(f->loop, has_two_ups, &bound, SOON_MS));
    uint8_t *huge = calloc(1, LINK_FRAME_MAX_BYTES + 1);
    assert_non_null(huge);
    assert_true(zmq_send(raw, huge, LINK_FRAME_MAX_BYTES + 1, 0) > 0);
    free(huge);
    assert_true(run_until(f->loop, has_down, &bound, SOON_MS));
    assert_int_equal(link_peer_count(bound.link), 1);
    bound.peer = 0;
    send_or_fail(&caller, 1, 10);
    assert_true(run_until(f->loop, has_packet, &bound, SOON_MS));
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&caller);
    node_clear(&bound);
}

enum { MANY = 60 };

struct crowd {
    struct node bound;
    struct node callers[MANY];
};

static bool crowd_is_up(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < MANY; i++)
        if (!node_is_up(&crowd->callers[i]))
            return false;
    return link_peer_count(crowd->bound.link) == MANY;
}

static bool crowd_is_answered(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < MANY; i++)
        if (crowd->callers[i].item_count != (size_t)i + 1)
            return false;
    return true;
}

static void many_peers_get_their_own_answers(void **state)
{
    struct fixture *f = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    node_init(&crowd->bound, 1);
    crowd->bound.is_answering = true;
    node_bind(&crowd->bound, f, f->endpoint, 256);
    for (int i = 0; i < MANY; i++) {
        node_init(&crowd->callers[i], 100 + (uint32_t)i);
        node_connect(&crowd->callers[i], f, f->endpoint, 8);
    }
    assert_true(run_until(f->loop, crowd_is_up, crowd, 2 * SOON_MS));
    for (int i = 0; i < MANY; i++)
        send_or_fail(&crowd->callers[i], (size_t)i + 1, 100);
    assert_true(run_until(f->loop, crowd_is_answered, crowd, SOON_MS));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(link_credit(crowd->callers[i].link, crowd->callers[i].peer), 256);
        node_clear(&crowd->callers[i]);
    }
    assert_true(run_until(f->loop, node_is_alone, &crowd->bound, SOON_MS));
    assert_int_equal(crowd->bound.down_count, MANY);
    node_clear(&crowd->bound);
    free(crowd);
}

static void a_second_connection_of_one_instance_replaces_the_first(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *first = raw_peer(f, &bound, 7);
    link_peer before = bound.peer;
    void *second = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(second, f->endpoint), 0);
    raw_say_ready(second, 7, 9);
    assert_true(run_until(f->loop, has_two_ups, &bound, SOON_MS));
    assert_int_equal(bound.down_count, 1);
    assert_int_equal(link_peer_count(bound.link), 1);
    assert_true(bound.peer != before);
    struct error err = { 0 };
    bound.peer = before;
    assert_int_equal(node_send_batch(&bound, 1, 1, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(zmq_close(first), 0);
    assert_int_equal(zmq_close(second), 0);
    node_clear(&bound);
}

static void a_stranger_is_told_so_and_its_packets_are_not_handed_on(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    Desg__V1__Hello hello = DESG__V1__HELLO__INIT;
    Desg__V1__Packet said = link_packet_hello(&hello);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            raw_ping(raw);
        else
            raw_send(raw, &said);
        Desg__V1__Packet *answer = raw_receive(raw, f->loop, SOON_MS);
        assert_non_null(answer);
        assert_int_equal(answer->kind_case, DESG__V1__PACKET__KIND_PING);
        assert_true(answer->ping->is_stranger);
        desg__v1__packet__free_unpacked(answer, NULL);
    }
    assert_int_equal(bound.packet_count, 0);
    assert_int_equal(node_refused(&bound, "stranger"), 1); /* a Ping asks for nothing */
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

struct fake_listener {
    void *router;
    uint8_t route[5];
    int ready_count;
};

static bool heard_ready(void *arg)
{
    struct fake_listener *fake = arg;
    if (zmq_recv(fake->router, fake->route, sizeof fake->route, ZMQ_DONTWAIT) < 0)
        return false;
    zmq_msg_t frame;
    (void)zmq_msg_init(&frame);
    assert_true(zmq_msg_recv(&frame, fake->router, 0) >= 0);
    Desg__V1__Packet *packet =
        desg__v1__packet__unpack(NULL, zmq_msg_size(&frame), zmq_msg_data(&frame));
    (void)zmq_msg_close(&frame);
    assert_non_null(packet);
    bool is_ready = packet->kind_case == DESG__V1__PACKET__KIND_READY;
    fake->ready_count += is_ready ? 1 : 0;
    desg__v1__packet__free_unpacked(packet, NULL);
    return is_ready;
}

static void fake_answer(struct fake_listener *fake, uint8_t seed)
{
    assert_int_equal(zmq_send(fake->router, fake->route, sizeof fake->route, ZMQ_SNDMORE), 5);
    raw_say_ready(fake->router, seed, 3);
}

static void ready_is_said_until_it_is_answered_and_anew_when_told_stranger(void **state)
{
    struct fixture *f = *state;
    struct fake_listener fake = { .router = raw_socket(f->context, ZMQ_ROUTER) };
    struct node caller;
    assert_int_equal(zmq_bind(fake.router, f->endpoint), 0);
    node_init(&caller, 2);
    node_connect(&caller, f, f->endpoint, 8);
    for (int i = 0; i < 2; i++) /* unanswered: it comes again */
        assert_true(run_until(f->loop, heard_ready, &fake, SOON_MS));
    assert_int_equal(caller.up_count, 0);
    fake_answer(&fake, 3);
    fake_answer(&fake, 3); /* once for each */
    assert_true(run_until(f->loop, node_is_up, &caller, SOON_MS));

    Desg__V1__Ping ping = DESG__V1__PING__INIT;
    ping.is_stranger = true;
    Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
    packet.kind_case = DESG__V1__PACKET__KIND_PING;
    packet.ping = &ping;
    assert_int_equal(zmq_send(fake.router, fake.route, sizeof fake.route, ZMQ_SNDMORE), 5);
    raw_send(fake.router, &packet);
    assert_true(run_until(f->loop, heard_ready, &fake, SOON_MS));
    assert_int_equal(caller.up_count, 1);
    assert_int_equal(caller.down_count, 1); /* what we held there is forgotten */
    assert_int_equal(fake.ready_count, 3);
    assert_int_equal(zmq_close(fake.router), 0);
    node_clear(&caller);
}

static void a_peer_that_begins_anew_goes_down_first(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_peer(f, &bound, 7);
    raw_say_ready(raw, 7, 9); /* our answer was slow: nothing new */
    raw_say_ready(raw, 7, 4); /* its credit has changed: the same peer */
    assert_true(run_until(f->loop, has_two_ups, &bound, SOON_MS));
    assert_int_equal(bound.peer_credit_seen, 4);
    assert_int_equal(bound.down_count, 0);
    link_peer before = bound.peer;
    send_or_fail(&bound, 2, 10);
    assert_int_equal(link_credit(bound.link, before), 2);
    raw_ping(raw);
    raw_say_ready(raw, 7, 4); /* it had given us up */
    assert_true(run_until(f->loop, has_down, &bound, SOON_MS));
    assert_true(bound.peer != before);
    assert_int_equal(link_credit(bound.link, bound.peer), 4);
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static void drain_ends_credit_and_explains_the_end(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    caller.is_answering = true;
    link_drain(caller.link, "stopping");
    link_drain(caller.link, "stopping"); /* said once */
    assert_true(run_until(f->loop, has_packet, &bound, SOON_MS));
    assert_int_equal(bound.kind, DESG__V1__PACKET__KIND_DRAIN);
    assert_int_equal(bound.packet_count, 1);
    assert_int_equal(link_credit(bound.link, bound.peer), 0);
    send_or_fail(&bound, 3, 10); /* what it holds it finishes */
    assert_true(run_until(f->loop, has_three_items, &bound, SOON_MS));
    node_stop(&caller);
    assert_true(run_until(f->loop, node_is_alone, &bound, SOON_MS));
    assert_int_equal(bound.drain_count, 1);
    node_clear(&caller);
    node_clear(&bound);
}

static void a_newcomer_to_a_draining_link_gets_no_credit(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    node_init(&bound, 1);
    node_init(&caller, 2);
    node_bind(&bound, f, f->endpoint, 5);
    link_drain(bound.link, "stopping");
    node_connect(&caller, f, f->endpoint, 64);
    assert_true(run_until(f->loop, has_packet, &caller, SOON_MS));
    assert_int_equal(caller.kind, DESG__V1__PACKET__KIND_DRAIN);
    assert_int_equal(caller.peer_credit_seen, 0);
    node_stop(&bound);
    assert_true(run_until(f->loop, node_is_alone, &caller, SOON_MS));
    assert_int_equal(caller.drain_count, 1);
    node_clear(&caller);
    node_clear(&bound);
}

static void an_end_without_drain_is_told_apart(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    node_stop(&caller);
    int64_t start_ms = clock_monotonic_ms();
    assert_true(run_until(f->loop, node_is_alone, &bound, SOON_MS));
    assert_true(clock_monotonic_ms() - start_ms < FOUND_OUT_MS); /* not waited for: silent is 3 s */
    assert_int_equal(bound.drain_count, 0);
    assert_int_equal(bound.down_count, 1);
    node_clear(&caller);
    node_clear(&bound);
}

static void a_restarted_listener_is_found_again(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    link_peer before = caller.peer;
    node_stop(&bound);
    assert_true(run_until(f->loop, node_is_alone, &caller, SOON_MS));
    struct error err = { 0 };
    assert_int_equal(node_send_batch(&caller, 1, 1, &err), -1);
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    bound.instance.bytes[9] = 1; /* another process */
    node_bind(&bound, f, f->endpoint, 6);
    assert_true(run_until(f->loop, node_is_up, &caller, SOON_MS));
    assert_true(caller.peer != before);
    assert_int_equal(link_credit(caller.link, caller.peer), 6);
    assert_int_equal(caller.down_count, 1);
    assert_true(node_counter(&caller, "desg_link_reconnects_total") > 0);
    node_clear(&caller);
    node_clear(&bound);
}

static void rubbish_is_counted_and_harms_nobody(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_peer(f, &bound, 7);
    static const uint8_t unknown_kind[] = { 0xfa, 0x06, 0x01, 0x41 }; /* field 111 */
    assert_int_equal(zmq_send(raw, unknown_kind, sizeof unknown_kind, 0), sizeof unknown_kind);
    assert_int_equal(zmq_send(raw, "", 0, 0), 0); /* a Packet without a kind */
    assert_int_equal(zmq_send(raw, "not protobuf", 12, 0), 12);
    assert_int_equal(zmq_send(raw, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw, "b", 1, 0), 1);
    Desg__V1__Hello hello = DESG__V1__HELLO__INIT;
    Desg__V1__Packet said = link_packet_hello(&hello); /* its source is empty: services check */
    raw_send(raw, &said);
    assert_true(run_until(f->loop, has_packet, &bound, SOON_MS));
    assert_int_equal(bound.kind, DESG__V1__PACKET__KIND_HELLO);
    assert_int_equal(node_refused(&bound, "unknown_kind"), 2);
    assert_int_equal(node_refused(&bound, "undecodable"), 1);
    assert_int_equal(node_refused(&bound, "shape"), 1);
    assert_int_equal(bound.down_count, 0);
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static bool has_refused_two_shapes(void *arg)
{
    return node_refused(arg, "shape") >= 2;
}

static void a_peer_that_chose_its_routing_id_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(raw, ZMQ_ROUTING_ID, "worker-1", 8), 0);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    raw_say_ready(raw, 1, 1);
    raw_ping(raw);
    assert_true(run_until(f->loop, has_refused_two_shapes, &bound, SOON_MS));
    assert_int_equal(bound.up_count, 0);
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static bool has_refused_four_readies(void *arg)
{
    return node_refused(arg, "ready") >= 4;
}

static void a_ready_without_what_it_must_hold_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    void *raw = raw_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, f->endpoint), 0);
    uint8_t instance[ID_BYTES + 1] = { 1 };
    char long_name[200] = { 0 };
    memset(long_name, 'n', sizeof long_name - 1);
    for (int i = 0; i < 4; i++) {
        Desg__V1__Ready ready = DESG__V1__READY__INIT;
        ready.protocol = i == 0 ? 0 : 1;
        ready.instance = (ProtobufCBinaryData){ i == 1 ? ID_BYTES + 1 : ID_BYTES, instance };
        ready.name = i == 2 ? long_name : (char *)"raw";
        ready.service = (char *)(i == 3 ? "a\nb" : "raw");
        Desg__V1__Packet packet = DESG__V1__PACKET__INIT;
        packet.kind_case = DESG__V1__PACKET__KIND_READY;
        packet.ready = &ready;
        raw_send(raw, &packet);
    }
    assert_true(run_until(f->loop, has_refused_four_readies, &bound, SOON_MS));
    assert_int_equal(bound.up_count, 0);
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static void status_tells_who_is_there(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    bring_up(f, &bound, &caller);
    send_or_fail(&bound, 4, 10);
    json_t *peers = link_describe(bound.link);
    assert_int_equal(json_array_size(peers), 1);
    json_t *entry = json_array_get(peers, 0);
    assert_string_equal(json_string_value(json_object_get(entry, "service")), "test");
    assert_string_equal(json_string_value(json_object_get(entry, "state")), "up");
    assert_int_equal(json_integer_value(json_object_get(entry, "credit")), 60);
    assert_int_equal(json_integer_value(json_object_get(entry, "outstanding")), 4);
    json_decref(peers);
    node_stop(&bound);
    assert_true(run_until(f->loop, node_is_alone, &caller, SOON_MS));
    peers = link_describe(caller.link);
    assert_int_equal(json_array_size(peers), 1);
    entry = json_array_get(peers, 0);
    assert_string_equal(json_string_value(json_object_get(entry, "state")), "connecting");
    assert_string_equal(json_string_value(json_object_get(entry, "name")), f->endpoint);
    json_decref(peers);
    node_clear(&caller);
    node_clear(&bound);
}

static void expect_bind_refused(struct fixture *f, const char *endpoint, const char *word)
{
    struct node node;
    struct error err = { 0 };
    node_init(&node, 3);
    struct link_options options = node_options(&node, f, 1);
    assert_null(link_bind(&options, endpoint, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not say '%s'", err.text, word);
    node_clear(&node);
}

static void what_cannot_be_bound_is_refused_with_a_remedy(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    char path[NODE_PATH_BYTES];
    (void)snprintf(path, sizeof path, "ipc://%s/absent/hop", f->directory);
    expect_bind_refused(f, path, "mkdir");
    expect_bind_refused(f, "tcp://some.host:5601", "numeric");
    expect_bind_refused(f, "tcp://192.0.2.77:0", "cannot bind"); /* not an address of ours */
    expect_bind_refused(f, "udp://127.0.0.1:1", "tcp://");
    node_init(&bound, 1);
    node_bind(&bound, f, f->endpoint, 5);
    expect_bind_refused(f, f->endpoint, "another process");
    node_clear(&bound);
    node_init(&bound, 1);
    node_bind(&bound, f, "tcp://127.0.0.1:*", 5);
    expect_bind_refused(f, link_endpoint(bound.link), "cannot bind");
    node_clear(&bound);
}

static void what_is_no_endpoint_is_not_connected_to(void **state)
{
    struct fixture *f = *state;
    struct node node;
    struct error err = { 0 };
    node_init(&node, 3);
    struct link_options options = node_options(&node, f, 1);
    const char *endpoints[] = { f->endpoint, "tcp://ingest" };
    assert_null(link_connect(&options, endpoints, 2, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "tcp://ingest"));
    node.link = link_connect(&options, NULL, 0, &err); /* nobody to connect to is no mistake */
    assert_non_null(node.link);
    assert_string_equal(link_endpoint(node.link), "");
    node_clear(&node);
}

static void tcp_works_as_well(void **state)
{
    struct fixture *f = *state;
    struct node bound;
    struct node caller;
    node_init(&bound, 1);
    node_init(&caller, 2);
    node_bind(&bound, f, "tcp://127.0.0.1:*", 5);
    node_connect(&caller, f, link_endpoint(bound.link), 64);
    assert_true(run_until(f->loop, node_is_up, &caller, SOON_MS));
    send_or_fail(&caller, 3, 10);
    assert_true(run_until(f->loop, has_three_items, &bound, SOON_MS));
    node_clear(&caller);
    node_clear(&bound);
}

#define LINK_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(both_ends_learn_who_is_there_and_its_credit),
        LINK_TEST(a_batch_takes_credit_until_its_answer),
        LINK_TEST(credit_never_goes_below_nothing),
        LINK_TEST(the_largest_batches_pass),
        LINK_TEST(a_frame_over_the_limit_is_refused_by_its_sender),
        LINK_TEST(an_oversize_frame_costs_only_its_own_connection),
        LINK_TEST(many_peers_get_their_own_answers),
        LINK_TEST(a_second_connection_of_one_instance_replaces_the_first),
        LINK_TEST(a_stranger_is_told_so_and_its_packets_are_not_handed_on),
        LINK_TEST(ready_is_said_until_it_is_answered_and_anew_when_told_stranger),
        LINK_TEST(a_peer_that_begins_anew_goes_down_first),
        LINK_TEST(drain_ends_credit_and_explains_the_end),
        LINK_TEST(a_newcomer_to_a_draining_link_gets_no_credit),
        LINK_TEST(an_end_without_drain_is_told_apart),
        LINK_TEST(a_restarted_listener_is_found_again),
        LINK_TEST(rubbish_is_counted_and_harms_nobody),
        LINK_TEST(a_peer_that_chose_its_routing_id_is_refused),
        LINK_TEST(a_ready_without_what_it_must_hold_is_refused),
        LINK_TEST(status_tells_who_is_there),
        LINK_TEST(what_cannot_be_bound_is_refused_with_a_remedy),
        LINK_TEST(what_is_no_endpoint_is_not_connected_to),
        LINK_TEST(tcp_works_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
