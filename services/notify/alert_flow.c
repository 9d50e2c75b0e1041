#include "notify/alert_flow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "crypto/crypto.h"
#include "log/log.h"
#include "notify/alert_flow_inside.h"
#include "notify/alert_journal.h"
#include "unpack/unpack.h"

enum {
    ALARM_PAUSE_MS = 60000,
    FORGET_PAUSE_MS = 60000,
    RAW_MAX_BYTES = 4096,
    UNSTORED_MAX_PER_TICK = 64,
    CARRIES_MAX = 64,
    CARRY_SLACK_RECORDS = 1000,
    CARRY_SLACK_PER_ALERT = 8,
    OUTCOMES_MAX = 16
};

/* --- whom to tell --- */

static void tell(struct alert_flow *self, const struct flow_waiter *waiter, bool is_stored)
{
    const struct alert_flow_sinks *sinks = &self->options.sinks;
    if (waiter->peer == 0 && waiter->stream_id[0] != '\0')
        sinks->stream_done(sinks->arg, waiter->stream_id, is_stored);
    else if (waiter->peer != 0 && is_stored)
        sinks->alerted(sinks->arg, waiter->peer, &waiter->alert);
}

static void wait_for(struct alert_flow *self, const struct flow_waiter *waiter)
{
    for (const struct flow_waiter *other = self->waiters; other; other = other->next)
        if (waiter->peer != 0 && waiter->peer == other->peer &&
            memcmp(waiter->alert.bytes, other->alert.bytes, ID_BYTES) == 0)
            return; /* ordered again while the disk is slow */
    struct flow_waiter *copy = malloc(sizeof *copy);
    if (!copy)
        abort();
    *copy = *waiter;
    copy->next = self->waiters;
    self->waiters = copy;
}

static void tell_waiters(struct alert_flow *self, const struct id *alert, bool is_stored)
{
    struct flow_waiter **link = &self->waiters;
    while (*link) {
        struct flow_waiter *waiter = *link;
        if (memcmp(waiter->alert.bytes, alert->bytes, ID_BYTES) != 0) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        tell(self, waiter, is_stored);
        free(waiter);
    }
}

/* --- journalling an alert --- */

/* Comes back from the committer with what became of a record. */
struct stored_note {
    struct inbox_item item;
    struct alert_flow *flow;
    struct flow_waiter waiter; /* its alert is the note's */
    enum journal_outcome outcome;
    uint64_t sequence;
};

void flow_journal_refused(struct alert_flow *self, const struct error *err)
{
    int64_t now_ms = clock_monotonic_ms();
    counter_add(self->metrics.not_journalled, 1);
    if (self->has_journal_alarmed && now_ms - self->journal_alarmed_ms < ALARM_PAUSE_MS)
        return;
    self->has_journal_alarmed = true;
    self->journal_alarmed_ms = now_ms;
    log_error("journal_refused", KV("error", err->text),
              KV("remedy", "alerts are posted all the same; make room for the journal"));
}

static void run_stored(struct inbox_item *item)
{
    struct stored_note *note = (struct stored_note *)item;
    struct alert_flow *self = note->flow;
    bool is_stored = note->outcome == JOURNAL_STORED;
    (void)pthread_mutex_lock(&self->lock);
    self->storing--;
    if (is_stored) {
        alert_book_stored(self->book, &note->waiter.alert, note->sequence);
        self->newest_sequence = note->sequence;
    } else {
        const struct error err = { .kind = ERROR_UNAVAILABLE, .text = "a group was not stored" };
        alert_book_unstored(self->book, &note->waiter.alert);
        flow_journal_refused(self, &err);
    }
    tell(self, &note->waiter, is_stored);
    tell_waiters(self, &note->waiter.alert, is_stored);
    (void)pthread_mutex_unlock(&self->lock);
    free(note);
}

static void discard_note(struct inbox_item *item)
{
    free(item);
}

