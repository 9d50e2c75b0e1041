#include "journal/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/archive_frames.h"
#include "journal/page.h"
#include "journal/record.h"

struct archive_reader {
    struct archive_frames frames;
    const struct keyring *keyring;
    uint64_t last_sequence; /* of the last record found, good or not; 0: none yet */
    bool is_closed;
    /* What stands behind the record given out: read to know that its notes are over. */
    bool has_ahead;
    enum archive_found found;
    struct archive_frame frame;
    uint64_t passed_bytes;
    struct journal_page page; /* memory of the record given out */
    char reason[sizeof((struct error *)0)->text];
};

struct archive_reader *archive_open_fd(int fd, const struct keyring *keyring, struct error *err)
{
    struct archive_reader *self = calloc(1, sizeof *self);
    if (!self) {
        (void)close(fd);
        (void)error_set(err, ERROR_SYSTEM, "no memory to read an archive file");
        return NULL;
    }
    self->keyring = keyring;
    if (archive_frames_open(&self->frames, fd, err) != 0)
        archive_close(&self);
    return self;
}

struct archive_reader *archive_open(const char *path, const struct keyring *keyring,
                                    struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return archive_open_fd(fd, keyring, err);
    (void)error_set(err, ERROR_CONFIG, "cannot open archive file '%s': %s", path, strerror(errno));
    return NULL;
}

void archive_close(struct archive_reader **self_p)
{
    struct archive_reader *self = *self_p;
    if (!self)
        return;
    archive_frames_close(&self->frames);
    journal_page_clear(&self->page);
    free(self);
    *self_p = NULL;
}

void archive_describe(const struct archive_reader *self, struct archive_about *out)
{
    const struct archive_header *header = &self->frames.header;
    *out = (struct archive_about){ .is_header_damaged = self->frames.is_header_damaged };
    if (out->is_header_damaged)
        return;
    out->source = header->source;
    out->first_sequence = header->first_sequence;
    out->incarnation = header->incarnation;
    out->created_unix_ms = header->created_unix_ms;
}

/* Makes found, frame and passed_bytes say what comes next. The frame's bytes last until the one
 * after it is looked at. */
static int look_ahead(struct archive_reader *self, struct error *err)
{
    if (self->has_ahead)
        return 0;
    if (archive_frames_next(&self->frames, &self->found, &self->frame, &self->passed_bytes, err) !=
        0)
        return -1;
    self->has_ahead = true;
    return 0;
}

static void report_lost(const struct archive_reader *self, uint64_t first, uint64_t last,
                        const char *reason, struct archive_item *out)
{
    *out = (struct archive_item){
        .kind = ARCHIVE_DAMAGED,
        .first_sequence = first,
        .last_sequence = last,
        .passed_bytes = self->passed_bytes,
        .reason = reason,
    };
}

static bool is_damage(const struct archive_reader *self)
{
    return self->found == ARCHIVE_FOUND_DAMAGE || self->found == ARCHIVE_FOUND_TAIL;
}

/* A frame whose record went with the damage before it. */
static bool is_stray_note(const struct archive_reader *self)
{
    return self->found == ARCHIVE_FOUND_FRAME && self->frame.kind == ARCHIVE_FRAME_NOTE;
}

/* Damaged bytes: what they held lies between the records around them. Notes behind them, without
 * their record, are passed over too. */
static int pass_damage(struct archive_reader *self, struct archive_item *out, struct error *err)
{
    uint64_t first =
        self->last_sequence ? self->last_sequence + 1 : self->frames.header.first_sequence;
    uint64_t passed_bytes = 0;
    while (is_damage(self) || is_stray_note(self)) {
        passed_bytes += self->passed_bytes;
        self->has_ahead = false;
        if (look_ahead(self, err) != 0)
            return -1;
    }
    bool is_end_known = self->found == ARCHIVE_FOUND_FRAME;
    uint64_t last = is_end_known ? self->frame.sequence - 1 : UINT64_MAX;
    if (is_end_known && self->frame.kind == ARCHIVE_FRAME_END)
        last = self->frame.sequence; /* the last one in the file */
    report_lost(self, first, last, is_end_known ? "its check sum is wrong" : "the file breaks off",
                out);
    out->passed_bytes = passed_bytes;
    return 0;
}

