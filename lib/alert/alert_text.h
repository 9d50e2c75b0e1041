/* alert_text - text from outside as a JSON string that is always valid UTF-8. Pure. */
#ifndef DESG_ALERT_TEXT_H
#define DESG_ALERT_TEXT_H

#include <stddef.h>

#include <jansson.h>

/* A new JSON string of bytes[0..length): what is not UTF-8, and NUL, becomes U+FFFD, byte by byte.
 * At most max_bytes come out (0 = no limit), never half a character. */
json_t *alert_text(const void *bytes, size_t length, size_t max_bytes);

#endif
