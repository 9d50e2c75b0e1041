/* What strangers send, taken apart: paths, query parameters, keys, bodies. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk/api.h"

enum { DETAIL_BYTES = 256, REFERENCE_MAX_BYTES = 24 };

/* --- path --- */

static bool take_queue(const char *text, size_t length, struct api_call *call)
{
    if (length == 0 || length > API_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
            return false;
    memcpy(call->name, text, length);
    call->name[length] = '\0';
    return true;
}

/* As people say it: letters and digits, in groups. */
static bool take_reference(const char *text, size_t length, struct api_call *call)
{
    if (length == 0 || length > REFERENCE_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != ' ')
            return false;
    memcpy(call->name, text, length);
    call->name[length] = '\0';
    return true;
}

static bool take_id(const char *text, size_t length, struct id *out)
{
    char copy[ID_TEXT_BYTES];
    if (length != ID_TEXT_BYTES - 1)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return id_parse(copy, out) == 0;
}

static bool match_path(const struct route *route, const char *path, struct api_call *call)
{
    const char *open = strchr(route->path, '{');
    if (!open)
        return strcmp(route->path, path) == 0;
    size_t before = (size_t)(open - route->path);
    const char *rest = strchr(open, '}') + 1;
    if (strncmp(path, route->path, before) != 0)
        return false;
    size_t length = strcspn(path + before, "/");
    if (strcmp(path + before + length, rest) != 0)
        return false;
    if (route->place == PLACE_ID)
        return take_id(path + before, length, &call->id);
    if (route->place == PLACE_REFERENCE)
        return take_reference(path + before, length, call);
    return take_queue(path + before, length, call);
}

unsigned api_match(const char *method, const char *path, struct api_call *call, const char **allow)
{
    unsigned status = 404;
    for (size_t i = 0; i < routes_count; i++) {
        if (!match_path(&routes[i], path, call))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            call->route = &routes[i];
            return 0;
        }
        status = 405;
        *allow = routes[i].method;
    }
    return status;
}

/* --- query and key --- */

static bool is_taken(const struct route *route, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || strchr(name, ' '))
        return false;
    for (const char *at = strstr(route->query, name); at; at = strstr(at + 1, name))
        if (at > route->query && at[-1] == ' ' && at[length] == ' ')
            return true;
    return false;
}

static bool is_repeated(const struct http_request *request, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(request->query[i].name, request->query[at].name) == 0)
            return true;
    return false;
}

bool api_check_query(const struct api_call *call, struct http_answer *answer)
{
    const struct http_request *request = call->request;
    for (size_t i = 0; i < request->query_count; i++)
        if (!is_taken(call->route, request->query[i].name) || is_repeated(request, i)) {
            api_problem(answer, 400, "query",
                        "A query parameter is not known here, or given twice.",
                        "See /v1/openapi.yaml for those this path takes.", NULL);
            return false;
        }
    return true;
}

bool api_check_key(struct api_call *call, struct http_answer *answer)
{
    const char *key = call->request->idempotency_key;
    if (call->route->kind != API_CHANGE)
        return true;
    size_t length = key ? strlen(key) : 0;
    bool is_good = length >= 8 && length <= API_KEY_MAX_BYTES;
    for (size_t i = 0; i < length && is_good; i++)
        is_good = key[i] > ' ' && key[i] < 0x7f;
    if (!is_good) {
        api_problem(answer, 400, "idempotency-key",
                    "A change needs an Idempotency-Key of 8 to 128 visible ASCII characters.",
                    "Make one before the first try, such as a UUID, and keep it for repeats.",
                    NULL);
        return false;
    }
    memcpy(call->key, key, length + 1);
    return true;
}

const char *api_query(const struct api_call *call, const char *name)
{
    for (size_t i = 0; i < call->request->query_count; i++)
        if (strcmp(call->request->query[i].name, name) == 0)
            return call->request->query[i].value;
    return NULL;
}

static bool parse_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = value;
    return true;
}

bool api_query_number(struct api_call *call, const char *name, uint64_t *out)
{
    char detail[DETAIL_BYTES];
    const char *text = api_query(call, name);
    if (!text || parse_number(text, out))
        return true;
    (void)snprintf(detail, sizeof detail, "The query parameter %s is not a whole number.", name);
    api_problem(call->answer, 400, "query", detail, "Write digits alone.", NULL);
    return false;
}

