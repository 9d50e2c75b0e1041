/* retry - finds the journalled delivery of one event again, for `desg quarantine retry`. Control
 * socket only. */
#ifndef DESG_INGEST_RETRY_H
#define DESG_INGEST_RETRY_H

#include "admin/admin.h"
#include "ingest/dispatcher.h"
#include "ingest/record_split.h"
#include "journal/journal.h"

/* POST ?event=<32 hex>&received_at_ms=N: offers the delivery that holds the event again. 200
 * {sequence}; 400; 404: it is not in this journal; 405; 503: too many retries wait. Reads the
 * journal by halves, then splits what was stored within a minute. */
void retry_event(struct journal *journal, const struct record_splitter *reading,
                 struct dispatcher *dispatcher, const struct admin_request *request,
                 struct admin_answer *answer);

#endif
