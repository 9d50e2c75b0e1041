/* retention - deletes records that are released and old, or released and in the way, with their
 * notes. Never a record that is not released. Threads: the committer. */
#ifndef DESG_JOURNAL_RETENTION_H
#define DESG_JOURNAL_RETENTION_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/file.h"

enum { RETENTION_MAX_RECORDS = 256, RETENTION_MAX_BYTES = 8 << 20 }; /* of one transaction */

struct retention {
    uint64_t released; /* nothing above it */
    int64_t now_ms;    /* Unix time */
    int64_t retention_ms;
    bool is_early; /* room is short: age does not matter */
};

struct deleted {
    size_t records;
    uint64_t oldest_sequence; /* that is left; 0: none */
    bool is_more;             /* deletable, but this transaction had its share */
    MDB_cursor *cursor; /* open while it works: the caller closes it if LMDB was left in flight */
};

/* Deletes at most RETENTION_MAX_RECORDS or about RETENTION_MAX_BYTES within txn. An LMDB result. */
int retention_apply(const struct file *file, MDB_txn *txn, const struct retention *rule,
                    struct deleted *out);

#endif
