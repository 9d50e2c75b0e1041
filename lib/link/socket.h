/* socket - the one place where options of a hop's sockets are set. The reasons are measured:
 * docs/delivery.md, libzmq. */
#ifndef DESG_LINK_SOCKET_H
#define DESG_LINK_SOCKET_H

#include "error/error.h"

/* A ROUTER to bind or a DEALER to connect, with every option of the hop protocol. The caller
 * closes it. NULL: ERROR_SYSTEM. */
void *socket_router(void *context, struct error *err) MUST_USE;
void *socket_dealer(void *context, struct error *err) MUST_USE;

#endif
