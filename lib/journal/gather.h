/* gather - what waits for the committer: groups of copied bodies and notes, filled in order of
 * arrival. A group holds at most GROUP_APPENDS records, GROUP_NOTES notes and GROUP_ARENA_BYTES;
 * what does not fit begins the next one. Threads: the caller's lock guards a gathering; a group
 * taken out belongs to who took it. */
#ifndef DESG_JOURNAL_GATHER_H
#define DESG_JOURNAL_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "journal/journal.h"

enum {
    GROUP_APPENDS = 1024,
    GROUP_NOTES = 1024,
    GROUP_ARENA_BYTES = 8 << 20,
    GATHERING_MAX_BYTES = 64 << 20,
    WAITING_COST_BYTES = 256, /* what a record or note counts for besides its bytes */
};

struct append {
    journal_stored *done;
    void *arg;
    size_t offset; /* of the body in the arena */
    uint32_t length;
    uint16_t kind;
    uint64_t sequence; /* the committer's; 0 until it has one */
};

struct waiting_note {
    uint64_t sequence;
    size_t offset;
    uint32_t index;
    uint32_t length;
    uint16_t kind;
};

struct group {
    struct group *next;
    size_t append_count;
    size_t note_count;
    size_t arena_used;
    size_t cost_bytes; /* what it counts for in the limit */
    uint8_t *arena;
    struct append appends[GROUP_APPENDS];
    struct waiting_note notes[GROUP_NOTES];
};

struct gathering {
    struct group *head;
    struct group *tail;
    struct group *spare; /* kept for the next: no allocation per group in the long run */
    size_t waiting_bytes;
};

/* -1, ERROR_UNAVAILABLE: over GATHERING_MAX_BYTES, or no memory. */
int gathering_append(struct gathering *self, const struct append *append, const void *body,
                     struct error *err) MUST_USE;
int gathering_note(struct gathering *self, const struct waiting_note *note, const void *bytes,
                   struct error *err) MUST_USE;

/* Takes the oldest group out; NULL if none. Its bytes count as waiting until it is given back. */
struct group *gathering_take(struct gathering *self);
void gathering_give_back(struct gathering *self, struct group **group_p);
void gathering_clear(struct gathering *self);

#endif
