#include "journal/file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "journal/record.h"
#include "log/log.h"

enum { DATABASES = 3, READERS_MAX = 64, FORMAT = 1 };

/* No journal gets there by counting: behind it there may be no room for the next record. */
#define SEQUENCE_MAX (UINT64_MAX / 2)

static const char STATE_KEY[] = "state";
static const char SOURCE_KEY[] = "source";
static const char AGE_KEY[] = "age";

/* Fixed-size values of the meta database, native order: a journal stays on its kind of machine. */
struct stored_state {
    uint32_t crc; /* over all behind it */
    uint32_t format;
    uint64_t next_sequence;
    uint64_t released;
    int64_t heartbeat_unix_ms;
};

struct stored_source {
    uint32_t crc;
    uint32_t format;
    struct id id;
};

/* Incarnations: key "i", first sequence, order (two may begin at the same sequence: the first of
 * them stored nothing, but a mark may name it). */
enum { INCARNATION_KEY_BYTES = 1 + RECORD_KEY_BYTES + 4 };

/* ---- directory and lock ---- */

static int refuse_locked(int fd, const char *directory, struct error *err)
{
    char holder[24] = "";
    ssize_t got = pread(fd, holder, sizeof holder - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return error_set(err, ERROR_CONFIG,
                     "journal '%s' belongs to process %s: stop it first, or give this one a "
                     "directory of its own",
                     directory, holder[0] ? holder : "(unknown)");
}

static int sync_directory(const char *directory, struct error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        (void)error_set(err, ERROR_SYSTEM, "cannot sync directory '%s': %s", directory,
                        strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    (void)close(fd);
    return 0;
}

/* The folder that directory stands in; false: none can be named. */
static bool name_parent(const char *directory, char parent[static PATH_MAX])
{
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/')
        length--;
    while (length > 0 && directory[length - 1] != '/')
        length--;
    if (length < 2 || length >= PATH_MAX)
        return false;
    memcpy(parent, directory, length - 1);
    parent[length - 1] = '\0';
    return true;
}

static bool is_mount_point(const char *path)
{
    char above[PATH_MAX];
    struct stat own;
    struct stat outer;
    int n = snprintf(above, sizeof above, "%s/..", path);
    return n > 0 && (size_t)n < sizeof above && stat(path, &own) == 0 && stat(above, &outer) == 0 &&
           own.st_dev != outer.st_dev;
}

/* At the top of a mounted volume, and nowhere else: a volume in a container comes empty and its top
 * is not ours, but where one is missing nothing may look as if it had come. */
static int make_directory(const char *directory, struct error *err)
{
    char parent[PATH_MAX];
    if (!name_parent(directory, parent) || !is_mount_point(parent))
        return error_set(err, ERROR_CONFIG, "journal directory '%s' is not there: create it",
                         directory);
    if (mkdir(directory, S_IRWXU) != 0)
        return error_set(err, ERROR_CONFIG,
                         "cannot make journal directory '%s': %s; the volume must be writable for "
                         "user %ld or group %ld",
                         directory, strerror(errno), (long)geteuid(), (long)getegid());
    return sync_directory(parent, err);
}

static int check_directory(const char *directory, struct error *err)
{
    struct stat status;
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode))
        return make_directory(directory, err);
    if ((status.st_mode & 07777) != 0700 && chmod(directory, 0700) != 0)
        return error_set(err, ERROR_CONFIG, "journal directory '%s' must be mine alone (0700): %s",
                         directory, strerror(errno));
    return 0;
}

int file_lock(const char *directory, struct error *err)
{
    if (check_directory(directory, err) != 0)
        return -1;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/lock", directory);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ERROR_CONFIG, "journal directory name is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, ERROR_CONFIG, "cannot open '%s': %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)refuse_locked(fd, directory, err);
        (void)close(fd);
        return -1;
    }
    char pid[24];
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* Only for people to read: the lock itself is the flock. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        log_warn("journal_lock_unsigned", KV("directory", directory), KV("error", strerror(errno)));
    return fd;
}

/* ---- environment ---- */

