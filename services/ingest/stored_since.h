/* stored_since - where in a journal a time lies. */
#ifndef DESG_INGEST_STORED_SINCE_H
#define DESG_INGEST_STORED_SINCE_H

#include <stdint.h>

#include "journal/journal.h"

/* The first sequence stored at or after at_ms (Unix time), by halves: records lie in order of time.
 * The newest and one if all are older; 0: the journal cannot be read. page: room to work with. */
uint64_t stored_since(struct journal *journal, int64_t at_ms, struct journal_page *page);

#endif
