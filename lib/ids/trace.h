/* trace - which delivery something belongs to, as W3C Trace Context names it: 16 bytes that ingest
 * makes for each delivery, or takes from whoever sent it, and that each hop passes on. Ids only:
 * nothing is decided by them. Two numbers, so that no message needs memory for them.
 * Threads: a maker from any; the rest is pure. */
#ifndef DESG_IDS_TRACE_H
#define DESG_IDS_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ids/ids.h"

enum { TRACE_TEXT_BYTES = 33, TRACE_PARENT_BYTES = 56 };

struct trace {
    uint64_t high, low; /* both 0: none */
};

/* Numbers that repeat neither here nor anywhere else, for nanoseconds each. */
struct trace_maker {
    uint64_t high;
    _Atomic uint64_t next;
};

void trace_maker_start(struct trace_maker *self);
struct trace trace_make(struct trace_maker *self);

bool trace_is_set(struct trace trace);
/* The value of a traceparent header, of this version or a later one. False: it is none. */
bool trace_parse(const char *parent, struct trace *out);
/* For what has an id and belongs to no delivery. */
struct trace trace_of_id(const uint8_t id[static ID_BYTES]);

/* 32 hex digits; empty for none. */
void trace_text(struct trace trace, char out[static TRACE_TEXT_BYTES]);
/* The value of a traceparent header, with a new span of its own. */
void trace_parent(struct trace trace, char out[static TRACE_PARENT_BYTES]);

#endif