bool api_limit(struct api_call *call, size_t most, size_t *limit)
{
    char detail[DETAIL_BYTES];
    uint64_t value = API_LIMIT_DEFAULT < most ? API_LIMIT_DEFAULT : most;
    if (!api_query_number(call, "limit", &value))
        return false;
    if (value >= 1 && value <= most) {
        *limit = (size_t)value;
        return true;
    }
    (void)snprintf(detail, sizeof detail, "The query parameter limit takes 1 to %zu.", most);
    api_problem(call->answer, 400, "query", detail, "Ask for a number in that range.", NULL);
    return false;
}

/* --- body --- */

bool api_parse_body(struct api_call *call)
{
    const struct http_request *request = call->request;
    if (request->body_bytes == 0) {
        call->body = json_object();
        return true;
    }
    call->body = json_loadb(request->body, request->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(call->body))
        return true;
    json_decref(call->body);
    call->body = NULL;
    api_problem(call->answer, 400, "json", "The body is not a JSON object in UTF-8.",
                "Send one object, each member once.", NULL);
    return false;
}

bool body_refuse(struct api_call *call, const char *name, const char *must_be)
{
    char detail[DETAIL_BYTES];
    (void)snprintf(detail, sizeof detail, "The member %s must be %s.", name, must_be);
    api_problem(call->answer, 422, "body", detail, "See /v1/openapi.yaml for what this path takes.",
                NULL);
    return false;
}

bool body_check_names(struct api_call *call, const char *const *names, size_t count)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(call->body, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < count; i++)
            is_known = is_known || strcmp(names[i], name) == 0;
        if (!is_known) {
            api_problem(call->answer, 422, "body", "The body has a member that is not known here.",
                        "See /v1/openapi.yaml for what this path takes.", NULL);
            return false;
        }
    }
    return true;
}

static bool is_given_value(const json_t *value)
{
    return value && !json_is_null(value);
}

bool body_text(struct api_call *call, const char *name, size_t least, size_t most, const char **out)
{
    const json_t *value = json_object_get(call->body, name);
    *out = NULL;
    if (!is_given_value(value) && least == 0)
        return true;
    size_t length = json_string_length(value);
    char range[48];
    (void)snprintf(range, sizeof range, "a text of %zu to %zu bytes", least, most);
    if (!json_is_string(value) || length < least || length > most)
        return body_refuse(call, name, range);
    *out = json_string_value(value);
    return true;
}

bool body_fence(struct api_call *call, uint64_t *fence)
{
    const json_t *value = json_object_get(call->body, "fence");
    if (!json_is_integer(value) || json_integer_value(value) < 1)
        return body_refuse(call, "fence", "the number the claim was answered with");
    *fence = (uint64_t)json_integer_value(value);
    return true;
}

bool body_id(struct api_call *call, const char *name, bool is_required, struct id *out,
             bool *is_given)
{
    const json_t *value = json_object_get(call->body, name);
    *is_given = is_given_value(value);
    if (!*is_given && !is_required)
        return true;
    const char *text = json_string_value(value);
    if (!text || !take_id(text, json_string_length(value), out))
        return body_refuse(call, name, "an id: 32 hex digits");
    return true;
}

bool body_severity(struct api_call *call, const char *name, Desg__V1__Severity *out)
{
    static const char *const words[] = { "routine", "attention", "review", "urgent",
                                         "life-at-risk" };
    const char *text = json_string_value(json_object_get(call->body, name));
    for (size_t i = 0; text && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0) {
            *out = (Desg__V1__Severity)(DESG__V1__SEVERITY__SEVERITY_ROUTINE + i);
            return true;
        }
    return body_refuse(call, name, "routine, attention, review, urgent or life-at-risk");
}

bool body_number(struct api_call *call, const char *name, int64_t least, int64_t most, int64_t *out)
{
    const json_t *value = json_object_get(call->body, name);
    char range[80];
    (void)snprintf(range, sizeof range, "a whole number from %" PRId64 " to %" PRId64, least, most);
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return body_refuse(call, name, range);
    *out = json_integer_value(value);
    return true;
}
