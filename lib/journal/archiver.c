#include "journal/archiver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "journal/archive_file.h"
#include "journal/archive_resume.h"
#include "journal/inside.h"
#include "journal/record.h"
#include "log/log.h"

enum {
    BATCH_RECORDS = 2048,
    BATCH_BYTES = 8 << 20,
    RETRY_MS = 1000,
    LATE_MS = 60 * 1000,
    FILE_AGE_MAX_MS = 24 * 3600 * 1000,
    FILE_DEFAULT_BYTES = 256 << 20,
};

/* Frames on their way to a file. */
struct batch {
    uint8_t *bytes;
    size_t used;
    size_t capacity;
    size_t records;
    uint64_t last_sequence;
};

struct archiver {
    /* Fixed while the thread runs. */
    struct journal *journal;
    int directory_fd;
    uint64_t file_max_bytes;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool is_closing;
    bool is_broken; /* the last attempt failed */
    bool is_late_told;
    uint64_t wanted;
    uint64_t archived;
    int64_t progress_ms; /* monotonic: when something was last archived, or nothing was wanted */

    /* The thread's alone. */
    bool is_resumed; /* it knows what an earlier process archived */
    int64_t retry_ms;
    struct archive_file file;
    struct batch batch;
};

/* ---- from the journal ---- */

static int batch_grow(struct batch *batch, size_t more)
{
    if (batch->capacity - batch->used >= more)
        return 0;
    size_t capacity =
        2 * batch->capacity > batch->used + more ? 2 * batch->capacity : batch->used + more;
    uint8_t *grown = realloc(batch->bytes, capacity);
    if (!grown)
        return ENOMEM;
    batch->bytes = grown;
    batch->capacity = capacity;
    return 0;
}

static int batch_add(struct batch *batch, const MDB_val *value)
{
    int rc = batch_grow(batch, value->mv_size);
    if (rc == 0 && value->mv_size > 0) {
        memcpy(batch->bytes + batch->used, value->mv_data, value->mv_size);
        batch->used += value->mv_size;
    }
    return rc;
}

static int batch_begin(struct batch *batch, size_t *head)
{
    *head = batch->used;
    int rc = batch_grow(batch, ARCHIVE_FRAME_BYTES);
    if (rc == 0)
        batch->used += ARCHIVE_FRAME_BYTES;
    return rc;
}

static void batch_end(struct batch *batch, size_t head, enum archive_frame_kind kind,
                      uint64_t sequence, uint64_t file)
{
    const struct archive_frame frame = { .kind = kind,
                                         .file = file,
                                         .sequence = sequence,
                                         .length = batch->used - head - ARCHIVE_FRAME_BYTES };
    archive_frame_seal(&frame, batch->bytes + head);
}

