/* sim_events - the events of a run: what the platforms will post, and which event an id or an alert
 * names. */
#ifndef DESG_SIM_EVENTS_H
#define DESG_SIM_EVENTS_H

#include "world.h"

enum { NO_EVENT = -1 };

void events_make(struct world *world);
/* The number in an event's id. */
size_t event_number(const uint8_t *id);
/* The event of this id, or NO_EVENT. Undecodable ones are known by the bytes they came with. */
int event_of(const struct world *world, const uint8_t *id, const ProtobufCBinaryData *raw);
int event_of_alert(const struct world *world, const ProtobufCBinaryData *alert);
int event_of_conversation(const struct world *world, size_t event);

#endif
