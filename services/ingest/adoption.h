/* adoption - ingest without its front door (--adopt): hands on what the journal of a scaled-in
 * ingest still holds, under that journal's own source id, says how far it is, and ends the process
 * when nothing is left. Threads: adoption_watch belongs to the dispatcher's. */
#ifndef DESG_INGEST_ADOPTION_H
#define DESG_INGEST_ADOPTION_H

#include <stdint.h>

#include "error/error.h"
#include "ingest/custody.h"
#include "service/service.h"

struct adoption;

/* limit: most seconds to take, "" or NULL for no limit. ERROR_CONFIG: a limit that is none. */
struct adoption *adoption_new(struct service *service, const char *limit, int64_t now_ms,
                              struct error *err) MUST_USE;
void adoption_destroy(struct adoption **self_p);

/* How it stands, several times a second: a line of progress every two, the end when custody is
 * settled (exit code 0) or the time is over (75). */
void adoption_watch(struct adoption *self, const struct custody_status *status, int64_t now_ms);

/* directory holds a whole journal. ERROR_CONFIG: none is there, and adoption makes none; or an
 * import into it did not end. */
int adoption_check(const char *directory, struct error *err) MUST_USE;

#endif