/* One record, its parts joined; the cursor ends on the next one. An LMDB result. */
static int copy_record(struct archiver *self, MDB_cursor *cursor, uint64_t sequence, MDB_val *key,
                       MDB_val *value)
{
    struct batch *batch = &self->batch;
    enum archive_frame_kind kind = ARCHIVE_FRAME_RECORD;
    size_t head = 0;
    int rc = batch_begin(batch, &head);
    while (rc == 0 && record_key_sequence(key->mv_data) == sequence) {
        if (value->mv_size > RECORD_PART_BYTES ||
            batch->used - head + value->mv_size > ARCHIVE_PAYLOAD_MAX_BYTES)
            kind = ARCHIVE_FRAME_LOST; /* a damaged page: such a length cannot be */
        else
            rc = batch_add(batch, value);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (kind == ARCHIVE_FRAME_LOST)
        batch->used = head + ARCHIVE_FRAME_BYTES;
    batch_end(batch, head, kind, sequence, self->file.header.file);
    return rc;
}

static int copy_notes(struct archiver *self, MDB_cursor *cursor, uint64_t sequence)
{
    struct batch *batch = &self->batch;
    uint8_t bytes[NOTE_KEY_BYTES];
    note_key(sequence, 0, 0, bytes);
    MDB_val key = { sizeof bytes, bytes };
    MDB_val value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && record_key_sequence(key.mv_data) == sequence) {
        size_t head = 0;
        if (value.mv_size <= NOTE_HEADER_BYTES + JOURNAL_NOTE_MAX_BYTES + SEAL_OVERHEAD_BYTES) {
            rc = batch_begin(batch, &head);
            if (rc == 0)
                rc = batch_add(batch, &value);
            if (rc != 0)
                return rc;
            batch_end(batch, head, ARCHIVE_FRAME_NOTE, sequence, self->file.header.file);
        }
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Records from..through into the batch, as many as it takes. An LMDB result. */
static int copy_records(struct archiver *self, struct reader *reader, uint64_t from,
                        uint64_t through)
{
    struct batch *batch = &self->batch;
    uint8_t bytes[RECORD_KEY_BYTES];
    record_key(from, bytes);
    MDB_val key = { sizeof bytes, bytes };
    MDB_val value;
    int rc = mdb_cursor_get(reader->records, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && batch->records < BATCH_RECORDS && batch->used < BATCH_BYTES) {
        uint64_t sequence = record_key_sequence(key.mv_data);
        if (sequence > through)
            break;
        rc = copy_record(self, reader->records, sequence, &key, &value);
        bool is_last = rc == MDB_NOTFOUND;
        if (rc != 0 && !is_last)
            return rc;
        rc = copy_notes(self, reader->notes, sequence);
        batch->records++;
        batch->last_sequence = sequence;
        if (rc == 0 && is_last)
            rc = MDB_NOTFOUND;
    }
    if (rc == MDB_NOTFOUND || (rc == 0 && record_key_sequence(key.mv_data) > through))
        batch->last_sequence = through; /* there is no more below it */
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* As copy_records, but an assertion of LMDB's is MDB_CORRUPTED. */
static int copy_guarded(struct archiver *self, struct reader *reader, uint64_t from,
                        uint64_t through)
{
    struct escape *escape = &reader->escape;
    escape->thread = pthread_self();
    if (setjmp(escape->target) != 0) { /* NOLINT(cert-err52-cpp): the only way out of LMDB */
        escape->is_set = false;
        return MDB_CORRUPTED;
    }
    escape->is_set = true;
    int rc = copy_records(self, reader, from, through);
    escape->is_set = false;
    return rc;
}

static int fill_batch(struct archiver *self, uint64_t from, uint64_t through, struct error *err)
{
    struct journal *journal = self->journal;
    self->batch.used = 0;
    self->batch.records = 0;
    self->batch.last_sequence = from - 1;
    pthread_rwlock_rdlock(&journal->file_lock);
    int rc = EIO; /* closed after a failed write */
    if (journal->file.env) {
        struct reader *reader = reader_take(journal);
        rc = reader_begin(journal, reader);
        if (rc == 0)
            rc = copy_guarded(self, reader, from, through);
        if (rc != 0)
            reader_close(reader); /* after an error LMDB refuses the transaction anyway */
        reader_end(journal, reader);
        reader_give_back(journal, reader);
    }
    pthread_rwlock_unlock(&journal->file_lock);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot read the journal: %s", mdb_strerror(rc));
    return 0;
}

/* ---- to the archive ---- */

static bool is_same_record(void *journal, uint64_t sequence, uint64_t incarnation)
{
    return journal_incarnation_of(journal, sequence) == incarnation && incarnation != 0;
}

/* What an earlier process archived and had no time to delete need not be written again. */
static int resume(struct archiver *self, uint64_t *archived, struct error *err)
{
    struct archive_claim claim = { .source = journal_source(self->journal),
                                   .archived = *archived,
                                   .is_same = is_same_record,
                                   .arg = self->journal };
    if (self->is_resumed)
        return 0;
    if (archive_resume(self->directory_fd, &claim, err) != 0)
        return -1;
    self->is_resumed = true;
    *archived = claim.archived;
    return 0;
}

/* Frames carry the number of their file, so it is chosen before they are made. */
static void choose_file(struct archiver *self, uint64_t first_sequence)
{
    if (self->file.fd >= 0)
        return;
    struct archive_header *header = &self->file.header;
    *header = (struct archive_header){
        .version = ARCHIVE_VERSION,
        .source = journal_source(self->journal),
        .first_sequence = first_sequence,
        .incarnation = journal_incarnation(self->journal),
        .created_unix_ms = clock_unix_ms(),
    };
    crypto_random(&header->file, sizeof header->file);
}

static int write_batch(struct archiver *self, struct error *err)
{
    const struct batch *batch = &self->batch;
    if (batch->records == 0)
        return 0;
    const struct archive_header header = self->file.header;
    if (self->file.fd < 0 &&
        archive_file_create(&self->file, self->directory_fd, &header, err) != 0)
        return -1;
    if (archive_file_append(&self->file, batch->bytes, batch->used, batch->last_sequence, err) !=
        0) {
        archive_file_drop(&self->file);
        return -1;
    }
    counter_add(self->journal->metrics.archived_records, batch->records);
    if (self->file.confirmed_bytes >= self->file_max_bytes)
        archive_file_finish(&self->file);
    return 0;
}

/* Archives the next records behind *archived. */
static int archive_some(struct archiver *self, uint64_t *archived, uint64_t through,
                        struct error *err)
{
    if (resume(self, archived, err) != 0)
        return -1;
    if (*archived >= through)
        return 0;
    choose_file(self, *archived + 1);
    if (fill_batch(self, *archived + 1, through, err) != 0 || write_batch(self, err) != 0)
        return -1;
    *archived = self->batch.last_sequence;
    return 0;
}

/* ---- the thread ---- */

static void tell_result(struct archiver *self, bool was_broken, const struct error *err)
{
    const char *directory = self->journal->options.archive_directory;
    bool is_broken = err->kind != ERROR_NONE;
    if (is_broken && !was_broken)
        log_error("journal_archive_failed", KV("directory", directory), KV("error", err->text),
                  KV("remedy", "nothing is deleted until the archive can be written again"));
    if (!is_broken && was_broken)
        log_info("journal_archive_resumed", KV("directory", directory));
}

/* Under mutex, which it gives up meanwhile. */
static void run_once(struct archiver *self)
{
    struct error err = { 0 };
    uint64_t before = self->archived;
    uint64_t archived = before;
    uint64_t through = self->wanted;
    bool was_broken = self->is_broken;
    pthread_mutex_unlock(&self->mutex);
    int rc = archive_some(self, &archived, through, &err);
    tell_result(self, was_broken, &err);
    pthread_mutex_lock(&self->mutex);
    if (archived > self->archived)
        self->archived = archived;
    if (archived > before)
        journal_deletion_due(self->journal);
    int64_t now_ms = clock_monotonic_ms();
    self->is_broken = rc != 0;
    self->retry_ms = rc != 0 ? now_ms + RETRY_MS : 0;
    if (rc == 0)
        self->progress_ms = now_ms;
}

/* When there is something to do again, if nobody wakes us. */
static int64_t due_ms(const struct archiver *self, int64_t now_ms)
{
    if (self->archived < self->wanted)
        return self->retry_ms;
    return self->file.fd >= 0 ? self->file.opened_ms + FILE_AGE_MAX_MS : now_ms + FILE_AGE_MAX_MS;
}

static void *archiver_run(void *archiver)
{
    struct archiver *self = archiver;
    pthread_mutex_lock(&self->mutex);
    while (!self->is_closing) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t at_ms = due_ms(self, now_ms);
        if (at_ms > now_ms) {
            struct timespec at = { .tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000 };
            (void)pthread_cond_timedwait(&self->wake, &self->mutex, &at); /* it looks again */
        } else if (self->archived < self->wanted) {
            run_once(self);
        } else {
            pthread_mutex_unlock(&self->mutex);
            archive_file_finish(&self->file); /* old enough */
            pthread_mutex_lock(&self->mutex);
        }
    }
    pthread_mutex_unlock(&self->mutex);
    archive_file_finish(&self->file);
    return NULL;
}

/* ---- starting and stopping ---- */

static int init_locks(struct archiver *self)
{
    pthread_condattr_t monotonic;
    if (pthread_mutex_init(&self->mutex, NULL) != 0 || pthread_condattr_init(&monotonic) != 0)
        return -1;
    int rc = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&self->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic); /* cannot fail on Linux */
    return rc == 0 ? 0 : -1;
}

static int start_thread(struct archiver *self, struct error *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    int rc = pthread_create(&self->thread, NULL, archiver_run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the journal's archiver: %s",
                         strerror(rc));
    (void)pthread_setname_np(self->thread, "archiver");
    self->has_thread = true;
    return 0;
}

static int open_directory(struct archiver *self, struct error *err)
{
    const char *directory = self->journal->options.archive_directory;
    self->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->directory_fd < 0 || faccessat(self->directory_fd, ".", W_OK | X_OK, 0) != 0)
        return error_set(err, ERROR_CONFIG, "archive directory '%s' cannot be written: %s",
                         directory, strerror(errno));
    return 0;
}

