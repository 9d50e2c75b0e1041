#include <stdlib.h>
#include <string.h>

#include "notify/alert_book_inside.h"

static void apply_accepted(struct alert_book *self, const Desg__V1__AlertAccepted *fact,
                           struct alert_entry *entry, int64_t at_ms)
{
    if (strcmp(fact->path, ALERT_PATH_ELSEWHERE) == 0) {
        alert_book_elsewhere(self, entry, at_ms);
        return;
    }
    if (strlen(fact->key) < ID_TEXT_BYTES + 1)
        return;
    const char *suffix = fact->key + ID_TEXT_BYTES; /* after "<id>." */
    uint32_t number = (uint32_t)strtoul(suffix + 1, NULL, 10);
    if (suffix[0] == 'v')
        book_raised_accepted(self, entry, at_ms);
    enum alert_body body = suffix[0] == 'u'   ? ALERT_UPDATED
                           : suffix[0] == 'r' ? ALERT_REMINDER
                                              : ALERT_SECOND;
    if (suffix[0] == 'v' || number < entry->sends[body].number)
        return;
    entry->sends[body] = (struct alert_send){ .is_accepted = true, .number = number };
}

static void apply_escalated(struct alert_book *self, const Desg__V1__AlertEscalated *fact,
                            struct alert_entry *entry, int64_t at_ms)
{
    enum ladder_action action = LADDER_AGAIN;
    if (strcmp(fact->action, ladder_action_name(LADDER_SECOND_PATH)) == 0)
        action = LADDER_SECOND_PATH;
    else if (strcmp(fact->action, ladder_action_name(LADDER_SUPERVISOR)) == 0)
        action = LADDER_SUPERVISOR;
    if (fact->step > entry->steps_taken && entry->state < ALERT_ACKNOWLEDGED)
        book_take_step(self, entry, fact->step, action, at_ms);
}

static struct alert_entry *entry_named(struct alert_book *self, const ProtobufCBinaryData *id_bytes)
{
    struct id id;
    if (id_bytes->len != ID_BYTES)
        return NULL;
    memcpy(id.bytes, id_bytes->data, ID_BYTES);
    return alert_table_find(&self->table, &id);
}

/* Also of an alert not known: another replica had it, and it must not be told again here. */
static struct alert_entry *
apply_acknowledged(struct alert_book *self, const Desg__V1__AlertAcknowledged *fact, int64_t at_ms)
{
    struct alert_entry *entry = entry_named(self, &fact->alert_id);
    bool is_outcome = fact->outcome[0] != '\0';
    if (entry) {
        entry->acknowledgements++;
        (void)alert_book_acknowledge(self, entry, is_outcome, at_ms); /* a repeat is fine */
    } else if (fact->alert_id.len == ID_BYTES) {
        struct id id;
        memcpy(id.bytes, fact->alert_id.data, ID_BYTES);
        alert_book_acknowledge_unknown(self, &id, is_outcome, at_ms);
    }
    return entry;
}

static void apply_alert(struct alert_book *self, const Desg__V1__Alert *alert, uint64_t sequence,
                        int64_t at_ms, int64_t at_unix_ms)
{
    struct alert_entry *entry = NULL;
    if (alert->alert_id.len != ID_BYTES)
        return;
    /* Also of one known already: a member of an acknowledged digest that turned urgent waits for
     * its record. */
    if (alert_book_take(self, alert, at_ms, at_unix_ms, &entry) != ALERT_KNOWN)
        alert_book_stored(self, &entry->id, sequence);
}

static bool is_sound_digest(const Desg__V1__AlertDigest *digest)
{
    for (size_t i = 0; i < digest->n_alert_ids; i++)
        if (digest->alert_ids[i].len != ID_BYTES)
            return false;
    return digest->digest_id.len == ID_BYTES;
}

static void apply_digest(struct alert_book *self, const Desg__V1__AlertDigest *digest,
                         uint64_t sequence, int64_t at_ms, int64_t at_unix_ms)
{
    if (!is_sound_digest(digest))
        return;
    struct alert_entry *entry = digest_add(self, digest, at_ms, at_unix_ms);
    if (!entry)
        return;
    alert_book_stored(self, &entry->id, sequence);
    for (size_t i = 0; i < digest->n_alert_ids; i++) {
        struct id id;
        memcpy(id.bytes, digest->alert_ids[i].data, ID_BYTES);
        gather_remove(self, &id);
    }
}

void alert_book_apply(struct alert_book *self, const Desg__V1__AlertFact *fact, uint64_t sequence,
                      int64_t at_ms, int64_t at_unix_ms)
{
    struct alert_entry *entry = NULL;
    switch (fact->fact_case) {
    case DESG__V1__ALERT_FACT__FACT_ALERT:
        apply_alert(self, fact->alert, sequence, at_ms, at_unix_ms);
        break;
    case DESG__V1__ALERT_FACT__FACT_DIGEST:
        apply_digest(self, fact->digest, sequence, at_ms, at_unix_ms);
        break;
    case DESG__V1__ALERT_FACT__FACT_ACCEPTED:
        entry = entry_named(self, &fact->accepted->alert_id);
        if (entry)
            apply_accepted(self, fact->accepted, entry, at_ms);
        break;
    case DESG__V1__ALERT_FACT__FACT_ACKNOWLEDGED:
        entry = apply_acknowledged(self, fact->acknowledged, at_ms);
        break;
    case DESG__V1__ALERT_FACT__FACT_ESCALATED:
        entry = entry_named(self, &fact->escalated->alert_id);
        if (entry)
            apply_escalated(self, fact->escalated, entry, at_ms);
        break;
    default: /* attempts tell the story to people; a restart begins its tries anew */
        break;
    }
    if (entry)
        book_settle(self, entry, at_ms);
}
