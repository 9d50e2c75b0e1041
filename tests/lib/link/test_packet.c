#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link/link.h"
#include "link/packet.h"

static int setup(void **state)
{
    *state = packet_reader_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct packet_reader *reader = *state;
    packet_reader_destroy(&reader);
    assert_null(reader);
    return 0;
}

/* A batch of count items as a frame. */
static void write_batch(size_t count, size_t event_bytes, zmq_msg_t *frame)
{
    uint8_t *event = calloc(1, event_bytes + 1);
    Desg__V1__Item *items = calloc(count, sizeof *items);
    Desg__V1__Item **pointers = calloc(count, sizeof(Desg__V1__Item *));
    struct error err = { 0 };
    assert_non_null(event);
    assert_non_null(items);
    assert_non_null(pointers);
    for (size_t i = 0; i < count; i++) {
        items[i] = (Desg__V1__Item)DESG__V1__ITEM__INIT;
        items[i].event = (ProtobufCBinaryData){ event_bytes, event };
        pointers[i] = &items[i];
    }
    Desg__V1__Batch batch = DESG__V1__BATCH__INIT;
    batch.n_items = count;
    batch.items = pointers;
    Desg__V1__Packet packet = link_packet_batch(&batch);
    assert_int_equal(packet_write(&packet, frame, &err), 0);
    free(pointers);
    free(items);
    free(event);
}

static void what_is_written_is_read(void **state)
{
    zmq_msg_t frame;
    write_batch(3, 600, &frame);
    const Desg__V1__Packet *packet =
        packet_read(*state, zmq_msg_data(&frame), zmq_msg_size(&frame));
    assert_non_null(packet);
    assert_int_equal(packet->kind_case, DESG__V1__PACKET__KIND_BATCH);
    assert_string_equal(packet_kind(packet), "batch");
    assert_int_equal(packet->batch->n_items, 3);
    assert_int_equal(packet->batch->items[2]->event.len, 600);
    (void)zmq_msg_close(&frame);
}

static void an_empty_frame_is_a_packet_of_no_kind(void **state)
{
    const Desg__V1__Packet *packet = packet_read(*state, NULL, 0);
    assert_non_null(packet);
    assert_int_equal(packet->kind_case, DESG__V1__PACKET__KIND__NOT_SET);
    assert_string_equal(packet_kind(packet), "unknown");
}

static void what_is_no_packet_is_refused(void **state)
{
    static const char *const cases[] = { "rubbish",      "\x0a\x7f", "\x12\x02\x22\x7f",
                                         "\xff\xff\xff", "\x0b",     "\x0a" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_null(packet_read(*state, (const uint8_t *)cases[i], strlen(cases[i])));
}

static void a_frame_over_the_limit_is_not_even_tried(void **state)
{
    uint8_t *frame = calloc(1, LINK_FRAME_MAX_BYTES + 1);
    assert_non_null(frame);
    assert_null(packet_read(*state, frame, LINK_FRAME_MAX_BYTES + 1));
    free(frame);
}

static void memory_is_kept_small_and_given_back(void **state)
{
    zmq_msg_t large;
    zmq_msg_t small;
    write_batch(2, 3 << 20, &large);
    write_batch(256, 1000, &small);
    assert_non_null(packet_read(*state, zmq_msg_data(&large), zmq_msg_size(&large)));
    assert_true(packet_reader_bytes(*state) > (6 << 20));
    assert_non_null(packet_read(*state, zmq_msg_data(&small), zmq_msg_size(&small)));
    assert_true(packet_reader_bytes(*state) < PACKET_ARENA_KEPT_BYTES);
    size_t settled_bytes = 0;
    for (int i = 0; i < 5; i++) { /* the same packet again takes no more */
        assert_non_null(packet_read(*state, zmq_msg_data(&small), zmq_msg_size(&small)));
        if (i > 0)
            assert_int_equal(packet_reader_bytes(*state), settled_bytes);
        settled_bytes = packet_reader_bytes(*state);
    }
    (void)zmq_msg_close(&large);
    (void)zmq_msg_close(&small);
}

static void a_frame_that_would_unpack_to_gigabytes_is_refused(void **state)
{
    enum { ITEMS = 3000000 };
    uint8_t *frame = calloc(1, 16 + 2 * ITEMS);
    assert_non_null(frame);
    /* Packet.batch, length 2 * ITEMS, then empty items (field 4). */
    uint8_t *at = frame;
    *at++ = 0x12;
    for (size_t length = 2 * (size_t)ITEMS; length > 0; length >>= 7)
        *at++ = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    for (size_t i = 0; i < ITEMS; i++) {
        *at++ = 0x22;
        *at++ = 0;
    }
    assert_null(packet_read(*state, frame, (size_t)(at - frame)));
    assert_true(packet_reader_bytes(*state) <= PACKET_ARENA_MAX_BYTES);
    static const uint8_t ping[] = { 0x6a, 0x00 };
    assert_non_null(packet_read(*state, ping, sizeof ping));
    free(frame);
}

static void too_large_a_packet_is_not_written(void **state)
{
    (void)state;
    uint8_t *event = calloc(1, LINK_FRAME_MAX_BYTES);
    assert_non_null(event);
    Desg__V1__Hello hello = DESG__V1__HELLO__INIT;
    hello.source = (ProtobufCBinaryData){ LINK_FRAME_MAX_BYTES, event };
    Desg__V1__Packet packet = link_packet_hello(&hello);
    struct error err = { 0 };
    zmq_msg_t frame;
    assert_int_equal(packet_write(&packet, &frame, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    free(event);
}

static void each_wrapper_sets_its_kind(void **state)
{
    (void)state;
    assert_int_equal(link_packet_batch(NULL).kind_case, DESG__V1__PACKET__KIND_BATCH);
    assert_int_equal(link_packet_seen(NULL).kind_case, DESG__V1__PACKET__KIND_SEEN);
    assert_int_equal(link_packet_done(NULL).kind_case, DESG__V1__PACKET__KIND_DONE);
    assert_int_equal(link_packet_busy(NULL).kind_case, DESG__V1__PACKET__KIND_BUSY);
    assert_int_equal(link_packet_refused(NULL).kind_case, DESG__V1__PACKET__KIND_REFUSED);
    assert_int_equal(link_packet_hello(NULL).kind_case, DESG__V1__PACKET__KIND_HELLO);
    assert_int_equal(link_packet_history(NULL).kind_case, DESG__V1__PACKET__KIND_HISTORY);
    assert_int_equal(link_packet_mark(NULL).kind_case, DESG__V1__PACKET__KIND_MARK);
    assert_int_equal(link_packet_marked(NULL).kind_case, DESG__V1__PACKET__KIND_MARKED);
    assert_int_equal(link_packet_alert_order(NULL).kind_case, DESG__V1__PACKET__KIND_ALERT_ORDER);
    assert_int_equal(link_packet_alerted(NULL).kind_case, DESG__V1__PACKET__KIND_ALERTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_frame_is_a_packet_of_no_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_packet_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_over_the_limit_is_not_even_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_kept_small_and_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_that_would_unpack_to_gigabytes_is_refused, setup,
                                        teardown),
        cmocka_unit_test(too_large_a_packet_is_not_written),
        cmocka_unit_test(each_wrapper_sets_its_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
