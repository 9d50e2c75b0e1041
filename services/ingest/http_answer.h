/* http_answer - every fixed answer the intake gives: status, one clear JSON line, and what the
 * client should do next. Responses are made once and shared by all threads. */
#ifndef DESG_INGEST_HTTP_ANSWER_H
#define DESG_INGEST_HTTP_ANSWER_H

#include <microhttpd.h>

#include "error/error.h"

enum answer {
    ANSWER_NONE, /* not decided yet */
    ANSWER_STORED,
    ANSWER_VERSION,
    ANSWER_HEADER_MALFORMED,
    ANSWER_PATH,
    ANSWER_METHOD,
    ANSWER_METHOD_POST_ONLY,
    ANSWER_FRAMING,
    ANSWER_LENGTH_MISSING,
    ANSWER_LENGTH_MALFORMED,
    ANSWER_BODY_TOO_LARGE,
    ANSWER_BUFFERS_FULL,
    ANSWER_SIGNATURE_MISSING,
    ANSWER_SIGNATURE_MALFORMED,
    ANSWER_SIGNATURE_WRONG,
    ANSWER_TIMESTAMP_STALE,
    ANSWER_KEY_MALFORMED,
    ANSWER_CHALLENGE_MALFORMED,
    ANSWER_CHALLENGE_REFUSED,
    ANSWER_ADDRESS_BUSY,
    ANSWER_JOURNAL_FULL,
    ANSWER_JOURNAL_FAILED,
    ANSWER_DEADLINE,
    ANSWER_DRAINING,
    ANSWER_COUNT
};

/* Short name for metrics: desg_ingest_rejected_total{reason}. */
const char *answer_reason(enum answer answer);

struct answers;
struct answers *answers_new(struct error *err) MUST_USE;
void answers_destroy(struct answers **self_p);
enum MHD_Result answers_queue(const struct answers *self, struct MHD_Connection *connection,
                              enum answer answer);

#endif
