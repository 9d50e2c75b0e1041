/* answer_json - answers of the admin door as JSON. */
#ifndef DESG_INGEST_ANSWER_JSON_H
#define DESG_INGEST_ANSWER_JSON_H

#include <stdbool.h>

#include <jansson.h>

#include "admin/admin.h"

/* Takes over json; NULL (no memory) answers 500. */
void answer_json(struct admin_answer *answer, unsigned status, json_t *json);
/* {"error": text} */
void answer_error(struct admin_answer *answer, unsigned status, const char *text);
/* Answers 405 and returns false if the request is not a method (GET or POST). */
bool answer_only(struct admin_answer *answer, const struct admin_request *request,
                 const char *method);

#endif
