/* crypto - the few primitives Desg needs, all from OpenSSL's libcrypto. Threads: any.
 * A failing libcrypto (no memory, no entropy) aborts: nothing safe can follow. */
#ifndef DESG_CRYPTO_H
#define DESG_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRYPTO_SHA256_BYTES = 32 };

void crypto_sha256(const void *data, size_t length, uint8_t out[static CRYPTO_SHA256_BYTES]);
void crypto_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                        uint8_t out[static CRYPTO_SHA256_BYTES]);

/* For OAuth 1.0a alone, which knows nothing better. */
enum { CRYPTO_SHA1_BYTES = 20 };
void crypto_hmac_sha1(const void *key, size_t key_length, const void *data, size_t length,
                      uint8_t out[static CRYPTO_SHA1_BYTES]);

/* Running HMAC, for a body that arrives in pieces. */
struct hmac;
struct hmac *hmac_new(const void *key, size_t key_length);
void hmac_update(struct hmac *self, const void *data, size_t length);
void hmac_finish(struct hmac *self, uint8_t out[static CRYPTO_SHA256_BYTES]);
void hmac_destroy(struct hmac **self_p);

/* Compares in time that depends on length alone. */
bool crypto_equal(const void *a, const void *b, size_t length);

void crypto_random(void *out, size_t length);

/* Lower-case hex with a final NUL: out holds 2 * length + 1 bytes. */
void crypto_hex(const void *data, size_t length, char *out);
/* Takes lower and upper case. Returns false unless text is exactly 2 * length hex digits. */
bool crypto_unhex(const char *text, size_t text_length, void *out, size_t length);

/* Standard base64 with padding and a final NUL: out holds 4 * ((length + 2) / 3) + 1 bytes. */
void crypto_base64(const void *data, size_t length, char *out);

uint32_t crypto_crc32c(const void *data, size_t length);

#endif
