#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "journal/record.h"

static const struct record head = {
    .sequence = 0x0102030405060708, .incarnation = 99, .stored_at_ms = 1700000000123, .kind = 513
};

static void a_record_comes_back(void **state)
{
    (void)state;
    uint8_t value[RECORD_HEADER_BYTES + 5];
    assert_int_equal(record_value_bytes(5, false), sizeof value);
    record_encode(&head, "hello", 5, NULL, value);
    struct record got;
    assert_true(record_decode(value, sizeof value, head.sequence, &got));
    assert_int_equal(got.sequence, head.sequence);
    assert_int_equal(got.incarnation, 99);
    assert_int_equal(got.stored_at_ms, 1700000000123);
    assert_int_equal(got.kind, 513);
    assert_false(got.is_sealed);
    assert_int_equal(record_body_bytes(&got), 5);
    uint8_t body[5];
    struct error err = { 0 };
    assert_int_equal(record_open(&got, NULL, body, &err), 0);
    assert_memory_equal(body, "hello", 5);
}

static void every_single_bit_counts(void **state)
{
    (void)state;
    uint8_t value[RECORD_HEADER_BYTES + 5];
    record_encode(&head, "hello", 5, NULL, value);
    struct record got;
    for (size_t bit = 0; bit < sizeof value * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (record_decode(value, sizeof value, head.sequence, &got))
            fail_msg("bit %zu may flip", bit);
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(record_decode(value, sizeof value, head.sequence, &got));
}

static void a_record_belongs_to_its_sequence_and_length(void **state)
{
    (void)state;
    uint8_t value[RECORD_HEADER_BYTES + 5];
    record_encode(&head, "hello", 5, NULL, value);
    struct record got;
    assert_false(record_decode(value, sizeof value, head.sequence + 1, &got));
    for (size_t length = 0; length < sizeof value; length++)
        assert_false(record_decode(value, length, head.sequence, &got));
    assert_false(record_peek(value, RECORD_HEADER_BYTES - 1, &got));
    assert_true(record_peek(value, RECORD_HEADER_BYTES, &got));
}

static void a_claimed_length_is_bounded(void **state)
{
    (void)state;
    uint8_t value[RECORD_HEADER_BYTES + 5];
    record_encode(&head, "hello", 5, NULL, value);
    assert_int_equal(record_claimed_bytes(value, sizeof value, 5), sizeof value);
    assert_int_equal(record_claimed_bytes(value, RECORD_HEADER_BYTES - 1, 5), 0);
    value[35] = 0x7f; /* the length's highest byte */
    assert_int_equal(record_claimed_bytes(value, sizeof value, 5), 0);
}

static void keys_sort_by_number(void **state)
{
    (void)state;
    static const uint64_t rising[] = {
        0, 1, 255, 256, 65535, 65536, UINT64_C(1) << 40, UINT64_MAX
    };
    uint8_t before[RECORD_KEY_BYTES];
    uint8_t key[RECORD_KEY_BYTES];
    record_key(rising[0], before);
    for (size_t i = 1; i < sizeof rising / sizeof rising[0]; i++) {
        record_key(rising[i], key);
        assert_true(memcmp(before, key, sizeof key) < 0);
        assert_int_equal(record_key_sequence(key), rising[i]);
        memcpy(before, key, sizeof key);
    }
    uint8_t note[NOTE_KEY_BYTES];
    uint32_t index = 0;
    uint16_t kind = 0;
    note_key(7, 300, 2, note);
    note_key_read(note, &index, &kind);
    assert_int_equal(record_key_sequence(note), 7);
    assert_int_equal(index, 300);
    assert_int_equal(kind, 2);
}

static void a_note_comes_back_under_its_own_key_only(void **state)
{
    (void)state;
    uint8_t key[NOTE_KEY_BYTES];
    uint8_t other[NOTE_KEY_BYTES];
    note_key(7, 1, 2, key);
    note_key(7, 1, 3, other);
    uint8_t value[NOTE_HEADER_BYTES + 4];
    note_encode(key, "note", 4, NULL, value);
    uint8_t out[4];
    size_t length = 0;
    struct error err = { 0 };
    assert_int_equal(note_decode(key, value, sizeof value, NULL, out, &length, &err), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(out, "note", 4);
    assert_int_equal(note_decode(other, value, sizeof value, NULL, out, &length, &err), -1);
    for (size_t bit = 0; bit < sizeof value * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(note_decode(key, value, sizeof value, NULL, out, &length, &err), -1);
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < sizeof value; cut++)
        assert_int_equal(note_decode(key, value, cut, NULL, out, &length, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(every_single_bit_counts),
        cmocka_unit_test(a_record_belongs_to_its_sequence_and_length),
        cmocka_unit_test(a_claimed_length_is_bounded),
        cmocka_unit_test(keys_sort_by_number),
        cmocka_unit_test(a_note_comes_back_under_its_own_key_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
