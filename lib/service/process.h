/* process - the inside of struct service, for this folder's modules only. */
#ifndef DESG_SERVICE_PROCESS_H
#define DESG_SERVICE_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/heartbeats.h"
#include "service/service.h"
#include "service/signals.h"

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_DRAINING, SERVICE_STOPPING };

struct service {
    const struct service_spec *spec;
    const char *name;
    const char *const *option_values; /* in the order of the spec's options */
    struct config *config;
    struct config *shared; /* NULL: the spec has none */
    struct id instance;
    int64_t started_at_ms; /* monotonic */
    struct metrics *metrics;
    struct gauge *resident_bytes;
    struct gauge *open_files;
    struct admin *admin;
    struct heartbeats *heartbeats;
    struct signals signals;
    struct watched *watched;
    void *self; /* the service's own object; set before the admin door's threads start */
    _Atomic int state;
    pthread_mutex_t failure_lock;
    struct error failure; /* the first one; kind ERROR_NONE: none */
};

/* Registers what every process answers: /healthz, /readyz, /metrics and, on the control socket,
 * /status; and the metrics of the process itself. */
void paths_register(struct service *self);

#endif
