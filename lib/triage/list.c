#include "triage/list.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

void *list_append(struct list *self, size_t count, size_t size)
{
    if (!self->items || self->count + count > self->room) {
        size_t room = self->room * 2 + FIRST_ROOM + count;
        void *items = realloc(self->items, room * size);
        if (!items)
            return NULL;
        self->items = items;
        self->room = room;
    }
    void *first = (char *)self->items + self->count * size;
    memset(first, 0, count * size);
    self->count += count;
    return first;
}

void list_clear(struct list *self)
{
    free(self->items);
    *self = (struct list){ 0 };
}
