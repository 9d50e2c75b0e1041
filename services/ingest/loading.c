#include "ingest/loading.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, VERSION_BYTES = 32, SET_ASIDE_MAX = 256 };

static const char MAGIC[8] = "desgload";

struct deaths {
    uint64_t sequence;
    int64_t first_unix_ms;
    uint32_t count;
    uint32_t unused;
};

/* As it lies in the file; of one machine and one version only. */
struct page {
    char magic[8];
    char version[VERSION_BYTES];
    struct id source;
    _Atomic uint64_t sequence[LOADING_READERS]; /* 0: none */
    struct deaths deaths[LOADING_READERS];
    uint64_t set_aside_count; /* ever; the last SET_ASIDE_MAX are known */
    uint64_t set_aside[SET_ASIDE_MAX];
};
_Static_assert(sizeof(struct page) <= PAGE_BYTES, "one page");

struct loading {
    struct page *page;
    uint64_t newly_set_aside;
};

static void begin_anew(struct page *page, const struct id *source)
{
    memset(page, 0, PAGE_BYTES);
    memcpy(page->magic, MAGIC, sizeof MAGIC);
    (void)snprintf(page->version, sizeof page->version, "%s", DESG_VERSION);
    page->source = *source;
}

static bool is_ours(const struct page *page, const struct id *source)
{
    return memcmp(page->magic, MAGIC, sizeof MAGIC) == 0 &&
           strncmp(page->version, DESG_VERSION, sizeof page->version) == 0 &&
           memcmp(&page->source, source, sizeof *source) == 0;
}

/* The last start ended while it split sequence. */
static void count_death(struct loading *self, enum loading_reader reader, uint64_t sequence,
                        int64_t now_unix_ms)
{
    struct deaths *deaths = &self->page->deaths[reader];
    bool is_again =
        deaths->sequence == sequence && now_unix_ms - deaths->first_unix_ms <= LOADING_WINDOW_MS;
    if (!is_again)
        *deaths = (struct deaths){ .sequence = sequence, .first_unix_ms = now_unix_ms };
    if (++deaths->count < LOADING_DEATHS || loading_is_set_aside(self, sequence))
        return;
    self->page->set_aside[self->page->set_aside_count++ % SET_ASIDE_MAX] = sequence;
    self->newly_set_aside = sequence;
}

static void judge_last_start(struct loading *self, int64_t now_unix_ms)
{
    for (size_t reader = 0; reader < LOADING_READERS; reader++) {
        uint64_t sequence = atomic_load(&self->page->sequence[reader]);
        if (sequence > 0)
            count_death(self, (enum loading_reader)reader, sequence, now_unix_ms);
        else
            self->page->deaths[reader] = (struct deaths){ 0 };
        atomic_store(&self->page->sequence[reader], 0);
    }
}

static void close_file(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* a mapping stays */
}

/* All blocks are there before it is mapped: a full disk must not end the process at a store. */
static struct page *map_file(const char *path, struct error *err)
{
    AUTO(close_file)
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int reason = fd < 0 ? errno : posix_fallocate(fd, 0, PAGE_BYTES);
    if (reason == 0) {
        void *memory = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED)
            return memory;
        reason = errno;
    }
    (void)error_set(err, ERROR_SYSTEM, "cannot use '%s': %s", path, strerror(reason));
    return NULL;
}

struct loading *loading_open(const char *directory, const struct id *source, int64_t now_unix_ms,
                             struct error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/loading", directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        (void)error_set(err, ERROR_SYSTEM, "the journal's directory has too long a name");
        return NULL;
    }
    struct loading *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the trace of loading");
        return NULL;
    }
    self->page = map_file(path, err);
    if (!self->page) {
        loading_close(&self);
        return NULL;
    }
    if (!is_ours(self->page, source))
        begin_anew(self->page, source);
    judge_last_start(self, now_unix_ms);
    return self;
}

void loading_close(struct loading **self_p)
{
    if (!*self_p)
        return;
    if ((*self_p)->page)
        (void)munmap((*self_p)->page, PAGE_BYTES);
    free(*self_p);
    *self_p = NULL;
}

void loading_begin(struct loading *self, enum loading_reader reader, uint64_t sequence)
{
    if (self)
        atomic_store_explicit(&self->page->sequence[reader], sequence, memory_order_release);
}

void loading_end(struct loading *self, enum loading_reader reader)
{
    loading_begin(self, reader, 0);
}

bool loading_is_set_aside(const struct loading *self, uint64_t sequence)
{
    if (!self)
        return false;
    uint64_t known =
        self->page->set_aside_count < SET_ASIDE_MAX ? self->page->set_aside_count : SET_ASIDE_MAX;
    for (uint64_t i = 0; i < known; i++)
        if (self->page->set_aside[i] == sequence)
            return true;
    return false;
}

uint64_t loading_newly_set_aside(const struct loading *self)
{
    return self ? self->newly_set_aside : 0;
}