static int start(struct archiver *self, struct error *err)
{
    if (init_locks(self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot make the archiver's locks");
    if (open_directory(self, err) != 0)
        return -1;
    const struct journal_stats *stats = &self->journal->stats; /* the committer does not run yet */
    self->archived = stats->oldest_sequence ? stats->oldest_sequence - 1 : stats->newest_sequence;
    self->wanted = self->archived;
    return start_thread(self, err);
}

struct archiver *archiver_start(struct journal *journal, struct error *err)
{
    struct archiver *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a journal's archive");
        return NULL;
    }
    self->journal = journal;
    self->directory_fd = -1;
    self->file.fd = -1;
    self->file_max_bytes = journal->options.archive_file_max_bytes;
    if (self->file_max_bytes == 0)
        self->file_max_bytes = FILE_DEFAULT_BYTES;
    if (start(self, err) != 0)
        archiver_stop(&self);
    return self;
}

void archiver_stop(struct archiver **self_p)
{
    struct archiver *self = *self_p;
    if (!self)
        return;
    if (self->has_thread) {
        pthread_mutex_lock(&self->mutex);
        self->is_closing = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->mutex);
        (void)pthread_join(self->thread, NULL); /* it is ours and joinable */
    }
    if (self->directory_fd >= 0)
        (void)close(self->directory_fd);
    free(self->batch.bytes);
    (void)pthread_mutex_destroy(&self->mutex); /* nobody may hold it now */
    (void)pthread_cond_destroy(&self->wake);
    free(self);
    *self_p = NULL;
}

