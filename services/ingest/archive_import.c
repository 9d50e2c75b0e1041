#include "ingest/archive_import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/archive.h"
#include "log/log.h"

enum { BATCH_RECORDS = 256, BATCH_BYTES = 8 << 20, PROGRESS_RECORDS = 50000 };

static const char SUFFIX[] = ".desgarchive";

static bool make_path(char *path, const char *directory, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return length > 0 && length < PATH_MAX;
}

static bool is_there(const char *directory, const char *name)
{
    char path[PATH_MAX];
    return make_path(path, directory, name) && access(path, F_OK) == 0;
}

bool archive_import_is_partial(const char *directory)
{
    return is_there(directory, "importing");
}

int archive_import_begin(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    if (is_there(directory, "data.mdb"))
        return error_set(err, ERROR_CONFIG,
                         "there is a journal in '%s': import into an empty directory", directory);
    int fd = make_path(path, directory, "importing")
                 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
                 : -1;
    if (fd < 0)
        return error_set(err, ERROR_CONFIG, "cannot write into '%s': %s", directory,
                         strerror(errno));
    bool is_kept = fsync(fd) == 0;
    (void)close(fd);
    return is_kept ? 0
                   : error_set(err, ERROR_SYSTEM, "cannot write into '%s': %s", directory,
                               strerror(errno));
}

/* --- a batch on its way into the journal --- */

struct kept_note {
    uint32_t index;
    uint16_t kind;
    size_t length;
    uint8_t *bytes;
};

struct pending {
    struct batch *batch;
    uint64_t sequence; /* 0: not stored (yet) */
    struct kept_note *notes;
    size_t note_count;
};

struct batch {
    struct journal *journal;
    struct pending records[BATCH_RECORDS];
    size_t count;
    size_t bytes;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t answers;
};

/* On the committer's thread. */
static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct pending *pending = arg;
    struct batch *batch = pending->batch;
    (void)pthread_mutex_lock(&batch->lock);
    pending->sequence = outcome == JOURNAL_STORED ? sequence : 0;
    batch->answers++;
    (void)pthread_cond_signal(&batch->answered);
    (void)pthread_mutex_unlock(&batch->lock);
}

static int copy_notes(struct pending *pending, const struct journal_record *record,
                      struct error *err)
{
    pending->notes = calloc(record->note_count + 1, sizeof *pending->notes);
    if (!pending->notes)
        return error_set(err, ERROR_SYSTEM, "no memory for notes");
    for (size_t i = 0; i < record->note_count; i++) {
        const struct journal_note *from = &record->notes[i];
        struct kept_note *to = &pending->notes[i];
        *to = (struct kept_note){ from->index, from->kind, from->length, malloc(from->length + 1) };
        if (!to->bytes)
            return error_set(err, ERROR_SYSTEM, "no memory for notes");
        memcpy(to->bytes, from->bytes, from->length);
        pending->note_count++;
    }
    return 0;
}

/* Waits until all is answered for, writes the notes, empties the batch. */
static int finish_batch(struct batch *self, struct error *err)
{
    size_t lost = 0;
    (void)pthread_mutex_lock(&self->lock);
    while (self->answers < self->count)
        (void)pthread_cond_wait(&self->answered,
                                &self->lock); /* the journal answers every append */
    (void)pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->count; i++) {
        struct pending *pending = &self->records[i];
        lost += pending->sequence == 0;
        for (size_t n = 0; n < pending->note_count; n++) {
            const struct kept_note *note = &pending->notes[n];
            if (pending->sequence > 0)
                journal_note(self->journal, pending->sequence, note->index, note->kind, note->bytes,
                             note->length);
            free(note->bytes);
        }
        free(pending->notes);
    }
    self->count = 0;
    self->bytes = 0;
    self->answers = 0;
    if (lost > 0)
        return error_set(err, ERROR_SYSTEM, "the journal did not store %zu records", lost);
    return 0;
}