static void on_stored(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct stored_note *note = arg;
    note->outcome = outcome;
    note->sequence = sequence;
    inbox_post(note->flow->options.inbox, &note->item);
}

/* alert or digest, one of them. */
static int store(struct alert_flow *self, const struct id *id, const Desg__V1__Alert *alert,
                 const Desg__V1__AlertDigest *digest, const struct flow_waiter *waiter)
{
    struct error err = { 0 };
    struct stored_note *note = calloc(1, sizeof *note);
    if (!note)
        abort();
    note->item.run = run_stored;
    note->item.discard = discard_note;
    note->flow = self;
    if (waiter)
        note->waiter = *waiter;
    note->waiter.alert = *id;
    int rc = alert ? alert_journal_alert(self->options.journal, alert, on_stored, note, &err)
                   : alert_journal_digest(self->options.journal, digest, on_stored, note, &err);
    if (rc == 0) {
        self->storing++;
        return 0;
    }
    free(note);
    flow_journal_refused(self, &err);
    alert_book_unstored(self->book, id);
    if (waiter)
        tell(self, waiter, false);
    return -1;
}

int flow_store_digest(struct alert_flow *self, struct alert_entry *entry)
{
    return store(self, &entry->id, NULL, entry->digest, NULL);
}

/* --- intake --- */

static void note_taken_over(const struct alert_entry *entry)
{
    char id[ID_TEXT_BYTES];
    id_text(entry->id.bytes, id);
    log_info("alert_taken_over", KV("alert", id), KV("told", entry->state >= ALERT_ACCEPTED),
             KV("steps", entry->steps_taken), KV("updates", entry->alert->updates));
}

static void take_new(struct alert_flow *self, const struct alert_entry *entry,
                     enum flow_path_in path_in)
{
    char id[ID_TEXT_BYTES];
    id_text(entry->id.bytes, id);
    counter_add(self->metrics.alerts[path_in], 1);
    counter_add(self->metrics.digest_members, entry->kind == ALERT_MEMBER);
    char trace[TRACE_TEXT_BYTES];
    trace_text(alert_trace(entry->alert), trace);
    log_info("alert_opened", KV("alert", id), KV("trace", trace),
             KV("path", path_in == PATH_IN_STREAM ? "stream" : "provisional"),
             KV("digest_member", entry->kind == ALERT_MEMBER),
             KV("life_at_risk", entry->is_life_at_risk),
             KV("replayed", (bool)entry->alert->is_replayed), KV("quiet", entry->is_quiet));
}

void flow_take(struct alert_flow *self, const Desg__V1__Alert *alert, enum flow_path_in path_in,
               const struct flow_waiter *waiter)
{
    struct alert_entry *entry = NULL;
    enum alert_intake intake =
        alert_book_take(self->book, alert, clock_monotonic_ms(), clock_unix_ms(), &entry);
    if (intake == ALERT_NEW)
        take_new(self, entry, path_in);
    if (intake != ALERT_KNOWN && alert->is_taken_over)
        note_taken_over(entry);
    if (intake != ALERT_KNOWN || (entry->storage == ALERT_UNSTORED && entry->alert)) {
        (void)store(self, &entry->id, entry->alert, NULL, waiter); /* on -1 all are told already */
        return;
    }
    if (entry->storage == ALERT_STORING) {
        wait_for(self, waiter);
        return;
    }
    tell(self, waiter, entry->storage == ALERT_STORED);
}

/* Whatever an order lacks must not keep it from dispatch: an event nobody can read becomes one that
 * says so, an order without an id gets the one its event asks for. */
struct sound_alert {
    Desg__V1__Alert alert;
    struct id id;
    uint8_t *event; /* made here, or NULL */
};

static struct id id_of_bytes(const uint8_t *bytes, size_t length)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(bytes, length, digest);
    return id_of_alert(digest);
}

