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

#include "config/config.h"

/* A service's part with every kind of value ours have. */
struct probe_channel {
    char *name;
    char **secret_files;
    unsigned secret_files_count;
};
struct probe_journal {
    char *directory;
    uint32_t size_mib;
};
enum probe_mode { MODE_FAST, MODE_SAFE };
struct probe {
    char *listen;
    uint32_t retry_delay_ms;
    uint8_t threads;
    int32_t offset_s;
    bool is_strict;
    double share;
    enum probe_mode mode;
    char *note;
    struct probe_journal journal;
    struct probe_channel *channels;
    unsigned channels_count;
};

static const cyaml_strval_t modes[] = { { "fast", MODE_FAST }, { "safe", MODE_SAFE } };
static const cyaml_schema_value_t path_value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1,
                                                                    4096) };
static const cyaml_schema_field_t channel_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct probe_channel, name, 1, 16),
    CYAML_FIELD_SEQUENCE("secret_files", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct probe_channel, secret_files, &path_value, 1, 2),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t channel_value = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct probe_channel, channel_fields) };
static const cyaml_schema_field_t journal_fields[] = {
    CYAML_FIELD_STRING_PTR("directory", CYAML_FLAG_POINTER, struct probe_journal, directory, 1,
                           4096),
    CYAML_FIELD_UINT("size_mib", CYAML_FLAG_OPTIONAL, struct probe_journal, size_mib),
    CYAML_FIELD_END
};
static const cyaml_schema_field_t probe_fields[] = {
    CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER, struct probe, listen, 1, 64),
    CYAML_FIELD_UINT("retry_delay_ms", CYAML_FLAG_OPTIONAL, struct probe, retry_delay_ms),
    CYAML_FIELD_UINT("threads", CYAML_FLAG_OPTIONAL, struct probe, threads),
    CYAML_FIELD_INT("offset_s", CYAML_FLAG_OPTIONAL, struct probe, offset_s),
    CYAML_FIELD_BOOL("is_strict", CYAML_FLAG_OPTIONAL, struct probe, is_strict),
    CYAML_FIELD_FLOAT("share", CYAML_FLAG_OPTIONAL, struct probe, share),
    CYAML_FIELD_ENUM("mode", CYAML_FLAG_OPTIONAL, struct probe, mode, modes, 2),
    CYAML_FIELD_STRING_PTR("note", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, struct probe,
                           note, 0, 64),
    CYAML_FIELD_MAPPING("journal", CYAML_FLAG_OPTIONAL, struct probe, journal, journal_fields),
    CYAML_FIELD_SEQUENCE("channels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct probe,
                         channels, &channel_value, 0, CYAML_UNLIMITED),
    CYAML_FIELD_END
};

#define COMMON "common: { force: gwent, redis: { address: \"unix:/tmp/redis.sock\" } }\n"
#define ROUTE  COMMON "route:\n  listen: a\n"

struct fixture {
    char directory[64];
    char path[96];
};

static int make_folder(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/desg-config-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(fixture.path, sizeof fixture.path, "%s/desg.yaml", fixture.directory);
    *state = &fixture;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    return rmdir(f->directory);
}

