#include "notify/outbox_journal.h"

#include <string.h>

#include "notify/fact_journal.h"

static int append(struct journal *journal, const Desg__V1__OutwardFact *fact, journal_stored *done,
                  void *arg, struct error *err)
{
    return fact_journal_append(journal, OUTBOX_JOURNAL_KIND, &fact->base, done, arg, err);
}

int outbox_journal_accepted(struct journal *journal, const Desg__V1__OutboxItem *item,
                            journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_ACCEPTED;
    fact.accepted = (Desg__V1__OutboxItem *)item;
    return append(journal, &fact, done, arg, err);
}

static ProtobufCBinaryData id_bytes(const struct id *id)
{
    return (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)id->bytes };
}

int outbox_journal_intent(struct journal *journal, const struct outbox_item *item,
                          const uint8_t body_hash[static 32], uint64_t owner_fence,
                          int64_t at_unix_ms, journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__SendIntent intent = DESG__V1__SEND_INTENT__INIT;
    intent.item_id = id_bytes(&item->id);
    intent.part = item->part;
    intent.parts = item->parts;
    intent.body_hash = (ProtobufCBinaryData){ 32, (uint8_t *)body_hash };
    intent.owner_fence = owner_fence;
    intent.at_ms = at_unix_ms;
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_INTENT;
    fact.intent = &intent;
    return append(journal, &fact, done, arg, err);
}

int outbox_journal_tell(struct journal *journal, const struct outbox_tell *tell,
                        journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__SendResult result = DESG__V1__SEND_RESULT__INIT;
    result.item_id = id_bytes(&tell->item);
    result.part = tell->part;
    result.outcome = tell->outcome;
    result.at_ms = tell->at_unix_ms;
    result.object_id = (char *)tell->object_id;
    result.http_status = tell->http_status;
    result.code = tell->code;
    result.error = (char *)tell->error;
    result.again_at_ms = tell->again_unix_ms;
    result.is_last = tell->is_last;
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_RESULT;
    fact.result = &result;
    return append(journal, &fact, done, arg, err);
}

int outbox_journal_settled(struct journal *journal, const Desg__V1__SendSettled *settled,
                           struct error *err)
{
    Desg__V1__OutwardFact fact = DESG__V1__OUTWARD_FACT__INIT;
    fact.fact_case = DESG__V1__OUTWARD_FACT__FACT_SETTLED;
    fact.settled = (Desg__V1__SendSettled *)settled;
    return append(journal, &fact, NULL, NULL, err);
}

/* --- carrying forward --- */

static int carry_sent(struct journal *journal, const struct outbox_item *item, journal_stored *done,
                      void *arg, unsigned *records, struct error *err)
{
    for (uint32_t part = 0; part < item->part && item->objects; part++) {
        struct outbox_tell tell = { .item = item->id,
                                    .part = part,
                                    .outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT,
                                    .at_unix_ms = item->receipt_unix_ms };
        memcpy(tell.object_id, item->objects[part], sizeof tell.object_id);
        if (outbox_journal_tell(journal, &tell, done, arg, err) != 0)
            return -1;
        (*records)++;
    }
    return 0;
}

static int carry_open(struct journal *journal, const struct outbox_item *item, journal_stored *done,
                      void *arg, unsigned *records, struct error *err)
{
    static const uint8_t no_hash[32];
    if (!item->is_open)
        return 0;
    if (outbox_journal_intent(journal, item, no_hash, item->begun_fence, item->called_unix_ms, done,
                              arg, err) != 0)
        return -1;
    (*records)++;
    if (item->stage != OUTBOX_HOLD)
        return 0;
    const struct outbox_tell tell = { .item = item->id,
                                      .part = item->part,
                                      .outcome = DESG__V1__SEND_OUTCOME__SEND_OUTCOME_UNKNOWN,
                                      .at_unix_ms = item->stamp_unix_ms,
                                      .http_status = item->http_status,
                                      .code = item->code };
    if (outbox_journal_tell(journal, &tell, done, arg, err) != 0)
        return -1;
    (*records)++;
    return 0;
}

int outbox_journal_carry(struct journal *journal, const struct outbox_item *item,
                         journal_stored *done, void *arg, unsigned *records, struct error *err)
{
    *records = 0;
    if (outbox_journal_accepted(journal, item->what, done, arg, err) != 0)
        return -1;
    *records = 1;
    if (carry_sent(journal, item, done, arg, records, err) != 0)
        return -1;
    return carry_open(journal, item, done, arg, records, err);
}

/* --- at start --- */

struct replaying {
    struct outbox_book *book;
    int64_t now_ms;
    int64_t unix_ms;
    struct outbox_replayed *out;
};

static void apply(void *arg, const struct journal_record *record)
{
    const struct replaying *self = arg;
    self->out->records++;
    self->out->newest_sequence = record->sequence;
    self->out->damaged += record->is_damaged;
    Desg__V1__OutwardFact *fact =
        fact_journal_fact(record, OUTBOX_JOURNAL_KIND, &desg__v1__outward_fact__descriptor);
    if (!fact) {
        self->out->unknown += !record->is_damaged;
        return;
    }
    outbox_book_replay(self->book, fact, record->sequence,
                       fact_journal_stored_ms(record, self->now_ms, self->unix_ms));
    desg__v1__outward_fact__free_unpacked(fact, NULL);
}

int outbox_journal_replay(struct journal *journal, struct outbox_book *book, int64_t now_ms,
                          int64_t unix_ms, struct outbox_replayed *out, struct error *err)
{
    *out = (struct outbox_replayed){ 0 };
    struct replaying replaying = { book, now_ms, unix_ms, out };
    return fact_journal_read(journal, apply, &replaying, err);
}
