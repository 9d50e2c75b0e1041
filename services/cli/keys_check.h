/* keys_check - are the CURVE keys in place? Says each fault on one line of out: what is wrong and
 * what to do. Both return the number of faults, or -1 with err where nothing could be looked at. */
#ifndef DESG_CLI_KEYS_CHECK_H
#define DESG_CLI_KEYS_CHECK_H

#include <stdio.h>

#include "config/config.h"
#include "error/error.h"

/* A folder as desg keys make makes it. */
int keys_check_folder(const char *directory, FILE *out, struct error *err) MUST_USE;

/* What the configuration at path names: pairs, allowed folders, the certificates of its endpoints.
 */
int keys_check_config(const struct config_curve *curve, const char *path, FILE *out,
                      struct error *err) MUST_USE;

#endif
