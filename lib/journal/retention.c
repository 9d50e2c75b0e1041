#include "journal/retention.h"

#include "journal/record.h"

enum { NOTE_DELETIONS_MAX = 2048 }; /* the rest goes with the next commit */

/* Deletes the record the cursor stands on, part by part; the cursor ends on the next record. */
static int delete_parts(MDB_cursor *cursor, uint64_t sequence, size_t *bytes, MDB_val *key,
                        MDB_val *value)
{
    int rc = 0;
    while (rc == 0 && record_key_sequence(key->mv_data) == sequence) {
        *bytes += value->mv_size;
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, key, value, MDB_FIRST);
    }
    return rc;
}

static int delete_records(MDB_cursor *cursor, uint64_t through, struct deleted *out)
{
    MDB_val key;
    MDB_val value;
    size_t bytes = 0;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == 0) {
        uint64_t sequence = record_key_sequence(key.mv_data);
        out->oldest_sequence = sequence;
        if (sequence > through)
            return 0;
        out->is_more = out->records == RETENTION_MAX_RECORDS || bytes >= RETENTION_MAX_BYTES;
        if (out->is_more)
            return 0;
        rc = delete_parts(cursor, sequence, &bytes, &key, &value);
        out->records++;
    }
    if (rc == MDB_NOTFOUND)
        out->oldest_sequence = 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int delete_notes(MDB_cursor *cursor, uint64_t below)
{
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (int i = 0; rc == 0 && i < NOTE_DELETIONS_MAX; i++) {
        if (record_key_sequence(key.mv_data) >= below)
            return 0;
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int retention_apply(const struct file *file, MDB_txn *txn, uint64_t through, struct deleted *out)
{
    *out = (struct deleted){ 0 };
    int rc = mdb_cursor_open(txn, file->records, &out->cursor);
    if (rc != 0)
        return rc;
    rc = delete_records(out->cursor, through, out);
    mdb_cursor_close(out->cursor);
    out->cursor = NULL;
    if (rc != 0)
        return rc;
    uint64_t below = out->oldest_sequence ? out->oldest_sequence : through + 1;
    rc = mdb_cursor_open(txn, file->notes, &out->cursor);
    if (rc != 0)
        return rc;
    rc = delete_notes(out->cursor, below);
    mdb_cursor_close(out->cursor);
    out->cursor = NULL;
    return rc;
}
