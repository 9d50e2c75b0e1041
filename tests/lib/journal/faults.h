/* faults - makes the disk fail under LMDB. The program that links this file has its own fdatasync,
 * write, pwrite, writev, lseek, statvfs and clock_gettime, which the dynamic linker prefers to the
 * C library's: they pass on to the kernel unless told to fail. Threads: any. */
#ifndef DESG_TESTS_FAULTS_H
#define DESG_TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_call {
    FAULT_SYNC,          /* fdatasync */
    FAULT_WRITE,         /* pwrite and writev of data pages */
    FAULT_META_WRITE,    /* pwrite to a descriptor opened with O_DSYNC: LMDB's meta page */
    FAULT_ARCHIVE_WRITE, /* write to an archive file */
    FAULT_ARCHIVE_SYNC,  /* fdatasync of one */
    FAULT_CALLS,
};

/* The next `times` such calls fail with error (an errno). */
void fault_inject(enum fault_call call, int error, int times);
/* The process kills itself (SIGKILL) instead of making the number-th such call from now on. */
void fault_kill_at(enum fault_call call, int number);
/* How many calls of the kind there were since the last fault_clear. */
int fault_count(enum fault_call call);
/* The disk says it has nothing left. */
void fault_set_disk_full(bool is_full);
/* The wall clock, not the monotonic one, is so much ahead of what it was. */
void fault_set_clock_ahead(int64_t ahead_ms);
/* Files seem to be written to their end: nothing is written ahead, so that faults meet commits. */
void fault_hide_holes(bool is_hidden);
/* No errors, no kill, an honest disk and clock. */
void fault_clear(void);

#endif
