/* triage - the decision: event → verdict. Pure: no I/O, no clock, the same event gives the same
 * verdict under the same editions. Fails safe: whatever cannot be judged is SEVERITY_REVIEW, which
 * is treated as urgent. Only raises: nothing found lowers what else was found. Where a model
 * judges, rules are its evidence, and their severity stands from two fifths of the review threshold
 * on; that of a rule of weight 1 (certain) stands whatever the score, as does every rule's where no
 * model judges. Threads: a triage belongs to one thread at a time. */
#ifndef DESG_TRIAGE_TRIAGE_H
#define DESG_TRIAGE_TRIAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desg/v1/event.pb-c.h"
#include "desg/v1/verdict.pb-c.h"
#include "error/error.h"
#include "triage/model.h"
#include "triage/model_file.h"
#include "triage/rule_set.h"

enum {
    VERDICT_REASONS_MAX = 16,
    VERDICT_FLAGS_MAX = 10,
    VERDICT_SEVERITIES = 6,
    VERDICT_PACKED_MAX_BYTES = 4 << 10 /* 16 reasons, all names at their longest */
};

struct triage;

/* A verdict and what it points to. Its strings belong to the triage that made it. */
struct verdict {
    Desg__V1__Verdict message;
    Desg__V1__Reason reasons[VERDICT_REASONS_MAX];
    Desg__V1__Reason *reason_list[VERDICT_REASONS_MAX];
    Desg__V1__Flag flags[VERDICT_FLAGS_MAX];
};

/* From which score on an event is at least urgent, and from which a person looks at once. Of the
 * score that rules and model make together. 0: what the model was trained to. */
struct triage_thresholds {
    float urgent;
    float review;
};

struct triage_channel {
    char *name; /* as in Event.channel */
    struct triage_thresholds thresholds;
};

struct triage_options {
    const struct model *model; /* NULL: none. Borrowed */
    struct triage_thresholds thresholds;
    const struct triage_channel *channels; /* with thresholds of their own. Borrowed */
    size_t channel_count;
    /* The force's word for each severity (index: Desg__V1__Severity); NULL: the usual one. Borrowed
     */
    const char *grades[VERDICT_SEVERITIES];
};

/* Takes over *rules (also when it fails) and sets it to NULL. */
struct triage *triage_new(struct rule_set **rules, const struct triage_options *options,
                          struct error *err) MUST_USE;
void triage_destroy(struct triage **self_p);
const struct rule_set *triage_rules(const struct triage *self);

/* Judges with this model from now on instead of the one before. Takes over *file and sets it to
 * NULL. ERROR_SYSTEM: no memory; nothing changed. */
int triage_take_model(struct triage *self, struct model_file **file, struct error *err) MUST_USE;
/* Gives back what was taken over, for another triage to take, and judges without a model. NULL:
 * nothing was. */
struct model_file *triage_release_model(struct triage *self) MUST_USE;
/* What it judges with; NULL: none. */
const struct model *triage_model(const struct triage *self);

void triage_judge(struct triage *self, const Desg__V1__Event *event, struct verdict *out);

/* Whether events of this severity take the urgent lane and are alerted when route is away. */
bool triage_is_urgent_lane(Desg__V1__Severity severity);

#endif
