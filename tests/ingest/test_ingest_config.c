/* The configuration of ingest: what is filled in, what is refused and how clearly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "ingest/ingest_config.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct fixture {
    char folder[32];
    char secret[64], empty[64], file[64];
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/desg-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->secret, sizeof f->secret, "%s/secret", f->folder);
    (void)snprintf(f->empty, sizeof f->empty, "%s/empty", f->folder);
    (void)snprintf(f->file, sizeof f->file, "%s/desg.yaml", f->folder);
    write_file(f->secret, "an-app-secret\n");
    write_file(f->empty, "\n");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->secret);
    (void)unlink(f->empty);
    (void)unlink(f->file);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

/* Loads a file with the given extra lines of `ingest:` and channels, checks it. */
static struct config *load(const struct fixture *f, const char *more, const char *channels,
                           struct error *err)
{
    char text[4096];
    (void)snprintf(text, sizeof text,
                   "common: { force: gwent, run_directory: %s, redis: { address: "
                   "\"unix:/run/r.sock\" } }\n"
                   "ingest:\n  listen: 127.0.0.1:0\n  classify_endpoint: ipc:///run/c\n"
                   "  route_endpoints: [\"ipc:///run/r\"]\n  id_key_file: %s\n"
                   "  journal: { directory: %s }\n%s  channels: %s\n",
                   f->folder, f->secret, f->folder, more, channels);
    write_file(f->file, text);
    struct config *config =
        config_load(f->file, "ingest", ingest_config_fields, sizeof(struct ingest_config), err);
    if (config && ingest_config_check(config->service, err) != 0)
        config_destroy(&config);
    return config;
}

#define CHANNEL(name, adapter, path, secrets)                                                      \
    "{ name: " name ", adapter: " adapter ", path: " path ", secret_files: " secrets " }"

/* channels with every S replaced by the path of the secret and every E by that of the empty one. */
static const char *with_paths(const struct fixture *f, const char *channels)
{
    static char text[2048];
    size_t length = 0;
    for (const char *c = channels; *c && length < sizeof text - 80; c++) {
        const char *path = *c == 'S' ? f->secret : *c == 'E' ? f->empty : NULL;
        if (path)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s", path);
        else
            text[length++] = *c;
    }
    text[length] = '\0';
    return text;
}

static void fills_in_what_is_not_written(void **state)
{
    const struct fixture *f = *state;
    struct error err = { 0 };
    struct config *config =
        load(f, "", with_paths(f, "[" CHANNEL("facebook", "meta", "/hooks/facebook", "[S, S]") "]"),
             &err);
    if (!config) {
        fail_msg("%s", err.text);
        return;
    }
    const struct ingest_config *ingest = config->service;
    assert_int_equal(ingest->http.threads, 2);
    assert_int_equal(ingest->http.connections_max, 2000);
    assert_int_equal(*ingest->http.connections_per_address_max, 200);
    assert_int_equal(ingest->http.request_deadline_ms, 10000);
    assert_int_equal(ingest->http.body_max_bytes, 4 << 20);
    assert_int_equal(ingest->http.buffered_max_bytes, 64 << 20);
    assert_int_equal(ingest->journal.size_mib, 1024);
    assert_int_equal(ingest->journal.retention_hours, 72);
    assert_int_equal(ingest->channels[0].secret_files_count, 2);
    config_destroy(&config);
}

static void zero_per_address_means_no_limit(void **state)
{
    const struct fixture *f = *state;
    struct error err = { 0 };
    struct config *config =
        load(f,
             "  http: { connections_per_address_max: 0, trusted_proxy_header: X-Forwarded-For, "
             "trusted_proxies: [10.0.0.1, \"fd00::1\"] }\n",
             with_paths(f, "[" CHANNEL("x", "x", "/hooks/x", "[S]") "]"), &err);
    if (!config) {
        fail_msg("%s", err.text);
        return;
    }
    const struct ingest_config *ingest = config->service;
    assert_int_equal(*ingest->http.connections_per_address_max, 0);
    config_destroy(&config);
}

