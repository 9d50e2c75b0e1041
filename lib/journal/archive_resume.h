/* archive_resume - what an earlier process archived and perhaps had no time to delete. Threads: the
 * owner's. */
#ifndef DESG_JOURNAL_ARCHIVE_RESUME_H
#define DESG_JOURNAL_ARCHIVE_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "error/error.h"
#include "ids/ids.h"

struct archive_claim {
    struct id source;
    uint64_t archived; /* in: this far nothing is missing. out: this far with the files found */
    /* Is sequence, in the journal, the record of this incarnation? A journal restored from a
     * snapshot has other records under the same numbers. */
    bool (*is_same)(void *arg, uint64_t sequence, uint64_t incarnation);
    void *arg;
};

/* Syncs what it relies on. Stops at the first record that is missing, damaged or not the same: that
 * one is archived again. */
int archive_resume(int directory_fd, struct archive_claim *claim, struct error *err) MUST_USE;

#endif
