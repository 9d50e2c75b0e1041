#include "ingest/retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/answer_json.h"
#include "ingest/stored_since.h"

enum { NEAR_MS = 60000, PAGE_MAX_BYTES = 4 << 20 };

static bool holds(const struct record_splitter *reading, const struct journal_record *record,
                  const struct id *event)
{
    if (record->is_damaged)
        return false;
    struct split split = { 0 };
    bool is_found = false;
    record_split(reading, record, true, &split);
    for (size_t i = 0; i < split.count && !is_found; i++)
        is_found = memcmp(split.events[i].id.bytes, event->bytes, ID_BYTES) == 0;
    split_clear(&split);
    return is_found;
}

/* 0: it is not there. */
static uint64_t find_delivery(struct journal *journal, const struct record_splitter *reading,
                              const struct id *event, int64_t received_at_ms,
                              struct journal_page *page)
{
    uint64_t from = stored_since(journal, received_at_ms - NEAR_MS, page);
    uint64_t found = 0;
    for (bool is_near = from > 0; is_near && found == 0;) {
        struct error err = { 0 };
        if (journal_read(journal, from, JOURNAL_PAGE_MAX_RECORDS, PAGE_MAX_BYTES, page, &err) !=
                0 ||
            page->count == 0)
            return 0;
        for (size_t i = 0; i < page->count && is_near && found == 0; i++) {
            is_near = page->records[i].stored_at_ms <= received_at_ms + NEAR_MS;
            if (is_near && holds(reading, &page->records[i], event))
                found = page->records[i].sequence;
            from = page->records[i].sequence + 1;
        }
        journal_page_clear(page);
    }
    return found;
}

void retry_event(struct journal *journal, const struct record_splitter *reading,
                 struct dispatcher *dispatcher, const struct admin_request *request,
                 struct admin_answer *answer)
{
    struct id event;
    const char *id = admin_query(request, "event");
    const char *received = admin_query(request, "received_at_ms");
    if (!answer_only(answer, request, "POST"))
        return;
    if (!id || id_parse(id, &event) != 0 || !received) {
        answer_error(answer, 400, "say which: ?event=<32 hex digits>&received_at_ms=N");
        return;
    }
    struct journal_page *page = calloc(1, sizeof *page);
    uint64_t sequence =
        page ? find_delivery(journal, reading, &event, strtoll(received, NULL, 10), page) : 0;
    free(page);
    if (sequence == 0)
        answer_error(answer, 404, "this journal does not hold the event");
    else if (!dispatcher_retry(dispatcher, sequence))
        answer_error(answer, 503, "too many retries wait: try again");
    else
        answer_json(answer, 200, json_pack("{s:I}", "sequence", (json_int_t)sequence));
}
