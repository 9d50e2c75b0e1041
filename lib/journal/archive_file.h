/* archive_file - one archive file being written. What archive_file_append has confirmed is on disk,
 * name included. Threads: the owner's. */
#ifndef DESG_JOURNAL_ARCHIVE_FILE_H
#define DESG_JOURNAL_ARCHIVE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "journal/archive_format.h"

struct archive_file {
    int fd; /* -1: none open */
    int directory_fd;
    char name[NAME_MAX + 1];
    struct archive_header header;
    uint64_t confirmed_bytes; /* on disk */
    uint64_t last_sequence;   /* of what is confirmed */
    int64_t opened_ms;        /* monotonic */
};

/* The name for files of source that begin with sequence; try > 1 when that name is taken. */
void archive_file_name(struct id source, uint64_t first_sequence, int try,
                       char out[static NAME_MAX + 1]);
/* Reads source and first sequence back. Returns false if it is no such name. */
bool archive_file_parse_name(const char *name, struct id *source, uint64_t *first_sequence);

/* Makes a file of its own in directory_fd (borrowed): an older one is never written to. */
int archive_file_create(struct archive_file *self, int directory_fd,
                        const struct archive_header *header, struct error *err) MUST_USE;

/* Writes frames and syncs them, and the directory with the first. After -1 the file must be
 * dropped: what a failed sync left behind nobody knows. */
int archive_file_append(struct archive_file *self, const uint8_t *frames, size_t length,
                        uint64_t last_sequence, struct error *err) MUST_USE;

/* Puts the end mark and closes. Without the mark the file is as good, only not known to be whole.
 */
void archive_file_finish(struct archive_file *self);
/* Closes after a failure: back to what is confirmed; away, if that is nothing. */
void archive_file_drop(struct archive_file *self);

#endif
