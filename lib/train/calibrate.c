#include "train/calibrate.h"

#include <math.h>
#include <stdlib.h>

static int highest_first(const void *a, const void *b)
{
    const struct scored *first = a;
    const struct scored *second = b;
    if (first->score < second->score || first->score > second->score)
        return first->score < second->score ? 1 : -1;
    return (int)first->is_positive - (int)second->is_positive;
}

static void sort(struct scored *scored, size_t count)
{
    if (count > 0)
        qsort(scored, count, sizeof *scored, highest_first);
}

static size_t count_positive(const struct scored *scored, size_t count)
{
    size_t positive = 0;
    for (size_t i = 0; i < count; i++)
        positive += scored[i].is_positive;
    return positive;
}

double calibrate_auc(struct scored *scored, size_t count)
{
    double pairs = 0;
    double above = 0; /* positives with a higher score */
    size_t positive = count_positive(scored, count);
    sort(scored, count);
    for (size_t i = 0; i < count;) {
        double positives = 0;
        double negatives = 0;
        float score = scored[i].score;
        for (; i < count && !(scored[i].score < score); i++) {
            positives += scored[i].is_positive;
            negatives += !scored[i].is_positive;
        }
        pairs += negatives * (above + positives / 2);
        above += positives;
    }
    return pairs / ((double)positive * (double)(count - positive));
}

struct slope { /* of the loss, and its second derivatives */
    double by_scale;
    double by_offset;
    double scale_scale;
    double scale_offset;
    double offset_offset;
};

static struct slope slope_at(const struct scored *scored, size_t count, struct calibration at)
{
    static const double ridge = 1e-6;
    struct slope out = { .scale_scale = ridge, .offset_offset = ridge };
    for (size_t i = 0; i < count; i++) {
        double score = (double)scored[i].score;
        double likely = 1 / (1 + exp(-(at.scale * score + at.offset)));
        double error = likely - (double)scored[i].is_positive;
        double bend = likely * (1 - likely);
        out.by_scale += error * score;
        out.by_offset += error;
        out.scale_scale += bend * score * score;
        out.scale_offset += bend * score;
        out.offset_offset += bend;
    }
    return out;
}

struct calibration calibrate_logistic(const struct scored *scored, size_t count)
{
    enum { STEPS = 50 };
    struct calibration at = { 1, 0 };
    for (int i = 0; i < STEPS; i++) { /* Newton's way, each step held short */
        struct slope slope = slope_at(scored, count, at);
        double determinant =
            slope.scale_scale * slope.offset_offset - slope.scale_offset * slope.scale_offset;
        double by_scale =
            (slope.offset_offset * slope.by_scale - slope.scale_offset * slope.by_offset) /
            determinant;
        double by_offset =
            (slope.scale_scale * slope.by_offset - slope.scale_offset * slope.by_scale) /
            determinant;
        at.scale -= fmax(-1, fmin(1, by_scale));
        at.offset -= fmax(-1, fmin(1, by_offset));
    }
    at.scale = fmax(at.scale, 0.1); /* a higher score is never less likely */
    return at;
}

float calibrate_alarm_limit(struct scored *scored, size_t count, double share)
{
    size_t negatives = count - count_positive(scored, count);
    size_t allowed = (size_t)(share * (double)negatives);
    size_t seen = 0;
    sort(scored, count);
    for (size_t i = 0; i < count; i++) {
        seen += !scored[i].is_positive;
        if (seen > allowed)
            return nextafterf(scored[i].score, INFINITY);
    }
    return -INFINITY;
}

float calibrate_precision_limit(struct scored *scored, size_t count, double precision)
{
    float limit = INFINITY;
    double positives = 0;
    sort(scored, count);
    for (size_t i = 0; i < count; i++) {
        positives += scored[i].is_positive;
        if (positives >= precision * (double)(i + 1))
            limit = scored[i].score;
    }
    return limit;
}

double calibrate_recall(const struct scored *scored, size_t count, float least)
{
    size_t reached = 0;
    for (size_t i = 0; i < count; i++)
        reached += scored[i].is_positive && scored[i].score >= least;
    return (double)reached / (double)count_positive(scored, count);
}

double calibrate_alarms(const struct scored *scored, size_t count, float least)
{
    size_t reached = 0;
    for (size_t i = 0; i < count; i++)
        reached += !scored[i].is_positive && scored[i].score >= least;
    return (double)reached / (double)(count - count_positive(scored, count));
}

double calibrate_precision(const struct scored *scored, size_t count, float least)
{
    size_t positives = 0;
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += scored[i].score >= least;
        positives += scored[i].is_positive && scored[i].score >= least;
    }
    return (double)positives / (double)all;
}
