#include "ingest/deliveries.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "crypto/crypto.h"
#include "desg/v1/event.pb-c.h"
#include "ingest/answer_json.h"

enum { ENCODE_BYTES = 3 << 18 }; /* a multiple of 3, so that pieces join without padding */

static bool read_sequence(const char *text, uint64_t *sequence)
{
    char *end = NULL;
    if (!text || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *sequence = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *sequence > 0;
}

/* NULL: no memory. The caller frees it. */
static char *encode(const uint8_t *bytes, size_t length)
{
    char *text = malloc(4 * ((length + 2) / 3) + 1);
    if (!text)
        return NULL;
    size_t written = 0;
    text[0] = '\0';
    for (size_t at = 0; at < length; at += ENCODE_BYTES) {
        size_t piece = length - at < ENCODE_BYTES ? length - at : ENCODE_BYTES;
        crypto_base64(bytes + at, piece, text + written);
        written += 4 * ((piece + 2) / 3);
    }
    return text;
}

static json_t *describe(const struct journal_record *record, const Desg__V1__Delivery *delivery)
{
    char *body = encode(delivery->body.data, delivery->body.len);
    json_t *json =
        body
            ? json_pack("{s:I,s:I,s:I,s:s,s:s,s:s,s:s}", "sequence", (json_int_t)record->sequence,
                        "stored_at_ms", (json_int_t)record->stored_at_ms, "received_at_ms",
                        (json_int_t)delivery->received_at_ms, "adapter", delivery->adapter, "path",
                        delivery->path, "content_type", delivery->content_type, "body_base64", body)
            : NULL;
    free(body);
    return json;
}

static void answer_record(const struct journal_record *record, struct admin_answer *answer)
{
    if (record->is_damaged) {
        answer_error(answer, 500, "the record is damaged");
        return;
    }
    Desg__V1__Delivery *delivery =
        desg__v1__delivery__unpack(NULL, record->body_bytes, record->body);
    if (!delivery) {
        answer_error(answer, 500, "the record is not a delivery");
        return;
    }
    answer_json(answer, 200, describe(record, delivery));
    desg__v1__delivery__free_unpacked(delivery, NULL);
}

void deliveries_show(struct journal *journal, const struct admin_request *request,
                     struct admin_answer *answer)
{
    uint64_t sequence = 0;
    if (!read_sequence(admin_query(request, "sequence"), &sequence)) {
        answer_error(answer, 400, "say which: ?sequence=N, a whole number from 1");
        return;
    }
    struct error err = { 0 };
    struct journal_page *page = calloc(1, sizeof *page);
    if (!page || journal_read(journal, sequence, 1, JOURNAL_RECORD_MAX_BYTES, page, &err) != 0) {
        answer_error(answer, 500, page ? err.text : "no memory");
    } else if (page->count == 0 || page->records[0].sequence != sequence) {
        answer_error(answer, 404, "the journal holds no record of this number (any more)");
        journal_page_clear(page);
    } else {
        answer_record(&page->records[0], answer);
        journal_page_clear(page);
    }
    free(page);
}
