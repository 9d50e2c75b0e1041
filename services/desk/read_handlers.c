/* What people look at. Content is answered only after the view is in the audit log. */
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "desk/alike.h"
#include "desk/api.h"
#include "desk/openapi.h"
#include "desk/reply_window.h"
#include "ids/reference.h"
#include "log/log.h"

enum { COUNTED_MAX = API_LIST_MAX, HIDDEN_ALLOWANCE = 1000, QUARANTINE_LOOKED_AT = 200 };

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static int note_view(struct api_call *call, const char *what, const struct id *conversation)
{
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Viewed viewed = DESG__V1__VIEWED__INIT;
    struct id copy;
    viewed.what = (char *)what;
    fact.what_case = DESG__V1__FACT__WHAT_VIEWED;
    fact.viewed = &viewed;
    if (conversation) {
        copy = *conversation;
        fact.conversation_id = (ProtobufCBinaryData){ ID_BYTES, copy.bytes };
    }
    return api_fact_note(call, &fact);
}

/* --- the API itself --- */

void api_openapi(struct api_call *call)
{
    call->answer->status = 200;
    call->answer->content_type = "application/yaml";
    call->answer->body = strdup(openapi_document);
    call->answer->body_bytes = call->answer->body ? strlen(call->answer->body) : 0;
}

void api_session(struct api_call *call)
{
    json_t *roles = json_array();
    for (unsigned bit = ROLE_AGENT; bit <= ROLE_COMMS; bit <<= 1)
        if (call->holder.roles & bit)
            (void)json_array_append_new(roles, json_string(role_name((enum role)bit)));
    api_answer(call, 200,
               json_pack("{s:s, s:o, s:s}", "agent", call->holder.agent, "roles", roles, "desk",
                         call->api->name));
}

void api_status(struct api_call *call)
{
    static const char *const states[] = {
        [STORE_READY] = "ready", [STORE_AWAY] = "away", [STORE_REFUSED] = "refused"
    };
    char source[ID_TEXT_BYTES];
    struct chain_head head;
    struct journal_stats stats;
    enum store_state state = store_check(call->store);
    id_text(call->api->source.bytes, source);
    chain_head(call->api->chain, &head);
    journal_stats(call->api->journal, &stats);
    json_t *status = json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:I}", "desk", call->api->name, "source", source,
        "redis", "state", states[state], "problem", store_problem(call->store), "journal", "state",
        journal_state_name(stats.state), "audit_number", (json_int_t)head.number);
    projector_describe(call->api->projector, status);
    api_answer(call, 200, status);
}

/* --- queues --- */

/* A queue's row as it is for those who see no restricted conversations. One that holds nothing they
 * may see is not there, as an empty one is not: else its absence would tell. */
static int count_visible(struct api_call *call, json_t *queue, bool *is_there, struct error *err)
{
    AUTO(drop_json) json_t *rows = NULL;
    const char *name = json_string_value(json_object_get(queue, "name"));
    if (!name || store_queue_list(call->store, name, COUNTED_MAX, &rows, err) != 0)
        return -1;
    json_int_t depth = 0;
    json_int_t claimed = 0;
    double oldest_ms = 0;
    size_t index;
    const json_t *row;
    api_drop_restricted(call, rows);
    json_array_foreach(rows, index, row)
    {
        const char *state = json_string_value(json_object_get(row, "state"));
        double waiting_ms = json_number_value(json_object_get(row, "waiting_ms"));
        bool is_claimed = state && strcmp(state, "claimed") == 0;
        claimed += is_claimed;
        depth += !is_claimed;
        if (!is_claimed && waiting_ms > oldest_ms)
            oldest_ms = waiting_ms;
    }
    (void)json_object_set_new(queue, "depth", json_integer(depth));
    (void)json_object_set_new(queue, "claimed", json_integer(claimed));
    (void)json_object_set_new(queue, "oldest_waiting_ms", json_integer((json_int_t)oldest_ms));
    *is_there = json_array_size(rows) > 0;
    return 0;
}

