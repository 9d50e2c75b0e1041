/* route_config - the part `route:` of the configuration file. Read once, checked, then const. */
#ifndef DESG_ROUTE_CONFIG_H
#define DESG_ROUTE_CONFIG_H

#include <cyaml/cyaml.h>

#include "error/error.h"
#include "store/store.h"

enum { ROUTE_NOTIFY_MAX = 16, ROUTE_RULES_MAX = 64, ROUTE_GRADES_MAX = 8 };

struct route_config {
    char *admin_listen;    /* health and metrics; NULL or "": none */
    char *urgent_endpoint; /* bound here; ingest, classify connect */
    char *bulk_endpoint;
    char **notify_endpoints; /* we connect, for provisional alerts; may be empty */
    unsigned notify_endpoints_count;
    uint32_t urgent_credit; /* events a peer may have unanswered; default 256 */
    uint32_t bulk_credit;   /* default 1024 */
    struct store_queues queues;
};

extern const cyaml_schema_field_t route_config_fields[];

/* Fills defaults, refuses values out of range or rules that name no queue, naming key and remedy.
 */
int route_config_check(struct route_config *config, struct error *err) MUST_USE;

#endif
