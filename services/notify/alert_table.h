/* alert_table - alert entries by id, and a dense list of the live ones. Owns the entries. */
#ifndef DESG_NOTIFY_ALERT_TABLE_H
#define DESG_NOTIFY_ALERT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "notify/alert_book.h"

struct alert_table {
    struct alert_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    struct alert_entry **live;
    size_t live_count;
    size_t live_capacity;
};

void alert_table_init(struct alert_table *self);
void alert_table_clear(struct alert_table *self);

struct alert_entry *alert_table_find(const struct alert_table *self, const struct id *id);
struct alert_entry *alert_table_find_bytes(const struct alert_table *self,
                                           const uint8_t id[static ID_BYTES]);
/* A new entry, zeroed but for its id; id must not be there. */
struct alert_entry *alert_table_add(struct alert_table *self, const struct id *id);
void alert_table_remove(struct alert_table *self, struct alert_entry *entry);

void alert_table_set_live(struct alert_table *self, struct alert_entry *entry, bool is_live);

/* Removes and frees what is_old says, of entries that are not live. */
void alert_table_sweep(struct alert_table *self,
                       bool (*is_old)(const struct alert_entry *entry, int64_t before_ms),
                       int64_t before_ms);

#endif
