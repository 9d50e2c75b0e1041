#include "notify/platform_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/percent.h"

void platform_request_clear(struct platform_request *request)
{
    free(request->body);
    explicit_bzero(request, sizeof *request); /* tokens */
}

int platform_request_drop(struct platform_request *out)
{
    platform_request_clear(out);
    return -1;
}

int platform_need(const char *text, const char *what, struct error *err)
{
    if (text && text[0] != '\0')
        return 0;
    return error_set(err, ERROR_INVALID, "a message without %s cannot be sent there", what);
}

static int too_long(struct error *err)
{
    return error_set(err, ERROR_INVALID, "an address of more than %d bytes", PLATFORM_URL_BYTES);
}

static int add_segment(struct platform_request *out, const char *segment, struct error *err)
{
    size_t used = strlen(out->url);
    if (segment[0] == '\0' || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
        return error_set(err, ERROR_INVALID, "an empty id, or one that is no id");
    if (used + 1 >= sizeof out->url)
        return too_long(err);
    out->url[used] = '/';
    return percent_encode(segment, strlen(segment), out->url + used + 1, sizeof out->url - used - 1)
               ? 0
               : too_long(err);
}

int platform_request_start(struct platform_request *out, const char *method, const char *base_url,
                           const char *const *segments, struct error *err)
{
    *out = (struct platform_request){ .method = method };
    size_t length = base_url ? strlen(base_url) : 0;
    while (length > 0 && base_url[length - 1] == '/')
        length--;
    if (length == 0)
        return error_set(err, ERROR_CONFIG, "no base_url (outlets: url) is configured");
    if (length >= sizeof out->url)
        return too_long(err);
    memcpy(out->url, base_url, length);
    out->url[length] = '\0';
    for (; *segments; segments++)
        if (add_segment(out, *segments, err) != 0)
            return -1;
    return 0;
}

int platform_request_query(struct platform_request *out, const char *name, const char *value,
                           struct error *err)
{
    size_t used = strlen(out->url);
    int length = snprintf(out->url + used, sizeof out->url - used,
                          "%c%s=", strchr(out->url, '?') ? '&' : '?', name);
    if (length < 0 || (size_t)length >= sizeof out->url - used)
        return too_long(err);
    used += (size_t)length;
    return percent_encode(value, strlen(value), out->url + used, sizeof out->url - used)
               ? 0
               : too_long(err);
}

int platform_request_count(struct platform_request *out, const char *name, unsigned value,
                           struct error *err)
{
    char text[sizeof "4294967295"];
    (void)snprintf(text, sizeof text, "%u", value);
    return platform_request_query(out, name, text, err);
}

int platform_request_header(struct platform_request *out, struct error *err, const char *format,
                            ...)
{
    if (out->header_count == PLATFORM_HEADERS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d headers", PLATFORM_HEADERS_MAX);
    char *line = out->headers[out->header_count];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    int length = vsnprintf(line, PLATFORM_HEADER_BYTES, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= PLATFORM_HEADER_BYTES || strpbrk(line, "\r\n"))
        return error_set(err, ERROR_INVALID, "a header of several lines or more than %d bytes",
                         PLATFORM_HEADER_BYTES - 1);
    out->header_count++;
    return 0;
}

int platform_request_bearer(struct platform_request *out, const char *token, struct error *err)
{
    if (!token || token[0] == '\0')
        return error_set(err, ERROR_CONFIG, "no token: name its file in token_file");
    if (platform_request_header(out, NULL, "Authorization: Bearer %s", token) == 0)
        return 0;
    return error_set(err, ERROR_CONFIG, "the token is too long or has several lines");
}

int platform_request_body(struct platform_request *out, const char *content_type, const char *body,
                          size_t length, struct error *err)
{
    out->body = malloc(length + 1);
    if (!out->body)
        abort();
    memcpy(out->body, body, length);
    out->body[length] = '\0';
    out->length = length;
    return platform_request_header(out, err, "Content-Type: %s", content_type);
}

int platform_request_json(struct platform_request *out, json_t *body, struct error *err)
{
    out->body = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(body);
    if (!out->body)
        return error_set(err, ERROR_INVALID, "a text that is not UTF-8");
    out->length = strlen(out->body);
    return platform_request_header(out, err, "Content-Type: application/json");
}
