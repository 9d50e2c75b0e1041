#include "journal/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AHEAD_BYTES = 64 << 20, STEP_BYTES = 512 << 10 };

static const uint8_t zeros[STEP_BYTES];

void ahead_begin(struct ahead *self, const struct file *file)
{
    *self = (struct ahead){ .is_off = true };
    MDB_envinfo info;
    struct stat status;
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(file->env, &fd) != 0 || mdb_env_info(file->env, &info) != 0 ||
        fstat(fd, &status) != 0)
        return;
    uint64_t span_bytes = (uint64_t)(info.me_last_pgno + 1) * file->page_bytes;
    /* Allocated but unwritten blocks count as a hole. */
    off_t hole = lseek(fd, (off_t)span_bytes, SEEK_HOLE);
    if (hole < 0)
        return;
    self->written_end = (uint64_t)hole;
    self->file_end = (uint64_t)status.st_size;
    self->is_off = self->written_end >= self->file_end;
}

bool ahead_is_due(const struct ahead *self, uint64_t span_bytes)
{
    return !self->is_off && self->written_end < self->file_end &&
           self->written_end < span_bytes + AHEAD_BYTES;
}

int ahead_step(struct ahead *self, const struct file *file, uint64_t span_bytes)
{
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(file->env, &fd);
    if (rc != 0)
        return rc;
    uint64_t start = self->written_end > span_bytes ? self->written_end : span_bytes;
    uint64_t length = self->file_end > start ? self->file_end - start : 0;
    if (length > STEP_BYTES)
        length = STEP_BYTES;
    ssize_t written = length ? pwrite(fd, zeros, length, (off_t)start) : 0;
    if (written < 0 || fdatasync(fd) != 0)
        return errno;
    self->written_end = start + (uint64_t)written;
    self->is_off = length == 0 || written == 0;
    return 0;
}
