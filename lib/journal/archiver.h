/* archiver - the thread that writes records to archive files before retention may delete them. It
 * has its own files and its own pace: an archive that is slow, full or away holds back deletions,
 * never appends. Threads: archiver_want, _pass_over the committer; _is_failing, _stats any. */
#ifndef DESG_JOURNAL_ARCHIVER_H
#define DESG_JOURNAL_ARCHIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "error/error.h"

struct archiver;
struct journal;
struct journal_stats;

/* ERROR_CONFIG: the directory is not there, or cannot be written. */
struct archiver *archiver_start(struct journal *journal, struct error *err) MUST_USE;
/* Ends the thread and the file it writes. Does nothing for NULL. */
void archiver_stop(struct archiver **self_p);

/* Asks for all records up to and including through. Returns how far the archive is. */
uint64_t archiver_want(struct archiver *self, uint64_t through);
/* Records up to last were deleted; returns how many of them the archive never had. */
uint64_t archiver_pass_over(struct archiver *self, uint64_t last);

/* The last attempt failed, or what was asked for takes a minute already. */
bool archiver_is_failing(struct archiver *self);
void archiver_stats(struct archiver *self, struct journal_stats *out);

#endif
