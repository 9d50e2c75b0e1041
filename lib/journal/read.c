#include <stdlib.h>
#include <string.h>

#include "journal/inside.h"
#include "journal/page.h"
#include "journal/record.h"

struct reading {
    struct journal *journal;
    struct reader *reader;
    struct journal_page *page;
    struct error *err;
    size_t bytes; /* copied so far */
    uint64_t next;
    uint8_t *joined;  /* a record of several parts, in one piece */
    bool is_at_notes; /* what fails now concerns notes, not records */
    bool is_without_notes;
    bool has_note; /* the notes cursor stands on one, below */
    MDB_val note_key;
    MDB_val note_value;
};

/* ---- one record ---- */

/* LMDB has no check sums of its own: a damaged page may claim any length for a value. */
static bool is_plausible(const MDB_val *value)
{
    return value->mv_size <= RECORD_PART_BYTES + NOTE_HEADER_BYTES + SEAL_OVERHEAD_BYTES;
}

/* Copies the parts behind the first into out. Returns false if one is missing. */
static bool copy_parts(struct reading *reading, uint64_t sequence, uint8_t *out, size_t bytes)
{
    size_t copied = 0;
    for (uint16_t part = 1; copied < bytes; part++) {
        uint8_t key_bytes[RECORD_PART_KEY_BYTES];
        record_part_key(sequence, part, key_bytes);
        MDB_val key = { sizeof key_bytes, key_bytes };
        MDB_val value;
        if (mdb_cursor_get(reading->reader->records, &key, &value, MDB_SET) != 0 ||
            value.mv_size == 0 || value.mv_size > bytes - copied || !is_plausible(&value))
            return false;
        memcpy(out + copied, value.mv_data, value.mv_size);
        copied += value.mv_size;
    }
    return true;
}

/* Joins a record of several parts and points value at the whole. Returns what is wrong, or NULL. */
static const char *join_parts(struct reading *reading, uint64_t sequence, MDB_val *value)
{
    size_t claimed = record_claimed_bytes(value->mv_data, value->mv_size, JOURNAL_RECORD_MAX_BYTES);
    if (claimed <= value->mv_size || value->mv_size != RECORD_PART_BYTES)
        return NULL; /* one part: the decoder checks its length */
    free(reading->joined);
    reading->joined = malloc(claimed);
    if (!reading->joined)
        return "no memory to read it";
    memcpy(reading->joined, value->mv_data, value->mv_size);
    if (!copy_parts(reading, sequence, reading->joined + value->mv_size, claimed - value->mv_size))
        return "a part of it is missing";
    *value = (MDB_val){ claimed, reading->joined };
    return NULL;
}

/* Fills out from value. Returns 0; -1 for no memory; a damaged record is marked. */
static int open_record(struct reading *reading, const MDB_val *value, struct journal_record *out)
{
    struct record record;
    struct error err = { 0 };
    if (!record_decode(value->mv_data, value->mv_size, out->sequence, &record)) {
        out->is_damaged = true;
        journal_report_damage(reading->journal, out->sequence, "record", "its check sum is wrong");
        return 0;
    }
    out->incarnation = record.incarnation;
    out->stored_at_ms = record.stored_at_ms;
    out->kind = record.kind;
    size_t body_bytes = record_body_bytes(&record);
    uint8_t *body = page_allocate(reading->page, body_bytes);
    if (!body)
        return error_set(reading->err, ERROR_SYSTEM, "no memory to read the journal");
    if (record_open(&record, reading->journal->options.keyring, body, &err) != 0) {
        out->is_damaged = true;
        journal_report_damage(reading->journal, out->sequence, "record", err.text);
        return 0;
    }
    out->body = body;
    out->body_bytes = body_bytes;
    reading->bytes += body_bytes;
    return 0;
}

static int load_record(struct reading *reading, MDB_val value, struct journal_record *out)
{
    const char *wrong = "its length cannot be";
    if (is_plausible(&value))
        wrong = join_parts(reading, out->sequence, &value);
    if (!wrong)
        return open_record(reading, &value, out);
    out->is_damaged = true;
    journal_report_damage(reading->journal, out->sequence, "record", wrong);
    return 0;
}

/* ---- notes ---- */

