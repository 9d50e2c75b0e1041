/* feed_documents - broadcasts as documents others read: CAP 1.2, Atom, DATEX II v3. Written with
 * Mini-XML. Pure. Sources: OASIS CAP 1.2 schema, RFC 4287, DATEX II v3 Situation publication. Each
 * returns a string to be freed; NULL without memory. */
#ifndef DESG_OUTWARD_FEED_DOCUMENTS_H
#define DESG_OUTWARD_FEED_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "outward/outward_config.h"

/* CAP identifier of a version: 32 hex digits of the id, '-', the version; of its end "-end". */
enum { CAP_IDENTIFIER_BYTES = 48 };
void cap_identifier(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                    char out[static CAP_IDENTIFIER_BYTES]);

/* One message: Alert for version 1, Update after it, Cancel for one that is cancelled, Update that
 * says AllClear for one that has ended; references to all versions before; one info per language.
 * sent: written_at_ms, or ended_at_ms of what is over. */
char *cap_document(const struct outward_feed *feed, const Desg__V1__Broadcast *broadcast,
                   Desg__V1__BroadcastState state, int64_t ended_at_ms);

/* Newest first; language en or cy. */
char *atom_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                    size_t count, const char *language);

/* Road closures among them. */
char *datex_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                     size_t count, int64_t now_ms);

#endif
