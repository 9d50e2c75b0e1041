/* triage_print - what desg triage says to people, on standard output. */
#ifndef DESG_CLI_TRIAGE_PRINT_H
#define DESG_CLI_TRIAGE_PRINT_H

#include <jansson.h>

/* A report of triage_measure.h, with the editions and counts of the command around it. */
void triage_print_report(const json_t *report);

/* Two reports side by side and what changed between them (triage_compare.h). */
void triage_print_comparison(const json_t *comparison);

#endif
