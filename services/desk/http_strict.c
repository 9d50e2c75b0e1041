#include "desk/http_strict.h"

#include <string.h>
#include <strings.h>

#include "desk/http_server.h"

static void read_type(struct strict_head *head, const char *value, size_t value_bytes)
{
    static const char json[] = "application/json";
    size_t length = sizeof json - 1;
    head->types++;
    head->is_json = value_bytes >= length && strncasecmp(value, json, length) == 0 &&
                    (value_bytes == length || value[length] == ';' || value[length] == ' ');
}

void strict_head_add(struct strict_head *head, const char *name, size_t name_bytes,
                     const char *value, size_t value_bytes)
{
    http_head_add(&head->framing, name, name_bytes, value, value_bytes);
    if (http_head_is_named(name, name_bytes, "Content-Type")) {
        read_type(head, value, value_bytes);
    } else if (http_head_is_named(name, name_bytes, "Authorization")) {
        head->authorizations++;
        head->framing.is_malformed |= value_bytes > HTTP_HEADER_MAX_BYTES;
    } else if (http_head_is_named(name, name_bytes, "Idempotency-Key")) {
        head->keys++;
        head->framing.is_malformed |= value_bytes > HTTP_HEADER_MAX_BYTES;
    }
}

static bool fail(struct http_fault *fault, unsigned status, const char *detail, const char *remedy)
{
    *fault = (struct http_fault){ .status = status, .detail = detail, .remedy = remedy };
    return false;
}

static bool check_get(const struct strict_head *head, struct http_fault *fault)
{
    if (http_head_has_body(&head->framing))
        return fail(fault, 400, "A GET has no body.", "Leave the body out.");
    return true;
}

static bool check_post(const struct strict_head *head, struct http_fault *fault)
{
    const struct http_head *framing = &head->framing;
    if (framing->encodings > 0 || framing->lengths > 1)
        return fail(fault, 400, "The body's length is not clear.",
                    "Give one Content-Length and no Transfer-Encoding.");
    if (framing->lengths == 0)
        return fail(fault, 411, "A POST needs Content-Length.", "Give one Content-Length.");
    if (!framing->is_length_number)
        return fail(fault, 400, "Content-Length is not a plain number.", "Write digits alone.");
    if (framing->length > HTTP_BODY_MAX_BYTES)
        return fail(fault, 413, "The body is over 65536 bytes.", "Send less at once.");
    if (framing->length > 0 && (head->types != 1 || !head->is_json))
        return fail(fault, 415, "The body is not said to be JSON.",
                    "Send Content-Type: application/json.");
    return true;
}

bool strict_head_check(const struct strict_head *head, const char *method, const char *version,
                       struct http_fault *fault)
{
    if (strcmp(version, "HTTP/1.1") != 0)
        return fail(fault, 505, "Only HTTP/1.1 is spoken here.", "Use HTTP/1.1.");
    if (head->framing.is_malformed || head->framing.hosts != 1 || head->authorizations > 1 ||
        head->keys > 1)
        return fail(fault, 400, "A header is malformed, too long or given twice.",
                    "Give Host once, Authorization and Idempotency-Key at most once.");
    if (head->queries > HTTP_QUERY_MAX)
        return fail(fault, 400, "There are more than 8 query parameters.", "Leave some out.");
    if (strcmp(method, "GET") == 0)
        return check_get(head, fault);
    if (strcmp(method, "POST") == 0)
        return check_post(head, fault);
    (void)fail(fault, 405, "Only GET and POST are taken.", "Use GET or POST.");
    fault->allow = "GET, POST";
    return false;
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    strict_head_add(arg, name, name_bytes, value ? value : "", value ? value_bytes : 0);
    return MHD_YES;
}

bool http_strict_check(struct MHD_Connection *connection, const char *method, const char *version,
                       struct http_fault *fault)
{
    struct strict_head head = { .framing = { 0 } };
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header,
                                      &head); /* a count, as below */
    int queries = MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL, NULL);
    head.queries = queries > 0 ? (unsigned)queries : 0;
    return strict_head_check(&head, method, version, fault);
}
