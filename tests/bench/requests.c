#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clock/clock.h"
#include "config/config.h"
#include "crypto/crypto.h"

enum { HEAD_MAX_BYTES = 320, NAME_MAX_BYTES = 64 };

static const char page[] = "108800000000001";

static char *make_body(const char *person, const char *mid, const char *text, int64_t written_at_ms)
{
    json_t *body =
        json_pack("{s:s, s:[{s:s, s:I, s:[{s:{s:s}, s:{s:s}, s:I, s:{s:s, s:s}}]}]}", "object",
                  "page", "entry", "id", page, "time", (json_int_t)written_at_ms, "messaging",
                  "sender", "id", person, "recipient", "id", page, "timestamp",
                  (json_int_t)written_at_ms, "message", "mid", mid, "text", text);
    char *bytes = body ? json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(body);
    if (!bytes)
        give_up("cannot make a body: is the text UTF-8?");
    return bytes;
}

static void sign(struct request *request, const char *body, const char *secret)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    size_t body_bytes = strlen(body);
    crypto_hmac_sha256(secret, strlen(secret), body, body_bytes, mac);
    crypto_hex(mac, sizeof mac, hex);
    request->bytes = malloc(HEAD_MAX_BYTES + body_bytes);
    if (!request->bytes)
        give_up("no memory for the requests: ask for fewer");
    int head = snprintf(request->bytes, HEAD_MAX_BYTES,
                        "POST /hooks/facebook HTTP/1.1\r\nHost: desk\r\nContent-Type: "
                        "application/json\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: "
                        "%zu\r\n\r\n",
                        hex, body_bytes);
    memcpy(request->bytes + head, body, body_bytes);
    request->length = (size_t)head + body_bytes;
}

void requests_make(struct requests *self, const struct requests_options *options)
{
    struct error err = { 0 };
    char *secret = config_read_secret("--secret-file", options->secret_file, &err);
    struct id_key *key = options->id_key_file ? id_key_load(options->id_key_file, &err) : NULL;
    *self = (struct requests){ .all = calloc(options->count, sizeof *self->all),
                               .count = options->count };
    if (!secret || (options->id_key_file && !key) || !self->all)
        give_up("cannot make requests: %s", err.text);
    int64_t now_ms = clock_unix_ms();
    for (size_t i = 0; i < self->count; i++) {
        const struct texts *texts = options->texts;
        char person[NAME_MAX_BYTES];
        char mid[NAME_MAX_BYTES];
        (void)snprintf(person, sizeof person, "66%s%08zu", options->tag, i);
        (void)snprintf(mid, sizeof mid, "m_bench%s%012zu", options->tag, i);
        char *body = make_body(person, mid, texts->text[i % texts->count], now_ms);
        struct request *request = &self->all[i];
        request->is_urgent = texts->is_urgent[i % texts->count];
        sign(request, body, secret);
        if (key)
            request->conversation = id_of_conversation(key, "facebook", page, person, "");
        self->body_bytes += strlen(body);
        free(body);
    }
    id_key_destroy(&key);
    free(secret);
}

void requests_clear(struct requests *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->all[i].bytes);
    free(self->all);
}
