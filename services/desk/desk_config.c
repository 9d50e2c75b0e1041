#include "desk/desk_config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "desk/tokens.h"
#include "store/plan.h"

enum { WORD_MAX_BYTES = 40, MONTH_S = 30 * 24 * 3600 };

#define OPTIONAL_STRING(key, structure, member)                                                    \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           PATH_MAX)

static const cyaml_schema_field_t http_fields[] = {
    CYAML_FIELD_UINT("workers", CYAML_FLAG_OPTIONAL, struct desk_http_config, workers),
    CYAML_FIELD_UINT("connections_max", CYAML_FLAG_OPTIONAL, struct desk_http_config,
                     connections_max),
    CYAML_FIELD_UINT("request_deadline_ms", CYAML_FLAG_OPTIONAL, struct desk_http_config,
                     request_deadline_ms),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t journal_fields[] = {
    CYAML_FIELD_STRING_PTR("directory", CYAML_FLAG_POINTER, struct desk_journal_config, directory,
                           1, PATH_MAX),
    CYAML_FIELD_UINT("size_mib", CYAML_FLAG_OPTIONAL, struct desk_journal_config, size_mib),
    CYAML_FIELD_UINT("retention_days", CYAML_FLAG_OPTIONAL, struct desk_journal_config,
                     retention_days),
    OPTIONAL_STRING("keys_file", struct desk_journal_config, keys_file), CYAML_FIELD_END
};

static const cyaml_strval_t severity_words[] = {
    { "routine", DESG__V1__SEVERITY__SEVERITY_ROUTINE },
    { "attention", DESG__V1__SEVERITY__SEVERITY_ATTENTION },
    { "review", DESG__V1__SEVERITY__SEVERITY_REVIEW },
    { "urgent", DESG__V1__SEVERITY__SEVERITY_URGENT },
    { "life-at-risk", DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK },
};

static const cyaml_schema_field_t grade_fields[] = {
    CYAML_FIELD_STRING_PTR("grade", CYAML_FLAG_POINTER, struct store_grade, grade, 1,
                           WORD_MAX_BYTES),
    CYAML_FIELD_ENUM("severity", CYAML_FLAG_DEFAULT, struct store_grade, severity, severity_words,
                     CYAML_ARRAY_LEN(severity_words)),
    CYAML_FIELD_UINT("allowance_s", CYAML_FLAG_DEFAULT, struct store_grade, allowance_s),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t grade_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct store_grade, grade_fields) };

const cyaml_schema_field_t desk_config_fields[] = {
    OPTIONAL_STRING("listen", struct desk_config, listen),
    OPTIONAL_STRING("admin_listen", struct desk_config, admin_listen),
    OPTIONAL_STRING("order_endpoint", struct desk_config, order_endpoint),
    CYAML_FIELD_STRING_PTR("tokens_file", CYAML_FLAG_POINTER, struct desk_config, tokens_file, 1,
                           PATH_MAX),
    CYAML_FIELD_STRING_PTR("id_key_file", CYAML_FLAG_POINTER, struct desk_config, id_key_file, 1,
                           PATH_MAX),
    CYAML_FIELD_UINT("lease_s", CYAML_FLAG_OPTIONAL, struct desk_config, queues.lease_s),
    CYAML_FIELD_UINT("tombstone_days", CYAML_FLAG_OPTIONAL, struct desk_config,
                     queues.tombstone_days),
    CYAML_FIELD_SEQUENCE("grades", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct desk_config,
                         queues.grades, &grade_entry, 0, CYAML_ARRAY_LEN(severity_words)),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct desk_config, http, http_fields),
    CYAML_FIELD_MAPPING("journal", CYAML_FLAG_DEFAULT, struct desk_config, journal, journal_fields),
    CYAML_FIELD_END
};

static void drop_empty(char **text)
{
    if (*text && (*text)[0] == '\0') {
        free(*text);
        *text = NULL;
    }
}

static int check_grades(const struct store_queues *queues, struct error *err)
{
    for (unsigned i = 0; i < queues->grades_count; i++) {
        const struct store_grade *grade = &queues->grades[i];
        if (grade->grade[strspn(grade->grade, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
            return error_set(err, ERROR_CONFIG,
                             "desk.grades[%u].grade is '%s': write small letters, digits and "
                             "dashes, as in route.queues.grades",
                             i, grade->grade);
        if (config_check_range("desk.grades.allowance_s", grade->allowance_s, 1, MONTH_S, err) != 0)
            return -1;
    }
    return 0;
}

static int check_tokens(const struct desk_config *config, struct error *err)
{
    struct tokens *tokens = tokens_load(config->tokens_file, err);
    if (!tokens)
        return error_wrap(err, "desk.tokens_file");
    tokens_destroy(&tokens);
    return 0;
}

int desk_config_check(void *arg, struct error *err)
{
    struct desk_config *config = arg;
    struct desk_http_config *http = &config->http;
    struct desk_journal_config *journal = &config->journal;
    drop_empty(&config->listen);
    drop_empty(&config->admin_listen);
    drop_empty(&config->order_endpoint);
    drop_empty(&journal->keys_file);
    config->queues.lease_s = store_lease_s(&config->queues);
    config->queues.tombstone_days = store_tombstone_days(&config->queues);
    http->workers = config_default_u32(http->workers, 4);
    http->connections_max = config_default_u32(http->connections_max, 256);
    http->request_deadline_ms = config_default_u32(http->request_deadline_ms, 10000);
    journal->size_mib = config_default_u32(journal->size_mib, 1024);
    journal->retention_days = config_default_u32(journal->retention_days, 400);
    if (config_check_range("desk.lease_s", config->queues.lease_s, 10, 3600, err) != 0 ||
        config_check_range("desk.tombstone_days", config->queues.tombstone_days, 1, 3650, err) !=
            0 ||
        check_grades(&config->queues, err) != 0 ||
        config_check_range("desk.http.workers", http->workers, 1, 64, err) != 0 ||
        config_check_range("desk.http.connections_max", http->connections_max, 4, 10000, err) !=
            0 ||
        config_check_range("desk.http.request_deadline_ms", http->request_deadline_ms, 100, 60000,
                           err) != 0 ||
        config_check_range("desk.journal.size_mib", journal->size_mib, 4, 1 << 20, err) != 0 ||
        config_check_range("desk.journal.retention_days", journal->retention_days, 1, 4000, err) !=
            0)
        return -1;
    return check_tokens(config, err);
}
