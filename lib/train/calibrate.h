/* calibrate - from scores of messages that were not trained on to likelihoods and thresholds. Pure.
 */
#ifndef DESG_TRAIN_CALIBRATE_H
#define DESG_TRAIN_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>

struct scored {
    float score;
    bool is_positive;
};

/* How often a positive one scores higher than a negative one; ties count half. Sorts. NaN without
 * one of both. */
double calibrate_auc(struct scored *scored, size_t count);

/* Fits scale and offset so that the logistic of scale * score + offset is the share of positives at
 * that score. */
struct calibration {
    double scale;
    double offset;
};
struct calibration calibrate_logistic(const struct scored *scored, size_t count);

/* The least score that at most share of the negatives reach; sorts. */
float calibrate_alarm_limit(struct scored *scored, size_t count, double share);

/* The least score from which on the share of positives among all above is at least precision;
 * sorts. */
float calibrate_precision_limit(struct scored *scored, size_t count, double precision);

/* The share of positives that reach a score. */
double calibrate_recall(const struct scored *scored, size_t count, float least);
/* The share of negatives that do. */
double calibrate_alarms(const struct scored *scored, size_t count, float least);
double calibrate_precision(const struct scored *scored, size_t count, float least);

#endif
