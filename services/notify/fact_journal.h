/* fact_journal - what notify's two journals do alike: a message becomes a record, and at start all
 * records are read again. Threads: as journal.h says. */
#ifndef DESG_NOTIFY_FACT_JOURNAL_H
#define DESG_NOTIFY_FACT_JOURNAL_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "error/error.h"
#include "journal/journal.h"

/* Queues fact, packed, as a record of kind; done may be NULL. Errors are journal_append's, and
 * ERROR_UNAVAILABLE without memory. */
int fact_journal_append(struct journal *journal, uint16_t kind, const ProtobufCMessage *fact,
                        journal_stored *done, void *arg, struct error *err) MUST_USE;

/* Shows every record that is stored, in order, damaged ones too. -1: the journal cannot be read;
 * what was shown by then stays shown. */
int fact_journal_read(struct journal *journal,
                      void (*visit)(void *arg, const struct journal_record *record), void *arg,
                      struct error *err) MUST_USE;

/* The fact in a record of kind, to be freed with its own free_unpacked(fact, NULL). NULL: the
 * record is damaged, of another kind, or of a later version; without memory the process ends
 * (unpack_or_end). */
void *fact_journal_fact(const struct journal_record *record, uint16_t kind,
                        const ProtobufCMessageDescriptor *descriptor) MUST_USE;

/* The moment a record was stored, by the clock that says now_ms: now_ms and now_unix_ms are the
 * same moment. Never later than now: a wall clock set back since then must not make the record
 * younger. */
int64_t fact_journal_stored_ms(const struct journal_record *record, int64_t now_ms,
                               int64_t now_unix_ms);

#endif
