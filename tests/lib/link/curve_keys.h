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

/* Before connect: the socket shows certificate to the listener; NULL: it speaks in clear. */
void curve_keys_show(const struct curve_keys *self, void *socket, zcert_t *certificate);

#endif
