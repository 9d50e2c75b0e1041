/* callback_message - what the dispatch system says back: is it genuine, and what does it say? Pure.
 */
#ifndef DESG_NOTIFY_CALLBACK_MESSAGE_H
#define DESG_NOTIFY_CALLBACK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "ids/ids.h"

enum {
    CALLBACK_BODY_MAX_BYTES = 64 << 10,
    CALLBACK_CLOCK_DIFFERENCE_MS = 300000,
    CALLBACK_DISPATCHER_BYTES = 129,
    CALLBACK_LOG_NUMBER_BYTES = 65,
    CALLBACK_OUTCOME_BYTES = 513
};

enum callback_trust {
    CALLBACK_GENUINE,
    CALLBACK_UNSIGNED, /* a header is missing or malformed */
    CALLBACK_STALE,    /* older or newer than CALLBACK_CLOCK_DIFFERENCE_MS */
    CALLBACK_FORGED    /* no secret makes this signature */
};

/* timestamp: X-Desk-Timestamp, Unix seconds. signature: X-Desk-Signature-256, "sha256=<hex>" of
 * HMAC-SHA-256 over "<timestamp>.<body>". Any of the secrets may have made it. Either header may be
 * NULL. */
enum callback_trust callback_check(const char *const *secrets, size_t secret_count,
                                   const char *timestamp, const char *signature, const void *body,
                                   size_t length, int64_t now_unix_ms);

struct callback_message {
    struct id alert;
    bool is_outcome; /* else an acknowledgement */
    char dispatcher[CALLBACK_DISPATCHER_BYTES];
    char log_number[CALLBACK_LOG_NUMBER_BYTES];
    char outcome[CALLBACK_OUTCOME_BYTES];
};

/* ERROR_INVALID: not such a message; the text says what is missing, never what was there. Longer
 * words are refused, not cut. */
int callback_parse(const char *body, size_t length, struct callback_message *out,
                   struct error *err) MUST_USE;

#endif
