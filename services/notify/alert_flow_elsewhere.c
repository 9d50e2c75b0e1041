/* What others know of alerts: another replica of notify that told dispatch, a callback that came to
 * the wrong one, the desk. Redis carries it; a thread of its own asks. */
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "notify/alert_flow_inside.h"
#include "notify/alert_journal.h"
#include "notify/alert_projection.h"

size_t alert_flow_open_rows(struct alert_flow *self, size_t *cursor, struct alert_open_row *rows,
                            size_t max)
{
    size_t count = 0;
    const struct alert_entry *entry = NULL;
    (void)pthread_mutex_lock(&self->lock);
    for (; count < max && (entry = alert_book_live(self->book, *cursor)) != NULL; (*cursor)++)
        if (entry->state < ALERT_ACKNOWLEDGED && entry->storage == ALERT_STORED &&
            entry->kind != ALERT_STANDING_TEST)
            rows[count++] = (struct alert_open_row){ .id = entry->id,
                                                     .is_quiet = entry->is_quiet,
                                                     .promoted_unix_ms = entry->promoted_unix_ms };
    if (!alert_book_live(self->book, *cursor))
        *cursor = 0;
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

size_t alert_flow_members(struct alert_flow *self, const struct id *digest, struct id *out)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&self->lock);
    const struct alert_entry *entry = alert_book_find(self->book, digest);
    const Desg__V1__AlertDigest *named = entry ? entry->digest : NULL;
    for (size_t i = 0; named && i < named->n_alert_ids && count < ALERT_DIGEST_MAX_MEMBERS; i++) {
        struct id id;
        memcpy(id.bytes, named->alert_ids[i].data, ID_BYTES);
        const struct alert_entry *member = alert_book_find(self->book, &id);
        if (member && member->kind == ALERT_MEMBER) /* one that turned urgent goes its own way */
            out[count++] = id;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return count;
}

void alert_flow_looked_up(struct alert_flow *self, const struct callback_message *message,
                          struct callback_ticket *ticket, bool is_asked, bool is_known)
{
    enum callback_result result = is_asked ? CALLBACK_UNKNOWN : CALLBACK_NOT_STORED;
    bool is_answered = true;
    (void)pthread_mutex_lock(&self->lock);
    if (is_known) {
        is_answered = flow_store_callback(self, message, ticket) != 0;
        result = CALLBACK_NOT_STORED;
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (is_answered)
        callback_ticket_answer(ticket, result);
}

void alert_flow_heard_of(struct alert_flow *self, const struct id *source)
{
    struct error err = { 0 };
    (void)pthread_mutex_lock(&self->lock);
    if (alert_journal_source(self->options.journal, source, &err) != 0)
        flow_journal_refused(self, &err); /* in an hour again */
    (void)pthread_mutex_unlock(&self->lock);
}

/* So that a restart does not tell it again. */
static void journal_elsewhere(struct alert_flow *self, const struct alert_entry *entry)
{
    struct error err = { 0 };
    char key[ALERT_KEY_BYTES];
    alert_key(ALERT_RAISED, &entry->id, 0, key);
    Desg__V1__AlertAccepted fact = DESG__V1__ALERT_ACCEPTED__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)entry->id.bytes };
    fact.path = (char *)ALERT_PATH_ELSEWHERE;
    fact.key = key;
    fact.at_ms = clock_unix_ms();
    if (alert_journal_accepted(self->options.journal, &fact, &err) != 0)
        flow_journal_refused(self, &err); /* after a restart it asks again */
}

void alert_flow_elsewhere(struct alert_flow *self, const struct alert_elsewhere *news)
{
    char id[ID_TEXT_BYTES];
    id_text(news->message.alert.bytes, id);
    (void)pthread_mutex_lock(&self->lock);
    int64_t now_ms = clock_monotonic_ms();
    struct alert_entry *entry = alert_book_find(self->book, &news->message.alert);
    bool is_open = entry && entry->is_live && entry->state < ALERT_ACKNOWLEDGED;
    if (is_open && news->is_acknowledged) {
        log_info("alert_acknowledged_elsewhere", KV("alert", id));
        counter_add(self->metrics.elsewhere, 1);
        (void)flow_store_callback(self, &news->message, NULL); /* not stored: asked again */
    } else if (is_open && entry->is_quiet && news->is_accepted) {
        log_info("alert_told_elsewhere", KV("alert", id));
        counter_add(self->metrics.elsewhere, 1);
        journal_elsewhere(self, entry);
        alert_book_elsewhere(self->book, entry, now_ms);
    } else if (is_open && entry->is_quiet) {
        alert_book_end_quiet(self->book, entry, now_ms);
    }
    (void)pthread_mutex_unlock(&self->lock);
}