/* An LMDB result, 0 also at the end. */
static int next_note(struct reading *reading, MDB_cursor_op op)
{
    int rc = mdb_cursor_get(reading->reader->notes, &reading->note_key, &reading->note_value, op);
    reading->has_note = rc == 0 && reading->note_key.mv_size == NOTE_KEY_BYTES;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int seek_note(struct reading *reading)
{
    uint8_t key[NOTE_KEY_BYTES];
    note_key(reading->next, 0, 0, key);
    reading->note_key = (MDB_val){ sizeof key, key };
    reading->has_note = false;
    int rc = reading->is_without_notes ? 0 : next_note(reading, MDB_SET_RANGE);
    if (!reading->has_note)
        reading->note_key = (MDB_val){ 0 }; /* it would still point at key */
    return rc;
}

static uint64_t note_sequence(const struct reading *reading)
{
    return record_key_sequence(reading->note_key.mv_data);
}

static int load_note(struct reading *reading, struct journal_record *record)
{
    const MDB_val *value = &reading->note_value;
    if (!is_plausible(value))
        return 0;
    uint8_t *bytes = page_allocate(reading->page, note_room_bytes(value->mv_size) + 1);
    if (!bytes)
        return error_set(reading->err, ERROR_SYSTEM, "no memory to read the journal");
    struct journal_note note = { .bytes = bytes };
    struct error err = { 0 };
    if (note_decode(reading->note_key.mv_data, value->mv_data, value->mv_size,
                    reading->journal->options.keyring, bytes, &note.length, &err) != 0) {
        journal_report_damage(reading->journal, record->sequence, "note", err.text);
        return 0;
    }
    note_key_read(reading->note_key.mv_data, &note.index, &note.kind);
    struct journal_note *slot = page_add_note(reading->page, record);
    if (!slot)
        return error_set(reading->err, ERROR_SYSTEM, "no memory to read the journal");
    *slot = note;
    reading->bytes += note.length;
    return 0;
}

/* Both databases are sorted by sequence: one walk along the notes serves a whole page. An LMDB
 * result, or -1. */
static int load_notes(struct reading *reading, struct journal_record *record)
{
    int rc = 0;
    while (rc == 0 && reading->has_note && note_sequence(reading) < record->sequence)
        rc = next_note(reading, MDB_NEXT);
    while (rc == 0 && reading->has_note && note_sequence(reading) == record->sequence) {
        rc = load_note(reading, record);
        if (rc == 0)
            rc = next_note(reading, MDB_NEXT);
    }
    return rc;
}

/* ---- a page ---- */

static struct journal_record *add_record(struct reading *reading, uint64_t sequence)
{
    struct journal_record *record = &reading->page->records[reading->page->count++];
    *record = (struct journal_record){ .sequence = sequence };
    reading->next = sequence + 1;
    return record;
}

/* Sequences follow each other: the exact key first, which never makes LMDB walk over a damaged
 * neighbour page. */
static int seek_record(struct reading *reading, MDB_val *key, MDB_val *value)
{
    uint8_t bytes[RECORD_KEY_BYTES];
    record_key(reading->next, bytes);
    *key = (MDB_val){ sizeof bytes, bytes };
    int rc = mdb_cursor_get(reading->reader->records, key, value, MDB_SET_KEY);
    if (rc != MDB_NOTFOUND)
        return rc;
    *key = (MDB_val){ sizeof bytes, bytes };
    rc = mdb_cursor_get(reading->reader->records, key, value, MDB_SET_RANGE);
    while (rc == 0 && key->mv_size != RECORD_KEY_BYTES) /* a part whose first part is gone */
        rc = mdb_cursor_get(reading->reader->records, key, value, MDB_NEXT);
    return rc;
}

static int load_with_notes(struct reading *reading, const MDB_val *key, const MDB_val *value)
{
    struct journal_record *record = add_record(reading, record_key_sequence(key->mv_data));
    int rc = load_record(reading, *value, record);
    if (rc != 0)
        return rc;
    reading->is_at_notes = true;
    rc = load_notes(reading, record);
    reading->is_at_notes = rc != 0;
    return rc;
}

/* Records from reading->next on, until the page is full (0), the end (MDB_NOTFOUND) or a page of
 * the file that LMDB cannot use (its error). -1: reading->err says why. */
static int load_page(struct reading *reading, size_t max_records, size_t max_bytes)
{
    reading->is_at_notes = true;
    int rc = seek_note(reading);
    reading->is_at_notes = rc != 0;
    while (rc == 0 && reading->page->count < max_records &&
           (reading->page->count == 0 || reading->bytes < max_bytes)) {
        MDB_val key;
        MDB_val value;
        rc = seek_record(reading, &key, &value);
        if (rc == 0)
            rc = load_with_notes(reading, &key, &value);
    }
    return rc;
}

/* As load_page, but an assertion of LMDB's is MDB_CORRUPTED. */
static int load_guarded(struct reading *reading, size_t max_records, size_t max_bytes)
{
    struct escape *escape = &reading->reader->escape;
    escape->thread = pthread_self();
    if (setjmp(escape->target) != 0) { /* NOLINT(cert-err52-cpp): the only way out of LMDB */
        escape->is_set = false;
        return MDB_CORRUPTED;
    }
    escape->is_set = true;
    int rc = load_page(reading, max_records, max_bytes);
    escape->is_set = false;
    return rc;
}

/* LMDB cannot read the page that holds reading->next: that record is damaged, the next may not be.
 * Returns false if there is none. */
static bool skip_unreadable(struct reading *reading, int rc)
{
    struct journal_stats stats;
    journal_stats(reading->journal, &stats);
    if (reading->next < stats.oldest_sequence)
        reading->next = stats.oldest_sequence;
    if (stats.oldest_sequence == 0 || reading->next > stats.newest_sequence)
        return false;
    journal_report_damage(reading->journal, reading->next, "record", mdb_strerror(rc));
    add_record(reading, reading->next)->is_damaged = true;
    return true;
}

/* Notes cannot be read: the page ends with the record they belong to; where not even their
 * beginning is found, one record comes without. */
static bool skip_notes(struct reading *reading, int rc)
{
    size_t count = reading->page->count;
    uint64_t sequence = count ? reading->page->records[count - 1].sequence : reading->next;
    journal_report_damage(reading->journal, sequence, "notes", mdb_strerror(rc));
    reading->is_without_notes = true;
    return count == 0;
}

/* Returns whether to go on reading. */
static bool skip_damage(struct reading *reading, int rc)
{
    reader_close(reading->reader); /* after an error LMDB refuses the transaction anyway */
    return reading->is_at_notes ? skip_notes(reading, rc) : skip_unreadable(reading, rc);
}

static int read_page(struct reading *reading, size_t max_records, size_t max_bytes)
{
    int rc = MDB_CORRUPTED;
    bool is_going_on = true;
    while (is_going_on && reading->page->count < max_records) {
        rc = reader_begin(reading->journal, reading->reader);
        if (rc == 0)
            rc = load_guarded(reading, reading->is_without_notes ? 1 : max_records, max_bytes);
        is_going_on = journal_is_damage(rc) && skip_damage(reading, rc);
        reader_end(reading->journal, reading->reader);
    }
    if (rc == 0 || rc == MDB_NOTFOUND || rc == -1 || journal_is_damage(rc))
        return rc == -1 ? -1 : 0;
    reader_close(reading->reader);
    return error_set(reading->err, ERROR_SYSTEM, "cannot read the journal: %s", mdb_strerror(rc));
}

int journal_read(struct journal *self, uint64_t from, size_t max_records, size_t max_bytes,
                 struct journal_page *page, struct error *err)
{
    page->count = 0;
    page->memory = NULL;
    if (max_records > JOURNAL_PAGE_MAX_RECORDS)
        max_records = JOURNAL_PAGE_MAX_RECORDS;
    pthread_rwlock_rdlock(&self->file_lock);
    int rc = -1;
    if (self->file.env) {
        struct reading reading = { .journal = self, .page = page, .err = err, .next = from };
        reading.reader = reader_take(self);
        rc = read_page(&reading, max_records, max_bytes);
        free(reading.joined);
        reader_give_back(self, reading.reader);
    } else {
        (void)error_set(err, ERROR_SYSTEM, "the journal is closed after a failed write");
    }
    pthread_rwlock_unlock(&self->file_lock);
    if (rc != 0)
        journal_page_clear(page);
    return rc;
}
