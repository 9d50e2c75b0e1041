/* event_decode - a serialised Event as a struct, in memory that is used again for the next one: all
 * of it taken at the start, so that NULL never means that the machine was short of it. */
#ifndef DESG_CLASSIFY_EVENT_DECODE_H
#define DESG_CLASSIFY_EVENT_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"

enum { EVENT_DECODE_BYTES = 8 << 20 }; /* of memory for one event; only what is used is touched */

struct event_decoder;

struct event_decoder *event_decoder_new(struct error *err) MUST_USE;
void event_decoder_destroy(struct event_decoder **self_p);

/* The event, valid until the next call; NULL if the bytes are none, or would need too much memory.
 */
const Desg__V1__Event *event_decode(struct event_decoder *self, const uint8_t *bytes,
                                    size_t length);
/* A verdict, in the same place. */
const Desg__V1__Verdict *verdict_decode(struct event_decoder *self, const uint8_t *bytes,
                                        size_t length);

#endif
