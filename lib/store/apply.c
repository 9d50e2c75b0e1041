/* Events into Redis: one call of the function apply for up to STORE_APPLY_MAX of them, poison by
 * the function quarantine alone. Argument vectors point into the caller's buffers. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert.h"
#include "clock/clock.h"
#include "store/functions.h"
#include "store/internal.h"
#include "store/outward_facts.h"
#include "store/plan.h"

enum {
    HEAD_ARGS = 8,  /* FCALL, name, 1, prefix, now, context, rate, urgent plan */
    EVENT_ARGS = 6, /* event, conversation, header, event bytes, verdict bytes, alerting */
    HEADER_NUMBER_BYTES = 26,
    HEADER_BYTES = 640,
    ALERTING_BYTES = 2048,
    PADDED_BYTES = 8 /* alerting, where more follows */
};

/* What one event needs beyond the caller's buffers. */
struct event_args {
    char event[ID_TEXT_BYTES];
    char conversation[ID_TEXT_BYTES];
    uint8_t header[HEADER_BYTES];
    size_t header_length;
    uint8_t alerting[ALERTING_BYTES]; /* where it says more than how it may alert */
};

struct store_scratch {
    const char *argv[HEAD_ARGS + STORE_APPLY_MAX * EVENT_ARGS + 1];
    size_t lengths[HEAD_ARGS + STORE_APPLY_MAX * EVENT_ARGS + 1];
    size_t argc;
    char function[32];
    char now[24];
    char context[24];
    char rate[16];
    char urgent[STORE_WORD_BYTES * 2 + 32];
    struct event_args events[STORE_APPLY_MAX];
    size_t sent[STORE_APPLY_MAX]; /* index of each event sent in the caller's array */
    size_t sent_count;
};

struct store_scratch *store_scratch_new(void)
{
    struct store_scratch *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* start-up only */
    return self;
}

void store_scratch_destroy(struct store_scratch **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void add(struct store_scratch *self, const void *bytes, size_t length)
{
    self->argv[self->argc] = bytes ? bytes : "";
    self->lengths[self->argc++] = bytes ? length : 0;
}

static void add_text(struct store_scratch *self, const char *text)
{
    add(self, text, strlen(text));
}

const char *store_word(const char *text, char out[static STORE_WORD_BYTES])
{
    size_t length = 0;
    for (; text && text[length] && length < STORE_WORD_BYTES - 1; length++) {
        char c = text[length];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        out[length] = c;
        if (!is_plain)
            out[length] = '_';
    }
    if (length == 0)
        out[length++] = '-';
    out[length] = '\0';
    return out;
}

/* As functions/common.lua reads it. */
enum certainty { CERTAINTY_REAL, CERTAINTY_CONTEXT, CERTAINTY_UNCLASSIFIED };

static enum certainty certainty_of(const struct store_plan *plan, const Desg__V1__Verdict *verdict)
{
    if (plan->is_provisional)
        return CERTAINTY_UNCLASSIFIED;
    return verdict->is_context_sensitive && !plan->is_late ? CERTAINTY_CONTEXT : CERTAINTY_REAL;
}

/* Little-endian, as struct.unpack reads it. Returns where the next goes. */
static uint8_t *put_number(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> (8 * i));
    return at + bytes;
}

/* A time a sender made up stays within what a double (Lua's number) holds exactly. */
static uint64_t plausible_ms(int64_t value_ms)
{
    const int64_t highest_ms = (int64_t)1 << 52;
    if (value_ms < 0)
        return 0;
    return (uint64_t)(value_ms < highest_ms ? value_ms : highest_ms);
}