static void write_text(const struct fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct config *load(const struct fixture *f, const char *text, struct error *err)
{
    write_text(f, text);
    return config_load(f->path, "route", probe_fields, sizeof(struct probe), err);
}

static struct config *load_or_fail(const struct fixture *f, const char *text)
{
    struct error err = { 0 };
    struct config *config = load(f, text, &err);
    if (!config)
        fail_msg("%s", err.text);
    return config;
}

/* The error must begin with <path>:expected. */
static void assert_refused(const struct fixture *f, const char *text, const char *expected)
{
    struct error err = { 0 };
    struct config *config = load(f, text, &err);
    if (config)
        fail_msg("accepted:\n%s", text);
    assert_int_equal(err.kind, ERROR_CONFIG);
    size_t length = strlen(f->path);
    if (strncmp(err.text, f->path, length) != 0 ||
        strncmp(err.text + length, expected, strlen(expected)) != 0)
        fail_msg("\n    got: %s\n not: …%s", err.text, expected);
}

static void reads_every_kind_of_value(void **state)
{
    struct config *config =
        load_or_fail(*state, COMMON "route:\n"
                                    "  listen: 127.0.0.1:8080\n"
                                    "  retry_delay_ms: 500\n"
                                    "  threads: 255\n"
                                    "  offset_s: -30\n"
                                    "  is_strict: yes\n"
                                    "  share: 0.25\n"
                                    "  mode: safe\n"
                                    "  note: \"d\xc5\xb5r: # not a comment\"\n"
                                    "  journal: { directory: journal, size_mib: 1024 }\n"
                                    "  channels:\n"
                                    "    - { name: facebook, secret_files: [a, 'b c'] }\n"
                                    "    - name: x\n"
                                    "ingest: { listen: [any, thing], other: { keys: 1 } }\n");
    const struct probe *probe = config->service;
    assert_string_equal(config->common.force, "gwent");
    assert_string_equal(config->common.redis.address, "unix:/tmp/redis.sock");
    assert_string_equal(probe->listen, "127.0.0.1:8080");
    assert_int_equal(probe->retry_delay_ms, 500);
    assert_int_equal(probe->threads, 255);
    assert_int_equal(probe->offset_s, -30);
    assert_true(probe->is_strict);
    assert_true(probe->share == 0.25);
    assert_int_equal(probe->mode, MODE_SAFE);
    assert_string_equal(probe->note, "d\xc5\xb5r: # not a comment");
    assert_string_equal(probe->journal.directory, "journal"); /* relative paths stay as they are */
    assert_int_equal(probe->journal.size_mib, 1024);
    assert_int_equal(probe->channels_count, 2);
    assert_string_equal(probe->channels[0].name, "facebook");
    assert_int_equal(probe->channels[0].secret_files_count, 2);
    assert_string_equal(probe->channels[0].secret_files[1], "b c");
    assert_string_equal(probe->channels[1].name, "x");
    assert_int_equal(probe->channels[1].secret_files_count, 0);
    config_destroy(&config);
    assert_null(config);
    config_destroy(&config);
}

static void fills_the_defaults_of_common(void **state)
{
    struct fixture *f = *state;
    struct config *config = load_or_fail(f, ROUTE);
    assert_string_equal(config->path, f->path);
    assert_string_equal(config->common.run_directory, "/run/desg");
    assert_string_equal(config->common.log_level, "info");
    assert_int_equal(config->common.grace_ms, 20000);
    assert_int_equal(config->common.redis.timeout_ms, 250);
    assert_int_equal(config->common.redis.sentinels_count, 0);
    assert_null(config->common.redis.username);
    assert_null(config->common.redis.password_file);
    assert_null(config->common.curve);
    config_destroy(&config);
}

static void reads_all_of_common(void **state)
{
    struct config *config = load_or_fail(
        *state, "common:\n"
                "  force: dyfed-powys\n"
                "  run_directory: run\n"
                "  log_level: debug\n"
                "  grace_ms: 5000\n"
                "  redis:\n"
                "    address: desk\n"
                "    sentinels: [a:26379, b:26379]\n"
                "    username: route\n"
                "    password_file: secrets/redis\n"
                "    timeout_ms: 300\n"
                "  curve: { public_key_file: p, secret_key_file: s, allowed_keys_directory: d }\n"
                "route: { listen: a }\n");
    const struct config_common *common = &config->common;
    assert_string_equal(common->force, "dyfed-powys");
    assert_string_equal(common->run_directory, "run");
    assert_string_equal(common->log_level, "debug");
    assert_int_equal(common->grace_ms, 5000);
    assert_int_equal(common->redis.sentinels_count, 2);
    assert_string_equal(common->redis.sentinels[1], "b:26379");
    assert_string_equal(common->redis.username, "route");
    assert_string_equal(common->redis.password_file, "secrets/redis");
    assert_int_equal(common->redis.timeout_ms, 300);
    assert_non_null(common->curve);
    assert_string_equal(common->curve->public_key_file, "p");
    assert_string_equal(common->curve->secret_key_file, "s");
    assert_string_equal(common->curve->allowed_keys_directory, "d");
    config_destroy(&config);
}

static void takes_anchors_and_empty_lists(void **state)
{
    struct config *config =
        load_or_fail(*state, COMMON "ingest: &all { self: *all, note: &note shared }\n"
                                    "route: { listen: *note, note: *note, channels: [] }\n");
    const struct probe *probe = config->service;
    assert_string_equal(probe->listen, "shared");
    assert_string_equal(probe->note, "shared");
    assert_int_equal(probe->channels_count, 0);
    config_destroy(&config);
    config = load_or_fail(*state, ROUTE "  note:\n");
    probe = config->service;
    assert_null(probe->note);
    config_destroy(&config);
}

static void says_where_what_and_what_to_write(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { ROUTE "  retry_delay_ms: 5s\n",
          ":4:19: route.retry_delay_ms '5s' is not a whole number: write milliseconds, at most "
          "4294967295, such as 5000" },
        { ROUTE "  retry_delay_ms: 0x10\n", ":4:19: route.retry_delay_ms '0x10' is not a whole" },
        { ROUTE "  retry_delay_ms: 010\n", ":4:19: route.retry_delay_ms '010' is not a whole" },
        { ROUTE "  retry_delay_ms: -5\n", ":4:19: route.retry_delay_ms '-5' is not a whole" },
        { ROUTE "  retry_delay_ms: 1.5\n", ":4:19: route.retry_delay_ms '1.5' is not a whole" },
        { ROUTE "  retry_delay_ms:\n", ":4:18: route.retry_delay_ms '' is not a whole number" },
        { ROUTE "  retry_delay_ms: [1]\n",
          ":4:19: route.retry_delay_ms is a list: write a single value" },
        { ROUTE "  retry_delay_ms: { a: 1 }\n",
          ":4:19: route.retry_delay_ms is a group of keys: write a single value" },
        { ROUTE "  retry_delay_ms: 4294967296\n",
          ":4:19: route.retry_delay_ms '4294967296' is too large: write milliseconds, at most "
          "4294967295" },
        { ROUTE "  retry_delay_ms: 99999999999999999999999\n",
          ":4:19: route.retry_delay_ms '99999999999999999999999' is too large" },
        { ROUTE "  threads: 256\n",
          ":4:12: route.threads '256' is too large: write a whole number, at most 255" },
        { ROUTE "  offset_s: 2147483648\n", ":4:13: route.offset_s '2147483648' is too large" },
        { ROUTE "  is_strict: maybe\n",
          ":4:14: route.is_strict 'maybe' is neither: write true or false" },
        { ROUTE "  is_strict: 1\n", ":4:14: route.is_strict '1' is neither" },
        { ROUTE "  share: half\n", ":4:10: route.share 'half' is not a number" },
        { ROUTE "  share: nan\n", ":4:10: route.share 'nan' is not a number" },
        { ROUTE "  share: 1e999\n", ":4:10: route.share '1e999' is not a number" },
        { ROUTE "  mode: slow\n", ":4:9: route.mode 'slow' is not known: write one of fast, safe" },
        { ROUTE "  mode: 1\n", ":4:9: route.mode '1' is not known: write one of fast, safe" },
        { ROUTE "  dely: 5\n",
          ":4:3: route has no key 'dely': write one of listen, retry_delay_ms, threads" },
        { ROUTE "  ? [a]\n  : b\n", ":4:5: route has a key that is not a word" },
        { ROUTE "  threads: 5\n  threads: 6\n", ":5:3: route has 'threads' twice: remove one" },
        { COMMON "route: { listen: \"\" }\n",
          ":2:18: route.listen is empty: write text of 1 to 64 bytes" },
        { COMMON "route:\n  listen:\n", ":3:10: route.listen is empty" },
        { COMMON "route: { threads: 3 }\n",
          ":2:8: route.listen is missing: write listen: below route" },
        { COMMON "route:\n", ":2:7: route is empty: write keys below it" },
        { COMMON "route: [a]\n", ":2:8: route is a list: write keys below it" },
        { COMMON, ": route.listen is missing: write listen: below route" },
        { "route: { listen: a }\n", ": common.force is missing: write force: below common" },
        { ROUTE "  journal: { size_mib: 3 }\n",
          ":4:12: route.journal.directory is missing: write directory: below route.journal" },
        { ROUTE "  journal: { directory: a, size_mb: 3 }\n",
          ":4:28: route.journal has no key 'size_mb': write one of directory, size_mib" },
        { ROUTE "  channels: facebook\n",
          ":4:13: route.channels is a single value: write a list, such as [a, b], or [] for none" },
        { ROUTE "  channels:\n", ":4:12: route.channels is empty: write a list" },
        { ROUTE "  channels:\n    - facebook\n",
          ":5:7: route.channels[1] is a single value: write keys below it" },
        { ROUTE "  channels:\n    - name: a\n    - nam: b\n",
          ":6:7: route.channels[2] has no key 'nam': write one of name, secret_files" },
        { ROUTE "  channels:\n    - name: averyveryverylongname\n",
          ":5:13: route.channels[1].name has 21 bytes: write at most 16" },
        { ROUTE "  channels:\n    - { name: a, secret_files: [a, b, c] }\n",
          ":5:32: route.channels[1].secret_files has 3 entries: write at most 2" },
        { ROUTE "  channels:\n    - { name: a, secret_files: [] }\n",
          ":5:32: route.channels[1].secret_files has 0 entries: write at least 1" },
        { ROUTE "  note: \"a\\0b\"\n", ":4:9: route.note has a NUL byte in it" },
        { ROUTE "rout: {}\n", ":4:1: there is no part 'rout': write one of common, ingest" },
        { ROUTE "route: {}\n", ":4:1: part 'route' is there twice" },
        { ROUTE "? [a]\n: b\n", ":4:3: the part's name is not a word" },
        { ROUTE "---\nroute: {}\n", ":5: a second document begins" },
        { "- a\n", ":1: is not a mapping" },
        { "", ": is empty" },
        { "# nothing\n", ": is empty" },
        { COMMON "route: { listen: 'a }\n", ":3:1: not YAML: " },
        { COMMON "route:\n\tlisten: a\n", ":3:1: not YAML: " },
        { COMMON "route: { listen: *nobody }\n", ":2:18: not YAML: " },
        { "common: { force: Gwent!, redis: { address: a } }\nroute: { listen: a }\n",
          ": common.force 'Gwent!' cannot begin the names of Redis keys" },
        { "common: { force: g, log_level: loud, redis: { address: a } }\nroute: { listen: a }\n",
          ": common.log_level 'loud' is not known: write debug, info, warn or error" },
        { "common: { force: g, grace_ms: 50, redis: { address: a } }\nroute: { listen: a }\n",
          ": common.grace_ms is 50: write 100 to 600000" },
        { "common: { force: g, redis: { address: a, timeout_ms: 5 } }\nroute: { listen: a }\n",
          ": common.redis.timeout_ms is 5: write 10 to 60000" },
        { "common: { force: g }\nroute: { listen: a }\n", ":1:9: common.redis is missing" },
        { "common: { force: g, redis: { address: a }, curve: { public_key_file: p } }\n"
          "route: { listen: a }\n",
          ": common.curve: write either keys_directory, or all of public_key_file" },
        { "common: { force: g, redis: { address: a, password: hunter2 } }\nroute: { listen: a }\n",
          ":1:42: common.redis has no key 'password': write one of address, sentinels" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(*state, cases[i].text, cases[i].expected);
}

static void a_mistake_in_anothers_part_is_anothers(void **state)
{
    struct config *config = load_or_fail(*state, ROUTE "ingest: 5\nnotify: [1, { a: }]\n");
    config_destroy(&config);
}

static void refuses_what_is_no_readable_file(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    assert_null(config_load(f->path, "route", probe_fields, sizeof(struct probe), &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "cannot read the configuration: No such file"));
    assert_null(config_load(f->directory, "route", probe_fields, sizeof(struct probe), &err));
    assert_non_null(strstr(err.text, "is not a file"));
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (1 << 20) + 1), 0);
    assert_int_equal(fclose(file), 0);
    assert_null(config_load(f->path, "route", probe_fields, sizeof(struct probe), &err));
    assert_non_null(strstr(err.text, "1048577 bytes: at most 1048576"));
    write_text(f, "common: \xff\xfe\n");
    assert_null(config_load(f->path, "route", probe_fields, sizeof(struct probe), &err));
    assert_non_null(strstr(err.text, "write the file in UTF-8"));
}

