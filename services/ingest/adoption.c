#include "ingest/adoption.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/archive_import.h"
#include "ingest/drained.h"
#include "log/log.h"

enum { PROGRESS_MS = 2000, LIMIT_MAX_S = 30 * 86400 };

struct adoption {
    struct service *service;
    int64_t started_ms;
    int64_t limit_ms; /* 0: none */
    int64_t said_at_ms;
    uint64_t said_left;
    bool has_ended;
};

int adoption_check(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    if (archive_import_is_partial(directory))
        return error_set(err, ERROR_CONFIG,
                         "the import into '%s' did not end: empty it and import again", directory);
    int length = snprintf(path, sizeof path, "%s/data.mdb", directory);
    if (length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "there is no journal in '%s' (%s): adoption makes none; name the directory of "
                     "the ingest that went",
                     directory, strerror(errno));
}

static int read_limit(const char *text, int64_t *limit_ms, struct error *err)
{
    char *end = NULL;
    if (!text || !*text)
        return 0;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < 1 || value > LIMIT_MAX_S)
        return error_set(err, ERROR_CONFIG, "--for takes 1 to %d seconds, not '%s'", LIMIT_MAX_S,
                         text);
    *limit_ms = value * 1000;
    return 0;
}

struct adoption *adoption_new(struct service *service, const char *limit, int64_t now_ms,
                              struct error *err)
{
    int64_t limit_ms = 0;
    if (read_limit(limit, &limit_ms, err) != 0)
        return NULL;
    struct adoption *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the adoption");
        return NULL;
    }
    self->service = service;
    self->limit_ms = limit_ms;
    self->started_ms = now_ms;
    self->said_at_ms = now_ms;
    return self;
}

void adoption_destroy(struct adoption **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void say_progress(struct adoption *self, uint64_t left, int64_t now_ms)
{
    int64_t took_ms = now_ms - self->said_at_ms;
    if (took_ms < PROGRESS_MS)
        return;
    int64_t fewer = self->said_left > left ? (int64_t)(self->said_left - left) : 0;
    log_info("adopting", KV("records_left", left), KV("records_per_second", fewer * 1000 / took_ms),
             KV("elapsed_s", (now_ms - self->started_ms) / 1000));
    self->said_at_ms = now_ms;
    self->said_left = left;
}

static void give_up(struct adoption *self, const struct custody_status *status)
{
    struct error err = { 0 };
    (void)error_set(&err, ERROR_UNAVAILABLE,
                    "%" PRIu64 " records are left after %" PRId64
                    " s: they stay in the journal; are classify, route and Redis there? Start it "
                    "again",
                    drained_left(status), self->limit_ms / 1000);
    service_fail(self->service, &err);
}

void adoption_watch(struct adoption *self, const struct custody_status *status, int64_t now_ms)
{
    if (self->has_ended)
        return;
    uint64_t left = drained_left(status);
    if (self->said_left < left)
        self->said_left = left;
    if (custody_is_settled(status)) {
        log_info("adopted", KV("newest_sequence", status->newest),
                 KV("took_ms", now_ms - self->started_ms));
        self->has_ended = true;
        service_finish(self->service);
    } else if (self->limit_ms > 0 && now_ms - self->started_ms >= self->limit_ms) {
        self->has_ended = true;
        give_up(self, status);
    } else {
        say_progress(self, left, now_ms);
    }
}
