#include "notify/oauth1.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "notify/percent.h"

enum { TIMESTAMP_BYTES = 24, KEY_MAX_BYTES = 4096 };

/* A parameter, both encoded. */
struct parameter {
    char *name, *value;
};

struct parameters {
    struct parameter list[OAUTH1_PARAMETERS_MAX];
    size_t count;
};

static void parameters_clear(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->count; i++) {
        free(parameters->list[i].name);
        free(parameters->list[i].value);
    }
}

static char *encoded(const char *text, size_t length)
{
    size_t bytes = PERCENT_WORST * length + 1;
    char *out = malloc(bytes);
    if (!out || !percent_encode(text, length, out, bytes))
        abort();
    return out;
}

static int add(struct parameters *parameters, const char *name, size_t name_length,
               const char *value, size_t value_length, struct error *err)
{
    if (parameters->count == OAUTH1_PARAMETERS_MAX)
        return error_set(err, ERROR_INVALID, "a request has more than %d parameters",
                         OAUTH1_PARAMETERS_MAX);
    parameters->list[parameters->count++] =
        (struct parameter){ encoded(name, name_length), encoded(value, value_length) };
    return 0;
}

/* name=value, both as they travel; section 3.4.1.3.1 decodes both as form-urlencoded. */
static int add_pair(struct parameters *parameters, char *pair, struct error *err)
{
    char *value = strchr(pair, '=');
    if (value)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    size_t value_length = percent_decode(value, true);
    size_t name_length = percent_decode(pair, true);
    return add(parameters, pair, name_length, value, value_length, err);
}

static int add_pairs(struct parameters *parameters, const char *pairs, struct error *err)
{
    char *copy = strdup(pairs);
    if (!copy)
        abort();
    int rc = 0;
    char *rest = copy;
    for (char *pair; rc == 0 && (pair = strsep(&rest, "&")) != NULL;)
        if (*pair)
            rc = add_pair(parameters, pair, err);
    free(copy);
    return rc;
}

/* In the order in which the header is written. */
struct own_parameters {
    struct {
        const char *name, *value;
    } list[6];
    size_t count;
    char timestamp[TIMESTAMP_BYTES];
};

static void own_add(struct own_parameters *own, const char *name, const char *value)
{
    if (!value)
        return;
    own->list[own->count].name = name;
    own->list[own->count++].value = value;
}

static void own_of(const struct oauth1_keys *keys, struct own_parameters *own)
{
    own->count = 0;
    (void)snprintf(own->timestamp, sizeof own->timestamp, "%" PRId64, keys->timestamp_s);
    own_add(own, "oauth_consumer_key", keys->consumer_key);
    own_add(own, "oauth_nonce", keys->nonce);
    own_add(own, "oauth_signature_method", "HMAC-SHA1");
    own_add(own, "oauth_timestamp", own->timestamp);
    own_add(own, "oauth_token", keys->token);
    own_add(own, "oauth_version", keys->version);
}

static int compare(const void *a, const void *b)
{
    const struct parameter *one = a;
    const struct parameter *other = b;
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->value, other->value);
}

static int collect(const struct oauth1_keys *keys, const struct oauth1_request *request,
                   struct parameters *out, struct error *err)
{
    struct own_parameters own;
    own_of(keys, &own);
    for (size_t i = 0; i < own.count; i++)
        if (add(out, own.list[i].name, strlen(own.list[i].name), own.list[i].value,
                strlen(own.list[i].value), err) != 0)
            return -1;
    const char *query = strchr(request->url, '?');
    if ((query && add_pairs(out, query + 1, err) != 0) ||
        (request->form && add_pairs(out, request->form, err) != 0))
        return -1;
    qsort(out->list, out->count, sizeof out->list[0], compare);
    return 0;
}

/* The parameters joined, not yet encoded a second time. */
static char *joined(const struct parameters *parameters)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    for (size_t i = 0; i < parameters->count; i++)
        (void)fprintf(out, "%s%s=%s", i ? "&" : "", parameters->list[i].name,
                      parameters->list[i].value);
    if (fclose(out) != 0)
        abort();
    return text;
}

