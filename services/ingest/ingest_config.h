/* ingest_config - the part `ingest:` of the configuration file. Read once, checked, then const.
 * Secrets are named by file; their contents are read by whoever uses them, never kept here. */
#ifndef DESG_INGEST_CONFIG_H
#define DESG_INGEST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyaml/cyaml.h>

#include "error/error.h"

enum { INGEST_SECRETS_MAX = 2, INGEST_CHANNELS_MAX = 32, INGEST_ROUTES_MAX = 64 };

struct ingest_journal_config {
    char *directory;
    uint32_t size_mib;        /* default 1024 */
    uint32_t retention_hours; /* default 72 */
    char *keys_file;          /* dated AES keys, see crypto/seal.h; NULL: records are not sealed */
    char *archive_directory;  /* what retention deletes is written there first; NULL: it is not */
    bool delete_unarchived;   /* full, and the archive fails: delete all the same */
};

struct ingest_http_config {
    uint32_t threads;         /* default 2 */
    uint32_t connections_max; /* default 2000 */
    uint32_t
        *connections_per_address_max; /* 0: no limit; after the check never NULL, default 200 */
    char *trusted_proxy_header;       /* such as X-Forwarded-For; NULL: none is believed */
    char **trusted_proxies; /* numeric addresses whose header is believed; all others' is ignored */
    unsigned trusted_proxies_count;
    uint32_t request_deadline_ms; /* from first byte to answer; default 10000 */
    uint32_t body_max_bytes;      /* default 4 MiB */
    uint32_t buffered_max_bytes;  /* of all bodies in memory together; default 64 MiB */
};

struct ingest_channel_config {
    char *name;          /* in metrics and logs */
    char *adapter;       /* meta, x or web */
    char *path;          /* callback path, such as /hooks/facebook */
    char **secret_files; /* one, or two while a secret is rotated: either is accepted */
    unsigned secret_files_count;
    char *
        verify_token_file; /* meta: the token of the subscription check; NULL: checks are refused */
};

struct ingest_config {
    char *listen;            /* webhooks: 127.0.0.1:8080 or [::]:8080; port 0: any */
    char *admin_listen;      /* health and metrics; NULL or "": none */
    char *classify_endpoint; /* bound here; classify workers connect */
    char **route_endpoints;  /* route's urgent sockets; we connect */
    unsigned route_endpoints_count;
    char *id_key_file;
    struct ingest_journal_config journal;
    struct ingest_http_config http;
    struct ingest_channel_config *channels;
    unsigned channels_count;
};

extern const cyaml_schema_field_t ingest_config_fields[];

/* Fills defaults, then refuses what cannot work, naming the key and the remedy: no channel, a
 * channel without a secret, an empty or unreadable secret, more than two, a path twice, an adapter
 * that does not exist, values out of range. config is a struct ingest_config. Returns 0 or -1
 * (ERROR_CONFIG). */
int ingest_config_check(void *config, struct error *err) MUST_USE;

#endif