static void set_variable(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void the_environment_sets_single_values(void **state)
{
    static const char *const variables[][2] = {
        { "DESG_ROUTE_LISTEN", "b: # c" },
        { "DESG_ROUTE_RETRY_DELAY_MS", "700" },
        { "DESG_ROUTE_OFFSET_S", "-4" },
        { "DESG_ROUTE_IS_STRICT", "true" },
        { "DESG_ROUTE_SHARE", "0.5" },
        { "DESG_ROUTE_MODE", "safe" },
        { "DESG_ROUTE_JOURNAL_DIRECTORY", "/j" },
        { "DESG_ROUTE_JOURNAL_SIZE_MIB", "64" },
        { "DESG_COMMON_FORCE", "gwynedd" },
        { "DESG_COMMON_REDIS_ADDRESS", "localhost:1" },
        { "DESG_COMMON_LOG_LEVEL", "warn" },
        { "DESG_INGEST_LISTEN", "not ours" },
        { "DESG_ROUTE_SERVICE_HOST",
          "10.0.0.1" }, /* Kubernetes sets such: not a key, passed over */
    };
    size_t count = sizeof variables / sizeof variables[0];
    for (size_t i = 0; i < count; i++)
        set_variable(variables[i][0], variables[i][1]);
    struct config *config = load_or_fail(*state, ROUTE "  retry_delay_ms: 500\n");
    struct config *bare = load_or_fail(*state, "ingest: {}\n");
    for (size_t i = 0; i < count; i++)
        set_variable(variables[i][0], NULL);
    const struct probe *probe = config->service;
    assert_string_equal(probe->listen, "b: # c");
    assert_int_equal(probe->retry_delay_ms, 700);
    assert_int_equal(probe->offset_s, -4);
    assert_true(probe->is_strict);
    assert_true(probe->share == 0.5);
    assert_int_equal(probe->mode, MODE_SAFE);
    assert_string_equal(probe->journal.directory, "/j");
    assert_int_equal(probe->journal.size_mib, 64);
    assert_string_equal(config->common.force, "gwynedd");
    assert_string_equal(config->common.redis.address, "localhost:1");
    assert_string_equal(config->common.log_level, "warn");
    assert_string_equal(((const struct probe *)bare->service)->listen, "b: # c");
    config_destroy(&config);
    config_destroy(&bare);
}

static void the_environment_sets_lists_of_values(void **state)
{
    set_variable("DESG_COMMON_REDIS_ADDRESS", "desg");
    set_variable("DESG_COMMON_REDIS_SENTINELS", " a:1,b:2\n c:3, ");
    struct config *config = load_or_fail(*state, ROUTE);
    set_variable("DESG_COMMON_REDIS_SENTINELS", "");
    struct config *without = load_or_fail(*state, ROUTE);
    set_variable("DESG_COMMON_REDIS_SENTINELS", NULL);
    set_variable("DESG_COMMON_REDIS_ADDRESS", NULL);
    const struct config_redis *redis = &config->common.redis;
    assert_int_equal(redis->sentinels_count, 3);
    assert_string_equal(redis->sentinels[0], "a:1");
    assert_string_equal(redis->sentinels[1], "b:2");
    assert_string_equal(redis->sentinels[2], "c:3");
    assert_int_equal(without->common.redis.sentinels_count, 0);
    config_destroy(&config);
    config_destroy(&without);
}

static void a_bad_variable_is_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *value, *expected;
    } cases[] = {
        { "DESG_ROUTE_RETRY_DELAY_MS", "5s",
          "DESG_ROUTE_RETRY_DELAY_MS: route.retry_delay_ms '5s' is not a whole number: write" },
        { "DESG_ROUTE_RETRY_DELAY_MS", "",
          "DESG_ROUTE_RETRY_DELAY_MS: route.retry_delay_ms '' is not a whole number" },
        { "DESG_ROUTE_THREADS", "300", "DESG_ROUTE_THREADS: route.threads '300' is too large" },
        { "DESG_ROUTE_IS_STRICT", "maybe", "DESG_ROUTE_IS_STRICT: route.is_strict 'maybe' is" },
        { "DESG_ROUTE_LISTEN", "", "DESG_ROUTE_LISTEN: route.listen is empty" },
        { "DESG_ROUTE_LISTEN", "\xff", "DESG_ROUTE_LISTEN: is not UTF-8 text" },
        { "DESG_ROUTE_CHANNELS", "a", "DESG_ROUTE_CHANNELS: is a list of groups: write it in " },
        { "DESG_COMMON_REDIS_SENTINELS", "a:1,\xff", "DESG_COMMON_REDIS_SENTINELS: is not UTF-8" },
        { "DESG_COMMON_REDIS_SENTINELS", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
          "DESG_COMMON_REDIS_SENTINELS: common.redis.sentinels" },
        { "DESG_ROUTE_JOURNAL_SIZE_MIB", "x",
          "DESG_ROUTE_JOURNAL_SIZE_MIB: route.journal.size_mib 'x' is not a whole number: write "
          "mebibytes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        set_variable(cases[i].name, cases[i].value);
        struct config *config = load(f, ROUTE "  journal: { directory: a }\n", &err);
        set_variable(cases[i].name, NULL);
        if (config)
            fail_msg("%s='%s' accepted", cases[i].name, cases[i].value);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (strncmp(err.text, cases[i].expected, strlen(cases[i].expected)) != 0)
            fail_msg("\n    got: %s\n not: %s…", err.text, cases[i].expected);
    }
    struct error err = { 0 };
    set_variable("DESG_ROUTE_JOURNAL_SIZE_MIB", "5");
    struct config *config = load(f, ROUTE "  journal: 7\n", &err);
    set_variable("DESG_ROUTE_JOURNAL_SIZE_MIB", NULL);
    assert_null(config);
    assert_non_null(strstr(err.text, "DESG_ROUTE_JOURNAL_SIZE_MIB: cannot be set, because"));
}

