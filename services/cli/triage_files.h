/* triage_files - files of labelled messages judged by one edition and measured, or by two and
 * compared: desg triage --eval and --compare. */
#ifndef DESG_CLI_TRIAGE_FILES_H
#define DESG_CLI_TRIAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/triage_edition.h"
#include "error/error.h"

struct triage_files {
    struct triage_edition *edition;     /* borrowed, as all here */
    struct triage_edition *new_edition; /* NULL: there is nothing to compare with */
    const char *by;                     /* triage_measure_new() */
    bool is_held_out_only;              /* the rows training never saw */
    FILE *verdicts;                     /* a line of JSON for each message, without text; NULL */
    FILE *progress;                     /* a line that says how far it is; NULL */
    FILE *complaints;                   /* bad lines, the first of them by name */
};

/* Reads all files. Returns the report, or with two editions the comparison (help/triage.txt).
 * ERROR_INVALID: a file cannot be read, or no line of all of them can be used. */
json_t *triage_files_measure(const struct triage_files *self, const char *const *paths,
                             size_t count, struct error *err) MUST_USE;

#endif
