/* shadow - a second edition of rules and model that judges beside the one in use and only counts
 * where it would have judged otherwise. It changes no verdict and delays none: events are handed to
 * a thread of its own, which runs when the machine has nothing else to do; when that is behind they
 * are passed over and counted. Threads: any may call these functions. */
#ifndef DESG_CLASSIFY_SHADOW_H
#define DESG_CLASSIFY_SHADOW_H

#include <jansson.h>

#include "classify/tally.h"
#include "desg/v1/event.pb-c.h"
#include "error/error.h"
#include "triage/triage.h"

/* Events that wait at most, and how long one may be. */
enum { SHADOW_WAITING_MAX = 64, SHADOW_EVENT_MAX_BYTES = 64 << 10 };

struct shadow_options {
    const char *rules_directory; /* borrowed, as all here */
    const char *model;           /* NULL or "": none */
    struct triage_options triage;
    struct tally *tally;
};

struct shadow;

/* Starts the thread, which loads the edition and loads it again when its files change. An edition
 * that is no good is logged, and nothing is judged until it is mended. */
struct shadow *shadow_new(const struct shadow_options *options, struct error *err) MUST_USE;
void shadow_destroy(struct shadow **self_p);

/* Has the event judged some time. severity: what the edition in use said. Never waits. */
void shadow_offer(struct shadow *self, const Desg__V1__Event *event, Desg__V1__Severity severity);

/* Loads the edition anew. */
void shadow_reload(struct shadow *self);

/* {"state": loading, running or refused, "rules", "model", "judged", "skipped", "differences":
 * [{"from", "to", "events"}]}, counted since this edition was loaded. */
json_t *shadow_describe(struct shadow *self);

#endif
