#include "notify/carries.h"

#include <stdlib.h>

struct carry {
    struct carry *next;
    struct carries *carries;
    struct id id;
    uint64_t old_sequence;
    uint64_t first_sequence;
    unsigned wanted; /* 0 as long as it is not known */
    unsigned done;
    bool has_failed;
};

/* What became of one record, on its way from the committer to the loop. */
struct stored_record {
    struct inbox_item item;
    struct carry *carry;
    enum journal_outcome outcome;
    uint64_t sequence;
};

struct carry *carries_begin(struct carries *self, const struct id *id, uint64_t old_sequence)
{
    struct carry *carry = calloc(1, sizeof *carry);
    if (!carry)
        abort();
    carry->carries = self;
    carry->id = *id;
    carry->old_sequence = old_sequence;
    carry->next = self->first;
    self->first = carry;
    self->count++;
    return carry;
}

static void end_if_done(struct carry *carry)
{
    struct carries *self = carry->carries;
    if (carry->done < carry->wanted)
        return;
    if (!carry->has_failed)
        self->moved(self->arg, &carry->id, carry->old_sequence, carry->first_sequence);
    struct carry **link = &self->first;
    while (*link != carry)
        link = &(*link)->next;
    *link = carry->next;
    self->count--;
    free(carry);
}

void carries_queued(struct carry *carry, unsigned records, bool is_whole)
{
    carry->wanted = records;
    if (!is_whole)
        carry->has_failed = true;
    end_if_done(carry); /* nothing was queued */
}

static void run_stored(struct inbox_item *item)
{
    struct stored_record *record = (struct stored_record *)item;
    struct carry *carry = record->carry;
    pthread_mutex_t *lock = carry->carries->lock;
    (void)pthread_mutex_lock(lock);
    carry->done++;
    if (record->outcome != JOURNAL_STORED)
        carry->has_failed = true;
    else if (carry->first_sequence == 0)
        carry->first_sequence = record->sequence;
    end_if_done(carry);
    (void)pthread_mutex_unlock(lock);
    free(record);
}

static void discard_stored(struct inbox_item *item)
{
    free(item);
}

void carries_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct carry *carry = arg;
    struct stored_record *record = calloc(1, sizeof *record);
    if (!record)
        abort();
    *record = (struct stored_record){ .item = { .run = run_stored, .discard = discard_stored },
                                      .carry = carry,
                                      .outcome = outcome,
                                      .sequence = sequence };
    inbox_post(carry->carries->inbox, &record->item);
}

void carries_clear(struct carries *self)
{
    while (self->first) {
        struct carry *carry = self->first;
        self->first = carry->next;
        free(carry);
    }
    self->count = 0;
}
