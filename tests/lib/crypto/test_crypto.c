#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "crypto/crypto.h"

static void assert_hex(const uint8_t *bytes, size_t length, const char *expected)
{
    char text[129];
    crypto_hex(bytes, length, text);
    assert_string_equal(text, expected);
}

static void sha256_of_known_texts(void **state)
{
    (void)state;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256("", 0, digest);
    assert_hex(digest, sizeof digest,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha256("abc", 3, digest);
    assert_hex(digest, sizeof digest,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac_of_rfc_4231(void **state)
{
    (void)state;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
    assert_hex(digest, sizeof digest,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    crypto_hmac_sha256(long_key, sizeof long_key,
                       "Test Using Larger Than Block-Size Key - Hash Key First", 54, digest);
    assert_hex(digest, sizeof digest,
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    crypto_hmac_sha256("", 0, "", 0, digest);
    assert_hex(digest, sizeof digest,
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void hmac_sha1_of_rfc_2202(void **state)
{
    (void)state;
    uint8_t digest[CRYPTO_SHA1_BYTES];
    crypto_hmac_sha1("Jefe", 4, "what do ya want for nothing?", 28, digest);
    assert_hex(digest, sizeof digest, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    uint8_t long_key[80];
    memset(long_key, 0xaa, sizeof long_key);
    crypto_hmac_sha1(long_key, sizeof long_key,
                     "Test Using Larger Than Block-Size Key - Hash Key First", 54, digest);
    assert_hex(digest, sizeof digest, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    crypto_hmac_sha1("", 0, "", 0, digest);
    assert_hex(digest, sizeof digest, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

static const char meta_secret[] = "app-secret-for-docs";
static const char meta_body[] =
    "{\"object\":\"page\",\"entry\":[{\"id\":\"1\",\"time\":1770832921123,\"messaging\":[{"
    "\"sender\":{"
    "\"id\":\"2\"},\"recipient\":{\"id\":\"1\"},\"timestamp\":1770832920874,\"message\":{\"mid\":"
    "\"m_1\",\"text\":\"d\\u0175r \\ud83c\\udf0a\"}}]}]}";
static const char meta_signature[] =
    "752c1261efbbc8ab49ad59d56707a0ad4f220f1a26f026292773b47c4b20467e";

static void signs_a_meta_webhook(void **state)
{
    (void)state;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    assert_int_equal(sizeof meta_body - 1, 199);
    crypto_hmac_sha256(meta_secret, strlen(meta_secret), meta_body, strlen(meta_body), digest);
    assert_hex(digest, sizeof digest, meta_signature);
}

static void a_body_in_pieces_signs_like_the_whole(void **state)
{
    (void)state;
    size_t length = strlen(meta_body);
    for (size_t piece = 1; piece <= length; piece += 13) {
        struct hmac *mac = hmac_new(meta_secret, strlen(meta_secret));
        for (size_t at = 0; at < length; at += piece)
            hmac_update(mac, meta_body + at, at + piece < length ? piece : length - at);
        uint8_t digest[CRYPTO_SHA256_BYTES];
        hmac_finish(mac, digest);
        hmac_destroy(&mac);
        assert_null(mac);
        assert_hex(digest, sizeof digest, meta_signature);
    }
    struct hmac *none = NULL;
    hmac_destroy(&none);
}

static void answers_the_x_challenge(void **state)
{
    (void)state;
    static const struct {
        const char *message, *expected;
    } cases[] = {
        { "crc-7f3a", "Z7eKRBIehXmQ41l5bWZ39d2EA9T7SUUsOOioT0byI0Q=" },
        { "{\"for_user_id\":\"3001\",\"tweet_create_events\":[]}",
          "nCrBne7J+m7RPvDiosMvx0NUu6/RPtVohC6P4icR2jI=" },
    };
    static const char secret[] = "consumer-secret-for-docs";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[CRYPTO_SHA256_BYTES];
        char text[45];
        crypto_hmac_sha256(secret, strlen(secret), cases[i].message, strlen(cases[i].message),
                           digest);
        crypto_base64(digest, sizeof digest, text);
        assert_string_equal(text, cases[i].expected);
    }
}

static void base64_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
        { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        crypto_base64(cases[i][0], strlen(cases[i][0]), text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t again[256];
    char text[513];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    crypto_hex(bytes, sizeof bytes, text);
    assert_int_equal(strlen(text), 512);
    assert_true(crypto_unhex(text, 512, again, sizeof again));
    assert_memory_equal(bytes, again, sizeof bytes);
    uint8_t upper[2];
    assert_true(crypto_unhex("AbfF", 4, upper, 2));
    assert_true(upper[0] == 0xab && upper[1] == 0xff);
}

static void refuses_what_is_not_just_that_many_hex_digits(void **state)
{
    (void)state;
    static const char *const cases[] = { "",     "a",    "abc",  "abcde", "abcdef",
                                         "zz00", "00g0", "0x12", " 012",  "01\n2" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[2];
        if (crypto_unhex(cases[i], strlen(cases[i]), out, sizeof out))
            fail_msg("'%s' accepted", cases[i]);
    }
}

static void compares_whole_texts(void **state)
{
    (void)state;
    assert_true(crypto_equal("abcd", "abcd", 4));
    assert_false(crypto_equal("abcd", "abce", 4));
    assert_false(crypto_equal("bbcd", "abcd", 4));
    assert_true(crypto_equal("x", "y", 0));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[32] = { 0 };
    uint8_t b[32] = { 0 };
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* Bit by bit, as the polynomial says: what the fast ways must agree with. */
static uint32_t plain_crc32c(const uint8_t *bytes, size_t length)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < length; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t in = (crc ^ (uint32_t)(bytes[i] >> bit)) & 1u;
            crc = (crc >> 1) ^ (in ? 0x82f63b78u : 0u);
        }
    return ~crc;
}

static void crc32c_of_known_texts_and_of_every_length(void **state)
{
    (void)state;
    uint8_t bytes[100] = { 0 };
    assert_int_equal(crypto_crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(crypto_crc32c("", 0), 0);
    assert_int_equal(crypto_crc32c(bytes, 32), 0x8a9136aau); /* RFC 3720 */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t start = 0; start < 9; start++)
        for (size_t length = 0; start + length <= sizeof bytes; length++)
            assert_int_equal(crypto_crc32c(bytes + start, length),
                             plain_crc32c(bytes + start, length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_known_texts),
        cmocka_unit_test(hmac_of_rfc_4231),
        cmocka_unit_test(hmac_sha1_of_rfc_2202),
        cmocka_unit_test(signs_a_meta_webhook),
        cmocka_unit_test(a_body_in_pieces_signs_like_the_whole),
        cmocka_unit_test(answers_the_x_challenge),
        cmocka_unit_test(base64_of_rfc_4648),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(refuses_what_is_not_just_that_many_hex_digits),
        cmocka_unit_test(compares_whole_texts),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(crc32c_of_known_texts_and_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
