#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link/peer.h"

static uint8_t instance[ID_BYTES] = { 7 };

static Desg__V1__Ready ready_of(uint32_t credit)
{
    Desg__V1__Ready ready = DESG__V1__READY__INIT;
    ready.instance = (ProtobufCBinaryData){ ID_BYTES, instance };
    ready.credit = credit;
    ready.protocol = 1;
    return ready;
}

static void an_id_is_never_used_again(void **state)
{
    (void)state;
    struct peer_table *table = peer_table_new();
    const Desg__V1__Ready ready = ready_of(1);
    const struct place place = { .route = 1 };
    assert_non_null(table);
    link_peer before = 0;
    for (int i = 0; i < 100; i++) {
        struct peer *peer = peer_table_add(table, &place, &ready);
        assert_non_null(peer);
        assert_true(peer->id != 0 && peer->id != before);
        assert_null(peer_table_find(table, before));
        assert_ptr_equal(peer_table_find(table, peer->id), peer);
        before = peer->id;
        peer_table_remove(table, peer);
        assert_null(peer_table_at(table, &place));
    }
    peer_table_destroy(&table);
}

static void a_full_table_takes_no_more_until_one_leaves(void **state)
{
    (void)state;
    struct peer_table *table = peer_table_new();
    const Desg__V1__Ready ready = ready_of(1);
    assert_non_null(table);
    for (uint64_t i = 1; i <= PEERS_MAX; i++) {
        const struct place place = { .route = i };
        assert_non_null(peer_table_add(table, &place, &ready));
    }
    const struct place one_more = { .route = PEERS_MAX + 1 };
    const struct place middle = { .route = PEERS_MAX / 2 };
    assert_null(peer_table_add(table, &one_more, &ready));
    assert_int_equal(peer_table_count(table), PEERS_MAX);
    peer_table_remove(table, peer_table_at(table, &middle));
    assert_non_null(peer_table_add(table, &one_more, &ready));
    assert_null(peer_table_at(table, &middle));
    peer_table_destroy(&table);
}

static void a_grant_beyond_reason_is_cut(void **state)
{
    (void)state;
    struct peer_table *table = peer_table_new();
    const Desg__V1__Ready ready = ready_of(UINT32_MAX);
    const struct place place = { .route = 1 };
    assert_non_null(table);
    struct peer *peer = peer_table_add(table, &place, &ready);
    assert_non_null(peer);
    assert_int_equal(peer->granted, PEER_CREDIT_MAX);
    assert_true(peer_says_the_same(peer, &ready));
    peer_table_destroy(&table);
}

static void what_a_further_ready_says_is_taken_over(void **state)
{
    (void)state;
    struct peer_table *table = peer_table_new();
    Desg__V1__Ready ready = ready_of(3);
    const struct place place = { .route = 1 };
    char x[] = "x";
    char web[] = "web";
    char *channels[] = { x, web };
    struct id id;
    memcpy(id.bytes, instance, ID_BYTES);
    assert_non_null(table);
    struct peer *peer = peer_table_add(table, &place, &ready);
    assert_non_null(peer);
    assert_ptr_equal(peer_table_instance(table, &id), peer);
    ready.channels = channels;
    ready.n_channels = 2;
    assert_false(peer_says_the_same(peer, &ready));
    assert_true(peer_update(peer, &ready));
    assert_true(peer_says_the_same(peer, &ready));
    assert_string_equal(peer->info.channels[1], "web");
    channels[1] = x;
    assert_false(peer_says_the_same(peer, &ready));
    id.bytes[0]++;
    assert_null(peer_table_instance(table, &id));
    peer_table_destroy(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_never_used_again),
        cmocka_unit_test(a_full_table_takes_no_more_until_one_leaves),
        cmocka_unit_test(a_grant_beyond_reason_is_cut),
        cmocka_unit_test(what_a_further_ready_says_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
