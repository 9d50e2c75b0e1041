#include "route/route_config.h"

#include <limits.h>
#include <string.h>

#include "config/config.h"
#include "store/plan.h"

enum {
    ENDPOINT_MAX_BYTES = 200,
    WORD_MAX_BYTES = 40,
    MONTH_HOURS = 24 * 30,
    YEAR_HOURS = 24 * 365,
    MONTH_S = 30 * 24 * 3600,
};

static const cyaml_strval_t severity_words[] = {
    { "any", DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED },
    { "routine", DESG__V1__SEVERITY__SEVERITY_ROUTINE },
    { "attention", DESG__V1__SEVERITY__SEVERITY_ATTENTION },
    { "review", DESG__V1__SEVERITY__SEVERITY_REVIEW },
    { "urgent", DESG__V1__SEVERITY__SEVERITY_URGENT },
    { "life-at-risk", DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK },
};

static const cyaml_schema_value_t endpoint_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1,
                                                                        ENDPOINT_MAX_BYTES) };

#define WORD(key, structure, member)                                                               \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           WORD_MAX_BYTES)

static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_STRING_PTR("queue", CYAML_FLAG_POINTER, struct store_queue_rule, queue, 1,
                           WORD_MAX_BYTES),
    WORD("category", struct store_queue_rule, category),
    WORD("language", struct store_queue_rule, language),
    WORD("restricted", struct store_queue_rule, restricted),
    CYAML_FIELD_ENUM("severity_at_least", CYAML_FLAG_OPTIONAL, struct store_queue_rule,
                     severity_at_least, severity_words, CYAML_ARRAY_LEN(severity_words)),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t rule_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct store_queue_rule, rule_fields) };

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

static const cyaml_schema_field_t queues_fields[] = {
    CYAML_FIELD_SEQUENCE("rules", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct store_queues,
                         rules, &rule_entry, 0, ROUTE_RULES_MAX),
    CYAML_FIELD_SEQUENCE("grades", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct store_queues,
                         grades, &grade_entry, 0, ROUTE_GRADES_MAX),
    CYAML_FIELD_UINT("lease_s", CYAML_FLAG_OPTIONAL, struct store_queues, lease_s),
    CYAML_FIELD_UINT("context_hours", CYAML_FLAG_OPTIONAL, struct store_queues, context_hours),
    CYAML_FIELD_UINT("unclassified_alerts_per_minute", CYAML_FLAG_OPTIONAL, struct store_queues,
                     unclassified_alerts_per_minute),
    CYAML_FIELD_UINT("tombstone_days", CYAML_FLAG_OPTIONAL, struct store_queues, tombstone_days),
    CYAML_FIELD_UINT("archive_after_hours", CYAML_FLAG_OPTIONAL, struct store_queues,
                     archive_after_hours),
    CYAML_FIELD_END
};

