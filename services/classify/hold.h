/* hold - events that triage has judged but no route takes yet, in order of arrival, bounded.
 * Decides when waiting is over. Reads no clock. Threads: one. */
#ifndef DESG_CLASSIFY_HOLD_H
#define DESG_CLASSIFY_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "ids/ids.h"

enum {
    HOLD_WAIT_MS = 500,       /* for a route */
    HOLD_ALERT_WAIT_MS = 500, /* for notify to say that it has the alert */
    HOLD_MAX_EVENTS = 2048,
    HOLD_MAX_BYTES = 16 << 20
};

struct held {
    struct held *next;
    struct id source;
    uint64_t incarnation;
    Desg__V1__Position position;
    Desg__V1__Item item; /* points into bytes and to position */
    struct id alert_id;
    int64_t since_ms;
    int64_t alert_until_ms; /* 0: no alert asked for */
    size_t bytes_count;
    uint8_t bytes[]; /* event, then verdict */
};

struct hold {
    struct held *first;
    struct held **last_next;
    size_t count;
    size_t bytes;
    int64_t blocked_since_ms; /* since when no route took anything; 0: they do */
};

void hold_init(struct hold *self);
void hold_clear(struct hold *self);

/* Copies item to the end. Returns NULL if the hold is full (or memory is). */
struct held *hold_add(struct hold *self, const struct id *source, uint64_t incarnation,
                      const Desg__V1__Item *item, int64_t now_ms);

/* Takes *link, the pointer that leads to an event (such as &self->first), out of the list; the
 * caller frees the event. */
struct held *hold_take(struct hold *self, struct held **link);

/* Drops the event of that position, if it is there. */
void hold_drop(struct hold *self, const ProtobufCBinaryData *source, uint64_t incarnation,
               const Desg__V1__Position *position);

/* Whether to stop waiting for a route: it waited long enough, or others did before it in vain. */
bool hold_is_due(const struct hold *self, const struct held *held, int64_t now_ms);

/* A route took something: the others may hope again. */
void hold_unblocked(struct hold *self);

#endif
