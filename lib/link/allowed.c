#include "link/allowed.h"

#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <czmq.h>

#include "error/error.h"
#include "log/log.h"
#include "stamp/stamp.h"

struct key {
    uint8_t bytes[ALLOWED_KEY_BYTES];
};

struct allowed {
    char *directory;
    struct key *keys;
    size_t count;
    uint64_t stamp; /* of the folder as it was read; 0: never */
};

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

/* The path of the next certificate, and what it is like. False: no more. Names that begin with a
 * dot are Kubernetes's own and half-written files. */
static bool next_file(const struct allowed *self, DIR *folder, char path[static PATH_MAX],
                      struct stat *status)
{
    for (const struct dirent *entry; (entry = readdir(folder));) {
        int length = snprintf(path, PATH_MAX, "%s/%s", self->directory, entry->d_name);
        if (entry->d_name[0] != '.' && length > 0 && length < PATH_MAX && stat(path, status) == 0 &&
            S_ISREG(status->st_mode))
            return true;
    }
    return false;
}

/* Another number when a file came, went or was replaced. The order of names is the folder's own. */
static uint64_t stamp_of(const struct allowed *self)
{
    char path[PATH_MAX];
    struct stat status;
    uint64_t stamp = STAMP_START;
    AUTO(close_folder) DIR *folder = opendir(self->directory);
    while (folder && next_file(self, folder, path, &status)) {
        for (const char *at = path + strlen(self->directory); *at; at++)
            stamp = stamp_mix(stamp, (unsigned char)*at);
        stamp = stamp_file(stamp, &status);
    }
    return stamp | 1;
}

static bool add(struct allowed *self, const zcert_t *certificate)
{
    if (self->count == ALLOWED_MAX)
        return false;
    struct key *keys = realloc(self->keys, (self->count + 1) * sizeof *keys);
    if (!keys)
        return false;
    self->keys = keys;
    memcpy(keys[self->count++].bytes, zcert_public_key((zcert_t *)certificate), ALLOWED_KEY_BYTES);
    return true;
}

static void read_all(struct allowed *self)
{
    static const uint8_t no_key[ALLOWED_KEY_BYTES];
    char path[PATH_MAX];
    struct stat status;
    size_t passed_over = 0;
    self->count = 0;
    AUTO(close_folder) DIR *folder = opendir(self->directory);
    while (folder && next_file(self, folder, path, &status)) {
        AUTO(zcert_destroy) zcert_t *certificate = zcert_load(path);
        if (!certificate || memcmp(zcert_public_key(certificate), no_key, sizeof no_key) == 0 ||
            !add(self, certificate))
            passed_over++;
    }
    if (passed_over > 0)
        log_warn("certificates_passed_over", KV("allowed", (const char *)self->directory),
                 KV("files", passed_over), KV("keys", self->count),
                 KV("remedy", "keep nothing but public certificates in it: desg keys check"));
}

struct allowed *allowed_new(const char *directory)
{
    assert(directory);
    struct allowed *self = calloc(1, sizeof *self);
    if (self && !(self->directory = strdup(directory)))
        allowed_destroy(&self);
    return self;
}

void allowed_destroy(struct allowed **self_p)
{
    struct allowed *self = *self_p;
    if (!self)
        return;
    free(self->directory);
    free(self->keys);
    free(self);
    *self_p = NULL;
}

bool allowed_has(struct allowed *self, const uint8_t key[static ALLOWED_KEY_BYTES])
{
    uint64_t stamp = stamp_of(self);
    if (stamp != self->stamp)
        read_all(self);
    self->stamp = stamp;
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(self->keys[i].bytes, key, ALLOWED_KEY_BYTES) == 0)
            return true;
    return false;
}
