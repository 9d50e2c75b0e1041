#include "ingest/http_framing.h"

#include <string.h>

enum answer http_framing_check_common(const struct http_head *head, const char *version)
{
    if (strcmp(version, "HTTP/1.1") != 0)
        return ANSWER_VERSION;
    if (head->is_malformed || head->hosts != 1)
        return ANSWER_HEADER_MALFORMED;
    return ANSWER_NONE;
}

enum answer http_framing_check_post(const struct http_head *head, size_t body_max_bytes)
{
    if (head->lengths == 0 && head->encodings == 0)
        return ANSWER_LENGTH_MISSING;
    if (head->lengths + head->encodings != 1 || (head->encodings == 1 && !head->is_chunked))
        return ANSWER_FRAMING;
    if (head->encodings == 1)
        return ANSWER_NONE;
    if (!head->is_length_number)
        return ANSWER_LENGTH_MALFORMED;
    return head->length > body_max_bytes ? ANSWER_BODY_TOO_LARGE : ANSWER_NONE;
}

enum answer http_framing_check_get(const struct http_head *head)
{
    return http_head_has_body(head) ? ANSWER_FRAMING : ANSWER_NONE;
}
