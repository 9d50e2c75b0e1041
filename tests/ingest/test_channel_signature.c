/* Who is genuine: signatures, rotation, handshakes. Vectors were made with openssl for these tests'
 * invented secrets. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "ingest/channel.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char meta_body[] =
    "{\"object\":\"page\",\"entry\":[{\"id\":\"1\",\"time\":1770832921123,\"messaging\":[{"
    "\"sender\":{\"id\":\"2\"},\"recipient\":{\"id\":\"1\"},\"timestamp\":1770832920874,"
    "\"message\":{\"mid\":\"m_1\",\"text\":\"d\\u0175r \\ud83c\\udf0a\"}}]}]}";
#define META_HEX "752c1261efbbc8ab49ad59d56707a0ad4f220f1a26f026292773b47c4b20467e"
static const char x_body[] = "{\"for_user_id\":\"3001\",\"tweet_create_events\":[]}";
#define X_BASE64 "nCrBne7J+m7RPvDiosMvx0NUu6/RPtVohC6P4icR2jI="

static struct channel_secret secret(const char *text)
{
    return (struct channel_secret){ .bytes = (char *)text, .length = strlen(text) };
}

static struct channel channel_of(const struct channel_adapter *adapter, const char *only)
{
    return (struct channel){ .name = "t",
                             .path = "/t",
                             .adapter = adapter,
                             .secrets = { secret(only) },
                             .secret_count = 1,
                             .verify_token = (char *)"desk-verify-77" };
}

struct pair {
    const char *name;
    const char *value;
};
struct pairs {
    struct pair pair[4];
};

static const char *find_header(const void *arg, const char *name, bool *is_repeated)
{
    const struct pairs *pairs = arg;
    const char *found = NULL;
    *is_repeated = false;
    for (size_t i = 0; i < COUNT(pairs->pair); i++) {
        if (!pairs->pair[i].name || strcasecmp(pairs->pair[i].name, name) != 0)
            continue;
        *is_repeated = found != NULL;
        found = pairs->pair[i].value;
    }
    return *is_repeated ? NULL : found;
}

static const char *find_query(const void *arg, const char *name)
{
    bool is_repeated = false;
    return find_header(arg, name, &is_repeated);
}

static struct channel_request request_of(const struct pairs *pairs, const char *body)
{
    return (struct channel_request){ .header = find_header,
                                     .query = find_query,
                                     .arg = pairs,
                                     .body = (const uint8_t *)body,
                                     .body_bytes = strlen(body),
                                     .now_unix_ms = INT64_C(1770833000000) };
}

static enum channel_check check(const struct channel *channel, const struct pairs *pairs,
                                const char *body)
{
    char submission_id[CHANNEL_SUBMISSION_MAX_BYTES + 1] = "";
    const struct channel_request request = request_of(pairs, body);
    return channel->adapter->verify(channel, &request, submission_id);
}

static enum channel_check check_meta(const char *value)
{
    const struct channel channel = channel_of(&channel_meta, "app-secret-for-docs");
    const struct pairs pairs = { { { "x-hub-signature-256", value } } };
    return check(&channel, &pairs, meta_body);
}

static void takes_metas_vector(void **state)
{
    (void)state;
    assert_int_equal(check_meta("sha256=" META_HEX), CHANNEL_GENUINE);
    assert_int_equal(check_meta(" \tsha256=" META_HEX " "), CHANNEL_GENUINE);
}

static void refuses_every_other_meta_signature(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum channel_check check;
    } cases[] = {
        { "", CHANNEL_SIGNATURE_MALFORMED },
        { "sha256=", CHANNEL_SIGNATURE_MALFORMED },
        { META_HEX, CHANNEL_SIGNATURE_MALFORMED },
        { "sha1=" META_HEX, CHANNEL_SIGNATURE_MALFORMED },
        { "SHA256=" META_HEX, CHANNEL_SIGNATURE_MALFORMED },
        { "sha256=" META_HEX "0", CHANNEL_SIGNATURE_MALFORMED },
        { "sha256=" META_HEX " x", CHANNEL_SIGNATURE_MALFORMED },
        { "sha256=752C1261EFBBC8AB49AD59D56707A0AD4F220F1A26F026292773B47C4B20467E",
          CHANNEL_SIGNATURE_MALFORMED },
        { "sha256=852c1261efbbc8ab49ad59d56707a0ad4f220f1a26f026292773b47c4b20467e",
          CHANNEL_SIGNATURE_WRONG },
        { "sha256=752c1261efbbc8ab49ad59d56707a0ad4f220f1a26f026292773b47c4b20467f",
          CHANNEL_SIGNATURE_WRONG },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(check_meta(cases[i].value), cases[i].check);
    const struct channel channel = channel_of(&channel_meta, "app-secret-for-docs");
    const struct pairs none = { 0 };
    assert_int_equal(check(&channel, &none, meta_body), CHANNEL_SIGNATURE_MISSING);
    const struct pairs twice = { { { "X-Hub-Signature-256", "sha256=" META_HEX },
                                   { "X-Hub-Signature-256", "sha256=" META_HEX } } };
    assert_int_equal(check(&channel, &twice, meta_body), CHANNEL_SIGNATURE_MALFORMED);
}

static void takes_xs_vector_and_no_hex(void **state)
{
    (void)state;
    const struct channel channel = channel_of(&channel_x, "consumer-secret-for-docs");
    const struct pairs good = { { { "X-Twitter-Webhooks-Signature", "sha256=" X_BASE64 } } };
    assert_int_equal(check(&channel, &good, x_body), CHANNEL_GENUINE);
    assert_int_equal(check(&channel, &good, "{}"), CHANNEL_SIGNATURE_WRONG);
    const struct pairs hex = { { { "X-Twitter-Webhooks-Signature", "sha256=" META_HEX } } };
    assert_int_equal(check(&channel, &hex, x_body), CHANNEL_SIGNATURE_MALFORMED);
    const struct pairs none = { 0 };
    assert_int_equal(check(&channel, &none, x_body), CHANNEL_SIGNATURE_MISSING);
}

static void takes_either_secret_while_one_is_rotated(void **state)
{
    (void)state;
    struct channel channel = channel_of(&channel_meta, "the-next-secret");
    const struct pairs pairs = { { { "X-Hub-Signature-256", "sha256=" META_HEX } } };
    assert_int_equal(check(&channel, &pairs, meta_body), CHANNEL_SIGNATURE_WRONG);
    channel.secrets[1] = secret("app-secret-for-docs");
    channel.secret_count = 2;
    assert_int_equal(check(&channel, &pairs, meta_body), CHANNEL_GENUINE);
    struct channel x = channel_of(&channel_x, "the-next-secret");
    x.secrets[1] = secret("consumer-secret-for-docs");
    x.secret_count = 2;
    const struct pairs x_pairs = { { { "X-Twitter-Webhooks-Signature", "sha256=" X_BASE64 } } };
    assert_int_equal(check(&x, &x_pairs, x_body), CHANNEL_GENUINE);
}

static const char *sign_web(const char *timestamp, const char *body)
{
    static char value[7 + 64 + 1] = "sha256=";
    char signed_text[512];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    (void)snprintf(signed_text, sizeof signed_text, "%s.%s", timestamp, body);
    crypto_hmac_sha256("web-secret", 10, signed_text, strlen(signed_text), digest);
    crypto_hex(digest, sizeof digest, value + 7);
    return value;
}

static enum channel_check check_web(const char *timestamp, const char *signed_timestamp,
                                    const char *key, char *submission_id)
{
    const struct channel channel = channel_of(&channel_web, "web-secret");
    const struct pairs pairs = { {
        { timestamp ? "X-Desk-Timestamp" : NULL, timestamp },
        { "X-Desk-Signature-256", sign_web(signed_timestamp, "{}") },
        { key ? "Idempotency-Key" : NULL, key },
    } };
    const struct channel_request request = request_of(&pairs, "{}");
    submission_id[0] = '\0';
    return channel.adapter->verify(&channel, &request, submission_id);
}

static void the_web_form_signs_its_time(void **state)
{
    (void)state;
    static const struct {
        const char *timestamp, *signed_timestamp;
        enum channel_check check;
    } cases[] = {
        { "1770833000", "1770833000", CHANNEL_GENUINE },
        { "1770832700", "1770832700", CHANNEL_GENUINE },         /* five minutes ago */
        { "1770833300", "1770833300", CHANNEL_GENUINE },         /* five minutes ahead */
        { "1770832699", "1770832699", CHANNEL_TIMESTAMP_STALE }, /* recorded and sent again */
        { "1770833301", "1770833301", CHANNEL_TIMESTAMP_STALE },
        { "1770833000", "1770832000", CHANNEL_SIGNATURE_WRONG }, /* its time changed */
        { "1770833000000000", "1770833000000000", CHANNEL_SIGNATURE_MALFORMED },
        { "-1770833000", "-1770833000", CHANNEL_SIGNATURE_MALFORMED },
        { "", "", CHANNEL_SIGNATURE_MALFORMED },
        { NULL, "1770833000", CHANNEL_SIGNATURE_MISSING },
    };
    char submission_id[CHANNEL_SUBMISSION_MAX_BYTES + 1];
    for (size_t i = 0; i < COUNT(cases); i++)
        if (check_web(cases[i].timestamp, cases[i].signed_timestamp, NULL, submission_id) !=
            cases[i].check)
            fail_msg("case %zu", i);
}

