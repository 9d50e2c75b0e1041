/* triage_explain - one verdict in plain words: what was said, which words of the text it rests on,
 * and where the rules stand. */
#ifndef DESG_CLI_TRIAGE_EXPLAIN_H
#define DESG_CLI_TRIAGE_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/triage_edition.h"

/* A part of a text that a reason points to. */
struct triage_mark {
    size_t from;
    size_t to; /* behind its last byte */
};

enum { TRIAGE_MARKS_MAX = VERDICT_REASONS_MAX };

/* The parts reasons point to, in order, those that touch or overlap as one, none outside the text
 * or inside a letter. Returns how many. */
size_t triage_marks(const Desg__V1__Verdict *verdict, const char *text,
                    struct triage_mark out[static TRIAGE_MARKS_MAX]);

/* Writes text with its marked parts between before and behind into a new string, control characters
 * shown as '.'. */
char *triage_mark_text(const char *text, const struct triage_mark *marks, size_t count,
                       const char *before, const char *behind);

/* All of the verdict as JSON (help/triage.txt names the keys). */
json_t *triage_explain(const struct triage_edition *edition, const char *text,
                       const Desg__V1__Verdict *verdict, int64_t took_ns);

/* What triage_explain() made, for people. is_styled: marks by the terminal's styles instead of
 * brackets. */
void triage_explain_print(const json_t *explained, const char *text,
                          const Desg__V1__Verdict *verdict, bool is_styled);

#endif
