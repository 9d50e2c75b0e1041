#include "notify/notify_config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONAL_STRING(key, structure, member)                                                    \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           PATH_MAX)

static const cyaml_schema_value_t text_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1,
                                                                    PATH_MAX) };

static const cyaml_schema_field_t target_fields[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct notify_target_config, url, 8, 2000),
    OPTIONAL_STRING("token_file", struct notify_target_config, token_file),
    OPTIONAL_STRING("signature_secret_file", struct notify_target_config, signature_secret_file),
    OPTIONAL_STRING("ca_file", struct notify_target_config, ca_file),
    CYAML_FIELD_BOOL("quote_key", CYAML_FLAG_OPTIONAL, struct notify_target_config, quote_key),
    CYAML_FIELD_UINT("connect_timeout_ms", CYAML_FLAG_OPTIONAL, struct notify_target_config,
                     connect_timeout_ms),
    CYAML_FIELD_UINT("timeout_ms", CYAML_FLAG_OPTIONAL, struct notify_target_config, timeout_ms),
    CYAML_FIELD_END
};

static const cyaml_strval_t ladder_actions[] = { { "again", LADDER_AGAIN },
                                                 { "second-path", LADDER_SECOND_PATH },
                                                 { "supervisor", LADDER_SUPERVISOR } };

static const cyaml_schema_field_t ladder_fields[] = {
    CYAML_FIELD_UINT("after_s", CYAML_FLAG_DEFAULT, struct ladder_step, after_s),
    CYAML_FIELD_ENUM("action", CYAML_FLAG_STRICT, struct ladder_step, action, ladder_actions,
                     CYAML_ARRAY_LEN(ladder_actions)),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t ladder_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct ladder_step, ladder_fields) };

static const cyaml_schema_field_t journal_fields[] = {
    CYAML_FIELD_STRING_PTR("directory", CYAML_FLAG_POINTER, struct notify_journal_config, directory,
                           1, PATH_MAX),
    CYAML_FIELD_UINT("size_mib", CYAML_FLAG_OPTIONAL, struct notify_journal_config, size_mib),
    CYAML_FIELD_UINT("retention_hours", CYAML_FLAG_OPTIONAL, struct notify_journal_config,
                     retention_hours),
    OPTIONAL_STRING("keys_file", struct notify_journal_config, keys_file), CYAML_FIELD_END
};

const cyaml_schema_field_t notify_config_fields[] = {
    CYAML_FIELD_STRING_PTR("endpoint", CYAML_FLAG_POINTER, struct notify_config, endpoint, 1, 200),
    CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER, struct notify_config, listen, 1, 200),
    OPTIONAL_STRING("admin_listen", struct notify_config, admin_listen),
    OPTIONAL_STRING("source", struct notify_config, source),
    CYAML_FIELD_MAPPING("dispatch", CYAML_FLAG_DEFAULT, struct notify_config, dispatch,
                        target_fields),
    CYAML_FIELD_MAPPING_PTR("second_path", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct notify_config, second_path, target_fields),
    CYAML_FIELD_SEQUENCE("callback_secret_files", CYAML_FLAG_POINTER, struct notify_config,
                         callback_secret_files, &text_entry, 1, NOTIFY_CALLBACK_SECRETS_MAX),
    CYAML_FIELD_SEQUENCE("ladder", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct notify_config,
                         ladder, &ladder_entry, 0, ALERT_LADDER_MAX_STEPS),
    CYAML_FIELD_UINT_PTR("test_interval_s", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct notify_config, test_interval_s),
    CYAML_FIELD_UINT("take_over_s", CYAML_FLAG_OPTIONAL, struct notify_config, take_over_s),
    CYAML_FIELD_MAPPING("journal", CYAML_FLAG_DEFAULT, struct notify_config, journal,
                        journal_fields),
    CYAML_FIELD_MAPPING_PTR("outbox_journal", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct notify_config, outbox_journal, journal_fields),
    CYAML_FIELD_END
};

static void drop_empty(char **text)
{
    if (*text && (*text)[0] == '\0') {
        free(*text);
        *text = NULL;
    }
}

