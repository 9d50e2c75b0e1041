/* settings - what can be turned when training. The usual values were chosen by cross-validation on
 * training rows; all stand in the model's training record. */
#ifndef DESG_TRAIN_SETTINGS_H
#define DESG_TRAIN_SETTINGS_H

#include <stddef.h>

#include "error/error.h"

struct train_settings {
    unsigned urgent_bits; /* tables of 1 << bits entries */
    unsigned topic_bits;
    unsigned language_bits;
    double urgent_c; /* what an error costs beside the weights' size */
    double topic_c;
    double restricted_c;
    double language_c;
    double urgent_rare; /* how much rare features are favoured: a power, 0 not at all */
    double topic_rare;
    double restricted_rare;
    double language_rare;
    double topic_positive;      /* what a missed message of a category costs beside a wrong one */
    double urgent_positive;     /* what a missed urgent one costs beside a false alarm */
    double restricted_positive; /* the same of restricted ones */
    unsigned desk_times;        /* how often each row of a kind is taken */
    unsigned template_times;    /* our own that a template made */
    unsigned direct_times;
    unsigned help_times;
    unsigned chat_times;
    unsigned welsh_times; /* sentences in which nothing happens */
    unsigned noise_times; /* all else in which nothing does */
    double chat_alarms; /* false alarms the review threshold may give, as shares of cross-validated
                           training rows: */
    double bank_alarms;
    double welsh_alarms;
    double desk_alarms;
    double urgent_precision; /* what the urgent threshold must keep */
};

extern const struct train_settings train_settings_usual;

/* Sets one by "name=value". ERROR_INVALID: no such name, or no such number. */
int train_settings_set(struct train_settings *self, const char *assignment,
                       struct error *err) MUST_USE;

/* The name of a setting and its value, by number; NULL after the last. */
const char *train_settings_name(size_t index);
double train_settings_value(const struct train_settings *self, size_t index);

#endif
