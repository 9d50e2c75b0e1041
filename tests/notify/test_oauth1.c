/* OAuth 1.0a against published vectors: RFC 5849's examples, X's own worked example for each host
 * name it was ever printed with, and one with Welsh letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/oauth1.h"
#include "notify/percent.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* RFC 5849, section 3.4.1.1. */
static void joins_what_the_rfc_joins(void **state)
{
    (void)state;
    const struct oauth1_keys keys = { .consumer_key = "9djdj82h48djs9d2",
                                      .consumer_secret = "",
                                      .token = "kkk9d7dh3k39sjv7",
                                      .nonce = "7d8f3e4a",
                                      .timestamp_s = 137131201 };
    const struct oauth1_request request = {
        .method = "POST",
        .url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
        .form = "c2&a3=2+q",
    };
    struct error err = { 0 };
    char *base = oauth1_base_string(&keys, &request, &err);
    assert_non_null(base);
    assert_string_equal(
        base, "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D"
              "%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_"
              "nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201"
              "%26oauth_token%3Dkkk9d7dh3k39sjv7");
    free(base);
}

static const struct oauth1_keys x_keys = {
    .consumer_key = "xvz1evFS4wEEPTGEFPHBog",
    .consumer_secret = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    .token = "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    .token_secret = "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    .nonce = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
    .timestamp_s = 1318622958,
    .version = "1.0",
};
#define X_FORM "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21"

static const struct oauth1_keys rfc_keys = {
    .consumer_key = "dpf43f3p2l4k3l03",
    .consumer_secret = "kd94hf93k423kf44",
    .token = "nnch734d00sl2jdk",
    .token_secret = "pfkkdhi9sl3r4s00",
    .nonce = "chapoH",
    .timestamp_s = 137131202,
};

static const struct oauth1_keys docs_keys = {
    .consumer_key = "ck-docs",
    .consumer_secret = "ck-secret",
    .token = "tk-docs",
    .token_secret = "tk-secret",
    .nonce = "nonce123",
    .timestamp_s = 1770833400,
    .version = "1.0",
};

