/* desk_config - the part `desk` of the configuration. Every field has its meaning and default in
 * README.md. */
#ifndef DESG_DESK_CONFIG_H
#define DESG_DESK_CONFIG_H

#include <stdint.h>

#include "config/config.h"
#include "store/store.h"

struct desk_http_config {
    uint32_t workers;             /* default 4: requests handled at once, a Redis connection each */
    uint32_t connections_max;     /* default 256 */
    uint32_t request_deadline_ms; /* default 10000 */
};

struct desk_journal_config {
    char *directory;
    uint32_t size_mib;       /* default 1024 */
    uint32_t retention_days; /* default 400 */
    char *keys_file;         /* NULL: not sealed */
};

struct desk_config {
    char *listen;         /* NULL: the Unix socket alone */
    char *admin_listen;   /* NULL: none */
    char *order_endpoint; /* ZeroMQ, broadcasts of other programs; NULL: none */
    char *tokens_file;
    char *id_key_file;
    struct store_queues queues; /* lease_s, grades and tombstone_days, as route's */
    struct desk_http_config http;
    struct desk_journal_config journal;
};

extern const cyaml_schema_field_t desk_config_fields[];

/* Fills defaults and refuses values out of range, naming the key; reads the token file. */
int desk_config_check(void *config, struct error *err);

#endif