static void a_folder_of_passwords_names_the_programs_own_user(void **state)
{
    static const char text[] =
        "common: { force: g, redis: { address: 'r:1', passwords_directory: /secrets/redis } }\n"
        "route: { listen: a }\n";
    struct config *config = load_or_fail(*state, text);
    assert_string_equal(config->common.redis.username, "route");
    assert_string_equal(config->common.redis.password_file, "/secrets/redis/route");
    config_destroy(&config);
    struct error err = { 0 };
    assert_null(load(*state,
                     "common: { force: g, redis: { address: 'r:1', passwords_directory: d, "
                     "username: x } }\nroute: { listen: a }\n",
                     &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "take username and password_file out"));
}

static void a_folder_of_keys_names_the_programs_own(void **state)
{
    static const char start[] = "common: { force: g, redis: { address: 'r:1' }, curve: ";
    char text[256];
    (void)snprintf(text, sizeof text, "%s{ keys_directory: /keys } }\nroute: { listen: a }\n",
                   start);
    struct config *config = load_or_fail(*state, text);
    assert_string_equal(config->common.curve->public_key_file, "/keys/route/own");
    assert_string_equal(config->common.curve->secret_key_file, "/keys/route/own_secret");
    assert_string_equal(config->common.curve->allowed_keys_directory, "/keys/route/allowed");
    config_destroy(&config);
    (void)snprintf(text, sizeof text,
                   "%s{ keys_directory: /keys, public_key_file: p } }\nroute: { listen: a }\n",
                   start);
    struct error err = { 0 };
    assert_null(load(*state, text, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "write either keys_directory"));
}

