#include "desk/api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "log/log.h"
#include "unpack/unpack.h"

enum { BUSY_RETRY_S = 1, FULL_RETRY_S = 5 };

/* --- answering --- */

static void fill(struct http_answer *answer, unsigned status, json_t *value)
{
    free(answer->body);
    answer->status = status;
    answer->body = value ? json_dumps(value, JSON_COMPACT) : NULL;
    answer->body_bytes = answer->body ? strlen(answer->body) : 0;
    if (value && !answer->body)
        answer->status = 500; /* no memory */
    json_decref(value);
}

void api_answer(struct api_call *call, unsigned status, json_t *value)
{
    fill(call->answer, status, value);
}

static const char *title_of(unsigned status)
{
    switch (status) {
    case 400:
        return "The request is not well formed";
    case 401:
        return "Nobody is known by this token";
    case 403:
        return "Your roles do not reach this";
    case 404:
        return "There is nothing here";
    case 405:
        return "Not with this method";
    case 409:
        return "It is not as you saw it";
    case 413:
        return "Too large";
    case 415:
        return "Not JSON";
    case 422:
        return "The body does not say what is needed";
    case 503:
        return "Not now";
    default:
        return "Refused";
    }
}

void api_problem(struct http_answer *answer, unsigned status, const char *kind, const char *detail,
                 const char *remedy, json_t *more)
{
    json_t *problem = json_pack(
        "{s:o, s:s, s:i, s:s, s:s}", "type", json_sprintf("urn:desg:problem:%s", kind), "title",
        title_of(status), "status", (int)status, "detail", detail, "remedy", remedy);
    if (more)
        (void)json_object_update_missing(problem, more); /* without memory fill says 500 */
    json_decref(more);
    fill(answer, status, problem);
    answer->content_type = "application/problem+json";
}

void api_http_problem(unsigned status, const char *detail, const char *remedy,
                      struct http_answer *answer)
{
    api_problem(answer, status, "http", detail, remedy, NULL);
}

void api_absent(struct api_call *call)
{
    api_problem(call->answer, 404, "absent", "Nothing is known by this id or name.",
                "Look in the queues for what is there.", NULL);
}

void api_unavailable(struct api_call *call, const struct error *err)
{
    api_problem(call->answer, 503, "away", err->text,
                "Ask again; a change with the same Idempotency-Key.", NULL);
    call->answer->retry_after_s = BUSY_RETRY_S;
}

/* --- rights --- */

bool api_is_restricted(const json_t *row)
{
    const json_t *restricted = json_object_get(row, "restricted");
    const char *text = json_string_value(restricted);
    if (text)
        return text[0] != '\0' && strcmp(text, "0") != 0 && strcmp(text, "none") != 0;
    return json_is_true(restricted) || json_number_value(restricted) > 0;
}

void api_drop_restricted(const struct api_call *call, json_t *rows)
{
    if (api_sees_restricted(call))
        return;
    for (size_t i = json_array_size(rows); i-- > 0;)
        if (api_is_restricted(json_array_get(rows, i)))
            (void)json_array_remove(rows, i);
}

bool api_hides(const struct api_call *call, const json_t *conversation)
{
    return !api_sees_restricted(call) &&
           (api_is_restricted(conversation) || !json_object_get(conversation, "first"));
}

int api_conversation(struct api_call *call, const struct id *conversation, json_t **out)
{
    struct error err = { 0 };
    json_t *found = NULL;
    if (store_conversation(call->store, conversation, &found, &err) != 0) {
        if (err.kind == ERROR_INVALID)
            api_absent(call);
        else
            api_unavailable(call, &err);
        return -1;
    }
    if (api_hides(call, found)) {
        json_decref(found);
        api_absent(call);
        return -1;
    }
    if (out)
        *out = found;
    else
        json_decref(found);
    return 0;
}

json_t *api_claim_of(const json_t *conversation)
{
    static const char *const shown[] = { "conversation", "state",    "owner",     "fence",
                                         "queue",        "severity", "last_event" };
    json_t *claim = json_object();
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (json_object_get(conversation, shown[i]))
            (void)json_object_set(claim, shown[i], json_object_get(conversation, shown[i]));
    return claim; /* a member missing for want of memory shows */
}

/* --- facts --- */

bool api_can_store(struct api_call *call)
{
    struct journal_stats stats;
    journal_stats(call->api->journal, &stats);
    if (stats.state != JOURNAL_FULL && stats.state != JOURNAL_DEAD)
        return true;
    api_problem(call->answer, 503, "journal",
                "The journal takes nothing now, so nothing can be decided or shown.",
                "Ask again; an operator must give the journal room.", NULL);
    call->answer->retry_after_s = FULL_RETRY_S;
    return false;
}

struct wanted {
    const struct id *id;
    Desg__V1__Fact *found; /* a copy of one's own */
};

static bool find_fact(void *arg, const struct chain_link *link)
{
    struct wanted *wanted = arg;
    if (!link->fact || link->fact->id.len != ID_BYTES ||
        memcmp(link->fact->id.data, wanted->id->bytes, ID_BYTES) != 0)
        return true;
    wanted->found =
        unpack_or_end(&desg__v1__fact__descriptor, link->record->fact.data, link->record->fact.len);
    return false;
}

