#include "ingest/noted_verdicts.h"

#include <string.h>

void noted_verdicts_keep(struct noted_verdicts *self, uint64_t sequence, uint32_t index,
                         const struct id *event_id, const void *bytes, size_t length)
{
    if (length > NOTED_VERDICT_MAX_BYTES)
        return;
    struct noted_verdict *kept = &self->list[self->next];
    self->next = (self->next + 1) % NOTED_VERDICTS_MAX;
    kept->sequence = sequence;
    kept->index = index;
    kept->length = (uint32_t)length;
    kept->event_id = *event_id;
    memcpy(kept->bytes, bytes, length);
    if (sequence > self->newest_sequence)
        self->newest_sequence = sequence;
}

const struct noted_verdict *noted_verdicts_next(const struct noted_verdicts *self,
                                                uint64_t sequence, size_t *at)
{
    while (sequence <= self->newest_sequence && *at < NOTED_VERDICTS_MAX) {
        const struct noted_verdict *kept = &self->list[(self->next + (*at)++) % NOTED_VERDICTS_MAX];
        if (kept->sequence == sequence)
            return kept;
    }
    return NULL;
}
