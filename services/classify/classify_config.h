/* classify_config - the `classify` part of the configuration. */
#ifndef DESG_CLASSIFY_CONFIG_H
#define DESG_CLASSIFY_CONFIG_H

#include <stdint.h>

#include "config/config.h"
#include "error/error.h"
#include "triage/triage.h"

struct classify_grades { /* the force's words for how fast, by severity; NULL: the usual ones */
    char *routine;       /* resolution */
    char *attention;     /* scheduled */
    char *review;        /* priority */
    char *urgent;        /* immediate */
    char *life_at_risk;  /* immediate */
};

struct classify_shadow {   /* a second edition that only counts (shadow.h); neither: none runs */
    char *rules_directory; /* the one in use if only model is given */
    char *model;           /* optional */
};

struct classify_config {
    char *admin_listen; /* host:port of health and metrics; optional */
    char **ingest_endpoints;
    unsigned ingest_endpoints_count;
    char **route_urgent_endpoints;
    unsigned route_urgent_endpoints_count;
    char **route_bulk_endpoints;
    unsigned route_bulk_endpoints_count;
    char **notify_endpoints; /* optional: without them a worker without route cannot alert */
    unsigned notify_endpoints_count;
    char *rules_directory;
    char *model;                               /* file; optional: rules judge alone */
    struct triage_thresholds thresholds;       /* 0: what the model was trained to */
    struct triage_channel *channel_thresholds; /* 0: as for all channels */
    unsigned channel_thresholds_count;
    char **channels; /* served; none: all */
    unsigned channels_count;
    struct classify_grades grades;
    struct classify_shadow shadow;
    uint32_t credit; /* events taken before they are seen; default 64 */
};

extern const cyaml_schema_field_t classify_config_fields[];

/* Fills defaults and refuses what is out of range; opens no file. config is a struct
 * classify_config. */
int classify_config_check(void *config, struct error *err);

/* For triage_new: no model, the configured grades and thresholds. Borrows from config. */
struct triage_options classify_config_triage(const struct classify_config *config);

#endif
