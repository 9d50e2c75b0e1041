/* ask - one question to the admin door of another process on this machine, as a probe asks.
 * Threads: any. */
#ifndef DESG_ADMIN_ASK_H
#define DESG_ADMIN_ASK_H

#include <stddef.h>

#include "error/error.h"

enum { ASK_TIMEOUT_MS = 2000 };

/* GET path from the door that admin_new(listen, control_path, …) opened: over TCP, a wildcard
 * address through loopback; by the control socket where listen is "" or names no port to call.
 * Returns the HTTP status, with the body's beginning in body; ERROR_UNAVAILABLE: nobody answers
 * within ASK_TIMEOUT_MS, ERROR_CONFIG: listen is no address. */
int admin_ask(const char *listen, const char *control_path, const char *path, char *body,
              size_t body_bytes, struct error *err) MUST_USE;

#endif
