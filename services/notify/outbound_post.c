/* Posts: a target's secrets, read anew for each, become the headers of a call. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config/config.h"
#include "crypto/crypto.h"
#include "log/log.h"
#include "notify/outbound_inside.h"

static void forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

void outbound_post_clear(struct outbound_post *post)
{
    free(post->body);
    post->body = NULL;
}

/* --- secrets --- */

static void replace_secret(char **secret, char *fresh)
{
    if (!fresh)
        return;
    forget(secret);
    *secret = fresh;
}

static char *read_token(const char *path, struct error *err)
{
    char *token = config_read_secret("token_file", path, err);
    if (!token || (strlen(token) <= OUTBOUND_HEADER_MAX_BYTES - 64 && !strpbrk(token, "\r\n")))
        return token;
    (void)error_set(err, ERROR_CONFIG, "%s: the token is too long or has several lines", path);
    forget(&token);
    return NULL;
}

/* Also before each post, as files are rotated: what is unfit leaves the last good one. */
static int read_secrets(struct target *target, struct error *err)
{
    if (target->options.token_file) {
        char *token = read_token(target->options.token_file, err);
        replace_secret(&target->token, token);
        if (!token)
            return -1;
    }
    if (target->options.signature_secret_file) {
        char *secret =
            config_read_secret("signature_secret_file", target->options.signature_secret_file, err);
        replace_secret(&target->signature_secret, secret);
        if (!secret)
            return -1;
    }
    return 0;
}

int outbound_open_targets(struct outbound *self, const struct outbound_target *targets,
                          size_t count, struct error *err)
{
    assert(count <= OUTBOUND_TARGETS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct target *target = &self->targets[self->target_count++];
        target->options = targets[i];
        if (outbound_check_url(targets[i].url, err) != 0 || read_secrets(target, err) != 0)
            return -1;
    }
    return 0;
}

void outbound_close_targets(struct outbound *self)
{
    for (size_t i = 0; i < self->target_count; i++) {
        forget(&self->targets[i].token);
        forget(&self->targets[i].signature_secret);
    }
}

/* --- one post --- */

static void add_line(struct outbound_post *post, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_line(struct outbound_post *post, const char *format, ...)
{
    struct outbound_call *call = &post->call;
    assert(call->header_count < OUTBOUND_HEADERS_MAX);
    va_list arguments;
    va_start(arguments, format);
    char *line = NULL;
    if (vasprintf(&line, format, arguments) < 0)
        abort();
    va_end(arguments);
    post->lines[call->header_count] = line;
    call->headers[call->header_count++] = line;
}

static void prepare_post(struct outbound_call *call)
{
    struct outbound_post *post = call->arg;
    struct target *target = &post->owner->targets[post->target];
    const char *quote = target->options.quote_key ? "\"" : "";
    struct error err = { 0 };
    if (read_secrets(target, &err) != 0)
        log_warn("secret_not_read", KV("target", post->target), KV("error", err.text));
    add_line(post, "Content-Type: %s", post->content_type);
    if (post->key[0] != '\0')
        add_line(post, "Idempotency-Key: %s%s%s", quote, post->key, quote);
    if (trace_is_set(post->trace)) {
        char parent[TRACE_PARENT_BYTES];
        trace_parent(post->trace, parent);
        add_line(post, "traceparent: %s", parent);
    }
    if (target->token)
        add_line(post, "Authorization: Bearer %s", target->token);
    if (!target->signature_secret)
        return;
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_hmac_sha256(target->signature_secret, strlen(target->signature_secret), post->body,
                       post->length, mac);
    crypto_hex(mac, sizeof mac, hex);
    add_line(post, "X-Hub-Signature-256: sha256=%s", hex);
}

static void take_receipt(struct outbound_post *post)
{
    static const char *const names[] = { "receipt", "id" };
    json_t *answer = json_loadb(post->call.answer, post->call.answer_bytes, 0, NULL);
    const char *receipt = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !receipt; i++)
        receipt = json_string_value(json_object_get(answer, names[i]));
    size_t length = receipt ? strlen(receipt) : 0;
    bool is_plain = length > 0 && length < sizeof post->receipt;
    for (size_t i = 0; i < length && is_plain; i++)
        is_plain = receipt[i] > ' ' && receipt[i] <= '~';
    if (is_plain)
        memcpy(post->receipt, receipt, length + 1);
    json_decref(answer);
}

static void on_answered(void *arg, struct outbound_call *call)
{
    struct outbound_post *post = arg;
    post->http_status = call->http_status;
    memcpy(post->error, call->error, sizeof post->error);
    post->retry_after_ms = call->retry_after_ms;
    post->took_ms = call->took_ms;
    if (call->http_status >= 200 && call->http_status < 300)
        take_receipt(post);
    for (size_t i = 0; i < call->header_count; i++)
        forget(&post->lines[i]);
    outbound_call_clear(call);
    post->done(post->arg, post);
}

void outbound_send(struct outbound *self, struct outbound_post *post)
{
    assert(post->target < self->target_count);
    const struct outbound_target *options = &self->targets[post->target].options;
    post->http_status = 0;
    post->error[0] = post->receipt[0] = '\0';
    post->retry_after_ms = 0;
    post->owner = self;
    post->call = (struct outbound_call){
        .method = "POST",
        .url = options->url,
        .body = post->body,
        .length = post->length,
        .ca_file = options->ca_file,
        .connect_timeout_ms = options->connect_timeout_ms,
        .timeout_ms = options->timeout_ms,
        .is_repeatable = post->key[0] != '\0',
        .prepare = prepare_post,
        .done = on_answered,
        .arg = post,
    };
    outbound_start(self, &post->call);
}

struct outbound *outbound_new(struct service *service, const struct outbound_target *targets,
                              size_t count, struct error *err)
{
    struct outbound *self = outbound_make();
    if (outbound_open_targets(self, targets, count, err) != 0 ||
        outbound_run(self, service, "outbound", err) != 0)
        outbound_destroy(&self);
    return self;
}
