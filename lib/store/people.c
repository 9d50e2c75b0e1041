/* What agents and the desg command ask. Functions answer JSON texts; only whole events are decoded
 * here. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ids/trace.h"
#include "store/describe.h"
#include "store/internal.h"
#include "store/outward_facts.h"
#include "store/plan.h"
#include "unpack/unpack.h"

enum { NUMBER_BYTES = 24 };

static void json_free(json_t **json_p)
{
    json_decref(*json_p);
}

static void event_free(Desg__V1__Event **event_p)
{
    desg__v1__event__free_unpacked(*event_p, NULL);
}

static int parse(struct store *self, const redisReply *text, json_t **out, struct error *err)
{
    json_error_t problem;
    json_t *json = text->type == REDIS_REPLY_STRING
                       ? json_loadb(text->str, text->len, JSON_DECODE_ANY, &problem)
                       : NULL;
    if (!json)
        return store_lose(self, err, "a function's answer is no JSON");
    *out = json;
    return 0;
}

/* A function that answers history and a JSON text. */
static int ask(struct store *self, const char *name, const char *const *args, size_t count,
               json_t **out, struct error *err)
{
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, name, args, count, 2, NULL, err);
    return reply ? parse(self, reply->element[1], out, err) : -1;
}

/* Expired leases go back first, so that what is shown is what is; a Redis that takes no writes
 * still shows its queues. */
static void sweep(struct store *self)
{
    struct error ignored = { 0 };
    if (store_probe(self, &ignored) != 0)
        self->tried_at_ms = INT64_MIN / 2; /* the list itself may reconnect at once */
}

/* history, then ok, or refused with the reason. 0, or -1 with ERROR_INVALID and the reason. */
static redisReply *change(struct store *self, const char *name, const char *const *args,
                          size_t count, struct error *err)
{
    redisReply *reply = store_call(self, name, args, count, 2, NULL, err);
    if (!reply || strcmp(store_text(reply->element[1]), "refused") != 0)
        return reply;
    (void)error_set(err, ERROR_INVALID, "%s",
                    reply->elements > 2 ? store_text(reply->element[2]) : "refused");
    store_reply_free(&reply);
    return NULL;
}

static void number_text(char out[static NUMBER_BYTES], uint64_t number)
{
    (void)snprintf(out, NUMBER_BYTES, "%" PRIu64, number);
}

int store_queues_list(struct store *self, json_t **out, struct error *err)
{
    assert(self && out);
    sweep(self);
    return ask(self, "queues", NULL, 0, out, err);
}

int store_grades(struct store *self, const char *const *queues, size_t count, json_t **out,
                 struct error *err)
{
    assert(self && (queues || count == 0) && out);
    return ask(self, "grades", queues, count, out, err);
}

int store_queue_list(struct store *self, const char *queue, size_t limit, json_t **out,
                     struct error *err)
{
    assert(self && queue && out);
    char number[NUMBER_BYTES];
    number_text(number, limit);
    sweep(self);
    return ask(self, "queue", (const char *[]){ queue, number }, 2, out, err);
}

static json_t *find_event(json_t *events, const char *id)
{
    json_t *event = json_object_get(events, id);
    if (!event) {
        event = json_object();
        (void)json_object_set_new(events, id, event);
    }
    return event;
}

static uint64_t read_number(const char *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = count; i-- > 0;)
        number = number << 8 | (uint8_t)bytes[i];
    return number;
}

/* v:<event>, as RECORD and HEADER of functions/common.lua have it: n, applied at, numbers, words up
 * to a newline, verdict. */
static void add_record(json_t *event, const redisReply *value)
{
    enum { N_BYTES = 4, TIME_BYTES = 8, NUMBERS_BYTES = N_BYTES + TIME_BYTES + 26 };
    if (value->len < NUMBERS_BYTES)
        return;
    (void)json_object_set_new(event, "n", json_integer((json_int_t)read_number(value->str, 4)));
    (void)json_object_set_new(
        event, "applied_at_ms",
        json_integer((json_int_t)read_number(value->str + N_BYTES, TIME_BYTES)));
    const char *newline = memchr(value->str + NUMBERS_BYTES, '\n', value->len - NUMBERS_BYTES);
    if (!newline)
        return;
    json_t *verdict =
        describe_verdict(newline + 1, value->len - (size_t)(newline + 1 - value->str));
    (void)json_object_set_new(event, "verdict", verdict ? verdict : json_null());
}

static void add_event(json_t *event, const redisReply *value)
{
    json_t *described = describe_event(value->str, value->len);
    if (described)
        (void)json_object_update(event, described);
    json_decref(described);
}

