/* source_marks - HELLO and MARK of the journals, answered from Redis. Threads: the lane's. */
#ifndef DESG_ROUTE_SOURCE_MARKS_H
#define DESG_ROUTE_SOURCE_MARKS_H

#include "route/hands.h"

enum { SOURCE_MARKS_MAX = 64 };

/* The newest Mark of each source, so that one delivered twice, or overtaken, is none: stored again
 * after Redis was flushed or set back it would look as if all were well. All zeroes is empty. */
struct source_marks {
    struct {
        struct id source;
        uint64_t start; /* of ingest: its beats less their numbers */
        uint64_t number;
    } newest[SOURCE_MARKS_MAX];
    size_t next;
};

/* A Redis known to be silent is not asked; the answer has an empty history, or is_stored false. */
void source_marks_hello(const struct route_hands *hands, link_peer peer,
                        const Desg__V1__Hello *hello);
void source_marks_mark(struct source_marks *self, const struct route_hands *hands, link_peer peer,
                       const Desg__V1__Mark *mark);

#endif