static void refuses_channels_that_cannot_work(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *channels, *says;
    } cases[] = {
        { "[]", "channels" },
        { "[" CHANNEL("a", "meta", "/a", "[]") "]", "no secret" },
        { "[{ name: a, adapter: meta, path: /a }]", "no secret" },
        { "[" CHANNEL("a", "meta", "/a", "[E]") "]", "secret_files" },
        { "[" CHANNEL("a", "meta", "/a", "[S, E]") "]", "secret_files" },
        { "[" CHANNEL("a", "meta", "/a", "[/nowhere/at/all]") "]", "/nowhere/at/all" },
        { "[" CHANNEL("a", "meta", "/a", "[S, S, S]") "]", "3 files" },
        { "[" CHANNEL("a", "pigeon", "/a", "[S]") "]", "pigeon" },
        { "[" CHANNEL("a", "meta", "a", "[S]") "]", "path" },
        { "[" CHANNEL("a", "meta", "\"/a b\"", "[S]") "]", "path" },
        { "[" CHANNEL("a", "meta", "/a", "[S]") ", " CHANNEL("b", "x", "/a", "[S]") "]", "'/a'" },
        { "[" CHANNEL("a", "meta", "/a", "[S]") ", " CHANNEL("a", "x", "/b", "[S]") "]", "'a'" },
        { "[" CHANNEL("\"a\\\"b\"", "meta", "/a", "[S]") "]", "name" },
        { "[{ name: a, adapter: meta, path: /a, secret_files: [S], verify_token_file: E }]",
          "verify_token_file" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error err = { 0 };
        struct config *config = load(f, "", with_paths(f, cases[i].channels), &err);
        if (config)
            fail_msg("accepted: %s", cases[i].channels);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s\n told as: %s", cases[i].channels, err.text);
    }
}

static void refuses_numbers_and_proxies_that_cannot_work(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *more, *says;
    } cases[] = {
        { "  http: { threads: 65 }\n", "threads" },
        { "  http: { connections_max: 1 }\n", "connections_max" },
        { "  http: { request_deadline_ms: 99 }\n", "request_deadline_ms" },
        { "  http: { request_deadline_ms: 60001 }\n", "request_deadline_ms" },
        { "  http: { body_max_bytes: 5000000 }\n", "body_max_bytes" },
        { "  http: { buffered_max_bytes: 4096 }\n", "buffered_max_bytes" },
        { "  http: { trusted_proxy_header: X-Forwarded-For }\n", "go together" },
        { "  http: { trusted_proxies: [10.0.0.1] }\n", "go together" },
        { "  http: { trusted_proxy_header: X, trusted_proxies: [proxy.example] }\n",
          "proxy.example" },
        { "  http: { colour: red }\n", "colour" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error err = { 0 };
        struct config *config = load(
            f, cases[i].more,
            with_paths(f, "[" CHANNEL("facebook", "meta", "/hooks/facebook", "[S]") "]"), &err);
        if (config)
            fail_msg("accepted: %s", cases[i].more);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s\n told as: %s", cases[i].more, err.text);
    }
}

static void refuses_an_id_key_that_is_no_secret(void **state)
{
    const struct fixture *f = *state;
    const char *channels =
        with_paths(f, "[" CHANNEL("facebook", "meta", "/hooks/facebook", "[S]") "]");
    struct error err = { 0 };
    assert_int_equal(chmod(f->secret, 0644), 0);
    assert_null(load(f, "", channels, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "ingest.id_key_file: anyone may read"));
    assert_int_equal(unlink(f->secret), 0);
    assert_null(load(f, "", channels, &err));
    assert_non_null(strstr(err.text, "ingest.id_key_file: cannot read"));
}

static void refuses_a_journal_too_small_to_work(void **state)
{
    const struct fixture *f = *state;
    struct error err = { 0 };
    assert_int_equal(setenv("DESG_INGEST_JOURNAL_SIZE_MIB", "3", 1), 0);
    assert_null(load(f, "", with_paths(f, "[" CHANNEL("a", "meta", "/a", "[S]") "]"), &err));
    assert_int_equal(unsetenv("DESG_INGEST_JOURNAL_SIZE_MIB"), 0);
    assert_non_null(strstr(err.text, "ingest.journal.size_mib"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fills_in_what_is_not_written, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_per_address_means_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_channels_that_cannot_work, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_numbers_and_proxies_that_cannot_work, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_an_id_key_that_is_no_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_journal_too_small_to_work, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
