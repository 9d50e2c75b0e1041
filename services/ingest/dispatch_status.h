/* dispatch_status - how the dispatcher stands, for /status, /drained and metrics: the dispatcher's
 * thread puts a snapshot in, any thread asks. */
#ifndef DESG_INGEST_DISPATCH_STATUS_H
#define DESG_INGEST_DISPATCH_STATUS_H

#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "ingest/custody.h"
#include "ingest/source_progress.h"
#include "metrics/metrics.h"

struct dispatch_status;

struct dispatch_status *dispatch_status_new(struct metrics *metrics, struct error *err) MUST_USE;
void dispatch_status_destroy(struct dispatch_status **self_p);

/* Exports the metrics and keeps the snapshot. Takes over workers and routes (links' JSON). */
void dispatch_status_put(struct dispatch_status *self, const struct custody_status *status,
                         const struct source_counts *counts, json_t *workers, json_t *routes);
void dispatch_status_get(struct dispatch_status *self, struct custody_status *out);
/* Adds "dispatch" to detail. */
void dispatch_status_describe(struct dispatch_status *self, json_t *detail);

/* Counted when they happen. */
void dispatch_status_damaged(struct dispatch_status *self, uint64_t records);
void dispatch_status_set_aside(struct dispatch_status *self);
void dispatch_status_not_sent(struct dispatch_status *self);

#endif
