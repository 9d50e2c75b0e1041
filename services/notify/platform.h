/* platform - one platform's way out: makes the requests, reads the answers. Pure: no I/O, no clock;
 * outbound carries the requests. Adding a platform = one file, one line in platform.c, one test
 * file. Formats, limits, error codes: each file names its source. */
#ifndef DESG_NOTIFY_PLATFORM_H
#define DESG_NOTIFY_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "error/error.h"
#include "outward/outward_config.h"

enum { PLATFORM_URL_BYTES = 768, PLATFORM_HEADERS_MAX = 6, PLATFORM_HEADER_BYTES = 1024 };
enum { PLATFORM_OBJECT_BYTES = 513, PLATFORM_ERROR_BYTES = 64, PLATFORM_REF_BYTES = 64 };

/* Who we are there: an account or an outlet of the configuration, and its secrets as read just now.
 */
struct platform_self {
    const char *base_url;
    const char *account;
    const char *token, *token_secret, *consumer_key, *consumer_secret, *signature_secret;
};

/* What is to be said. */
struct platform_message {
    const char *person;    /* replies and receipts */
    const char *object_id; /* the message answered; or the post that is edited, removed, followed */
    const char *contact;   /* web form: e-mail address */
    const char *text;
    const char *language; /* en, cy; NULL: both or not said */
    const char *ref;      /* our mark: desk:<item id>/<part>; comes back in echoes where it can */
    const char *key;      /* idempotency key, for those that have one */
    const char *body;     /* webhook: the document as it is */
    const char *content_type;
    bool is_human_agent; /* outside the standard window, written by a person */
    bool is_reply;       /* object_id is the post this one follows */
    int64_t at_ms;       /* now: OAuth timestamps, signatures */
    uint8_t nonce[16];   /* OAuth 1.0a: the same message at another time has another */
};

struct platform_request { /* filled by the platform; body freed by platform_request_clear */
    const char *method;
    char url[PLATFORM_URL_BYTES];
    char headers[PLATFORM_HEADERS_MAX][PLATFORM_HEADER_BYTES];
    size_t header_count;
    char *body;
    size_t length;
};
void platform_request_clear(struct platform_request *request);

/* What came back. */
struct platform_answer {
    unsigned http_status; /* 0: no whole answer */
    bool is_unsent;       /* with 0: certainly nothing was written: no connection, no TLS */
    const char *body;     /* NUL-terminated; at most 64 KiB */
    size_t length;
    /* Header by its name, any case; NULL: not there. */
    const char *(*header)(void *arg, const char *name);
    void *arg;
};

/* What it means. */
struct platform_result {
    Desg__V1__SendOutcome outcome;
    char object_id[PLATFORM_OBJECT_BYTES]; /* SENT: what it made */
    char error[PLATFORM_ERROR_BYTES];      /* short words of our own, never the platform's text */
    int32_t code;                          /* the platform's own; 0: none */
    int64_t after_ms;                      /* LATER: not before this long; 0: not said */
    bool is_token_dead;                    /* with BLOCKED: the whole account is, always */
    bool is_window_closed;                 /* REFUSED: the platform says so */
    bool is_duplicate;                     /* UNKNOWN: it says that it has this already: look */
    uint32_t used_percent;                 /* of the account's limit, by its headers; 0: not said */
    int64_t reset_ms; /* 0 used: until then nothing more may be sent; Unix ms */
};

enum platform_found { PLATFORM_IS_THERE, PLATFORM_IS_NOT, PLATFORM_CANNOT_SAY };

struct platform {
    const char *name; /* facebook, instagram, whatsapp, x, web; facebook-page, x-post, mastodon,
                         webhook */
    bool has_key;     /* an idempotency key: what is UNKNOWN may simply be sent again, the same */
    int64_t key_lives_ms; /* has_key: for so long after the first try; 0: for good */
    /* Those that make a request return -1 and leave *out empty: ERROR_INVALID: this message cannot
     * be sent so; ERROR_CONFIG: a secret is missing or unfit, all messages wait. */
    int (*send)(const struct platform_self *self, const struct platform_message *message,
                struct platform_request *out, struct error *err);
    void (*sent)(const struct platform_answer *answer, int64_t now_ms, struct platform_result *out);
    /* Was it sent? NULL: the platform cannot be asked (echoes are looked at by the caller). The
     * request lists what is newest; looked_up judges by ref, or by text and time since at_ms,
     * clocks differing by up to half a minute. PLATFORM_IS_NOT is of this moment: what was cut off
     * may arrive late, so the last look must be well after the try. */
    int (*look_up)(const struct platform_self *self, const struct platform_message *message,
                   struct platform_request *out, struct error *err);
    enum platform_found (*looked_up)(const struct platform_answer *answer,
                                     const struct platform_message *message, int64_t since_ms,
                                     char object_id[static PLATFORM_OBJECT_BYTES]);
    /* Edits or removes object_id; NULL: cannot. Answers are read by sent. */
    int (*edit)(const struct platform_self *self, const struct platform_message *message,
                struct platform_request *out, struct error *err);
    int (*remove)(const struct platform_self *self, const struct platform_message *message,
                  struct platform_request *out, struct error *err);
    /* Is our token alive? Answers are read by sent: SENT or BLOCKED; all others say nothing of it.
     * NULL: nothing to ask. */
    int (*probe)(const struct platform_self *self, int64_t now_ms, const uint8_t nonce[16],
                 struct platform_request *out, struct error *err);
};

/* For replies to channel; for an outlet of kind. NULL: none. */
const struct platform *platform_for_channel(const char *channel);
const struct platform *platform_for_outlet(const char *kind);

#endif