static void signs_as_published(void **state)
{
    (void)state;
    static const struct {
        const struct oauth1_keys *keys;
        struct oauth1_request request;
        const char *signature;
    } cases[] = {
        { &rfc_keys, /* RFC 5849, section 1.2 */
          { "GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", NULL },
          "MdpQcU8iPSUjWoN/UDMsK2sui9I=" },
        { &x_keys,
          { "POST", "https://api.twitter.com/1/statuses/update.json?include_entities=true",
            X_FORM },
          "tnnArxj06cWHq44gCs1OSKk/jLY=" },
        { &x_keys,
          { "POST", "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
            X_FORM },
          "hCtSmYh+iHYCEqBWrE7C7hYmtUk=" },
        { &x_keys,
          { "POST", "https://api.x.com/1.1/statuses/update.json?include_entities=true", X_FORM },
          "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=" },
        { &docs_keys,
          { "POST", "https://api.example.com/1.1/x.json",
            "status=Ffordd+ar+gau%3a+A55+%2B+J11+(d%C5%B5r)+100%25!" },
          "bj6aifFOguw8qQPV2u1pzlpG6+A=" },
        { &docs_keys, /* the host's case and the port that goes without saying change nothing */
          { "POST", "HTTPS://API.example.com:443/1.1/x.json#part",
            "status=Ffordd%20ar%20gau%3A%20A55%20%2B%20J11%20%28d%C5%B5r%29%20100%25%21" },
          "bj6aifFOguw8qQPV2u1pzlpG6+A=" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char signature[OAUTH1_SIGNATURE_BYTES] = "";
        struct error err = { 0 };
        assert_int_equal(oauth1_sign(cases[i].keys, &cases[i].request, signature, &err), 0);
        assert_string_equal(signature, cases[i].signature);
    }
}

static void anything_else_signs_otherwise(void **state)
{
    (void)state;
    const struct oauth1_request request = { "POST", "https://api.example.com/1.1/x.json", "a=b" };
    struct oauth1_keys keys = docs_keys;
    struct oauth1_request other = request;
    struct error err = { 0 };
    char first[OAUTH1_SIGNATURE_BYTES];
    char second[OAUTH1_SIGNATURE_BYTES];
    assert_int_equal(oauth1_sign(&keys, &request, first, &err), 0);
#define DIFFERS(change, back)                                                                      \
    change;                                                                                        \
    assert_int_equal(oauth1_sign(&keys, &other, second, &err), 0);                                 \
    assert_string_not_equal(first, second);                                                        \
    back
    DIFFERS(keys.nonce = "n", keys.nonce = docs_keys.nonce);
    DIFFERS(keys.timestamp_s++, keys.timestamp_s--);
    DIFFERS(keys.token_secret = NULL, keys.token_secret = docs_keys.token_secret);
    DIFFERS(keys.consumer_secret = "", keys.consumer_secret = docs_keys.consumer_secret);
    DIFFERS(other.method = "GET", other.method = request.method);
    DIFFERS(other.form = NULL, other.form = request.form);
    DIFFERS(other.url = "https://api.example.com:8443/1.1/x.json", other.url = request.url);
#undef DIFFERS
    assert_int_equal(oauth1_sign(&keys, &other, second, &err), 0);
    assert_string_equal(first, second);
}

static void writes_the_header(void **state)
{
    (void)state;
    const struct oauth1_request request = {
        "GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", NULL
    };
    char header[512];
    struct error err = { 0 };
    assert_int_equal(oauth1_authorization(&rfc_keys, &request, header, sizeof header, &err), 0);
    assert_string_equal(header,
                        "OAuth oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_nonce=\"chapoH\", "
                        "oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", "
                        "oauth_token=\"nnch734d00sl2jdk\", "
                        "oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"");
    for (size_t bytes = 1; bytes <= strlen(header); bytes++) {
        char *small = malloc(bytes); /* so that a sanitizer sees one byte too many */
        assert_non_null(small);
        assert_int_equal(oauth1_authorization(&rfc_keys, &request, small, bytes, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_string_equal(small, "");
        free(small);
    }
}

static void refuses_too_much(void **state)
{
    (void)state;
    char url[256] = "https://api.example.com/?a=1";
    for (size_t i = 0, at = strlen(url); i < OAUTH1_PARAMETERS_MAX; i++, at += 4)
        memcpy(url + at, "&a=1", 5);
    const struct oauth1_request many = { "GET", url, NULL };
    const struct oauth1_request one = { "GET", "https://api.example.com/", NULL };
    char signature[OAUTH1_SIGNATURE_BYTES] = "untouched";
    struct error err = { 0 };
    assert_int_equal(oauth1_sign(&docs_keys, &many, signature, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    char secret[8192];
    memset(secret, 's', sizeof secret - 1);
    secret[sizeof secret - 1] = '\0';
    struct oauth1_keys keys = docs_keys;
    keys.consumer_secret = secret;
    assert_int_equal(oauth1_sign(&keys, &one, signature, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_string_equal(signature, "untouched");
}

static void percent_encodes_and_decodes(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "", "" },
        { "AZaz09-._~", "AZaz09-._~" },
        { " +/?&=%\"<>", "%20%2B%2F%3F%26%3D%25%22%3C%3E" },
        { "d\xc5\xb5r \xf0\x9f\x8c\x8a", "d%C5%B5r%20%F0%9F%8C%8A" },
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char text[64];
        assert_true(percent_encode(pairs[i][0], strlen(pairs[i][0]), text, sizeof text));
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(percent_decode(text, false), strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][0]);
        for (size_t bytes = 1; bytes <= strlen(pairs[i][1]); bytes++) {
            assert_false(percent_encode(pairs[i][0], strlen(pairs[i][0]), text, bytes));
            assert_string_equal(text, "");
        }
    }
    static const char *const odd[][2] = {
        { "%", "%" },     { "%4", "%4" }, { "%zz%41", "%zzA" },
        { "a+b", "a b" }, { "%2B", "+" }, { "%c5%b5", "\xc5\xb5" }
    };
    for (size_t i = 0; i < COUNT(odd); i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%s", odd[i][0]);
        assert_int_equal(percent_decode(text, true), strlen(odd[i][1]));
        assert_string_equal(text, odd[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_what_the_rfc_joins),
        cmocka_unit_test(signs_as_published),
        cmocka_unit_test(anything_else_signs_otherwise),
        cmocka_unit_test(writes_the_header),
        cmocka_unit_test(refuses_too_much),
        cmocka_unit_test(percent_encodes_and_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
