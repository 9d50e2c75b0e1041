#include "journal/journal.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/clock.h"
#include "journal/inside.h"
#include "log/log.h"

enum { HEARTBEAT_DEFAULT_MS = 5000 };

static void open_metrics(struct journal_metrics *out, struct metrics *metrics, const char *labels)
{
    *out = (struct journal_metrics){
        .appended_records = metrics_counter(metrics, "desg_journal_appended_records_total", labels,
                                            "Records on disk"),
        .appended_bytes = metrics_counter(metrics, "desg_journal_appended_bytes_total", labels,
                                          "Bytes of record bodies on disk"),
        .commits = metrics_counter(metrics, "desg_journal_commits_total", labels, "Synced commits"),
        .commit_seconds = metrics_histogram(metrics, "desg_journal_commit_seconds", labels,
                                            "Time to write and sync one group"),
        .group_records = metrics_gauge(metrics, "desg_journal_group_records", labels,
                                       "Records in the last group"),
        .failed_groups = metrics_counter(metrics, "desg_journal_failed_groups_total", labels,
                                         "Groups with a record that was refused or not written"),
        .dropped_notes = metrics_counter(metrics, "desg_journal_dropped_notes_total", labels,
                                         "Notes not written: full, failed or no such record"),
        .deleted_records = metrics_counter(metrics, "desg_journal_deleted_records_total", labels,
                                           "Released records deleted"),
        .damaged_records = metrics_counter(metrics, "desg_journal_damaged_records_total", labels,
                                           "Records or notes that failed their check"),
        .reopened = metrics_counter(metrics, "desg_journal_reopened_total", labels,
                                    "Times the file was reopened after a failed write"),
        .used_bytes = metrics_gauge(metrics, "desg_journal_used_bytes", labels,
                                    "Bytes of pages that hold data"),
        .max_bytes = metrics_gauge(metrics, "desg_journal_max_bytes", labels, "Size of the file"),
        .reusable_bytes = metrics_gauge(metrics, "desg_journal_reusable_bytes", labels,
                                        "Bytes of pages the next commit may use"),
        .state = metrics_gauge(metrics, "desg_journal_state", labels,
                               "0 roomy, 1 getting full, 2 full, 3 dead"),
        .oldest_sequence = metrics_gauge(metrics, "desg_journal_oldest_sequence", labels,
                                         "Oldest record kept; 0 if none"),
        .newest_sequence = metrics_gauge(metrics, "desg_journal_newest_sequence", labels,
                                         "Newest record on disk; 0 if none ever"),
        .archived_records = metrics_counter(metrics, "desg_journal_archived_records_total", labels,
                                            "Records written to archive files"),
        .deleted_unarchived =
            metrics_counter(metrics, "desg_journal_deleted_unarchived_total", labels,
                            "Records deleted without being archived, as configured"),
        .archive_failing = metrics_gauge(metrics, "desg_journal_archive_failing", labels,
                                         "1 while the archive does not take what is due"),
    };
}

/* ---- opening and closing ---- */

static int init_wake(struct journal *self)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return -1;
    int rc = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&self->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic); /* cannot fail on Linux */
    return rc == 0 ? 0 : -1;
}

