/* platform_meta - what Messenger, Instagram, WhatsApp and the Page's feed share: the Graph API's
 * errors, usage headers and answers. */
#ifndef DESG_NOTIFY_PLATFORM_META_H
#define DESG_NOTIFY_PLATFORM_META_H

#include "notify/platform_answer.h"

/* The rows of the error table, for tests. */
const struct platform_fault *platform_meta_faults(size_t *count);

/* platform.sent and platform.probe of all of them. */
void platform_meta_sent(const struct platform_answer *answer, int64_t now_ms,
                        struct platform_result *out);
int platform_meta_probe(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                        struct platform_request *out, struct error *err);

/* A POST of body (taken) to segments with our token, or a GET or DELETE where it is NULL. */
int platform_meta_request(const struct platform_self *self, const char *method,
                          const char *const *segments, json_t *body, struct platform_request *out,
                          struct error *err);

#endif
