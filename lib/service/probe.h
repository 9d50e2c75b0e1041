/* probe - the --probe of every process: one question to the one that runs with this configuration,
 * so that a container needs neither shell nor curl to show its health. */
#ifndef DESG_SERVICE_PROBE_H
#define DESG_SERVICE_PROBE_H

#include "service/arguments.h"

/* Prints one line. Returns the exit code: 0 it answered 200, 1 it answered otherwise, 75 nobody
 * answers, 78 the configuration cannot be read. */
int probe_ask(const struct arguments *arguments, const struct service_spec *spec);

#endif
