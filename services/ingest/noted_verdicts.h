/* noted_verdicts - the verdicts given to the journal last. A note goes with the next group, seconds
 * later where little comes in, or is lost with one that fails; a record read again before that
 * would be judged anew, and rules may have changed. Bounded: the oldest go; what is longer than
 * NOTED_VERDICT_MAX_BYTES is left to the journal. Threads: the owner's. */
#ifndef DESG_INGEST_NOTED_VERDICTS_H
#define DESG_INGEST_NOTED_VERDICTS_H

#include <stddef.h>
#include <stdint.h>

#include "ids/ids.h"

enum { NOTED_VERDICTS_MAX = 512, NOTED_VERDICT_MAX_BYTES = 1024 };

struct noted_verdict {
    uint64_t sequence; /* 0: none */
    uint32_t index;
    uint32_t length;
    struct id event_id;
    uint8_t bytes[NOTED_VERDICT_MAX_BYTES];
};

/* Zeroed: empty. */
struct noted_verdicts {
    struct noted_verdict list[NOTED_VERDICTS_MAX];
    size_t next;              /* is written over */
    uint64_t newest_sequence; /* no record above has one */
};

void noted_verdicts_keep(struct noted_verdicts *self, uint64_t sequence, uint32_t index,
                         const struct id *event_id, const void *bytes, size_t length);

/* The one after *at of a record, oldest first; NULL: no more. *at is 0 at first. */
const struct noted_verdict *noted_verdicts_next(const struct noted_verdicts *self,
                                                uint64_t sequence, size_t *at);

#endif
