/* notify_config - the part `notify` of the configuration. Every field has its meaning and default
 * in README.md. */
#ifndef DESG_NOTIFY_CONFIG_H
#define DESG_NOTIFY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "notify/alert_book.h"

enum { NOTIFY_CALLBACK_SECRETS_MAX = 4 };

struct notify_target_config {
    char *url;
    char *token_file;            /* NULL: no bearer token */
    char *signature_secret_file; /* NULL: no X-Hub-Signature-256 */
    char *ca_file;               /* NULL: the system's certificates */
    bool quote_key;
    uint32_t connect_timeout_ms; /* default 1000 */
    uint32_t timeout_ms;         /* default 3000 */
};

struct notify_journal_config {
    char *directory;
    uint32_t size_mib;        /* default 256 */
    uint32_t retention_hours; /* default 72 */
    char *keys_file;          /* NULL: not sealed */
};

struct notify_config {
    char *endpoint;     /* bound for AlertOrder of route and classify */
    char *listen;       /* callbacks of the dispatch system */
    char *admin_listen; /* NULL: none */
    char *source;       /* NULL: /force/<force>/social-desk */
    struct notify_target_config dispatch;
    struct notify_target_config *second_path; /* NULL: none */
    char **callback_secret_files;
    unsigned callback_secret_files_count;
    struct ladder_step *ladder; /* empty: 60 s again, 120 s second-path, 300 s supervisor */
    unsigned ladder_count;
    uint32_t *test_interval_s; /* default 300; 0 = off */
    uint32_t take_over_s;      /* default 60: another replica silent for so long has gone */
    struct notify_journal_config journal;
    struct notify_journal_config *outbox_journal; /* NULL: nothing but alerts goes out */
};

extern const cyaml_schema_field_t notify_config_fields[];

/* Fills defaults and refuses values out of range, naming the key. */
int notify_config_check(void *config, struct error *err);

#endif
