/* desk_url - may the caller's token be sent there? Over TLS, or if it does not leave this machine.
 */
#ifndef DESG_CLI_DESK_URL_H
#define DESG_CLI_DESK_URL_H

#include <stdbool.h>

#include "error/error.h"

/* 0: https, or http to this very machine, or http anywhere if may_be_plain. ERROR_CONFIG: what to
 * write instead; the address itself is not repeated, it may hold a password. */
int desk_url_check(const char *url, bool may_be_plain, struct error *err) MUST_USE;

#endif