/* The file's header must be on disk before the file grows: a grown file without one is garbage. */
static int grow(struct file *self, const char *directory, uint64_t max_bytes, struct error *err)
{
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(self->env, &fd);
    if (rc == 0)
        rc = mdb_env_sync(self->env, 1);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot sync journal '%s': %s", directory,
                         mdb_strerror(rc));
    struct stat status;
    if (fstat(fd, &status) == 0 && (uint64_t)status.st_size > max_bytes &&
        ftruncate(fd, (off_t)max_bytes) != 0) /* only unused pages: file_open has checked */
        return error_set(err, ERROR_SYSTEM, "cannot shrink journal '%s': %s", directory,
                         strerror(errno));
    rc = posix_fallocate(fd, 0, (off_t)max_bytes);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM,
                         "cannot give journal '%s' its %" PRIu64
                         " MiB: %s; free disk space or lower size_mib",
                         directory, max_bytes >> 20, strerror(rc));
    self->is_allocated =
        fstat(fd, &status) == 0 && (uint64_t)status.st_blocks * 512 >= (uint64_t)status.st_size;
    return sync_directory(directory, err);
}

static int check_size(struct file *self, const char *directory, uint64_t max_bytes,
                      struct error *err)
{
    MDB_envinfo info;
    MDB_stat status;
    int rc = mdb_env_info(self->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(self->env, &status);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot read journal '%s': %s", directory,
                         mdb_strerror(rc));
    self->page_bytes = status.ms_psize;
    uint64_t held_bytes = (uint64_t)(info.me_last_pgno + 1) * status.ms_psize;
    if (held_bytes > max_bytes)
        return error_set(err, ERROR_CONFIG,
                         "journal '%s' spans %" PRIu64 " MiB already: raise size_mib from %" PRIu64
                         " to at least that",
                         directory, (held_bytes + (1 << 20) - 1) >> 20, max_bytes >> 20);
    return 0;
}

/* Whether these are the first bytes of a header as LMDB writes it: its magic number stands behind
 * the page's own header (lmdb.h, mdb.c: MDB_meta). */
static bool is_header_start(const uint8_t *bytes, size_t length)
{
    static const uint8_t magic[] = { 0xde, 0xc0, 0xef, 0xbe };
    enum { PAGE_HEADER_BYTES = 16 };
    return length < PAGE_HEADER_BYTES + sizeof magic ||
           memcmp(bytes + PAGE_HEADER_BYTES, magic, sizeof magic) == 0;
}

/* A file shorter than its two header pages was left when the header's first write failed halfway:
 * nothing was ever in it, and LMDB would refuse it for ever. It begins anew. */
static int clear_unfinished(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/data.mdb", directory);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ERROR_CONFIG, "journal directory name is too long");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0; /* none yet; or LMDB says what is wrong */
    uint8_t bytes[64];
    struct stat status;
    ssize_t length = pread(fd, bytes, sizeof bytes, 0);
    bool is_unfinished = length > 0 && fstat(fd, &status) == 0 &&
                         status.st_size < 2 * (off_t)sysconf(_SC_PAGESIZE) &&
                         is_header_start(bytes, (size_t)length);
    int rc = 0;
    if (is_unfinished && (ftruncate(fd, 0) != 0 || fsync(fd) != 0))
        rc = error_set(err, ERROR_SYSTEM, "cannot begin '%s' anew: %s", path, strerror(errno));
    else if (is_unfinished)
        log_warn("journal_begun_anew", KV("directory", directory),
                 KV("bytes", (int64_t)status.st_size));
    (void)close(fd);
    return rc;
}

