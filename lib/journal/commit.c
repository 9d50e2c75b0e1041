#include "journal/commit.h"

#include <errno.h>
#include <stdlib.h>

#include "journal/record.h"
#include "log/log.h"

static int put_parts(const struct file *file, MDB_txn *txn, uint64_t sequence, uint8_t *value_bytes,
                     size_t length)
{
    uint8_t bytes[RECORD_PART_KEY_BYTES];
    int rc = 0;
    for (uint16_t part = 0; rc == 0 && length > 0; part++) {
        size_t part_bytes = length < RECORD_PART_BYTES ? length : RECORD_PART_BYTES;
        record_part_key(sequence, part, bytes);
        MDB_val key = { part == 0 ? RECORD_KEY_BYTES : RECORD_PART_KEY_BYTES, bytes };
        MDB_val value = { part_bytes, value_bytes };
        rc = mdb_put(txn, file->records, &key, &value, MDB_APPEND);
        value_bytes += part_bytes;
        length -= part_bytes;
    }
    return rc;
}

static int put_large(struct journal *self, MDB_txn *txn, const struct record *head,
                     const struct append *append, const uint8_t *body)
{
    const struct keyring *keyring = self->options.keyring;
    size_t value_bytes = record_value_bytes(append->length, keyring != NULL);
    uint8_t *value = malloc(value_bytes);
    if (!value)
        return ENOMEM;
    record_encode(head, body, append->length, keyring, value);
    int rc = put_parts(&self->file, txn, head->sequence, value, value_bytes);
    free(value);
    return rc;
}

static int put_record(struct journal *self, MDB_txn *txn, const struct record *head,
                      const struct append *append, const uint8_t *body)
{
    const struct keyring *keyring = self->options.keyring;
    size_t value_bytes = record_value_bytes(append->length, keyring != NULL);
    if (value_bytes > RECORD_PART_BYTES)
        return put_large(self, txn, head, append, body);
    uint8_t bytes[RECORD_KEY_BYTES];
    record_key(head->sequence, bytes);
    MDB_val key = { sizeof bytes, bytes };
    MDB_val value = { value_bytes, NULL };
    int rc = mdb_put(txn, self->file.records, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc == 0) /* straight into the page: no copy between */
        record_encode(head, body, append->length, keyring, value.mv_data);
    return rc;
}

/* Takes the cost of a value from the budget. Returns false if it does not fit: then what lies in
 * the reserve stays there for deletions. */
static bool spend(const struct journal *self, struct commit *commit, size_t value_bytes)
{
    uint64_t cost_bytes = space_cost_bytes(value_bytes, self->file.page_bytes);
    if (cost_bytes > commit->budget_bytes)
        return false;
    commit->budget_bytes -= cost_bytes;
    return true;
}

static int put_records(struct journal *self, MDB_txn *txn, struct group *group,
                       struct commit *commit)
{
    struct record head = {
        .incarnation = self->ledger.incarnations[self->ledger.incarnation_count - 1].number,
        .stored_at_ms = commit->now_ms,
    };
    for (size_t i = 0; i < group->append_count; i++) {
        struct append *append = &group->appends[i];
        append->sequence = 0;
        if (!spend(self, commit, record_value_bytes(append->length, self->options.keyring != NULL)))
            continue; /* this one is refused, smaller ones may fit */
        head.sequence = commit->next_sequence;
        head.kind = append->kind;
        int rc = put_record(self, txn, &head, append, group->arena + append->offset);
        if (rc != 0)
            return rc;
        append->sequence = commit->next_sequence++;
        commit->records++;
        commit->bytes += append->length;
    }
    return 0;
}

static int put_notes(struct journal *self, MDB_txn *txn, const struct group *group,
                     struct commit *commit)
{
    const struct keyring *keyring = self->options.keyring;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < group->note_count; i++) {
        const struct waiting_note *note = &group->notes[i];
        size_t value_bytes = note_value_bytes(note->length, keyring != NULL);
        if (note->sequence >= commit->next_sequence || !spend(self, commit, value_bytes)) {
            commit->dropped_notes++;
            continue;
        }
        uint8_t bytes[NOTE_KEY_BYTES];
        note_key(note->sequence, note->index, note->kind, bytes);
        MDB_val key = { sizeof bytes, bytes };
        MDB_val value = { value_bytes, NULL };
        rc = mdb_put(txn, self->file.notes, &key, &value, MDB_RESERVE);
        if (rc == 0)
            note_encode(bytes, group->arena + note->offset, note->length, keyring, value.mv_data);
    }
    return rc;
}

/* retention_apply, but an assertion of LMDB's is MDB_CORRUPTED. */
static int apply_guarded(struct journal *self, MDB_txn *txn, uint64_t through, struct deleted *out)
{
    self->escape.thread = pthread_self();
    if (setjmp(self->escape.target) != 0) { /* NOLINT(cert-err52-cpp): the only way out of LMDB */
        self->escape.is_set = false;
        return MDB_CORRUPTED;
    }
    self->escape.is_set = true;
    int rc = retention_apply(&self->file, txn, through, out);
    self->escape.is_set = false;
    return rc;
}

static int delete_guarded(struct journal *self, MDB_txn *txn, struct commit *commit)
{
    int rc = apply_guarded(self, txn, commit->deletable, &commit->deleted);
    if (commit->deleted.cursor)
        mdb_cursor_close(commit->deleted.cursor);
    if (journal_is_damage(rc)) {
        log_error("journal_deletion_stopped", KV("directory", self->directory),
                  KV("error", mdb_strerror(rc)),
                  KV("remedy", "drain it, stop the process, move data.mdb away, start again"));
        self->is_deletion_off = true;
    }
    return rc;
}

static int write_all(struct journal *self, MDB_txn *txn, struct group *group, struct commit *commit)
{
    int rc = 0;
    if (group)
        rc = put_records(self, txn, group, commit);
    if (rc == 0 && group)
        rc = put_notes(self, txn, group, commit);
    commit->deleted = (struct deleted){ .oldest_sequence = self->stats.oldest_sequence };
    if (rc == 0 && !self->is_deletion_off)
        rc = delete_guarded(self, txn, commit);
    else if (commit->deleted.oldest_sequence == 0 && commit->records > 0)
        commit->deleted.oldest_sequence = commit->next_sequence - commit->records;
    if (rc == 0)
        rc = file_put_state(&self->file, txn, commit->next_sequence, commit->released,
                            commit->now_ms);
    if (rc == 0 && age_is_save_due(&self->age))
        rc = file_put_age(&self->file, txn, &self->age);
    return rc;
}

static int write_once(struct journal *self, struct group *group, struct commit *commit)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(self->file.env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = write_all(self, txn, group, commit);
    if (rc == 0)
        return mdb_txn_commit(txn); /* synced when it returns 0; frees txn either way */
    mdb_txn_abort(txn);
    return rc;
}

/* A damaged page in the way of deletions must not stop what is appended behind it. */
int commit_write(struct journal *self, struct group *group, struct commit *commit)
{
    bool was_off = self->is_deletion_off;
    const struct commit prepared = *commit;
    int rc = write_once(self, group, commit);
    if (rc == 0 || was_off || !self->is_deletion_off)
        return rc;
    *commit = prepared;
    return write_once(self, group, commit);
}
