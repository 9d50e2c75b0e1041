#include "ingest/record_split.h"

void record_split(const struct record_splitter *self, const struct journal_record *record,
                  bool is_replayed, struct split *out)
{
    if (record->is_damaged) {
        splitter_damaged(self->splitter, &self->source, record->sequence, record->stored_at_ms,
                         out);
        return;
    }
    if (loading_is_set_aside(self->loading, record->sequence)) {
        splitter_set_aside(self->splitter, record->body, record->body_bytes, record->stored_at_ms,
                           out);
        return;
    }
    loading_begin(self->loading, self->reader, record->sequence);
    splitter_split(self->splitter, record->body, record->body_bytes, is_replayed, out);
    loading_end(self->loading, self->reader);
}
