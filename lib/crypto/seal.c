#include "crypto/seal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

enum { KEY_BYTES = 32, ID_BYTES = 4, NONCE_BYTES = 12, TAG_BYTES = 16, KEYS_MAX = 64 };

struct dated_key {
    char date[11];
    uint8_t id[ID_BYTES]; /* start of SHA-256 of the key: tells which key, says nothing of it */
    uint8_t key[KEY_BYTES];
};

struct keyring {
    struct dated_key keys[KEYS_MAX];
    size_t count;
    size_t newest;
};

static bool is_date(const char *text)
{
    for (int i = 0; i < 10; i++) {
        bool is_dash = i == 4 || i == 7;
        if (is_dash ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
    }
    return text[10] == ' ';
}

static int add_key(struct keyring *self, const char *line, const char *path, int number,
                   struct error *err)
{
    size_t length = strcspn(line, "\r\n");
    struct dated_key key = { 0 };
    if (length != 75 || !is_date(line) || !crypto_unhex(line + 11, 64, key.key, KEY_BYTES))
        return error_set(err, ERROR_CONFIG,
                         "%s:%d: not a dated key: write \"YYYY-MM-DD\", a space and 64 hex digits, "
                         "such as the output of: echo $(date +%%F) $(openssl rand -hex 32)",
                         path, number);
    if (self->count == KEYS_MAX)
        return error_set(err, ERROR_CONFIG, "%s:%d: more than %d keys: remove the oldest", path,
                         number, KEYS_MAX);
    memcpy(key.date, line, 10);
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(key.key, KEY_BYTES, digest);
    memcpy(key.id, digest, ID_BYTES);
    self->keys[self->count] = key;
    if (strcmp(key.date, self->keys[self->newest].date) >= 0)
        self->newest = self->count;
    self->count++;
    OPENSSL_cleanse(&key, sizeof key);
    return 0;
}

static int read_keys(struct keyring *self, FILE *file, const char *path, struct error *err)
{
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && (status.st_mode & (S_IRWXO)) != 0)
        return error_set(err, ERROR_CONFIG, "%s: anyone may read it: chmod o-rwx %s", path, path);
    char line[256];
    int number = 0;
    while (fgets(line, sizeof line, file)) {
        number++;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        int added = add_key(self, line, path, number, err);
        OPENSSL_cleanse(line, sizeof line);
        if (added != 0)
            return -1;
    }
    if (self->count == 0)
        return error_set(err, ERROR_CONFIG, "%s: no key in it", path);
    return 0;
}

struct keyring *keyring_load(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        (void)error_set(err, ERROR_CONFIG, "%s: cannot read the journal keys: %s", path,
                        strerror(errno));
        return NULL;
    }
    struct keyring *self = calloc(1, sizeof *self);
    if (!self)
        (void)error_set(err, ERROR_SYSTEM, "no memory for the journal keys");
    else if (read_keys(self, file, path, err) != 0)
        keyring_destroy(&self);
    (void)fclose(file);
    return self;
}

void keyring_destroy(struct keyring **self_p)
{
    if (!*self_p)
        return;
    OPENSSL_cleanse(*self_p, sizeof **self_p);
    free(*self_p);
    *self_p = NULL;
}

void keyring_seal(const struct keyring *self, const void *aad, size_t aad_length, const void *data,
                  size_t length, uint8_t *out)
{
    assert(length <= INT_MAX && aad_length <= INT_MAX);
    const struct dated_key *key = &self->keys[self->newest];
    uint8_t *nonce = out + ID_BYTES;
    uint8_t *body = nonce + NONCE_BYTES;
    memcpy(out, key->id, ID_BYTES);
    crypto_random(nonce, NONCE_BYTES);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0;
    bool worked = context &&
                  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->key, nonce) == 1 &&
                  EVP_EncryptUpdate(context, NULL, &n, aad, (int)aad_length) == 1 &&
                  EVP_EncryptUpdate(context, body, &n, data, (int)length) == 1 &&
                  EVP_EncryptFinal_ex(context, body + length, &n) == 1 &&
                  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + length) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!worked)
        abort(); /* no memory or no cipher: nothing safe can follow */
}

static const struct dated_key *find_key(const struct keyring *self, const uint8_t *id)
{
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(self->keys[i].id, id, ID_BYTES) == 0)
            return &self->keys[i];
    return NULL;
}

int keyring_open(const struct keyring *self, const void *aad, size_t aad_length, const void *sealed,
                 size_t length, uint8_t *out, struct error *err)
{
    if (length < SEAL_OVERHEAD_BYTES || length > INT_MAX)
        return error_set(err, ERROR_INVALID, "sealed record of %zu bytes is too short", length);
    const uint8_t *in = sealed;
    const struct dated_key *key = find_key(self, in);
    if (!key)
        return error_set(err, ERROR_INVALID, "the key that sealed it is not in the key file");
    size_t body_length = length - SEAL_OVERHEAD_BYTES;
    const uint8_t *body = in + ID_BYTES + NONCE_BYTES;
    uint8_t tag[TAG_BYTES];
    memcpy(tag, body + body_length, TAG_BYTES);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0;
    uint8_t rest[16];
    bool ready =
        context &&
        EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->key, in + ID_BYTES) == 1 &&
        EVP_DecryptUpdate(context, NULL, &n, aad, (int)aad_length) == 1 &&
        EVP_DecryptUpdate(context, out, &n, body, (int)body_length) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;
    if (!ready)
        abort(); /* no memory or no cipher: a good record must not pass for a damaged one */
    bool is_genuine = EVP_DecryptFinal_ex(context, rest, &n) == 1;
    EVP_CIPHER_CTX_free(context);
    if (is_genuine)
        return 0;
    OPENSSL_cleanse(out, body_length); /* nobody may use what was not authenticated */
    return error_set(err, ERROR_INVALID, "sealed record was altered");
}