/* A folder, or three files, with no group curve in the file. */
static void keys_come_from_the_environment_alone(void **state)
{
    set_variable("DESG_COMMON_CURVE_KEYS_DIRECTORY", "/mounted");
    struct config *config = load_or_fail(*state, ROUTE);
    set_variable("DESG_COMMON_CURVE_KEYS_DIRECTORY", NULL);
    assert_non_null(config->common.curve);
    assert_string_equal(config->common.curve->keys_directory, "/mounted");
    assert_string_equal(config->common.curve->public_key_file, "/mounted/route/own");
    assert_string_equal(config->common.curve->secret_key_file, "/mounted/route/own_secret");
    assert_string_equal(config->common.curve->allowed_keys_directory, "/mounted/route/allowed");
    config_destroy(&config);

    struct error err = { 0 };
    set_variable("DESG_COMMON_CURVE_PUBLIC_KEY_FILE", "/p");
    assert_null(load(*state, ROUTE, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "common.curve: write either keys_directory, or all of"));

    set_variable("DESG_COMMON_CURVE_SECRET_KEY_FILE", "/s");
    set_variable("DESG_COMMON_CURVE_ALLOWED_KEYS_DIRECTORY", "/d");
    config = load_or_fail(*state, ROUTE);
    set_variable("DESG_COMMON_CURVE_PUBLIC_KEY_FILE", NULL);
    set_variable("DESG_COMMON_CURVE_SECRET_KEY_FILE", NULL);
    set_variable("DESG_COMMON_CURVE_ALLOWED_KEYS_DIRECTORY", NULL);
    assert_string_equal(config->common.curve->public_key_file, "/p");
    assert_string_equal(config->common.curve->secret_key_file, "/s");
    assert_string_equal(config->common.curve->allowed_keys_directory, "/d");
    config_destroy(&config);

    config = load_or_fail(*state, ROUTE);
    assert_null(config->common.curve);
    config_destroy(&config);
}

