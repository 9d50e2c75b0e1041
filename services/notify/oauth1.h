/* oauth1 - signatures of OAuth 1.0a, HMAC-SHA1 (RFC 5849, sections 3.4 and 3.5.1). Pure: time and
 * nonce are the caller's. */
#ifndef DESG_NOTIFY_OAUTH1_H
#define DESG_NOTIFY_OAUTH1_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum { OAUTH1_PARAMETERS_MAX = 32, OAUTH1_SIGNATURE_BYTES = 29 };

struct oauth1_keys {
    const char *consumer_key, *consumer_secret;
    const char *token, *token_secret; /* NULL: none yet */
    const char *nonce;
    int64_t timestamp_s;
    const char *version; /* "1.0"; NULL: not sent */
};

/* A request: url with its query; form: the body where it is form-urlencoded, else NULL (JSON is not
 * signed). */
struct oauth1_request {
    const char *method;
    const char *url;
    const char *form;
};

/* base64 of the signature. ERROR_INVALID: more than OAUTH1_PARAMETERS_MAX parameters. */
int oauth1_sign(const struct oauth1_keys *keys, const struct oauth1_request *request,
                char out[static OAUTH1_SIGNATURE_BYTES], struct error *err) MUST_USE;

/* What is signed (section 3.4.1): for tests and for finding out why a signature is refused; freed
 * by the caller. NULL as oauth1_sign. */
char *oauth1_base_string(const struct oauth1_keys *keys, const struct oauth1_request *request,
                         struct error *err) MUST_USE;

/* The value of the Authorization header, with the signature. ERROR_INVALID: it does not fit. */
int oauth1_authorization(const struct oauth1_keys *keys, const struct oauth1_request *request,
                         char *out, size_t bytes, struct error *err) MUST_USE;

#endif
