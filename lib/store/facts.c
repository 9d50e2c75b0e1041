/* Facts into Redis. The functions get what they need of a fact as words; the serialised fact
 * without what it covers goes along, so that a repeat can be answered with the same bytes. */
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
    HEAD_ARGS = 7, /* FCALL, name, 1, prefix, now, version of the alert's body, seconds to keep */
    FACT_ARGS = 9,
    FACTS_PER_CALL = 32,
    COVERED_BYTES = ID_TEXT_BYTES, /* an id in hex and the digit of a severity */
    AGENT_BYTES = 256,
    FAULT_TEXT_BYTES = 400,
    HIGHEST_SEVERITY = DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK
};

/* What one fact needs beyond the caller's. */
struct fact_args {
    char id[ID_TEXT_BYTES];
    char conversation[ID_TEXT_BYTES];
    char head[STORE_WORD_BYTES + 80];
    char agent[AGENT_BYTES];
    char *covered;
    uint8_t *bytes;
};

struct fact_call {
    const char *argv[HEAD_ARGS + FACTS_PER_CALL * FACT_ARGS + 2];
    size_t lengths[HEAD_ARGS + FACTS_PER_CALL * FACT_ARGS + 2];
    int argc;
    char function[32], now[24], version[16], keep_s[24];
    struct fact_args facts[FACTS_PER_CALL];
    size_t count;
};

static void call_free(struct fact_call **self_p)
{
    struct fact_call *self = *self_p;
    for (size_t i = 0; self && i < self->count; i++) {
        free(self->facts[i].covered);
        free(self->facts[i].bytes);
    }
    free(self);
    *self_p = NULL;
}

static void add(struct fact_call *self, const void *bytes, size_t length)
{
    self->argv[self->argc] = bytes;
    self->lengths[self->argc++] = length;
}

static void add_text(struct fact_call *self, const char *text)
{
    add(self, text, strlen(text));
}

static void *must(void *memory)
{
    if (!memory)
        abort(); /* as protobuf-c and hiredis do */
    return memory;
}

static struct fact_call *call_new(const struct store *store, const char *function)
{
    struct fact_call *self = must(calloc(1, sizeof *self));
    (void)snprintf(self->function, sizeof self->function, STORE_LIBRARY "_%s", function);
    (void)snprintf(self->now, sizeof self->now, "%" PRId64, clock_unix_ms());
    (void)snprintf(self->version, sizeof self->version, "%d", (int)ALERT_RENDER_VERSION);
    (void)snprintf(self->keep_s, sizeof self->keep_s, "%lld",
                   store_tombstone_days(store->queues) * 24LL * 3600);
    add_text(self, "FCALL");
    add_text(self, self->function);
    add_text(self, "1");
    add_text(self, store->prefix);
    add_text(self, self->now);
    add_text(self, self->version);
    add_text(self, self->keep_s);
    return self;
}

/* The word Redis keeps for what a fact says; NULL: for the audit alone. */
static const char *kind_word(const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_CLOSED:
        return "closed";
    case DESG__V1__FACT__WHAT_GRADED:
        return "graded";
    case DESG__V1__FACT__WHAT_NOTED:
        return "noted";
    case DESG__V1__FACT__WHAT_ALERT_TAKEN:
        return "alert_taken";
    case DESG__V1__FACT__WHAT_QUARANTINE_TAKEN:
        return "quarantine_taken";
    case DESG__V1__FACT__WHAT_LANGUAGE_WISH:
        return "wished";
    default:
        return NULL;
    }
}

static char *covered_text(Desg__V1__Covered *const *covered, size_t count)
{
    char *text = must(malloc(count * COVERED_BYTES + 1));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (covered[i]->event_id.len != ID_BYTES)
            continue; /* names no event there can be */
        id_text(covered[i]->event_id.data, text + at);
        int severity = (int)covered[i]->severity;
        text[at + COVERED_BYTES - 1] = (char)('0' + (severity < 0 ? 0 : severity % 10));
        at += COVERED_BYTES;
    }
    text[at] = '\0';
    return text;
}

/* The fact as it is stored: without what it covers, which stands beside it. */
static size_t pack_bare(const Desg__V1__Fact *fact, uint8_t **out)
{
    Desg__V1__Fact bare = *fact;
    Desg__V1__Closed closed;
    Desg__V1__Graded graded;
    if (bare.what_case == DESG__V1__FACT__WHAT_CLOSED) {
        closed = *bare.closed;
        closed.n_covered = 0;
        bare.closed = &closed;
    } else if (bare.what_case == DESG__V1__FACT__WHAT_GRADED) {
        graded = *bare.graded;
        graded.n_covered = 0;
        bare.graded = &graded;
    }
    *out = must(malloc(desg__v1__fact__get_packed_size(&bare) + 1));
    return desg__v1__fact__pack(&bare, *out);
}

