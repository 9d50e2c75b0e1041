#include "notify/alert_projection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/alert_book.h"
#include "notify/alert_journal.h"
#include "notify/fact_journal.h"
#include "unpack/unpack.h"

/* What one fact says of an alert. */
struct saying {
    const ProtobufCBinaryData *id;
    const char *role; /* the field that names us; NULL: none */
    const char *state;
    const char *at_field;
    int64_t at_ms;
    json_t *fields;
};

static void put_word(json_t *fields, const char *name, const char *word)
{
    if (word[0] != '\0' && json_object_set_new(fields, name, json_string(word)) != 0)
        abort();
}

static void put_number(json_t *fields, const char *name, uint32_t number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%" PRIu32, number);
    put_word(fields, name, text);
}

static void put_time(json_t *fields, const char *name, int64_t at_ms)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, at_ms);
    put_word(fields, name, text);
}

/* How severe it is and which body it has: the function tells by them whether dispatch heard of it.
 */
static void put_told(json_t *fields, const Desg__V1__Alert *alert)
{
    char number[24];
    Desg__V1__Verdict *verdict =
        alert->verdict.len > 0
            ? unpack_or_end(&desg__v1__verdict__descriptor, alert->verdict.data, alert->verdict.len)
            : NULL;
    if (!verdict)
        return;
    (void)snprintf(number, sizeof number, "%d", (int)verdict->severity);
    put_word(fields, "severity", number);
    (void)snprintf(number, sizeof number, "%" PRIu32, alert->render_version);
    put_word(fields, "version", number);
    desg__v1__verdict__free_unpacked(verdict, NULL);
}

static struct saying of_opened(const Desg__V1__Alert *alert, int64_t stored_at_ms)
{
    bool is_told = alert->is_taken_over && alert->is_told;
    json_t *fields = json_object();
    put_told(fields, alert);
    if (alert->steps_taken > 0)
        put_number(fields, "steps", alert->steps_taken);
    if (alert->updates > 0)
        put_number(fields, "updates", alert->updates);
    return (struct saying){ .id = &alert->alert_id,
                            .role = alert->is_taken_over ? "teller" : "holder",
                            .state = alert_state_name(is_told ? ALERT_ACCEPTED : ALERT_OPEN),
                            .at_field = is_told ? "accepted_at_ms" : "notified_at_ms",
                            .at_ms = stored_at_ms,
                            .fields = fields };
}

/* Whoever takes the alert over must not use the number again: his verdict may be another. */
static struct saying of_updated(const Desg__V1__AlertAccepted *fact)
{
    json_t *fields = json_object();
    put_number(fields, "updates",
               (uint32_t)strtoul(fact->key + ID_TEXT_BYTES + 1, NULL, 10)); /* behind "<id>.u" */
    return (struct saying){ .id = &fact->alert_id,
                            .state = alert_state_name(ALERT_OPEN),
                            .at_field = "updated_at_ms",
                            .at_ms = fact->at_ms,
                            .fields = fields };
}

/* Only the first body is the alert; updates, reminders and the second path change no state. */
static struct saying of_accepted(const Desg__V1__AlertAccepted *fact)
{
    bool is_ours =
        strcmp(fact->path, ALERT_PATH_ELSEWHERE) != 0 && strlen(fact->key) > ID_TEXT_BYTES;
    if (is_ours && fact->key[ID_TEXT_BYTES] == 'u')
        return of_updated(fact);
    if (!is_ours || fact->key[ID_TEXT_BYTES] != 'v')
        return (struct saying){ 0 };
    json_t *fields = json_object();
    put_word(fields, "receipt", fact->receipt);
    return (struct saying){ .id = &fact->alert_id,
                            .role = "teller",
                            .state = alert_state_name(ALERT_ACCEPTED),
                            .at_field = "accepted_at_ms",
                            .at_ms = fact->at_ms,
                            .fields = fields };
}

static struct saying of_acknowledged(const Desg__V1__AlertAcknowledged *fact)
{
    bool is_outcome = fact->outcome[0] != '\0';
    json_t *fields = json_object();
    put_word(fields, "dispatcher", fact->dispatcher);
    put_word(fields, "log_number", fact->log_number);
    put_word(fields, "outcome", fact->outcome);
    return (struct saying){ .id = &fact->alert_id,
                            .state =
                                alert_state_name(is_outcome ? ALERT_RESOLVED : ALERT_ACKNOWLEDGED),
                            .at_field = is_outcome ? "resolved_at_ms" : "acknowledged_at_ms",
                            .at_ms = fact->at_ms,
                            .fields = fields };
}

static struct saying of_escalated(const Desg__V1__AlertEscalated *fact)
{
    bool is_last = strcmp(fact->action, ladder_action_name(LADDER_SUPERVISOR)) == 0;
    json_t *fields = json_object();
    put_number(fields, "steps", fact->step);
    return (struct saying){ .id = &fact->alert_id,
                            .role = "teller",
                            .state = is_last ? "escalated" : alert_state_name(ALERT_OPEN),
                            .at_field = is_last ? "escalated_at_ms" : "reminded_at_ms",
                            .at_ms = fact->at_ms,
                            .fields = fields };
}

