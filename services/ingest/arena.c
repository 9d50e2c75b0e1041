#include "ingest/arena.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 4 << 10, ALIGNMENT = sizeof(max_align_t) };

struct chunk {
    struct chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

struct arena {
    struct chunk *newest;
};

struct arena *arena_new(void)
{
    struct arena *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void *arena_take(struct arena *self, size_t length)
{
    length = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct chunk *chunk = self->newest;
    if (!chunk || chunk->size - chunk->used < length) {
        size_t size = length > CHUNK_BYTES ? length : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            abort();
        *chunk = (struct chunk){ .next = self->newest, .size = size };
        self->newest = chunk;
    }
    char *place = (char *)chunk->bytes + chunk->used;
    chunk->used += length;
    return place;
}

void arena_destroy(struct arena **self_p)
{
    if (!*self_p)
        return;
    for (struct chunk *chunk = (*self_p)->newest, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*self_p);
    *self_p = NULL;
}
