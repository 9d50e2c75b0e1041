#include "ids/ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

enum { KEY_MAX_BYTES = 4096 };

struct id_key {
    size_t length;
    uint8_t secret[KEY_MAX_BYTES];
};

struct id_key *id_key_new(const void *secret, size_t length)
{
    struct id_key *self = calloc(1, sizeof *self);
    if (!self || length > KEY_MAX_BYTES)
        abort(); /* start-up only */
    memcpy(self->secret, secret, length);
    self->length = length;
    return self;
}

struct id_key *id_key_load(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        (void)error_set(err, ERROR_CONFIG, "%s: cannot read the id key: %s", path, strerror(errno));
        return NULL;
    }
    uint8_t secret[KEY_MAX_BYTES];
    size_t length = fread(secret, 1, sizeof secret, file);
    (void)fclose(file);
    while (length > 0 && (secret[length - 1] == '\n' || secret[length - 1] == '\r'))
        length--;
    if (length < ID_KEY_MIN_BYTES) {
        (void)error_set(
            err, ERROR_CONFIG,
            "%s: id key of %zu bytes is too short: write at least %d, such as the output of: "
            "openssl rand -hex 32",
            path, length, ID_KEY_MIN_BYTES);
        return NULL;
    }
    struct id_key *self = id_key_new(secret, length);
    explicit_bzero(secret, sizeof secret);
    return self;
}

void id_key_destroy(struct id_key **self_p)
{
    if (*self_p)
        explicit_bzero(*self_p, sizeof **self_p);
    free(*self_p);
    *self_p = NULL;
}

static void add_number(struct hmac *mac, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    hmac_update(mac, bytes, sizeof bytes);
}

static void add_text(struct hmac *mac, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    add_number(mac, length);
    hmac_update(mac, text ? text : "", length);
}

static struct id finish(struct hmac *mac)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    hmac_finish(mac, digest);
    hmac_destroy(&mac);
    struct id id = { .bytes = { 0 } };
    memcpy(id.bytes, digest, ID_BYTES);
    return id;
}

struct id id_of_event(const struct id_key *key, const char *channel, const char *account, int kind,
                      const char *object_id, uint32_t edit_version)
{
    struct hmac *mac = hmac_new(key->secret, key->length);
    add_text(mac, "event");
    add_text(mac, channel);
    add_text(mac, account);
    add_number(mac, (uint64_t)kind);
    add_text(mac, object_id);
    add_number(mac, edit_version);
    return finish(mac);
}

struct id id_of_conversation(const struct id_key *key, const char *channel, const char *account,
                             const char *person, const char *scope)
{
    struct hmac *mac = hmac_new(key->secret, key->length);
    add_text(mac, "conversation");
    add_text(mac, channel);
    add_text(mac, account);
    add_text(mac, person);
    add_text(mac, scope);
    return finish(mac);
}

struct id id_of_fact(const struct id_key *key, const char *agent, const char *client_key)
{
    struct hmac *mac = hmac_new(key->secret, key->length);
    add_text(mac, "fact");
    add_text(mac, agent);
    add_text(mac, client_key);
    return finish(mac);
}

static struct id hashed(const char *label, const void *data, size_t length)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct id id = { .bytes = { 0 } };
    crypto_hmac_sha256(label, strlen(label), data, length,
                       digest); /* label only separates the uses */
    memcpy(id.bytes, digest, ID_BYTES);
    return id;
}

struct id id_of_alert(const uint8_t event_id[static ID_BYTES])
{
    return hashed("desg alert", event_id, ID_BYTES);
}

struct id id_of_digest(const struct id *alert_ids, size_t count)
{
    return hashed("desg digest", alert_ids, count * sizeof *alert_ids);
}

struct id id_random(void)
{
    struct id id = { .bytes = { 0 } };
    crypto_random(id.bytes, sizeof id.bytes);
    return id;
}

void id_text(const uint8_t id[static ID_BYTES], char out[static ID_TEXT_BYTES])
{
    crypto_hex(id, ID_BYTES, out);
}

int id_parse(const char *text, struct id *out)
{
    struct id id = { .bytes = { 0 } };
    if (!crypto_unhex(text, strlen(text), id.bytes, ID_BYTES))
        return -1;
    *out = id;
    return 0;
}
