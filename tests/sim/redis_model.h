/* redis_model - what the Redis Functions of lib/store/functions decide, in C and in memory: apply,
 * quarantine, hello, mark, as far as the delivery promise depends on them
 * (not: queues, facts of people, what context raises). State is a value: it can
 * be copied, kept as an image and rebuilt from a log of commands, as replication and the
 * append-only file do. test_redis_model drives the real functions on a real Redis and this with the
 * same sequences and compares answers and state. */
#ifndef DESG_SIM_REDIS_MODEL_H
#define DESG_SIM_REDIS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_EVENTS = 256,
    MODEL_SOURCES = 4,
    MODEL_VERDICT_BYTES = 48,
    MODEL_STREAM = 1024,
    MODEL_MINUTES = 32,
    MODEL_HISTORY_BYTES = 41
};

enum { MODEL_REAL, MODEL_UNCLASSIFIED };

struct model_event {
    bool is_known;
    bool is_quarantined;
    uint8_t severity;
    uint8_t certainty;
    uint8_t verdict_length;
    uint8_t alert_severity; /* of the alert's own record; 0: no alert */
    uint8_t verdict[MODEL_VERDICT_BYTES];
};

struct model_mark {
    uint64_t incarnation; /* 0: none */
    uint64_t sequence;
    uint64_t beat;
};

struct model_stream_entry {
    uint16_t event;
    bool is_digest;
};

struct model_state {
    struct model_event events[MODEL_EVENTS];
    struct model_mark marks[MODEL_SOURCES];
    struct model_stream_entry stream[MODEL_STREAM];
    size_t stream_length;
    struct {
        int64_t minute;
        uint32_t count;
    } rates[MODEL_MINUTES];
    uint64_t token; /* only the broken variant that keeps the history in a key uses it */
};

/* One event offered, as apply.c would send it. */
struct model_offer {
    uint16_t event;
    uint8_t severity;
    uint8_t certainty;
    bool is_work;
    bool has_order;
    bool breaks_function; /* the function fails on it */
    int64_t received_ms;
    uint8_t verdict_length;
    uint8_t verdict[MODEL_VERDICT_BYTES];
};

struct model_rules {
    uint32_t unclassified_per_minute;
    bool ignores_beat;    /* so too: nor the beat */
    bool ignores_history; /* broken on purpose: MARK does not compare the history */
};

struct model_outcome {
    char letter;      /* n d r p q, e: failed */
    bool has_verdict; /* the one that stands, as it is another than offered */
    size_t verdict_length;
    uint8_t verdict[MODEL_VERDICT_BYTES];
};

void model_apply(struct model_state *state, const struct model_rules *rules,
                 const struct model_offer *offer, struct model_outcome *out);
void model_quarantine(struct model_state *state, const struct model_rules *rules,
                      const struct model_offer *offer, struct model_outcome *out);

/* live: the history as the function reads it. */
bool model_mark(struct model_state *state, const struct model_rules *rules, size_t source,
                const char *live, const char *quoted, struct model_mark wanted,
                struct model_mark previous);

/* The first entry of event leaves the stream: notify has it. */
void model_acknowledge(struct model_state *state, uint16_t event);

#endif
