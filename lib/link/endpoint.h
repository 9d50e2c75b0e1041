/* endpoint - the text of an endpoint, taken apart and checked before libzmq sees it.
 * libzmq gets numeric addresses only: a name that does not resolve would stall its I/O thread and
 * with it every socket of the process. */
#ifndef DESG_LINK_ENDPOINT_H
#define DESG_LINK_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "error/error.h"

enum {
    ENDPOINT_HOST_BYTES = 256,
    ENDPOINT_PATH_BYTES = 108, /* sun_path with its final NUL */
    ENDPOINT_CERTIFICATE_BYTES = 64,
    ENDPOINT_ADDRESS_BYTES = 320
};

enum endpoint_kind { ENDPOINT_IPC, ENDPOINT_NUMERIC, ENDPOINT_NAMED };

struct endpoint {
    enum endpoint_kind kind;
    char path[ENDPOINT_PATH_BYTES];               /* ipc */
    char host[ENDPOINT_HOST_BYTES];               /* tcp: without brackets */
    uint16_t port;                                /* tcp; 0 only to bind: the system chooses */
    char certificate[ENDPOINT_CERTIFICATE_BYTES]; /* after '#'; "" = none named */
};

/* Takes ipc://path, tcp://host:port, tcp://[v6]:port, each with an optional #certificate.
 * ERROR_CONFIG: text is none of these; *out is untouched. */
int endpoint_parse(const char *text, struct endpoint *out, struct error *err) MUST_USE;

/* For an endpoint to bind: a numeric address or '*' (all), or an ipc path whose folder exists and
 * on which nobody listens (libzmq would take it from a running process without a word).
 * ERROR_CONFIG otherwise. */
int endpoint_check_bind(const struct endpoint *self, struct error *err) MUST_USE;

/* For an endpoint to connect to: a port is needed, and a host that is one. */
int endpoint_check_connect(const struct endpoint *self, struct error *err) MUST_USE;

/* Writes what libzmq takes; host replaces the endpoint's own if not NULL (a resolved address). */
void endpoint_address(const struct endpoint *self, const char *host,
                      char out[static ENDPOINT_ADDRESS_BYTES]);

/* True for ipc and for addresses of this machine's loopback. */
bool endpoint_is_local(const struct endpoint *self);

#endif