static void replace_event(struct sound_alert *sound, const uint8_t *raw, size_t length)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE;
    event.raw =
        (ProtobufCBinaryData){ length < RAW_MAX_BYTES ? length : RAW_MAX_BYTES, (uint8_t *)raw };
    sound->event = malloc(desg__v1__event__get_packed_size(&event) + 1);
    if (!sound->event)
        abort();
    sound->alert.event.len = desg__v1__event__pack(&event, sound->event);
    sound->alert.event.data = sound->event;
}

static void make_sound(struct sound_alert *sound, const Desg__V1__Alert *order)
{
    *sound = (struct sound_alert){ .alert = *order };
    sound->alert.is_standing_test = 0; /* only ours are: a real alert is never marked a test */
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, order->event.data, order->event.len);
    if (order->alert_id.len == ID_BYTES)
        memcpy(sound->id.bytes, order->alert_id.data, ID_BYTES);
    else if (event && event->id.len == ID_BYTES)
        sound->id = id_of_alert(event->id.data);
    else
        sound->id = id_of_bytes(order->event.data, order->event.len);
    sound->alert.alert_id = (ProtobufCBinaryData){ ID_BYTES, sound->id.bytes };
    if (!event) {
        log_error("alert_unreadable", KV("bytes", order->event.len));
        replace_event(sound, order->event.data, order->event.len);
    }
    desg__v1__event__free_unpacked(event, NULL);
}

void alert_flow_take_stream(struct alert_flow *self, const char *stream_id, const uint8_t *order,
                            size_t length)
{
    struct sound_alert sound;
    Desg__V1__Alert unreadable = DESG__V1__ALERT__INIT;
    Desg__V1__Alert *alert = unpack_or_end(&desg__v1__alert__descriptor, order, length);
    if (alert) {
        make_sound(&sound, alert);
    } else {
        unreadable.event = (ProtobufCBinaryData){ length, (uint8_t *)order };
        struct id id = id_of_bytes(order, length);
        unreadable.alert_id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
        make_sound(&sound, &unreadable);
        if (!sound.event)
            replace_event(&sound, order, length);
    }
    struct flow_waiter waiter = { .alert = sound.id };
    strncat(waiter.stream_id, stream_id, sizeof waiter.stream_id - 1);
    (void)pthread_mutex_lock(&self->lock);
    flow_take(self, &sound.alert, PATH_IN_STREAM, &waiter);
    (void)pthread_mutex_unlock(&self->lock);
    free(sound.event);
    desg__v1__alert__free_unpacked(alert, NULL);
}

void alert_flow_take_order(struct alert_flow *self, uint64_t peer,
                           const Desg__V1__AlertOrder *order)
{
    for (size_t i = 0; i < order->n_alerts; i++) {
        struct sound_alert sound;
        make_sound(&sound, order->alerts[i]);
        sound.alert.is_provisional = 1;
        sound.alert.is_taken_over = 0; /* that only Redis knows */
        const struct flow_waiter waiter = { .alert = sound.id, .peer = peer };
        (void)pthread_mutex_lock(&self->lock);
        if (!alert_book_find(self->book, &sound.id) &&
            unclassified_rate_is_above(&self->unclassified, &sound.alert, clock_monotonic_ms()))
            sound.alert.is_digest_member = 1;
        flow_take(self, &sound.alert, PATH_IN_PROVISIONAL, &waiter);
        (void)pthread_mutex_unlock(&self->lock);
        free(sound.event);
    }
}

/* --- callbacks --- */

struct acknowledged_note {
    struct inbox_item item;
    struct alert_flow *flow;
    struct callback_message message;
    struct callback_ticket *ticket;
    enum journal_outcome outcome;
};

static void acknowledge(struct alert_flow *self, struct alert_entry *entry,
                        const struct callback_message *message)
{
    char id[ID_TEXT_BYTES];
    id_text(entry->id.bytes, id);
    int64_t now_ms = clock_monotonic_ms();
    bool is_new = alert_book_acknowledge(self->book, entry, message->is_outcome, now_ms);
    entry->acknowledgements++;
    if (entry->kind == ALERT_STANDING_TEST)
        return;
    log_info(message->is_outcome ? "alert_resolved" : "alert_acknowledged", KV("alert", id),
             KV("new", is_new), KV("took_ms", now_ms - entry->opened_ms));
}

