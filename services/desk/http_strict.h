/* http_strict - is the head of a request one we act on? libmicrohttpd is lenient, and leniency is
 * how requests are smuggled past a proxy, so the rules are ours: HTTP/1.1, one Host, proper header
 * names, GET without a body, POST with one numeric Content-Length and JSON, each header that we
 * read at most once. */
#ifndef DESG_DESK_HTTP_STRICT_H
#define DESG_DESK_HTTP_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http_head.h"

struct http_fault {
    unsigned status;
    const char *detail;
    const char *remedy;
    const char *allow;
};

/* What of a head matters. */
struct strict_head {
    struct http_head framing;
    unsigned authorizations, keys, types, queries;
    bool is_json;
};

/* One header, as the server feeds them. */
void strict_head_add(struct strict_head *head, const char *name, size_t name_bytes,
                     const char *value, size_t value_bytes);
/* True: go on. */
bool strict_head_check(const struct strict_head *head, const char *method, const char *version,
                       struct http_fault *fault);

bool http_strict_check(struct MHD_Connection *connection, const char *method, const char *version,
                       struct http_fault *fault);

#endif
