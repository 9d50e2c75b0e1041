#include "journal/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "log/log.h"

enum { NAMES_MAX = 1000, SEQUENCE_DIGITS = 20 };

static const char SUFFIX[] = ".desgarchive";

void archive_file_name(struct id source, uint64_t first_sequence, int try,
                       char out[static NAME_MAX + 1])
{
    char text[ID_TEXT_BYTES];
    char more[16] = "";
    id_text(source.bytes, text);
    if (try > 1)
        (void)snprintf(more, sizeof more, ".%d", try); /* fits: below NAMES_MAX */
    (void)snprintf(out, NAME_MAX + 1, "%s-%0*" PRIu64 "%s%s", text, SEQUENCE_DIGITS, first_sequence,
                   more, SUFFIX);
}

bool archive_file_parse_name(const char *name, struct id *source, uint64_t *first_sequence)
{
    enum { ID_DIGITS = ID_TEXT_BYTES - 1, AT_SEQUENCE = ID_DIGITS + 1 };
    size_t length = strlen(name);
    size_t suffix = sizeof SUFFIX - 1;
    if (length < AT_SEQUENCE + SEQUENCE_DIGITS + suffix || name[ID_DIGITS] != '-' ||
        strcmp(name + length - suffix, SUFFIX) != 0)
        return false;
    char text[ID_TEXT_BYTES];
    memcpy(text, name, ID_DIGITS);
    text[ID_DIGITS] = '\0';
    char digits[SEQUENCE_DIGITS + 1];
    memcpy(digits, name + AT_SEQUENCE, SEQUENCE_DIGITS);
    digits[SEQUENCE_DIGITS] = '\0';
    if (strspn(digits, "0123456789") != SEQUENCE_DIGITS || id_parse(text, source) != 0)
        return false;
    errno = 0;
    uint64_t first = strtoull(digits, NULL, 10);
    if (errno != 0)
        return false;
    *first_sequence = first;
    return true;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

int archive_file_create(struct archive_file *self, int directory_fd,
                        const struct archive_header *header, struct error *err)
{
    *self = (struct archive_file){
        .fd = -1, .directory_fd = directory_fd, .header = *header, .opened_ms = clock_monotonic_ms()
    };
    errno = EEXIST;
    for (int try = 1; self->fd < 0 && errno == EEXIST && try < NAMES_MAX; try++) {
        archive_file_name(header->source, header->first_sequence, try, self->name);
        self->fd = openat(directory_fd, self->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (self->fd < 0)
        return error_set(err, ERROR_SYSTEM, "cannot make archive file '%s': %s", self->name,
                         strerror(errno));
    uint8_t bytes[ARCHIVE_HEADER_BYTES];
    archive_header_encode(header, bytes);
    if (write_all(self->fd, bytes, sizeof bytes) == 0)
        return 0; /* synced with the first frames */
    (void)error_set(err, ERROR_SYSTEM, "cannot write archive file '%s': %s", self->name,
                    strerror(errno));
    archive_file_drop(self);
    return -1;
}

int archive_file_append(struct archive_file *self, const uint8_t *frames, size_t length,
                        uint64_t last_sequence, struct error *err)
{
    bool is_first = self->confirmed_bytes == 0;
    int rc = write_all(self->fd, frames, length);
    if (rc == 0)
        rc = fdatasync(self->fd);
    if (rc == 0 && is_first) /* the name, too */
        rc = fsync(self->directory_fd);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot write archive file '%s': %s", self->name,
                         strerror(errno));
    self->confirmed_bytes += length + (is_first ? ARCHIVE_HEADER_BYTES : 0);
    self->last_sequence = last_sequence;
    return 0;
}

void archive_file_finish(struct archive_file *self)
{
    if (self->fd < 0)
        return;
    uint8_t head[ARCHIVE_FRAME_BYTES];
    const struct archive_frame end = { .kind = ARCHIVE_FRAME_END,
                                       .file = self->header.file,
                                       .sequence = self->last_sequence };
    archive_frame_seal(&end, head);
    if (write_all(self->fd, head, sizeof head) != 0 || fdatasync(self->fd) != 0)
        log_warn("journal_archive_unfinished", KV("file", self->name),
                 KV("error", strerror(errno)));
    (void)close(self->fd); /* all that matters is synced */
    self->fd = -1;
}

void archive_file_drop(struct archive_file *self)
{
    if (self->fd < 0)
        return;
    /* Best effort: a tail that nobody confirmed must not look as if it were there. */
    int rc = self->confirmed_bytes == 0 ? unlinkat(self->directory_fd, self->name, 0)
                                        : ftruncate(self->fd, (off_t)self->confirmed_bytes);
    if (rc != 0)
        log_warn("journal_archive_unfinished", KV("file", self->name),
                 KV("error", strerror(errno)));
    (void)close(self->fd); /* nothing is expected of it any more */
    self->fd = -1;
}
