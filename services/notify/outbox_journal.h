/* outbox_journal - what notify knows of what goes out, as facts in a journal of its own, and back
 * again at start. */
#ifndef DESG_NOTIFY_OUTBOX_JOURNAL_H
#define DESG_NOTIFY_OUTBOX_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "journal/journal.h"
#include "notify/outbox_book.h"

enum { OUTBOX_JOURNAL_KIND = 1 };

/* Each queues one fact; done may be NULL. Errors are journal_append's. */
int outbox_journal_accepted(struct journal *journal, const Desg__V1__OutboxItem *item,
                            journal_stored *done, void *arg, struct error *err) MUST_USE;
int outbox_journal_intent(struct journal *journal, const struct outbox_item *item,
                          const uint8_t body_hash[static 32], uint64_t owner_fence,
                          int64_t at_unix_ms, journal_stored *done, void *arg,
                          struct error *err) MUST_USE;
int outbox_journal_tell(struct journal *journal, const struct outbox_tell *tell,
                        journal_stored *done, void *arg, struct error *err) MUST_USE;
int outbox_journal_settled(struct journal *journal, const Desg__V1__SendSettled *settled,
                           struct error *err) MUST_USE;
/* All that is known of an open item once more, so that its older records are needed no longer. done
 * is called once per record, *records times, the first with the item's own. */
int outbox_journal_carry(struct journal *journal, const struct outbox_item *item,
                         journal_stored *done, void *arg, unsigned *records,
                         struct error *err) MUST_USE;

struct outbox_replayed {
    uint64_t records;
    uint64_t newest_sequence;
    uint64_t damaged;
    uint64_t unknown; /* of a later version: kept, passed over */
};
/* Applies every record to book. now_ms and unix_ms are the same moment. */
int outbox_journal_replay(struct journal *journal, struct outbox_book *book, int64_t now_ms,
                          int64_t unix_ms, struct outbox_replayed *out, struct error *err) MUST_USE;

#endif
