#include "notify/callback_message.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "crypto/crypto.h"

enum { TIMESTAMP_DIGITS_MAX = 12 };

static bool timestamp_of(const char *text, int64_t *unix_ms)
{
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > TIMESTAMP_DIGITS_MAX || strspn(text, "0123456789") != length)
        return false;
    *unix_ms = (int64_t)strtoll(text, NULL, 10) * 1000;
    return true;
}

static bool signature_of(const char *text, uint8_t mac[static CRYPTO_SHA256_BYTES])
{
    static const char prefix[] = "sha256=";
    if (!text || strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *hex = text + sizeof prefix - 1;
    return crypto_unhex(hex, strlen(hex), mac, CRYPTO_SHA256_BYTES);
}

enum callback_trust callback_check(const char *const *secrets, size_t secret_count,
                                   const char *timestamp, const char *signature, const void *body,
                                   size_t length, int64_t now_unix_ms)
{
    int64_t at_ms = 0;
    uint8_t given[CRYPTO_SHA256_BYTES];
    if (!timestamp_of(timestamp, &at_ms) || !signature_of(signature, given))
        return CALLBACK_UNSIGNED;
    bool is_genuine = false;
    for (size_t i = 0; i < secret_count; i++) { /* each one: time tells nothing of which */
        uint8_t wanted[CRYPTO_SHA256_BYTES];
        struct hmac *mac = hmac_new(secrets[i], strlen(secrets[i]));
        hmac_update(mac, timestamp, strlen(timestamp));
        hmac_update(mac, ".", 1);
        hmac_update(mac, body, length);
        hmac_finish(mac, wanted);
        hmac_destroy(&mac);
        is_genuine |= crypto_equal(given, wanted, sizeof wanted);
    }
    if (!is_genuine)
        return CALLBACK_FORGED;
    int64_t difference_ms = now_unix_ms > at_ms ? now_unix_ms - at_ms : at_ms - now_unix_ms;
    return difference_ms > CALLBACK_CLOCK_DIFFERENCE_MS ? CALLBACK_STALE : CALLBACK_GENUINE;
}

/* An absent word is ""; a number is taken as its digits. */
static int take_word(const json_t *message, const char *name, char *out, size_t out_bytes,
                     struct error *err)
{
    const json_t *value = json_object_get(message, name);
    if (!value || json_is_null(value)) {
        out[0] = '\0';
        return 0;
    }
    if (json_is_integer(value)) {
        (void)snprintf(out, out_bytes, "%lld", (long long)json_integer_value(value));
        return 0;
    }
    if (!json_is_string(value))
        return error_set(err, ERROR_INVALID, "%s is not a text", name);
    if (json_string_length(value) >= out_bytes)
        return error_set(err, ERROR_INVALID, "%s is longer than %zu bytes", name, out_bytes - 1);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return 0;
}

/* An alert id, or any key we posted under: "<alert id>.v1". */
static int take_alert(const json_t *message, struct id *out, struct error *err)
{
    const char *text = json_string_value(json_object_get(message, "alert"));
    if (!text)
        text = json_string_value(json_object_get(message, "key"));
    char id[ID_TEXT_BYTES] = "";
    if (text && strlen(text) >= ID_TEXT_BYTES - 1 &&
        (text[ID_TEXT_BYTES - 1] == '\0' || text[ID_TEXT_BYTES - 1] == '.'))
        memcpy(id, text, ID_TEXT_BYTES - 1);
    if (id_parse(id, out) != 0)
        return error_set(err, ERROR_INVALID, "alert is not an alert id or key");
    return 0;
}

static int read_message(const json_t *message, struct callback_message *out, struct error *err)
{
    const char *action = json_string_value(json_object_get(message, "action"));
    if (!action || (strcmp(action, "acknowledged") != 0 && strcmp(action, "outcome") != 0))
        return error_set(err, ERROR_INVALID, "action is neither acknowledged nor outcome");
    out->is_outcome = strcmp(action, "outcome") == 0;
    if (take_alert(message, &out->alert, err) != 0 ||
        take_word(message, "dispatcher", out->dispatcher, sizeof out->dispatcher, err) != 0 ||
        take_word(message, "log_number", out->log_number, sizeof out->log_number, err) != 0 ||
        take_word(message, "outcome", out->outcome, sizeof out->outcome, err) != 0)
        return -1;
    if (out->dispatcher[0] == '\0')
        return error_set(err, ERROR_INVALID, "dispatcher is missing: somebody must own it by name");
    if (out->is_outcome && out->outcome[0] == '\0')
        return error_set(err, ERROR_INVALID, "outcome is missing");
    if (!out->is_outcome)
        out->outcome[0] = '\0';
    return 0;
}

int callback_parse(const char *body, size_t length, struct callback_message *out, struct error *err)
{
    struct callback_message message = { 0 };
    json_t *parsed = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
    int rc = json_is_object(parsed) ? read_message(parsed, &message, err)
                                    : error_set(err, ERROR_INVALID, "the body is no JSON object");
    json_decref(parsed);
    if (rc == 0)
        *out = message;
    return rc;
}
