#include "ingest/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "ingest/answer_json.h"
#include "ingest/stored_since.h"

enum { MARGIN_MS = 60000 };

/* text NULL: *out stays. */
static bool read_ms(const char *text, int64_t *out)
{
    char *end = NULL;
    if (!text)
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0')
        return false;
    *out = value;
    return true;
}

void replay_stored(struct journal *journal, struct dispatcher *dispatcher,
                   const struct admin_request *request, struct admin_answer *answer)
{
    int64_t since_ms = -1;
    int64_t until_ms = INT64_MAX;
    if (!answer_only(answer, request, "POST"))
        return;
    if (!read_ms(admin_query(request, "since_ms"), &since_ms) || since_ms < 0 ||
        !read_ms(admin_query(request, "until_ms"), &until_ms) || until_ms < since_ms) {
        answer_error(answer, 400, "say which: ?since_ms=N[&until_ms=N], milliseconds since 1970");
        return;
    }
    struct journal_page *page = calloc(1, sizeof *page);
    struct journal_stats stats;
    journal_stats(journal, &stats);
    uint64_t first =
        page ? stored_since(journal, since_ms > MARGIN_MS ? since_ms - MARGIN_MS : 0, page) : 0;
    uint64_t last = stats.newest_sequence;
    if (page && until_ms < INT64_MAX - MARGIN_MS) {
        uint64_t behind = stored_since(journal, until_ms + MARGIN_MS, page);
        last = behind > 0 && behind <= last ? behind - 1 : last;
    }
    free(page);
    uint64_t records = first > 0 && first <= last ? last - first + 1 : 0;
    if (first == 0 && stats.records > 0)
        answer_error(answer, 500, "the journal cannot be read");
    else if (records > 0 && !dispatcher_replay(dispatcher, first, last))
        answer_error(answer, 503, "too many requests wait: try again");
    else
        answer_json(answer, 200,
                    json_pack("{s:I, s:I, s:I}", "records", (json_int_t)records, "first_sequence",
                              (json_int_t)first, "last_sequence", (json_int_t)last));
}
