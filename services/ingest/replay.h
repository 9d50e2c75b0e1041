/* replay - offers again what was stored in a time, for `desg replay`: when Redis lost what its mark
 * still promises (a restored image, keys deleted by hand). Duplicates collapse. Control socket
 * only.
 */
#ifndef DESG_INGEST_REPLAY_H
#define DESG_INGEST_REPLAY_H

#include "admin/admin.h"
#include "ingest/dispatcher.h"
#include "journal/journal.h"

/* POST ?since_ms=N[&until_ms=N] (Unix time): 200 {records, first_sequence, last_sequence}: how many
 * are offered again from now on; 400; 405; 500: the journal cannot be read; 503: too many requests
 * wait. A minute before since is taken too: clocks are corrected. */
void replay_stored(struct journal *journal, struct dispatcher *dispatcher,
                   const struct admin_request *request, struct admin_answer *answer);

#endif
