#include "ingest/ingest_config.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "ingest/channel.h"

#define CYAML_OPTIONAL_STRING(key, structure, member)                                              \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           PATH_MAX)

static const cyaml_schema_value_t text_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1,
                                                                    PATH_MAX) };

static const cyaml_schema_field_t journal_fields[] = {
    CYAML_FIELD_STRING_PTR("directory", CYAML_FLAG_POINTER, struct ingest_journal_config, directory,
                           1, PATH_MAX),
    CYAML_FIELD_UINT("size_mib", CYAML_FLAG_OPTIONAL, struct ingest_journal_config, size_mib),
    CYAML_FIELD_UINT("retention_hours", CYAML_FLAG_OPTIONAL, struct ingest_journal_config,
                     retention_hours),
    CYAML_OPTIONAL_STRING("keys_file", struct ingest_journal_config, keys_file),
    CYAML_OPTIONAL_STRING("archive_directory", struct ingest_journal_config, archive_directory),
    CYAML_FIELD_BOOL("delete_unarchived", CYAML_FLAG_OPTIONAL, struct ingest_journal_config,
                     delete_unarchived),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t http_fields[] = {
    CYAML_FIELD_UINT("threads", CYAML_FLAG_OPTIONAL, struct ingest_http_config, threads),
    CYAML_FIELD_UINT("connections_max", CYAML_FLAG_OPTIONAL, struct ingest_http_config,
                     connections_max),
    CYAML_FIELD_UINT_PTR("connections_per_address_max", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ingest_http_config, connections_per_address_max),
    CYAML_OPTIONAL_STRING("trusted_proxy_header", struct ingest_http_config, trusted_proxy_header),
    CYAML_FIELD_SEQUENCE("trusted_proxies", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ingest_http_config, trusted_proxies, &text_entry, 0, 64),
    CYAML_FIELD_UINT("request_deadline_ms", CYAML_FLAG_OPTIONAL, struct ingest_http_config,
                     request_deadline_ms),
    CYAML_FIELD_UINT("body_max_bytes", CYAML_FLAG_OPTIONAL, struct ingest_http_config,
                     body_max_bytes),
    CYAML_FIELD_UINT("buffered_max_bytes", CYAML_FLAG_OPTIONAL, struct ingest_http_config,
                     buffered_max_bytes),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t channel_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct ingest_channel_config, name, 1, 32),
    CYAML_FIELD_STRING_PTR("adapter", CYAML_FLAG_POINTER, struct ingest_channel_config, adapter, 1,
                           32),
    CYAML_FIELD_STRING_PTR("path", CYAML_FLAG_POINTER, struct ingest_channel_config, path, 1, 200),
    CYAML_FIELD_SEQUENCE("secret_files", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ingest_channel_config, secret_files, &text_entry, 0,
                         CYAML_UNLIMITED),
    CYAML_OPTIONAL_STRING("verify_token_file", struct ingest_channel_config, verify_token_file),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t channel_entry = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct ingest_channel_config, channel_fields) };

const cyaml_schema_field_t ingest_config_fields[] = {
    CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER, struct ingest_config, listen, 1, 200),
    CYAML_OPTIONAL_STRING("admin_listen", struct ingest_config, admin_listen),
    CYAML_FIELD_STRING_PTR("classify_endpoint", CYAML_FLAG_POINTER, struct ingest_config,
                           classify_endpoint, 1, 200),
    CYAML_FIELD_SEQUENCE("route_endpoints", CYAML_FLAG_POINTER, struct ingest_config,
                         route_endpoints, &text_entry, 1, INGEST_ROUTES_MAX),
    CYAML_FIELD_STRING_PTR("id_key_file", CYAML_FLAG_POINTER, struct ingest_config, id_key_file, 1,
                           PATH_MAX),
    CYAML_FIELD_MAPPING("journal", CYAML_FLAG_DEFAULT, struct ingest_config, journal,
                        journal_fields),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct ingest_config, http, http_fields),
    CYAML_FIELD_SEQUENCE("channels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ingest_config,
                         channels, &channel_entry, 0, INGEST_CHANNELS_MAX),
    CYAML_FIELD_END
};

static int fill_http_defaults(struct ingest_http_config *http, struct error *err)
{
    http->threads = config_default_u32(http->threads, 2);
    http->connections_max = config_default_u32(http->connections_max, 2000);
    http->request_deadline_ms = config_default_u32(http->request_deadline_ms, 10000);
    http->body_max_bytes = config_default_u32(http->body_max_bytes, 4 << 20);
    http->buffered_max_bytes = config_default_u32(http->buffered_max_bytes, 64 << 20);
    if (http->connections_per_address_max)
        return 0;
    http->connections_per_address_max = malloc(sizeof *http->connections_per_address_max);
    if (!http->connections_per_address_max)
        return error_set(err, ERROR_SYSTEM, "no memory for the configuration");
    *http->connections_per_address_max = 200;
    return 0;
}