static int check_target(const char *key, struct notify_target_config *target, struct error *err)
{
    drop_empty(&target->token_file);
    drop_empty(&target->signature_secret_file);
    drop_empty(&target->ca_file);
    target->connect_timeout_ms = config_default_u32(target->connect_timeout_ms, 1000);
    target->timeout_ms = config_default_u32(target->timeout_ms, 3000);
    if (strncmp(target->url, "https://", 8) != 0 && strncmp(target->url, "http://", 7) != 0)
        return error_set(err, ERROR_CONFIG,
                         "%s.url '%s': write an http or https address, such as "
                         "https://dispatch.example/v1/alerts",
                         key, target->url);
    if (config_check_range("connect_timeout_ms", target->connect_timeout_ms, 50, 10000, err) != 0 ||
        config_check_range("timeout_ms", target->timeout_ms, 100, 30000, err) != 0)
        return error_wrap(err, "%s", key);
    return 0;
}

static int fill_ladder(struct notify_config *config, struct error *err)
{
    static const struct ladder_step usual[] = { { 60, LADDER_AGAIN },
                                                { 120, LADDER_SECOND_PATH },
                                                { 300, LADDER_SUPERVISOR } };
    if (config->ladder_count > 0)
        return 0;
    free(config->ladder);
    config->ladder = malloc(sizeof usual);
    if (!config->ladder)
        return error_set(err, ERROR_SYSTEM, "no memory for the configuration");
    memcpy(config->ladder, usual, sizeof usual);
    config->ladder_count = CYAML_ARRAY_LEN(usual);
    return 0;
}

static int check_ladder(struct notify_config *config, struct error *err)
{
    if (fill_ladder(config, err) != 0)
        return -1;
    uint32_t before_s = 0;
    for (unsigned i = 0; i < config->ladder_count; i++) {
        uint32_t after_s = config->ladder[i].after_s;
        if (config_check_range("notify.ladder.after_s", after_s, 1, 86400, err) != 0)
            return -1;
        if (after_s < before_s)
            return error_set(err, ERROR_CONFIG,
                             "notify.ladder: step %u after %u s comes before step %u: write the "
                             "steps in order of after_s, each counted from the alert's first sight",
                             i + 1, after_s, i);
        before_s = after_s;
    }
    return 0;
}

static int fill_test_interval(struct notify_config *config, struct error *err)
{
    if (config->test_interval_s)
        return 0;
    config->test_interval_s = malloc(sizeof *config->test_interval_s);
    if (!config->test_interval_s)
        return error_set(err, ERROR_SYSTEM, "no memory for the configuration");
    *config->test_interval_s = 300;
    return 0;
}

static int check_journal(const char *key, struct notify_journal_config *journal, struct error *err)
{
    drop_empty(&journal->keys_file);
    journal->size_mib = config_default_u32(journal->size_mib, 256);
    journal->retention_hours = config_default_u32(journal->retention_hours, 72);
    if (config_check_range("size_mib", journal->size_mib, 4, 1 << 20, err) != 0 ||
        config_check_range("retention_hours", journal->retention_hours, 1, 8760, err) != 0)
        return error_wrap(err, "%s", key);
    return 0;
}

int notify_config_check(void *arg, struct error *err)
{
    struct notify_config *config = arg;
    drop_empty(&config->admin_listen);
    drop_empty(&config->source);
    if (check_target("notify.dispatch", &config->dispatch, err) != 0 ||
        (config->second_path &&
         check_target("notify.second_path", config->second_path, err) != 0) ||
        check_ladder(config, err) != 0 || fill_test_interval(config, err) != 0)
        return -1;
    if (*config->test_interval_s != 0 &&
        config_check_range("notify.test_interval_s", *config->test_interval_s, 60, 86400, err) != 0)
        return -1;
    config->take_over_s = config_default_u32(config->take_over_s, 60);
    if (config_check_range("notify.take_over_s", config->take_over_s, 10, 3600, err) != 0)
        return -1;
    if (check_journal("notify.journal", &config->journal, err) != 0)
        return -1;
    if (!config->outbox_journal)
        return 0;
    if (strcmp(config->outbox_journal->directory, config->journal.directory) == 0)
        return error_set(err, ERROR_CONFIG,
                         "notify.outbox_journal.directory '%s' is that of notify.journal: write "
                         "another one",
                         config->journal.directory);
    return check_journal("notify.outbox_journal", config->outbox_journal, err);
}
