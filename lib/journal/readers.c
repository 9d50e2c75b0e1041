#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "journal/inside.h"

int readers_init(struct journal *self)
{
    for (size_t i = 0; i < JOURNAL_READERS; i++)
        self->readers[i].seen_txn = UINT64_MAX;
    if (pthread_mutex_init(&self->readers_mutex, NULL) != 0)
        return -1;
    return pthread_cond_init(&self->reader_freed, NULL) == 0 ? 0 : -1;
}

void reader_close(struct reader *reader)
{
    if (reader->records)
        mdb_cursor_close(reader->records);
    if (reader->notes)
        mdb_cursor_close(reader->notes);
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    reader->txn = NULL;
    reader->records = NULL;
    reader->notes = NULL;
}

void readers_close(struct journal *self)
{
    for (size_t i = 0; i < JOURNAL_READERS; i++)
        reader_close(&self->readers[i]);
}

uint64_t readers_oldest(struct journal *self)
{
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&self->readers_mutex);
    for (size_t i = 0; i < JOURNAL_READERS; i++)
        if (self->readers[i].seen_txn < oldest)
            oldest = self->readers[i].seen_txn;
    pthread_mutex_unlock(&self->readers_mutex);
    return oldest;
}

/* A line of LMDB's table of readers: process, thread, transaction ("-" for none). */
static int see_line(const char *line, void *oldest)
{
    uint64_t *out = oldest;
    long pid = 0;
    uint64_t txn = 0;
    /* NOLINTNEXTLINE(cert-err34-c): LMDB writes these numbers itself */
    if (sscanf(line, "%ld %*x %" SCNu64, &pid, &txn) == 2 && pid != (long)getpid() && txn < *out)
        *out = txn;
    return 0;
}

uint64_t readers_foreign(struct journal *self)
{
    uint64_t oldest = UINT64_MAX;
    int gone = 0;
    /* One that was killed would hold pages back for ever. Both help space only: commits tell
     * errors. */
    (void)mdb_reader_check(self->file.env, &gone);
    (void)mdb_reader_list(self->file.env, see_line, &oldest);
    return oldest;
}

struct reader *reader_take(struct journal *self)
{
    struct reader *found = NULL;
    pthread_mutex_lock(&self->readers_mutex);
    while (!found) {
        for (size_t i = 0; i < JOURNAL_READERS && !found; i++)
            if (!self->readers[i].is_busy)
                found = &self->readers[i];
        if (!found) /* readings are short: no time-out needed */
            pthread_cond_wait(&self->reader_freed, &self->readers_mutex);
    }
    found->is_busy = true;
    pthread_mutex_unlock(&self->readers_mutex);
    return found;
}

static void set_seen(struct journal *self, struct reader *reader, uint64_t seen_txn)
{
    pthread_mutex_lock(&self->readers_mutex);
    reader->seen_txn = seen_txn;
    pthread_mutex_unlock(&self->readers_mutex);
}

void reader_give_back(struct journal *self, struct reader *reader)
{
    pthread_mutex_lock(&self->readers_mutex);
    reader->is_busy = false;
    pthread_cond_signal(&self->reader_freed);
    pthread_mutex_unlock(&self->readers_mutex);
}

int reader_begin(struct journal *self, struct reader *reader)
{
    int rc = 0;
    if (reader->txn) {
        rc = mdb_txn_renew(reader->txn);
        if (rc == 0)
            rc = mdb_cursor_renew(reader->txn, reader->records);
        if (rc == 0)
            rc = mdb_cursor_renew(reader->txn, reader->notes);
    } else {
        rc = mdb_txn_begin(self->file.env, NULL, MDB_RDONLY, &reader->txn);
        if (rc == 0)
            rc = mdb_cursor_open(reader->txn, self->file.records, &reader->records);
        if (rc == 0)
            rc = mdb_cursor_open(reader->txn, self->file.notes, &reader->notes);
    }
    if (rc == 0)
        set_seen(self, reader, mdb_txn_id(reader->txn));
    return rc;
}

void reader_end(struct journal *self, struct reader *reader)
{
    if (reader->txn)
        mdb_txn_reset(reader->txn);
    set_seen(self, reader, UINT64_MAX);
}
