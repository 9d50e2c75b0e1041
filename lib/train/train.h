/* train - makes a model file from labelled messages: the same bytes for the same files and
 * settings, whatever the time or the machine's load. Rows that message_is_held_out() names are
 * never trained on, nor is any row of a set that may only be measured. Threads: none; it uses the C
 * library's rand() and so must be alone in its process meanwhile. */
#ifndef DESG_TRAIN_TRAIN_H
#define DESG_TRAIN_TRAIN_H

#include <stddef.h>
#include <stdio.h>

#include "error/error.h"
#include "train/settings.h"

struct train_options {
    const char *const *message_files; /* our own invented messages, written and expanded */
    size_t message_file_count;
    const char
        *sets_directory; /* help.jsonl, noise.jsonl, lid.jsonl, figurative.jsonl; NULL: none */
    const char *rules_directory; /* whose finds the model is told, as it will be when it judges;
                                    NULL: none */
    const char *date;            /* of the edition, such as 2026-11-22 */
    const char *out;             /* the model file */
    const struct train_settings *settings; /* NULL: the usual ones */
    FILE *report;                          /* figures while it trains; NULL: none */
};

/* ERROR_INVALID: a file that cannot be read or has a wrong line, or too few messages of a kind;
 * ERROR_SYSTEM: memory or disk. */
int train_model(const struct train_options *options, struct error *err) MUST_USE;

#endif
