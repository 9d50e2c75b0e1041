#include "ingest/drained.h"

#include "ingest/answer_json.h"

uint64_t drained_left(const struct custody_status *status)
{
    return status->newest > status->marked ? status->newest - status->marked : 0;
}

static const char *waits_for(const struct custody_status *status, bool is_intake_idle)
{
    if (!is_intake_idle)
        return "requests in hand";
    if (status->unloaded + status->held_events + status->deferred > 0)
        return !status->is_history_known || status->is_route_busy
                   ? "Redis and route: not everything can be applied"
                   : "answers: not everything is applied";
    if (status->provisional > 0)
        return "a classifier: some is applied unclassified";
    if (!status->is_history_known || status->mark_confirmed_ms < 0 ||
        status->mark_confirmed_ms > CUSTODY_CONFIRMED_MS)
        return "Redis: it has to say that it has the mark";
    return "the mark: it has to stand in Redis for some seconds";
}

void drained_answer(const struct custody_status *status, bool is_intake_idle,
                    const struct admin_request *request, struct admin_answer *answer)
{
    if (!answer_only(answer, request, "GET"))
        return;
    bool is_drained = is_intake_idle && custody_is_settled(status);
    json_t *json =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:b}", "drained", is_drained, "unloaded_records",
                  (json_int_t)status->unloaded, "held_events", (json_int_t)status->held_events,
                  "deferred_records", (json_int_t)status->deferred, "provisional_records",
                  (json_int_t)status->provisional, "unmarked_records",
                  (json_int_t)drained_left(status), "intake_idle", is_intake_idle);
    if (json && !is_drained)
        (void)json_object_set_new(json, "waits_for",
                                  json_string(waits_for(status, is_intake_idle)));
    answer_json(answer, is_drained ? 200 : 503, json);
}
