/* source_marks - HELLO and MARK of the journals, answered from Redis. Threads: the lane's. */
#ifndef DESG_ROUTE_SOURCE_MARKS_H
#define DESG_ROUTE_SOURCE_MARKS_H

#include "route/hands.h"

/* A Redis known to be silent is not asked; the answer has an empty history, or is_stored false. */
void source_marks_hello(const struct route_hands *hands, link_peer peer,
                        const Desg__V1__Hello *hello);
void source_marks_mark(const struct route_hands *hands, link_peer peer, const Desg__V1__Mark *mark);

#endif
