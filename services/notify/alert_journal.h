/* alert_journal - what notify knows of alerts, as facts in its journal, and back again at start.
 * Other facts of notify will have their own record kinds. */
#ifndef DESG_NOTIFY_ALERT_JOURNAL_H
#define DESG_NOTIFY_ALERT_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/alert.pb-c.h"
#include "error/error.h"
#include "journal/journal.h"
#include "notify/alert_book.h"
#include "notify/rebuild.h"

enum {
    ALERT_JOURNAL_KIND = 1,
    SOURCE_JOURNAL_KIND = 2 /* a source of facts was heard of: its id, ID_BYTES */
};

/* Each queues one fact; done may be NULL. Errors are journal_append's. */
int alert_journal_alert(struct journal *journal, const Desg__V1__Alert *alert, journal_stored *done,
                        void *arg, struct error *err) MUST_USE;
int alert_journal_digest(struct journal *journal, const Desg__V1__AlertDigest *digest,
                         journal_stored *done, void *arg, struct error *err) MUST_USE;
int alert_journal_attempt(struct journal *journal, const Desg__V1__AlertAttempt *attempt,
                          struct error *err) MUST_USE;
int alert_journal_accepted(struct journal *journal, const Desg__V1__AlertAccepted *accepted,
                           struct error *err) MUST_USE;
int alert_journal_escalated(struct journal *journal, const Desg__V1__AlertEscalated *escalated,
                            struct error *err) MUST_USE;
int alert_journal_acknowledged(struct journal *journal, const Desg__V1__AlertAcknowledged *fact,
                               journal_stored *done, void *arg, struct error *err) MUST_USE;
int alert_journal_source(struct journal *journal, const struct id *source,
                         struct error *err) MUST_USE;

/* Queues all that is known of a live entry once more, so that its older records are needed no
 * longer. done is called once per record, *records times, the first with the alert's own. On
 * failure some may be queued: harmless, facts may be repeated. */
int alert_journal_carry(struct journal *journal, const struct alert_entry *entry, int64_t unix_ms,
                        journal_stored *done, void *arg, unsigned *records,
                        struct error *err) MUST_USE;

struct alert_replay {
    uint64_t records;
    uint64_t newest_sequence;
    uint64_t damaged; /* by the journal's own check */
    uint64_t unknown; /* of kinds or forms this version does not know: kept, passed over */
};

/* Applies every record to book, and sources to known. now_ms and now_unix_ms are the same moment.
 */
int alert_journal_replay(struct journal *journal, struct alert_book *book, struct rebuild *known,
                         int64_t now_ms, int64_t now_unix_ms, struct alert_replay *out,
                         struct error *err) MUST_USE;

#endif
