/* carries - what is known of something live, written to the journal once more so that its older
 * records can go: all its records have to be there before the first of them counts as its place.
 * The lock is the owner's and is held for every call but carries_stored and carries_clear. */
#ifndef DESG_NOTIFY_CARRIES_H
#define DESG_NOTIFY_CARRIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ids/ids.h"
#include "journal/journal.h"
#include "notify/inbox.h"

struct carry;

struct carries {
    pthread_mutex_t *lock; /* borrowed, as the inbox */
    struct inbox *inbox;   /* of the loop on which moved is called */
    /* All records of id are stored, the first with this sequence; old_sequence is as begun. With
     * the lock held. */
    void (*moved)(void *arg, const struct id *id, uint64_t old_sequence, uint64_t sequence);
    void *arg;
    struct carry *first; /* the module's own */
    size_t count;        /* under way */
};

/* The result goes to carries_stored as its argument with each record, then to carries_queued. */
struct carry *carries_begin(struct carries *self, const struct id *id, uint64_t old_sequence);

/* journal_stored of one record: any thread. */
void carries_stored(void *carry, enum journal_outcome outcome, uint64_t sequence);

/* So many records are on their way; is_whole says that these are all of them, without which
 * nothing is moved. The carry may be gone after it. */
void carries_queued(struct carry *carry, unsigned records, bool is_whole);

/* Frees what is under way; its records will not come back any more. */
void carries_clear(struct carries *self);

#endif
