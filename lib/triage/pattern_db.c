#include "triage/pattern_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hs/hs.h>

#include "crypto/crypto.h"

enum { FILE_MAX_BYTES = 256 << 20 };

struct pattern_db {
    hs_database_t *database;
};

struct pattern_scratch {
    hs_scratch_t *scratch;
};

struct file_header {
    char magic[16];
    uint8_t key[PATTERN_DB_KEY_BYTES];
    uint64_t database_bytes;
    uint8_t checksum[CRYPTO_SHA256_BYTES]; /* of what follows the header */
};

static const char file_magic[16] = "desg-rules-db 2";

void pattern_db_destroy(struct pattern_db **self_p)
{
    if (!*self_p)
        return;
    (void)hs_free_database((*self_p)->database); /* takes NULL; cannot fail otherwise */
    free(*self_p);
    *self_p = NULL;
}

static int compile(const char *const *expressions, size_t count, hs_database_t **out, size_t *bad,
                   struct error *err)
{
    unsigned *numbers = calloc(count * 2, sizeof *numbers);
    if (!numbers)
        return error_set(err, ERROR_SYSTEM, "no memory to compile %zu patterns", count);
    unsigned *ids = numbers;
    unsigned *flags = numbers + count;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (unsigned)i;
        flags[i] = HS_FLAG_SOM_LEFTMOST;
    }
    hs_compile_error_t *problem = NULL;
    hs_error_t rc = hs_compile_multi(expressions, flags, ids, (unsigned)count, HS_MODE_BLOCK, NULL,
                                     out, &problem);
    free(numbers);
    if (rc == HS_SUCCESS)
        return 0;
    *bad = problem && problem->expression >= 0 ? (size_t)problem->expression : count;
    (void)error_set(err, ERROR_CONFIG, "the pattern compiler refused: %s",
                    problem ? problem->message : "no reason given");
    (void)hs_free_compile_error(problem);
    return -1;
}

struct pattern_db *pattern_db_compile(const char *const *expressions, size_t count, size_t *bad,
                                      struct error *err)
{
    assert(expressions && count > 0 && count <= UINT32_MAX && bad && err);
    *bad = count;
    if (hs_valid_platform() != HS_SUCCESS) {
        (void)error_set(err, ERROR_CONFIG,
                        "this processor cannot run the pattern library (no SSSE3): use another "
                        "machine");
        return NULL;
    }
    struct pattern_db *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a pattern database");
        return NULL;
    }
    if (compile(expressions, count, &self->database, bad, err) != 0)
        pattern_db_destroy(&self);
    return self;
}

void pattern_db_key(const char *const *expressions, size_t count,
                    const uint8_t content[static PATTERN_DB_KEY_BYTES],
                    uint8_t key[static PATTERN_DB_KEY_BYTES])
{
    hs_platform_info_t platform = { 0 };
    (void)hs_populate_platform(&platform); /* fails only for a NULL argument */
    struct hmac *hash = hmac_new(content, PATTERN_DB_KEY_BYTES);
    const char *version = hs_version();
    hmac_update(hash, version, strlen(version) + 1);
    hmac_update(hash, &platform.tune, sizeof platform.tune);
    hmac_update(hash, &platform.cpu_features, sizeof platform.cpu_features);
    for (size_t i = 0; i < count; i++)
        hmac_update(hash, expressions[i], strlen(expressions[i]) + 1);
    hmac_finish(hash, key);
    hmac_destroy(&hash);
}

