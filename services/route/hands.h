/* hands - what the applying part of a lane needs of the outside: Redis, peers, and whether Redis is
 * known to be silent. lane.c puts store, links and watch behind it, the simulator (tests/sim) its
 * own. */
#ifndef DESG_ROUTE_HANDS_H
#define DESG_ROUTE_HANDS_H

#include <stdbool.h>

#include "link/link.h"
#include "store/store.h"

struct route_hands {
    /* As store_apply, store_hello, store_set_mark and store_problem. */
    int (*apply)(void *arg, const struct store_event *events, size_t count,
                 struct store_result *results, char history[static STORE_HISTORY_BYTES],
                 struct error *err);
    int (*hello)(void *arg, const struct id *source, struct store_mark *mark,
                 char history[static STORE_HISTORY_BYTES], struct error *err);
    int (*set_mark)(void *arg, const struct id *source, const struct store_mark *mark,
                    const struct store_mark *previous, char history[static STORE_HISTORY_BYTES],
                    bool *is_stored, struct error *err);
    const char *(*problem)(void *arg);
    /* As watch_is_silent and watch_report. */
    bool (*is_silent)(void *arg);
    void (*report)(void *arg, const char *problem);
    /* As link_send: to whoever sent work, and to notify. */
    int (*answer)(void *arg, link_peer peer, const Desg__V1__Packet *packet, struct error *err);
    int (*order)(void *arg, link_peer notify, const Desg__V1__Packet *packet, struct error *err);
    void *arg;
};

#endif
