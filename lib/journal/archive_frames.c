#include "journal/archive_frames.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW_BYTES = 256 << 10 };

static int read_window(struct archive_frames *self, struct error *err)
{
    self->window_bytes = 0;
    while (self->window_bytes < self->window_capacity) {
        ssize_t got = pread(self->fd, self->window + self->window_bytes,
                            self->window_capacity - self->window_bytes,
                            (off_t)(self->window_offset + self->window_bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(err, ERROR_SYSTEM,
                             "cannot read the archive file at byte %" PRIu64 ": %s",
                             self->window_offset, strerror(errno));
        if (got == 0)
            break;
        self->window_bytes += (size_t)got;
    }
    return 0;
}

/* Points *bytes at what the file has at offset, up to wanted bytes: fewer only at its end. */
static int look_at(struct archive_frames *self, uint64_t offset, size_t wanted,
                   const uint8_t **bytes, size_t *length, struct error *err)
{
    bool is_inside = offset >= self->window_offset &&
                     offset + wanted <= self->window_offset + self->window_bytes;
    if (!is_inside) {
        size_t capacity = wanted > WINDOW_BYTES ? wanted : WINDOW_BYTES;
        if (capacity > self->window_capacity) {
            uint8_t *grown = realloc(self->window, capacity);
            if (!grown)
                return error_set(err, ERROR_SYSTEM, "no memory to read an archive file");
            self->window = grown;
            self->window_capacity = capacity;
        }
        self->window_offset = offset;
        if (read_window(self, err) != 0)
            return -1;
    }
    size_t skipped = (size_t)(offset - self->window_offset);
    size_t held = self->window_bytes > skipped ? self->window_bytes - skipped : 0;
    *bytes = self->window + skipped;
    *length = held < wanted ? held : wanted;
    return 0;
}

int archive_frames_open(struct archive_frames *self, int fd, struct error *err)
{
    *self = (struct archive_frames){ .fd = fd, .offset = ARCHIVE_HEADER_BYTES };
    const uint8_t *bytes = NULL;
    size_t length = 0;
    int rc = look_at(self, 0, ARCHIVE_HEADER_BYTES, &bytes, &length, err);
    if (rc == 0 && !archive_header_is_ours(bytes, length))
        rc = error_set(err, ERROR_INVALID, "it is not an archive file of a journal");
    if (rc == 0) {
        self->is_header_damaged = !archive_header_decode(bytes, length, &self->header);
        self->is_file_known = !self->is_header_damaged;
        if (!self->is_header_damaged && self->header.version != ARCHIVE_VERSION)
            rc = error_set(err, ERROR_INVALID,
                           "it is an archive file of format %" PRIu32 ", this program knows %d",
                           self->header.version, ARCHIVE_VERSION);
    }
    if (rc != 0)
        archive_frames_close(self);
    return rc;
}

void archive_frames_close(struct archive_frames *self)
{
    if (self->fd >= 0)
        (void)close(self->fd); /* it was only read */
    free(self->window);
    *self = (struct archive_frames){ .fd = -1 };
}

/* Is there a whole frame at offset? Then *frame is it. */
static int try_frame(struct archive_frames *self, uint64_t offset, bool *is_frame,
                     struct archive_frame *frame, struct error *err)
{
    const uint8_t *head = NULL;
    size_t length = 0;
    *is_frame = false;
    if (look_at(self, offset, ARCHIVE_FRAME_BYTES, &head, &length, err) != 0)
        return -1;
    if (!archive_frame_peek(head, length, frame))
        return 0;
    size_t whole = ARCHIVE_FRAME_BYTES + frame->length;
    if (look_at(self, offset, whole, &head, &length, err) != 0)
        return -1;
    *is_frame = length == whole && archive_frame_check(head, frame) &&
                (!self->is_file_known || frame->file == self->header.file);
    if (*is_frame && !self->is_file_known) {
        self->header.file = frame->file;
        self->is_file_known = true;
    }
    return 0;
}

/* Moves offset on to the next byte that may begin a frame; to the end of the file if none does. */
static int skip_to_magic(struct archive_frames *self, uint64_t *offset, bool *is_end,
                         struct error *err)
{
    for (;;) {
        const uint8_t *bytes = NULL;
        size_t length = 0;
        if (look_at(self, *offset, WINDOW_BYTES / 2, &bytes, &length, err) != 0)
            return -1;
        struct archive_frame ignored;
        size_t at = 0;
        while (at + ARCHIVE_FRAME_BYTES <= length &&
               !archive_frame_peek(bytes + at, length - at, &ignored))
            at++;
        *offset += at;
        *is_end = length < WINDOW_BYTES / 2 && at + ARCHIVE_FRAME_BYTES > length;
        if (*is_end)
            *offset += length - at;
        if (*is_end || at + ARCHIVE_FRAME_BYTES <= length)
            return 0;
    }
}

int archive_frames_next(struct archive_frames *self, enum archive_found *found,
                        struct archive_frame *frame, uint64_t *passed_bytes, struct error *err)
{
    bool is_frame = false;
    bool is_end = false;
    uint64_t offset = self->offset;
    while (!is_frame && !is_end) {
        if (try_frame(self, offset, &is_frame, frame, err) != 0)
            return -1;
        if (is_frame)
            break;
        const uint8_t *bytes = NULL;
        size_t length = 0;
        if (look_at(self, offset, 1, &bytes, &length, err) != 0)
            return -1;
        is_end = length == 0;
        if (!is_end) {
            offset++;
            if (skip_to_magic(self, &offset, &is_end, err) != 0)
                return -1;
        }
    }
    *passed_bytes = offset - self->offset;
    self->offset = offset;
    if (*passed_bytes > 0) { /* a frame behind it is found again by the next call */
        *found = is_frame ? ARCHIVE_FOUND_DAMAGE : ARCHIVE_FOUND_TAIL;
        return 0;
    }
    *found = is_frame ? ARCHIVE_FOUND_FRAME : ARCHIVE_FOUND_END;
    if (is_frame)
        self->offset += ARCHIVE_FRAME_BYTES + frame->length;
    return 0;
}
