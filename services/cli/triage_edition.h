/* triage_edition - an edition of rules opened here, to judge single texts by it as classify would:
 * as a message with nothing else known of it. */
#ifndef DESG_CLI_TRIAGE_EDITION_H
#define DESG_CLI_TRIAGE_EDITION_H

#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "triage/triage.h"

struct triage_edition;

struct triage_edition_options {
    const char *rules_directory;
    const char *model;            /* NULL: none */
    const char *channel;          /* that texts are said to come by; NULL: none that is known */
    struct triage_options triage; /* copied; what it points to must last as long */
};

/* Loads and tests the rules of a directory and a model. ERROR_CONFIG: what is wrong with them. */
struct triage_edition *triage_edition_open(const struct triage_edition_options *options,
                                           struct error *err) MUST_USE;
/* The same from "RULES" or "RULES,MODEL". */
struct triage_edition *triage_edition_open_pair(const char *pair, struct error *err) MUST_USE;
void triage_edition_destroy(struct triage_edition **self_p);

/* Stores the verdict (until the next judgement) and, if took_ns is not NULL, how long it took. */
void triage_edition_judge(struct triage_edition *self, const char *text, struct verdict *out,
                          int64_t *took_ns);

/* The rule of that id; NULL: there is none, such as for triage's own reasons. */
const struct rule *triage_edition_rule(const struct triage_edition *self, const char *id);
const struct rule_set *triage_edition_rules(const struct triage_edition *self);

/* {"rules", "model"}: the editions' names; model null without one. */
json_t *triage_edition_describe(const struct triage_edition *self);

#endif
