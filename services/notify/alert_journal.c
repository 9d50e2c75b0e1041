#include "notify/alert_journal.h"

#include <string.h>

#include "notify/fact_journal.h"

static int append(struct journal *journal, const Desg__V1__AlertFact *fact, journal_stored *done,
                  void *arg, struct error *err)
{
    return fact_journal_append(journal, ALERT_JOURNAL_KIND, &fact->base, done, arg, err);
}

int alert_journal_alert(struct journal *journal, const Desg__V1__Alert *alert, journal_stored *done,
                        void *arg, struct error *err)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ALERT;
    fact.alert = (Desg__V1__Alert *)alert;
    return append(journal, &fact, done, arg, err);
}

int alert_journal_digest(struct journal *journal, const Desg__V1__AlertDigest *digest,
                         journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_DIGEST;
    fact.digest = (Desg__V1__AlertDigest *)digest;
    return append(journal, &fact, done, arg, err);
}

int alert_journal_attempt(struct journal *journal, const Desg__V1__AlertAttempt *attempt,
                          struct error *err)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ATTEMPT;
    fact.attempt = (Desg__V1__AlertAttempt *)attempt;
    return append(journal, &fact, NULL, NULL, err);
}

static int append_accepted(struct journal *journal, const Desg__V1__AlertAccepted *accepted,
                           journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ACCEPTED;
    fact.accepted = (Desg__V1__AlertAccepted *)accepted;
    return append(journal, &fact, done, arg, err);
}

int alert_journal_accepted(struct journal *journal, const Desg__V1__AlertAccepted *accepted,
                           struct error *err)
{
    return append_accepted(journal, accepted, NULL, NULL, err);
}

static int append_escalated(struct journal *journal, const Desg__V1__AlertEscalated *escalated,
                            journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__AlertFact fact = DESG__V1__ALERT_FACT__INIT;
    fact.fact_case = DESG__V1__ALERT_FACT__FACT_ESCALATED;
    fact.escalated = (Desg__V1__AlertEscalated *)escalated;
    return append(journal, &fact, done, arg, err);
}

int alert_journal_escalated(struct journal *journal, const Desg__V1__AlertEscalated *escalated,
                            struct error *err)
{
    return append_escalated(journal, escalated, NULL, NULL, err);
}

int alert_journal_acknowledged(struct journal *journal, const Desg__V1__AlertAcknowledged *fact,
                               journal_stored *done, void *arg, struct error *err)
{
    Desg__V1__AlertFact whole = DESG__V1__ALERT_FACT__INIT;
    whole.fact_case = DESG__V1__ALERT_FACT__FACT_ACKNOWLEDGED;
    whole.acknowledged = (Desg__V1__AlertAcknowledged *)fact;
    return append(journal, &whole, done, arg, err);
}

int alert_journal_source(struct journal *journal, const struct id *source, struct error *err)
{
    return journal_append(journal, SOURCE_JOURNAL_KIND, source->bytes, ID_BYTES, NULL, NULL, err);
}

/* --- carrying forward --- */

/* Each body a path took, by the number it went under. */
static int carry_accepted(struct journal *journal, const struct alert_entry *entry, int64_t unix_ms,
                          journal_stored *done, void *arg, unsigned *records, struct error *err)
{
    for (unsigned i = 0; i < ALERT_BODY_COUNT; i++) {
        const struct alert_send *send = &entry->sends[i];
        enum alert_body body = (enum alert_body)i;
        bool is_earlier_update = !send->is_accepted && send->number > 1 && body == ALERT_UPDATED;
        if (!send->is_accepted && !is_earlier_update)
            continue;
        char key[ALERT_KEY_BYTES];
        alert_key(body, &entry->id, send->number - (is_earlier_update ? 1 : 0), key);
        Desg__V1__AlertAccepted accepted = DESG__V1__ALERT_ACCEPTED__INIT;
        accepted.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)entry->id.bytes };
        accepted.path = (char *)alert_path_name(alert_path_of(body));
        accepted.key = key;
        accepted.at_ms = unix_ms;
        if (append_accepted(journal, &accepted, done, arg, err) != 0)
            return -1;
        (*records)++;
    }
    return 0;
}