static int add(struct batch *self, const struct journal_record *record, struct error *err)
{
    struct pending *pending = &self->records[self->count];
    *pending = (struct pending){ .batch = self };
    int rc = copy_notes(pending, record, err);
    self->count++;
    if (rc == 0)
        rc = journal_append(self->journal, record->kind, record->body, record->body_bytes,
                            on_stored, pending, err);
    if (rc != 0) {
        struct error ignored = { 0 };
        (void)pthread_mutex_lock(&self->lock);
        self->answers++; /* nobody will answer for this one */
        (void)pthread_mutex_unlock(&self->lock);
        (void)finish_batch(self, &ignored);
        return rc;
    }
    self->bytes += record->body_bytes;
    bool is_full = self->count == BATCH_RECORDS || self->bytes >= BATCH_BYTES;
    return is_full ? finish_batch(self, err) : 0;
}

/* --- the files --- */

static void say_damage(const char *name, const struct archive_item *item)
{
    log_error("archive_damaged", KV("file", name), KV("first_sequence", item->first_sequence),
              KV("last_sequence", item->last_sequence), KV("reason", item->reason));
}

static int take(const struct archive_import *self, struct batch *batch,
                const struct journal_record *record, struct archive_import_counts *counts,
                struct error *err)
{
    if (record->stored_at_ms < self->since_ms || record->stored_at_ms > self->until_ms) {
        counts->passed++;
        return 0;
    }
    counts->records++;
    if (counts->records % PROGRESS_RECORDS == 0)
        log_info("archive_importing", KV("records", counts->records));
    return add(batch, record, err);
}

static int read_file(const struct archive_import *self, const char *name, struct batch *batch,
                     struct archive_import_counts *counts, struct error *err)
{
    char path[PATH_MAX];
    if (!make_path(path, self->directory, name))
        return error_set(err, ERROR_CONFIG, "the archive's directory has too long a name");
    AUTO(archive_close) struct archive_reader *reader = archive_open(path, self->keyring, err);
    if (!reader)
        return -1;
    counts->files++;
    for (;;) {
        struct archive_item item;
        if (archive_next(reader, &item, err) != 0)
            return -1;
        if (item.kind == ARCHIVE_END)
            return 0;
        if (item.kind == ARCHIVE_DAMAGED) {
            counts->damaged++;
            say_damage(name, &item);
        } else if (take(self, batch, &item.record, counts, err) != 0) {
            return -1;
        }
    }
}

static int is_archive(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > sizeof SUFFIX - 1 &&
           strcmp(entry->d_name + length - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static int read_files(const struct archive_import *self, struct batch *batch,
                      struct archive_import_counts *counts, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(self->directory, &entries, is_archive, alphasort);
    if (count <= 0) {
        free(entries);
        return error_set(err, ERROR_CONFIG, "no archive file (*%s) in '%s'%s%s", SUFFIX,
                         self->directory, count < 0 ? ": " : "", count < 0 ? strerror(errno) : "");
    }
    int rc = 0;
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = read_file(self, entries[i]->d_name, batch, counts, err);
        free(entries[i]);
    }
    free(entries);
    struct error late = { 0 };
    if (finish_batch(batch, &late) != 0 && rc == 0) {
        *err = late;
        rc = -1;
    }
    return rc;
}

int archive_import_run(const struct archive_import *self, struct journal *journal,
                       const char *directory, struct archive_import_counts *counts,
                       struct error *err)
{
    char path[PATH_MAX];
    *counts = (struct archive_import_counts){ 0 };
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return error_set(err, ERROR_SYSTEM, "no memory for an import");
    batch->journal = journal;
    (void)pthread_mutex_init(&batch->lock, NULL);
    (void)pthread_cond_init(&batch->answered, NULL);
    int rc = read_files(self, batch, counts, err);
    (void)pthread_cond_destroy(&batch->answered);
    (void)pthread_mutex_destroy(&batch->lock);
    free(batch);
    if (rc == 0 && (!make_path(path, directory, "importing") || unlink(path) != 0))
        rc = error_set(err, ERROR_SYSTEM, "cannot end the import in '%s': %s", directory,
                       strerror(errno));
    return rc;
}
