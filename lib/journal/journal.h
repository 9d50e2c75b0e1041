/* journal - records that are on disk before anybody is told they were accepted. LMDB underneath
 * (docs/delivery.md, Journal).
 *
 * Durability: a record is fdatasynced when its callback says JOURNAL_STORED, never before. One
 * committer thread gathers appends, notes and deletions into groups (≤ 1,024 records or 8 MiB; ≤
 * 256 deletions) and commits each with a sync; while one group syncs the next gathers. A write or
 * sync error that is not "full" fails its group with JOURNAL_FAILED, and that handle is dead for
 * good: the journal reopens the file and recovers; a second time within a minute it stays dead
 * (journal_state: JOURNAL_DEAD) and the process must exit. fsync is never retried.
 * Sequence numbers rise by one per record and are never used again. Each open has a new random
 * incarnation, synced with its first sequence before any append is accepted. Each record carries a
 * CRC-32C over header and body and is sealed if there is a keyring; a damaged one is reported by
 * journal_read as is_damaged, logged and counted, and reading goes on behind it.
 * One process at a time (flock on <directory>/lock). Threads: journal_append, _note, _release,
 * _retain, _read, _stats from any. */
#ifndef DESG_JOURNAL_H
#define DESG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/seal.h"
#include "error/error.h"
#include "ids/ids.h"
#include "metrics/metrics.h"

enum {
    JOURNAL_RECORD_MAX_BYTES = 5 << 20,
    JOURNAL_NOTE_MAX_BYTES = 64 << 10,
    JOURNAL_PAGE_MAX_RECORDS = 256,
};

struct journal;

struct journal_options {
    const char *directory; /* must exist, or is made at the top of a mounted volume; made 0700 */
    uint64_t max_bytes;    /* the file is grown to it at open: a disk cannot fill under a webhook */
    int64_t retention_ms;  /* released records younger than this are kept */
    int64_t heartbeat_ms;  /* an idle journal commits this often; 0 = 5000 */
    const struct keyring *keyring; /* NULL: not sealed. Borrowed */
    struct metrics *metrics;       /* borrowed */
    /* A literal for all its series, such as journal="outbox", where a process has two. NULL: none.
     */
    const char *metrics_labels;
    /* Called on the committer thread after each group that stored records, before any of them is
     * answered; last_sequence is readable now. May be NULL. */
    void (*committed)(void *arg, uint64_t last_sequence);
    void *committed_arg;
    /* What retention deletes is written there first (archive.h); it must exist. NULL: deleted.
     * While the archive fails nothing is deleted, so that the journal may become full. Borrowed. */
    const char *archive_directory;
    /* Full and the archive fails: true deletes released records all the same, loudly; false refuses
     * appends rather than delete the only copy. */
    bool may_delete_unarchived;
    uint64_t archive_file_max_bytes; /* an archive file is closed at this size; 0 = 256 MiB */
};

enum journal_state {
    JOURNAL_ROOMY,
    JOURNAL_GETTING_FULL, /* below 30 % reusable room: released records are deleted early, callers
                             shed side work */
    JOURNAL_FULL,         /* appends are refused */
    JOURNAL_DEAD,         /* failed twice: the process must exit */
};

enum journal_outcome { JOURNAL_STORED, JOURNAL_FAILED };

/* roomy, getting-full, full, dead: the word for /status and logs. */
const char *journal_state_name(enum journal_state state);
/* The same as half a sentence for people: what it means for what comes in. */
const char *journal_state_words(enum journal_state state);

/* Called once per append on the committer thread. sequence is 0 on failure. */
typedef void journal_stored(void *arg, enum journal_outcome outcome, uint64_t sequence);

/* ERROR_CONFIG: no directory, locked by another process, larger than max_bytes. ERROR_SYSTEM: disk.
 */
struct journal *journal_open(const struct journal_options *options, struct error *err) MUST_USE;
/* Commits what is waiting, stops the committer. */
void journal_close(struct journal **self_p);

struct id journal_source(const struct journal *self);     /* random, made with the file */
uint64_t journal_incarnation(const struct journal *self); /* of this open */
/* Finds the sequences belonging to an earlier or this incarnation. Returns false if the journal
 * does not know it. */
bool journal_find_incarnation(struct journal *self, uint64_t incarnation, uint64_t *first_sequence,
                              uint64_t *last_sequence);
/* The incarnation sequence belongs to; 0 if unknown. */
uint64_t journal_incarnation_of(struct journal *self, uint64_t sequence);

/* Queues a copy of body. kind is the caller's (1..65535). done may be NULL.
 * -1 at once and no callback: ERROR_UNAVAILABLE full, dead, closing or over 64 MiB waiting;
 * ERROR_INVALID too large. */
int journal_append(struct journal *self, uint16_t kind, const void *body, size_t length,
                   journal_stored *done, void *arg, struct error *err) MUST_USE;

/* Puts a note on a stored record, under (sequence, index, kind): replaces an earlier one. Goes with
 * the next group, no flush of its own; lost if the process dies first. Never fails the caller: when
 * full, or over JOURNAL_NOTE_MAX_BYTES, it is dropped and counted. */
void journal_note(struct journal *self, uint64_t sequence, uint32_t index, uint16_t kind,
                  const void *bytes, size_t length);

/* Records up to and including sequence are finished: archived if so configured, and deleted, once
 * older than retention (or when getting full). Age is time that the journal was open: no clock that
 * jumps deletes a young record. */
void journal_release(struct journal *self, uint64_t sequence);
/* Takes a release back: what lies behind sequence has to be done again and is kept until released
 * anew. */
void journal_retain(struct journal *self, uint64_t sequence);

struct journal_note {
    uint32_t index;
    uint16_t kind;
    const uint8_t *bytes;
    size_t length;
};

struct journal_record {
    uint64_t sequence;
    uint64_t incarnation;
    int64_t stored_at_ms; /* Unix time */
    uint16_t kind;
    bool is_damaged; /* body is empty then */
    const uint8_t *body;
    size_t body_bytes;
    const struct journal_note *notes;
    size_t note_count;
};

struct journal_page {
    struct journal_record records[JOURNAL_PAGE_MAX_RECORDS];
    size_t count;
    void *memory; /* owns bodies and notes */
};

/* Copies up to max_records (≤ JOURNAL_PAGE_MAX_RECORDS) or about max_bytes of records with sequence
 * ≥ from into page, in order; at least one if there is one. Deleted sequences are passed over. The
 * caller clears the page. */
int journal_read(struct journal *self, uint64_t from, size_t max_records, size_t max_bytes,
                 struct journal_page *page, struct error *err) MUST_USE;
void journal_page_clear(struct journal_page *page);

struct journal_stats {
    enum journal_state state;
    uint64_t oldest_sequence; /* 0: empty */
    uint64_t newest_sequence; /* committed; 0: none ever */
    uint64_t released_sequence;
    uint64_t used_bytes, max_bytes, reusable_bytes, disk_free_bytes;
    uint64_t records;
    int64_t last_commit_unix_ms;
    uint64_t damaged_records;
    bool has_archive;
    uint64_t
        archived_sequence;   /* all records up to it are in the archive, or were deleted before */
    bool is_archive_failing; /* it takes nothing, or not fast enough: nothing is deleted */
};
void journal_stats(struct journal *self, struct journal_stats *out);

#endif
