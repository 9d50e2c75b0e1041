/* Broadcasts: drafted, approved by a second person, published, cancelled. A version never changes;
 * whoever approves names the one that was read. */
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "desk/api.h"
#include "desk/broadcast_like.h"
#include "desk/outward_decide.h"
#include "outward/broadcast.h"

enum { REASON_MAX_BYTES = 2000, VERSION_MAX = 10000 };
static const int64_t hour_ms = INT64_C(3600) * 1000;

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static void free_broadcast(Desg__V1__Broadcast **broadcast_p)
{
    desg__v1__broadcast__free_unpacked(*broadcast_p, NULL);
}

/* --- seeing --- */

void api_broadcasts(struct api_call *call)
{
    size_t limit = 0;
    struct error err = { 0 };
    AUTO(drop_json) json_t *rows = NULL;
    const char *state = api_query(call, "state");
    bool is_known = !state;
    for (int i = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_DRAFT;
         state && i <= DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED; i++)
        is_known =
            is_known || strcmp(broadcast_state_word((Desg__V1__BroadcastState)i), state) == 0;
    if (!api_limit(call, API_LIST_MAX, &limit))
        return;
    if (!is_known)
        api_problem(call->answer, 400, "query",
                    "The query parameter state takes draft, approved, scheduled, published, "
                    "expired or cancelled.",
                    "Write one of them, or leave it out for all.", NULL);
    else if (store_broadcasts(call->store, state, limit, &rows, &err) != 0)
        api_unavailable(call, &err);
    else
        api_answer(call, 200, json_pack("{s:O}", "broadcasts", rows));
}

/* The broadcast of the path: 0, or -1 with the answer given. */
static int see_broadcast(struct api_call *call, json_t **out)
{
    struct error err = { 0 };
    json_t *found = NULL;
    if (store_broadcast_get(call->store, &call->id, &found, &err) != 0) {
        api_unavailable(call, &err);
        return -1;
    }
    if (!found) {
        api_absent(call);
        return -1;
    }
    if (out)
        *out = found;
    else
        json_decref(found);
    return 0;
}

/* NULL: Redis is away just now. */
static json_t *similar(struct api_call *call, const Desg__V1__Broadcast *broadcast)
{
    struct error ignored = { 0 };
    json_t *found = NULL;
    int64_t since_ms = clock_unix_ms() - call->api->outward->approval.similar_hours * hour_ms;
    return broadcast_like(call->store, broadcast, since_ms, &found, &ignored) == 0 ? found : NULL;
}

static void add_similar(struct api_call *call, json_t *answer, const Desg__V1__Broadcast *broadcast)
{
    json_t *found = similar(call, broadcast);
    if (found)
        (void)json_object_set_new(answer, "similar", found);
}

void api_broadcast(struct api_call *call)
{
    AUTO(drop_json) json_t *row = NULL;
    if (see_broadcast(call, &row) != 0)
        return;
    AUTO(free_broadcast) Desg__V1__Broadcast *broadcast = broadcast_of_row(row);
    const char *state = json_string_value(json_object_get(row, "state"));
    bool is_to_be_read = state && (strcmp(state, "draft") == 0 || strcmp(state, "approved") == 0);
    (void)json_object_del(row, "bytes");
    if (broadcast)
        (void)json_object_set_new(row, "content", broadcast_to_json(broadcast));
    if (broadcast && is_to_be_read)
        add_similar(call, row, broadcast);
    api_answer(call, 200, json_incref(row));
}

/* --- reading what was sent --- */

static void set_text(char **text_p, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort(); /* a name */
    if (*text_p != protobuf_c_empty_string)
        free(*text_p);
    *text_p = copy;
}