static int open_environment(struct file *self, const char *directory, uint64_t max_bytes,
                            struct error *err)
{
    int rc = mdb_env_create(&self->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(self->env, DATABASES);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(self->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(self->env, max_bytes);
    if (rc == 0)
        rc = mdb_env_open(self->env, directory, MDB_NOTLS, 0600);
    if (rc != 0)
        return error_set(err, ERROR_SYSTEM, "cannot open journal '%s': %s", directory,
                         mdb_strerror(rc));
    int stale_readers = 0;
    (void)mdb_reader_check(self->env, &stale_readers); /* helps space only; commits tell errors */
    return 0;
}

int file_open(struct file *self, const char *directory, uint64_t max_bytes, struct error *err)
{
    *self = (struct file){ 0 };
    max_bytes -= max_bytes % (uint64_t)sysconf(_SC_PAGESIZE);
    if (max_bytes < FILE_MIN_BYTES)
        return error_set(err, ERROR_CONFIG, "journal '%s': size_mib must be at least %d", directory,
                         FILE_MIN_BYTES >> 20);
    if (clear_unfinished(directory, err) == 0 &&
        open_environment(self, directory, max_bytes, err) == 0 &&
        check_size(self, directory, max_bytes, err) == 0 &&
        grow(self, directory, max_bytes, err) == 0)
        return 0;
    file_close(self);
    return -1;
}

void file_close(struct file *self)
{
    if (self->env)
        mdb_env_close(self->env);
    *self = (struct file){ 0 };
}

/* ---- ledger ---- */

static MDB_val text_key(const char *text)
{
    return (MDB_val){ strlen(text), (void *)text };
}

static uint32_t crc_behind(const void *value, size_t length)
{
    const uint8_t *bytes = value;
    return crypto_crc32c(bytes + sizeof(uint32_t), length - sizeof(uint32_t));
}

int file_put_state(const struct file *self, MDB_txn *txn, uint64_t next_sequence, uint64_t released,
                   int64_t now_ms)
{
    struct stored_state state = {
        .format = FORMAT,
        .next_sequence = next_sequence,
        .released = released,
        .heartbeat_unix_ms = now_ms,
    };
    state.crc = crc_behind(&state, sizeof state);
    MDB_val key = text_key(STATE_KEY);
    MDB_val value = { sizeof state, &state };
    return mdb_put(txn, self->meta, &key, &value, 0);
}

int file_put_age(const struct file *self, MDB_txn *txn, const struct age *age)
{
    uint8_t bytes[AGE_STORED_MAX_BYTES];
    MDB_val key = text_key(AGE_KEY);
    MDB_val value = { age_encode(age, bytes), bytes };
    return mdb_put(txn, self->meta, &key, &value, 0);
}

static int read_age(const struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    MDB_val key = text_key(AGE_KEY);
    MDB_val value;
    int rc = mdb_get(txn, self->meta, &key, &value);
    if (rc == 0 && !age_decode(value.mv_data, value.mv_size, &ledger->age))
        log_error("journal_age_damaged", KV("repair", "all records count as stored now"));
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The sequence behind the last record, and not below the last incarnation's first. */
static int next_from_records(const struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(txn, self->records, &cursor);
    if (rc != 0)
        return rc;
    MDB_val key;
    MDB_val value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    uint64_t last = 0;
    if (rc == 0 && key.mv_size >= RECORD_KEY_BYTES)
        last = record_key_sequence(key.mv_data);
    mdb_cursor_close(cursor);
    uint64_t next = last + 1;
    if (ledger->incarnation_count > 0) {
        uint64_t first = ledger->incarnations[ledger->incarnation_count - 1].first_sequence;
        next = next > first ? next : first;
    }
    ledger->next_sequence = next > ledger->next_sequence ? next : ledger->next_sequence;
    if (last >= SEQUENCE_MAX || ledger->next_sequence > SEQUENCE_MAX) {
        log_error("journal_state_damaged",
                  KV("repair", "none, no number is left: move data.mdb away, start again"));
        return MDB_CORRUPTED;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_state(const struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    MDB_val key = text_key(STATE_KEY);
    MDB_val value;
    int rc = mdb_get(txn, self->meta, &key, &value);
    if (rc == MDB_NOTFOUND)
        return next_from_records(self, txn, ledger);
    if (rc != 0)
        return rc;
    struct stored_state state = { 0 };
    if (value.mv_size == sizeof state)
        memcpy(&state, value.mv_data, sizeof state);
    if (value.mv_size == sizeof state && state.crc == crc_behind(&state, sizeof state)) {
        ledger->next_sequence = state.next_sequence;
        ledger->released =
            state.released < state.next_sequence ? state.released : state.next_sequence - 1;
    } else {
        log_error("journal_state_damaged", KV("repair", "rebuilt from the records"));
    }
    return next_from_records(self, txn, ledger);
}

static int read_source(const struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    MDB_val key = text_key(SOURCE_KEY);
    MDB_val value;
    int rc = mdb_get(txn, self->meta, &key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    struct stored_source source = { .format = FORMAT };
    if (rc == 0 && value.mv_size == sizeof source) {
        memcpy(&source, value.mv_data, sizeof source);
        if (source.crc == crc_behind(&source, sizeof source)) {
            ledger->source = source.id;
            return 0;
        }
    }
    if (rc == 0) /* a new name costs one replay of everything; a wrong one could hide records */
        log_error("journal_source_damaged", KV("repair", "new source: all records are replayed"));
    source.format = FORMAT;
    source.id = id_random();
    source.crc = crc_behind(&source, sizeof source);
    value = (MDB_val){ sizeof source, &source };
    ledger->source = source.id;
    return mdb_put(txn, self->meta, &key, &value, 0);
}

static int add_incarnation(struct ledger *ledger, const struct incarnation *incarnation)
{
    size_t count = ledger->incarnation_count;
    struct incarnation *grown =
        realloc(ledger->incarnations, (count + 1) * sizeof *ledger->incarnations);
    if (!grown)
        return ENOMEM;
    ledger->incarnations = grown;
    grown[count] = *incarnation;
    ledger->incarnation_count++;
    return 0;
}

/* Forgets the oldest beyond the limit. */
static int prune_incarnations(MDB_cursor *cursor, size_t count)
{
    int rc = 0;
    for (; rc == 0 && count >= FILE_MAX_INCARNATIONS; count--) {
        uint8_t start[1] = { 'i' };
        MDB_val key = { sizeof start, start };
        MDB_val value;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (rc == 0)
            rc = mdb_cursor_del(cursor, 0);
    }
    return rc;
}

static bool is_incarnation(const MDB_val *key, const MDB_val *value)
{
    return key->mv_size == INCARNATION_KEY_BYTES && ((const uint8_t *)key->mv_data)[0] == 'i' &&
           value->mv_size == sizeof(uint64_t);
}

static int read_incarnations(MDB_cursor *cursor, struct ledger *ledger)
{
    uint8_t start[1] = { 'i' };
    MDB_val key = { sizeof start, start };
    MDB_val value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && is_incarnation(&key, &value)) {
        const uint8_t *bytes = key.mv_data;
        struct incarnation incarnation = { .first_sequence = record_key_sequence(bytes + 1) };
        memcpy(&incarnation.order, bytes + 1 + RECORD_KEY_BYTES, sizeof incarnation.order);
        incarnation.order = be32toh(incarnation.order);
        memcpy(&incarnation.number, value.mv_data, sizeof incarnation.number);
        rc = add_incarnation(ledger, &incarnation);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_incarnation(const struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    struct incarnation fresh = { .first_sequence = ledger->next_sequence };
    while (fresh.number == 0) /* 0 means unknown */
        crypto_random(&fresh.number, sizeof fresh.number);
    if (ledger->incarnation_count > 0) {
        const struct incarnation *last = &ledger->incarnations[ledger->incarnation_count - 1];
        if (last->first_sequence == fresh.first_sequence)
            fresh.order = last->order + 1;
    }
    uint8_t bytes[INCARNATION_KEY_BYTES] = { 'i' };
    record_key(fresh.first_sequence, bytes + 1);
    uint32_t order = htobe32(fresh.order);
    memcpy(bytes + 1 + RECORD_KEY_BYTES, &order, sizeof order);
    MDB_val key = { sizeof bytes, bytes };
    MDB_val value = { sizeof fresh.number, &fresh.number };
    int rc = mdb_put(txn, self->meta, &key, &value, MDB_NOOVERWRITE);
    return rc == 0 ? add_incarnation(ledger, &fresh) : rc;
}

static int renew_ledger(struct file *self, MDB_txn *txn, struct ledger *ledger)
{
    int rc = mdb_dbi_open(txn, "records", MDB_CREATE, &self->records);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "notes", MDB_CREATE, &self->notes);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &self->meta);
    MDB_cursor *cursor = NULL;
    if (rc == 0)
        rc = mdb_cursor_open(txn, self->meta, &cursor);
    if (rc != 0)
        return rc;
    rc = read_incarnations(cursor, ledger);
    if (rc == 0)
        rc = prune_incarnations(cursor, ledger->incarnation_count);
    mdb_cursor_close(cursor);
    if (rc == 0)
        rc = read_source(self, txn, ledger);
    if (rc == 0)
        rc = read_state(self, txn, ledger);
    if (rc == 0)
        rc = read_age(self, txn, ledger);
    if (rc == 0)
        rc = put_incarnation(self, txn, ledger);
    if (rc == 0)
        rc = file_put_state(self, txn, ledger->next_sequence, ledger->released, clock_unix_ms());
    return rc;
}

int file_begin_incarnation(struct file *self, struct ledger *out, struct error *err)
{
    struct ledger ledger = { .next_sequence = 1 };
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (rc == 0) {
        rc = renew_ledger(self, txn, &ledger);
        if (rc == 0)
            rc = mdb_txn_commit(txn); /* frees txn even when it fails */
        else
            mdb_txn_abort(txn);
    }
    if (rc != 0) {
        ledger_clear(&ledger);
        return error_set(err, ERROR_SYSTEM, "cannot begin a new incarnation of the journal: %s",
                         mdb_strerror(rc));
    }
    *out = ledger;
    return 0;
}

void ledger_clear(struct ledger *self)
{
    free(self->incarnations);
    *self = (struct ledger){ 0 };
}
