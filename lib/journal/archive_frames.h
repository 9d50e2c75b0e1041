/* archive_frames - walks along the frames of an archive file and passes over what is damaged.
 * Threads: the owner's. */
#ifndef DESG_JOURNAL_ARCHIVE_FRAMES_H
#define DESG_JOURNAL_ARCHIVE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "journal/archive_format.h"

struct archive_frames {
    int fd;
    uint64_t offset; /* of the next frame */
    uint8_t *window; /* bytes of the file from window_offset on */
    uint64_t window_offset;
    size_t window_bytes;
    size_t window_capacity;
    struct archive_header header;
    bool is_header_damaged; /* then the first frame tells header.file, and the rest is unknown */
    bool is_file_known;
};

enum archive_found {
    ARCHIVE_FOUND_FRAME,
    ARCHIVE_FOUND_DAMAGE, /* bytes that are no frame, passed over up to the next one */
    ARCHIVE_FOUND_TAIL,   /* … up to the end of the file: cut off while it was written, perhaps */
    ARCHIVE_FOUND_END,
};

/* Takes fd over, also on failure. ERROR_INVALID: not an archive file, or a newer version's.
 * ERROR_SYSTEM: it cannot be read. */
int archive_frames_open(struct archive_frames *self, int fd, struct error *err) MUST_USE;
void archive_frames_close(struct archive_frames *self);

/* Finds the next frame, in *frame until the next call, or passes over *passed_bytes. -1: the file
 * cannot be read. */
int archive_frames_next(struct archive_frames *self, enum archive_found *found,
                        struct archive_frame *frame, uint64_t *passed_bytes,
                        struct error *err) MUST_USE;

#endif
