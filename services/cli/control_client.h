/* control_client - asks the control sockets of the processes on this machine, HTTP over Unix
 * sockets by libcurl. */
#ifndef DESG_CLI_CONTROL_CLIENT_H
#define DESG_CLI_CONTROL_CLIENT_H

#include <jansson.h>

#include "error/error.h"

enum { CONTROL_NAMES_MAX = 256 };

/* Names of the processes with a control socket in run_directory, sorted; a JSON array of strings.
 */
json_t *control_names(const char *run_directory, struct error *err) MUST_USE;

/* method GET or POST. Returns the HTTP status and stores the answer's JSON (NULL if it is none) in
 * *out, or -1: ERROR_UNAVAILABLE: the process does not answer (it stopped, or it is stuck). */
int control_ask(const char *run_directory, const char *name, const char *method, const char *path,
                json_t **out, struct error *err) MUST_USE;

#endif
