/* platform_x_api - what X's private messages and posts share: signed requests, errors, limits. */
#ifndef DESG_NOTIFY_PLATFORM_X_API_H
#define DESG_NOTIFY_PLATFORM_X_API_H

#include "notify/platform_answer.h"

/* How many messages or posts are asked for: of some 600 bytes each, together at most
 * OUTBOUND_ANSWER_MAX_BYTES. */
enum { PLATFORM_X_LISTED = 50 };

/* The rows of the error table, for tests. */
const struct platform_fault *platform_x_faults(size_t *count);

/* The last step of a request: OAuth 1.0a where all four keys are there, else the token as that of
 * OAuth 2. ERROR_CONFIG: some of the four. */
int platform_x_sign(const struct platform_self *self, int64_t at_ms, const uint8_t nonce[16],
                    struct platform_request *out, struct error *err) MUST_USE;

/* platform.sent and platform.probe of both. */
void platform_x_sent(const struct platform_answer *answer, int64_t now_ms,
                     struct platform_result *out);
int platform_x_probe(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                     struct platform_request *out, struct error *err);

/* Finds message in a list of messages or posts. */
enum platform_found platform_x_find(const struct platform_answer *answer,
                                    const struct platform_message *message, int64_t since_ms,
                                    bool (*is_candidate)(const json_t *row,
                                                         const struct platform_message *message),
                                    char object_id[static PLATFORM_OBJECT_BYTES]);

#endif