static Desg__V1__Fact *read_fact(struct api_call *call, const struct id *id, uint64_t sequence)
{
    struct error err = { 0 };
    struct wanted wanted = { .id = id };
    struct journal_page page = { 0 };
    if (journal_read(call->api->journal, sequence, 1, 1, &page, &err) != 0) {
        log_warn("fact_not_read", KV("sequence", sequence), KV("error", err.text));
        return NULL;
    }
    if (page.count > 0 && page.records[0].sequence == sequence)
        (void)chain_open(&page.records[0], find_fact, &wanted); /* found or not is in wanted */
    journal_page_clear(&page);
    return wanted.found;
}

void api_key_used(struct api_call *call)
{
    api_problem(call->answer, 422, "key-used", "This Idempotency-Key was used for another change.",
                "Make a new key for each change.", NULL);
}

/* The answer of the first time, from what was stored then. */
static void answer_again(struct api_call *call, const Desg__V1__Fact *asked, const struct id *id,
                         uint64_t sequence, api_fact_answer *answer_of)
{
    Desg__V1__Fact *stored = read_fact(call, id, sequence);
    if (!stored) {
        struct error err = { 0 };
        (void)error_set(&err, ERROR_UNAVAILABLE, "What was stored under this key cannot be read.");
        api_unavailable(call, &err);
    } else if (!fact_is_same(asked, stored))
        api_key_used(call);
    else
        api_answer(call, 200, answer_of(call, stored));
    desg__v1__fact__free_unpacked(stored, NULL);
}

enum fact_outcome api_fact_begin(struct api_call *call, Desg__V1__Fact *fact, struct id *id,
                                 api_fact_answer *answer_of)
{
    uint64_t sequence = 0;
    *id = id_of_fact(call->api->id_key, call->holder.agent, call->key);
    fact->id = (ProtobufCBinaryData){ ID_BYTES, id->bytes };
    fact->agent = call->holder.agent;
    fact->at_ms = clock_unix_ms();
    switch (fact_index_begin(call->api->index, id, &sequence)) {
    case FACT_STORED:
        answer_again(call, fact, id, sequence, answer_of);
        return FACT_REPEATED;
    case FACT_IN_HAND:
        api_problem(call->answer, 409, "in-hand", "The same change is in hand already.",
                    "Ask again in a second with the same key for its answer.", NULL);
        call->answer->retry_after_s = BUSY_RETRY_S;
        return FACT_ANSWERED;
    case FACT_UNKNOWN:
        break;
    }
    if (api_can_store(call))
        return FACT_NEW;
    fact_index_drop(call->api->index, id);
    return FACT_ANSWERED;
}

void api_fact_drop(struct api_call *call, const struct id *id)
{
    fact_index_drop(call->api->index, id);
}

json_t *api_fact_plain(struct api_call *call, const Desg__V1__Fact *fact)
{
    (void)call;
    return fact_describe(fact);
}

/* Redis may know the key where this desk does not: is it the same change? */
static bool is_asked_for(const Desg__V1__Fact *asked, const struct store_fact_done *done)
{
    if (!done->is_repeat)
        return true;
    Desg__V1__Fact *stored =
        unpack_or_end(&desg__v1__fact__descriptor, done->fact, done->fact_length);
    bool is_same = stored && fact_is_same(asked, stored);
    desg__v1__fact__free_unpacked(stored, NULL);
    return is_same;
}

void api_fact_store_done(struct api_call *call, const struct id *id, const Desg__V1__Fact *asked,
                         struct store_fact_done *done, api_fact_answer *answer_of)
{
    if (is_asked_for(asked, done)) {
        api_fact_store(call, id, done->fact, done->fact_length, answer_of);
    } else {
        api_fact_drop(call, id);
        api_key_used(call);
    }
    free(done->fact);
    done->fact = NULL;
}

void api_fact_store(struct api_call *call, const struct id *id, const void *bytes, size_t length,
                    api_fact_answer *answer_of)
{
    struct error err = { 0 };
    uint64_t sequence = 0;
    if (chain_append(call->api->chain, bytes, length, &sequence, &err) != 0) {
        fact_index_drop(call->api->index, id);
        api_unavailable(call, &err);
        return;
    }
    fact_index_put(call->api->index, id, sequence);
    Desg__V1__Fact *fact = unpack_or_end(&desg__v1__fact__descriptor, bytes, length);
    assert(fact); /* our own bytes */
    char text[ID_TEXT_BYTES];
    id_text(id->bytes, text);
    log_info("fact_stored", KV("fact", text), KV("kind", fact_kind(fact)),
             KV("sequence", sequence));
    api_answer(call, 200, answer_of(call, fact));
    desg__v1__fact__free_unpacked(fact, NULL);
}

int api_fact_note(struct api_call *call, Desg__V1__Fact *fact)
{
    struct error err = { 0 };
    struct id id = id_random();
    uint64_t sequence = 0;
    fact->id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
    fact->agent = call->holder.agent;
    fact->at_ms = clock_unix_ms();
    if (!api_can_store(call))
        return -1;
    size_t length = desg__v1__fact__get_packed_size(fact);
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();                             /* a few hundred bytes */
    (void)desg__v1__fact__pack(fact, bytes); /* always writes length bytes */
    int rc = chain_append(call->api->chain, bytes, length, &sequence, &err);
    free(bytes);
    if (rc != 0)
        api_unavailable(call, &err);
    return rc;
}
