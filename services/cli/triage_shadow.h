/* triage_shadow - what the classify processes on this machine say of the edition in their shadow.
 */
#ifndef DESG_CLI_TRIAGE_SHADOW_H
#define DESG_CLI_TRIAGE_SHADOW_H

#include <jansson.h>

#include "error/error.h"

/* An array of what each that has one says (/status, shadow), with its name. NULL: the run directory
 * cannot be read, so nothing was started here. */
json_t *triage_shadow_ask(const char *run_directory, struct error *err) MUST_USE;

void triage_shadow_print(const json_t *shadows);

#endif