/* Numbers as HEADER of functions/common.lua has them, then words, then a newline. */
static size_t write_header(uint8_t out[static HEADER_BYTES], const struct store_plan *plan,
                           const struct store_event *given, const char *alert)
{
    const Desg__V1__Event *event = given->event;
    const Desg__V1__Verdict *verdict = given->verdict;
    uint8_t *at = out;
    at = put_number(at, (uint64_t)plan->severity, 1);
    at = put_number(at, (uint64_t)plan->rank, 1);
    at = put_number(at, plan->opens_work, 1);
    at = put_number(at, certainty_of(plan, verdict), 1);
    at = put_number(at, verdict->restricted > 0 ? (uint64_t)verdict->restricted : 0, 1);
    at = put_number(at, (uint64_t)plan->home_rank, 1);
    at = put_number(at, plan->allowance_s * 1000ULL, 4);
    at = put_number(at, plausible_ms(event->received_at_ms), 8);
    at = put_number(at, plausible_ms(event->platform_time_ms), 8);
    char queue[STORE_WORD_BYTES], grade[STORE_WORD_BYTES], category[STORE_WORD_BYTES],
        language[STORE_WORD_BYTES], home[STORE_WORD_BYTES], channel[STORE_WORD_BYTES],
        account[STORE_WORD_BYTES];
    int length = snprintf((char *)at, HEADER_BYTES - HEADER_NUMBER_BYTES,
                          "%s %s %s %s %s %s %s %s\n", store_word(plan->queue, queue),
                          store_word(plan->grade, grade), store_word(verdict->category, category),
                          store_word(store_language_word(verdict->language), language),
                          store_word(plan->home_queue, home), store_word(event->channel, channel),
                          store_word(event->account, account), alert);
    return HEADER_NUMBER_BYTES + (size_t)length; /* eight words of 64 always fit */
}

/* How the function may order an alert for it, if its verdict, its context or a person says so. */
static const char *alerting(const struct store_plan *plan, const struct store_event *given)
{
    bool may_be_raised = given->verdict->is_context_sensitive && plan->opens_work && !plan->is_late;
    if (!plan->may_alert && !may_be_raised)
        return "";
    return given->is_replayed ? "replayed" : "live";
}

/* --- what an event says of what went out, or makes go out: Outbox.hear of functions/outbox.lua ---
 */

/* The word of receipt, should this be the first in a while: id, least time between two, place,
 * item.
 */
static size_t write_receipt(uint8_t *out, size_t room, const struct store_plan *plan,
                            const struct store_event *given, const struct store_queues *queues)
{
    static const struct id kind = { "receipt" }; /* so that no other id comes from these bytes */
    const Desg__V1__Event *event = given->event;
    struct id ids[2] = { kind };
    memcpy(ids[1].bytes, event->id.data, ID_BYTES);
    struct id id = id_of_digest(ids, 2);
    char text[ID_TEXT_BYTES], place[STORE_PLACE_BYTES];
    id_text(id.bytes, text);
    store_place_of(event->channel, event->account, place);
    Desg__V1__ReceiptItem receipt = DESG__V1__RECEIPT_ITEM__INIT;
    receipt.conversation_id = event->conversation_id;
    receipt.event_id = event->id;
    receipt.channel = event->channel;
    receipt.account = event->account;
    receipt.person = event->person;
    receipt.object_id = event->object_id;
    receipt.language = given->verdict->language;
    receipt.is_sensitive = plan->is_sensitive;
    receipt.received_at_ms = event->received_at_ms;
    receipt.written_at_ms = event->platform_time_ms;
    receipt.contact = event->contact;
    receipt.trace_high = event->trace_high;
    receipt.trace_low = event->trace_low;
    Desg__V1__OutboxItem item = DESG__V1__OUTBOX_ITEM__INIT;
    item.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    item.place = place;
    item.decided_at_ms = clock_unix_ms();
    item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT;
    item.receipt = &receipt;
    int head = snprintf((char *)out, room, "R%s %lld %s\n", text,
                        store_receipt_after_hours(queues) * 3600000LL, place);
    if (head < 0 || (size_t)head + desg__v1__outbox_item__get_packed_size(&item) >= room)
        return 0; /* no platform has names as long as that */
    return (size_t)head + desg__v1__outbox_item__pack(&item, out + head);
}

/* "desk:<item>/<part>", as notify sent it along. */
static bool read_mark(const char *mark, char item[static ID_TEXT_BYTES], unsigned long *part)
{
    enum { PREFIX_BYTES = 5, PART_MAX_BYTES = 2 };
    struct id id;
    (void)snprintf(item, ID_TEXT_BYTES, "%s",
                   strncmp(mark, "desk:", PREFIX_BYTES) == 0 ? mark + PREFIX_BYTES : "");
    if (id_parse(item, &id) != 0)
        return false;
    const char *rest = mark + PREFIX_BYTES + ID_TEXT_BYTES - 1;
    size_t digits = rest[0] == '/' ? strspn(rest + 1, "0123456789") : 0;
    *part = digits > 0 ? strtoul(rest + 1, NULL, 10) : 0;
    return digits > 0 && digits <= PART_MAX_BYTES && rest[1 + digits] == '\0';
}

