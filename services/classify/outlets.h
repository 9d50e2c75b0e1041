/* outlets - the links of a worker as its forwarder sees them: who can be sent to and how much. The
 * service puts links behind it (worker.c), the simulator a network of its own (tests/sim). */
#ifndef DESG_CLASSIFY_OUTLETS_H
#define DESG_CLASSIFY_OUTLETS_H

#include <stdint.h>

#include "link/link.h"

enum outlet { OUTLET_INGEST, OUTLET_URGENT, OUTLET_BULK, OUTLET_NOTIFY };

struct outlets {
    /* As link_send, link_credit and link_credit_return. */
    int (*send)(void *arg, enum outlet outlet, link_peer peer, const Desg__V1__Packet *packet);
    uint32_t (*credit)(void *arg, enum outlet outlet, link_peer peer);
    void (*credit_return)(void *arg, enum outlet outlet, link_peer peer, uint32_t events);
    void *arg;
};

#endif