/* Known by its own id too: a callback may name it, at any replica. */
static struct saying of_digest(const Desg__V1__AlertDigest *digest)
{
    return (struct saying){ .id = &digest->digest_id,
                            .role = "holder",
                            .state = alert_state_name(ALERT_OPEN),
                            .at_field = "notified_at_ms",
                            .at_ms = digest->at_ms,
                            .fields = json_object() };
}

static struct saying saying_of(const Desg__V1__AlertFact *fact, int64_t stored_at_ms)
{
    switch (fact->fact_case) {
    case DESG__V1__ALERT_FACT__FACT_ALERT:
        return of_opened(fact->alert, stored_at_ms);
    case DESG__V1__ALERT_FACT__FACT_ACCEPTED:
        return of_accepted(fact->accepted);
    case DESG__V1__ALERT_FACT__FACT_ACKNOWLEDGED:
        return of_acknowledged(fact->acknowledged);
    case DESG__V1__ALERT_FACT__FACT_ESCALATED:
        return of_escalated(fact->escalated);
    case DESG__V1__ALERT_FACT__FACT_DIGEST:
        return of_digest(fact->digest);
    default:
        return (struct saying){ 0 }; /* attempts: no state of an alert */
    }
}

/* What is said next, in one call. */
struct changes {
    struct store *store;
    struct store_alert_change items[STORE_APPLY_MAX]; /* fields owned */
    size_t count;
    bool is_begun; /* history is that of what was sent */
    char *history;
};

static void forget_changes(struct changes *self)
{
    for (size_t i = 0; i < self->count; i++)
        json_decref((json_t *)self->items[i].fields);
    self->count = 0;
}

static int send_changes(struct changes *self, struct error *err)
{
    char history[STORE_HISTORY_BYTES];
    size_t refused = 0; /* for good: no reason to hold up the others */
    if (self->count == 0)
        return 0;
    if (store_alert_states(self->store, self->items, self->count, &refused, history, err) != 0)
        return -1;
    forget_changes(self);
    /* A history never comes back: the same all along is the one that has it all. */
    if (self->is_begun && strcmp(history, self->history) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "Redis changed while states were written");
    memcpy(self->history, history, sizeof history);
    self->is_begun = true;
    return 0;
}

static int say(struct changes *self, const struct id *alert, const struct saying *saying,
               json_t *fields, struct error *err)
{
    if (self->count == STORE_APPLY_MAX && send_changes(self, err) != 0)
        return -1;
    self->items[self->count++] =
        (struct store_alert_change){ *alert, saying->state, json_incref(fields) };
    return 0;
}

static int say_of_members(struct changes *changes, const struct id *digest,
                          const struct id *members, size_t count, const struct saying *saying,
                          struct error *err)
{
    char text[ID_TEXT_BYTES];
    int rc = 0;
    json_t *fields = json_copy(saying->fields);
    id_text(digest->bytes, text);
    put_word(fields, "digest_id", text);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = say(changes, &members[i], saying, fields, err);
    json_decref(fields);
    return rc;
}

static int say_all(const struct alert_projection *self, struct changes *changes,
                   const struct saying *saying, struct error *err)
{
    struct id alert;
    struct id members[ALERT_PROJECTION_MEMBERS_MAX];
    memcpy(alert.bytes, saying->id->data, ID_BYTES);
    if (saying->role) {
        char own[ID_TEXT_BYTES];
        id_text(self->source.bytes, own);
        put_word(saying->fields, saying->role, own);
    }
    put_time(saying->fields, saying->at_field, saying->at_ms);
    if (say(changes, &alert, saying, saying->fields, err) != 0)
        return -1;
    size_t count = self->members(self->arg, &alert, members);
    return count > 0 ? say_of_members(changes, &alert, members, count, saying, err) : 0;
}

static int apply_record(const struct alert_projection *self, struct changes *changes,
                        const struct journal_record *record, struct error *err)
{
    Desg__V1__AlertFact *fact =
        fact_journal_fact(record, ALERT_JOURNAL_KIND, &desg__v1__alert_fact__descriptor);
    if (!fact)
        return 0; /* another kind, or of a later version: kept in the journal */
    struct saying saying = saying_of(fact, record->stored_at_ms);
    int rc = 0;
    if (saying.id && saying.id->len == ID_BYTES)
        rc = say_all(self, changes, &saying, err);
    json_decref(saying.fields);
    desg__v1__alert_fact__free_unpacked(fact, NULL);
    return rc;
}

int alert_projection_apply(void *arg, struct store *store, const struct journal_record *records,
                           size_t count, char history[STORE_HISTORY_BYTES], struct error *err)
{
    struct changes changes = { .store = store, .history = history };
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = apply_record(arg, &changes, &records[i], err);
    if (rc == 0)
        rc = send_changes(&changes, err);
    forget_changes(&changes);
    return rc;
}
