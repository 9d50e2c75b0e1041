#include "ingest/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "crypto/crypto.h"

static const struct channel_adapter *const channel_adapters[] = {
    &channel_meta,
    &channel_x,
    &channel_web,
};

const struct channel_adapter *channel_adapter_find(const char *name)
{
    for (size_t i = 0; i < sizeof channel_adapters / sizeof channel_adapters[0]; i++)
        if (strcmp(channel_adapters[i]->name, name) == 0)
            return channel_adapters[i];
    return NULL;
}

static int read_secrets(struct channel *self, const struct ingest_channel_config *config,
                        struct error *err)
{
    char key[128];
    (void)snprintf(key, sizeof key, "ingest.channels[%s].secret_files", config->name);
    for (unsigned i = 0; i < config->secret_files_count && i < INGEST_SECRETS_MAX; i++) {
        char *secret = config_read_secret(key, config->secret_files[i], err);
        if (!secret)
            return -1;
        self->secrets[self->secret_count++] =
            (struct channel_secret){ .bytes = secret, .length = strlen(secret) };
    }
    if (self->secret_count == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s: channel '%s' has no secret: anybody could write to the desk through "
                         "it; name the file of its app secret",
                         key, config->name);
    if (!config->verify_token_file)
        return 0;
    (void)snprintf(key, sizeof key, "ingest.channels[%s].verify_token_file", config->name);
    self->verify_token = config_read_secret(key, config->verify_token_file, err);
    return self->verify_token ? 0 : -1;
}

struct channel *channel_new(const struct ingest_channel_config *config, struct error *err)
{
    struct channel *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for channel '%s'", config->name);
        return NULL;
    }
    self->name = config->name;
    self->path = config->path;
    self->adapter = channel_adapter_find(config->adapter);
    if (!self->adapter)
        (void)error_set(err, ERROR_CONFIG,
                        "ingest.channels[%s].adapter is '%s': write meta, x or web", config->name,
                        config->adapter);
    if (!self->adapter || read_secrets(self, config, err) != 0)
        channel_destroy(&self);
    return self;
}

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void channel_destroy(struct channel **self_p)
{
    if (!*self_p)
        return;
    for (size_t i = 0; i < (*self_p)->secret_count; i++)
        forget((*self_p)->secrets[i].bytes);
    forget((*self_p)->verify_token);
    free(*self_p);
    *self_p = NULL;
}

static bool is_same(const struct channel *a, const struct channel *b)
{
    bool is_same_token = a->verify_token && b->verify_token
                             ? strcmp(a->verify_token, b->verify_token) == 0
                             : a->verify_token == b->verify_token;
    if (!is_same_token || a->secret_count != b->secret_count)
        return false;
    for (size_t i = 0; i < a->secret_count; i++)
        if (strcmp(a->secrets[i].bytes, b->secrets[i].bytes) != 0)
            return false;
    return true;
}

/* The files of config that are there; all of them, if none is. */
static void leave_out_gone(struct ingest_channel_config *config,
                           char *files[static INGEST_SECRETS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < config->secret_files_count && i < INGEST_SECRETS_MAX; i++)
        if (access(config->secret_files[i], F_OK) == 0 || errno != ENOENT)
            files[count++] = config->secret_files[i];
    if (count == 0)
        return;
    config->secret_files = files;
    config->secret_files_count = count;
}

int channel_reload(struct channel *self, const struct ingest_channel_config *config,
                   bool *is_changed, struct error *err)
{
    struct ingest_channel_config now = *config;
    char *files[INGEST_SECRETS_MAX];
    leave_out_gone(&now, files);
    struct channel *fresh = channel_new(&now, err);
    if (!fresh)
        return -1;
    *is_changed = !is_same(self, fresh);
    const struct channel former = *self;
    memcpy(self->secrets, fresh->secrets, sizeof self->secrets);
    self->secret_count = fresh->secret_count;
    self->verify_token = fresh->verify_token;
    memcpy(fresh->secrets, former.secrets, sizeof fresh->secrets);
    fresh->secret_count = former.secret_count;
    fresh->verify_token = former.verify_token;
    channel_destroy(&fresh);
    return 0;
}

static void sign(const struct channel_secret *secret, const char *prefix, const uint8_t *body,
                 size_t body_bytes, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    if (prefix[0] == '\0') {
        crypto_hmac_sha256(secret->bytes, secret->length, body, body_bytes, out);
        return;
    }
    struct hmac *mac = hmac_new(secret->bytes, secret->length);
    hmac_update(mac, prefix, strlen(prefix));
    hmac_update(mac, body, body_bytes);
    hmac_finish(mac, out);
    hmac_destroy(&mac);
}

bool channel_signature_fits(const struct channel *self, const char *prefix, const uint8_t *body,
                            size_t body_bytes, const uint8_t signature[static 32])
{
    bool fits = false;
    for (size_t i = 0; i < self->secret_count; i++) {
        uint8_t expected[CRYPTO_SHA256_BYTES];
        sign(&self->secrets[i], prefix, body, body_bytes, expected);
        fits |= crypto_equal(expected, signature, sizeof expected);
    }
    return fits;
}

enum channel_check channel_check_hex(const struct channel *self,
                                     const struct channel_request *request, const char *name,
                                     const char *prefix)
{
    static const char scheme[] = "sha256=";
    bool is_repeated = false;
    const char *value = request->header(request->arg, name, &is_repeated);
    if (is_repeated)
        return CHANNEL_SIGNATURE_MALFORMED;
    if (!value)
        return CHANNEL_SIGNATURE_MISSING;
    value += strspn(value, " \t");
    if (strncmp(value, scheme, sizeof scheme - 1) != 0)
        return CHANNEL_SIGNATURE_MALFORMED;
    const char *hex = value + sizeof scheme - 1;
    size_t length = strspn(hex, "0123456789abcdef");
    uint8_t signature[CRYPTO_SHA256_BYTES];
    if (hex[length + strspn(hex + length, " \t")] != '\0' ||
        !crypto_unhex(hex, length, signature, sizeof signature))
        return CHANNEL_SIGNATURE_MALFORMED;
    return channel_signature_fits(self, prefix, request->body, request->body_bytes, signature)
               ? CHANNEL_GENUINE
               : CHANNEL_SIGNATURE_WRONG;
}
