#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "desk/tokens.h"

static const char TOKEN[] = "0123456789abcdef0123456789abcdef0123456789";

static void digest_of(const char *token, char out[2 * CRYPTO_SHA256_BYTES + 1])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(token, strlen(token), digest);
    crypto_hex(digest, sizeof digest, out);
}

static struct tokens *parse_or_fail(const char *text)
{
    struct error err = { 0 };
    struct tokens *tokens = tokens_parse("tokens", text, &err);
    if (!tokens)
        fail_msg("%s", err.text);
    return tokens;
}

static void knows_a_holder_by_the_token_alone(void **state)
{
    (void)state;
    char text[512], digest[2 * CRYPTO_SHA256_BYTES + 1];
    digest_of(TOKEN, digest);
    (void)snprintf(text, sizeof text,
                   "# who may ask\n\n  %s\tdai.jones@desk agent,restricted # nights\n", digest);
    struct tokens *tokens = parse_or_fail(text);
    const struct token_holder *holder = tokens_find(tokens, TOKEN, strlen(TOKEN));
    assert_non_null(holder);
    assert_string_equal(holder->agent, "dai.jones@desk");
    assert_int_equal(holder->roles, ROLE_AGENT | ROLE_RESTRICTED);
    assert_null(tokens_find(tokens, TOKEN, strlen(TOKEN) - 1));
    assert_null(
        tokens_find(tokens, digest, strlen(digest))); /* what is in the file opens nothing */
    assert_null(tokens_find(tokens, "", 0));
    tokens_destroy(&tokens);
    assert_null(tokens);
}

static void refuses_and_says_what_to_write(void **state)
{
    (void)state;
    char digest[2 * CRYPTO_SHA256_BYTES + 1], twice[512], text[512];
    digest_of(TOKEN, digest);
    (void)snprintf(twice, sizeof twice, "%s a agent\n%s b agent\n", digest, digest);
    static const char *const cases[][2] = {
        { "", "no token" },
        { "# nothing\n", "no token" },
        { "abc dai agent\n", "SHA-256" },
        { "%s\n", "name" },
        { "%s dai\n", "roles" },
        { "%s dai boss\n", "roles" },
        { "%s dai agent,,boss\n", "roles" },
        { "%s dai agent extra\n", "roles" },
        { "%s d/ai agent\n", "name" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        const char *mark = strstr(cases[i][0], "%s");
        (void)snprintf(text, sizeof text, "%s%s", mark ? digest : "",
                       mark ? mark + 2 : cases[i][0]);
        struct tokens *tokens = tokens_parse("tokens", text, &err);
        if (tokens || !strstr(err.text, cases[i][1]))
            fail_msg("case %zu: '%s'", i, err.text);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
    struct error err = { 0 };
    assert_null(tokens_parse("tokens", twice, &err));
    assert_non_null(strstr(err.text, "tokens:2"));
    assert_null(strstr(err.text, digest));
}

static void refuses_a_file_others_may_read(void **state)
{
    (void)state;
    char path[] = "/tmp/desg-tokens-XXXXXX", digest[2 * CRYPTO_SHA256_BYTES + 1], text[256];
    struct error err = { 0 };
    digest_of(TOKEN, digest);
    int length = snprintf(text, sizeof text, "%s dai agent\n", digest);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, (size_t)length), length);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_null(tokens_load(path, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_int_equal(fchmod(fd, 0640), 0);
    struct tokens *tokens = tokens_load(path, &err);
    assert_non_null(tokens);
    tokens_destroy(&tokens);
    (void)close(fd);
    (void)unlink(path);
    assert_null(tokens_load(path, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_a_holder_by_the_token_alone),
        cmocka_unit_test(refuses_and_says_what_to_write),
        cmocka_unit_test(refuses_a_file_others_may_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
