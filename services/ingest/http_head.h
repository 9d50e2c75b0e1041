/* http_head - is the head of a request one we act on? libmicrohttpd is lenient (two
 * Content-Lengths, a length beside chunked, odd names pass), and leniency is how requests are
 * smuggled past a proxy, so the rules are ours. Pure but for reading the connection. */
#ifndef DESG_INGEST_HTTP_HEAD_H
#define DESG_INGEST_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "ingest/http_answer.h"

struct http_head {
    unsigned lengths;   /* Content-Length headers */
    unsigned encodings; /* Transfer-Encoding headers */
    unsigned hosts;
    bool is_malformed;
    bool is_chunked;       /* the encoding is exactly chunked */
    bool is_length_number; /* digits only */
    uint64_t length;
};

void http_head_read(struct MHD_Connection *connection, struct http_head *head);
/* One header, as http_head_read feeds them. */
void http_head_add(struct http_head *head, const char *key, size_t key_bytes, const char *value,
                   size_t value_bytes);

/* ANSWER_NONE: go on. */
enum answer http_head_check_common(const struct http_head *head, const char *version);
enum answer http_head_check_post(const struct http_head *head, size_t body_max_bytes);
enum answer http_head_check_get(const struct http_head *head);

#endif
