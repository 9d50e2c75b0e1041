#include "classify/classify_config.h"

#include <limits.h>

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

static const cyaml_schema_field_t threshold_fields[] = {
    CYAML_FIELD_FLOAT("urgent", CYAML_FLAG_OPTIONAL, struct triage_thresholds, urgent),
    CYAML_FIELD_FLOAT("review", CYAML_FLAG_OPTIONAL, struct triage_thresholds, review),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t channel_threshold_fields[] = {
    CYAML_FIELD_STRING_PTR("channel", CYAML_FLAG_POINTER, struct triage_channel, name, 1,
                           NAME_MAX_BYTES),
    CYAML_FIELD_FLOAT("urgent", CYAML_FLAG_OPTIONAL, struct triage_channel, thresholds.urgent),
    CYAML_FIELD_FLOAT("review", CYAML_FLAG_OPTIONAL, struct triage_channel, thresholds.review),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t channel_threshold_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct triage_channel, channel_threshold_fields),
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
    OPTIONAL_TEXT("model", struct classify_config, model, PATH_MAX),
    CYAML_FIELD_MAPPING("thresholds", CYAML_FLAG_OPTIONAL, struct classify_config, thresholds,
                        threshold_fields),
    CYAML_FIELD_SEQUENCE("channel_thresholds", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct classify_config, channel_thresholds, &channel_threshold_entry, 0,
                         CHANNELS_MAX),
    CYAML_FIELD_SEQUENCE("channels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct classify_config, channels, &channel_entry, 0, CHANNELS_MAX),
    CYAML_FIELD_MAPPING("grades", CYAML_FLAG_OPTIONAL, struct classify_config, grades,
                        grade_fields),
    CYAML_FIELD_MAPPING("shadow", CYAML_FLAG_OPTIONAL, struct classify_config, shadow,
                        shadow_fields),
    CYAML_FIELD_UINT("credit", CYAML_FLAG_OPTIONAL, struct classify_config, credit),
    CYAML_FIELD_END
};

static int check_threshold(const char *key, float value, struct error *err)
{
    if (value >= 0 && value <= 1)
        return 0;
    return error_set(
        err, ERROR_CONFIG,
        "%s is %g: write a share between 0 and 1, or 0 for what the model was trained to", key,
        (double)value);
}

static int check_thresholds(const struct classify_config *config, struct error *err)
{
    if (check_threshold("classify.thresholds.urgent", config->thresholds.urgent, err) != 0 ||
        check_threshold("classify.thresholds.review", config->thresholds.review, err) != 0)
        return -1;
    for (unsigned i = 0; i < config->channel_thresholds_count; i++) {
        const struct triage_thresholds *own = &config->channel_thresholds[i].thresholds;
        if (check_threshold("classify.channel_thresholds[].urgent", own->urgent, err) != 0 ||
            check_threshold("classify.channel_thresholds[].review", own->review, err) != 0)
            return -1;
    }
    return 0;
}

int classify_config_check(void *service_config, struct error *err)
{
    struct classify_config *config = service_config;
    config->credit = config_default_u32(config->credit, CREDIT_DEFAULT);
    if (config_check_range("classify.credit", config->credit, 1, CREDIT_MAX, err) != 0)
        return -1;
    return check_thresholds(config, err);
}

struct triage_options classify_config_triage(const struct classify_config *config)
{
    const struct classify_grades *grades = &config->grades;
    return (struct triage_options){
        .thresholds = config->thresholds,
        .channels = config->channel_thresholds,
        .channel_count = config->channel_thresholds_count,
        .grades = {
            [DESG__V1__SEVERITY__SEVERITY_ROUTINE] = grades->routine,
            [DESG__V1__SEVERITY__SEVERITY_ATTENTION] = grades->attention,
            [DESG__V1__SEVERITY__SEVERITY_REVIEW] = grades->review,
            [DESG__V1__SEVERITY__SEVERITY_URGENT] = grades->urgent,
            [DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK] = grades->life_at_risk,
        },
    };
}
