/* channel - one callback path of one platform: its secrets, and the adapter that knows the
 * platform's ways. An adapter is three functions behind a const struct; adding a platform is one
 * file channel_<name>.c, one line in channel_adapters[] (channel.c) and one test file.
 * Formats: docs of each platform, told in the adapters. Threads: channels are read-only once made.
 */
#ifndef DESG_INGEST_CHANNEL_H
#define DESG_INGEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "error/error.h"
#include "ingest/event_build.h"
#include "ingest/ingest_config.h"

enum {
    CHANNEL_ANSWER_MAX_BYTES = 512,
    CHANNEL_SUBMISSION_MAX_BYTES = 128, /* longest Idempotency-Key taken */
    CHANNEL_CLOCK_SKEW_MS = 5 * 60 * 1000
};

struct channel;

/* What an adapter may ask of a request. Values live as long as the request. */
struct channel_request {
    /* The value of the only header (or query parameter) of that name; NULL if there is none, and
     * *is_repeated set if there are several. */
    const char *(*header)(const void *arg, const char *name, bool *is_repeated);
    const char *(*query)(const void *arg, const char *name);
    const void *arg;
    const uint8_t *body;
    size_t body_bytes;
    int64_t now_unix_ms; /* for time stamps inside what is signed; used nowhere else */
};

enum channel_check {
    CHANNEL_GENUINE,
    CHANNEL_SIGNATURE_MISSING,
    CHANNEL_SIGNATURE_MALFORMED, /* also: sent twice, or in upper case */
    CHANNEL_SIGNATURE_WRONG,
    CHANNEL_TIMESTAMP_STALE,
    CHANNEL_KEY_MALFORMED /* an Idempotency-Key that cannot be one */
};

/* Answer to a verification GET: 200 with text, or 400 or 403 without. */
struct channel_answer {
    unsigned status;
    const char *content_type;
    char text[CHANNEL_ANSWER_MAX_BYTES];
};

struct channel_adapter {
    const char *name;    /* as in the configuration and in Delivery.adapter */
    bool says_reference; /* the 200 tells the sender its submission_id */
    /* Verification GET; NULL: the platform has none. */
    void (*handshake)(const struct channel *channel, const struct channel_request *request,
                      struct channel_answer *answer);
    /* Is the body from whom it says? May fill submission_id (empty before). */
    enum channel_check (*verify)(const struct channel *channel,
                                 const struct channel_request *request,
                                 char submission_id[static CHANNEL_SUBMISSION_MAX_BYTES + 1]);
    /* Turns a journalled body into events. Total: any bytes give something. */
    void (*split)(const Desg__V1__Delivery *delivery, struct builder *builder);
};

extern const struct channel_adapter channel_meta;
extern const struct channel_adapter channel_x;
extern const struct channel_adapter channel_web;

/* NULL: no such adapter. */
const struct channel_adapter *channel_adapter_find(const char *name);

struct channel_secret {
    char *bytes;
    size_t length;
};

struct channel {
    const char *name; /* borrowed from the configuration, as path */
    const char *path;
    const struct channel_adapter *adapter;
    struct channel_secret secrets[INGEST_SECRETS_MAX]; /* the first is the current one */
    size_t secret_count;
    char *verify_token; /* NULL: none */
};

/* Reads the secrets. ERROR_CONFIG names key, file and remedy. config must outlive the channel. */
struct channel *channel_new(const struct ingest_channel_config *config, struct error *err) MUST_USE;
void channel_destroy(struct channel **self_p);

/* Reads the secrets again; *is_changed says whether they are others now. Of two files one may be
 * gone: then the other alone counts. ERROR_CONFIG: the secrets stay as they were. Nobody may look
 * at the channel meanwhile. */
int channel_reload(struct channel *self, const struct ingest_channel_config *config,
                   bool *is_changed, struct error *err) MUST_USE;

/* HMAC-SHA-256 of prefix and body under every secret, against signature[0..32), in constant time:
 * all secrets are tried whichever fits. */
bool channel_signature_fits(const struct channel *self, const char *prefix, const uint8_t *body,
                            size_t body_bytes, const uint8_t signature[static 32]);

/* The request's only header `name` as "sha256=<64 lower-case hex digits>" checked against
 * prefix + body. */
enum channel_check channel_check_hex(const struct channel *self,
                                     const struct channel_request *request, const char *name,
                                     const char *prefix);

#endif
