/* heads - trains each head of a linear model and puts it there. Each reports what cross-validation
 * says of it. A table is the caller's: free(). */
#ifndef DESG_TRAIN_HEADS_H
#define DESG_TRAIN_HEADS_H

#include "error/error.h"
#include "train/corpus.h"
#include "train/settings.h"
#include "triage/linear_model.h"

struct head_task {
    const struct corpus *corpus;
    const struct train_settings *settings;
    FILE *report; /* never NULL */
};

int urgent_head_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                      struct error *err) MUST_USE;
int topic_heads_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                      struct error *err) MUST_USE;
int language_head_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                        struct error *err) MUST_USE;

#endif
