/* service - the skeleton every process shares: arguments, configuration, log, metrics, admin door,
 * signals, drain, exit codes. A main() is: return service_main(argc, argv, &spec).
 *
 * Usage of each process: desg-<name> --config FILE [--name NAME] [--check-config]
 * [--probe [live|ready]] [--help] [--version] Exit codes (sysexits.h): 0 stopped as asked, 64 bad
 * arguments, 70 our own fault, 71 the machine failed us, 75 something needed was away (try again),
 * 78 configuration: an operator must act (do not restart on it).
 *
 * Life: load configuration → start() → ready → SIGTERM or SIGINT → drain() → is_drained() or grace
 * over → stop(). A second signal skips the wait. SIGHUP calls reload() if there is one. Core dumps
 * are off (PR_SET_DUMPABLE 0), open files are allowed up to the hard limit. Control socket: GET
 * /status answers JSON {service, name, version, pid, instance, uptime_ms, state, detail:{…}}. */
#ifndef DESG_SERVICE_H
#define DESG_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "admin/admin.h"
#include "config/config.h"
#include "error/error.h"
#include "ids/ids.h"
#include "metrics/metrics.h"

struct service; /* one process */

/* An option of a service's own, such as --adopt. */
struct service_option {
    const char *name;  /* without the dashes; NULL ends the list */
    const char *value; /* what stands for its value in --help; NULL: it takes none */
    const char *help;  /* one line */
};

/* A part of the file that several services read, such as outward. */
struct service_part {
    const char *name;
    const cyaml_schema_field_t *fields;
    size_t config_bytes;
    int (*check)(void *config, struct error *err);
};

struct service_spec {
    const char *name;    /* ingest: the configuration's part, desg-ingest's name */
    const char *summary; /* one sentence for --help */
    const cyaml_schema_field_t *fields;
    size_t config_bytes;
    /* Fills defaults and refuses values out of range, naming the key. Reads no file but secrets it
     * names. */
    int (*check)(void *config, struct error *err);
    /* Optional, for --check-config alone: opens, as start would, what takes long to open. */
    int (*check_files)(const void *config, struct error *err);
    /* Where the service's admin door listens, from its configuration; "" for none. */
    const char *(*admin_listen)(const void *config);
    /* Starts threads and returns the service's own object, or NULL. Registers metrics and admin
     * paths first. */
    void *(*start)(struct service *service, const void *config, struct error *err);
    void (*drain)(void *self); /* takes no more, finishes what is in hand; returns at once */
    bool (*is_drained)(void *self);
    void (*stop)(void **self_p);  /* joins threads, frees */
    bool (*is_ready)(void *self); /* for /readyz: listening and not draining, nothing else */
    void (*describe)(void *self, json_t *detail); /* adds to /status; any thread */
    void (*reload)(void *self);                   /* optional: SIGHUP, or a watched file changed */
    const struct service_option *options;         /* optional, at most 8 */
    const struct service_part *shared;            /* optional */
};

int service_main(int argc, char **argv, const struct service_spec *spec);

/* What a service's modules may ask of their process. */
const struct config_common *service_common(const struct service *self);
const char *service_name(const struct service *self);          /* --name, by default the spec's */
const struct id *service_instance(const struct service *self); /* random, new at each start */
/* What the spec's shared part holds; a part that is not in the file is an empty one, checked. */
const void *service_shared(const struct service *self);
struct metrics *service_metrics(struct service *self);
struct admin *service_admin(struct service *self); /* register paths inside start() only */

/* What was given for an option of the spec: NULL: it was not given; "": it takes no value. */
const char *service_option_value(const struct service *self, const char *option);

/* Inside start(): when this file is replaced, reload is called as by SIGHUP, some seconds later. */
void service_watch(struct service *self, const char *path);

/* Liveness: a loop registers once, then beats at least every second. /healthz answers 503 naming a
 * loop that has not beaten for 10 s. Own loops only, never a peer. */
struct heartbeat;
struct heartbeat *service_heartbeat_new(struct service *self, const char *loop_name);
void heartbeat_beat(struct heartbeat *self);

/* From any thread: what the process was started for is finished; it stops, without a drain, with
 * exit code 0. */
void service_finish(struct service *self);

/* From any thread: the process must stop; logs err once; exit code by err->kind. */
void service_fail(struct service *self, const struct error *err);

#endif
