/* curve_keys - a folder with the certificate of one who listens, of a friend whom it lets in, and
 * of a stranger whom it does not. */
#ifndef DESG_CURVE_KEYS_H
#define DESG_CURVE_KEYS_H

#include <czmq.h>

#include "link/link.h"

struct curve_keys {
    char folder[64];
    zcert_t *own, *friend, *stranger;
    struct link_security *security; /* the listener's */
};

/* Fails the test if it cannot. */
void curve_keys_make(struct curve_keys *self, void *context);
void curve_keys_drop(struct curve_keys *self);

/* A socket of that type, connected to the listener: it shows certificate, or nothing and speaks in
 * clear, waits so long for what it receives, and closes without a wait: zmq_close() it. */
void *curve_keys_connect(const struct curve_keys *self, void *context, int type,
                         zcert_t *certificate, const char *endpoint, int wait_ms);

/* Whether a DEALER that connects so is answered when it sends bytes. */
bool curve_keys_is_answered(const struct curve_keys *self, void *context, zcert_t *certificate,
                            const char *endpoint, int wait_ms, const void *bytes, size_t length);

#endif
