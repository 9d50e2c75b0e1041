/* feed_file - one small state kept on disk, whole or not at all: written beside, synced, renamed.
 * Threads: any; one writer a file. */
#ifndef DESG_NOTIFY_FEED_FILE_H
#define DESG_NOTIFY_FEED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum { FEED_FILE_MAX_BYTES = 64 << 20 };

/* ERROR_SYSTEM: the old one is still there, whole. */
int feed_file_save(const char *directory, const char *name, const uint8_t *bytes, size_t length,
                   struct error *err) MUST_USE;

/* 0: *out is the bytes, to be freed; NULL where there is no such file. ERROR_INVALID: it is damaged
 * or none of ours. ERROR_SYSTEM: it cannot be read. */
int feed_file_load(const char *directory, const char *name, uint8_t **out, size_t *length,
                   struct error *err) MUST_USE;

#endif