static void answer_ticket(struct callback_ticket *ticket, enum callback_result result)
{
    if (ticket)
        callback_ticket_answer(ticket, result);
}

static void run_acknowledged(struct inbox_item *item)
{
    struct acknowledged_note *note = (struct acknowledged_note *)item;
    struct alert_flow *self = note->flow;
    (void)pthread_mutex_lock(&self->lock);
    struct alert_entry *entry = alert_book_find(self->book, &note->message.alert);
    if (entry && note->outcome == JOURNAL_STORED)
        acknowledge(self, entry, &note->message);
    else if (note->outcome == JOURNAL_STORED)
        alert_book_acknowledge_unknown(self->book, &note->message.alert, note->message.is_outcome,
                                       clock_monotonic_ms());
    (void)pthread_mutex_unlock(&self->lock);
    answer_ticket(note->ticket,
                  note->outcome == JOURNAL_STORED ? CALLBACK_RECORDED : CALLBACK_NOT_STORED);
    free(note);
}

static void discard_acknowledged(struct inbox_item *item)
{
    struct acknowledged_note *note = (struct acknowledged_note *)item;
    answer_ticket(note->ticket, CALLBACK_NOT_STORED); /* it may be; a repeat is harmless */
    free(note);
}

static void on_acknowledged(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    struct acknowledged_note *note = arg;
    (void)sequence;
    note->outcome = outcome;
    inbox_post(note->flow->options.inbox, &note->item);
}

static bool is_repeat(const struct alert_entry *entry, const struct callback_message *message)
{
    if (entry->acknowledgements == 0)
        return false; /* an acknowledgement by its digest names no dispatcher yet */
    if (entry->acknowledgements >= OUTCOMES_MAX)
        return true;
    return !message->is_outcome && entry->state >= ALERT_ACKNOWLEDGED;
}

int flow_store_callback(struct alert_flow *self, const struct callback_message *message,
                        struct callback_ticket *ticket)
{
    struct error err = { 0 };
    struct acknowledged_note *note = calloc(1, sizeof *note);
    if (!note)
        abort();
    note->item.run = run_acknowledged;
    note->item.discard = discard_acknowledged;
    note->flow = self;
    note->message = *message;
    note->ticket = ticket;
    Desg__V1__AlertAcknowledged fact = DESG__V1__ALERT_ACKNOWLEDGED__INIT;
    fact.alert_id = (ProtobufCBinaryData){ ID_BYTES, note->message.alert.bytes };
    fact.dispatcher = note->message.dispatcher;
    fact.at_ms = clock_unix_ms();
    fact.outcome = note->message.outcome;
    fact.log_number = note->message.log_number;
    if (alert_journal_acknowledged(self->options.journal, &fact, on_acknowledged, note, &err) == 0)
        return 0;
    free(note);
    flow_journal_refused(self, &err);
    return -1;
}

static void test_came_back(struct alert_flow *self, struct alert_entry *entry,
                           const struct callback_message *message)
{
    struct id id = entry->id;
    acknowledge(self, entry, message);
    if (standing_test_came_back(&self->test, &id, clock_unix_ms()))
        gauge_set(self->metrics.test_failed, 0);
}

