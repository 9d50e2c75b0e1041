/* ranges - a set of sequence numbers kept as sorted, disjoint, non-touching ranges. Small as long
 * as the numbers lie together, which they do: an outage defers everything from here to there.
 * Threads: the owner's. */
#ifndef DESG_INGEST_RANGES_H
#define DESG_INGEST_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t first;
    uint64_t last; /* inclusive */
};

struct ranges {
    struct range *items;
    size_t count;
    size_t capacity;
};

/* All zeroes is an empty set. */
void ranges_clear(struct ranges *self);
/* first ≤ last. Running out of memory aborts: a set that forgets would lose messages. */
void ranges_add(struct ranges *self, uint64_t first, uint64_t last);
void ranges_remove(struct ranges *self, uint64_t first, uint64_t last);
bool ranges_contain(const struct ranges *self, uint64_t value);
uint64_t ranges_total(const struct ranges *self);
/* Adds all of from, which stays as it is. */
void ranges_add_all(struct ranges *self, const struct ranges *from);
/* Moves all of from into self; from is empty afterwards. */
void ranges_take(struct ranges *self, struct ranges *from);

#endif
