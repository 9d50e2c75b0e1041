#include "http/http_head.h"

#include <string.h>
#include <strings.h>

enum { LENGTH_MAX_DIGITS = 15 };

static bool is_token(const char *text, size_t length)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0' || !strchr(allowed, text[i]))
            return false;
    return length > 0;
}

static bool is_field_value(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

bool http_head_is_named(const char *name, size_t name_bytes, const char *wanted)
{
    return name_bytes == strlen(wanted) && strncasecmp(name, wanted, name_bytes) == 0;
}

static void read_length(struct http_head *head, const char *value, size_t value_bytes)
{
    head->lengths++;
    head->is_length_number = value_bytes > 0 && value_bytes <= LENGTH_MAX_DIGITS;
    head->length = 0;
    for (size_t i = 0; i < value_bytes && head->is_length_number; i++) {
        head->is_length_number = value[i] >= '0' && value[i] <= '9';
        head->length = head->length * 10 + (uint64_t)(value[i] - '0');
    }
}

void http_head_add(struct http_head *head, const char *name, size_t name_bytes, const char *value,
                   size_t value_bytes)
{
    if (!is_token(name, name_bytes) || !is_field_value(value, value_bytes))
        head->is_malformed = true;
    else if (http_head_is_named(name, name_bytes, "Host"))
        head->hosts++;
    else if (http_head_is_named(name, name_bytes, "Content-Length"))
        read_length(head, value, value_bytes);
    else if (http_head_is_named(name, name_bytes, "Transfer-Encoding")) {
        head->encodings++;
        head->is_chunked = http_head_is_named(value, value_bytes, "chunked");
    }
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    http_head_add(arg, name, name_bytes, value ? value : "", value ? value_bytes : 0);
    return MHD_YES;
}

void http_head_read(struct MHD_Connection *connection, struct http_head *head)
{
    *head = (struct http_head){ 0 };
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, head); /* a count */
}

bool http_head_has_body(const struct http_head *head)
{
    return head->encodings > 0 || head->lengths > 1 ||
           (head->lengths == 1 && (!head->is_length_number || head->length != 0));
}
