/* quantise - weights as whole numbers of 8 bits. */
#ifndef DESG_TRAIN_QUANTISE_H
#define DESG_TRAIN_QUANTISE_H

#include "train/solver.h"
#include "triage/linear_model.h"

/* Puts every weight into table[slot * stride + column]; the head then gives the same scores but for
 * rounding. */
void quantise(const struct solver_weights *weights, unsigned bits, size_t stride, size_t column,
              int8_t *table, struct linear_head *head);

#endif