/* What desk fills in is passed over. Without Welsh it is whoever drafts who says so. */
static void make_own(struct api_call *call, Desg__V1__Broadcast *broadcast)
{
    free(broadcast->earlier_ms);
    broadcast->earlier_ms = NULL;
    broadcast->n_earlier_ms = 0;
    broadcast->version = 0;
    broadcast->written_at_ms = 0;
    set_text(&broadcast->author, call->holder.agent);
    if (broadcast->welsh_owed)
        set_text(&broadcast->welsh_owed->by, call->holder.agent);
}

/* NULL with the answer given. */
static Desg__V1__Broadcast *read_body(struct api_call *call)
{
    struct error err = { 0 };
    Desg__V1__Broadcast *broadcast = broadcast_from_json(call->body, &err);
    if (broadcast)
        make_own(call, broadcast);
    else if (err.kind == ERROR_INVALID)
        api_problem(call->answer, 422, "body", err.text,
                    "See /v1/openapi.yaml for what a broadcast has.",
                    json_pack("{s:[s]}", "problems", err.text));
    else
        api_unavailable(call, &err);
    return broadcast;
}

static json_t *problems_of(struct api_call *call, const Desg__V1__Broadcast *broadcast)
{
    struct broadcast_problems problems;
    json_t *lines = json_array();
    broadcast_check(call->api->outward, broadcast, clock_unix_ms(), &problems);
    for (size_t i = 0; i < problems.count; i++)
        (void)json_array_append_new(lines, json_string(problems.lines[i]));
    return lines;
}

/* A new one is called as its fact is: Redis has it, and the key comes again. */
static bool is_known(struct api_call *call, const struct id *fact)
{
    struct error ignored = { 0 };
    AUTO(drop_json) json_t *row = NULL;
    return store_broadcast_get(call->store, fact, &row, &ignored) == 0 && row;
}

static bool is_fit(struct api_call *call, const struct id *fact,
                   const Desg__V1__Broadcast *broadcast)
{
    json_t *problems = problems_of(call, broadcast);
    if (json_array_size(problems) == 0 || is_known(call, fact)) {
        json_decref(problems);
        return true;
    }
    api_problem(call->answer, 422, "broadcast", "The broadcast cannot go out as it is.",
                "Mend what problems names, and send it again under a new key.",
                json_pack("{s:o}", "problems", problems));
    return false;
}

void api_preview(struct api_call *call)
{
    AUTO(free_broadcast) Desg__V1__Broadcast *broadcast = read_body(call);
    if (!broadcast)
        return;
    json_t *alike = similar(call, broadcast);
    api_answer(call, 200,
               json_pack("{s:o, s:o, s:o}", "outlets",
                         broadcast_preview(call->api->outward, broadcast), "problems",
                         problems_of(call, broadcast), "similar", alike ? alike : json_array()));
}

/* --- deciding --- */

static const ProtobufCBinaryData *broadcast_id(const Desg__V1__Fact *fact)
{
    switch (fact->what_case) {
    case DESG__V1__FACT__WHAT_DRAFTED:
        return &fact->drafted->broadcast->id;
    case DESG__V1__FACT__WHAT_APPROVED:
        return &fact->approved->broadcast_id;
    case DESG__V1__FACT__WHAT_PUBLISHED:
        return &fact->published->broadcast_id;
    default:
        return &fact->cancelled->broadcast_id;
    }
}

/* With the state as it is now; left out if Redis is away just now. */
static json_t *broadcast_answer(struct api_call *call, const Desg__V1__Fact *fact)
{
    struct error ignored = { 0 };
    struct id id;
    AUTO(drop_json) json_t *row = NULL;
    json_t *answer = fact_describe(fact);
    const ProtobufCBinaryData *named = broadcast_id(fact);
    (void)json_object_del(answer, "content");
    if (named->len != ID_BYTES)
        return answer;
    memcpy(id.bytes, named->data, ID_BYTES);
    if (store_broadcast_get(call->store, &id, &row, &ignored) == 0 && row)
        (void)json_object_set(answer, "state", json_object_get(row, "state"));
    return answer;
}

static json_t *draft_answer(struct api_call *call, const Desg__V1__Fact *fact)
{
    json_t *answer = broadcast_answer(call, fact);
    add_similar(call, answer, fact->drafted->broadcast);
    return answer;
}

