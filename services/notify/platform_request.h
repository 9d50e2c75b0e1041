/* platform_request - puts a platform's requests together, bounded: what does not fit is refused,
 * never cut. Every function returns 0, or -1 with err filled; whoever is told -1 gives the request
 * up with platform_request_drop. Pure. */
#ifndef DESG_NOTIFY_PLATFORM_REQUEST_H
#define DESG_NOTIFY_PLATFORM_REQUEST_H

#include <jansson.h>

#include "notify/platform.h"

/* base_url, then the segments of the path, each encoded; the list ends with NULL. ERROR_INVALID: a
 * segment that is empty or a dot segment: no id looks so. */
int platform_request_start(struct platform_request *out, const char *method, const char *base_url,
                           const char *const *segments, struct error *err) MUST_USE;
int platform_request_count(struct platform_request *out, const char *name, unsigned value,
                           struct error *err) MUST_USE;
int platform_request_query(struct platform_request *out, const char *name, const char *value,
                           struct error *err) MUST_USE;
int platform_request_header(struct platform_request *out, struct error *err, const char *format,
                            ...) __attribute__((format(printf, 3, 4))) MUST_USE;
/* Authorization: Bearer. ERROR_CONFIG: no token. */
int platform_request_bearer(struct platform_request *out, const char *token,
                            struct error *err) MUST_USE;
/* Takes body (NULL: no memory, or text that is not UTF-8), sorted and compact: the same thing is
 * the same bytes. */
int platform_request_json(struct platform_request *out, json_t *body, struct error *err) MUST_USE;
/* A copy of body[0..length). */
int platform_request_body(struct platform_request *out, const char *content_type, const char *body,
                          size_t length, struct error *err) MUST_USE;

/* Clears it and returns -1. */
int platform_request_drop(struct platform_request *out);

/* ERROR_INVALID if text is NULL or "": "a message without <what>". */
int platform_need(const char *text, const char *what, struct error *err) MUST_USE;

#endif