/* An echo of ours, or what became of a message of ours. */
static size_t write_fate(uint8_t *out, size_t room, const Desg__V1__Event *event)
{
    bool is_echo = event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_ECHO;
    char item[ID_TEXT_BYTES], word[STORE_WORD_BYTES];
    unsigned long part = 0;
    bool is_ours = read_mark(event->outward_ref, item, &part);
    const char *message =
        event->target_object_id[0] != '\0' ? event->target_object_id : event->object_id;
    if (is_echo)
        message = event->object_id;
    if ((!is_ours && is_echo) || message[0] == '\0' || strchr(message, '\n'))
        return 0;
    int length = snprintf((char *)out, room, "O%s %lu %s\n%s\n%s", is_ours ? item : "-",
                          is_ours ? part : 0, is_echo ? "sent" : store_word(event->raw_kind, word),
                          message, is_ours ? message : "");
    return length > 0 && (size_t)length < room ? (size_t)length : 0;
}

static size_t write_more(uint8_t *out, size_t room, const struct store_plan *plan,
                         const struct store_event *given, const struct store_queues *queues)
{
    const Desg__V1__Event *event = given->event;
    if (plan->may_be_receipted && !given->is_replayed && !given->quarantine_reason)
        return write_receipt(out, room, plan, given, queues);
    if (event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_ECHO ||
        event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME)
        return write_fate(out, room, event);
    size_t length = strlen(event->target_object_id);
    if (!event->is_public || length == 0 || length + 1 > room)
        return 0;
    out[0] = 'T';
    memcpy(out + 1, event->target_object_id, length);
    return length + 1;
}

static void add_alerting(struct store_scratch *self, struct event_args *args,
                         const struct store_plan *plan, const struct store_event *given,
                         const struct store_queues *queues)
{
    const char *word = alerting(plan, given);
    size_t more = write_more(args->alerting + PADDED_BYTES, sizeof args->alerting - PADDED_BYTES,
                             plan, given, queues);
    if (more == 0) {
        add_text(self, word);
        return;
    }
    memset(args->alerting, ' ', PADDED_BYTES);
    memcpy(args->alerting, word, strlen(word));
    add(self, args->alerting, PADDED_BYTES + more);
}

static void add_event(struct store_scratch *self, struct event_args *args,
                      const struct store_event *given, const struct store_queues *queues)
{
    const Desg__V1__Event *event = given->event;
    struct store_plan plan;
    store_plan_make(&plan, event, given->verdict, queues);
    if (given->quarantine_reason) {
        plan.queue = "needs-review";
        plan.rank = STORE_RANK_NEEDS_REVIEW;
    }
    id_text(event->id.data, args->event);
    /* What names no conversation is one of its own. */
    bool has_conversation = event->conversation_id.len == ID_BYTES;
    id_text(has_conversation ? event->conversation_id.data : event->id.data, args->conversation);
    struct id alert = id_of_alert(event->id.data);
    char alert_text[ID_TEXT_BYTES];
    id_text(alert.bytes, alert_text);
    args->header_length = write_header(args->header, &plan, given, alert_text);
    add_text(self, args->event);
    add_text(self, args->conversation);
    add(self, args->header, args->header_length);
    add(self, given->event_bytes, given->event_length);
    add(self, given->verdict_bytes, given->verdict_length);
    add_alerting(self, args, &plan, given, queues);
}

static void begin(struct store *store, const char *function, int64_t now_ms)
{
    struct store_scratch *self = store->scratch;
    const struct store_queues *queues = store->queues;
    const uint32_t urgent = DESG__V1__SEVERITY__SEVERITY_URGENT;
    char grade[STORE_WORD_BYTES];
    self->argc = 0;
    self->sent_count = 0;
    (void)snprintf(self->function, sizeof self->function, STORE_LIBRARY "_%s", function);
    (void)snprintf(self->now, sizeof self->now, "%" PRId64, now_ms);
    (void)snprintf(self->context, sizeof self->context, "%lld",
                   store_context_hours(queues) * 3600000LL);
    (void)snprintf(self->rate, sizeof self->rate, "%u", store_unclassified_per_minute(queues));
    (void)snprintf(self->urgent, sizeof self->urgent, "%d urgent %s %lld %d",
                   (int)STORE_RANK_URGENT, store_word(store_grade_name(queues, urgent), grade),
                   store_grade_allowance_s(queues, urgent) * 1000LL, (int)ALERT_RENDER_VERSION);
    add_text(self, "FCALL");
    add_text(self, self->function);
    add_text(self, "1");
    add_text(self, store->prefix);
    add_text(self, self->now);
    add_text(self, self->context);
    add_text(self, self->rate);
    add_text(self, self->urgent);
}

