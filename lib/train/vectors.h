/* vectors - rows for the solver from words (triage/features.h): counted, weighed, of length one,
 * just as linear_model.h judges. */
#ifndef DESG_TRAIN_VECTORS_H
#define DESG_TRAIN_VECTORS_H

#include <stddef.h>

#include "error/error.h"
#include "train/solver.h"
#include "triage/model.h"

/* Adds text[from..to) of a normalised text as a row; at most words_max of its words. Behind the
 * hashed slots stand the columns of what rules found. */
int vectors_add(struct solver_rows *rows, unsigned bits, const char *text, size_t from, size_t to,
                size_t words_max, const struct model_evidence *evidence,
                struct error *err) MUST_USE;

/* The same with the features that tell languages apart; words without letters are left out. */
int vectors_add_language(struct solver_rows *rows, unsigned bits, const char *text, size_t length,
                         size_t words_max, struct error *err) MUST_USE;

/* A window of a text: see linear_model.h. */
struct text_window {
    size_t from;
    size_t to;
};

/* Finds the windows of a text that the judge looks at, at most so many; returns how many. */
size_t vectors_windows(const char *text, size_t length, struct text_window *out, size_t most);

#endif