void alert_flow_callback(struct alert_flow *self, const struct callback_message *message,
                         struct callback_ticket *ticket)
{
    enum callback_result result = CALLBACK_RECORDED;
    bool is_answered = true;
    (void)pthread_mutex_lock(&self->lock);
    struct alert_entry *entry = alert_book_find(self->book, &message->alert);
    if (entry && entry->kind == ALERT_STANDING_TEST) {
        test_came_back(self, entry, message);
    } else if (entry && is_repeat(entry, message)) {
        result = CALLBACK_ALREADY;
    } else if (!entry) { /* another replica may have it */
        self->options.sinks.look_up(self->options.sinks.arg, message, ticket);
        is_answered = false;
    } else if (flow_store_callback(self, message, ticket) == 0) {
        is_answered = false;
    } else {
        result = CALLBACK_NOT_STORED;
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (is_answered)
        callback_ticket_answer(ticket, result);
}

/* --- Redis and journal in step with the book --- */

static void on_moved(void *arg, const struct id *id, uint64_t old_sequence, uint64_t sequence)
{
    struct alert_flow *self = arg;
    (void)old_sequence;
    alert_book_moved(self->book, id, sequence);
}

static void carry(struct alert_flow *self, const struct alert_entry *entry)
{
    struct error err = { 0 };
    struct carry *carry = carries_begin(&self->carries, &entry->id, entry->sequence);
    unsigned records = 0;
    int rc = alert_journal_carry(self->options.journal, entry, clock_unix_ms(), carries_stored,
                                 carry, &records, &err);
    if (rc != 0)
        flow_journal_refused(self, &err);
    carries_queued(carry, records, rc == 0);
}

static int by_sequence(const void *a, const void *b)
{
    const struct alert_entry *const *left = a;
    const struct alert_entry *const *right = b;
    return ((*left)->sequence > (*right)->sequence) - ((*left)->sequence < (*right)->sequence);
}

/* The oldest live entries, in the order they were stored: members before their digest. */
static void carry_oldest(struct alert_flow *self, uint64_t before)
{
    size_t live = 0;
    while (alert_book_live(self->book, live))
        live++;
    struct alert_entry **oldest = calloc(live + 1, sizeof(struct alert_entry *));
    if (!oldest)
        abort();
    size_t count = 0;
    for (size_t i = 0; i < live; i++) {
        struct alert_entry *entry = alert_book_live(self->book, i);
        if (entry->storage == ALERT_STORED && entry->sequence != 0 && entry->sequence < before)
            oldest[count++] = entry;
    }
    qsort(oldest, count, sizeof(struct alert_entry *), by_sequence);
    for (size_t i = 0; i < count && i < CARRIES_MAX; i++)
        carry(self, oldest[i]);
    free(oldest);
    log_info("alerts_carried", KV("alerts", count < CARRIES_MAX ? count : CARRIES_MAX));
}

static void store_unstored(struct alert_flow *self)
{
    unsigned tried = 0;
    struct alert_entry *entry = NULL;
    for (size_t i = 0; (entry = alert_book_live(self->book, i)) != NULL; i++) {
        if (entry->storage != ALERT_UNSTORED || tried++ == UNSTORED_MAX_PER_TICK)
            continue;
        if (store(self, &entry->id, entry->alert, entry->digest, NULL) != 0)
            return; /* no use in trying the next */
    }
}

/* An alert nobody acknowledges must not keep a week of finished ones from being deleted. */
void flow_keep_journal(struct alert_flow *self, int64_t now_ms)
{
    if (now_ms >= self->forget_ms) {
        alert_book_forget(self->book, now_ms);
        self->forget_ms = now_ms + FORGET_PAUSE_MS;
    }
    if (self->storing > 0 || self->carries.count > 0)
        return;
    store_unstored(self);
    uint64_t needed = alert_book_needed_from(self->book, self->newest_sequence);
    if (needed > 1)
        journal_release(self->options.journal, needed - 1);
    struct journal_stats stats;
    struct alert_counts counts;
    journal_stats(self->options.journal, &stats);
    alert_book_count(self->book, now_ms, &counts);
    uint64_t pinned = stats.newest_sequence >= needed ? stats.newest_sequence - needed : 0;
    if (stats.state != JOURNAL_ROOMY && stats.state != JOURNAL_DEAD &&
        pinned > CARRY_SLACK_RECORDS + CARRY_SLACK_PER_ALERT * (uint64_t)counts.known)
        carry_oldest(self, stats.newest_sequence - pinned / 2);
    if (stats.state == JOURNAL_DEAD) {
        struct error err = { 0 };
        (void)error_set(&err, ERROR_SYSTEM, "the journal failed twice: see journal lines above");
        self->options.sinks.failed(self->options.sinks.arg, &err);
    }
}

/* --- standing test --- */

void flow_begin_test(struct alert_flow *self, int64_t now_ms)
{
    static const char text[] = "Desg: regular test of the way to dispatch. Acknowledge by machine; "
                               "nobody has written anything.";
    struct id event_id = id_random();
    struct id alert_id;
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.id = (ProtobufCBinaryData){ ID_BYTES, event_id.bytes };
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_NOTICE;
    event.channel = (char *)"test";
    event.platform_time_ms = clock_unix_ms();
    event.text = (char *)text;
    uint8_t bytes[512];
    size_t length = desg__v1__event__pack(&event, bytes);
    Desg__V1__Alert alert;
    alert_order_init(&alert, &alert_id, event_id.bytes, bytes, length, NULL, 0);
    alert.is_standing_test = 1;
    struct alert_entry *entry = NULL;
    (void)alert_book_take(self->book, &alert, now_ms, clock_unix_ms(), &entry); /* always new */
    standing_test_begun(&self->test, &alert_id, now_ms);
}

/* --- life --- */

static int replay(struct alert_flow *self, struct error *err)
{
    struct alert_replay replayed;
    struct alert_counts counts;
    int64_t now_ms = clock_monotonic_ms();
    if (alert_journal_replay(self->options.journal, self->book, self->options.known, now_ms,
                             clock_unix_ms(), &replayed, err) != 0)
        return -1;
    self->newest_sequence = replayed.newest_sequence;
    alert_book_count(self->book, now_ms, &counts);
    log_info("journal_replayed", KV("records", replayed.records), KV("open", counts.open),
             KV("unaccepted", counts.unaccepted), KV("unknown", replayed.unknown));
    if (replayed.damaged > 0)
        log_error("journal_damaged", KV("records", replayed.damaged),
                  KV("remedy", "alerts in them may be missing: compare with dispatch and Redis"));
    return 0;
}

struct alert_flow *alert_flow_new(const struct alert_flow_options *options, struct error *err)
{
    struct alert_flow *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for the alerts");
        return NULL;
    }
    self->options = *options;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail without attributes */
    self->carries = (struct carries){
        .lock = &self->lock, .inbox = options->inbox, .moved = on_moved, .arg = self
    };
    const struct alert_book_options book = { .ladder = options->ladder,
                                             .ladder_count = options->ladder_count,
                                             .has_second_path = options->has_second_path,
                                             .retention_ms = options->retention_ms,
                                             .seed = options->seed };
    self->book = alert_book_new(&book);
    standing_test_init(&self->test, options->test_interval_ms, clock_monotonic_ms());
    flow_metrics_init(self);
    if (replay(self, err) != 0)
        alert_flow_destroy(&self);
    return self;
}

void alert_flow_destroy(struct alert_flow **self_p)
{
    struct alert_flow *self = *self_p;
    if (!self)
        return;
    while (self->waiters) {
        struct flow_waiter *waiter = self->waiters;
        self->waiters = waiter->next;
        free(waiter);
    }
    carries_clear(&self->carries);
    alert_book_destroy(&self->book);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void alert_flow_drain(struct alert_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->is_draining = true;
    alert_book_drain(self->book);
    (void)pthread_mutex_unlock(&self->lock);
}

bool alert_flow_is_drained(struct alert_flow *self)
{
    (void)pthread_mutex_lock(&self->lock);
    bool is_drained =
        self->is_draining && self->storing == 0 && !alert_book_has_in_flight(self->book);
    (void)pthread_mutex_unlock(&self->lock);
    return is_drained;
}
