/* archive_import - copies records out of a journal's archive (journal/archive.h) into a fresh
 * journal, notes included, so that an adoption can offer them again: what Redis lost and no journal
 * keeps. The copies have new numbers under a new source; their events have the ids they always had,
 * so what is applied already collapses. */
#ifndef DESG_INGEST_ARCHIVE_IMPORT_H
#define DESG_INGEST_ARCHIVE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/seal.h"
#include "error/error.h"
#include "journal/journal.h"

struct archive_import {
    const char *directory; /* of archive files; all of them are read, by name */
    int64_t since_ms;      /* stored then or later, Unix time */
    int64_t until_ms;
    const struct keyring *keyring; /* NULL: nothing is sealed */
};

struct archive_import_counts {
    uint64_t files;
    uint64_t records; /* imported */
    uint64_t passed;  /* of another time */
    uint64_t damaged; /* places where records were lost */
};

/* Marks directory (the fresh journal's) as half filled until archive_import_run has ended well, so
 * that nobody takes a part for the whole. ERROR_CONFIG: there is a journal in it. */
int archive_import_begin(const char *directory, struct error *err) MUST_USE;
/* Fills journal, whose directory was given to archive_import_begin. ERROR_CONFIG: no archive file
 * there, one cannot be opened. ERROR_UNAVAILABLE: the journal is full. */
int archive_import_run(const struct archive_import *self, struct journal *journal,
                       const char *directory, struct archive_import_counts *counts,
                       struct error *err) MUST_USE;
/* Whether an import into directory began and did not end. */
bool archive_import_is_partial(const char *directory);

#endif
