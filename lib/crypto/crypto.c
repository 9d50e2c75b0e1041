#include "crypto/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

static void must(bool worked)
{
    if (!worked)
        abort(); /* see the header */
}

void crypto_sha256(const void *data, size_t length, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    must(SHA256(data, length, out) != NULL);
}

void crypto_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                        uint8_t out[static CRYPTO_SHA256_BYTES])
{
    assert(key_length <= 4096);
    unsigned written = 0;
    must(HMAC(EVP_sha256(), key, (int)key_length, data, length, out, &written) != NULL);
    assert(written == CRYPTO_SHA256_BYTES);
}

void crypto_hmac_sha1(const void *key, size_t key_length, const void *data, size_t length,
                      uint8_t out[static CRYPTO_SHA1_BYTES])
{
    assert(key_length <= 4096);
    unsigned written = 0;
    must(HMAC(EVP_sha1(), key, (int)key_length, data, length, out, &written) != NULL);
    assert(written == CRYPTO_SHA1_BYTES);
}

struct hmac {
    EVP_MAC *mac;
    EVP_MAC_CTX *context;
};

struct hmac *hmac_new(const void *key, size_t key_length)
{
    struct hmac *self = calloc(1, sizeof *self);
    must(self != NULL);
    self->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    self->context = self->mac ? EVP_MAC_CTX_new(self->mac) : NULL;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
                                                                   0),
                                  OSSL_PARAM_construct_end() };
    must(self->context && EVP_MAC_init(self->context, key, key_length, params) == 1);
    return self;
}

void hmac_update(struct hmac *self, const void *data, size_t length)
{
    must(EVP_MAC_update(self->context, data, length) == 1);
}

void hmac_finish(struct hmac *self, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    size_t written = 0;
    must(EVP_MAC_final(self->context, out, &written, CRYPTO_SHA256_BYTES) == 1);
}

void hmac_destroy(struct hmac **self_p)
{
    if (!*self_p)
        return;
    EVP_MAC_CTX_free((*self_p)->context);
    EVP_MAC_free((*self_p)->mac);
    free(*self_p);
    *self_p = NULL;
}

bool crypto_equal(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}

void crypto_random(void *out, size_t length)
{
    must(length <= 1024 && RAND_bytes(out, (int)length) == 1);
}

void crypto_hex(const void *data, size_t length, char *out)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = hex[bytes[i] >> 4];
        out[2 * i + 1] = hex[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool crypto_unhex(const char *text, size_t text_length, void *out, size_t length)
{
    if (text_length != 2 * length)
        return false;
    uint8_t *bytes = out;
    for (size_t i = 0; i < length; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void crypto_base64(const void *data, size_t length, char *out)
{
    assert(length <= 1 << 20);
    (void)EVP_EncodeBlock((unsigned char *)out, data, (int)length);
}

static uint32_t crc32c_update_soft(uint32_t crc, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_update_sse42(uint32_t crc, const uint8_t *bytes, size_t length)
{
    uint64_t wide = crc;
    for (; length >= 8; length -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; length; length--, bytes++)
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    return crc;
}
#endif

uint32_t crypto_crc32c(const void *data, size_t length)
{
    uint32_t crc = 0xffffffffu;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_update_sse42(crc, data, length);
#endif
    return ~crc32c_update_soft(crc, data, length);
}
