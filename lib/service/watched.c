#include "service/watched.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stamp/stamp.h"

struct watched {
    char **paths;
    size_t count;
    uint64_t known; /* stamp of all, as it was last told */
    uint64_t last;  /* as it was last seen */
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* A link is followed: Kubernetes puts another folder behind it. */
static uint64_t stamp_of(const struct watched *self)
{
    uint64_t stamp = STAMP_START;
    for (size_t i = 0; i < self->count; i++) {
        struct stat status = { 0 }; /* all zero: there is none */
        (void)stat(self->paths[i], &status);
        stamp = stamp_file(stamp, &status);
    }
    return stamp;
}

struct watched *watched_new(void)
{
    return must(calloc(1, sizeof(struct watched)));
}

void watched_destroy(struct watched **self_p)
{
    struct watched *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->paths[i]);
    free(self->paths);
    free(self);
    *self_p = NULL;
}

void watched_add(struct watched *self, const char *path)
{
    assert(self && path);
    self->paths = must(realloc(self->paths, (self->count + 1) * sizeof *self->paths));
    self->paths[self->count++] = must(strdup(path));
    self->known = self->last = stamp_of(self);
}

bool watched_is_empty(const struct watched *self)
{
    return self->count == 0;
}

bool watched_changed(struct watched *self)
{
    uint64_t now = stamp_of(self);
    bool is_still = now == self->last;
    self->last = now;
    if (!is_still || now == self->known)
        return false;
    self->known = now;
    return true;
}