/* ---- what the committer says and asks ---- */

/* Under mutex. */
static bool is_failing(const struct archiver *self)
{
    return self->is_broken ||
           (self->archived < self->wanted && clock_monotonic_ms() - self->progress_ms > LATE_MS);
}

uint64_t archiver_want(struct archiver *self, uint64_t through)
{
    pthread_mutex_lock(&self->mutex);
    if (self->archived >= self->wanted && through > self->archived) {
        self->progress_ms = clock_monotonic_ms();
        pthread_cond_signal(&self->wake);
    }
    uint64_t archived = self->archived;
    self->wanted = through > archived ? through : archived;
    bool is_late = is_failing(self) && !self->is_broken;
    bool is_news = is_late && !self->is_late_told;
    self->is_late_told = is_late;
    gauge_set(self->journal->metrics.archive_failing, is_failing(self));
    pthread_mutex_unlock(&self->mutex);
    if (is_news)
        log_error("journal_archive_late", KV("directory", self->journal->options.archive_directory),
                  KV("archived_sequence", archived), KV("wanted_sequence", through));
    return archived;
}

uint64_t archiver_pass_over(struct archiver *self, uint64_t last)
{
    pthread_mutex_lock(&self->mutex);
    uint64_t count = last > self->archived ? last - self->archived : 0;
    self->archived += count;
    pthread_mutex_unlock(&self->mutex);
    return count;
}

bool archiver_is_failing(struct archiver *self)
{
    pthread_mutex_lock(&self->mutex);
    bool answer = is_failing(self);
    pthread_mutex_unlock(&self->mutex);
    return answer;
}

void archiver_stats(struct archiver *self, struct journal_stats *out)
{
    pthread_mutex_lock(&self->mutex);
    out->has_archive = true;
    out->archived_sequence = self->archived;
    out->is_archive_failing = is_failing(self);
    pthread_mutex_unlock(&self->mutex);
}
