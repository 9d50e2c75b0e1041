/* alert_projection - what became of each alert, from notify's journal into alert:<id> of Redis. The
 * journal is the only source, so that an emptied Redis learns the same again. Threads: the
 * projector's. */
#ifndef DESG_NOTIFY_ALERT_PROJECTION_H
#define DESG_NOTIFY_ALERT_PROJECTION_H

#include "desg/v1/alert.pb-c.h"
#include "journal/journal.h"
#include "store/store.h"

enum { ALERT_PROJECTION_MEMBERS_MAX = 200 };

struct alert_projection {
    struct id source; /* of the journal */
    /* Copies the ids of the alerts that go with a digest; 0 if id names none. */
    size_t (*members)(void *arg, const struct id *digest,
                      struct id out[static ALERT_PROJECTION_MEMBERS_MAX]);
    void *arg;
};

/* projector_options.apply; arg is the struct alert_projection. */
int alert_projection_apply(void *arg, struct store *store, const struct journal_record *records,
                           size_t count, char history[STORE_HISTORY_BYTES],
                           struct error *err) MUST_USE;

#endif
