/* record_split - the events of a journal record, whatever became of it: whole, damaged, or set
 * aside because it ended ingest while it was split (loading.h). */
#ifndef DESG_INGEST_RECORD_SPLIT_H
#define DESG_INGEST_RECORD_SPLIT_H

#include <stdbool.h>

#include "ingest/loading.h"
#include "ingest/split.h"
#include "journal/journal.h"

struct record_splitter {
    const struct splitter *splitter;
    struct loading *loading; /* NULL: no trace is kept */
    enum loading_reader reader;
    struct id source; /* of the journal */
};

void record_split(const struct record_splitter *self, const struct journal_record *record,
                  bool is_replayed, struct split *out);

#endif
