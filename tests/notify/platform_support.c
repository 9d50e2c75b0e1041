#include "platform_support.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

static const char *header(void *arg, const char *name)
{
    const struct answer_case *given = arg;
    for (size_t i = 0; i < 4 && given->headers[i][0]; i++)
        if (strcasecmp(given->headers[i][0], name) == 0)
            return given->headers[i][1];
    return NULL;
}

static const char *outcome_word(Desg__V1__SendOutcome outcome)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&desg__v1__send_outcome__descriptor, (int)outcome);
    assert_non_null(value);
    return value->name + strlen("SEND_OUTCOME_");
}

static void tell_number(FILE *out, const char *label, int64_t value)
{
    if (value != 0)
        (void)fprintf(out, " %s=%" PRId64, label, value);
}

char *told_result(const struct platform_result *result)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    (void)fprintf(out, "%s", outcome_word(result->outcome));
    (void)fprintf(out, "%s%s", result->object_id[0] ? " " : "", result->object_id);
    (void)fprintf(out, "%s%s", result->error[0] ? " " : "", result->error);
    tell_number(out, "code", result->code);
    tell_number(out, "after", result->after_ms);
    tell_number(out, "used", result->used_percent);
    tell_number(out, "reset", result->reset_ms ? result->reset_ms - PLATFORM_NOW_MS : 0);
    (void)fprintf(out, "%s%s%s", result->is_token_dead ? " dead" : "",
                  result->is_window_closed ? " window" : "",
                  result->is_duplicate ? " duplicate" : "");
    assert_int_equal(fclose(out), 0);
    return text;
}

struct platform_result read_answer(const struct platform *platform, const struct answer_case *given)
{
    const struct platform_answer answer = {
        .http_status = given->status,
        .is_unsent = given->is_unsent,
        .body = given->body ? given->body : "",
        .length = given->body ? strlen(given->body) : 0,
        .header = header,
        .arg = (void *)(uintptr_t)given,
    };
    struct platform_result result;
    memset(&result, 0x5a, sizeof result); /* sent fills all of it */
    platform->sent(&answer, PLATFORM_NOW_MS, &result);
    return result;
}

void assert_answers(const struct platform *platform, const struct answer_case *cases, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        struct platform_result result = read_answer(platform, &cases[i]);
        char *told = told_result(&result);
        if (strcmp(told, cases[i].told) != 0) {
            print_error("%s: %s\n told:     %s\n expected: %s\n", platform->name, cases[i].name,
                        told, cases[i].told);
            failures++;
        }
        free(told);
    }
    assert_int_equal(failures, 0);
}

char *told_request(const struct platform_request *request)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    (void)fprintf(out, "%s %s\n", request->method, request->url);
    for (size_t i = 0; i < request->header_count; i++)
        (void)fprintf(out, "%s\n", request->headers[i]);
    if (request->body) {
        assert_int_equal(strlen(request->body), request->length);
        (void)fprintf(out, "\n%s\n", request->body);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

void assert_request(request_maker *make, const struct platform_self *self,
                    const struct platform_message *message, const char *lines)
{
    struct platform_request request = { 0 };
    struct error err = { 0 };
    if (make(self, message, &request, &err) != 0)
        fail_msg("%s", err.text);
    char *told = told_request(&request);
    assert_string_equal(told, lines);
    free(told);
    platform_request_clear(&request);
    assert_null(request.body);
}

void assert_refused(request_maker *make, const struct platform_self *self,
                    const struct platform_message *message, enum error_kind kind, const char *part)
{
    static const struct platform_request empty;
    struct platform_request request = { 0 };
    struct error err = { 0 };
    assert_int_equal(make(self, message, &request, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not name %s", err.text, part);
    assert_memory_equal(&request, &empty, sizeof empty); /* no token stays behind either */
}

void assert_found(const struct platform *platform, const struct platform_message *message,
                  const char *body, const char *told)
{
    static const struct answer_case no_headers;
    const struct platform_answer answer = {
        .http_status = 200,
        .body = body,
        .length = strlen(body),
        .header = header,
        .arg = (void *)(uintptr_t)&no_headers,
    };
    char object_id[PLATFORM_OBJECT_BYTES] = "";
    char text[PLATFORM_OBJECT_BYTES + 16];
    enum platform_found found = platform->looked_up(&answer, message, PLATFORM_NOW_MS, object_id);
    (void)snprintf(text, sizeof text, "%s%s",
                   found == PLATFORM_IS_THERE ? "there "
                   : found == PLATFORM_IS_NOT ? "not"
                                              : "cannot say",
                   object_id);
    if (strcmp(text, told) != 0)
        fail_msg("%s: %s, expected %s", body, text, told);
    struct platform_answer none = answer; /* whatever a list says that is no answer */
    none.http_status = 500;
    object_id[0] = '\0';
    assert_int_equal(platform->looked_up(&none, message, PLATFORM_NOW_MS, object_id),
                     PLATFORM_CANNOT_SAY);
    assert_string_equal(object_id, "");
}
