/* phrase - the little language rules are written in (rules/README.md), turned into a regular
 * expression over normalised text. Pure. */
#ifndef DESG_TRIAGE_PHRASE_H
#define DESG_TRIAGE_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

#include "error/error.h"

enum { PHRASE_MAX_BYTES = 300, PHRASE_REGEX_BYTES = 8 << 10, PHRASE_PARTS_MAX = 8 };

/* Between the parts of a phrase with gaps, followed by the digit of how many words may lie between.
 */
#define PHRASE_PART_END '\n'

/* Writes the expression, NUL-terminated, to out: one, or, where there are gaps, one for each part
 * with PHRASE_PART_END and a digit between them. (Gaps inside an expression make it many times
 * larger for the pattern compiler.) Each expression starts and ends with the space around its
 * words. ERROR_CONFIG: not a phrase; the text says what stands where and what to write. */
int phrase_compile(const char *phrase, bool is_welsh, char out[static PHRASE_REGEX_BYTES],
                   struct error *err) MUST_USE;

#endif
