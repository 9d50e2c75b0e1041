#include "notify/feed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"

static const char magic[8] = "DESGFED1";

struct head {
    char magic[8];
    uint32_t crc32c; /* of what follows the head */
    uint32_t length;
};

static void close_file(const int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor); /* what had to be on disk is synced by now */
}

static int fail(struct error *err, const char *what, const char *path)
{
    return error_set(err, ERROR_SYSTEM, "cannot %s '%s': %s", what, path, strerror(errno));
}

static int join(const char *directory, const char *name, const char *suffix, char out[PATH_MAX],
                struct error *err)
{
    int length = snprintf(out, PATH_MAX, "%s/%s%s", directory, name, suffix);
    if (length < 0 || length >= PATH_MAX)
        return error_set(err, ERROR_CONFIG, "the path of '%s' is too long", name);
    return 0;
}

/* --- out --- */

static bool write_all(int descriptor, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(descriptor, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static int write_beside(const char *path, const uint8_t *bytes, size_t length, struct error *err)
{
    struct head head = { .crc32c = crypto_crc32c(bytes, length), .length = (uint32_t)length };
    memcpy(head.magic, magic, sizeof head.magic);
    AUTO(close_file) int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return fail(err, "open", path);
    if (!write_all(file, &head, sizeof head) || !write_all(file, bytes, length))
        return fail(err, "write", path);
    return fdatasync(file) == 0 ? 0 : fail(err, "sync", path);
}

/* A name is on disk once its folder is. */
static int sync_directory(const char *directory, struct error *err)
{
    AUTO(close_file) int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return fail(err, "open", directory);
    return fsync(folder) == 0 ? 0 : fail(err, "sync", directory);
}

int feed_file_save(const char *directory, const char *name, const uint8_t *bytes, size_t length,
                   struct error *err)
{
    char path[PATH_MAX];
    char beside[PATH_MAX];
    if (length > FEED_FILE_MAX_BYTES)
        return error_set(err, ERROR_SYSTEM, "%zu bytes are too many to keep", length);
    if (join(directory, name, "", path, err) != 0 ||
        join(directory, name, ".new", beside, err) != 0 ||
        write_beside(beside, bytes, length, err) != 0)
        return -1;
    if (rename(beside, path) != 0)
        return fail(err, "replace", path);
    return sync_directory(directory, err);
}

/* --- in --- */

static bool read_all(int descriptor, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = read(descriptor, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

/* NULL: damaged. */
static uint8_t *read_body(int file, size_t *length)
{
    struct head head;
    struct stat info;
    if (fstat(file, &info) != 0 || !read_all(file, &head, sizeof head) ||
        memcmp(head.magic, magic, sizeof magic) != 0 || head.length > FEED_FILE_MAX_BYTES ||
        info.st_size != (off_t)(sizeof head + head.length))
        return NULL;
    uint8_t *bytes = malloc((size_t)head.length + 1);
    if (!bytes)
        abort();
    if (read_all(file, bytes, head.length) && crypto_crc32c(bytes, head.length) == head.crc32c) {
        *length = head.length;
        return bytes;
    }
    free(bytes);
    return NULL;
}

int feed_file_load(const char *directory, const char *name, uint8_t **out, size_t *length,
                   struct error *err)
{
    char path[PATH_MAX];
    if (join(directory, name, "", path, err) != 0)
        return -1;
    AUTO(close_file) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno != ENOENT)
        return fail(err, "open", path);
    uint8_t *bytes = file < 0 ? NULL : read_body(file, length);
    if (file >= 0 && !bytes)
        return error_set(err, ERROR_INVALID, "'%s' is damaged", path);
    *out = bytes;
    return 0;
}
