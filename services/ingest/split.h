/* split - one journalled delivery becomes events. Pure: the same bytes give the same events, at
 * each replica and replay. Never fails: what verifies but cannot be parsed is one UNREADABLE event,
 * an unknown kind an UNKNOWN one; both are seen by a person. What opens no work and tells the desk
 * nothing (delivery receipts, typing) is a counted non-event. Threads: a splitter is read-only
 * after it was made. */
#ifndef DESG_INGEST_SPLIT_H
#define DESG_INGEST_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "error/error.h"
#include "ids/ids.h"
#include "metrics/metrics.h"

struct splitter;
struct ingest_config;

struct splitter *splitter_new(const struct ingest_config *config, const struct id_key *key,
                              struct metrics *metrics, struct error *err) MUST_USE;
void splitter_destroy(struct splitter **self_p);

struct split_event {
    struct id id;
    Desg__V1__EventKind kind;
    const char *channel; /* facebook, … */
    const char *account;
    const uint8_t *bytes; /* serialised desg.v1.Event */
    size_t length;
};

struct split {
    struct split_event *events;
    size_t count;
    size_t non_events;      /* understood and counted, no event made */
    int64_t received_at_ms; /* when ingest took the delivery in, Unix time; 0: not known */
    const char *poison;     /* why it goes to quarantine unread; NULL: it does not */
    void *memory;           /* owns all of it */
};

/* record: a serialised desg.v1.Delivery as journalled. A record that is not even that gives one
 * UNREADABLE event. is_replay: counted apart, so that metrics of what came in are true. */
void splitter_split(const struct splitter *self, const uint8_t *record, size_t length,
                    bool is_replay, struct split *out);
void split_clear(struct split *split);

/* For a record whose journal entry is damaged: one UNREADABLE event naming sequence, so that a
 * person knows. */
void splitter_damaged(const struct splitter *self, const struct id *source, uint64_t sequence,
                      int64_t stored_at_ms, struct split *out);

/* For a record that ended ingest each time it was split: one UNREADABLE event with its start, not
 * parsed in any way, for quarantine. */
void splitter_set_aside(const struct splitter *self, const uint8_t *record, size_t length,
                        int64_t stored_at_ms, struct split *out);

#endif
