/* rule_examples - rules tested by the examples they carry: each `match` must make its rule count,
 * each `no_match` must not. */
#ifndef DESG_TRIAGE_RULE_EXAMPLES_H
#define DESG_TRIAGE_RULE_EXAMPLES_H

#include "triage/rule_edition.h"
#include "triage/rule_set.h"

/* Tests all. complain may be NULL: the first failure ends it; otherwise each failure is told.
 * Returns 0, or -1 with ERROR_CONFIG and the last failure: file, line, rule and the example. */
int rule_examples_test(const struct rule_set *set, const struct rule_edition *edition,
                       rule_complaint *complain, void *arg, struct error *err) MUST_USE;

#endif
