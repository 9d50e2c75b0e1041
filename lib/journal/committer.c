#include <time.h>

#include "clock/clock.h"
#include "journal/commit.h"
#include "journal/inside.h"
#include "journal/record.h"
#include "log/log.h"

enum {
    HEARTBEAT_DEFAULT_MS = 5000,
    FULL_RETRY_MS = 1000,    /* how often a full journal looks again by itself */
    DELETION_PAUSE_MS = 100, /* between deletions when there is room: appends come first */
    FAILURE_WINDOW_MS = 60 * 1000,
    DISK_CHECK_MS = 1000,
};

/* ---- what is known afterwards ---- */

static void publish_metrics(const struct journal_metrics *metrics,
                            const struct journal_stats *stats)
{
    gauge_set(metrics->used_bytes, (int64_t)stats->used_bytes);
    gauge_set(metrics->max_bytes, (int64_t)stats->max_bytes);
    gauge_set(metrics->reusable_bytes, (int64_t)stats->reusable_bytes);
    gauge_set(metrics->state, stats->state);
    gauge_set(metrics->oldest_sequence, (int64_t)stats->oldest_sequence);
    gauge_set(metrics->newest_sequence, (int64_t)stats->newest_sequence);
}

static void log_state(const struct journal *self, enum journal_state was)
{
    static const enum log_level levels[] = { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR,
                                             LOG_LEVEL_ERROR };
    const struct journal_stats *stats = &self->stats;
    log_write(
        levels[stats->state], "journal_state_changed",
        LOG_FIELDS(KV("directory", self->directory), KV("from", journal_state_name(was)),
                   KV("to", journal_state_name(stats->state)), KV("used_bytes", stats->used_bytes),
                   KV("reusable_bytes", stats->reusable_bytes), KV("max_bytes", stats->max_bytes),
                   KV("disk_free_bytes", stats->disk_free_bytes)));
}

/* Fills space; what cannot be measured stays as it was. An LMDB result. */
static int measure(struct journal *self, struct space *space)
{
    *space = (struct space){
        .max_bytes = self->stats.max_bytes,
        .used_bytes = self->stats.used_bytes,
        .reusable_bytes = self->stats.reusable_bytes,
        .disk_free_bytes = self->stats.disk_free_bytes,
        .span_bytes = self->span_bytes,
    };
    int rc = self->measuring ? mdb_txn_renew(self->measuring)
                             : mdb_txn_begin(self->file.env, NULL, MDB_RDONLY, &self->measuring);
    if (rc != 0)
        return rc;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - self->disk_checked_ms >= DISK_CHECK_MS || self->disk_checked_ms == 0) {
        self->disk_checked_ms = now_ms;
        self->foreign_txn = readers_foreign(self);
        space->disk_free_bytes = space_on_disk(self->directory);
    }
    uint64_t own_txn = readers_oldest(self);
    uint64_t oldest_txn = own_txn < self->foreign_txn ? own_txn : self->foreign_txn;
    rc = space_measure(&self->file, self->measuring, oldest_txn, space);
    mdb_txn_reset(self->measuring);
    if (rc != 0)
        return rc;
    if (!self->file.is_allocated && space->disk_free_bytes < space->reusable_bytes)
        space->reusable_bytes = space->disk_free_bytes;
    return 0;
}

/* Sequences and room change together: who sees a commit's records sees its room
 * too. commit NULL: only room. Only the committer changes stats, so it may read
 * them without the lock. */
static void publish(struct journal *self, const struct commit *commit, const struct space *space)
{
    struct journal_stats *stats = &self->stats;
    enum journal_state was = stats->state;
    enum journal_state state = self->is_out_of_space ? JOURNAL_FULL : space_state(space, was);
    pthread_mutex_lock(&self->mutex);
    if (commit) {
        uint64_t oldest = commit->deleted.oldest_sequence;
        stats->oldest_sequence = oldest;
        stats->newest_sequence = commit->next_sequence - 1;
        stats->records = oldest ? commit->next_sequence - oldest : 0;
        stats->last_commit_unix_ms = clock_unix_ms();
        self->ledger.next_sequence = commit->next_sequence;
        self->ledger.released = commit->released;
    }
    stats->state = state;
    stats->used_bytes = space->used_bytes;
    stats->max_bytes = space->max_bytes;
    stats->reusable_bytes = space->reusable_bytes;
    stats->disk_free_bytes = space->disk_free_bytes;
    pthread_mutex_unlock(&self->mutex);
    self->span_bytes = space->span_bytes;
    publish_metrics(&self->metrics, stats);
    if (state != was)
        log_state(self, was);
}

