/* archive - reads back what a journal's retention wrote before it deleted: files
 * <source>-<first sequence, 20 digits>.desgarchive. A file is read alone: it says whose it is, its
 * records are the journal's own, sealed if they were, with their notes. What is damaged is reported
 * with the sequences it may have held, and passed over. The same record may stand in two files of
 * one source (a journal restored from a snapshot): the incarnation tells whether it is the same.
 * Threads: the owner's. */
#ifndef DESG_JOURNAL_ARCHIVE_H
#define DESG_JOURNAL_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/seal.h"
#include "error/error.h"
#include "ids/ids.h"
#include "journal/journal.h"

struct archive_reader;

struct archive_about {
    bool is_header_damaged; /* then nothing below is known; records are read all the same */
    struct id source;
    uint64_t first_sequence;
    uint64_t incarnation; /* of the journal when it began the file */
    int64_t created_unix_ms;
};

enum archive_item_kind {
    ARCHIVE_RECORD,
    ARCHIVE_DAMAGED,
    ARCHIVE_END,
};

struct archive_item {
    enum archive_item_kind kind;
    /* ARCHIVE_RECORD. Bodies and notes are good until the next call. is_damaged is never set. */
    struct journal_record record;
    /* ARCHIVE_DAMAGED: records first to last are lost or cannot be opened; first > last: only notes
     * of the record before. last is UINT64_MAX where the file breaks off: it is being written, or
     * its writer died, and what is missing is in the journal or in the next file; or it was cut. */
    uint64_t first_sequence;
    uint64_t last_sequence;
    uint64_t passed_bytes;
    const char *reason;
    /* ARCHIVE_END: the file was closed by its writer, so nothing is missing at its end. */
    bool is_closed;
};

/* keyring: borrowed, NULL if nothing is sealed. ERROR_CONFIG: cannot be opened. ERROR_INVALID: not
 * an archive file, or of a newer program. */
struct archive_reader *archive_open(const char *path, const struct keyring *keyring,
                                    struct error *err) MUST_USE;
/* The same for an open file; takes fd over, also on failure. */
struct archive_reader *archive_open_fd(int fd, const struct keyring *keyring,
                                       struct error *err) MUST_USE;
void archive_close(struct archive_reader **self_p);

void archive_describe(const struct archive_reader *self, struct archive_about *out);

/* After ARCHIVE_END, ARCHIVE_END again. -1: the file cannot be read, or no memory. */
int archive_next(struct archive_reader *self, struct archive_item *out, struct error *err) MUST_USE;

#endif