/* Fills record from the frame ahead. Returns 0; 1 if it cannot be opened, reason says why; -1. */
static int open_record(struct archive_reader *self, struct journal_record *record,
                       struct error *err)
{
    struct record stored;
    struct error why = { 0 };
    const struct archive_frame *frame = &self->frame;
    (void)error_set(&why, ERROR_INVALID, "it was damaged in the journal already");
    bool is_whole =
        frame->length > 0 && record_decode(frame->payload, frame->length, frame->sequence, &stored);
    uint8_t *body = is_whole ? page_allocate(&self->page, record_body_bytes(&stored) + 1) : NULL;
    if (is_whole && !body)
        return error_set(err, ERROR_SYSTEM, "no memory to read an archive file");
    if (!is_whole || record_open(&stored, self->keyring, body, &why) != 0) {
        memcpy(self->reason, why.text, sizeof self->reason);
        return 1;
    }
    *record = (struct journal_record){
        .sequence = stored.sequence,
        .incarnation = stored.incarnation,
        .stored_at_ms = stored.stored_at_ms,
        .kind = stored.kind,
        .body = body,
        .body_bytes = record_body_bytes(&stored),
    };
    return 0;
}

/* A note that cannot be opened is left out, as the journal does. */
static int open_note(struct archive_reader *self, struct journal_record *record, struct error *err)
{
    const struct archive_frame *frame = &self->frame;
    struct journal_note note = { 0 };
    struct error why = { 0 };
    uint8_t *bytes = page_allocate(&self->page, note_room_bytes(frame->length) + 1);
    if (!bytes)
        return error_set(err, ERROR_SYSTEM, "no memory to read an archive file");
    uint8_t key[NOTE_KEY_BYTES];
    if (!note_find_key(frame->sequence, frame->payload, frame->length, key) ||
        note_decode(key, frame->payload, frame->length, self->keyring, bytes, &note.length, &why) !=
            0)
        return 0;
    note.bytes = bytes;
    note_key_read(key, &note.index, &note.kind);
    struct journal_note *slot = page_add_note(&self->page, record);
    if (!slot)
        return error_set(err, ERROR_SYSTEM, "no memory to read an archive file");
    *slot = note;
    return 0;
}

static int take_notes(struct archive_reader *self, struct journal_record *record, struct error *err)
{
    for (;;) {
        self->has_ahead = false;
        if (look_ahead(self, err) != 0)
            return -1;
        if (!is_stray_note(self) || self->frame.sequence != self->last_sequence)
            return 0;
        if (record && open_note(self, record, err) != 0)
            return -1;
    }
}

static int take_record(struct archive_reader *self, struct archive_item *out, struct error *err)
{
    struct journal_record record = { 0 };
    uint64_t sequence = self->frame.sequence;
    int rc = open_record(self, &record, err);
    if (rc < 0)
        return -1;
    self->last_sequence = sequence;
    self->passed_bytes = 0;
    if (rc > 0)
        report_lost(self, sequence, sequence, self->reason, out);
    if (take_notes(self, rc == 0 ? &record : NULL, err) != 0)
        return -1;
    if (rc == 0)
        *out = (struct archive_item){ .kind = ARCHIVE_RECORD, .record = record };
    return 0;
}

int archive_next(struct archive_reader *self, struct archive_item *out, struct error *err)
{
    journal_page_clear(&self->page);
    if (look_ahead(self, err) != 0)
        return -1;
    while (is_stray_note(self)) {
        self->has_ahead = false;
        if (look_ahead(self, err) != 0)
            return -1;
    }
    if (is_damage(self))
        return pass_damage(self, out, err);
    if (self->found == ARCHIVE_FOUND_FRAME && self->frame.kind != ARCHIVE_FRAME_END)
        return take_record(self, out, err);
    if (self->found == ARCHIVE_FOUND_FRAME) { /* what is behind an end mark is nobody's */
        self->is_closed = true;
        self->found = ARCHIVE_FOUND_END;
    }
    *out = (struct archive_item){ .kind = ARCHIVE_END, .is_closed = self->is_closed };
    return 0;
}
