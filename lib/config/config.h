/* config - one YAML file for all services; each reads the common part and its own. libcyaml schemas
 * are the documentation: an unknown key, a wrong type or a missing one is refused with file, line
 * and remedy. A scalar key of a service may be overridden once from the environment:
 * DESG_<SERVICE>_<KEY>, such as DESG_ROUTE_RETRY_DELAY_MS=500. Secrets come from files named in the
 * configuration. Read once, then const. */
#ifndef DESG_CONFIG_H
#define DESG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyaml/cyaml.h>

#include "error/error.h"

struct config_curve {      /* CURVE on every ZeroMQ socket off one machine */
    char *keys_directory;  /* of desg keys make; then the other three follow from the program: own,
                              own_secret and allowed in the folder of its name */
    char *public_key_file; /* this process's certificate, public half (czmq zcert text) */
    char *secret_key_file; /* this process's certificate, secret half */
    char *allowed_keys_directory; /* public certificates of the peers let in */
};

/* Redis over TLS; docs/operations.md says which builds have it. */
struct config_redis_tls {
    char *ca_file;     /* who signs the server's certificate, PEM */
    char *cert_file;   /* optional: this process's own */
    char *key_file;    /* goes with it */
    char *server_name; /* optional: the name in the server's certificate; default: the address's */
};

struct config_redis {
    char *address;    /* unix:/path/redis.sock or host:port */
    char **sentinels; /* host:port of each Sentinel; then address is the master's name */
    unsigned sentinels_count;
    char *username;               /* optional */
    char *password_file;          /* optional */
    char *passwords_directory;    /* optional: username is the program's own (route, notify, desk,
                                     cli), password_file the file of that name in here */
    char *sentinel_username;      /* optional; of the Sentinels, which have users of their own */
    char *sentinel_password_file; /* optional */
    uint32_t timeout_ms;          /* of one call; default 250 */
    struct config_redis_tls *tls; /* NULL: plain */
};

/* The part of the file every process reads. */
struct config_common {
    char *force;         /* short name of the force, such as gwent: prefix of Redis keys */
    char *run_directory; /* control sockets; default /run/desg */
    char *log_level;     /* debug, info, warn, error; default info */
    uint32_t grace_ms;   /* how long a drain may take; default 20000 */
    struct config_redis redis;
    struct config_curve *curve; /* NULL: plain sockets */
};

struct config {
    struct config_common common;
    void *service; /* the service's own struct, filled by its schema */
    char *path;
};

/* Reads path: `common` and the part called service by its schema into a new struct of service_bytes
 * bytes. Parts of other services are passed over. ERROR_CONFIG: the text names file, line, what was
 * found and what to write. */
struct config *config_load(const char *path, const char *service,
                           const cyaml_schema_field_t *fields, size_t service_bytes,
                           struct error *err) MUST_USE;
void config_destroy(struct config **self_p);

/* For the checks of a service: value or, when 0, the default. */
uint32_t config_default_u32(uint32_t value, uint32_t fallback);

/* Refuses value outside lowest..highest: "ingest.http_threads is 900: write 1 to 64". Returns 0 or
 * -1. */
int config_check_range(const char *key, uint64_t value, uint64_t lowest, uint64_t highest,
                       struct error *err) MUST_USE;

/* Reads a secret file into a new string without its final newline; refuses an empty one and, unless
 * it belongs to a Kubernetes mount, one that anyone may read. The caller frees it. */
char *config_read_secret(const char *key, const char *path, struct error *err) MUST_USE;

#endif
