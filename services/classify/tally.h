/* tally - what classify counts for Prometheus. Nothing is counted by category or restricted class,
 * so that no number tells of restricted work. Threads: any. */
#ifndef DESG_CLASSIFY_TALLY_H
#define DESG_CLASSIFY_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "desg/v1/packet.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"
#include "metrics/metrics.h"

struct tally;

struct tally *tally_new(struct metrics *metrics, struct error *err) MUST_USE;
void tally_destroy(struct tally **self_p);

/* One event was judged. */
void tally_verdict(struct tally *self, const char *channel, const Desg__V1__Verdict *verdict,
                   int64_t took_us);
void tally_refused(struct tally *self); /* cannot be decoded */
void tally_forwarded(struct tally *self, Desg__V1__Lane lane, size_t events);
void tally_no_route(struct tally *self, Desg__V1__Lane lane, size_t events);
void tally_unanswered(struct tally *self, Desg__V1__Lane lane, size_t events); /* by route */
void tally_held(struct tally *self, Desg__V1__Lane lane, size_t events);
void tally_alerts(struct tally *self, size_t alerts); /* asked of notify */
void tally_answer_lost(struct tally *self);           /* no ingest to pass it to */
/* The shadow edition would have said to where the one in use said from. */
void tally_shadow_judged(struct tally *self, Desg__V1__Severity from, Desg__V1__Severity to);
void tally_shadow_skipped(struct tally *self);
/* Which judges in the shadow now; "": none. One thread alone calls this and tally_shadow_judged. */
void tally_shadow_edition(struct tally *self, const char *rules, const char *model);
/* The word a severity is counted by. */
const char *tally_severity(int severity);
/* A new edition is in use. */
void tally_rules(struct tally *self, const char *edition, size_t rules);
void tally_model(struct tally *self, const char *edition); /* "": rules judge alone */
void tally_model_refused(struct tally *self);
void tally_reload_failed(struct tally *self);

#endif
