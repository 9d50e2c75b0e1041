/* file - the journal's LMDB environment and what its meta database says: source, next sequence,
 * released mark, incarnations. LMDB writes data pages, calls fdatasync, then writes the meta page
 * through a descriptor opened with O_DSYNC: a commit is on disk when mdb_txn_commit returns 0.
 * Threads: one writer; readers see it through read.h. */
#ifndef DESG_JOURNAL_FILE_H
#define DESG_JOURNAL_FILE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "ids/ids.h"
#include "journal/age.h"

enum {
    FILE_MIN_BYTES = 4 << 20,
    /* More are forgotten, oldest first: a mark under a forgotten one counts as none. */
    FILE_MAX_INCARNATIONS = 4096,
};

struct incarnation {
    uint64_t first_sequence;
    uint64_t number;
    uint32_t order; /* among those that begin at the same sequence */
};

struct file {
    MDB_env *env;
    MDB_dbi records;
    MDB_dbi notes;
    MDB_dbi meta;
    size_t page_bytes;
    bool is_allocated; /* all blocks are there: other files cannot fill the disk under it */
};

/* What the meta database says. */
struct ledger {
    struct id source;
    uint64_t next_sequence;
    uint64_t released;
    struct incarnation *incarnations; /* by first_sequence, then order */
    size_t incarnation_count;
    struct age age;
};

/* Makes directory 0700 and takes its lock. Returns the lock's descriptor or -1 (ERROR_CONFIG: no
 * directory, or another process has it). */
int file_lock(const char *directory, struct error *err) MUST_USE;

/* Opens or makes the file and grows it to max_bytes. ERROR_CONFIG: it holds more than that. */
int file_open(struct file *self, const char *directory, uint64_t max_bytes,
              struct error *err) MUST_USE;
void file_close(struct file *self);

/* Reads the ledger (what is damaged in it is rebuilt from the records), adds a new random
 * incarnation that begins at next_sequence and commits it with a sync. */
int file_begin_incarnation(struct file *self, struct ledger *out, struct error *err) MUST_USE;
void ledger_clear(struct ledger *self);

/* Puts next sequence, released mark and the time into txn. An LMDB result. */
int file_put_state(const struct file *self, MDB_txn *txn, uint64_t next_sequence, uint64_t released,
                   int64_t now_ms);
int file_put_age(const struct file *self, MDB_txn *txn, const struct age *age);

#endif