static int first_sequence(const struct file *file, MDB_txn *txn, uint64_t *oldest)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(txn, file->records, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    *oldest = rc == 0 ? record_key_sequence(key.mv_data) : 0;
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int committer_adopt(struct journal *self, struct ledger *ledger, struct error *err)
{
    struct commit commit = { .next_sequence = ledger->next_sequence, .released = ledger->released };
    struct space space;
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(self->file.env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = first_sequence(&self->file, txn, &commit.deleted.oldest_sequence);
        mdb_txn_abort(txn);
    }
    if (journal_is_damage(rc)) { /* the first page: what is not released may still
                                    be behind it */
        uint64_t first = ledger->released + 1;
        commit.deleted.oldest_sequence = first < ledger->next_sequence ? first : 0;
        rc = 0;
    }
    if (rc == 0)
        rc = journal_catch_assertions(self);
    if (rc == 0)
        rc = measure(self, &space);
    if (rc != 0) {
        ledger_clear(ledger);
        return error_set(err, ERROR_SYSTEM, "cannot read journal '%s': %s", self->directory,
                         mdb_strerror(rc));
    }
    pthread_mutex_lock(&self->mutex);
    ledger_clear(&self->ledger);
    self->ledger = *ledger;
    *ledger = (struct ledger){ 0 };
    pthread_mutex_unlock(&self->mutex);
    publish(self, &commit, &space);
    ahead_begin(&self->ahead, &self->file);
    return 0;
}

/* ---- what may be deleted ---- */

/* Full, and the archive takes nothing: whether to go on without it is the
 * operator's choice, made beforehand. Until there is room again, or the archive
 * is back. */
static bool is_past_archive(const struct journal *self)
{
    if (!self->options.may_delete_unarchived || !archiver_is_failing(self->archiver))
        return false;
    return self->stats.state == JOURNAL_FULL ||
           (self->is_past_archive && self->stats.state != JOURNAL_ROOMY);
}

/* The last sequence that may be deleted now; asks the archive for what it still
 * lacks. */
static uint64_t deletable_through(struct journal *self, uint64_t released)
{
    uint64_t through = released;
    if (self->stats.state == JOURNAL_ROOMY) {
        uint64_t old = age_old_through(&self->age, self->options.retention_ms);
        through = old < through ? old : through;
    }
    if (!self->archiver)
        return through;
    uint64_t archived = archiver_want(self->archiver, through);
    self->is_past_archive = is_past_archive(self);
    return self->is_past_archive || through < archived ? through : archived;
}

static void tell_unarchived(struct journal *self, const struct commit *commit)
{
    if (!self->archiver || commit->deleted.records == 0)
        return;
    uint64_t oldest = commit->deleted.oldest_sequence;
    uint64_t last = oldest ? oldest - 1 : commit->next_sequence - 1;
    uint64_t lost = archiver_pass_over(self->archiver, last);
    if (lost == 0)
        return;
    counter_add(self->metrics.deleted_unarchived, lost);
    log_error("journal_deleted_unarchived", KV("directory", self->directory), KV("records", lost),
              KV("last_sequence", last));
}

/* ---- answers ---- */

/* Called committed first: who is answered may ask at once whether anything is held here. */
static void tell_committed(struct journal *self, const struct group *group)
{
    uint64_t last = 0;
    for (size_t i = 0; i < group->append_count; i++) {
        if (group->appends[i].sequence != 0)
            last = group->appends[i].sequence;
    }
    if (last != 0 && self->options.committed)
        self->options.committed(self->options.committed_arg, last);
}

static void answer(struct journal *self, const struct group *group, bool is_stored)
{
    if (is_stored)
        tell_committed(self, group);
    for (size_t i = 0; i < group->append_count; i++) {
        const struct append *append = &group->appends[i];
        bool is_kept = is_stored && append->sequence != 0;
        if (append->done)
            append->done(append->arg, is_kept ? JOURNAL_STORED : JOURNAL_FAILED,
                         is_kept ? append->sequence : 0);
    }
}

static void fail_group(struct journal *self, const struct group *group)
{
    if (!group)
        return;
    counter_add(self->metrics.failed_groups, 1);
    counter_add(self->metrics.dropped_notes, group->note_count);
    answer(self, group, false);
}

static void fail_waiting(struct journal *self)
{
    for (;;) {
        pthread_mutex_lock(&self->mutex);
        struct group *group = gathering_take(&self->waiting);
        pthread_mutex_unlock(&self->mutex);
        if (!group)
            return;
        fail_group(self, group);
        pthread_mutex_lock(&self->mutex);
        gathering_give_back(&self->waiting, &group);
        pthread_mutex_unlock(&self->mutex);
    }
}

/* ---- failures ---- */

static void die(struct journal *self, const char *reason)
{
    log_error("journal_died", KV("directory", self->directory), KV("error", reason),
              KV("remedy", "the process must exit; check the disk before starting it again"));
    pthread_mutex_lock(&self->mutex);
    self->stats.state = JOURNAL_DEAD;
    pthread_mutex_unlock(&self->mutex);
    gauge_set(self->metrics.state, JOURNAL_DEAD);
    fail_waiting(self);
}

static void close_file(struct journal *self)
{
    if (self->measuring)
        mdb_txn_abort(self->measuring);
    self->measuring = NULL;
    readers_close(self);
    file_close(&self->file);
}

/* Called with file_lock held alone. */
static int reopen(struct journal *self, struct error *err)
{
    uint64_t confirmed = self->stats.newest_sequence;
    struct ledger ledger = { 0 };
    close_file(self);
    if (file_open(&self->file, self->directory, self->options.max_bytes, err) != 0 ||
        file_begin_incarnation(&self->file, &ledger, err) != 0)
        return -1;
    if (ledger.next_sequence <= confirmed) {
        ledger_clear(&ledger);
        return error_set(err, ERROR_SYSTEM, "records that the disk had confirmed are gone");
    }
    return committer_adopt(self, &ledger, err);
}

/* Returns whether the file is open again, under a new incarnation; else it
 * stays closed. */
static bool is_reopened(struct journal *self, struct error *err)
{
    pthread_rwlock_wrlock(&self->file_lock);
    int rc = reopen(self, err);
    if (rc != 0)
        close_file(self);
    pthread_rwlock_unlock(&self->file_lock);
    if (rc != 0)
        return false;
    counter_add(self->metrics.reopened, 1);
    log_warn("journal_reopened", KV("directory", self->directory),
             KV("newest_sequence", self->stats.newest_sequence));
    return true;
}

/* A disk without room fails writes to a meta page too, and LMDB gives up its
 * environment then. That is full, not broken: the file stays closed, and each
 * second is looked at again. */
static void stay_closed(struct journal *self)
{
    enum journal_state was = self->stats.state;
    self->is_out_of_space = true;
    self->is_disk_blamed = true;
    self->ahead.is_off = true; /* until it is open again */
    pthread_mutex_lock(&self->mutex);
    self->stats.state = JOURNAL_FULL;
    pthread_mutex_unlock(&self->mutex);
    gauge_set(self->metrics.state, JOURNAL_FULL);
    if (was != JOURNAL_FULL)
        log_state(self, was);
}

/* Opens a file that had to stay closed. Returns false if it still has to. */
static bool is_open_again(struct journal *self)
{
    struct error err = { 0 };
    bool is_full = space_is_disk_full(self->directory);
    bool is_open = is_reopened(self, &err);
    if (!is_open && !is_full)
        die(self, err.text);
    return is_open;
}

/* The handle is never used again, whatever the error: after a failed sync
 * nobody knows what the disk holds, and a second sync would say "fine" without
 * having written anything. */
static void recover(struct journal *self, int rc)
{
    int64_t now_ms = clock_monotonic_ms();
    bool is_full = space_is_disk_full(self->directory);
    bool is_again = self->failed_at_ms != 0 && now_ms - self->failed_at_ms < FAILURE_WINDOW_MS;
    if (!is_full)
        self->failed_at_ms = now_ms;
    log_error("journal_write_failed", KV("directory", self->directory),
              KV("error", mdb_strerror(rc)), KV("newest_sequence", self->stats.newest_sequence));
    if (is_again && !is_full) {
        die(self, "second failed write within a minute");
        return;
    }
    struct error err = { 0 };
    if (is_reopened(self, &err))
        return;
    if (is_full)
        stay_closed(self);
    else
        die(self, err.text);
}

static void run_full(struct journal *self, int rc)
{
    if (!self->is_out_of_space)
        log_error("journal_write_refused", KV("directory", self->directory),
                  KV("error", mdb_strerror(rc)),
                  KV("disk_free_bytes", space_on_disk(self->directory)));
    self->is_out_of_space = true;
    self->is_disk_blamed = rc != MDB_MAP_FULL;
    self->is_settling = true;
    self->disk_checked_ms = 0;
    struct space space;
    int measured = measure(self, &space);
    publish(self, NULL, &space);
    if (measured != 0)
        recover(self, measured);
}

/* ---- one commit ---- */

static void prepare(struct journal *self, struct commit *commit)
{
    uint64_t reserve_bytes = space_reserve_bytes(self->stats.max_bytes);
    bool has_room = self->stats.state != JOURNAL_FULL && self->stats.reusable_bytes > reserve_bytes;
    pthread_mutex_lock(&self->mutex);
    *commit = (struct commit){
        .now_ms = clock_unix_ms(),
        .next_sequence = self->ledger.next_sequence,
        .released = self->released,
        .budget_bytes = has_room ? self->stats.reusable_bytes - reserve_bytes : 0,
    };
    pthread_mutex_unlock(&self->mutex);
    age_tick(&self->age, clock_monotonic_ms());
    age_mark(&self->age, commit->next_sequence, self->options.retention_ms);
    commit->deletable = deletable_through(self, commit->released);
}

static void count_commit(struct journal *self, const struct group *group,
                         const struct commit *commit, int64_t began_us)
{
    const struct journal_metrics *metrics = &self->metrics;
    histogram_observe(metrics->commit_seconds, (double)(clock_monotonic_us() - began_us) / 1e6);
    counter_add(metrics->commits, 1);
    counter_add(metrics->appended_records, commit->records);
    counter_add(metrics->appended_bytes, commit->bytes);
    counter_add(metrics->deleted_records, commit->deleted.records);
    counter_add(metrics->dropped_notes, commit->dropped_notes);
    if (group && group->append_count > 0)
        gauge_set(metrics->group_records, (int64_t)commit->records);
    if (group && commit->records < group->append_count)
        counter_add(metrics->failed_groups, 1);
}

static void finish_commit(struct journal *self, const struct group *group,
                          const struct commit *commit)
{
    self->is_out_of_space =
        self->is_out_of_space && self->is_disk_blamed && space_is_disk_full(self->directory);
    if (age_is_save_due(&self->age))
        age_saved(&self->age); /* it was part of the commit */
    tell_unarchived(self, commit);
    self->is_settling = commit->deleted.records > 0;
    self->is_more_deletable = commit->deleted.is_more;
    struct space space;
    int rc = measure(self, &space);
    publish(self, commit, &space);
    if (group)
        answer(self, group, true); /* it is on disk, whatever measuring said */
    if (rc != 0)
        recover(self, rc);
}

/* group NULL: a heartbeat, with whatever can be deleted. */
static void commit_group(struct journal *self, struct group *group)
{
    if (!self->file.env && !is_open_again(self)) {
        fail_group(self, group);
        return;
    }
    struct commit commit;
    prepare(self, &commit);
    int64_t began_us = clock_monotonic_us();
    int rc = commit_write(self, group, &commit);
    if (rc == 0) {
        count_commit(self, group, &commit, began_us);
        finish_commit(self, group, &commit);
        return;
    }
    fail_group(self, group);
    if (space_is_exhausted(rc, self->directory))
        run_full(self, rc);
    else
        recover(self, rc);
}

/* When room is short, deletions must keep up with appends: a group may append
 * more than one commit may delete. */
static void delete_as_many(struct journal *self, size_t appended)
{
    size_t commits = appended / RETENTION_MAX_RECORDS;
    while (commits-- > 0 && self->is_more_deletable && self->stats.state == JOURNAL_GETTING_FULL)
        commit_group(self, NULL);
}

/* When to commit without being woken. */
static int64_t next_due_ms(const struct journal *self)
{
    int64_t pause_ms = self->options.heartbeat_ms;
    bool is_short = self->stats.state != JOURNAL_ROOMY;
    if (self->is_out_of_space)
        pause_ms = pause_ms < FULL_RETRY_MS ? pause_ms : FULL_RETRY_MS;
    else if (is_short && (self->is_more_deletable || self->is_settling))
        pause_ms = 0; /* freed pages are usable after one more commit */
    else if (self->is_more_deletable)
        pause_ms = pause_ms < DELETION_PAUSE_MS ? pause_ms : DELETION_PAUSE_MS;
    return clock_monotonic_ms() + pause_ms;
}

/* ---- the thread ---- */

static bool is_ready(const struct journal *self, int64_t now_ms)
{
    const struct group *head = self->waiting.head;
    if (!head)
        return false;
    /* Notes alone wait for the heartbeat or for a whole group of them. */
    return head->append_count > 0 || head != self->waiting.tail || self->is_closing ||
           now_ms >= self->due_ms || self->is_release_urgent;
}

static void wait_until(struct journal *self, int64_t due_ms)
{
    struct timespec at = { .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000 };
    self->is_idle = true;
    (void)pthread_cond_timedwait(&self->wake, &self->mutex, &at); /* the caller looks again */
    self->is_idle = false;
}

static void write_ahead(struct journal *self)
{
    int rc = ahead_step(&self->ahead, &self->file, self->span_bytes);
    if (rc == 0)
        return;
    if (space_is_exhausted(rc, self->directory))
        self->ahead.is_off = true; /* it only saves time */
    else
        recover(self, rc);
}

/* Waits for work. Returns false when closing and nothing waits; *group_p stays
 * NULL for a heartbeat. */
static bool await_work(struct journal *self, struct group **group_p)
{
    bool is_working = true;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();
        if (is_ready(self, now_ms)) {
            *group_p = gathering_take(&self->waiting);
            break;
        }
        is_working = !self->is_closing;
        if (!is_working || now_ms >= self->due_ms || self->is_release_urgent)
            break;
        if (!ahead_is_due(&self->ahead, self->span_bytes)) {
            wait_until(self, self->due_ms);
            continue;
        }
        pthread_mutex_unlock(&self->mutex);
        write_ahead(self);
        pthread_mutex_lock(&self->mutex);
        is_working = self->stats.state != JOURNAL_DEAD;
        if (!is_working)
            break;
    }
    self->is_release_urgent = false;
    pthread_mutex_unlock(&self->mutex);
    return is_working;
}

static void await_close(struct journal *self)
{
    pthread_mutex_lock(&self->mutex);
    while (!self->is_closing)
        wait_until(self, clock_monotonic_ms() + HEARTBEAT_DEFAULT_MS);
    pthread_mutex_unlock(&self->mutex);
}

void *committer_run(void *journal)
{
    struct journal *self = journal;
    self->due_ms = next_due_ms(self);
    struct group *group = NULL;
    while (self->stats.state != JOURNAL_DEAD && await_work(self, &group)) {
        commit_group(self, group);
        if (group) {
            delete_as_many(self, group->append_count);
            pthread_mutex_lock(&self->mutex);
            gathering_give_back(&self->waiting, &group);
            pthread_mutex_unlock(&self->mutex);
        }
        self->due_ms = next_due_ms(self);
    }
    if (self->stats.state == JOURNAL_DEAD) {
        await_close(self);
        fail_waiting(self);
    } else {
        commit_group(self, NULL); /* released may not be on disk yet */
    }
    return NULL;
}
