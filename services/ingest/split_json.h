/* split_json - the one place where a delivered body becomes JSON: repaired first (json_repair.h),
 * then read strictly (a key twice, depth over 2,048, anything but an object is refused). */
#ifndef DESG_INGEST_SPLIT_JSON_H
#define DESG_INGEST_SPLIT_JSON_H

#include "ingest/event_build.h"

/* Once, before the first body: from then on jansson ends the process when there is no memory. */
void split_json_prepare(void);

/* The body's object, or NULL after an UNREADABLE event was added to builder, on its current
 * channel. The caller releases it. */
json_t *split_json_read(struct builder *builder, const uint8_t *body, size_t length);
void split_json_free(json_t **root_p);

#endif
