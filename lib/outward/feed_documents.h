/* feed_documents - broadcasts as documents others read: CAP 1.2, Atom, DATEX II v3. Written with
 * Mini-XML. Pure. Sources: OASIS CAP 1.2 schema, RFC 4287, DATEX II v3 Situation publication. What
 * is returned is freed by the caller and never NULL: a want of memory ends the program. Text that
 * XML cannot carry (control characters, what is not UTF-8) becomes U+FFFD.
 * Author, incident number and outlets are nobody's business but ours: they are in none of them. */
#ifndef DESG_OUTWARD_FEED_DOCUMENTS_H
#define DESG_OUTWARD_FEED_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/outward.pb-c.h"
#include "outward/outward_config.h"

/* CAP identifier of a version: 32 hex digits of the id, '-', the version; of its end "-end".
 * A broadcast that expires without a word ("now reopened") has no end of its own: CAP's expires
 * says it, and nobody said that the danger is over. An appeal always has one. */
enum { CAP_IDENTIFIER_BYTES = 48 };
void cap_identifier(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastState state,
                    char out[static CAP_IDENTIFIER_BYTES]);

/* One message: Alert for the first version that went out, Update after it, Cancel for one that is
 * cancelled, Update that says AllClear for one that has ended with a word; references to all
 * versions before; one info per language. A 0 in earlier_ms is a version that never went out. sent:
 * written_at_ms, or ended_at_ms of what is over. */
char *cap_document(const struct outward_feed *feed, const Desg__V1__Broadcast *broadcast,
                   Desg__V1__BroadcastState state, int64_t ended_at_ms);

/* In the order given: newest first. language en or cy; where there is no Welsh the English stands,
 * marked as such. An empty feed was updated when now_ms's day began, the same at every replica. */
char *atom_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                    size_t count, const char *language, int64_t now_ms);

/* Road closures among them that have a place on the map: DATEX II wants coordinates. */
char *datex_document(const struct outward_feed *feed, const Desg__V1__BroadcastNews *const *news,
                     size_t count, int64_t now_ms);

#endif