static void a_submission_is_named_by_its_key_or_by_us(void **state)
{
    (void)state;
    static const char now[] = "1770833000";
    char first[CHANNEL_SUBMISSION_MAX_BYTES + 1];
    char second[CHANNEL_SUBMISSION_MAX_BYTES + 1];
    assert_int_equal(check_web(now, now, "\"key-1\"", first), CHANNEL_GENUINE);
    assert_string_equal(first, "key-1");
    assert_int_equal(check_web(now, now, "key-1", second), CHANNEL_GENUINE);
    assert_string_equal(second, "key-1");
    assert_int_equal(check_web(now, now, NULL, first), CHANNEL_GENUINE);
    assert_int_equal(check_web(now, now, NULL, second), CHANNEL_GENUINE);
    assert_int_equal(strlen(first), 32);
    assert_string_not_equal(first, second);
    static const char *const bad[] = { "", "\"\"", "a b", "a\"b", "\xc3\xa4" };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(check_web(now, now, bad[i], first), CHANNEL_KEY_MALFORMED);
    char long_key[CHANNEL_SUBMISSION_MAX_BYTES + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    assert_int_equal(check_web(now, now, long_key, first), CHANNEL_KEY_MALFORMED);
}

static struct channel_answer shake(const struct channel *channel, struct pairs query)
{
    struct channel_answer answer = { 0 };
    const struct channel_request request = request_of(&query, "");
    channel->adapter->handshake(channel, &request, &answer);
    return answer;
}

static void metas_check_is_echoed_to_who_knows_the_token(void **state)
{
    (void)state;
    struct channel channel = channel_of(&channel_meta, "s");
    static const struct {
        const char *mode, *token, *challenge;
        unsigned status;
    } cases[] = {
        { "subscribe", "desk-verify-77", "1158201444", 200 },
        { "subscribe", "desk-verify-78", "1158201444", 403 },
        { "subscribe", "", "1158201444", 403 },
        { "unsubscribe", "desk-verify-77", "1158201444", 403 },
        { NULL, "desk-verify-77", "1158201444", 403 },
        { "subscribe", NULL, "1158201444", 403 },
        { "subscribe", "desk-verify-77", NULL, 400 },
        { "subscribe", "desk-verify-77", "", 400 },
        { "subscribe", "desk-verify-77", "<script>", 400 },
        { "subscribe", "desk-verify-77", "a b", 400 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct channel_answer answer =
            shake(&channel, (struct pairs){ { { "hub.mode", cases[i].mode },
                                              { "hub.verify_token", cases[i].token },
                                              { "hub.challenge", cases[i].challenge } } });
        if (answer.status != cases[i].status)
            fail_msg("case %zu: %u", i, answer.status);
        assert_string_equal(answer.text, answer.status == 200 ? "1158201444" : "");
    }
    channel.verify_token = NULL; /* none configured: nobody is let in */
    const struct channel_answer answer =
        shake(&channel, (struct pairs){ { { "hub.mode", "subscribe" },
                                          { "hub.verify_token", "" },
                                          { "hub.challenge", "1" } } });
    assert_int_equal(answer.status, 403);
}

static void xs_challenge_is_signed_with_the_current_secret(void **state)
{
    (void)state;
    struct channel channel = channel_of(&channel_x, "consumer-secret-for-docs");
    channel.secrets[1] = secret("the-old-secret");
    channel.secret_count = 2;
    const struct channel_answer answer =
        shake(&channel, (struct pairs){ { { "crc_token", "crc-7f3a" } } });
    assert_int_equal(answer.status, 200);
    assert_string_equal(
        answer.text,
        "{\"response_token\":\"sha256=Z7eKRBIehXmQ41l5bWZ39d2EA9T7SUUsOOioT0byI0Q=\"}");
}

static void xs_challenge_never_signs_what_could_be_a_body(void **state)
{
    (void)state;
    const struct channel channel = channel_of(&channel_x, "consumer-secret-for-docs");
    char long_token[258];
    memset(long_token, 'a', sizeof long_token - 1);
    long_token[sizeof long_token - 1] = '\0';
    const char *const bad[] = { NULL,  "",          x_body, "{}",       "[1]", "\"x\"",
                                "a b", "a&nonce=1", "a\nb", long_token, "a:b" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct channel_answer answer =
            shake(&channel, (struct pairs){ { { bad[i] ? "crc_token" : NULL, bad[i] } } });
        if (answer.status != 400 || answer.text[0] != '\0')
            fail_msg("case %zu: %u", i, answer.status);
    }
}

/* Anybody may ask for the signature of a challenge: it proves nothing of a body that could be one.
 */
static void a_signed_challenge_is_no_signature_of_a_body(void **state)
{
    (void)state;
    const struct channel channel = channel_of(&channel_x, "consumer-secret-for-docs");
    static const char *const tokens[] = { "crc-7f3a", "help.bomb-at-the-school", "12345" };
    for (size_t i = 0; i < COUNT(tokens); i++) {
        const struct channel_answer answer =
            shake(&channel, (struct pairs){ { { "crc_token", tokens[i] } } });
        assert_int_equal(answer.status, 200);
        char signature[64] = "";
        assert_int_equal(sscanf(answer.text, "{\"response_token\":\"%63[^\"]", signature), 1);
        const struct pairs pairs = { { { "x-twitter-webhooks-signature", signature } } };
        assert_int_equal(check(&channel, &pairs, tokens[i]), CHANNEL_SIGNATURE_WRONG);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_channel_reads_its_secrets_or_does_not_exist(void **state)
{
    (void)state;
    char folder[] = "/tmp/desg-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    (void)snprintf(path, sizeof path, "%s/secret", folder);
    write_file(path, "app-secret-for-docs\n");
    char *files[] = { path };
    struct ingest_channel_config config = { .name = (char *)"facebook",
                                            .adapter = (char *)"meta",
                                            .path = (char *)"/hooks/facebook",
                                            .secret_files = files,
                                            .secret_files_count = 1 };
    struct error err = { 0 };
    struct channel *channel = channel_new(&config, &err);
    assert_non_null(channel);
    const struct pairs pairs = { { { "X-Hub-Signature-256", "sha256=" META_HEX } } };
    assert_int_equal(check(channel, &pairs, meta_body), CHANNEL_GENUINE);
    channel_destroy(&channel);
    assert_null(channel);

    config.secret_files_count = 0;
    assert_null(channel_new(&config, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "facebook"));
    config.secret_files_count = 1;
    write_file(path, "\n");
    assert_null(channel_new(&config, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_null(channel_new(&config, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    config.adapter = (char *)"telegram";
    assert_null(channel_new(&config, &err));
    assert_non_null(strstr(err.text, "telegram"));
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_metas_vector),
        cmocka_unit_test(refuses_every_other_meta_signature),
        cmocka_unit_test(takes_xs_vector_and_no_hex),
        cmocka_unit_test(takes_either_secret_while_one_is_rotated),
        cmocka_unit_test(the_web_form_signs_its_time),
        cmocka_unit_test(a_submission_is_named_by_its_key_or_by_us),
        cmocka_unit_test(metas_check_is_echoed_to_who_knows_the_token),
        cmocka_unit_test(xs_challenge_is_signed_with_the_current_secret),
        cmocka_unit_test(xs_challenge_never_signs_what_could_be_a_body),
        cmocka_unit_test(a_signed_challenge_is_no_signature_of_a_body),
        cmocka_unit_test(a_channel_reads_its_secrets_or_does_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
