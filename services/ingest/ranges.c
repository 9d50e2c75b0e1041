#include "ingest/ranges.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void ranges_clear(struct ranges *self)
{
    free(self->items);
    *self = (struct ranges){ 0 };
}

/* Index of the first range that ends at or after value; count if there is none. */
static size_t find(const struct ranges *self, uint64_t value)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->items[middle].last < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void make_room(struct ranges *self)
{
    if (self->count < self->capacity)
        return;
    size_t capacity = self->capacity ? 2 * self->capacity : 16;
    struct range *items = realloc(self->items, capacity * sizeof *items);
    if (!items)
        abort(); /* see the header */
    self->items = items;
    self->capacity = capacity;
}

static void insert_at(struct ranges *self, size_t at, struct range range)
{
    make_room(self);
    memmove(self->items + at + 1, self->items + at, (self->count - at) * sizeof range);
    self->items[at] = range;
    self->count++;
}

static void erase(struct ranges *self, size_t at, size_t how_many)
{
    if (how_many == 0)
        return;
    memmove(self->items + at, self->items + at + how_many,
            (self->count - at - how_many) * sizeof *self->items);
    self->count -= how_many;
}

void ranges_add(struct ranges *self, uint64_t first, uint64_t last)
{
    assert(first <= last);
    size_t at = find(self, first > 0 ? first - 1 : 0); /* touching ranges melt */
    size_t end = at;
    while (end < self->count && (last == UINT64_MAX || self->items[end].first <= last + 1)) {
        first = first < self->items[end].first ? first : self->items[end].first;
        last = last > self->items[end].last ? last : self->items[end].last;
        end++;
    }
    if (end == at) {
        insert_at(self, at, (struct range){ first, last });
        return;
    }
    self->items[at] = (struct range){ first, last };
    erase(self, at + 1, end - at - 1);
}

void ranges_remove(struct ranges *self, uint64_t first, uint64_t last)
{
    assert(first <= last);
    size_t at = find(self, first);
    if (at < self->count && self->items[at].first < first && self->items[at].last > last) {
        insert_at(self, at + 1, (struct range){ last + 1, self->items[at].last });
        self->items[at].last = first - 1;
        return;
    }
    if (at < self->count && self->items[at].first < first) {
        self->items[at].last = first - 1;
        at++;
    }
    size_t end = at;
    while (end < self->count && self->items[end].last <= last)
        end++;
    if (end < self->count && self->items[end].first <= last)
        self->items[end].first = last + 1;
    erase(self, at, end - at);
}

bool ranges_contain(const struct ranges *self, uint64_t value)
{
    size_t at = find(self, value);
    return at < self->count && self->items[at].first <= value;
}

uint64_t ranges_total(const struct ranges *self)
{
    uint64_t total = 0;
    for (size_t i = 0; i < self->count; i++)
        total += self->items[i].last - self->items[i].first + 1;
    return total;
}

void ranges_add_all(struct ranges *self, const struct ranges *from)
{
    for (size_t i = 0; i < from->count; i++)
        ranges_add(self, from->items[i].first, from->items[i].last);
}

void ranges_take(struct ranges *self, struct ranges *from)
{
    ranges_add_all(self, from);
    ranges_clear(from);
}
