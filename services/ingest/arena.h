/* arena - memory that goes all at once, when a split is cleared. Running out of memory aborts: what
 * is being split lies in the journal and is read again after the restart. */
#ifndef DESG_INGEST_ARENA_H
#define DESG_INGEST_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void *arena_take(struct arena *self, size_t length); /* aligned for any type, not zeroed */
void arena_destroy(struct arena **self_p);

#endif
