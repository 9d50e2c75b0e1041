/* drained - whether this ingest may go for good, with its volume: for scale-in guards. */
#ifndef DESG_INGEST_DRAINED_H
#define DESG_INGEST_DRAINED_H

#include <stdbool.h>

#include "admin/admin.h"
#include "ingest/custody.h"

/* GET /drained: 200 when no request is in hand and custody is settled (custody.h); else 503 with
 * what is left, both as JSON. While webhooks still come the answer is of the moment: stop them
 * first. */
void drained_answer(const struct custody_status *status, bool is_intake_idle,
                    const struct admin_request *request, struct admin_answer *answer);

/* Records that are not applied and marked yet. */
uint64_t drained_left(const struct custody_status *status);

#endif
