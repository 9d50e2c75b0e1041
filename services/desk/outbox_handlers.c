/* What went out and waits for a person; where things go; what is halted; reference numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "desk/api.h"
#include "desk/outward_decide.h"

enum {
    LOOKED_AT = 200, /* rows whose conversations are asked for one by one */
    REASON_MAX_BYTES = 2000,
    EXCEPT_MAX = 64,
    EXCEPT_BYTES = STORE_PLACE_BYTES
};
static const int64_t freeze_max_ms = INT64_C(30) * 24 * 3600 * 1000;

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

/* --- items --- */

static int drop_unseen(struct api_call *call, json_t *rows, struct error *err)
{
    for (size_t i = json_array_size(rows); i-- > 0 && !api_sees_restricted(call);) {
        int sees = api_sees_conversation(call, json_array_get(rows, i), err);
        if (sees == -1)
            return -1;
        if (sees == 0)
            (void)json_array_remove(rows, i);
    }
    return 0;
}

void api_items(struct api_call *call)
{
    size_t limit = 0;
    struct error err = { 0 };
    AUTO(drop_json) json_t *rows = NULL;
    const char *state = api_query(call, "state");
    if (!api_limit(call, API_LIST_MAX, &limit))
        return;
    if (!state || (strcmp(state, "unknown") != 0 && strcmp(state, "task") != 0)) {
        api_problem(call->answer, 400, "query", "The query parameter state takes unknown or task.",
                    "Write one of them.", NULL);
        return;
    }
    if (!api_sees_restricted(call) && limit > LOOKED_AT)
        limit = LOOKED_AT;
    if (store_items_waiting(call->store, state, limit, &rows, &err) != 0 ||
        drop_unseen(call, rows, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    api_answer(call, 200, json_pack("{s:O}", "items", rows));
}

/* The item if the caller may see it: 0, or -1 with the answer given. */
static int see_item(struct api_call *call, json_t **out)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *item = NULL;
    int sees = store_item_get(call->store, &call->id, &item, &err) == 0 ? 1 : -1;
    if (sees == 1)
        sees = item ? api_sees_conversation(call, item, &err) : 0;
    if (sees == -1)
        api_unavailable(call, &err);
    else if (sees == 0)
        api_absent(call);
    if (sees != 1)
        return -1;
    if (out)
        *out = json_incref(item);
    return 0;
}

void api_item(struct api_call *call)
{
    AUTO(drop_json) json_t *item = NULL;
    if (see_item(call, &item) == 0)
        api_answer(call, 200, json_incref(item));
}

static void refuse_item(struct api_call *call, const struct error *err)
{
    api_problem(call->answer, 409, "changed", err->text, "Look at the item as it is now.", NULL);
}

static bool body_settled(struct api_call *call, Desg__V1__SettledAs *out)
{
    static const char *const words[] = { "there", "again", "by-hand" };
    const char *text = json_string_value(json_object_get(call->body, "as"));
    for (size_t i = 0; text && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0) {
            *out = (Desg__V1__SettledAs)(DESG__V1__SETTLED_AS__SETTLED_AS_THERE + i);
            return true;
        }
    return body_refuse(call, "as", "there, again or by-hand");
}

void api_settlement(struct api_call *call)
{
    static const char *const names[] = { "as" };
    struct id id;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    Desg__V1__Settled what = DESG__V1__SETTLED__INIT;
    if (!body_check_names(call, names, 1) || !body_settled(call, &what.as))
        return;
    what.item_id = (ProtobufCBinaryData){ ID_BYTES, call->id.bytes };
    fact.what_case = DESG__V1__FACT__WHAT_SETTLED;
    fact.settled = &what;
    if (api_fact_begin(call, &fact, &id, api_fact_plain) != FACT_NEW)
        return;
    if (see_item(call, NULL) == 0)
        outward_decide(call, &fact, &id, api_fact_plain, refuse_item);
    else
        api_fact_drop(call, &id);
}

/* --- places --- */

static void add_place(json_t *places, const char *place)
{
    json_t *row = json_object_get(places, place);
    if (!row) {
        row = json_pack("{s:s, s:i, s:i, s:b}", "owner", "", "waiting", 0, "oldest_ms", 0,
                        "blocked", 0);
        (void)json_object_set_new(places, place, row);
    }
    (void)json_object_set_new(row, "is_configured", json_true());
}

static void add_configured(const struct outward_config *config, json_t *places)
{
    char place[STORE_PLACE_BYTES];
    for (unsigned i = 0; i < config->accounts_count; i++) {
        (void)snprintf(place, sizeof place, "%s:%s", config->accounts[i].channel,
                       config->accounts[i].account);
        add_place(places, place);
    }
    for (unsigned i = 0; i < config->outlets_count; i++) {
        (void)snprintf(place, sizeof place, "outlet:%s", config->outlets[i].name);
        add_place(places, place);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* {"place":{…}} as [{"place",…}], by name. */
static json_t *as_rows(json_t *places)
{
    size_t count = 0;
    const char *name = NULL;
    json_t *row = NULL;
    json_t *rows = json_array();
    const char **names = calloc(json_object_size(places) + 1, sizeof *names);
    if (!names)
        abort(); /* some dozens of pointers */
    json_object_foreach(places, name, row) names[count++] = name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        row = json_object_get(places, names[i]);
        (void)json_object_set_new(row, "place", json_string(names[i]));
        if (!json_object_get(row, "is_configured"))
            (void)json_object_set_new(row, "is_configured", json_false());
        (void)json_array_append(rows, row);
    }
    free(names);
    return rows;
}

void api_places(struct api_call *call)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *places = NULL;
    if (store_places(call->store, &places, &err) != 0) {
        api_unavailable(call, &err);
        return;
    }
    add_configured(call->api->outward, places);
    api_answer(call, 200, json_pack("{s:o}", "places", as_rows(places)));
}

/* --- reference numbers --- */

void api_reference(struct api_call *call)
{
    struct id id;
    struct error err = { 0 };
    char text[ID_TEXT_BYTES];
    if (store_reference(call->store, call->name, &id, &err) != 0) {
        if (err.kind == ERROR_INVALID)
            api_absent(call);
        else
            api_unavailable(call, &err);
        return;
    }
    if (api_conversation(call, &id, NULL) != 0)
        return;
    id_text(id.bytes, text);
    api_answer(call, 200, json_pack("{s:s, s:s}", "reference", call->name, "conversation", text));
}

/* --- the freeze --- */

void api_freeze_show(struct api_call *call)
{
    struct error err = { 0 };
    AUTO(drop_json) json_t *freeze = NULL;
    if (store_freeze_get(call->store, &freeze, &err) != 0)
        api_unavailable(call, &err);
    else
        api_answer(call, 200, freeze ? json_incref(freeze) : json_pack("{s:i}", "until_ms", 0));
}

/* Is name an outlet, or a place of the configuration? A misspelt one would not go on. */
static bool is_place(const struct outward_config *config, const char *name)
{
    const char *colon = strchr(name, ':');
    char channel[STORE_PLACE_BYTES];
    if (!colon)
        return outward_outlet_of(config, name) != NULL;
    if (strncmp(name, "outlet:", sizeof "outlet:" - 1) == 0)
        return outward_outlet_of(config, colon + 1) != NULL;
    (void)snprintf(channel, sizeof channel, "%.*s", (int)(colon - name), name);
    return strlen(name) < sizeof channel && outward_account_of(config, channel, colon + 1) != NULL;
}

static bool body_except(struct api_call *call, Desg__V1__Frozen *what,
                        char *names[static EXCEPT_MAX])
{
    const json_t *list = json_object_get(call->body, "except");
    size_t index;
    const json_t *value;
    if (!list || json_is_null(list))
        return true;
    if (!json_is_array(list) || json_array_size(list) > EXCEPT_MAX)
        return body_refuse(call, "except", "a list of at most 64 outlets or places");
    json_array_foreach(list, index, value)
    {
        const char *name = json_string_value(value);
        if (!name || !is_place(call->api->outward, name))
            return body_refuse(call, "except",
                               "a list of outlets or places of the configuration, such as "
                               "GET /v1/places lists");
        names[index] = (char *)name;
    }
    what->except = names;
    what->n_except = json_array_size(list);
    return true;
}

static void refuse_freeze(struct api_call *call, const struct error *err)
{
    api_problem(call->answer, 409, "changed", err->text, "Look at GET /v1/freeze.", NULL);
}

static void decide_freeze(struct api_call *call, Desg__V1__Frozen *what)
{
    struct id id;
    Desg__V1__Fact fact = DESG__V1__FACT__INIT;
    fact.what_case = DESG__V1__FACT__WHAT_FROZEN;
    fact.frozen = what;
    if (api_fact_begin(call, &fact, &id, api_fact_plain) == FACT_NEW)
        outward_decide(call, &fact, &id, api_fact_plain, refuse_freeze);
}

void api_freeze(struct api_call *call)
{
    static const char *const names[] = { "until_ms", "reason", "except" };
    char *except[EXCEPT_MAX];
    const char *reason = NULL;
    int64_t now_ms = clock_unix_ms();
    Desg__V1__Frozen what = DESG__V1__FROZEN__INIT;
    if (!body_check_names(call, names, 3) ||
        !body_number(call, "until_ms", 1, INT64_MAX, &what.until_ms) ||
        !body_text(call, "reason", 0, REASON_MAX_BYTES, &reason) ||
        !body_except(call, &what, except))
        return;
    if (what.until_ms > now_ms + freeze_max_ms) {
        (void)body_refuse(call, "until_ms", "a time at most 30 days away, in milliseconds");
        return;
    }
    if (reason)
        what.reason = (char *)reason;
    decide_freeze(call, &what);
}

void api_freeze_lift(struct api_call *call)
{
    Desg__V1__Frozen what = DESG__V1__FROZEN__INIT;
    if (body_check_names(call, NULL, 0))
        decide_freeze(call, &what);
}
