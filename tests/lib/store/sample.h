/* sample - invented events and verdicts for tests of store and route, serialised as they travel. */
#ifndef DESG_TEST_SAMPLE_H
#define DESG_TEST_SAMPLE_H

#include "ids/ids.h"
#include "store/store.h"

enum { SAMPLE_MAX_BYTES = 2048 };

struct sample {
    /* Set these (sample_init gives defaults), then sample_pack. */
    Desg__V1__Event event;
    Desg__V1__Verdict verdict;
    struct id event_id;
    struct id conversation;
    /* Filled by sample_pack. */
    uint8_t event_bytes[SAMPLE_MAX_BYTES];
    size_t event_length;
    uint8_t verdict_bytes[SAMPLE_MAX_BYTES];
    size_t verdict_length;
};

/* A routine message number of conversation number, received at received_at_ms. */
void sample_init(struct sample *self, unsigned conversation, unsigned number,
                 int64_t received_at_ms, Desg__V1__Severity severity);
void sample_pack(struct sample *self);
/* As store_apply wants it; borrowed. */
struct store_event sample_event(const struct sample *self);
struct id sample_id(const char *kind, unsigned a, unsigned b);

#endif
