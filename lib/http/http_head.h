/* http_head - what the head of an HTTP request says of its framing. libmicrohttpd is lenient (two
 * Content-Lengths, a length beside chunked, odd names pass), and leniency is how requests are
 * smuggled past a proxy, so we read the headers ourselves; what is acted on, each server says.
 * Pure but for reading the connection. Threads: any. */
#ifndef DESG_HTTP_HEAD_H
#define DESG_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

struct http_head {
    unsigned lengths;   /* Content-Length headers */
    unsigned encodings; /* Transfer-Encoding headers */
    unsigned hosts;
    bool is_malformed;     /* a name that is no token, or a control character in a value */
    bool is_chunked;       /* the encoding is exactly chunked */
    bool is_length_number; /* digits only, at most 15 */
    uint64_t length;
};

/* All headers of the request. */
void http_head_read(struct MHD_Connection *connection, struct http_head *head);
/* One header, as http_head_read feeds them. */
void http_head_add(struct http_head *head, const char *name, size_t name_bytes, const char *value,
                   size_t value_bytes);

/* A body is announced, or something that might be one: not for a GET. */
bool http_head_has_body(const struct http_head *head);

/* Whether a header, or a value, is wanted, in any case of letters. */
bool http_head_is_named(const char *name, size_t name_bytes, const char *wanted);

#endif
