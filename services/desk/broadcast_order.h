/* broadcast_order - another program's broadcast, asked for by protobuf: put as the HTTP request it
 * stands for, so that tokens, rights, keys and rules are those of the API. Pure but for ask. */
#ifndef DESG_DESK_BROADCAST_ORDER_H
#define DESG_DESK_BROADCAST_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "desk/http_server.h"

/* Fills answer as for a request that came by HTTP. */
typedef void broadcast_order_ask(void *arg, const struct http_request *request,
                                 struct http_answer *answer);

struct broadcast_order_asker {
    broadcast_order_ask *ask;
    void *arg;
};

struct broadcast_order_answer {
    uint8_t *bytes; /* a serialised Desg__V1__BroadcastAnswer; free() it */
    size_t length;
    unsigned status; /* that of the answer */
};

/* order NULL: what came is none. Never fails. */
void broadcast_order_answer(const Desg__V1__BroadcastOrder *order,
                            const struct broadcast_order_asker *asker,
                            struct broadcast_order_answer *out);
/* Not now: try again later. */
void broadcast_order_refuse(const Desg__V1__BroadcastOrder *order,
                            struct broadcast_order_answer *out);

#endif