/* How it is now: a row without words. */
static json_t *current_row(struct api_call *call)
{
    static const char *const hidden[] = { "bytes", "rows", "replies" };
    struct error ignored = { 0 };
    json_t *row = NULL;
    if (store_broadcast_get(call->store, &call->id, &row, &ignored) != 0 || !row)
        return NULL;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        (void)json_object_del(row, hidden[i]);
    return json_pack("{s:o}", "broadcast", row);
}

static void refuse_broadcast(struct api_call *call, const struct error *err)
{
    api_problem(call->answer, 409, "changed", err->text, "Look at the broadcast as it is now.",
                current_row(call));
}

static void refuse_draft(struct api_call *call, const struct error *err)
{
    api_problem(call->answer, 409, "changed", err->text, "Draft it anew.", NULL);
}

static void draft(struct api_call *call, bool is_update)
{
    struct id id = { { 0 } };
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Drafted what = DESG__V1__DRAFTED__INIT;
    AUTO(free_broadcast) Desg__V1__Broadcast *broadcast = read_body(call);
    if (!broadcast)
        return;
    struct id *named = is_update ? &call->id : &id; /* a new one is called as its fact is */
    Desg__V1__Broadcast drafted = *broadcast;
    drafted.id = (ProtobufCBinaryData){ ID_BYTES, named->bytes };
    what.broadcast = &drafted;
    fact.what_case = DESG__V1__FACT__WHAT_DRAFTED;
    fact.drafted = &what;
    if (api_fact_begin(call, &fact, &id, draft_answer) != FACT_NEW)
        return;
    if (is_fit(call, &id, broadcast) && (!is_update || see_broadcast(call, NULL) == 0))
        outward_decide(call, &fact, &id, draft_answer, is_update ? refuse_broadcast : refuse_draft);
    else
        api_fact_drop(call, &id);
}

void api_draft(struct api_call *call)
{
    draft(call, false);
}

void api_update(struct api_call *call)
{
    draft(call, true);
}

static void decide(struct api_call *call, Desg__V1__Fact *fact)
{
    struct id id;
    if (api_fact_begin(call, fact, &id, broadcast_answer) != FACT_NEW)
        return;
    if (see_broadcast(call, NULL) == 0)
        outward_decide(call, fact, &id, broadcast_answer, refuse_broadcast);
    else
        api_fact_drop(call, &id);
}

static bool body_version(struct api_call *call, uint32_t *version)
{
    static const char *const names[] = { "version" };
    int64_t value = 0;
    if (!body_check_names(call, names, 1) || !body_number(call, "version", 1, VERSION_MAX, &value))
        return false;
    *version = (uint32_t)value;
    return true;
}

void api_approve(struct api_call *call)
{
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Approved what = DESG__V1__APPROVED__INIT;
    if (!body_version(call, &what.version))
        return;
    what.broadcast_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    fact.what_case = DESG__V1__FACT__WHAT_APPROVED;
    fact.approved = &what;
    decide(call, &fact);
}

void api_publish(struct api_call *call)
{
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Published what = DESG__V1__PUBLISHED__INIT;
    if (!body_version(call, &what.version))
        return;
    what.broadcast_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    fact.what_case = DESG__V1__FACT__WHAT_PUBLISHED;
    fact.published = &what;
    decide(call, &fact);
}

void api_cancel(struct api_call *call)
{
    static const char *const names[] = { "reason" };
    const char *reason = NULL;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Cancelled what = DESG__V1__CANCELLED__INIT;
    if (!body_check_names(call, names, 1) ||
        !body_text(call, "reason", 1, REASON_MAX_BYTES, &reason))
        return;
    what.broadcast_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    what.reason = (char *)reason;
    fact.what_case = DESG__V1__FACT__WHAT_CANCELLED;
    fact.cancelled = &what;
    decide(call, &fact);
}
