/* http_framing - is the head of a request one that ingest acts on? Fixed rules over lib/http's
 * reading of it. Pure. */
#ifndef DESG_INGEST_HTTP_FRAMING_H
#define DESG_INGEST_HTTP_FRAMING_H

#include "http/http_head.h"
#include "ingest/http_answer.h"

/* ANSWER_NONE: go on. */
enum answer http_framing_check_common(const struct http_head *head, const char *version);
enum answer http_framing_check_post(const struct http_head *head, size_t body_max_bytes);
enum answer http_framing_check_get(const struct http_head *head);

#endif
