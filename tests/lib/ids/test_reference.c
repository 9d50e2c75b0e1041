#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "ids/reference.h"

static void makes_a_reference_that_can_be_read_out(void **state)
{
    (void)state;
    struct id id = { { 0 } };
    char out[REFERENCE_BYTES];
    reference_write(&id, out);
    assert_string_equal(out, "00000-00000");
    memset(id.bytes, 0xFF, sizeof id.bytes);
    reference_write(&id, out);
    assert_string_equal(out, "ZZZZZ-ZZZZZ");
    /* 00000 00001 00010 00011 00100 00101 00110 00111 01000 01001, and what comes after is not in
     * it */
    static const uint8_t counting[] = { 0x00, 0x44, 0x32, 0x14, 0xC7, 0x42, 0x40 };
    memset(id.bytes, 0, sizeof id.bytes);
    memcpy(id.bytes, counting, sizeof counting);
    reference_write(&id, out);
    assert_string_equal(out, "01234-56789");
    id.bytes[6] |= 0x3F;
    id.bytes[15] = 1;
    reference_write(&id, out);
    assert_string_equal(out, "01234-56789");
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        const struct id id = id_random();
        char text[REFERENCE_BYTES];
        uint64_t bits = 1;
        reference_write(&id, text);
        assert_int_equal(strlen(text), REFERENCE_BYTES - 1);
        assert_int_equal(reference_read(text, &bits), 0);
        assert_true(bits == reference_bits(&id));
        for (char *c = text; *c; c++) /* as a person may write it down */
            *c = *c == '0'   ? 'o'
                 : *c == '1' ? 'L'
                 : *c == '-' ? ' '
                             : (char)tolower((unsigned char)*c);
        bits = 1;
        assert_int_equal(reference_read(text, &bits), 0);
        assert_true(bits == reference_bits(&id));
    }
}

static void what_comes_after_it_in_the_id_is_not_in_it(void **state)
{
    (void)state;
    struct id one = id_random(), other = one;
    other.bytes[6] ^= 0x3F;
    other.bytes[15] ^= 0xFF;
    assert_true(reference_bits(&one) == reference_bits(&other));
    other.bytes[6] ^= 0x40;
    assert_false(reference_bits(&one) == reference_bits(&other));
}

static void what_is_no_reference_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",
                                         "-",
                                         "0000-00000",
                                         "00000-000000",
                                         "U0000-00000",
                                         "0000*-00000",
                                         "4H2KM_9PQ0T",
                                         "\303\2640000-00000" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t bits = 7;
        assert_int_equal(reference_read(wrong[i], &bits), -1);
        assert_true(bits == 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_reference_that_can_be_read_out),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_comes_after_it_in_the_id_is_not_in_it),
        cmocka_unit_test(what_is_no_reference_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
