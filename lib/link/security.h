/* security - CURVE keys applied to sockets; link.h has the rest. */
#ifndef DESG_LINK_SECURITY_H
#define DESG_LINK_SECURITY_H

#include "error/error.h"
#include "link/link.h"

enum { SECURITY_KEY_TEXT_BYTES = 41 }; /* Z85 with its final NUL */

/* Reads the public key of the listener's certificate NAME.pub in the allowed directory; "" is
 * server.pub. *has_another: there is a NAME.new.pub, its pair is being renewed; odd turns read that
 * one. ERROR_CONFIG: there is none. */
int security_listener_key(const struct link_security *self, const char *name, unsigned turn,
                          char out[static SECURITY_KEY_TEXT_BYTES], bool *has_another,
                          struct error *err) MUST_USE;

/* One connection more or less whose listener refuses our key. Any thread. */
void security_count_unwelcome(const struct link_security *self, int change);

/* Our public key, as text. */
const char *security_own_key(const struct link_security *self);

/* Before bind: peers must show a key of the allowed directory. */
int security_apply_listener(const struct link_security *self, void *socket,
                            struct error *err) MUST_USE;

/* Before connect: only the owner of listener_key is spoken to. */
int security_apply_caller(const struct link_security *self, void *socket, const char *listener_key,
                          struct error *err) MUST_USE;

#endif
