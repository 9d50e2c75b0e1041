#include "config/config.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/document.h"
#include "config/override.h"
#include "config/schema.h"
#include "log/log.h"

enum { GRACE_MS = 20000, REDIS_TIMEOUT_MS = 250, FORCE_MAX_BYTES = 32 };

static const cyaml_schema_value_t sentinel_address = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char,
                                                                          1, 255) };

static const cyaml_schema_field_t redis_tls_fields[] = {
    CYAML_FIELD_STRING_PTR("ca_file", CYAML_FLAG_POINTER, struct config_redis_tls, ca_file, 1,
                           PATH_MAX),
    CYAML_FIELD_STRING_PTR("cert_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis_tls, cert_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("key_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis_tls, key_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("server_name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis_tls, server_name, 1, 253),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t redis_fields[] = {
    CYAML_FIELD_STRING_PTR("address", CYAML_FLAG_POINTER, struct config_redis, address, 1, 255),
    CYAML_FIELD_SEQUENCE("sentinels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_redis,
                         sentinels, &sentinel_address, 0, 16),
    CYAML_FIELD_STRING_PTR("username", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis, username, 1, 255),
    CYAML_FIELD_STRING_PTR("password_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis, password_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("passwords_directory", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis, passwords_directory, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("sentinel_username", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis, sentinel_username, 1, 255),
    CYAML_FIELD_STRING_PTR("sentinel_password_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_redis, sentinel_password_file, 1, PATH_MAX),
    CYAML_FIELD_UINT("timeout_ms", CYAML_FLAG_OPTIONAL, struct config_redis, timeout_ms),
    CYAML_FIELD_MAPPING_PTR("tls", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_redis,
                            tls, redis_tls_fields),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t curve_fields[] = {
    CYAML_FIELD_STRING_PTR("keys_directory", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_curve, keys_directory, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("public_key_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_curve, public_key_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("secret_key_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_curve, secret_key_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("allowed_keys_directory", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_curve, allowed_keys_directory, 1, PATH_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t common_fields[] = {
    CYAML_FIELD_STRING_PTR("force", CYAML_FLAG_POINTER, struct config_common, force, 1,
                           FORCE_MAX_BYTES),
    CYAML_FIELD_STRING_PTR("run_directory", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_common, run_directory, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("log_level", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct config_common, log_level, 1, 16),
    CYAML_FIELD_UINT("grace_ms", CYAML_FLAG_OPTIONAL, struct config_common, grace_ms),
    CYAML_FIELD_MAPPING("redis", CYAML_FLAG_DEFAULT, struct config_common, redis, redis_fields),
    CYAML_FIELD_MAPPING_PTR("curve", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_common,
                            curve, curve_fields),
    CYAML_FIELD_END
};

/* Parts a file may hold. Those of other services are passed over unread. */
static const char *const parts[] = { "common", "ingest", "classify", "route",
                                     "notify", "desk",   "client",   "outward" };

/* What config_load() hands out: the schema must outlive what libcyaml made by it. */
struct loaded {
    struct config config;
    cyaml_schema_field_t fields[3]; /* common, the service's part, end */
    cyaml_schema_value_t schema;
};

/* The first line libcyaml says about a mistake. */
struct complaint {
    char text[256];
};

static void __attribute__((format(printf, 3, 0)))
on_complaint(cyaml_log_t level, void *arg, const char *format, va_list args)
{
    struct complaint *complaint = arg;
    if (level < CYAML_LOG_ERROR || complaint->text[0])
        return;
    (void)vsnprintf(complaint->text, sizeof complaint->text, format, args);
    complaint->text[strcspn(complaint->text, "\n")] = '\0';
}

static cyaml_config_t library_config(struct complaint *complaint)
{
    return (cyaml_config_t){ .log_fn = on_complaint,
                             .log_ctx = complaint,
                             .log_level = CYAML_LOG_ERROR,
                             .mem_fn = cyaml_mem,
                             .flags = CYAML_CFG_DEFAULT };
}

/* Describes {common, service} at run time, as libcyaml wants it. */
static void describe(struct loaded *self, const char *service, const cyaml_schema_field_t *fields,
                     size_t service_bytes)
{
    const cyaml_schema_field_t common = CYAML_FIELD_MAPPING(
        "common", CYAML_FLAG_DEFAULT, struct loaded, config.common, common_fields);
    const cyaml_schema_field_t end = CYAML_FIELD_END;
    const cyaml_schema_field_t part = {
        .key = service,
        .data_offset = offsetof(struct loaded, config.service),
        .value = { .type = CYAML_MAPPING,
                   .flags = CYAML_FLAG_POINTER,
                   .data_size = (uint32_t)service_bytes,
                   .mapping = { .fields = fields } },
    };
    self->fields[0] = common;
    self->fields[1] = part;
    self->fields[2] = end;
    self->schema = (cyaml_schema_value_t){ .type = CYAML_MAPPING,
                                           .flags = CYAML_FLAG_POINTER,
                                           .data_size = sizeof(struct loaded),
                                           .mapping = { .fields = self->fields } };
}

static bool is_part(const char *name, const char *service)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(name, parts[i]) == 0)
            return true;
    return strcmp(name, service) == 0;
}

/* Refuses parts no service has: a misspelt one would be passed over in silence. */
static int check_parts(const struct document *document, const char *service, struct error *err)
{
    const yaml_node_t *root = document_node(document, document_root(document));
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = document_node(document, pair->key);
        char place[DOCUMENT_PLACE_BYTES];
        document_place(document, pair->key, place);
        if (name->type != YAML_SCALAR_NODE)
            return error_set(err, ERROR_CONFIG, "%s: the part's name is not a word", place);
        const char *text = (const char *)name->data.scalar.value;
        if (!is_part(text, service))
            return error_set(err, ERROR_CONFIG,
                             "%s: there is no part '%.40s': write one of common, ingest, classify, "
                             "route, notify, desk, outward",
                             place, text);
        if (document_find(document, document_root(document), text) != pair->value)
            return error_set(err, ERROR_CONFIG, "%s: part '%s' is there twice: join them", place,
                             text);
    }
    return 0;
}

static int check_document(struct document *document, const char *service,
                          const cyaml_schema_field_t *fields, struct error *err)
{
    if (check_parts(document, service, err) != 0)
        return -1;
    document_keep(document, "common", service);
    if (override_part(document, "common", common_fields, err) != 0 ||
        override_part(document, service, fields, err) != 0)
        return -1;
    int root = document_root(document);
    (void)document_child(document, root, "common"); /* an absent part is an empty one: the check */
    (void)document_child(document, root, service);  /* names the first key it lacks */
    if (schema_check(document, document_find(document, root, "common"), "common", common_fields,
                     err) != 0)
        return -1;
    return schema_check(document, document_find(document, root, service), service, fields, err);
}

static struct loaded *fill(const unsigned char *text, size_t length, const struct loaded *layout,
                           const char *path, struct error *err)
{
    struct complaint complaint = { "" };
    const cyaml_config_t library = library_config(&complaint);
    cyaml_data_t *made = NULL;
    cyaml_err_t rc = cyaml_load_data(text, length, &library, &layout->schema, &made, NULL);
    if (rc == CYAML_OK && made)
        return made;
    /* The text was parsed once already: what libyaml cannot parse now is for want of memory. */
    bool is_memory = rc == CYAML_ERR_OOM || rc == CYAML_ERR_LIBYAML_PARSER ||
                     rc == CYAML_ERR_LIBYAML_PARSER_INIT;
    (void)error_set(err, is_memory ? ERROR_SYSTEM : ERROR_CONFIG, "%s: %s: %s", path,
                    cyaml_strerror(rc), complaint.text);
    return NULL;
}

static bool is_force(const char *text)
{
    size_t length = strlen(text);
    return length == strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") && *text != '-';
}

static bool set_default(char **text, const char *fallback)
{
    if (!*text)
        *text = strdup(fallback);
    return *text != NULL;
}

/* The program's own user, and the file with its password. */
static int complete_redis(struct config_redis *redis, const char *path, const char *service,
                          struct error *err)
{
    char file[PATH_MAX];
    const char *user = strcmp(service, "client") == 0 ? "cli" : service;
    if (redis->tls && !redis->tls->cert_file != !redis->tls->key_file)
        return error_set(err, ERROR_CONFIG,
                         "%s: common.redis.tls: cert_file and key_file go together", path);
    if (!redis->passwords_directory)
        return 0;
    if (redis->username || redis->password_file)
        return error_set(err, ERROR_CONFIG,
                         "%s: common.redis.passwords_directory says who signs in and how: take "
                         "username and password_file out",
                         path);
    int length = snprintf(file, sizeof file, "%s/%s", redis->passwords_directory, user);
    if (length < 0 || (size_t)length >= sizeof file)
        return error_set(err, ERROR_CONFIG, "%s: common.redis.passwords_directory is too long",
                         path);
    if (!set_default(&redis->username, user) || !set_default(&redis->password_file, file))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", path);
    return 0;
}

/* keys_directory/program/file */
static int set_key_path(char **path, const struct config_curve *curve, const char *service,
                        const char *file)
{
    char text[PATH_MAX];
    int length = snprintf(text, sizeof text, "%s/%s/%s", curve->keys_directory, service, file);
    return length >= 0 && (size_t)length < sizeof text && set_default(path, text) ? 0 : -1;
}

static int complete_curve(struct config_curve *curve, const char *path, const char *service,
                          struct error *err)
{
    bool has_any =
        curve->public_key_file || curve->secret_key_file || curve->allowed_keys_directory;
    bool has_all =
        curve->public_key_file && curve->secret_key_file && curve->allowed_keys_directory;
    if (curve->keys_directory ? has_any : !has_all)
        return error_set(err, ERROR_CONFIG,
                         "%s: common.curve: write either keys_directory, or all of "
                         "public_key_file, secret_key_file and allowed_keys_directory",
                         path);
    if (curve->keys_directory &&
        (set_key_path(&curve->public_key_file, curve, service, "own") != 0 ||
         set_key_path(&curve->secret_key_file, curve, service, "own_secret") != 0 ||
         set_key_path(&curve->allowed_keys_directory, curve, service, "allowed") != 0))
        return error_set(err, ERROR_CONFIG, "%s: common.curve.keys_directory is too long", path);
    return 0;
}

static int complete_common(struct config *config, const char *path, const char *service,
                           struct error *err)
{
    struct config_common *common = &config->common;
    enum log_level level;
    config->path = strdup(path);
    if (!config->path || !set_default(&common->run_directory, "/run/desg") ||
        !set_default(&common->log_level, "info"))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", path);
    common->grace_ms = config_default_u32(common->grace_ms, GRACE_MS);
    common->redis.timeout_ms = config_default_u32(common->redis.timeout_ms, REDIS_TIMEOUT_MS);
    if (!is_force(common->force))
        return error_set(err, ERROR_CONFIG,
                         "%s: common.force '%s' cannot begin the names of Redis keys: write lower "
                         "case letters, digits and '-', such as gwent",
                         path, common->force);
    if (!log_level_parse(common->log_level, &level))
        return error_set(err, ERROR_CONFIG,
                         "%s: common.log_level '%s' is not known: write debug, info, warn or error",
                         path, common->log_level);
    if (config_check_range("common.grace_ms", common->grace_ms, 100, 600000, err) != 0 ||
        config_check_range("common.redis.timeout_ms", common->redis.timeout_ms, 10, 60000, err) !=
            0)
        return error_wrap(err, "%s", path);
    if (common->curve && complete_curve(common->curve, path, service, err) != 0)
        return -1;
    return complete_redis(&common->redis, path, service, err);
}

struct config *config_load(const char *path, const char *service,
                           const cyaml_schema_field_t *fields, size_t service_bytes,
                           struct error *err)
{
    assert(path && service && fields && service_bytes > 0 && service_bytes <= UINT32_MAX);
    struct document *document = calloc(1, sizeof *document);
    struct loaded layout = { 0 };
    struct loaded *self = NULL;
    unsigned char *text = NULL;
    size_t length = 0;
    describe(&layout, service, fields, service_bytes);
    if (!document)
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", path);
    else if (document_load(document, path, err) == 0 &&
             check_document(document, service, fields, err) == 0 &&
             document_emit(document, &text, &length, err) == 0)
        self = fill(text, length, &layout, path, err);
    if (document)
        document_clear(document);
    free(document);
    free(text);
    if (!self)
        return NULL;
    describe(self, service, fields, service_bytes);
    struct config *config = &self->config;
    if (complete_common(config, path, service, err) != 0)
        config_destroy(&config);
    return config;
}

void config_destroy(struct config **self_p)
{
    struct config *config = *self_p;
    if (!config)
        return;
    struct loaded *self = (struct loaded *)config; /* its first member */
    struct complaint complaint = { "" };
    const cyaml_config_t library = library_config(&complaint);
    const struct loaded layout = *self; /* the schema lies in what is freed */
    cyaml_schema_value_t schema = layout.schema;
    schema.mapping.fields = layout.fields;
    free(config->path);
    (void)cyaml_free(&library, &schema, self, 0);
    *self_p = NULL;
}

uint32_t config_default_u32(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

int config_check_range(const char *key, uint64_t value, uint64_t lowest, uint64_t highest,
                       struct error *err)
{
    if (value >= lowest && value <= highest)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s is %llu: write %llu to %llu", key,
                     (unsigned long long)value, (unsigned long long)lowest,
                     (unsigned long long)highest);
}