static void fail_event(struct store_result *result, const char *why)
{
    *result = (struct store_result){ .outcome = STORE_ERROR };
    (void)snprintf(result->error, sizeof result->error, "%s", why);
}

/* The function's string for one event: a letter, then the verdict that stands or the fault. */
static void read_result(const redisReply *reply, struct store_result *result)
{
    static const char letters[] = { [STORE_NEW] = 'n',
                                    [STORE_DUPLICATE] = 'd',
                                    [STORE_RAISED] = 'r',
                                    [STORE_PROVISIONAL] = 'p',
                                    [STORE_QUARANTINED] = 'q' };
    if (reply->type != REDIS_REPLY_STRING || reply->len < 1) {
        fail_event(result, "the function gave no outcome");
        return;
    }
    const char *letter = memchr(letters, reply->str[0], sizeof letters);
    if (!letter) {
        fail_event(result, reply->str + 1);
        return;
    }
    *result = (struct store_result){ .outcome = (enum store_outcome)(letter - letters) };
    if (reply->len > 1) {
        result->standing_verdict = (const uint8_t *)reply->str + 1;
        result->standing_verdict_length = reply->len - 1;
    }
}

/* Sends what is gathered and reads the outcomes. The answer stays held: results point into it. */
static int send_events(struct store *self, struct store_result *results, char *history,
                       struct error *err)
{
    struct store_scratch *scratch = self->scratch;
    redisReply *reply =
        store_command(self, (int)scratch->argc, scratch->argv, scratch->lengths, err);
    if (!reply)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != scratch->sent_count + 1) {
        store_reply_free(&reply);
        return store_lose(self, err, "function %s gave no outcome per event", scratch->function);
    }
    if (store_take_history(self, reply, history, err) != 0) {
        store_reply_free(&reply);
        return -1;
    }
    for (size_t i = 0; i < scratch->sent_count; i++)
        read_result(reply->element[i + 1], &results[scratch->sent[i]]);
    self->held = reply;
    return 0;
}

static bool is_sendable(const struct store_event *event, struct store_result *result)
{
    if (event->event->id.len == ID_BYTES)
        return true;
    fail_event(result, "the event id is not 16 bytes");
    return false;
}

static int apply_batch(struct store *self, const struct store_event *events, size_t count,
                       struct store_result *results, char *history, struct error *err)
{
    struct store_scratch *scratch = self->scratch;
    int64_t now_ms = clock_unix_ms();
    begin(self, "apply", now_ms);
    for (size_t i = 0; i < count; i++) {
        if (events[i].quarantine_reason || !is_sendable(&events[i], &results[i]))
            continue;
        add_event(scratch, &scratch->events[scratch->sent_count], &events[i], self->queues);
        scratch->sent[scratch->sent_count++] = i;
    }
    return send_events(self, results, history, err);
}

static int apply_poison(struct store *self, const struct store_event *event,
                        struct store_result *result, char *history, struct error *err)
{
    struct store_scratch *scratch = self->scratch;
    if (!is_sendable(event, result))
        return 0;
    int64_t now_ms = clock_unix_ms();
    begin(self, "quarantine", now_ms);
    add_event(scratch, &scratch->events[0], event, self->queues);
    add_text(scratch, event->quarantine_reason);
    redisReply *kept = self->held; /* the batch's answer, still pointed into */
    self->held = NULL;
    scratch->sent[scratch->sent_count++] = 0;
    int rc = send_events(self, result, history, err);
    store_reply_free(&self->held);
    self->held = kept;
    result->standing_verdict = NULL;
    result->standing_verdict_length = 0;
    return rc;
}

int store_apply(struct store *self, const struct store_event *events, size_t count,
                struct store_result *results, char history[static STORE_HISTORY_BYTES],
                struct error *err)
{
    assert(self && events && results && count >= 1 && count <= STORE_APPLY_MAX);
    if (store_need(self, err) != 0)
        return -1;
    store_reply_free(&self->held);
    if (apply_batch(self, events, count, results, history, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        char now[STORE_HISTORY_BYTES];
        memcpy(now, history, sizeof now);
        if (events[i].quarantine_reason &&
            apply_poison(self, &events[i], &results[i], now, err) != 0)
            return -1;
        if (strcmp(now, history) != 0) /* what the first call applied may be gone */
            return store_lose(self, err, "Redis changed its history between two calls");
    }
    return 0;
}