/* The committer first: else a stream of readers would keep a broken file open. */
static int init_file_lock(struct journal *self)
{
    pthread_rwlockattr_t writer_first;
    if (pthread_rwlockattr_init(&writer_first) != 0)
        return -1;
    int rc =
        pthread_rwlockattr_setkind_np(&writer_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (rc == 0)
        rc = pthread_rwlock_init(&self->file_lock, &writer_first);
    (void)pthread_rwlockattr_destroy(&writer_first); /* cannot fail on Linux */
    return rc == 0 ? 0 : -1;
}

static int init_locks(struct journal *self)
{
    if (pthread_mutex_init(&self->mutex, NULL) != 0 || init_wake(self) != 0 ||
        init_file_lock(self) != 0)
        return -1;
    return readers_init(self);
}

static int start(struct journal *self, struct error *err)
{
    if (init_locks(self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot make the journal's locks");
    self->lock_fd = file_lock(self->directory, err);
    if (self->lock_fd < 0 ||
        file_open(&self->file, self->directory, self->options.max_bytes, err) != 0)
        return -1;
    struct ledger ledger = { 0 };
    if (file_begin_incarnation(&self->file, &ledger, err) != 0)
        return -1;
    self->source = ledger.source;
    self->released = ledger.released; /* from here on memory knows better than a file reopened */
    self->age = ledger.age;
    if (committer_adopt(self, &ledger, err) != 0)
        return -1;
    if (self->options.archive_directory) {
        self->archiver = archiver_start(self, err);
        if (!self->archiver)
            return -1;
    }
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* a signal is not to interrupt a sync */
    int rc = pthread_create(&self->committer, NULL, committer_run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the journal's committer: %s",
                         strerror(rc));
    (void)pthread_setname_np(self->committer, "committer");
    self->has_committer = true;
    return 0;
}

static void log_opened(struct journal *self)
{
    struct journal_stats stats;
    journal_stats(self, &stats);
    log_info("journal_opened", KV("directory", self->directory),
             KV("oldest_sequence", stats.oldest_sequence),
             KV("newest_sequence", stats.newest_sequence),
             KV("released_sequence", stats.released_sequence), KV("used_bytes", stats.used_bytes),
             KV("max_bytes", stats.max_bytes));
}

struct journal *journal_open(const struct journal_options *options, struct error *err)
{
    assert(options && options->directory && options->metrics && err);
    struct journal *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a journal");
        return NULL;
    }
    self->options = *options;
    self->lock_fd = -1;
    if (self->options.heartbeat_ms == 0)
        self->options.heartbeat_ms = HEARTBEAT_DEFAULT_MS;
    int n = snprintf(self->directory, sizeof self->directory, "%s", options->directory);
    open_metrics(&self->metrics, options->metrics,
                 options->metrics_labels ? options->metrics_labels : "");
    if (n < 0 || (size_t)n >= sizeof self->directory)
        (void)error_set(err, ERROR_CONFIG, "the journal directory's name is too long");
    else if (start(self, err) == 0) {
        log_opened(self);
        return self;
    }
    journal_close(&self);
    return NULL;
}

static void stop_committer(struct journal *self)
{
    pthread_mutex_lock(&self->mutex);
    self->is_closing = true;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->mutex);
    (void)pthread_join(self->committer, NULL); /* it is ours and joinable */
}

void journal_close(struct journal **self_p)
{
    struct journal *self = *self_p;
    if (!self)
        return;
    if (self->has_committer)
        stop_committer(self);
    archiver_stop(&self->archiver);
    if (self->measuring)
        mdb_txn_abort(self->measuring);
    readers_close(self);
    file_close(&self->file);
    if (self->lock_fd >= 0)
        (void)close(self->lock_fd); /* gives the lock back */
    gathering_clear(&self->waiting);
    ledger_clear(&self->ledger);
    (void)pthread_mutex_destroy(&self->mutex); /* nobody may hold any of these now */
    (void)pthread_cond_destroy(&self->wake);
    (void)pthread_rwlock_destroy(&self->file_lock);
    (void)pthread_mutex_destroy(&self->readers_mutex);
    (void)pthread_cond_destroy(&self->reader_freed);
    free(self);
    *self_p = NULL;
}

/* ---- who we are ---- */

struct id journal_source(const struct journal *self)
{
    return self->source;
}

uint64_t journal_incarnation(const struct journal *self)
{
    struct journal *unlocked = (struct journal *)self; /* the lock changes, nothing else */
    pthread_mutex_lock(&unlocked->mutex);
    uint64_t number = self->ledger.incarnations[self->ledger.incarnation_count - 1].number;
    pthread_mutex_unlock(&unlocked->mutex);
    return number;
}

bool journal_find_incarnation(struct journal *self, uint64_t incarnation, uint64_t *first_sequence,
                              uint64_t *last_sequence)
{
    bool is_found = false;
    pthread_mutex_lock(&self->mutex);
    const struct ledger *ledger = &self->ledger;
    for (size_t i = ledger->incarnation_count; i > 0 && !is_found; i--) {
        const struct incarnation *item = &ledger->incarnations[i - 1];
        is_found = item->number == incarnation && incarnation != 0;
        if (is_found) {
            *first_sequence = item->first_sequence;
            *last_sequence =
                (i == ledger->incarnation_count ? ledger->next_sequence : item[1].first_sequence) -
                1;
        }
    }
    pthread_mutex_unlock(&self->mutex);
    return is_found;
}

uint64_t journal_incarnation_of(struct journal *self, uint64_t sequence)
{
    uint64_t number = 0;
    pthread_mutex_lock(&self->mutex);
    const struct ledger *ledger = &self->ledger;
    if (sequence < ledger->next_sequence)
        for (size_t i = ledger->incarnation_count; i > 0 && number == 0; i--)
            if (ledger->incarnations[i - 1].first_sequence <= sequence)
                number = ledger->incarnations[i - 1].number;
    pthread_mutex_unlock(&self->mutex);
    return number;
}

/* ---- appending ---- */

/* Under mutex. One signal per group: a woken committer is not idle. */
static void wake_committer(struct journal *self)
{
    if (!self->is_idle)
        return;
    self->is_idle = false;
    pthread_cond_signal(&self->wake);
}

static int check_open(const struct journal *self, struct error *err)
{
    if (self->stats.state == JOURNAL_DEAD)
        return error_set(err, ERROR_UNAVAILABLE, "the journal failed twice and takes nothing more");
    if (self->is_closing)
        return error_set(err, ERROR_UNAVAILABLE, "the journal is closing");
    if (self->stats.state == JOURNAL_FULL)
        return error_set(err, ERROR_UNAVAILABLE, "the journal is full: raise size_mib or drain it");
    return 0;
}

int journal_append(struct journal *self, uint16_t kind, const void *body, size_t length,
                   journal_stored *done, void *arg, struct error *err)
{
    assert(self && kind != 0 && (body || length == 0));
    if (length > JOURNAL_RECORD_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "record of %zu bytes: the limit is %d", length,
                         JOURNAL_RECORD_MAX_BYTES);
    const struct append append = {
        .done = done, .arg = arg, .length = (uint32_t)length, .kind = kind
    };
    pthread_mutex_lock(&self->mutex);
    int rc = check_open(self, err);
    if (rc == 0)
        rc = gathering_append(&self->waiting, &append, body, err);
    if (rc == 0)
        wake_committer(self);
    pthread_mutex_unlock(&self->mutex);
    return rc;
}

void journal_note(struct journal *self, uint64_t sequence, uint32_t index, uint16_t kind,
                  const void *bytes, size_t length)
{
    assert(self && (bytes || length == 0));
    const struct waiting_note note = {
        .sequence = sequence, .index = index, .kind = kind, .length = (uint32_t)length
    };
    pthread_mutex_lock(&self->mutex);
    bool is_taken = sequence != 0 && length <= JOURNAL_NOTE_MAX_BYTES &&
                    check_open(self, NULL) == 0 &&
                    gathering_note(&self->waiting, &note, bytes, NULL) == 0;
    if (is_taken && self->waiting.head != self->waiting.tail)
        wake_committer(self); /* a whole group of notes waits */
    pthread_mutex_unlock(&self->mutex);
    if (!is_taken)
        counter_add(self->metrics.dropped_notes, 1);
}

void journal_release(struct journal *self, uint64_t sequence)
{
    pthread_mutex_lock(&self->mutex);
    if (sequence > self->stats.newest_sequence)
        sequence = self->stats.newest_sequence; /* what is not stored cannot be finished */
    if (sequence > self->released) {
        self->released = sequence;
        if (self->stats.state == JOURNAL_FULL || self->stats.state == JOURNAL_GETTING_FULL) {
            self->is_release_urgent = true;
            wake_committer(self);
        }
    }
    pthread_mutex_unlock(&self->mutex);
}

void journal_retain(struct journal *self, uint64_t sequence)
{
    pthread_mutex_lock(&self->mutex);
    if (sequence < self->released)
        self->released = sequence;
    pthread_mutex_unlock(&self->mutex);
}

void journal_deletion_due(struct journal *self)
{
    pthread_mutex_lock(&self->mutex);
    self->is_release_urgent = true;
    wake_committer(self);
    pthread_mutex_unlock(&self->mutex);
}

/* ---- damage ---- */

bool journal_is_damage(int rc)
{
    return rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_CURSOR_FULL;
}

static void jump_if_mine(struct escape *escape)
{
    if (escape->is_set && pthread_equal(escape->thread, pthread_self()))
        longjmp(escape->target, 1);
}

/* LMDB aborts the process when this returns: what it was doing cannot be left otherwise. */
static void on_assertion(MDB_env *env, const char *text)
{
    struct journal *self = mdb_env_get_userctx(env);
    log_error("journal_page_damaged", KV("directory", self->directory), KV("assertion", text));
    jump_if_mine(&self->escape);
    for (size_t i = 0; i < JOURNAL_READERS; i++)
        jump_if_mine(&self->readers[i].escape);
}

int journal_catch_assertions(struct journal *self)
{
    int rc = mdb_env_set_userctx(self->file.env, self);
    return rc == 0 ? mdb_env_set_assert(self->file.env, on_assertion) : rc;
}

void journal_report_damage(struct journal *self, uint64_t sequence, const char *what,
                           const char *reason)
{
    pthread_mutex_lock(&self->mutex);
    bool is_new = self->damaged_count < DAMAGE_REMEMBERED;
    for (size_t i = 0; i < self->damaged_count && is_new; i++)
        is_new = self->damaged[i] != sequence;
    if (is_new) {
        self->damaged[self->damaged_count++] = sequence;
        self->stats.damaged_records++;
    }
    pthread_mutex_unlock(&self->mutex);
    if (!is_new)
        return;
    counter_add(self->metrics.damaged_records, 1);
    log_error("journal_record_damaged", KV("directory", self->directory), KV("sequence", sequence),
              KV("what", what), KV("error", reason));
}

void journal_stats(struct journal *self, struct journal_stats *out)
{
    pthread_mutex_lock(&self->mutex);
    *out = self->stats;
    out->released_sequence = self->released;
    pthread_mutex_unlock(&self->mutex);
    if (self->archiver)
        archiver_stats(self->archiver, out);
}

const char *journal_state_name(enum journal_state state)
{
    static const char *const names[] = { [JOURNAL_ROOMY] = "roomy",
                                         [JOURNAL_GETTING_FULL] = "getting-full",
                                         [JOURNAL_FULL] = "full",
                                         [JOURNAL_DEAD] = "dead" };
    return names[state];
}

const char *journal_state_words(enum journal_state state)
{
    static const char *const words[] = {
        [JOURNAL_ROOMY] = "room enough",
        [JOURNAL_GETTING_FULL] = "getting full: finished records are deleted early",
        [JOURNAL_FULL] = "full: nothing new is taken until there is room",
        [JOURNAL_DEAD] = "dead: the disk failed twice, nothing new is taken",
    };
    return words[state];
}