static int carry_steps(struct journal *journal, const struct alert_entry *entry, int64_t unix_ms,
                       journal_stored *done, void *arg, unsigned *records, struct error *err)
{
    if (entry->steps_taken == 0)
        return 0;
    Desg__V1__AlertEscalated escalated = DESG__V1__ALERT_ESCALATED__INIT;
    escalated.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)entry->id.bytes };
    escalated.step = entry->steps_taken;
    escalated.action =
        (char *)ladder_action_name(entry->is_escalated ? LADDER_SUPERVISOR : entry->last_action);
    escalated.at_ms = unix_ms;
    if (append_escalated(journal, &escalated, done, arg, err) != 0)
        return -1;
    (*records)++;
    return 0;
}

static int carry_acknowledged(struct journal *journal, const struct alert_entry *entry,
                              int64_t unix_ms, journal_stored *done, void *arg, unsigned *records,
                              struct error *err)
{
    if (entry->state < ALERT_ACKNOWLEDGED)
        return 0;
    Desg__V1__AlertAcknowledged fact = DESG__V1__ALERT_ACKNOWLEDGED__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)entry->id.bytes };
    fact.at_ms = unix_ms;
    fact.outcome = (char *)(entry->state == ALERT_RESOLVED ? "resolved" : "");
    if (alert_journal_acknowledged(journal, &fact, done, arg, err) != 0)
        return -1;
    (*records)++;
    return 0;
}

int alert_journal_carry(struct journal *journal, const struct alert_entry *entry, int64_t unix_ms,
                        journal_stored *done, void *arg, unsigned *records, struct error *err)
{
    *records = 0;
    int rc = entry->digest ? alert_journal_digest(journal, entry->digest, done, arg, err)
                           : alert_journal_alert(journal, entry->alert, done, arg, err);
    if (rc != 0)
        return -1;
    *records = 1;
    /* Steps first: an accepted reminder must not be wanted again at replay. */
    if (carry_steps(journal, entry, unix_ms, done, arg, records, err) != 0)
        return -1;
    if (carry_accepted(journal, entry, unix_ms, done, arg, records, err) != 0)
        return -1;
    return carry_acknowledged(journal, entry, unix_ms, done, arg, records, err);
}

/* --- at start --- */

static bool apply_source(const struct journal_record *record, struct rebuild *known)
{
    struct id source;
    if (record->kind != SOURCE_JOURNAL_KIND || record->is_damaged || record->body_bytes != ID_BYTES)
        return false;
    memcpy(source.bytes, record->body, ID_BYTES);
    rebuild_remember(known, &source);
    return true;
}

struct replaying {
    struct alert_book *book;
    struct rebuild *known;
    int64_t now_ms;
    int64_t now_unix_ms;
    struct alert_replay *out;
};

static void apply(void *arg, const struct journal_record *record)
{
    const struct replaying *self = arg;
    self->out->records++;
    self->out->newest_sequence = record->sequence;
    self->out->damaged += record->is_damaged;
    if (apply_source(record, self->known))
        return;
    Desg__V1__AlertFact *fact =
        fact_journal_fact(record, ALERT_JOURNAL_KIND, &desg__v1__alert_fact__descriptor);
    if (!fact) {
        self->out->unknown += !record->is_damaged;
        return;
    }
    alert_book_apply(self->book, fact, record->sequence,
                     fact_journal_stored_ms(record, self->now_ms, self->now_unix_ms),
                     record->stored_at_ms);
    desg__v1__alert_fact__free_unpacked(fact, NULL);
}

int alert_journal_replay(struct journal *journal, struct alert_book *book, struct rebuild *known,
                         int64_t now_ms, int64_t now_unix_ms, struct alert_replay *out,
                         struct error *err)
{
    *out = (struct alert_replay){ 0 };
    struct replaying replaying = { book, known, now_ms, now_unix_ms, out };
    return fact_journal_read(journal, apply, &replaying, err);
}
