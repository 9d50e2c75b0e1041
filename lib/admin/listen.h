/* listen - the sockets an admin door listens on. Both come back bound and listening, non-blocking
 * and closed on exec; the caller closes them. ERROR_CONFIG names the address and what to change. */
#ifndef DESG_ADMIN_LISTEN_H
#define DESG_ADMIN_LISTEN_H

#include <netdb.h>
#include <stdint.h>

#include "error/error.h"

/* address: "127.0.0.1:9101", "[::]:9101"; port 0 takes a free one. *port is the one taken. Returns
 * the socket or -1. */
int listen_tcp(const char *address, uint16_t *port, struct error *err) MUST_USE;

/* What listen_tcp reads an address as; the caller frees it with freeaddrinfo(). NULL: not one. */
struct addrinfo *listen_resolve(const char *address, struct error *err) MUST_USE;

/* A Unix socket of mode 0600. Replaces a socket nobody answers on; refuses to take the place of a
 * live one or of anything else. Returns the socket or -1. */
int listen_unix(const char *path, struct error *err) MUST_USE;

#endif
