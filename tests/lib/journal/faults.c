#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* The C library's calls have no argument to carry a state in. */
static struct {
    atomic_int error[FAULT_CALLS];
    atomic_int times[FAULT_CALLS];
    atomic_int calls[FAULT_CALLS];
    atomic_int kill_in[FAULT_CALLS];
    atomic_bool is_disk_full;
    atomic_bool hides_holes;
    atomic_llong clock_ahead_ms;
} faults;

void fault_inject(enum fault_call call, int error, int times)
{
    atomic_store(&faults.error[call], error);
    atomic_store(&faults.times[call], times);
}

void fault_kill_at(enum fault_call call, int number)
{
    atomic_store(&faults.kill_in[call], number);
}

int fault_count(enum fault_call call)
{
    return atomic_load(&faults.calls[call]);
}

void fault_set_disk_full(bool is_full)
{
    atomic_store(&faults.is_disk_full, is_full);
}

void fault_set_clock_ahead(int64_t ahead_ms)
{
    atomic_store(&faults.clock_ahead_ms, ahead_ms);
}

void fault_hide_holes(bool is_hidden)
{
    atomic_store(&faults.hides_holes, is_hidden);
}

void fault_clear(void)
{
    for (int i = 0; i < FAULT_CALLS; i++) {
        atomic_store(&faults.times[i], 0);
        atomic_store(&faults.calls[i], 0);
        atomic_store(&faults.kill_in[i], 0);
    }
    atomic_store(&faults.is_disk_full, false);
    atomic_store(&faults.hides_holes, false);
    atomic_store(&faults.clock_ahead_ms, 0);
}

static bool fails(enum fault_call call)
{
    atomic_fetch_add(&faults.calls[call], 1);
    if (atomic_load(&faults.kill_in[call]) > 0 && atomic_fetch_sub(&faults.kill_in[call], 1) == 1)
        (void)kill(getpid(), SIGKILL);
    int left = atomic_load(&faults.times[call]);
    while (left > 0)
        if (atomic_compare_exchange_weak(&faults.times[call], &left, left - 1)) {
            errno = atomic_load(&faults.error[call]);
            return true;
        }
    return false;
}

static bool is_archive(int fd)
{
    char link[64];
    char path[512];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return strstr(path, ".desgarchive") != NULL;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    if (rc == 0 && clock == CLOCK_REALTIME)
        out->tv_sec += (time_t)(atomic_load(&faults.clock_ahead_ms) / 1000);
    return rc;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    if (fd > STDERR_FILENO && is_archive(fd) && fails(FAULT_ARCHIVE_WRITE))
        return -1;
    return syscall(SYS_write, fd, bytes, length);
}

int fdatasync(int fd)
{
    return fails(is_archive(fd) ? FAULT_ARCHIVE_SYNC : FAULT_SYNC)
               ? -1
               : (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    int flags = fcntl(fd, F_GETFL);
    enum fault_call call = (flags & O_DSYNC) != 0 ? FAULT_META_WRITE : FAULT_WRITE;
    return fails(call) ? -1 : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (fd > STDERR_FILENO && fails(FAULT_WRITE))
        return -1;
    return syscall(SYS_writev, fd, parts, count);
}

off_t lseek(int fd, off_t offset, int whence)
{
    if (whence == SEEK_HOLE && atomic_load(&faults.hides_holes)) {
        offset = 0;
        whence = SEEK_END;
    }
    return syscall(SYS_lseek, fd, offset, whence);
}

int statvfs(const char *path, struct statvfs *out)
{
    struct statfs status;
    if (syscall(SYS_statfs, path, &status) != 0)
        return -1;
    *out =
        (struct statvfs){ .f_frsize = (unsigned long)status.f_frsize, .f_bavail = status.f_bavail };
    if (atomic_load(&faults.is_disk_full))
        out->f_bavail = 0;
    return 0;
}
