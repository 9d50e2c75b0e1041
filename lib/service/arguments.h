/* arguments - what a process was asked on its command line, and its --help page. */
#ifndef DESG_SERVICE_ARGUMENTS_H
#define DESG_SERVICE_ARGUMENTS_H

#include <stdbool.h>

#include "service/service.h"

enum { ARGUMENTS_OPTIONS_MAX = 8 };

struct arguments {
    const char *config; /* path of the configuration */
    const char *name;   /* of this process; the spec's unless --name was given */
    bool is_check;      /* --check-config */
    const char *probe;  /* --probe: the path to ask, /healthz or /readyz; NULL: not given */
    const char *values[ARGUMENTS_OPTIONS_MAX]; /* of the spec's options, in their order; NULL: not
                                                  given, "": given, and it takes no value */
};

/* Returns -1 to go on with *out filled, or the exit code: 0 after --help or --version, 64 after
 * saying on stderr what is wrong and where to read more. */
int arguments_parse(int argc, char **argv, const struct service_spec *spec, struct arguments *out);

#endif
