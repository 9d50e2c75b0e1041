/* http_listen - the listening socket of the intake, from a numeric address and port. */
#ifndef DESG_INGEST_HTTP_LISTEN_H
#define DESG_INGEST_HTTP_LISTEN_H

#include <stdint.h>

#include "error/error.h"

/* address: 127.0.0.1:8080 or [::]:8080; port 0 takes any. Returns the descriptor, or -1
 * (ERROR_CONFIG, with the reason). */
int http_listen(const char *address, uint16_t *port, struct error *err) MUST_USE;

/* Raises the limit of open descriptors to hold connections. ERROR_CONFIG: the hard limit is lower.
 */
int http_allow_descriptors(uint32_t connections, struct error *err) MUST_USE;

#endif
