#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "route/answers.h"

enum { SENT_MAX = 64 };

/* What was sent, packed and unpacked again: the letters live on the sender's stack. */
struct sent {
    link_peer peers[SENT_MAX];
    Desg__V1__Packet *packets[SENT_MAX];
    size_t count;
};

static void keep(void *arg, link_peer peer, const Desg__V1__Packet *packet)
{
    struct sent *self = arg;
    static uint8_t bytes[1 << 20];
    assert_true(desg__v1__packet__get_packed_size(packet) <= sizeof bytes);
    size_t length = desg__v1__packet__pack(packet, bytes);
    assert_true(self->count < SENT_MAX);
    self->peers[self->count] = peer;
    self->packets[self->count] = desg__v1__packet__unpack(NULL, length, bytes);
    assert_non_null(self->packets[self->count++]);
}

static void clear(struct sent *self)
{
    for (size_t i = 0; i < self->count; i++)
        desg__v1__packet__free_unpacked(self->packets[i], NULL);
    self->count = 0;
}

static struct answer done(link_peer peer, uint8_t source, uint64_t incarnation, uint64_t sequence)
{
    struct answer answer = {
        .to = { .peer = peer, .incarnation = incarnation, .sequence = sequence },
        .kind = ANSWER_DONE,
        .outcome = DESG__V1__DONE_OUTCOME__DONE_OUTCOME_NEW,
        .verdict = (const uint8_t *)"vv",
        .verdict_length = 2
    };
    memset(answer.to.source.bytes, source, ID_BYTES);
    return answer;
}

static void one_packet_per_peer_source_and_incarnation(void **state)
{
    (void)state;
    struct answer answers[] = { done(1, 7, 1, 3), done(2, 7, 1, 9), done(1, 7, 1, 1),
                                done(1, 8, 1, 1), done(1, 7, 2, 1), done(1, 7, 1, 2) };
    struct sent sent = { .count = 0 };
    answers_send(answers, 6, "abc", keep, &sent);
    assert_int_equal(sent.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const Desg__V1__Done *packet = sent.packets[i]->done;
        assert_int_equal(sent.packets[i]->kind_case, DESG__V1__PACKET__KIND_DONE);
        assert_string_equal(packet->history, "abc");
        assert_int_equal(packet->source.len, ID_BYTES);
        if (sent.peers[i] != 1 || packet->source.data[0] != 7 || packet->incarnation != 1)
            continue;
        assert_int_equal(packet->n_items, 3);
        for (size_t n = 0; n < 3; n++) {
            assert_int_equal(packet->items[n]->position->sequence, n + 1);
            assert_int_equal(packet->items[n]->verdict.len, 2);
        }
    }
    clear(&sent);
}

static void kinds_and_reasons_do_not_mix(void **state)
{
    (void)state;
    struct answer answers[5];
    for (size_t i = 0; i < 5; i++)
        answers[i] = done(1, 7, 1, i);
    answers[1].kind = ANSWER_BUSY;
    answers[1].is_alerted = true;
    answers[1].reason = "redis silent";
    answers[2].kind = ANSWER_BUSY;
    answers[2].reason = "queue full";
    answers[3].kind = ANSWER_REFUSED;
    answers[3].reason = "not decodable";
    struct sent sent = { .count = 0 };
    answers_send(answers, 5, "abc", keep, &sent);
    assert_int_equal(sent.count, 4);
    size_t busy = 0, refused = 0;
    for (size_t i = 0; i < 4; i++) {
        const Desg__V1__Packet *packet = sent.packets[i];
        if (packet->kind_case == DESG__V1__PACKET__KIND_BUSY) {
            busy++;
            assert_int_equal(packet->busy->n_items, 1);
            assert_int_equal(packet->busy->items[0]->is_alerted,
                             strcmp(packet->busy->reason, "redis silent") == 0);
        }
        if (packet->kind_case == DESG__V1__PACKET__KIND_REFUSED) {
            refused++;
            assert_int_equal(packet->refused->positions[0]->sequence, 3);
        }
    }
    assert_int_equal(busy, 2);
    assert_int_equal(refused, 1);
    clear(&sent);
}

static void a_packet_holds_at_most_a_batch(void **state)
{
    (void)state;
    enum { COUNT = LINK_BATCH_MAX_ITEMS + 5 };
    static struct answer answers[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        answers[i] = done(1, 7, 1, i);
    struct sent sent = { .count = 0 };
    answers_send(answers, COUNT, "abc", keep, &sent);
    assert_int_equal(sent.count, 2);
    assert_int_equal(sent.packets[0]->done->n_items, LINK_BATCH_MAX_ITEMS);
    assert_int_equal(sent.packets[1]->done->n_items, 5);
    clear(&sent);
    answers_send(answers, 0, "abc", keep, &sent);
    assert_int_equal(sent.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_packet_per_peer_source_and_incarnation),
        cmocka_unit_test(kinds_and_reasons_do_not_mix),
        cmocka_unit_test(a_packet_holds_at_most_a_batch),
    };
    return cmocka_run_group_tests_name("route answers", tests, NULL, NULL);
}
