/* solver - logistic regression on sparse rows, by liblinear (the only home of its header). The dual
 * coordinate solver: no BLAS, one thread, and its draws start from the same seed each time. */
#ifndef DESG_TRAIN_SOLVER_H
#define DESG_TRAIN_SOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

struct solver_entry {
    uint32_t slot;
    float value;
};

/* Rows over 1 << bits slots and so many more behind them, which favouring leaves alone. */
struct solver_rows;
struct solver_rows *solver_rows_new(unsigned bits, size_t more, struct error *err) MUST_USE;
void solver_rows_destroy(struct solver_rows **self_p);
/* Adds a row of entries sorted by slot, each slot once. Its number is the count of rows before. */
int solver_rows_add(struct solver_rows *self, const struct solver_entry *entries, size_t count,
                    struct error *err) MUST_USE;
/* Makes rare slots count more: by the power of the logarithm of how rare they are. Once, when all
 * rows are there. Weights and scores stay those of the rows as they were added. */
int solver_rows_favour_rare(struct solver_rows *self, double power, struct error *err) MUST_USE;
/* Takes slots out of all rows, so that their weights become 0: of those behind the hashed ones each
 * that is_silent names. */
void solver_rows_silence(struct solver_rows *self, const bool *is_silent);
size_t solver_rows_count(const struct solver_rows *self);

struct solver_example {
    uint32_t row;
    bool is_positive;
    unsigned times; /* it is taken so often */
};

struct solver_weights {
    float *by_slot; /* (1 << bits) + more */
    float bias;
};
int solver_weights_init(struct solver_weights *self, const struct solver_rows *rows,
                        struct error *err) MUST_USE;
void solver_weights_clear(struct solver_weights *self);

struct solver_costs {
    double c;
    double positive; /* a positive example's beside a negative one's */
};

/* ERROR_INVALID: no positive or no negative example. */
int solver_train(const struct solver_rows *rows, const struct solver_example *examples,
                 size_t count, const struct solver_costs *costs, struct solver_weights *out,
                 struct error *err) MUST_USE;

float solver_score(const struct solver_rows *rows, size_t row,
                   const struct solver_weights *weights);

/* Which solver and with which end, for the training record. */
const char *solver_name(void);

#endif
