/* space - how much room the journal has, and what a failed write means.
 * Room = pages of the map never used + free pages the next transaction may use (those freed by the
 * last commit or still seen by a reader are not among them). Threads: the committer. */
#ifndef DESG_JOURNAL_SPACE_H
#define DESG_JOURNAL_SPACE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/file.h"
#include "journal/journal.h"

struct space {
    uint64_t max_bytes;
    uint64_t used_bytes;
    uint64_t reusable_bytes;
    uint64_t disk_free_bytes;
    uint64_t span_bytes; /* up to the end of the last page ever used */
};

/* txn: any transaction begun after the last commit. oldest_reader: the lowest transaction a reader
 * still sees, UINT64_MAX for none. disk_free_bytes is left alone. An LMDB result. */
int space_measure(const struct file *file, MDB_txn *txn, uint64_t oldest_reader, struct space *out);

/* Free bytes of the directory's file system; UINT64_MAX if it cannot be told: a file system that
 * does not even answer is broken, not full. */
uint64_t space_on_disk(const char *directory);

/* Kept back from appends, so that deletions and heartbeats always have room. */
uint64_t space_reserve_bytes(uint64_t max_bytes);

/* What storing a value of this length takes at most. */
uint64_t space_cost_bytes(size_t value_bytes, size_t page_bytes);

/* was: the state before, for hysteresis. Never JOURNAL_DEAD. */
enum journal_state space_state(const struct space *space, enum journal_state was);

/* The file system has next to nothing left. */
bool space_is_disk_full(const char *directory);

/* Is this failure "no room", as opposed to a broken disk? rc: an LMDB result or an errno. */
bool space_is_exhausted(int rc, const char *directory);

#endif
