#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "notify/callback_message.h"

enum { NOW_S = 1790000000 };

static const char BODY[] = "{\"alert\":\"00112233445566778899aabbccddeeff\"}";

static void sign(const char *secret, const char *timestamp, const char *body, char out[static 96])
{
    char signed_text[512];
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    int length = snprintf(signed_text, sizeof signed_text, "%s.%s", timestamp, body);
    crypto_hmac_sha256(secret, strlen(secret), signed_text, (size_t)length, mac);
    crypto_hex(mac, sizeof mac, hex);
    (void)snprintf(out, 96, "sha256=%s", hex);
}

static enum callback_trust check(const char *timestamp, const char *signature)
{
    static const char *const secrets[] = { "old-secret", "new-secret" };
    return callback_check(secrets, 2, timestamp, signature, BODY, strlen(BODY),
                          (int64_t)NOW_S * 1000);
}

static void either_secret_is_good(void **state)
{
    (void)state;
    char signature[96];
    sign("old-secret", "1790000000", BODY, signature);
    assert_int_equal(check("1790000000", signature), CALLBACK_GENUINE);
    sign("new-secret", "1790000000", BODY, signature);
    assert_int_equal(check("1790000000", signature), CALLBACK_GENUINE);
    sign("other-secret", "1790000000", BODY, signature);
    assert_int_equal(check("1790000000", signature), CALLBACK_FORGED);
}

static void five_minutes_either_way(void **state)
{
    static const struct {
        const char *timestamp;
        enum callback_trust trust;
    } cases[] = {
        { "1790000300", CALLBACK_GENUINE },
        { "1789999700", CALLBACK_GENUINE },
        { "1790000301", CALLBACK_STALE },
        { "1789999699", CALLBACK_STALE },
        { "0", CALLBACK_STALE },
        { "999999999999", CALLBACK_STALE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char signature[96];
        sign("new-secret", cases[i].timestamp, BODY, signature);
        if (check(cases[i].timestamp, signature) != cases[i].trust)
            fail_msg("timestamp %s", cases[i].timestamp);
    }
}

static void timestamp_and_body_are_both_signed(void **state)
{
    (void)state;
    char signature[96];
    sign("new-secret", "1790000000", BODY, signature);
    assert_int_equal(check("1790000001", signature), CALLBACK_FORGED);
    sign("new-secret", "1790000000", "{\"alert\":\"another\"}", signature);
    assert_int_equal(check("1790000000", signature), CALLBACK_FORGED);
}

static void malformed_headers_are_no_signature(void **state)
{
    static const char *const timestamps[] = { "",     "now",  "-1", "1790000000.5",
                                              "0x10", "12 3", " 1", "9999999999999" };
    static const char *const signatures[] = {
        "",
        "sha256=",
        "sha256=zz",
        "sha1=0011",
        "0011",
        "sha256=00000000000000000000000000000000000000000000000000000000000000000",
        "sha256=000000000000000000000000000000000000000000000000000000000000000",
    };
    (void)state;
    char good[96];
    sign("new-secret", "1790000000", BODY, good);
    assert_int_equal(check(NULL, good), CALLBACK_UNSIGNED);
    assert_int_equal(check("1790000000", NULL), CALLBACK_UNSIGNED);
    for (size_t i = 0; i < sizeof timestamps / sizeof timestamps[0]; i++)
        assert_int_equal(check(timestamps[i], good), CALLBACK_UNSIGNED);
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
        assert_int_equal(check("1790000000", signatures[i]), CALLBACK_UNSIGNED);
}

static void reads_an_acknowledgement_and_an_outcome(void **state)
{
    (void)state;
    struct callback_message message;
    struct error err = { 0 };
    static const char acknowledged[] =
        "{\"alert\":\"00112233445566778899AABBCCDDEEFF\",\"action\":\"acknowledged\","
        "\"dispatcher\":\"D. Prawf\",\"log_number\":345,\"outcome\":\"ignored here\",\"at\":1,"
        "\"more\":{}}";
    assert_int_equal(callback_parse(acknowledged, strlen(acknowledged), &message, &err), 0);
    assert_false(message.is_outcome);
    assert_string_equal(message.dispatcher, "D. Prawf");
    assert_string_equal(message.log_number, "345");
    assert_string_equal(message.outcome, "");
    assert_int_equal(message.alert.bytes[15], 0xff);
    static const char outcome[] =
        "{\"key\":\"00112233445566778899aabbccddeeff.v1\",\"action\":\"outcome\","
        "\"dispatcher\":\"D. Prawf\",\"outcome\":\"uned wedi ei hanfon\"}";
    assert_int_equal(callback_parse(outcome, strlen(outcome), &message, &err), 0);
    assert_true(message.is_outcome);
    assert_string_equal(message.outcome, "uned wedi ei hanfon");
    assert_int_equal(message.alert.bytes[0], 0);
}

#define ID_FIELD "\"alert\":\"00112233445566778899aabbccddeeff\""

static void refuses_what_is_no_such_message(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "null",
        "{",
        "{}",
        "{" ID_FIELD "}",
        "{" ID_FIELD ",\"action\":\"acknowledged\"}", /* by nobody */
        "{" ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":\"\"}",
        "{" ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":{}}",
        "{" ID_FIELD ",\"action\":\"closed\",\"dispatcher\":\"D\"}",
        "{" ID_FIELD ",\"action\":\"outcome\",\"dispatcher\":\"D\"}", /* which? */
        "{" ID_FIELD "," ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":\"D\"}",
        "{\"action\":\"acknowledged\",\"dispatcher\":\"D\"}",
        "{\"alert\":\"0011\",\"action\":\"acknowledged\",\"dispatcher\":\"D\"}",
        "{\"alert\":\"00112233445566778899aabbccddeeffv1\",\"action\":\"acknowledged\","
        "\"dispatcher\":\"D\"}",
        "{\"alert\":17,\"action\":\"acknowledged\",\"dispatcher\":\"D\"}",
        "{" ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":\"\xff\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct callback_message message = { .is_outcome = true };
        struct error err = { 0 };
        if (callback_parse(cases[i], strlen(cases[i]), &message, &err) == 0)
            fail_msg("accepted: %s", cases[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_true(message.is_outcome); /* untouched */
    }
}

static void refuses_words_that_are_too_long(void **state)
{
    (void)state;
    char body[1024];
    char name[CALLBACK_DISPATCHER_BYTES + 1];
    struct callback_message message;
    struct error err = { 0 };
    memset(name, 'd', sizeof name);
    name[CALLBACK_DISPATCHER_BYTES] = '\0';
    int length = snprintf(body, sizeof body,
                          "{" ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":\"%s\"}", name);
    assert_int_equal(callback_parse(body, (size_t)length, &message, &err), -1);
    name[CALLBACK_DISPATCHER_BYTES - 1] = '\0';
    length = snprintf(body, sizeof body,
                      "{" ID_FIELD ",\"action\":\"acknowledged\",\"dispatcher\":\"%s\"}", name);
    assert_int_equal(callback_parse(body, (size_t)length, &message, &err), 0);
    assert_null(strstr(err.text, "ddd")); /* names stay out of error texts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_secret_is_good),
        cmocka_unit_test(five_minutes_either_way),
        cmocka_unit_test(timestamp_and_body_are_both_signed),
        cmocka_unit_test(malformed_headers_are_no_signature),
        cmocka_unit_test(reads_an_acknowledgement_and_an_outcome),
        cmocka_unit_test(refuses_what_is_no_such_message),
        cmocka_unit_test(refuses_words_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