/* Section 3.4.1.2: scheme and host in lower case, without the port that goes without saying. */
static char *base_url(const char *url)
{
    char *base = strndup(url, strcspn(url, "?#"));
    if (!base)
        abort();
    char *host = strstr(base, "://");
    if (!host)
        return base;
    char *path = host + 3 + strcspn(host + 3, "/");
    for (char *at = base; at < path; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    const char *port = strncmp(base, "https", 5) == 0 ? ":443" : ":80";
    size_t length = strlen(port);
    if ((size_t)(path - host) > length && memcmp(path - length, port, length) == 0)
        memmove(path - length, path, strlen(path) + 1);
    return base;
}

char *oauth1_base_string(const struct oauth1_keys *keys, const struct oauth1_request *request,
                         struct error *err)
{
    struct parameters parameters = { 0 };
    char *text = NULL;
    if (collect(keys, request, &parameters, err) == 0) {
        char *url = base_url(request->url);
        char *pairs = joined(&parameters);
        char *encoded_url = encoded(url, strlen(url));
        char *encoded_pairs = encoded(pairs, strlen(pairs));
        if (asprintf(&text, "%s&%s&%s", request->method, encoded_url, encoded_pairs) < 0)
            abort();
        free(encoded_pairs);
        free(encoded_url);
        free(pairs);
        free(url);
    }
    parameters_clear(&parameters);
    return text;
}

int oauth1_sign(const struct oauth1_keys *keys, const struct oauth1_request *request,
                char out[static OAUTH1_SIGNATURE_BYTES], struct error *err)
{
    char *base = oauth1_base_string(keys, request, err);
    if (!base)
        return -1;
    const char *token_secret = keys->token_secret ? keys->token_secret : "";
    char *consumer = encoded(keys->consumer_secret, strlen(keys->consumer_secret));
    char *token = encoded(token_secret, strlen(token_secret));
    char *key = NULL;
    int length = asprintf(&key, "%s&%s", consumer, token);
    if (length < 0)
        abort();
    uint8_t mac[CRYPTO_SHA1_BYTES];
    int rc = 0;
    if (length > KEY_MAX_BYTES)
        rc = error_set(err, ERROR_INVALID, "the secrets of OAuth 1.0a are too long: %d bytes",
                       length);
    else
        crypto_hmac_sha1(key, (size_t)length, base, strlen(base), mac);
    if (rc == 0)
        crypto_base64(mac, sizeof mac, out);
    explicit_bzero(key, (size_t)length);
    explicit_bzero(consumer, strlen(consumer));
    explicit_bzero(token, strlen(token));
    free(key);
    free(consumer);
    free(token);
    free(base);
    return rc;
}

/* Appends name="value", encoded; false: it does not fit. */
static bool put(char *out, size_t bytes, const char *separator, const char *name, const char *value)
{
    size_t used = strlen(out);
    char *text = encoded(value, strlen(value));
    int length = snprintf(out + used, bytes - used, "%s%s=\"%s\"", separator, name, text);
    free(text);
    return length > 0 && (size_t)length < bytes - used;
}

int oauth1_authorization(const struct oauth1_keys *keys, const struct oauth1_request *request,
                         char *out, size_t bytes, struct error *err)
{
    struct own_parameters own;
    char signature[OAUTH1_SIGNATURE_BYTES];
    own_of(keys, &own);
    if (oauth1_sign(keys, request, signature, err) != 0)
        return -1;
    bool fits = (size_t)snprintf(out, bytes, "OAuth") < bytes;
    for (size_t i = 0; i < own.count && fits; i++)
        fits = put(out, bytes, i ? ", " : " ", own.list[i].name, own.list[i].value);
    if (fits && put(out, bytes, ", ", "oauth_signature", signature))
        return 0;
    out[0] = '\0';
    return error_set(err, ERROR_INVALID, "keys and token of OAuth 1.0a are longer than %zu bytes",
                     bytes);
}
