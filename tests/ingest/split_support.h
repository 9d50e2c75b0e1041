/* split_support - splits a body as ingest would and tells what came out in one line per event, so
 * that tests are tables of bodies and lines. Invented data only. */
#ifndef DESG_TESTS_INGEST_SPLIT_SUPPORT_H
#define DESG_TESTS_INGEST_SPLIT_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "ingest/split.h"

#define SPLIT_RECEIVED_AT_MS INT64_C(1770833999000)

/* What a delivery told: decoded events. */
struct told {
    struct split split;
    Desg__V1__Event **events;
    size_t count;
};

struct told tell(const char *adapter, const char *body);
/* delivery's body, adapter and so on as set; received_at_ms is filled in. */
struct told tell_delivery(Desg__V1__Delivery *delivery);
struct told tell_bytes(const char *adapter, const void *body, size_t length);
void told_clear(struct told *told);

/* One line per event: "kind channel/account", then what is not empty; last "skipped N" if N > 0.
 * The caller frees it. */
char *told_lines(const struct told *told);

struct split_case {
    const char *name;
    const char *body;
    const char *lines;
};
/* Fails the test naming the case whose lines differ. */
void assert_splits(const char *adapter, const struct split_case *cases, size_t count);

/* The counter's value after everything split so far. */
uint64_t split_counter(const char *name, const char *labels);

#endif
