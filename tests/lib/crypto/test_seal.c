#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/seal.h"

#define KEY_A "2026-01-01 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define KEY_B "2026-02-01 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"

struct fixture {
    char directory[64];
    char path[96];
};

static int make_folder(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/desg-seal-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(fixture.path, sizeof fixture.path, "%s/keys", fixture.directory);
    *state = &fixture;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    return rmdir(f->directory);
}

static void write_keys(const struct fixture *f, const char *text, mode_t mode)
{
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->path, mode), 0);
}

static struct keyring *load_or_fail(const struct fixture *f, const char *text)
{
    struct error err = { 0 };
    write_keys(f, text, 0600);
    struct keyring *ring = keyring_load(f->path, &err);
    if (!ring)
        fail_msg("%s", err.text);
    return ring;
}

static const uint8_t plain[] = "an invented message of forty-two bytes.....";
enum { PLAIN_BYTES = sizeof plain - 1, SEALED_BYTES = PLAIN_BYTES + SEAL_OVERHEAD_BYTES };

static void opens_what_it_sealed(void **state)
{
    struct keyring *ring = load_or_fail(*state, "# journal keys\n\n" KEY_A);
    struct error err = { 0 };
    for (size_t length = 0; length <= PLAIN_BYTES; length++) {
        uint8_t sealed[SEALED_BYTES];
        uint8_t opened[PLAIN_BYTES + 1];
        keyring_seal(ring, "seq 7", 5, plain, length, sealed);
        assert_int_equal(
            keyring_open(ring, "seq 7", 5, sealed, length + SEAL_OVERHEAD_BYTES, opened, &err), 0);
        assert_memory_equal(opened, plain, length);
    }
    keyring_destroy(&ring);
    assert_null(ring);
    keyring_destroy(&ring);
}

static void the_same_text_never_looks_the_same(void **state)
{
    struct keyring *ring = load_or_fail(*state, KEY_A);
    uint8_t first[SEALED_BYTES];
    uint8_t second[SEALED_BYTES];
    keyring_seal(ring, "", 0, plain, PLAIN_BYTES, first);
    keyring_seal(ring, "", 0, plain, PLAIN_BYTES, second);
    assert_memory_not_equal(first + 4, second + 4, SEALED_BYTES - 4);
    assert_null(memmem(first, sizeof first, plain, 8));
    keyring_destroy(&ring);
}

static void notices_every_flipped_bit(void **state)
{
    struct keyring *ring = load_or_fail(*state, KEY_A);
    uint8_t sealed[SEALED_BYTES];
    keyring_seal(ring, "seq 7", 5, plain, PLAIN_BYTES, sealed);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        uint8_t opened[PLAIN_BYTES];
        struct error err = { 0 };
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (keyring_open(ring, "seq 7", 5, sealed, sizeof sealed, opened, &err) == 0)
            fail_msg("bit %zu flipped and opened", bit);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(memmem(opened, sizeof opened, plain, 8)); /* nothing unauthenticated is left */
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    keyring_destroy(&ring);
}

static void notices_another_place_and_a_cut(void **state)
{
    struct keyring *ring = load_or_fail(*state, KEY_A);
    struct error err = { 0 };
    uint8_t sealed[SEALED_BYTES];
    uint8_t opened[SEALED_BYTES];
    keyring_seal(ring, "seq 7", 5, plain, PLAIN_BYTES, sealed);
    assert_int_equal(keyring_open(ring, "seq 8", 5, sealed, sizeof sealed, opened, &err), -1);
    for (size_t length = 0; length < sizeof sealed; length++)
        assert_int_equal(keyring_open(ring, "seq 7", 5, sealed, length, opened, &err), -1);
    keyring_destroy(&ring);
}

static void the_newest_key_seals_and_all_open(void **state)
{
    struct error err = { 0 };
    uint8_t old[SEALED_BYTES];
    uint8_t new[SEALED_BYTES];
    uint8_t opened[PLAIN_BYTES];
    struct keyring *ring = load_or_fail(*state, KEY_A);
    keyring_seal(ring, "", 0, plain, PLAIN_BYTES, old);
    keyring_destroy(&ring);

    ring = load_or_fail(*state, KEY_B KEY_A); /* the order in the file does not matter */
    keyring_seal(ring, "", 0, plain, PLAIN_BYTES, new);
    assert_memory_not_equal(old, new, 4);
    assert_int_equal(keyring_open(ring, "", 0, old, sizeof old, opened, &err), 0);
    assert_int_equal(keyring_open(ring, "", 0, new, sizeof new, opened, &err), 0);
    keyring_destroy(&ring);

    ring = load_or_fail(*state, KEY_B); /* destroying a key erases what it sealed */
    assert_int_equal(keyring_open(ring, "", 0, new, sizeof new, opened, &err), 0);
    assert_int_equal(keyring_open(ring, "", 0, old, sizeof old, opened, &err), -1);
    assert_non_null(strstr(err.text, "not in the key file"));
    keyring_destroy(&ring);
}

static void refuses_a_key_file_others_may_read(void **state)
{
    struct fixture *f = *state;
    static const mode_t refused[] = { 0604, 0602, 0644, 0666 };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error err = { 0 };
        write_keys(f, KEY_A, refused[i]);
        assert_null(keyring_load(f->path, &err));
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, "chmod"));
    }
    struct error err = { 0 };
    write_keys(f, KEY_A, 0640);
    struct keyring *ring = keyring_load(f->path, &err);
    assert_non_null(ring);
    keyring_destroy(&ring);
}

static void says_which_line_is_no_key_and_never_what_it_says(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[] = {
        KEY_A "2026-01-01 00\n",
        KEY_A "01-01-2026 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
        KEY_A "2026-01-01 zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
        KEY_A "2026-01-01 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00\n",
        KEY_A " " KEY_B,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        write_keys(f, cases[i], 0600);
        assert_null(keyring_load(f->path, &err));
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, "keys:2:"));
        assert_null(strstr(err.text, "0102030405"));
    }
}

static void refuses_no_file_and_no_key(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    assert_null(keyring_load(f->path, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    write_keys(f, "# none yet\n", 0600);
    assert_null(keyring_load(f->path, &err));
    assert_non_null(strstr(err.text, "no key"));
}

static void refuses_more_keys_than_it_holds(void **state)
{
    struct fixture *f = *state;
    char text[65 * 80] = "";
    for (int i = 0; i < 65; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "2026-01-01 %064x\n", i);
    struct error err = { 0 };
    write_keys(f, text, 0600);
    assert_null(keyring_load(f->path, &err));
    assert_non_null(strstr(err.text, "keys:65:"));
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(opens_what_it_sealed),
        with_folder(the_same_text_never_looks_the_same),
        with_folder(notices_every_flipped_bit),
        with_folder(notices_another_place_and_a_cut),
        with_folder(the_newest_key_seals_and_all_open),
        with_folder(refuses_a_key_file_others_may_read),
        with_folder(says_which_line_is_no_key_and_never_what_it_says),
        with_folder(refuses_no_file_and_no_key),
        with_folder(refuses_more_keys_than_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
