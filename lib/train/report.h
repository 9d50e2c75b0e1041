/* report - how a finished model does on rows that were never trained on: the model alone, without
 * rules. */
#ifndef DESG_TRAIN_REPORT_H
#define DESG_TRAIN_REPORT_H

#include <stdio.h>

#include "error/error.h"
#include "train/corpus.h"
#include "triage/linear_model.h"

int report_held_out(const struct corpus *corpus, const struct linear_model *model, FILE *out,
                    struct error *err) MUST_USE;

#endif
