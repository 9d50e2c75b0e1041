/* verify_command - desg verify: is a webhook of ours genuine? The same sum as the receiver's own:
 * HMAC-SHA-256 over "<timestamp>.<body>" (docs/broadcasts.md). Needs no configuration and no desk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "clock/clock.h"
#include "crypto/crypto.h"

enum { BODY_MAX_BYTES = 16 << 20, TIMESTAMP_DIGITS_MAX = 12, STALE_AFTER_S = 300 };

struct body {
    char *bytes;
    size_t length;
};

static void close_file(FILE **file)
{
    if (*file && *file != stdin)
        (void)fclose(*file); /* it was only read */
}

static void free_body(struct body *body)
{
    free(body->bytes);
}

static void forget_secret(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
}

static int read_body(const char *path, struct body *out, struct error *err)
{
    AUTO(close_file) FILE *file = path ? fopen(path, "rb") : stdin;
    if (!file)
        return error_set(err, ERROR_SYSTEM, "cannot read '%s': %s", path, strerror(errno));
    out->bytes = malloc(BODY_MAX_BYTES + 1);
    if (!out->bytes)
        return error_set(err, ERROR_SYSTEM, "no memory for the body");
    out->length = fread(out->bytes, 1, BODY_MAX_BYTES + 1, file);
    if (ferror(file))
        return error_set(err, ERROR_SYSTEM, "cannot read the body: %s", strerror(errno));
    if (out->length > BODY_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the body is longer than %d bytes: it is none of ours",
                         BODY_MAX_BYTES);
    return 0;
}

/* --- what was given --- */

static int check_timestamp(const char *text, int64_t *at_s, struct error *err)
{
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > TIMESTAMP_DIGITS_MAX || strspn(text, "0123456789") != length)
        return error_set(err, ERROR_INVALID,
                         "--timestamp is the header X-Desk-Timestamp: seconds since 1970, digits "
                         "alone");
    *at_s = strtoll(text, NULL, 10);
    return 0;
}

static int check_signature(const char *text, uint8_t out[static CRYPTO_SHA256_BYTES],
                           struct error *err)
{
    static const char prefix[] = "sha256=";
    const char *hex =
        text && strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : "";
    if (!crypto_unhex(hex, strlen(hex), out, CRYPTO_SHA256_BYTES))
        return error_set(err, ERROR_INVALID,
                         "--signature is the header X-Desk-Signature-256: sha256= and 64 hex "
                         "digits");
    return 0;
}

static bool is_genuine(const char *secret, const char *timestamp, const struct body *body,
                       const uint8_t given[static CRYPTO_SHA256_BYTES])
{
    uint8_t wanted[CRYPTO_SHA256_BYTES];
    struct hmac *mac = hmac_new(secret, strlen(secret));
    hmac_update(mac, timestamp, strlen(timestamp));
    hmac_update(mac, ".", 1);
    hmac_update(mac, body->bytes, body->length);
    hmac_finish(mac, wanted);
    hmac_destroy(&mac);
    return crypto_equal(given, wanted, sizeof wanted);
}

/* --- the answer --- */

static int say(const struct command_line *line, bool is_good, int64_t at_s)
{
    char at[CLOCK_TEXT_BYTES];
    int64_t age_s = clock_unix_ms() / 1000 - at_s;
    clock_format_rfc3339(at_s * 1000, at);
    if (line->is_json) {
        json_t *answer =
            json_pack("{s:b, s:s, s:I}", "genuine", is_good, "at", at, "age_s", (json_int_t)age_s);
        int code = command_print_json(answer);
        json_decref(answer);
        if (code != 0)
            return code;
    } else if (is_good) {
        (void)printf("genuine: signed %s with this secret\n", at);
    }
    if (!is_good) {
        (void)fprintf(stderr, "desg: not genuine: another secret, another timestamp, or the body "
                              "is not byte for byte what was sent\n");
        return EXIT_REFUSED;
    }
    if (age_s > STALE_AFTER_S || age_s < -STALE_AFTER_S)
        (void)fprintf(stderr,
                      "desg: %" PRId64 " s old: a receiver refuses what is older than %d s\n",
                      age_s, STALE_AFTER_S);
    return 0;
}

int command_verify(const struct command_line *line)
{
    struct error err = { 0 };
    uint8_t given[CRYPTO_SHA256_BYTES];
    int64_t at_s = 0;
    AUTO(forget_secret) char *secret = NULL;
    AUTO(free_body) struct body body = { 0 };
    if (!line->secret_file)
        (void)error_set(&err, ERROR_INVALID, "--secret-file is missing: the file with the secret");
    if (!line->secret_file || check_timestamp(line->timestamp, &at_s, &err) != 0 ||
        check_signature(line->signature, given, &err) != 0)
        return command_usage(&err);
    secret = config_read_secret("--secret-file", line->secret_file, &err);
    if (!secret || read_body(line->word_count > 0 ? line->words[0] : NULL, &body, &err) != 0)
        return command_fail(&err);
    return say(line, is_genuine(secret, line->timestamp, &body, given), at_s);
}
