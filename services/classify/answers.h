/* answers - what goes back to ingest: whose journal an event came from, answers of route passed on
 * there, and Busy put together event by event. An answer that cannot go back is only lost work:
 * ingest asks again. Threads: the forwarder's. */
#ifndef DESG_CLASSIFY_ANSWERS_H
#define DESG_CLASSIFY_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "classify/outlets.h"
#include "classify/tally.h"
#include "error/error.h"
#include "ids/ids.h"

struct answers;

/* Both are borrowed. */
struct answers *answers_new(struct tally *tally, const struct outlets *outlets,
                            struct error *err) MUST_USE;
void answers_destroy(struct answers **self_p);

/* Events of this source come from peer. */
void answers_learn(struct answers *self, const struct id *source, link_peer peer);
/* peer is gone. */
void answers_forget(struct answers *self, link_peer peer);

/* Sends packet, unchanged, to the ingest of source. */
void answers_pass(struct answers *self, const ProtobufCBinaryData *source,
                  const Desg__V1__Packet *packet);

/* Adds an event to the Busy in the making; one for another source, or a full one, goes out first.
 */
void answers_add_busy(struct answers *self, const struct id *source, uint64_t incarnation,
                      const Desg__V1__Position *position, bool is_alerted, const char *reason);
/* Sends the Busy in the making, if any. reason is a few words, such as "no route". */
void answers_send_busy(struct answers *self, const char *reason);

#endif