/* By (time, id): edits and late copies take their place whenever they arrive. */
static int by_time(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a;
    const json_t *right = *(json_t *const *)b;
    json_int_t times[2];
    for (int i = 0; i < 2; i++) {
        const json_t *event = i == 0 ? left : right;
        times[i] = json_integer_value(json_object_get(event, "platform_time_ms"));
        if (times[i] == 0)
            times[i] = json_integer_value(json_object_get(event, "received_at_ms"));
    }
    if (times[0] != times[1])
        return times[0] < times[1] ? -1 : 1;
    const char *left_id = json_string_value(json_object_get(left, "event"));
    const char *right_id = json_string_value(json_object_get(right, "event"));
    return strcmp(left_id ? left_id : "", right_id ? right_id : "");
}

static json_t *sorted_events(json_t *events)
{
    size_t count = json_object_size(events), at = 0;
    json_t *list = json_array();
    json_t **rows = calloc(count + 1, sizeof(void *));
    if (!rows)
        abort(); /* as jansson's callers elsewhere */
    const char *id = NULL;
    json_t *event = NULL;
    json_object_foreach(events, id, event)
    {
        if (!json_object_get(event, "event"))
            (void)json_object_set_new(event, "event", json_string(id));
        rows[at++] = event;
    }
    qsort(rows, count, sizeof(void *), by_time);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append(list, rows[i]);
    free(rows);
    return list;
}

/* Facts in the order they were decided. */
static int by_decision(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a;
    const json_t *right = *(json_t *const *)b;
    json_int_t times[] = { json_integer_value(json_object_get(left, "at_ms")),
                           json_integer_value(json_object_get(right, "at_ms")) };
    if (times[0] != times[1])
        return times[0] < times[1] ? -1 : 1;
    return strcmp(json_string_value(json_object_get(left, "fact")),
                  json_string_value(json_object_get(right, "fact")));
}

/* f:<fact>, as functions/facts.lua has it: two lines, then the serialised fact. */
static json_t *describe_fact_record(const char *id, const redisReply *value)
{
    const char *end = value->str + value->len;
    const char *line = memchr(value->str, '\n', value->len);
    const char *second = line ? memchr(line + 1, '\n', (size_t)(end - line - 1)) : NULL;
    if (!second)
        return NULL;
    json_t *fact = describe_fact(second + 1, (size_t)(end - second - 1));
    json_t *covered = json_array();
    for (const char *at = line + 1; second - at >= ID_TEXT_BYTES; at += ID_TEXT_BYTES)
        (void)json_array_append_new(covered,
                                    json_pack("{s:s%, s:i}", "event", at, (size_t)ID_TEXT_BYTES - 1,
                                              "severity", at[ID_TEXT_BYTES - 1] - '0'));
    if (json_array_size(covered) > 0)
        (void)json_object_set(fact, "covered", covered);
    json_decref(covered);
    (void)json_object_set_new(fact, "fact", json_string(id));
    return fact;
}

static json_t *describe_facts(const redisReply *flat)
{
    size_t count = 0;
    json_t **rows = calloc(flat->elements / 2 + 1, sizeof(void *));
    if (!rows)
        abort();
    for (size_t i = 0; i + 1 < flat->elements; i += 2) {
        const char *name = store_text(flat->element[i]);
        const redisReply *value = flat->element[i + 1];
        if (strncmp(name, "f:", 2) != 0 || value->type != REDIS_REPLY_STRING)
            continue;
        rows[count] = describe_fact_record(name + 2, value);
        if (rows[count])
            count++;
    }
    qsort(rows, count, sizeof(void *), by_decision);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, rows[i]);
    free(rows);
    return list;
}

/* What became of what went out, where it belongs. */
static void add_items(json_t *conversation, json_t *items)
{
    size_t at = 0;
    json_t *fact = NULL, *row = NULL;
    const char *id = NULL;
    json_array_foreach(json_object_get(conversation, "facts"), at, fact)
    {
        row = json_object_get(items, json_string_value(json_object_get(fact, "fact")));
        if (row)
            (void)json_object_set(fact, "item", row);
    }
    json_object_foreach(items, id, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));
        store_mend_row(row);
        if (kind && strcmp(kind, "receipt") == 0)
            (void)json_object_set(conversation, "receipt", row);
    }
}

/* When the person last wrote privately: what the time to answer is counted from. */
static void add_last_person(json_t *conversation)
{
    json_int_t newest_ms = 0;
    size_t at = 0;
    json_t *event = NULL;
    json_array_foreach(json_object_get(conversation, "events"), at, event)
    {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        bool is_word = kind && (strcmp(kind, "message") == 0 || strcmp(kind, "postback") == 0);
        json_int_t at_ms = json_integer_value(json_object_get(event, "platform_time_ms"));
        if (at_ms == 0)
            at_ms = json_integer_value(json_object_get(event, "received_at_ms"));
        if (is_word && at_ms > newest_ms)
            newest_ms = at_ms;
    }
    (void)json_object_set_new(conversation, "last_person_at_ms", json_integer(newest_ms));
}

