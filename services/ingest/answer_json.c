#include "ingest/answer_json.h"

#include <string.h>

void answer_json(struct admin_answer *answer, unsigned status, json_t *json)
{
    answer->status = json ? status : 500;
    answer->body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
}

void answer_error(struct admin_answer *answer, unsigned status, const char *text)
{
    answer_json(answer, status, json_pack("{s:s}", "error", text));
}

bool answer_only(struct admin_answer *answer, const struct admin_request *request,
                 const char *method)
{
    if (strcmp(request->method, method) == 0)
        return true;
    answer_error(answer, 405, strcmp(method, "POST") == 0 ? "POST it" : "GET it");
    return false;
}
