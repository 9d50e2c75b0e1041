/* evaluation - how good verdicts are, in figures with 95 % intervals. Pure and deterministic: the
 * same rows give the same figures. What cannot be said (a share of nothing) is NAN. */
#ifndef DESG_TRIAGE_EVALUATION_H
#define DESG_TRIAGE_EVALUATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error/error.h"

enum { EVALUATION_CLASSES_MAX = 64 };

struct evaluation_interval {
    double value;
    double low;
    double high;
};

/* So many of so many; Wilson's interval. hits may be broken where ties are shared out. */
struct evaluation_share {
    double hits;
    size_t of;
    struct evaluation_interval share;
};

struct evaluation_share evaluation_share(double hits, size_t of);

/* A message whose truth is known. */
struct evaluation_row {
    bool is_urgent;  /* the truth */
    bool is_flagged; /* what was said */
    double score;
};

struct evaluation_flags {
    size_t rows;
    size_t urgent;
    struct evaluation_share recall;
    struct evaluation_share precision;
    struct evaluation_share false_alarms; /* flagged, of those not urgent */
    struct evaluation_interval f1; /* Wilson's, for the share of hits in all but true calms */
};

void evaluation_flags(const struct evaluation_row *rows, size_t count,
                      struct evaluation_flags *out);

/* Area under the curve of the score, with DeLong's interval; NAN without urgent ones or others.
 * ERROR_SYSTEM: no memory. */
int evaluation_auc(const struct evaluation_row *rows, size_t count, struct evaluation_interval *out,
                   struct error *err) MUST_USE;

/* How many of the urgent stand among the share_flagged (0 to 1) with the highest scores. Of equal
 * scores at the edge, as many count as chance would give. */
int evaluation_recall_at(const struct evaluation_row *rows, size_t count, double share_flagged,
                         struct evaluation_share *out, struct error *err) MUST_USE;

/* What was the case and what was said; a said of class_count or more is no class. */
struct evaluation_pair {
    uint16_t truth;
    uint16_t said;
};

struct evaluation_class {
    size_t rows; /* whose truth it is */
    size_t said;
    size_t right;
    double precision;
    double recall;
    double f1; /* 0 where it is never right */
};

void evaluation_classes(const struct evaluation_pair *pairs, size_t count, size_t class_count,
                        struct evaluation_class *out);

/* Mean F1 of the classes that are the truth of some row; the interval from 1,000 draws of as many
 * rows, always the same. */
struct evaluation_interval evaluation_macro_f1(const struct evaluation_pair *pairs, size_t count,
                                               size_t class_count);

/* The value that a share of sorted[0..count) lies below or at; 0 of nothing. */
int64_t evaluation_quantile(const int64_t *sorted, size_t count, double share);

#endif