const cyaml_schema_field_t route_config_fields[] = {
    CYAML_FIELD_STRING_PTR("admin_listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct route_config, admin_listen, 0, ENDPOINT_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("urgent_endpoint", CYAML_FLAG_POINTER, struct route_config,
                           urgent_endpoint, 1, ENDPOINT_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("bulk_endpoint", CYAML_FLAG_POINTER, struct route_config, bulk_endpoint,
                           1, ENDPOINT_MAX_BYTES),
    CYAML_FIELD_SEQUENCE("notify_endpoints", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct route_config, notify_endpoints, &endpoint_entry, 0,
                         ROUTE_NOTIFY_MAX),
    CYAML_FIELD_UINT("urgent_credit", CYAML_FLAG_OPTIONAL, struct route_config, urgent_credit),
    CYAML_FIELD_UINT("bulk_credit", CYAML_FLAG_OPTIONAL, struct route_config, bulk_credit),
    CYAML_FIELD_MAPPING("queues", CYAML_FLAG_OPTIONAL, struct route_config, queues, queues_fields),
    CYAML_FIELD_END
};

static bool is_queue_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static bool is_one_of(const char *word, const char *const *allowed)
{
    if (!word || !word[0])
        return true;
    for (; *allowed; allowed++)
        if (strcmp(word, *allowed) == 0)
            return true;
    return false;
}

static int check_rule(const struct store_queue_rule *rule, unsigned at, struct error *err)
{
    static const char *const languages[] = { "en", "cy", "mixed", "unsure", NULL };
    static const char *const classes[] = { "any", "sexual-offence", "intelligence", NULL };
    if (!is_queue_name(rule->queue))
        return error_set(err, ERROR_CONFIG,
                         "route.queues.rules[%u].queue is '%s': write small letters, digits and "
                         "dashes",
                         at, rule->queue);
    if (!is_one_of(rule->language, languages))
        return error_set(err, ERROR_CONFIG,
                         "route.queues.rules[%u].language is '%s': write en, cy, mixed or unsure",
                         at, rule->language);
    if (!is_one_of(rule->restricted, classes))
        return error_set(err, ERROR_CONFIG,
                         "route.queues.rules[%u].restricted is '%s': write any, sexual-offence or "
                         "intelligence",
                         at, rule->restricted);
    return 0;
}

static int check_grades(const struct store_queues *queues, struct error *err)
{
    for (unsigned i = 0; i < queues->grades_count; i++) {
        const struct store_grade *grade = &queues->grades[i];
        if (grade->severity == DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED)
            return error_set(err, ERROR_CONFIG,
                             "route.queues.grades[%u].severity is any: write routine, attention, "
                             "review, urgent or life-at-risk",
                             i);
        if (!is_queue_name(grade->grade))
            return error_set(err, ERROR_CONFIG,
                             "route.queues.grades[%u].grade is '%s': write small letters, digits "
                             "and dashes",
                             i, grade->grade);
        if (config_check_range("route.queues.grades.allowance_s", grade->allowance_s, 1, MONTH_S,
                               err) != 0)
            return -1;
        for (unsigned j = 0; j < i; j++)
            if (queues->grades[j].severity == grade->severity)
                return error_set(err, ERROR_CONFIG,
                                 "route.queues.grades[%u] has the severity of grades[%u]: give "
                                 "each severity one grade",
                                 i, j);
    }
    return 0;
}

int route_config_check(struct route_config *config, struct error *err)
{
    struct store_queues *queues = &config->queues;
    config->urgent_credit = config_default_u32(config->urgent_credit, 256);
    config->bulk_credit = config_default_u32(config->bulk_credit, 1024);
    queues->lease_s = store_lease_s(queues);
    queues->context_hours = store_context_hours(queues);
    queues->unclassified_alerts_per_minute = store_unclassified_per_minute(queues);
    queues->tombstone_days = store_tombstone_days(queues);
    queues->archive_after_hours = store_archive_after_hours(queues);
    if (strcmp(config->urgent_endpoint, config->bulk_endpoint) == 0)
        return error_set(err, ERROR_CONFIG,
                         "route.urgent_endpoint and bulk_endpoint are both '%s': give each lane "
                         "its own",
                         config->bulk_endpoint);
    if (config_check_range("route.urgent_credit", config->urgent_credit, 1, 65536, err) != 0 ||
        config_check_range("route.bulk_credit", config->bulk_credit, 1, 65536, err) != 0 ||
        config_check_range("route.queues.lease_s", queues->lease_s, 10, 3600, err) != 0 ||
        config_check_range("route.queues.context_hours", queues->context_hours, 1, MONTH_HOURS,
                           err) != 0 ||
        config_check_range("route.queues.unclassified_alerts_per_minute",
                           queues->unclassified_alerts_per_minute, 1, 1000, err) != 0 ||
        config_check_range("route.queues.tombstone_days", queues->tombstone_days, 1, 3650, err) !=
            0 ||
        config_check_range("route.queues.archive_after_hours", queues->archive_after_hours, 1,
                           YEAR_HOURS, err) != 0)
        return -1;
    for (unsigned i = 0; i < queues->rules_count; i++)
        if (check_rule(&queues->rules[i], i, err) != 0)
            return -1;
    return check_grades(queues, err);
}
