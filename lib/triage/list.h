/* list - an array that grows, of whatever its user keeps in it. Threads: one at a time. */
#ifndef DESG_TRIAGE_LIST_H
#define DESG_TRIAGE_LIST_H

#include <stddef.h>

/* Zeroed: empty. */
struct list {
    void *items;
    size_t count;
    size_t room;
};

/* Room for count more zeroed items of size bytes at the end: the first of them; NULL without
 * memory. Pointers into the list from before no longer hold. */
void *list_append(struct list *self, size_t count, size_t size);

void list_clear(struct list *self);

#endif