/* Of a message too short to tell by itself the conversation's language. */
static void add_languages(json_t *conversation)
{
    const char *known = json_string_value(json_object_get(conversation, "language"));
    size_t at = 0;
    json_t *event = NULL;
    json_array_foreach(json_object_get(conversation, "events"), at, event)
    {
        const json_t *verdict = json_object_get(event, "verdict");
        const char *own = json_string_value(json_object_get(verdict, "language"));
        bool is_unsure = own ? strcmp(own, "unsure") == 0
                             : json_is_true(json_object_get(verdict, "is_unclassified"));
        const char *language = is_unsure ? known : own;
        if (language && strcmp(language, "-") != 0)
            (void)json_object_set_new(event, "language", json_string(language));
    }
}

/* The broadcast whose post it was said under, if it was one. */
static int add_broadcast(struct store *self, json_t *conversation, struct error *err)
{
    const char *args[STORE_FUNCTION_ARGS_MAX];
    size_t count = 0, at = 0;
    json_t *event = NULL;
    json_array_foreach(json_object_get(conversation, "events"), at, event)
    {
        const char *target = json_string_value(json_object_get(event, "target_object_id"));
        if (target && json_is_true(json_object_get(event, "is_public")) &&
            count < STORE_FUNCTION_ARGS_MAX)
            args[count++] = target;
    }
    if (count == 0)
        return 0;
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "posted", args, count, 1 + count, NULL, err);
    if (!reply)
        return -1;
    for (at = 0; at < count; at++)
        if (store_text(reply->element[1 + at])[0] != '\0')
            (void)json_object_set_new(conversation, "broadcast",
                                      json_string(store_text(reply->element[1 + at])));
    return 0;
}

static json_t *describe_events(const redisReply *flat)
{
    AUTO(json_free) json_t *events = json_object();
    for (size_t i = 0; i + 1 < flat->elements; i += 2) {
        const char *name = store_text(flat->element[i]);
        const redisReply *value = flat->element[i + 1];
        if (value->type != REDIS_REPLY_STRING)
            continue;
        if (strncmp(name, "e:", 2) == 0)
            add_event(find_event(events, name + 2), value);
        else if (strncmp(name, "v:", 2) == 0)
            add_record(find_event(events, name + 2), value);
    }
    return sorted_events(events);
}

int store_conversation(struct store *self, const struct id *conversation, json_t **out,
                       struct error *err)
{
    assert(self && conversation && out);
    char text[ID_TEXT_BYTES];
    id_text(conversation->bytes, text);
    AUTO(store_reply_free)
    redisReply *reply = store_call(self, "conversation", (const char *[]){ text }, 1, 2, NULL, err);
    if (!reply)
        return -1;
    if (reply->elements < 3 || reply->element[2]->type != REDIS_REPLY_ARRAY)
        return error_set(err, ERROR_INVALID, "there is no conversation %s", text);
    json_t *object = NULL;
    if (parse(self, reply->element[1], &object, err) != 0)
        return -1;
    (void)json_object_set_new(object, "conversation", json_string(text));
    (void)json_object_set_new(object, "events", describe_events(reply->element[2]));
    (void)json_object_set_new(object, "facts", describe_facts(reply->element[2]));
    AUTO(json_free) json_t *items = NULL;
    if (reply->elements > 3 && parse(self, reply->element[3], &items, err) == 0)
        add_items(object, items);
    add_last_person(object);
    add_languages(object);
    if (add_broadcast(self, object, err) != 0) {
        json_decref(object);
        return -1;
    }
    *out = object;
    return 0;
}

int store_claim(struct store *self, const char *agent, const char *queue,
                const struct id *conversation, json_t **out, struct error *err)
{
    assert(self && agent && queue && out);
    char text[ID_TEXT_BYTES] = "", lease[NUMBER_BYTES];
    if (conversation)
        id_text(conversation->bytes, text);
    number_text(lease, store_lease_s(self->queues) * 1000ULL);
    const char *args[] = { agent, queue, text, lease };
    AUTO(store_reply_free) redisReply *reply = change(self, "claim", args, 4, err);
    if (!reply)
        return -1;
    if (reply->elements < 3) {
        *out = NULL; /* nothing waits */
        return 0;
    }
    return parse(self, reply->element[2], out, err);
}

