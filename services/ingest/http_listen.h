/* http_listen - the listening socket of the intake, from a numeric address and port; and the
 * descriptors that its connections leave to others. libzmq ends the process when a listener of a
 * link has none for a worker that comes. Threads: any. */
#ifndef DESG_INGEST_HTTP_LISTEN_H
#define DESG_INGEST_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "error/error.h"

/* Never taken by connections: links, journal, admin door. */
enum { HTTP_RESERVED_DESCRIPTORS = 256 };

/* address: 127.0.0.1:8080 or [::]:8080; port 0 takes any. Returns the descriptor, or -1
 * (ERROR_CONFIG, with the reason). */
int http_listen(const char *address, uint16_t *port, struct error *err) MUST_USE;

/* Whether this process may open as many files as connections and the reserve need. ERROR_CONFIG: it
 * may not. */
int http_check_descriptors(uint32_t connections, struct error *err) MUST_USE;

/* Whether more than the reserve is free just now. */
bool http_has_descriptors(void);

#endif
