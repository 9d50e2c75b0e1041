/* deliveries - shows one journalled body as it came, for `desg quarantine show`. Control socket
 * only: it is what a person wrote. */
#ifndef DESG_INGEST_DELIVERIES_H
#define DESG_INGEST_DELIVERIES_H

#include "admin/admin.h"
#include "journal/journal.h"

/* GET ?sequence=N → {sequence, stored_at_ms, received_at_ms, adapter, path, content_type,
 * body_base64}; 400, 404 (not there any more), 500 with {"error": …}. */
void deliveries_show(struct journal *journal, const struct admin_request *request,
                     struct admin_answer *answer);

#endif
