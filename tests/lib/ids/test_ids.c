#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "ids/ids.h"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static int make_key(void **state)
{
    *state = id_key_new(secret, strlen(secret));
    return *state ? 0 : -1;
}

static int drop_key(void **state)
{
    struct id_key *key = *state;
    id_key_destroy(&key);
    return key ? -1 : 0;
}

static bool same(struct id a, struct id b)
{
    return memcmp(a.bytes, b.bytes, ID_BYTES) == 0;
}

static void assert_id(struct id id, const char *expected)
{
    char text[ID_TEXT_BYTES];
    id_text(id.bytes, text);
    assert_string_equal(text, expected);
}

/* An id once written down must come out the same for ever: these vectors never change. */
static void ids_are_what_they_have_always_been(void **state)
{
    const struct id_key *key = *state;
    struct id event = id_of_event(key, "facebook", "1", 1, "m_1", 0);
    assert_id(event, "68d7b7693d67fc89b4b2cbf10f5f00df");
    assert_id(id_of_conversation(key, "facebook", "1", "2", ""),
              "847544d801855d214dbee269b277b22f");
    assert_id(id_of_alert(event.bytes), "928d69a7af3d01b04bc2bf424dec9a34");
    assert_id(id_of_digest(&event, 1), "aac656873c28a9831f83fde924f8823e");
}

/* The rule itself, spelled out: HMAC over the length-prefixed fields, first 16 bytes. */
static void an_event_id_is_the_hmac_of_its_fields(void **state)
{
    static const char fields[] = "\x05\0\0\0\0\0\0\0event"
                                 "\x01\0\0\0\0\0\0\0x"
                                 "\x02\0\0\0\0\0\0\0me"
                                 "\x03\0\0\0\0\0\0\0"
                                 "\x04\0\0\0\0\0\0\0id-7"
                                 "\x02\0\0\0\0\0\0\0";
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256(secret, strlen(secret), fields, sizeof fields - 1, digest);
    struct id id = id_of_event(*state, "x", "me", 3, "id-7", 2);
    assert_memory_equal(id.bytes, digest, ID_BYTES);
}

static void each_field_makes_another_event(void **state)
{
    const struct id_key *key = *state;
    const struct id ids[] = {
        id_of_event(key, "facebook", "1", 1, "m_1", 0),
        id_of_event(key, "instagram", "1", 1, "m_1", 0),
        id_of_event(key, "facebook", "2", 1, "m_1", 0),
        id_of_event(key, "facebook", "1", 2, "m_1", 0),
        id_of_event(key, "facebook", "1", 1, "m_2", 0),
        id_of_event(key, "facebook", "1", 1, "m_1", 1),
        id_of_event(key, "facebook", "1m", 1, "_1", 0), /* the same letters, cut elsewhere */
        id_of_event(key, "facebook1", "", 1, "m_1", 0),
        id_of_event(key, "", "facebook1", 1, "m_1", 0),
        id_of_conversation(key, "facebook", "1", "m_1", ""),
        id_of_conversation(key, "facebook", "1", "m", "_1"),
        id_of_conversation(key, "facebook", "1", "", "m_1"),
        id_of_conversation(key, "facebook", "1m", "_1", ""),
        id_of_conversation(key, "facebook1", "", "m_1", ""),
    };
    size_t count = sizeof ids / sizeof ids[0];
    for (size_t a = 0; a < count; a++)
        for (size_t b = a + 1; b < count; b++)
            if (same(ids[a], ids[b]))
                fail_msg("tuples %zu and %zu meet", a, b);
    assert_true(same(ids[0], id_of_event(key, "facebook", "1", 1, "m_1", 0)));
}

static void another_key_makes_other_ids(void **state)
{
    struct id_key *other = id_key_new("another key of the same length..", 32);
    assert_false(
        same(id_of_event(*state, "x", "1", 1, "m", 0), id_of_event(other, "x", "1", 1, "m", 0)));
    assert_false(same(id_of_conversation(*state, "x", "1", "p", ""),
                      id_of_conversation(other, "x", "1", "p", "")));
    id_key_destroy(&other);
}

static void a_missing_field_is_an_empty_one(void **state)
{
    const struct id_key *key = *state;
    assert_true(same(id_of_conversation(key, "x", "1", "p", NULL),
                     id_of_conversation(key, "x", "1", "p", "")));
}

static void alerts_and_digests_differ_from_what_they_name(void **state)
{
    (void)state;
    const struct id ids[] = { { .bytes = { 1 } }, { .bytes = { 2 } } };
    const struct id swapped[] = { ids[1], ids[0] };
    struct id alert = id_of_alert(ids[0].bytes);
    assert_false(same(alert, ids[0]));
    assert_false(same(alert, id_of_alert(ids[1].bytes)));
    assert_false(same(alert, id_of_digest(ids, 1)));
    assert_true(same(id_of_digest(ids, 2), id_of_digest(ids, 2)));
    assert_false(same(id_of_digest(ids, 2), id_of_digest(swapped, 2)));
    assert_false(same(id_of_digest(ids, 2), id_of_digest(ids, 1)));
}

static void random_ids_differ(void **state)
{
    (void)state;
    assert_false(same(id_random(), id_random()));
}

static void text_goes_there_and_back(void **state)
{
    (void)state;
    struct id id = id_random();
    struct id again = { .bytes = { 0 } };
    char text[ID_TEXT_BYTES];
    id_text(id.bytes, text);
    assert_int_equal(strlen(text), ID_TEXT_BYTES - 1);
    assert_int_equal(id_parse(text, &again), 0);
    assert_true(same(id, again));
}

static void refuses_what_is_no_id(void **state)
{
    (void)state;
    static const char *const cases[] = { "",
                                         "7f3a",
                                         "0123456789abcdef0123456789abcde",
                                         "0123456789abcdef0123456789abcdef0",
                                         "0123456789abcdef0123456789abcdeg",
                                         "01234567-89ab-cdef-0123-456789abcdef" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct id before = { .bytes = { 7, 7, 7 } };
        struct id out = before;
        if (id_parse(cases[i], &out) == 0)
            fail_msg("'%s' accepted", cases[i]);
        assert_true(same(out, before)); /* untouched on failure */
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_key_from_a_file_is_the_key(void **state)
{
    char path[] = "/tmp/desg-ids-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    static const char *const ends[] = { "", "\n", "\r\n" };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char text[64];
        struct error err = { 0 };
        (void)snprintf(text, sizeof text, "%s%s", secret, ends[i]);
        write_file(path, text);
        struct id_key *key = id_key_load(path, &err);
        if (!key)
            fail_msg("%s", err.text);
        assert_true(
            same(id_of_event(key, "x", "1", 1, "m", 0), id_of_event(*state, "x", "1", 1, "m", 0)));
        id_key_destroy(&key);
    }
    struct error err = { 0 };
    write_file(path, "too short, and secret\n");
    assert_null(id_key_load(path, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, path));
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(unlink(path), 0);
    assert_null(id_key_load(path, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
}

#define with_key(test) cmocka_unit_test_setup_teardown(test, make_key, drop_key)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_key(ids_are_what_they_have_always_been),
        with_key(an_event_id_is_the_hmac_of_its_fields),
        with_key(each_field_makes_another_event),
        with_key(another_key_makes_other_ids),
        with_key(a_missing_field_is_an_empty_one),
        cmocka_unit_test(alerts_and_digests_differ_from_what_they_name),
        cmocka_unit_test(random_ids_differ),
        cmocka_unit_test(text_goes_there_and_back),
        cmocka_unit_test(refuses_what_is_no_id),
        with_key(a_key_from_a_file_is_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
