/* source_marks - HELLO and MARK of the journals, answered from Redis. Threads: the lane's. */
#ifndef DESG_ROUTE_SOURCE_MARKS_H
#define DESG_ROUTE_SOURCE_MARKS_H

#include "link/link.h"
#include "route/watch.h"
#include "store/store.h"

struct source_marks;

/* Both borrowed. */
struct source_marks *source_marks_new(struct store *store, struct watch *watch);
void source_marks_destroy(struct source_marks **self_p);

/* is_silent: Redis is not asked; the answer has an empty history, or is_stored false. */
void source_marks_hello(struct source_marks *self, struct link *link, link_peer peer,
                        const Desg__V1__Hello *hello, bool is_silent);
void source_marks_mark(struct source_marks *self, struct link *link, link_peer peer,
                       const Desg__V1__Mark *mark, bool is_silent);

#endif