/* The whole file as one block; NULL if it cannot be read or is of no possible size. */
static uint8_t *read_file(const char *path, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    struct stat status;
    uint8_t *bytes = NULL;
    size_t used = 0;
    if (fstat(descriptor, &status) == 0 && status.st_size >= (off_t)sizeof(struct file_header) &&
        status.st_size <= FILE_MAX_BYTES)
        bytes = malloc((size_t)status.st_size);
    while (bytes && used < (size_t)status.st_size) {
        ssize_t got = read(descriptor, bytes + used, (size_t)status.st_size - used);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    bool is_whole = bytes && used == (size_t)status.st_size;
    (void)close(descriptor); /* read only: nothing to lose */
    *length = used;
    if (is_whole)
        return bytes;
    free(bytes);
    return NULL;
}

static bool is_usable(const struct file_header *header, const uint8_t *payload, size_t length,
                      const uint8_t *key)
{
    uint8_t checksum[CRYPTO_SHA256_BYTES];
    if (memcmp(header->magic, file_magic, sizeof file_magic) != 0 ||
        memcmp(header->key, key, sizeof header->key) != 0 || header->database_bytes != length)
        return false;
    crypto_sha256(payload, length, checksum);
    return memcmp(checksum, header->checksum, sizeof checksum) == 0;
}

struct pattern_db *pattern_db_open(const char *path, const uint8_t key[static PATTERN_DB_KEY_BYTES],
                                   struct error *err)
{
    assert(path && key && err);
    size_t length = 0;
    uint8_t *bytes = read_file(path, &length);
    struct pattern_db *self = bytes ? calloc(1, sizeof *self) : NULL;
    struct file_header header;
    if (self) {
        memcpy(&header, bytes, sizeof header);
        const char *payload = (const char *)bytes + sizeof header;
        length -= sizeof header;
        if (!is_usable(&header, (const uint8_t *)payload, length, key) ||
            hs_deserialize_database(payload, length, &self->database) != HS_SUCCESS)
            pattern_db_destroy(&self);
    }
    free(bytes);
    if (!self)
        (void)error_set(err, ERROR_UNAVAILABLE, "no usable compiled rules in '%s'", path);
    return self;
}

static int write_all(int descriptor, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t put = write(descriptor, next, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        next += put;
        length -= (size_t)put;
    }
    return 0;
}

static int write_file(const char *path, const struct file_header *header, const char *payload,
                      size_t length, struct error *err)
{
    char temporary[PATH_MAX];
    int bytes = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (bytes < 0 || (size_t)bytes >= sizeof temporary)
        return error_set(err, ERROR_CONFIG, "the path of the compiled rules is too long");
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return error_set(err, ERROR_SYSTEM, "cannot write beside '%s': %s", path, strerror(errno));
    int rc = write_all(descriptor, header, sizeof *header);
    if (rc == 0)
        rc = write_all(descriptor, payload, length);
    if (close(descriptor) != 0)
        rc = -1;
    if (rc == 0)
        rc = rename(temporary, path);
    if (rc == 0)
        return 0;
    (void)error_set(err, ERROR_SYSTEM, "cannot write '%s': %s", path, strerror(errno));
    (void)unlink(temporary); /* may be gone already */
    return -1;
}

int pattern_db_save(const struct pattern_db *self, const char *path,
                    const uint8_t key[static PATTERN_DB_KEY_BYTES], struct error *err)
{
    assert(self && path && key && err);
    char *payload = NULL;
    size_t length = 0;
    if (hs_serialize_database(self->database, &payload, &length) != HS_SUCCESS)
        return error_set(err, ERROR_SYSTEM, "no memory to keep the compiled rules");
    struct file_header header = { .database_bytes = length };
    memcpy(header.magic, file_magic, sizeof header.magic);
    memcpy(header.key, key, sizeof header.key);
    crypto_sha256(payload, length, header.checksum);
    int rc = write_file(path, &header, payload, length, err);
    free(payload);
    return rc;
}

struct pattern_scratch *pattern_scratch_new(const struct pattern_db *db, struct error *err)
{
    assert(db && err);
    struct pattern_scratch *self = calloc(1, sizeof *self);
    if (self && hs_alloc_scratch(db->database, &self->scratch) == HS_SUCCESS)
        return self;
    pattern_scratch_destroy(&self);
    (void)error_set(err, ERROR_SYSTEM, "no memory to look for patterns");
    return NULL;
}

void pattern_scratch_destroy(struct pattern_scratch **self_p)
{
    if (!*self_p)
        return;
    (void)hs_free_scratch((*self_p)->scratch);
    free(*self_p);
    *self_p = NULL;
}

struct listener {
    pattern_found *found;
    void *arg;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *arg)
{
    (void)flags;
    const struct listener *listener = arg;
    return listener->found(listener->arg, id, (size_t)from, (size_t)to) ? 0 : 1;
}

int pattern_db_find(const struct pattern_db *self, struct pattern_scratch *scratch,
                    const char *text, size_t length, pattern_found *found, void *arg,
                    struct error *err)
{
    assert(self && scratch && text && length <= UINT_MAX && found && err);
    struct listener listener = { found, arg };
    hs_error_t rc =
        hs_scan(self->database, text, (unsigned)length, 0, scratch->scratch, on_match, &listener);
    if (rc == HS_SUCCESS || rc == HS_SCAN_TERMINATED)
        return 0;
    return error_set(err, ERROR_SYSTEM, "the pattern scan of %zu bytes failed with code %d", length,
                     rc);
}
