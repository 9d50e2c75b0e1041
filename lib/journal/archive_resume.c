#include "journal/archive_resume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/archive_file.h"
#include "journal/archive_frames.h"
#include "journal/record.h"

/* Returns false at what does not carry the claim on. */
static bool carries_on(struct archive_claim *claim, const struct archive_frame *frame)
{
    if (frame->kind == ARCHIVE_FRAME_NOTE || frame->kind == ARCHIVE_FRAME_END ||
        frame->sequence <= claim->archived)
        return true;
    struct record record;
    if (frame->sequence != claim->archived + 1 || frame->kind != ARCHIVE_FRAME_RECORD ||
        !record_decode(frame->payload, frame->length, frame->sequence, &record) ||
        !claim->is_same(claim->arg, frame->sequence, record.incarnation))
        return false;
    claim->archived = frame->sequence;
    return true;
}

static int walk_file(int fd, struct archive_claim *claim, struct error *err)
{
    struct archive_frames frames;
    struct error ignored = { 0 };
    if (fsync(fd) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot sync an archive file: %s", strerror(errno));
        (void)close(fd);
        return -1;
    }
    if (archive_frames_open(&frames, fd, &ignored) != 0)
        return ignored.kind == ERROR_SYSTEM ? error_set(err, ERROR_SYSTEM, "%s", ignored.text) : 0;
    enum archive_found found = ARCHIVE_FOUND_FRAME;
    int rc = 0;
    bool is_going_on = !frames.is_header_damaged;
    while (rc == 0 && is_going_on) {
        struct archive_frame frame;
        uint64_t passed_bytes = 0;
        rc = archive_frames_next(&frames, &found, &frame, &passed_bytes, err);
        is_going_on = rc == 0 && found == ARCHIVE_FOUND_FRAME && carries_on(claim, &frame);
    }
    archive_frames_close(&frames);
    return rc;
}

static bool is_from(const char *name, struct id source, uint64_t *first_sequence)
{
    struct id named;
    return archive_file_parse_name(name, &named, first_sequence) &&
           memcmp(named.bytes, source.bytes, sizeof source.bytes) == 0;
}

/* The last file that begins at or below sequence; the first of all if none does. */
static int find_start(struct dirent **list, int count, struct id source, uint64_t sequence)
{
    int start = 0;
    uint64_t best = 0;
    for (int i = 0; i < count; i++) {
        uint64_t first = 0;
        if (is_from(list[i]->d_name, source, &first) && first <= sequence && first > best) {
            start = i;
            best = first;
        }
    }
    return start;
}

static int walk_files(int directory_fd, struct dirent **list, int count,
                      struct archive_claim *claim, struct error *err)
{
    int rc = 0;
    for (int i = find_start(list, count, claim->source, claim->archived + 1); rc == 0 && i < count;
         i++) {
        uint64_t first = 0;
        if (!is_from(list[i]->d_name, claim->source, &first) || first > claim->archived + 1)
            continue;
        int fd = openat(directory_fd, list[i]->d_name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
            return error_set(err, ERROR_SYSTEM, "cannot open archive file '%s': %s",
                             list[i]->d_name, strerror(errno));
        rc = fd < 0 ? 0 : walk_file(fd, claim, err);
    }
    return rc;
}

int archive_resume(int directory_fd, struct archive_claim *claim, struct error *err)
{
    struct dirent **list = NULL;
    int count = scandirat(directory_fd, ".", &list, NULL, alphasort);
    if (count < 0)
        return error_set(err, ERROR_SYSTEM, "cannot list the archive directory: %s",
                         strerror(errno));
    struct archive_claim found = *claim;
    int rc = walk_files(directory_fd, list, count, &found, err);
    if (rc == 0 && found.archived != claim->archived && fsync(directory_fd) != 0)
        rc = error_set(err, ERROR_SYSTEM, "cannot sync the archive directory: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        free(list[i]);
    free(list);
    if (rc == 0)
        claim->archived = found.archived;
    return rc;
}
