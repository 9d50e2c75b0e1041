/* held - one event that route has taken from a packet and not yet answered: copies of its bytes,
 * decoded forms beside them, and whom to answer. Threads: the lane's. */
#ifndef DESG_ROUTE_HELD_H
#define DESG_ROUTE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "link/link.h"
#include "store/store.h"

/* Whom to answer about which event. */
struct address {
    link_peer peer;
    struct id source;
    uint64_t incarnation;
    uint64_t sequence;
    uint32_t index;
};

struct held {
    struct address from;
    bool is_alerted;
    bool is_replayed;
    char *quarantine_reason; /* NULL unless poison */
    uint8_t *bytes;          /* event, then verdict */
    size_t event_length;
    size_t verdict_length;
    Desg__V1__Event *event;
    Desg__V1__Verdict *verdict;
};

/* Copies and decodes item. -1 ERROR_INVALID: it cannot be decoded or has no id; out is empty. What
 * is quarantined is never refused: bytes that are no event are kept as an unreadable one.
 * ERROR_SYSTEM: memory. */
int held_take(struct held *out, const struct address *from, const Desg__V1__Item *item,
              int64_t now_ms, struct error *err) MUST_USE;
void held_clear(struct held *self);

/* As store_apply wants it; borrowed. */
struct store_event held_event(const struct held *self);

/* Whether an alert has to go to notify at once when Redis cannot be asked. */
bool held_needs_alert(const struct held *self, const struct store_queues *queues, int64_t now_ms);

#endif