static int check_proxies(const struct ingest_http_config *http, struct error *err)
{
    bool has_header = http->trusted_proxy_header && http->trusted_proxy_header[0] != '\0';
    if (has_header != (http->trusted_proxies_count > 0))
        return error_set(err, ERROR_CONFIG,
                         "ingest.http: trusted_proxy_header and trusted_proxies go together: a "
                         "header is believed only from the proxies listed; write both or neither");
    for (unsigned i = 0; i < http->trusted_proxies_count; i++) {
        struct in6_addr address;
        const char *text = http->trusted_proxies[i];
        if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1)
            return error_set(err, ERROR_CONFIG,
                             "ingest.http.trusted_proxies: '%s' is not a numeric address: write "
                             "such as 10.1.2.3 or fd00::1",
                             text);
    }
    return 0;
}

static int check_http(const struct ingest_http_config *http, struct error *err)
{
    if (config_check_range("ingest.http.threads", http->threads, 1, 64, err) != 0 ||
        config_check_range("ingest.http.connections_max", http->connections_max, http->threads,
                           100000, err) != 0 ||
        config_check_range("ingest.http.request_deadline_ms", http->request_deadline_ms, 100, 60000,
                           err) != 0 ||
        config_check_range("ingest.http.body_max_bytes", http->body_max_bytes, 1024, 4 << 20,
                           err) != 0 ||
        config_check_range("ingest.http.buffered_max_bytes", http->buffered_max_bytes,
                           http->body_max_bytes, (uint64_t)1 << 30, err) != 0)
        return -1;
    return check_proxies(http, err);
}

static bool is_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name);
}

static int check_channel(const struct ingest_config *config, unsigned at, struct error *err)
{
    const struct ingest_channel_config *channel = &config->channels[at];
    if (!is_name(channel->name))
        return error_set(err, ERROR_CONFIG,
                         "ingest.channels: name '%s': write small letters, digits, - and _",
                         channel->name);
    if (channel->path[0] != '/' || strpbrk(channel->path, " ?#%") != NULL)
        return error_set(err, ERROR_CONFIG,
                         "ingest.channels[%s].path is '%s': write a plain path such as "
                         "/hooks/facebook",
                         channel->name, channel->path);
    for (unsigned i = 0; i < at; i++) {
        if (strcmp(config->channels[i].path, channel->path) == 0)
            return error_set(
                err, ERROR_CONFIG,
                "ingest.channels[%s].path '%s' is also that of channel '%s': give each "
                "its own",
                channel->name, channel->path, config->channels[i].name);
        if (strcmp(config->channels[i].name, channel->name) == 0)
            return error_set(err, ERROR_CONFIG,
                             "ingest.channels: two are called '%s': give each its own name",
                             channel->name);
    }
    if (channel->secret_files_count > INGEST_SECRETS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "ingest.channels[%s].secret_files names %u files: write one, or two while "
                         "a secret is being rotated",
                         channel->name, channel->secret_files_count);
    /* Reads the secrets once, so that a missing one is told before anything starts. */
    struct channel *tried = channel_new(channel, err);
    bool is_good = tried != NULL;
    channel_destroy(&tried);
    return is_good ? 0 : -1;
}

static int check_endpoints(const struct ingest_config *config, struct error *err)
{
    if (config->route_endpoints_count == 0)
        return error_set(err, ERROR_CONFIG,
                         "ingest.route_endpoints is empty: name route's urgent sockets, such as "
                         "tcp://route:5611");
    return 0;
}

/* Whoever reads the id key can test whether a known number wrote in: guarded like any secret. */
static int check_id_key(const struct ingest_config *config, struct error *err)
{
    char *key = config_read_secret("ingest.id_key_file", config->id_key_file, err);
    if (!key)
        return -1;
    explicit_bzero(key, strlen(key));
    free(key);
    return 0;
}

int ingest_config_check(void *config, struct error *err)
{
    struct ingest_config *self = config;
    self->journal.size_mib = config_default_u32(self->journal.size_mib, 1024);
    self->journal.retention_hours = config_default_u32(self->journal.retention_hours, 72);
    if (fill_http_defaults(&self->http, err) != 0 || check_http(&self->http, err) != 0 ||
        check_endpoints(self, err) != 0 || check_id_key(self, err) != 0)
        return -1;
    if (config_check_range("ingest.journal.size_mib", self->journal.size_mib, 4, 1 << 20, err) !=
            0 ||
        config_check_range("ingest.journal.retention_hours", self->journal.retention_hours, 1, 8760,
                           err) != 0)
        return -1;
    if (self->channels_count == 0)
        return error_set(err, ERROR_CONFIG,
                         "ingest.channels is empty: nothing could come in; name at least one "
                         "channel");
    for (unsigned i = 0; i < self->channels_count; i++)
        if (check_channel(self, i, err) != 0)
            return -1;
    return 0;
}