/* A grade that no enum knows is treated as its nearest: nothing is lowered by it. */
static uint32_t severity_of(const Desg__V1__Fact *fact)
{
    if (fact->what_case != DESG__V1__FACT__WHAT_GRADED)
        return 0;
    int severity = (int)fact->graded->severity;
    return severity < 1 || severity > HIGHEST_SEVERITY ? HIGHEST_SEVERITY : (uint32_t)severity;
}

static void write_head(struct fact_args *args, const Desg__V1__Fact *fact,
                       const struct store_queues *queues)
{
    uint32_t severity = severity_of(fact);
    char grade[STORE_WORD_BYTES];
    (void)snprintf(args->head, sizeof args->head, "%" PRId64 " %u %lld %s",
                   fact->at_ms > 0 ? fact->at_ms : 0, severity,
                   severity ? store_grade_allowance_s(queues, severity) * 1000LL : 0,
                   store_word(severity ? store_grade_name(queues, severity) : "", grade));
    (void)snprintf(args->agent, sizeof args->agent, "%s", fact->agent);
    for (char *c = args->agent; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static void add_fact(struct fact_call *self, const Desg__V1__Fact *fact,
                     const struct store_queues *queues)
{
    struct fact_args *args = &self->facts[self->count++];
    const char *dispatcher = "", *log_number = "";
    id_text(fact->id.data, args->id);
    if (fact->conversation_id.len == ID_BYTES)
        id_text(fact->conversation_id.data, args->conversation);
    write_head(args, fact, queues);
    if (fact->what_case == DESG__V1__FACT__WHAT_CLOSED) {
        args->covered = covered_text(fact->closed->covered, fact->closed->n_covered);
    } else if (fact->what_case == DESG__V1__FACT__WHAT_GRADED) {
        args->covered = covered_text(fact->graded->covered, fact->graded->n_covered);
    } else {
        args->covered = must(calloc(1, ID_TEXT_BYTES));
        if (fact->what_case == DESG__V1__FACT__WHAT_ALERT_TAKEN) {
            id_text(fact->alert_taken->alert_id.data, args->covered);
            dispatcher = fact->alert_taken->dispatcher;
            log_number = fact->alert_taken->log_number;
        } else if (fact->what_case == DESG__V1__FACT__WHAT_QUARANTINE_TAKEN) {
            id_text(fact->quarantine_taken->event_id.data, args->covered);
        } else if (fact->what_case == DESG__V1__FACT__WHAT_LANGUAGE_WISH) {
            (void)snprintf(args->covered, ID_TEXT_BYTES, "%s",
                           store_wish_word(fact->language_wish->language));
        }
    }
    size_t length = pack_bare(fact, &args->bytes);
    add_text(self, args->id);
    add_text(self, args->conversation);
    add_text(self, kind_word(fact));
    add_text(self, args->head);
    add_text(self, args->agent);
    add_text(self, args->covered);
    add_text(self, dispatcher);
    add_text(self, log_number);
    add(self, args->bytes, length);
}

/* A fact that Redis has a use for and that can be one. */
static int check(const Desg__V1__Fact *fact, struct error *err)
{
    if (fact->id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "a fact's id is %zu bytes instead of %d", fact->id.len,
                         ID_BYTES);
    char text[ID_TEXT_BYTES];
    id_text(fact->id.data, text);
    bool is_alert = fact->what_case == DESG__V1__FACT__WHAT_ALERT_TAKEN;
    bool is_removal = fact->what_case == DESG__V1__FACT__WHAT_QUARANTINE_TAKEN;
    if (is_removal && fact->quarantine_taken->event_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID,
                         "fact %s takes an event out of quarantine but names none", text);
    if (is_alert && fact->alert_taken->alert_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "fact %s takes an alert but names none", text);
    if (!is_alert && !is_removal && fact->conversation_id.len != ID_BYTES)
        return error_set(err, ERROR_INVALID, "fact %s is about a conversation but names none",
                         text);
    return 0;
}

static redisReply *send_call(struct store *store, struct fact_call *call, char *history,
                             struct error *err)
{
    if (store_need(store, err) != 0)
        return NULL;
    redisReply *reply = store_command(store, call->argc, call->argv, call->lengths, err);
    if (!reply)
        return NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
        (void)store_lose(store, err, "function %s answered too little", call->function);
    else if (store_take_history(store, reply, history, err) == 0)
        return reply;
    store_reply_free(&reply);
    return NULL;
}

/* --- a decision, live --- */

static void free_fact(Desg__V1__Fact **fact_p)
{
    if (*fact_p)
        desg__v1__fact__free_unpacked(*fact_p, NULL);
    *fact_p = NULL;
}

static int read_covered(const redisReply *text, Desg__V1__Covered ***out, size_t *count)
{
    size_t total = text->len / COVERED_BYTES;
    Desg__V1__Covered **covered = must(calloc(total + 1, sizeof(void *)));
    *out = covered;
    *count = total;
    for (size_t i = 0; i < total; i++) {
        const char *from = text->str + i * COVERED_BYTES;
        char hex[ID_TEXT_BYTES] = "";
        memcpy(hex, from, ID_TEXT_BYTES - 1);
        struct id *id = must(malloc(sizeof *id));
        covered[i] = must(malloc(sizeof **covered));
        desg__v1__covered__init(covered[i]);
        covered[i]->event_id = (ProtobufCBinaryData){ ID_BYTES, id->bytes };
        covered[i]->severity = (Desg__V1__Severity)(from[COVERED_BYTES - 1] - '0');
        if (id_parse(hex, id) != 0)
            return -1;
    }
    return 0;
}

/* Fills in what the fact covers, and its conversation if the function found it. */
static int complete(Desg__V1__Fact *fact, const redisReply *conversation, const redisReply *covered)
{
    struct id id;
    if (fact->conversation_id.len != ID_BYTES && conversation->len > 0) {
        if (id_parse(store_text(conversation), &id) != 0)
            return -1;
        free(fact->conversation_id.data);
        fact->conversation_id.data = must(malloc(ID_BYTES));
        fact->conversation_id.len = ID_BYTES;
        memcpy(fact->conversation_id.data, id.bytes, ID_BYTES);
    }
    if (fact->what_case == DESG__V1__FACT__WHAT_CLOSED)
        return read_covered(covered, &fact->closed->covered, &fact->closed->n_covered);
    if (fact->what_case == DESG__V1__FACT__WHAT_GRADED)
        return read_covered(covered, &fact->graded->covered, &fact->graded->n_covered);
    return 0;
}

static void hand_over(const Desg__V1__Fact *fact, struct store_fact_done *done)
{
    done->fact = must(malloc(desg__v1__fact__get_packed_size(fact) + 1));
    done->fact_length = desg__v1__fact__pack(fact, done->fact);
}

static int read_decided(struct store *self, const redisReply *reply, struct store_fact_done *done,
                        struct error *err)
{
    const char *outcome = store_text(reply->element[1]);
    if (strcmp(outcome, "refused") == 0)
        return error_set(err, ERROR_INVALID, "%s",
                         reply->elements > 2 ? store_text(reply->element[2]) : "refused");
    if (reply->elements < 5 || reply->element[4]->type != REDIS_REPLY_STRING)
        return store_lose(self, err, "function decide answered too little");
    AUTO(free_fact)
    Desg__V1__Fact *fact = desg__v1__fact__unpack(NULL, reply->element[4]->len,
                                                  (const uint8_t *)reply->element[4]->str);
    if (!fact || complete(fact, reply->element[2], reply->element[3]) != 0)
        return store_lose(self, err, "function decide answered no fact");
    done->is_repeat = strcmp(outcome, "repeat") == 0;
    hand_over(fact, done);
    return 0;
}

int store_fact_decide(struct store *self, const Desg__V1__Fact *fact, const struct id *last_event,
                      struct store_fact_done *done, struct error *err)
{
    assert(self && fact && done);
    if (store_outward_word(fact))
        return store_outward_decide(self, fact, true, done, err);
    bool is_removal = fact->what_case == DESG__V1__FACT__WHAT_QUARANTINE_TAKEN;
    if (!kind_word(fact) || is_removal) { /* nothing to ask */
        done->is_repeat = false;
        hand_over(fact, done);
        return 0;
    }
    if (check(fact, err) != 0)
        return -1;
    char fence[24], event[ID_TEXT_BYTES] = "";
    (void)snprintf(fence, sizeof fence, "%" PRIu64, fact->fence);
    if (last_event)
        id_text(last_event->bytes, event);
    AUTO(call_free) struct fact_call *call = call_new(self, "decide");
    add_fact(call, fact, self->queues);
    add_text(call, fence);
    add_text(call, event);
    AUTO(store_reply_free) redisReply *reply = send_call(self, call, NULL, err);
    return reply ? read_decided(self, reply, done, err) : -1;
}

/* --- facts from a journal --- */

/* What one journal's facts come to that Redis refuses for themselves. */
struct refusals {
    size_t count;
    struct error first;
};

static void refuse(struct refusals *refusals, size_t count, const char *whose, const char *why)
{
    if (refusals->count == 0)
        (void)error_set(&refusals->first, ERROR_INVALID, "not applied to Redis: %s%s%s", whose,
                        whose[0] ? ": " : "", why);
    refusals->count += count;
}

static int say_refusals(const struct refusals *refusals, struct error *err)
{
    if (refusals->count == 0)
        return 0;
    if (refusals->count == 1)
        return error_set(err, ERROR_INVALID, "%s", refusals->first.text);
    return error_set(err, ERROR_INVALID, "%.*s (and %zu more)", FAULT_TEXT_BYTES,
                     refusals->first.text, refusals->count - 1);
}

/* The function's answer: history, fault, whose it is, how many. */
static int read_faults(const redisReply *reply, struct refusals *refusals, struct error *err)
{
    const char *fault = store_text(reply->element[1]);
    const char *whose = reply->elements > 2 ? store_text(reply->element[2]) : "";
    long long count = reply->elements > 3 ? reply->element[3]->integer : 1;
    if (fault[0] == '\0')
        return 0;
    if (!store_is_own_fault(fault))
        return error_set(err, ERROR_UNAVAILABLE, "not applied to Redis: %s", fault);
    refuse(refusals, (size_t)(count > 0 ? count : 1), whose, fault);
    return 0;
}

/* Those about what goes out, by a call of their own under the same history. */
static int apply_outward(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                         const char *history, struct refusals *refusals, struct error *err)
{
    size_t sendable = 0;
    for (size_t i = 0; i < count; i++) {
        struct error why = { 0 };
        if (!store_outward_word(facts[i]))
            continue;
        if (store_outward_check(facts[i], &why) == 0)
            sendable++;
        else
            refuse(refusals, 1, "", why.text);
    }
    if (sendable == 0)
        return 0;
    char found[STORE_HISTORY_BYTES];
    AUTO(store_reply_free)
    redisReply *reply = store_outward_send(self, facts, count, found, err);
    if (!reply || read_faults(reply, refusals, err) != 0)
        return -1;
    if (memcmp(found, history, STORE_HISTORY_BYTES) != 0)
        return error_set(err, ERROR_UNAVAILABLE,
                         "Redis's history changed between two calls: apply all again");
    return 0;
}

/* One call. -1 and was_refused: the call as a whole failed over something in it. */
static int apply_some(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                      char *history, struct refusals *refusals, struct error *err)
{
    struct refusals found = *refusals;
    AUTO(call_free) struct fact_call *call = call_new(self, "facts");
    for (size_t i = 0; i < count; i++) {
        struct error why = { 0 };
        if (!kind_word(facts[i]))
            continue;
        if (check(facts[i], &why) == 0)
            add_fact(call, facts[i], self->queues);
        else
            refuse(&found, 1, "", why.text);
    }
    char live[STORE_HISTORY_BYTES];
    AUTO(store_reply_free) redisReply *reply = send_call(self, call, live, err);
    if (!reply || read_faults(reply, &found, err) != 0 ||
        apply_outward(self, facts, count, live, &found, err) != 0)
        return -1;
    memcpy(history, live, sizeof live);
    *refusals = found;
    return 0;
}

/* What failed alone as a call of its own; a call without it says where Redis stands. */
static int pass_over(struct store *self, const Desg__V1__Fact *fact, char *history,
                     struct refusals *refusals, struct error *err)
{
    char id[ID_TEXT_BYTES], whose[ID_TEXT_BYTES + 8];
    id_text(fact->id.data, id); /* 16 bytes, or it would not have been sent */
    (void)snprintf(whose, sizeof whose, "fact %s", id);
    refuse(refusals, 1, whose, err->text);
    return apply_some(self, NULL, 0, history, refusals, err);
}

int store_facts_apply(struct store *self, const Desg__V1__Fact *const *facts, size_t count,
                      char history[static STORE_HISTORY_BYTES], struct error *err)
{
    assert(self && (facts || count == 0));
    struct refusals refusals = { 0 };
    size_t at = 0, most = FACTS_PER_CALL;
    do {
        size_t part = count - at < most ? count - at : most;
        char found[STORE_HISTORY_BYTES];
        int rc = apply_some(self, facts + at, part, found, &refusals, err);
        if (rc != 0 && self->was_refused && part > 1) {
            most = 1; /* to find out which */
            continue;
        }
        if (rc != 0 && self->was_refused && part == 1)
            rc = pass_over(self, facts[at], found, &refusals, err);
        if (rc != 0)
            return -1;
        if (at > 0 && memcmp(found, history, STORE_HISTORY_BYTES) != 0)
            return error_set(err, ERROR_UNAVAILABLE,
                             "Redis's history changed between two calls: apply all again");
        memcpy(history, found, STORE_HISTORY_BYTES);
        at += part;
    } while (at < count);
    return say_refusals(&refusals, err);
}
