#include "notify/alert_table.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 256 };

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        abort();
    return memory;
}

void alert_table_init(struct alert_table *self)
{
    *self = (struct alert_table){ .bucket_count = FIRST_BUCKETS };
    self->buckets = allocate(self->bucket_count, sizeof(struct alert_entry *));
}

static void entry_free(struct alert_entry *entry)
{
    desg__v1__alert__free_unpacked(entry->alert, NULL);
    desg__v1__alert_digest__free_unpacked(entry->digest, NULL);
    free(entry);
}

void alert_table_clear(struct alert_table *self)
{
    for (size_t i = 0; i < self->bucket_count; i++)
        while (self->buckets[i]) {
            struct alert_entry *entry = self->buckets[i];
            self->buckets[i] = entry->next;
            entry_free(entry);
        }
    free(self->buckets);
    free(self->live);
    *self = (struct alert_table){ 0 };
}

static struct alert_entry **bucket_of(const struct alert_table *self,
                                      const uint8_t id[static ID_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, id, sizeof hash); /* ids are HMAC output: evenly spread as they are */
    return &self->buckets[hash & (self->bucket_count - 1)];
}

struct alert_entry *alert_table_find_bytes(const struct alert_table *self,
                                           const uint8_t id[static ID_BYTES])
{
    struct alert_entry *entry = *bucket_of(self, id);
    while (entry && memcmp(entry->id.bytes, id, ID_BYTES) != 0)
        entry = entry->next;
    return entry;
}

struct alert_entry *alert_table_find(const struct alert_table *self, const struct id *id)
{
    return alert_table_find_bytes(self, id->bytes);
}

static void grow(struct alert_table *self)
{
    struct alert_entry **old = self->buckets;
    size_t old_count = self->bucket_count;
    self->bucket_count *= 2;
    self->buckets = allocate(self->bucket_count, sizeof(struct alert_entry *));
    for (size_t i = 0; i < old_count; i++)
        while (old[i]) {
            struct alert_entry *entry = old[i];
            old[i] = entry->next;
            struct alert_entry **bucket = bucket_of(self, entry->id.bytes);
            entry->next = *bucket;
            *bucket = entry;
        }
    free(old);
}

struct alert_entry *alert_table_add(struct alert_table *self, const struct id *id)
{
    if (self->count >= self->bucket_count)
        grow(self);
    struct alert_entry *entry = allocate(1, sizeof *entry);
    entry->id = *id;
    struct alert_entry **bucket = bucket_of(self, id->bytes);
    entry->next = *bucket;
    *bucket = entry;
    self->count++;
    return entry;
}

void alert_table_remove(struct alert_table *self, struct alert_entry *entry)
{
    alert_table_set_live(self, entry, false);
    struct alert_entry **link = bucket_of(self, entry->id.bytes);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    self->count--;
    entry_free(entry);
}

void alert_table_set_live(struct alert_table *self, struct alert_entry *entry, bool is_live)
{
    if (entry->is_live == is_live)
        return;
    entry->is_live = is_live;
    if (!is_live) {
        struct alert_entry *last = self->live[--self->live_count];
        self->live[entry->live_index] = last;
        last->live_index = entry->live_index;
        return;
    }
    if (self->live_count == self->live_capacity) {
        self->live_capacity = self->live_capacity ? self->live_capacity * 2 : 64;
        self->live = realloc(self->live, self->live_capacity * sizeof(struct alert_entry *));
        if (!self->live)
            abort();
    }
    entry->live_index = self->live_count;
    self->live[self->live_count++] = entry;
}

void alert_table_sweep(struct alert_table *self,
                       bool (*is_old)(const struct alert_entry *entry, int64_t before_ms),
                       int64_t before_ms)
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        struct alert_entry **link = &self->buckets[i];
        while (*link) {
            struct alert_entry *entry = *link;
            if (entry->is_live || !is_old(entry, before_ms)) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            self->count--;
            entry_free(entry);
        }
    }
}