static void ranges_and_defaults(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_int_equal(config_default_u32(0, 7), 7);
    assert_int_equal(config_default_u32(3, 7), 3);
    assert_int_equal(config_check_range("ingest.http_threads", 1, 1, 64, &err), 0);
    assert_int_equal(config_check_range("ingest.http_threads", 64, 1, 64, &err), 0);
    assert_int_equal(err.kind, ERROR_NONE);
    assert_int_equal(config_check_range("ingest.http_threads", 900, 1, 64, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_string_equal(err.text, "ingest.http_threads is 900: write 1 to 64");
    assert_int_equal(config_check_range("ingest.http_threads", 0, 1, 64, &err), -1);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(reads_every_kind_of_value),
        with_folder(fills_the_defaults_of_common),
        with_folder(reads_all_of_common),
        with_folder(takes_anchors_and_empty_lists),
        with_folder(says_where_what_and_what_to_write),
        with_folder(a_mistake_in_anothers_part_is_anothers),
        with_folder(refuses_what_is_no_readable_file),
        with_folder(the_environment_sets_single_values),
        with_folder(the_environment_sets_lists_of_values),
        with_folder(a_bad_variable_is_named),
        with_folder(a_folder_of_passwords_names_the_programs_own_user),
        with_folder(a_folder_of_keys_names_the_programs_own),
        with_folder(keys_come_from_the_environment_alone),
        cmocka_unit_test(ranges_and_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
