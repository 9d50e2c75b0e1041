/* platform_answer - reads what platforms answer: fault tables, rate headers, lists of what was
 * posted. Whatever the bytes, something comes of it: what is not understood is never SENT. Pure. */
#ifndef DESG_NOTIFY_PLATFORM_ANSWER_H
#define DESG_NOTIFY_PLATFORM_ANSWER_H

#include <jansson.h>

#include "notify/platform.h"

/* --- outcomes --- */

#define OUTCOME(name) DESG__V1__SEND_OUTCOME__SEND_OUTCOME_##name

enum {
    FAULT_WINDOW = 1,   /* the reply window is closed */
    FAULT_DUPLICATE = 2 /* it says that it has this already */
};
enum { FAULT_ANY = -1 };

/* One row of a platform's error table. BLOCKED: the whole account or outlet is, not this message
 * alone. */
struct platform_fault {
    int32_t code;    /* FAULT_ANY: whatever it is */
    int32_t subcode; /* FAULT_ANY likewise */
    Desg__V1__SendOutcome outcome;
    unsigned flags;
    uint32_t after_s; /* LATER: where the platform says nothing itself; 0: as the sender sees fit */
    const char *word;
};
/* The row of both, else of the code alone, else of the subcode alone; NULL: none. */
const struct platform_fault *platform_fault_find(const struct platform_fault *rows, size_t count,
                                                 int32_t code, int32_t subcode);
void platform_result_fault(struct platform_result *out, const struct platform_fault *fault,
                           int32_t code);

/* By the HTTP status alone, for what no table knows. A 2xx is UNKNOWN: it named nothing. */
void platform_result_status(struct platform_result *out, const struct platform_answer *answer);
/* object_id "": it made nothing that has a name. One that is too long is left out. */
void platform_result_sent(struct platform_result *out, const char *object_id);

bool platform_is_ok(const struct platform_answer *answer); /* 2xx */
/* NULL: not JSON. */
json_t *platform_json(const struct platform_answer *answer);
/* Text or number as text; "" for anything else. Numbers go into room. */
enum { PLATFORM_NUMBER_BYTES = 24 };
const char *platform_text(const json_t *object, const char *name,
                          char room[static PLATFORM_NUMBER_BYTES]);
/* 0: no number, or one outside 32 bits. */
int32_t platform_code(const json_t *object, const char *name);
json_t *platform_first(const json_t *array);

/* --- rates --- */

enum platform_reset { RESET_UNIX_SECONDS, RESET_ISO_8601 };
struct platform_rate_headers {
    const char *limit, *remaining, *reset;
    enum platform_reset form;
};
/* Raises used_percent and reset_ms to what these say. */
void platform_rate(const struct platform_answer *answer,
                   const struct platform_rate_headers *headers, struct platform_result *out);
/* Retry-After, seconds or HTTP-date, at most a day; 0: not said. */
int64_t platform_retry_after_ms(const struct platform_answer *answer, int64_t now_ms);
/* The last step of sent: LATER waits as long as Retry-After or the reset say. */
void platform_result_wait(struct platform_result *out, const struct platform_answer *answer,
                          int64_t now_ms);

/* --- what was posted --- */

/* A list of one's own things, newest first or not. */
struct platform_listing {
    const json_t *rows;
    const char *id, *text, *time; /* names of members */
    size_t asked;                 /* for so many rows: a full list may not be all there is */
    bool has_more;                /* the platform says: there are older ones */
    const char *short_link;       /* what the platform puts in the place of links; NULL: nothing */
    /* May be ours at all? NULL: all are. */
    bool (*is_candidate)(const json_t *row, const struct platform_message *message);
};
/* By text and time. CANNOT_SAY: the list may end before since_ms, or is none. */
enum platform_found platform_find(const struct platform_listing *listing,
                                  const struct platform_message *message, int64_t since_ms,
                                  char object_id[static PLATFORM_OBJECT_BYTES]);
/* Word by word, whatever the white space; a word of theirs that contains short_link may stand for
 * any link of ours; &lt; &gt; &amp; are read as what they stand for where short_link is set. */
bool platform_same_text(const char *ours, const char *theirs, const char *short_link);

#endif
