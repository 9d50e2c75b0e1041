/* triage_measure - verdicts held against labelled messages, as one report: what desg triage --eval
 * prints. It keeps labels, verdicts and times, never a text. */
#ifndef DESG_CLI_TRIAGE_MEASURE_H
#define DESG_CLI_TRIAGE_MEASURE_H

#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "triage/message_file.h"
#include "triage/triage.h"

enum { TRIAGE_MEASURE_BY_MAX = 8, TRIAGE_MEASURE_NAME_BYTES = 32 };

struct triage_measure;

/* by: members to tell apart by, joined by commas, such as "source,lang,category,genre". rules:
 * whose categories are ours beside the desk's own. ERROR_INVALID: a name that is none. */
struct triage_measure *triage_measure_new(const char *by, const struct rule_set *rules,
                                          struct error *err) MUST_USE;
void triage_measure_destroy(struct triage_measure **self_p);

/* Takes note of one judgement. */
int triage_measure_add(struct triage_measure *self, const struct labelled_message *message,
                       const Desg__V1__Verdict *verdict, int64_t took_ns,
                       struct error *err) MUST_USE;

size_t triage_measure_rows(const struct triage_measure *self);

/* The report (help/triage.txt names its keys), or NULL: ERROR_SYSTEM. */
json_t *triage_measure_report(const struct triage_measure *self, struct error *err) MUST_USE;

#endif
