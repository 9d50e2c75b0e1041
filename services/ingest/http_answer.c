#include "ingest/http_answer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct answer_row {
    unsigned status;
    bool closes; /* what follows on the connection cannot be trusted, or should not come */
    const char *reason;
    const char *body;
};

#define RETRY_AFTER_SECONDS "5"

static const struct answer_row rows[ANSWER_COUNT] = {
    [ANSWER_NONE] = { 500, true, "none", "{\"error\":\"no answer was decided\"}\n" },
    [ANSWER_STORED] = { 200, false, "stored", "{\"status\":\"stored\"}\n" },
    [ANSWER_VERSION] = { 505, true, "version", "{\"error\":\"only HTTP/1.1 is spoken here\"}\n" },
    [ANSWER_HEADER_MALFORMED] = { 400, true, "header",
                                  "{\"error\":\"a header is malformed, or Host is not there "
                                  "exactly "
                                  "once\"}\n" },
    [ANSWER_PATH] = { 404, true, "path", "{\"error\":\"no channel has this path\"}\n" },
    [ANSWER_METHOD] = { 405, true, "method", "{\"error\":\"only GET and POST are taken\"}\n" },
    [ANSWER_METHOD_POST_ONLY] = { 405, true, "method",
                                  "{\"error\":\"only POST is taken on this path\"}\n" },
    [ANSWER_FRAMING] = { 400, true, "framing",
                         "{\"error\":\"give one Content-Length, or Transfer-Encoding: chunked "
                         "alone\"}\n" },
    [ANSWER_LENGTH_MISSING] = { 411, true, "length_missing",
                                "{\"error\":\"a POST needs Content-Length or chunked "
                                "encoding\"}\n" },
    [ANSWER_LENGTH_MALFORMED] = { 400, true, "length_malformed",
                                  "{\"error\":\"Content-Length is not a plain number\"}\n" },
    [ANSWER_BODY_TOO_LARGE] = { 413, true, "body_too_large",
                                "{\"error\":\"the body is over the limit\"}\n" },
    [ANSWER_BUFFERS_FULL] = { 503, true, "buffers_full",
                              "{\"error\":\"too many bodies are coming in at once; try "
                              "again\"}\n" },
    [ANSWER_SIGNATURE_MISSING] = { 403, false, "signature_missing",
                                   "{\"error\":\"the signature is missing\"}\n" },
    [ANSWER_SIGNATURE_MALFORMED] = { 403, false, "signature_malformed",
                                     "{\"error\":\"the signature is malformed\"}\n" },
    [ANSWER_SIGNATURE_WRONG] = { 403, false, "signature_wrong",
                                 "{\"error\":\"the signature does not fit the body\"}\n" },
    [ANSWER_TIMESTAMP_STALE] = { 403, false, "timestamp_stale",
                                 "{\"error\":\"the time stamp is more than 5 minutes off\"}\n" },
    [ANSWER_KEY_MALFORMED] = { 400, false, "key_malformed",
                               "{\"error\":\"Idempotency-Key: 1 to 128 visible ASCII "
                               "characters\"}\n" },
    [ANSWER_CHALLENGE_MALFORMED] = { 400, false, "challenge_malformed",
                                     "{\"error\":\"the challenge is missing or malformed\"}\n" },
    [ANSWER_CHALLENGE_REFUSED] = { 403, false, "challenge_refused",
                                   "{\"error\":\"the verify token is not ours\"}\n" },
    [ANSWER_ADDRESS_BUSY] = { 503, true, "address_busy",
                              "{\"error\":\"too many requests from this address at once\"}\n" },
    [ANSWER_JOURNAL_FULL] = { 503, false, "journal_full",
                              "{\"error\":\"the journal takes nothing now; try again\"}\n" },
    [ANSWER_JOURNAL_FAILED] = { 503, false, "journal_failed",
                                "{\"error\":\"the journal could not store it; try again\"}\n" },
    [ANSWER_DEADLINE] = { 503, true, "deadline",
                          "{\"error\":\"it could not be stored in time; try again\"}\n" },
    [ANSWER_DRAINING] = { 503, true, "draining",
                          "{\"error\":\"this process is stopping; try again\"}\n" },
};

struct answers {
    struct MHD_Response *responses[ANSWER_COUNT];
};

const char *answer_reason(enum answer answer)
{
    return rows[answer].reason;
}

static bool add_headers(struct MHD_Response *response, enum answer answer)
{
    const struct answer_row *row = &rows[answer];
    bool is_good = MHD_add_response_header(response, "Content-Type", "application/json") == MHD_YES;
    if (row->closes)
        is_good &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    if (row->status == 503)
        is_good &= MHD_add_response_header(response, "Retry-After", RETRY_AFTER_SECONDS) == MHD_YES;
    if (row->status == 405)
        is_good &=
            MHD_add_response_header(response, "Allow",
                                    answer == ANSWER_METHOD ? "GET, POST" : "POST") == MHD_YES;
    return is_good;
}

struct answers *answers_new(struct error *err)
{
    struct answers *self = calloc(1, sizeof *self);
    bool is_good = self != NULL;
    for (int i = 0; is_good && i < ANSWER_COUNT; i++) {
        self->responses[i] = MHD_create_response_from_buffer(
            strlen(rows[i].body), (void *)rows[i].body, MHD_RESPMEM_PERSISTENT);
        is_good = self->responses[i] && add_headers(self->responses[i], (enum answer)i);
    }
    if (is_good)
        return self;
    (void)error_set(err, ERROR_SYSTEM, "no memory for the answers");
    answers_destroy(&self);
    return NULL;
}

void answers_destroy(struct answers **self_p)
{
    if (!*self_p)
        return;
    for (int i = 0; i < ANSWER_COUNT; i++)
        if ((*self_p)->responses[i])
            MHD_destroy_response((*self_p)->responses[i]);
    free(*self_p);
    *self_p = NULL;
}

enum MHD_Result answers_queue(const struct answers *self, struct MHD_Connection *connection,
                              enum answer answer)
{
    return MHD_queue_response(connection, rows[answer].status, self->responses[answer]);
}