void api_queues(struct api_call *call)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *queues = NULL;
    if (store_queues_list(call->store, &queues, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    for (size_t i = json_array_size(queues); i-- > 0 && !api_sees_restricted(call);) {
        bool is_there = false;
        if (count_visible(call, json_array_get(queues, i), &is_there, &err) != 0) {
            api_unavailable(call, &err);
            return;
        }
        if (!is_there)
            (void)json_array_remove(queues, i);
    }
    api_answer(call, 200, json_pack("{s:O}", "queues", queues));
}

static void cut(json_t *rows, size_t limit)
{
    while (json_array_size(rows) > limit)
        (void)json_array_remove(rows, json_array_size(rows) - 1);
}

void api_queue(struct api_call *call)
{
    size_t limit = 0;
    struct error err = { 0 };
    AUTO(drop_json) json_t *rows = NULL;
    if (!api_limit(call, API_LIST_MAX, &limit))
        return;
    size_t asked = api_sees_restricted(call) ? limit : limit + HIDDEN_ALLOWANCE;
    if (store_queue_list(call->store, call->name, asked, &rows, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    api_drop_restricted(call, rows);
    cut(rows, limit);
    if (alike_mark(call->store, rows, &err) != 0) /* a queue without marks is better than none */
        log_warn("alike_not_marked", KV("error", err.text));
    api_answer(call, 200, json_pack("{s:s, s:O}", "queue", call->name, "conversations", rows));
}

void api_conversation_show(struct api_call *call)
{
    struct reply_window window;
    char reference[REFERENCE_BYTES];
    AUTO(drop_json) json_t *conversation = NULL;
    if (api_conversation(call, &call->id, &conversation) != 0 ||
        note_view(call, "conversation", &call->id) != 0)
        return;
    reference_write(&call->id, reference);
    (void)json_object_set_new(conversation, "reference", json_string(reference));
    if (reply_window_of(call->api->outward, conversation, NULL, clock_unix_ms(), &window))
        (void)json_object_set_new(conversation, "window", reply_window_json(&window));
    api_answer(call, 200, json_incref(conversation));
}

/* Who holds it, under which fence: no content, so no view. */
void api_claim_show(struct api_call *call)
{
    AUTO(drop_json) json_t *conversation = NULL;
    if (api_conversation(call, &call->id, &conversation) == 0)
        api_answer(call, 200, api_claim_of(conversation));
}

/* --- alerts --- */

void api_alerts(struct api_call *call)
{
    size_t limit = 0;
    struct error err = { 0 };
    AUTO(drop_json) json_t *rows = NULL;
    const char *state = api_query(call, "state");
    if (!api_limit(call, API_LIST_MAX, &limit))
        return;
    if (state && strcmp(state, "open") != 0 && strcmp(state, "all") != 0) {
        api_problem(call->answer, 400, "query", "The query parameter state takes open or all.",
                    "Write one of them, or leave it out for open.", NULL);
        return;
    }
    bool is_open_only = !state || strcmp(state, "open") == 0;
    size_t asked = api_sees_restricted(call) ? limit : limit + HIDDEN_ALLOWANCE;
    if (store_alerts_list(call->store, is_open_only, asked, &rows, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    api_drop_restricted(call, rows);
    cut(rows, limit);
    api_answer(call, 200, json_pack("{s:O}", "alerts", rows));
}

/* --- may the caller see what a row names? --- */

/* has_own_word: the row itself says whether it is restricted, and may be the first of its
 * conversation: an event in quarantine. */
static int sees_named(struct api_call *call, const json_t *row, bool has_own_word,
                      struct error *err)
{
    struct id id;
    AUTO(drop_json) json_t *conversation = NULL;
    struct error why = { 0 };
    const char *text = json_string_value(json_object_get(row, "conversation"));
    if (api_sees_restricted(call) || !text || id_parse(text, &id) != 0)
        return 1;
    if (store_conversation(call->store, &id, &conversation, &why) != 0) {
        if (why.kind == ERROR_INVALID)
            return has_own_word ? 1 : 0;
        *err = why;
        return -1;
    }
    return api_hides(call, conversation) ? 0 : 1;
}

int api_sees_conversation(struct api_call *call, const json_t *row, struct error *err)
{
    return sees_named(call, row, false, err);
}

static int sees_alert(struct api_call *call, const json_t *row, struct error *err)
{
    struct id id;
    AUTO(drop_json) json_t *alert = NULL;
    const char *text = json_string_value(json_object_get(row, "alert"));
    if (api_sees_restricted(call) || !text || id_parse(text, &id) != 0)
        return 1;
    if (store_alert_get(call->store, &id, &alert, err) != 0)
        return -1;
    return alert && api_is_restricted(alert) ? 0 : 1;
}

/* --- trace --- */

static int sees_all(struct api_call *call, const json_t *rows, struct error *err)
{
    char last[ID_TEXT_BYTES] = "";
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        const char *text = json_string_value(json_object_get(row, "conversation"));
        int sees = api_is_restricted(row) && !api_sees_restricted(call) ? 0 : 1;
        if (sees == 1)
            sees = sees_alert(call, row, err);
        if (sees == 1 && text && strncmp(text, last, sizeof last - 1) != 0) {
            sees = sees_named(call, row, json_object_get(row, "restricted") != NULL, err);
            strncpy(last, text, sizeof last - 1); /* asked once for rows in a run */
        }
        if (sees != 1)
            return sees;
    }
    return 1;
}

void api_trace(struct api_call *call)
{
    struct error err = { 0 };
    struct id conversation;
    AUTO(drop_json) json_t *rows = NULL;
    int sees = store_trace(call->store, &call->id, &rows, &err) == 0 ? 1 : -1;
    if (sees == 1)
        sees = sees_all(call, rows, &err);
    if (sees == -1) {
        api_unavailable(call, &err);
        return;
    }
    if (sees == 0 || json_array_size(rows) == 0) {
        api_absent(call);
        return;
    }
    const char *text = NULL;
    for (size_t i = 0; !text && i < json_array_size(rows); i++)
        text = json_string_value(json_object_get(json_array_get(rows, i), "conversation"));
    bool has_conversation = text && id_parse(text, &conversation) == 0;
    if (note_view(call, "trace", has_conversation ? &conversation : NULL) == 0)
        api_answer(call, 200, json_pack("{s:O}", "story", rows));
}

/* --- quarantine --- */

/* Neither the event's own verdict nor its conversation is restricted. */
static int sees_quarantined(struct api_call *call, const json_t *row, struct error *err)
{
    const json_t *verdict = json_object_get(row, "verdict");
    if (!api_sees_restricted(call) && (api_is_restricted(verdict) || api_is_restricted(row)))
        return 0;
    return sees_named(call, row, true, err);
}

int api_quarantined(struct api_call *call, const struct id *event, json_t **out,
                    struct id *conversation)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *row = NULL;
    if (store_quarantine_show(call->store, event, &row, &err) != 0) {
        if (err.kind == ERROR_INVALID)
            api_absent(call);
        else
            api_unavailable(call, &err);
        return -1;
    }
    int sees = sees_quarantined(call, row, &err);
    if (sees == -1)
        api_unavailable(call, &err);
    else if (sees == 0)
        api_absent(call);
    if (sees != 1)
        return -1;
    const char *text = json_string_value(json_object_get(row, "conversation"));
    if (conversation && (!text || id_parse(text, conversation) != 0))
        memset(conversation, 0, sizeof *conversation);
    if (out)
        *out = json_incref(row);
    return 0;
}

/* For those without the right each row is looked into: a list names no restricted class. */
static int drop_unseen(struct api_call *call, json_t *rows, struct error *err)
{
    for (size_t i = json_array_size(rows); i-- > 0 && !api_sees_restricted(call);) {
        struct id event;
        struct error why = { 0 };
        AUTO(drop_json) json_t *whole = NULL;
        const char *text = json_string_value(json_object_get(json_array_get(rows, i), "event"));
        int sees = text && id_parse(text, &event) == 0 ? 1 : 0;
        if (sees == 1 && store_quarantine_show(call->store, &event, &whole, &why) != 0)
            sees = why.kind == ERROR_INVALID ? 0 : -1; /* gone meanwhile */
        if (sees == 1)
            sees = sees_quarantined(call, whole, &why);
        if (sees == -1) {
            *err = why;
            return -1;
        }
        if (sees == 0)
            (void)json_array_remove(rows, i);
    }
    return 0;
}

void api_quarantine(struct api_call *call)
{
    size_t limit = 0;
    struct error err = { 0 };
    AUTO(drop_json) json_t *rows = NULL;
    if (!api_limit(call, API_LIST_MAX, &limit))
        return;
    if (!api_sees_restricted(call) && limit > QUARANTINE_LOOKED_AT)
        limit = QUARANTINE_LOOKED_AT;
    if (store_quarantine_list(call->store, limit, &rows, &err) != 0 ||
        drop_unseen(call, rows, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    api_answer(call, 200, json_pack("{s:O}", "events", rows));
}

void api_quarantine_show(struct api_call *call)
{
    struct id conversation;
    AUTO(drop_json) json_t *row = NULL;
    if (api_quarantined(call, &call->id, &row, &conversation) == 0 &&
        note_view(call, "quarantine", &conversation) == 0)
        api_answer(call, 200, json_incref(row));
}
