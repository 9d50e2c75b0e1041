#include "classify/classify_config.h"

#include <limits.h>

#include "log/log.h"
#include "triage/rule_set.h"

enum {
    ENDPOINTS_MAX = 64,
    CHANNELS_MAX = 32,
    NAME_MAX_BYTES = 32,
    CREDIT_DEFAULT = 64,
    CREDIT_MAX = 4096
};

#define OPTIONAL_TEXT(key, structure, member, most)                                                \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           most)

static const cyaml_schema_value_t endpoint_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PATH_MAX),
};
static const cyaml_schema_value_t channel_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, NAME_MAX_BYTES),
};

static const cyaml_schema_field_t grade_fields[] = {
    OPTIONAL_TEXT("routine", struct classify_grades, routine, NAME_MAX_BYTES),
    OPTIONAL_TEXT("attention", struct classify_grades, attention, NAME_MAX_BYTES),
    OPTIONAL_TEXT("review", struct classify_grades, review, NAME_MAX_BYTES),
    OPTIONAL_TEXT("urgent", struct classify_grades, urgent, NAME_MAX_BYTES),
    OPTIONAL_TEXT("life-at-risk", struct classify_grades, life_at_risk, NAME_MAX_BYTES),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t shadow_fields[] = {
    OPTIONAL_TEXT("rules_directory", struct classify_shadow, rules_directory, PATH_MAX),
    OPTIONAL_TEXT("model", struct classify_shadow, model, PATH_MAX), CYAML_FIELD_END
};

const cyaml_schema_field_t classify_config_fields[] = {
    OPTIONAL_TEXT("admin_listen", struct classify_config, admin_listen, 200),
    CYAML_FIELD_SEQUENCE("ingest_endpoints", CYAML_FLAG_POINTER, struct classify_config,
                         ingest_endpoints, &endpoint_entry, 1, ENDPOINTS_MAX),
    CYAML_FIELD_SEQUENCE("route_urgent_endpoints", CYAML_FLAG_POINTER, struct classify_config,
                         route_urgent_endpoints, &endpoint_entry, 1, ENDPOINTS_MAX),
    CYAML_FIELD_SEQUENCE("route_bulk_endpoints", CYAML_FLAG_POINTER, struct classify_config,
                         route_bulk_endpoints, &endpoint_entry, 1, ENDPOINTS_MAX),
    CYAML_FIELD_SEQUENCE("notify_endpoints", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct classify_config, notify_endpoints, &endpoint_entry, 0,
                         ENDPOINTS_MAX),
    CYAML_FIELD_STRING_PTR("rules_directory", CYAML_FLAG_POINTER, struct classify_config,
                           rules_directory, 1, PATH_MAX),
    CYAML_FIELD_SEQUENCE("channels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct classify_config, channels, &channel_entry, 0, CHANNELS_MAX),
    CYAML_FIELD_MAPPING("grades", CYAML_FLAG_OPTIONAL, struct classify_config, grades,
                        grade_fields),
    CYAML_FIELD_MAPPING("shadow", CYAML_FLAG_OPTIONAL, struct classify_config, shadow,
                        shadow_fields),
    CYAML_FIELD_UINT("credit", CYAML_FLAG_OPTIONAL, struct classify_config, credit),
    CYAML_FIELD_END
};

int classify_config_check(void *service_config, struct error *err)
{
    struct classify_config *config = service_config;
    config->credit = config_default_u32(config->credit, CREDIT_DEFAULT);
    if (config_check_range("classify.credit", config->credit, 1, CREDIT_MAX, err) != 0)
        return -1;
    struct rule_set *rules = rule_set_load(config->rules_directory, err);
    if (!rules)
        return -1;
    log_info("rules_checked", KV("edition", rule_set_edition(rules)),
             KV("rules", rule_set_count(rules)),
             KV("phrases", phrase_book_count(rule_set_book(rules))));
    rule_set_destroy(&rules);
    return 0;
}

struct triage_options classify_config_triage(const struct classify_config *config)
{
    const struct classify_grades *grades = &config->grades;
    return (struct triage_options){
        .grades = {
            [DESG__V1__SEVERITY__SEVERITY_ROUTINE] = grades->routine,
            [DESG__V1__SEVERITY__SEVERITY_ATTENTION] = grades->attention,
            [DESG__V1__SEVERITY__SEVERITY_REVIEW] = grades->review,
            [DESG__V1__SEVERITY__SEVERITY_URGENT] = grades->urgent,
            [DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK] = grades->life_at_risk,
        },
    };
}
