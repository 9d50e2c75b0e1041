/* Any bytes as a request: a line "METHOD path?query", a line of headers "Name:value", the rest as a
 * body handed to every member check. Nothing may be read or written out of bounds, and a refusal
 * always has an answer. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desk/api.h"
#include "desk/http_strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_line(const char **at)
{
    size_t length = strcspn(*at, "\n");
    char *line = strndup(*at, length);
    assert(line);
    *at += length + ((*at)[length] == '\n');
    return line;
}

static void take_query(struct http_request *request, char *text)
{
    char *rest = NULL;
    for (char *pair = strtok_r(text, "&", &rest); pair && request->query_count < HTTP_QUERY_MAX;
         pair = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        request->query[request->query_count++] =
            (struct http_query){ .name = pair, .value = value ? value : (char *)"" };
    }
}

static void check_head(const char *line)
{
    struct strict_head head = { .framing = { 0 } };
    struct http_fault fault = { 0 };
    const char *colon = strchr(line, ':');
    size_t name_bytes = colon ? (size_t)(colon - line) : strlen(line);
    const char *value = colon ? colon + 1 : "";
    strict_head_add(&head, line, name_bytes, value, strlen(value));
    if (!strict_head_check(&head, "POST", "HTTP/1.1", &fault))
        assert(fault.status >= 400 && fault.detail && fault.remedy);
}

static void check_members(struct api_call *call)
{
    static const char *const names[] = { "fence", "text", "last_event", "severity" };
    const char *text = NULL;
    uint64_t fence = 0;
    struct id id;
    bool is_given = false;
    Desg__V1__Severity severity;
    bool is_good = body_check_names(call, names, 4);
    is_good &= body_fence(call, &fence);
    is_good &= body_text(call, "text", 1, 200, &text);
    is_good &= body_id(call, "last_event", false, &id, &is_given);
    is_good &= body_severity(call, "severity", &severity);
    assert(is_good || call->answer->status == 422);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole = malloc(size + 1);
    assert(whole);
    memcpy(whole, data, size);
    whole[size] = '\0';
    const char *at = whole;
    char *first = take_line(&at);
    char *header = take_line(&at);
    struct http_request request = { .method = first, .body = at, .body_bytes = strlen(at) };
    struct http_answer answer = { 0 };
    struct api_call call = { .request = &request, .answer = &answer };
    const char *allow = NULL;
    size_t limit = 0;
    char *path = strchr(first, ' ');
    if (path)
        *path++ = '\0';
    char *query = path ? strchr(path, '?') : NULL;
    if (query)
        *query++ = '\0';
    request.path = path ? path : "";
    request.idempotency_key = header;
    if (query)
        take_query(&request, query);
    check_head(header);
    if (api_match(request.method, request.path, &call, &allow) == 0) {
        (void)(api_check_query(&call, &answer) &&
               api_check_key(&call, &answer)); /* no crash is all */
        (void)api_limit(&call, 1000, &limit);
    }
    call.route = &routes[0];
    if (api_parse_body(&call))
        check_members(&call);
    else
        assert(answer.status == 400);
    json_decref(call.body);
    free(answer.body);
    free(first);
    free(header);
    free(whole);
    return 0;
}
