/* commit - one transaction of the journal: a group's records and notes, deletions, the new state.
 * Threads: the committer. */
#ifndef DESG_JOURNAL_COMMIT_H
#define DESG_JOURNAL_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#include "journal/inside.h"
#include "journal/retention.h"

/* What one transaction does, known only once it is committed. */
struct commit {
    int64_t now_ms;
    uint64_t next_sequence;
    uint64_t released;
    uint64_t deletable;    /* nothing above it is deleted */
    uint64_t budget_bytes; /* left for records and notes */
    size_t records;
    size_t bytes;
    size_t dropped_notes;
    struct deleted deleted;
};

/* Writes and syncs one transaction. group NULL: a heartbeat, with whatever can be deleted. Records
 * beyond the budget keep sequence 0. An LMDB result; 0: all of it is on disk. */
int commit_write(struct journal *self, struct group *group, struct commit *commit);

#endif