/* The changes that need agent, conversation and fence, and perhaps one thing more. */
static int fenced(struct store *self, const char *name, const char *agent,
                  const struct id *conversation, uint64_t fence, const char *more,
                  struct error *err)
{
    assert(self && agent && conversation);
    char text[ID_TEXT_BYTES], number[NUMBER_BYTES];
    id_text(conversation->bytes, text);
    number_text(number, fence);
    const char *args[] = { agent, text, number, more };
    AUTO(store_reply_free) redisReply *reply = change(self, name, args, 4, err);
    return reply ? 0 : -1;
}

int store_heartbeat(struct store *self, const char *agent, const struct id *conversation,
                    uint64_t fence, struct error *err)
{
    char lease[NUMBER_BYTES];
    number_text(lease, store_lease_s(self->queues) * 1000ULL);
    return fenced(self, "heartbeat", agent, conversation, fence, lease, err);
}

int store_release(struct store *self, const char *agent, const struct id *conversation,
                  uint64_t fence, struct error *err)
{
    return fenced(self, "release", agent, conversation, fence, "", err);
}

int store_alerts_list(struct store *self, bool open_only, size_t limit, json_t **out,
                      struct error *err)
{
    assert(self && out);
    char number[NUMBER_BYTES];
    number_text(number, limit);
    return ask(self, "alerts", (const char *[]){ open_only ? "1" : "0", number }, 2, out, err);
}

int store_alert_get(struct store *self, const struct id *alert, json_t **out, struct error *err)
{
    assert(self && alert && out);
    char text[ID_TEXT_BYTES];
    id_text(alert->bytes, text);
    json_t *found = NULL;
    if (ask(self, "alert_get", (const char *[]){ text }, 1, &found, err) != 0)
        return -1;
    if (json_is_null(found)) {
        json_decref(found);
        found = NULL;
    }
    *out = found;
    return 0;
}

int store_sources(struct store *self, json_t **out, struct error *err)
{
    assert(self && out);
    return ask(self, "sources", NULL, 0, out, err);
}

int store_quarantine_list(struct store *self, size_t limit, json_t **out, struct error *err)
{
    assert(self && out);
    char number[NUMBER_BYTES];
    number_text(number, limit);
    return ask(self, "quarantine_list", (const char *[]){ number }, 1, out, err);
}

int store_quarantine_show(struct store *self, const struct id *event, json_t **out,
                          struct error *err)
{
    assert(self && event && out);
    char text[ID_TEXT_BYTES];
    id_text(event->bytes, text);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "quarantine_show", (const char *[]){ text }, 1, 2, NULL, err);
    if (!reply)
        return -1;
    if (reply->elements < 5 || reply->element[3]->type != REDIS_REPLY_STRING ||
        reply->element[4]->type != REDIS_REPLY_STRING)
        return error_set(err, ERROR_INVALID, "event %s is not in quarantine", text);
    json_t *row = NULL;
    if (parse(self, reply->element[2], &row, err) != 0)
        return -1;
    json_t *described = describe_event(reply->element[3]->str, reply->element[3]->len);
    json_t *verdict = describe_verdict(reply->element[4]->str, reply->element[4]->len);
    (void)json_object_set_new(row, "content", described ? described : json_null());
    (void)json_object_set_new(row, "verdict", verdict ? verdict : json_null());
    *out = row;
    return 0;
}

/* The rows about an event that is known get the trace of its delivery. */
static void add_trace(json_t *rows, const redisReply *event_bytes)
{
    AUTO(event_free)
    Desg__V1__Event *event =
        unpack_or_end(&desg__v1__event__descriptor, event_bytes->str, event_bytes->len);
    char text[ID_TEXT_BYTES], trace[TRACE_TEXT_BYTES] = "";
    if (!event || event->id.len != ID_BYTES)
        return;
    id_text(event->id.data, text);
    trace_text((struct trace){ event->trace_high, event->trace_low }, trace);
    for (size_t i = 0; trace[0] != '\0' && i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *about = json_string_value(json_object_get(row, "event"));
        if (about && strcmp(about, text) == 0)
            (void)json_object_set_new(row, "trace", json_string(trace));
    }
}

int store_trace(struct store *self, const struct id *any, json_t **out, struct error *err)
{
    assert(self && any && out);
    char text[ID_TEXT_BYTES], alert_text[ID_TEXT_BYTES];
    id_text(any->bytes, text);
    struct id alert = id_of_alert(any->bytes);
    id_text(alert.bytes, alert_text);
    AUTO(store_reply_free)
    redisReply *reply =
        store_call(self, "trace", (const char *[]){ text, alert_text }, 2, 2, NULL, err);
    if (!reply || parse(self, reply->element[1], out, err) != 0)
        return -1;
    if (reply->elements > 2 && reply->element[2]->type == REDIS_REPLY_STRING &&
        reply->element[2]->len > 0)
        add_trace(*out, reply->element[2]);
    return 0;
}
