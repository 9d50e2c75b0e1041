/* age - how old records are, by time that the journal itself saw passing. A wall clock may jump by
 * days; retention that believed it would delete young records, or keep old ones for ever. So time
 * is what the monotonic clock showed between commits while the journal was open, and marks say how
 * far the sequence was when so much time had been seen. Time while closed does not count: records
 * are kept longer than told, never shorter. Pure. Threads: the owner's. */
#ifndef DESG_JOURNAL_AGE_H
#define DESG_JOURNAL_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGE_MARKS_MAX = 72 };

/* When seen_ms had passed, all records below next_sequence were stored. */
struct age_mark {
    int64_t seen_ms;
    uint64_t next_sequence;
};

struct age {
    int64_t seen_ms;    /* time seen passing since the journal was made */
    int64_t ticked_ms;  /* monotonic, of the last tick; 0: none since it was opened */
    int64_t unsaved_ms; /* seen since age_saved */
    bool is_mark_unsaved;
    size_t mark_count;
    struct age_mark marks[AGE_MARKS_MAX]; /* rising */
};

/* Counts the time since the last tick; a step that no living journal takes counts as a minute. */
void age_tick(struct age *self, int64_t monotonic_ms);

/* Remembers that the sequence has come to next_sequence, as often as retention_ms needs it. */
void age_mark(struct age *self, uint64_t next_sequence, int64_t retention_ms);

/* All records up to and including this one are at least retention_ms old; 0: none. */
uint64_t age_old_through(const struct age *self, int64_t retention_ms);

/* Is there something that a crash should not forget? */
bool age_is_save_due(const struct age *self);
void age_saved(struct age *self);

/* As it lies in the file; out holds AGE_STORED_MAX_BYTES. Returns the length. */
enum { AGE_STORED_MAX_BYTES = 16 + AGE_MARKS_MAX * 16 };
size_t age_encode(const struct age *self, uint8_t *out);
/* Returns false and leaves *out empty if the bytes are damaged. */
bool age_decode(const void *bytes, size_t length, struct age *out);

#endif
