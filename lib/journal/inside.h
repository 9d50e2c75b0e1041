/* inside - what the parts of a journal share: one struct, who guards which field, and the calls
 * between its source files. Not for users of the journal. */
#ifndef DESG_JOURNAL_INSIDE_H
#define DESG_JOURNAL_INSIDE_H

#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/age.h"
#include "journal/ahead.h"
#include "journal/archiver.h"
#include "journal/file.h"
#include "journal/gather.h"
#include "journal/journal.h"
#include "journal/space.h"
#include "metrics/metrics.h"

enum {
    JOURNAL_READERS = 16,
    DAMAGE_REMEMBERED = 4096, /* that many damaged sequences are logged and counted, once each */
};

/* LMDB asserts that its pages are what they should be, and a page damaged on disk is not: instead
 * of ending the process, the assertion's callback jumps back to who was using LMDB. */
struct escape {
    jmp_buf target;
    pthread_t thread;
    atomic_bool is_set; /* thread is between setjmp and the end of its use of LMDB */
};

/* A read transaction between uses: reset, so that it pins no page. */
struct reader {
    MDB_txn *txn;
    MDB_cursor *records;
    MDB_cursor *notes;
    bool is_busy;
    uint64_t seen_txn; /* UINT64_MAX while it sees none */
    struct escape escape;
};

struct journal_metrics {
    struct counter *appended_records;
    struct counter *appended_bytes;
    struct counter *commits;
    struct histogram *commit_seconds;
    struct gauge *group_records;
    struct counter *failed_groups;
    struct counter *dropped_notes;
    struct counter *deleted_records;
    struct counter *damaged_records;
    struct counter *reopened;
    struct gauge *used_bytes;
    struct gauge *max_bytes;
    struct gauge *reusable_bytes;
    struct gauge *state;
    struct gauge *oldest_sequence;
    struct gauge *newest_sequence;
    struct counter *archived_records;
    struct counter *deleted_unarchived;
    struct gauge *archive_failing;
};

struct journal {
    /* Fixed once open. */
    struct journal_options options;
    char directory[PATH_MAX];
    int lock_fd;
    struct id source;
    struct journal_metrics metrics;
    pthread_t committer;
    bool has_committer;

    /* Readers hold file_lock shared while they use file; the committer holds it alone to reopen. */
    pthread_rwlock_t file_lock;
    struct file file;

    pthread_mutex_t readers_mutex;
    pthread_cond_t reader_freed;
    struct reader readers[JOURNAL_READERS];

    /* Under mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake; /* the committer's */
    bool is_idle;        /* the committer waits and nobody has woken it */
    bool is_closing;
    bool is_release_urgent; /* room is short and something can be deleted: do not wait */
    struct gathering waiting;
    struct journal_stats stats;
    struct ledger ledger; /* as on disk */
    uint64_t released;    /* as told, perhaps not on disk yet */
    uint64_t damaged[DAMAGE_REMEMBERED];
    size_t damaged_count;

    /* The committer's alone. */
    MDB_txn *measuring;
    struct ahead ahead;
    struct age age;
    uint64_t span_bytes;
    int64_t due_ms; /* monotonic: commit without being woken */
    int64_t disk_checked_ms;
    uint64_t foreign_txn; /* the oldest that another process sees, at that time */
    int64_t failed_at_ms; /* 0: never */
    bool is_out_of_space; /* a write found no room; until one succeeds */
    bool is_disk_blamed;  /* … on the disk, as opposed to in the file */
    bool is_settling;     /* the last commit freed pages that need one more to be usable */
    bool is_more_deletable;
    bool is_deletion_off; /* a damaged page is in the way */
    bool is_past_archive; /* full, and allowed to delete what the archive does not take */
    struct escape escape;

    struct archiver *archiver; /* NULL: no archive. Its lock is never taken while ours is held */
};

/* committer.c */
void *committer_run(void *journal);
/* After each opening of the file: takes the ledger over (it is empty then, also on failure),
 * measures and publishes. */
int committer_adopt(struct journal *self, struct ledger *ledger, struct error *err) MUST_USE;

/* A result of LMDB's that means a damaged page, not a failed disk. */
bool journal_is_damage(int rc);
/* After each opening: makes LMDB's assertions use the escapes. An LMDB result. */
int journal_catch_assertions(struct journal *self);

/* readers.c */
int readers_init(struct journal *self);
/* Ends all read transactions; nobody may be reading. */
void readers_close(struct journal *self);
/* The lowest transaction a reader sees; UINT64_MAX: none. */
uint64_t readers_oldest(struct journal *self);
/* The same of other processes (mdb_copy, say), living ones only; UINT64_MAX: none. */
uint64_t readers_foreign(struct journal *self);
/* One of the readers, waiting for one if all are busy. Hold file_lock shared from here to
 * reader_give_back; begin and end a transaction between them. */
struct reader *reader_take(struct journal *self);
void reader_give_back(struct journal *self, struct reader *reader);
/* An LMDB result. */
int reader_begin(struct journal *self, struct reader *reader);
/* Leaves the transaction reset: it no longer holds pages back. */
void reader_end(struct journal *self, struct reader *reader);
/* Forgets the transaction, after an error: the next begin makes a new one. */
void reader_close(struct reader *reader);

/* journal.c */
/* The committer commits at once, with what can be deleted. */
void journal_deletion_due(struct journal *self);
void journal_report_damage(struct journal *self, uint64_t sequence, const char *what,
                           const char *reason);

#endif
