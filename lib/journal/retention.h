/* retention - deletes records from the oldest on, with their notes, up to a sequence that the
 * committer worked out: released, and old or in the way, and archived. Threads: the committer. */
#ifndef DESG_JOURNAL_RETENTION_H
#define DESG_JOURNAL_RETENTION_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"

enum { RETENTION_MAX_RECORDS = 256, RETENTION_MAX_BYTES = 8 << 20 }; /* of one transaction */

struct deleted {
    size_t records;
    uint64_t oldest_sequence; /* that is left; 0: none */
    bool is_more;             /* deletable, but this transaction had its share */
    MDB_cursor *cursor; /* open while it works: the caller closes it if LMDB was left in flight */
};

/* Deletes records up to and including through, at most RETENTION_MAX_RECORDS or about
 * RETENTION_MAX_BYTES within txn. An LMDB result. */
int retention_apply(const struct file *file, MDB_txn *txn, uint64_t through, struct deleted *out);

#endif
