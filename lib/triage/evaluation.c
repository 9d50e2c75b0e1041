#include "triage/evaluation.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 1000 };

#define NORMAL_95 1.959963984540054

static struct evaluation_interval nothing(void)
{
    return (struct evaluation_interval){ NAN, NAN, NAN };
}

static double clip(double value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

struct evaluation_share evaluation_share(double hits, size_t of)
{
    struct evaluation_share out = { .hits = hits, .of = of, .share = nothing() };
    if (of == 0)
        return out;
    double n = (double)of;
    double p = hits / n;
    double square = NORMAL_95 * NORMAL_95;
    double middle = (p + square / (2 * n)) / (1 + square / n);
    double reach = NORMAL_95 / (1 + square / n) * sqrt(p * (1 - p) / n + square / (4 * n * n));
    /* Rounding must not leave the value outside its own interval. */
    out.share.value = p;
    out.share.low = fmin(p, clip(middle - reach));
    out.share.high = fmax(p, clip(middle + reach));
    return out;
}

void evaluation_flags(const struct evaluation_row *rows, size_t count, struct evaluation_flags *out)
{
    size_t hits = 0;
    size_t false_alarms = 0;
    *out = (struct evaluation_flags){ .rows = count };
    for (size_t i = 0; i < count; i++) {
        out->urgent += rows[i].is_urgent;
        hits += rows[i].is_urgent && rows[i].is_flagged;
        false_alarms += !rows[i].is_urgent && rows[i].is_flagged;
    }
    out->recall = evaluation_share((double)hits, out->urgent);
    out->precision = evaluation_share((double)hits, hits + false_alarms);
    out->false_alarms = evaluation_share((double)false_alarms, count - out->urgent);
    /* F1 = 2 p / (1 + p), p the share of hits in hits, misses and false alarms: it grows with p, so
     * the ends of p's interval are those of F1's. */
    struct evaluation_interval p = evaluation_share((double)hits, out->urgent + false_alarms).share;
    out->f1 = (struct evaluation_interval){ 2 * p.value / (1 + p.value), 2 * p.low / (1 + p.low),
                                            2 * p.high / (1 + p.high) };
}

/* --- order --- */

struct placed {
    double score;
    double rank_all; /* mean place among all, from 1 */
    double rank_own; /* among those of the same truth */
    bool is_urgent;
};

static int by_score(const void *a, const void *b)
{
    double left = ((const struct placed *)a)->score;
    double right = ((const struct placed *)b)->score;
    return left < right ? -1 : left > right;
}

static bool is_tie(const struct placed *a, const struct placed *b)
{
    return by_score(a, b) == 0;
}

static void free_placed(struct placed **placed_p)
{
    free(*placed_p);
}

/* The rows by score, the lowest first. The caller frees it. */
static struct placed *place(const struct evaluation_row *rows, size_t count, struct error *err)
{
    struct placed *placed = calloc(count + 1, sizeof *placed);
    if (!placed) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to put %zu rows in order", count);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        placed[i] = (struct placed){ .score = rows[i].score, .is_urgent = rows[i].is_urgent };
    qsort(placed, count, sizeof *placed, by_score);
    return placed;
}

/* Where the rows of the same score as placed[from] end. */
static size_t end_of_tie(const struct placed *placed, size_t count, size_t from)
{
    size_t to = from + 1;
    while (to < count && is_tie(&placed[from], &placed[to]))
        to++;
    return to;
}

static void rank(struct placed *placed, size_t count)
{
    size_t before[2] = { 0, 0 };
    for (size_t from = 0, to = 0; from < count; from = to) {
        size_t own[2] = { 0, 0 };
        to = end_of_tie(placed, count, from);
        for (size_t i = from; i < to; i++)
            own[placed[i].is_urgent]++;
        for (size_t i = from; i < to; i++) {
            size_t kind = placed[i].is_urgent;
            placed[i].rank_all = (double)(from + to + 1) / 2;
            placed[i].rank_own = (double)before[kind] + ((double)own[kind] + 1) / 2;
        }
        before[0] += own[0];
        before[1] += own[1];
    }
}

/* DeLong, DeLong and Clarke-Pearson's variance by midranks (Sun and Xu 2014). */
static struct evaluation_interval delong(const struct placed *placed, size_t count, size_t urgent)
{
    double others = (double)(count - urgent);
    double counts[2] = { others, (double)urgent };
    double sum[2] = { 0, 0 };
    double squares[2] = { 0, 0 };
    for (size_t i = 0; i < count; i++) {
        bool kind = placed[i].is_urgent;
        double below = (placed[i].rank_all - placed[i].rank_own) / counts[!kind];
        double component = kind ? below : 1 - below;
        sum[kind] += component;
        squares[kind] += component * component;
    }
    double auc = sum[1] / counts[1];
    double variance = 0;
    for (int kind = 0; kind < 2; kind++) {
        double mean = sum[kind] / counts[kind];
        if (counts[kind] > 1)
            variance += fmax(0, squares[kind] - counts[kind] * mean * mean) / (counts[kind] - 1) /
                        counts[kind];
    }
    double reach = NORMAL_95 * sqrt(variance);
    return (struct evaluation_interval){ auc, clip(auc - reach), clip(auc + reach) };
}

static size_t count_urgent(const struct evaluation_row *rows, size_t count)
{
    size_t urgent = 0;
    for (size_t i = 0; i < count; i++)
        urgent += rows[i].is_urgent;
    return urgent;
}

int evaluation_auc(const struct evaluation_row *rows, size_t count, struct evaluation_interval *out,
                   struct error *err)
{
    size_t urgent = count_urgent(rows, count);
    if (urgent == 0 || urgent == count) {
        *out = nothing();
        return 0;
    }
    AUTO(free_placed) struct placed *placed = place(rows, count, err);
    if (!placed)
        return -1;
    rank(placed, count);
    *out = delong(placed, count, urgent);
    return 0;
}

int evaluation_recall_at(const struct evaluation_row *rows, size_t count, double share_flagged,
                         struct evaluation_share *out, struct error *err)
{
    assert(share_flagged >= 0 && share_flagged <= 1);
    AUTO(free_placed) struct placed *placed = place(rows, count, err);
    if (!placed)
        return -1;
    double room = floor(share_flagged * (double)count);
    double hits = 0;
    /* From the highest down, a tie at a time. */
    for (size_t to = count; to > 0 && room > 0;) {
        size_t from = to - 1;
        size_t urgent = placed[from].is_urgent;
        while (from > 0 && is_tie(&placed[from - 1], &placed[to - 1]))
            urgent += placed[--from].is_urgent;
        double tied = (double)(to - from);
        hits += (double)urgent * fmin(1, room / tied);
        room -= tied;
        to = from;
    }
    *out = evaluation_share(hits, count_urgent(rows, count));
    return 0;
}

/* --- classes --- */

static double f1_of(const struct evaluation_class *class)
{
    size_t sum = class->rows + class->said;
    return sum == 0 ? NAN : 2 * (double)class->right / (double)sum;
}

static void count_pair(struct evaluation_pair pair, size_t class_count,
                       struct evaluation_class *out)
{
    assert(pair.truth < class_count);
    out[pair.truth].rows++;
    if (pair.said >= class_count)
        return;
    out[pair.said].said++;
    out[pair.said].right += pair.said == pair.truth;
}

void evaluation_classes(const struct evaluation_pair *pairs, size_t count, size_t class_count,
                        struct evaluation_class *out)
{
    assert(class_count <= EVALUATION_CLASSES_MAX);
    memset(out, 0, class_count * sizeof *out);
    for (size_t i = 0; i < count; i++)
        count_pair(pairs[i], class_count, out);
    for (size_t i = 0; i < class_count; i++) {
        struct evaluation_class *class = &out[i];
        class->recall = class->rows ? (double)class->right / (double)class->rows : NAN;
        class->precision = class->said ? (double)class->right / (double)class->said : NAN;
        class->f1 = f1_of(class);
    }
}

static double mean_f1(const struct evaluation_class *classes, size_t class_count)
{
    double sum = 0;
    size_t true_classes = 0;
    for (size_t i = 0; i < class_count; i++) {
        if (classes[i].rows == 0)
            continue;
        sum += f1_of(&classes[i]);
        true_classes++;
    }
    return true_classes ? sum / (double)true_classes : NAN;
}

/* SplitMix64 (Steele, Lea and Flood): small, and good enough to draw rows with. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

struct evaluation_interval evaluation_macro_f1(const struct evaluation_pair *pairs, size_t count,
                                               size_t class_count)
{
    enum { LOWEST = 25, HIGHEST = 974 }; /* of 1,000 in order: the middle 95 % */
    struct evaluation_class classes[EVALUATION_CLASSES_MAX];
    double means[DRAWS];
    uint64_t state = 1;
    if (count == 0)
        return nothing();
    evaluation_classes(pairs, count, class_count, classes);
    double value = mean_f1(classes, class_count);
    for (size_t i = 0; i < DRAWS; i++) {
        memset(classes, 0, sizeof classes);
        for (size_t j = 0; j < count; j++)
            count_pair(pairs[draw(&state) % count], class_count, classes);
        means[i] = mean_f1(classes, class_count);
    }
    qsort(means, DRAWS, sizeof means[0], by_value);
    return (struct evaluation_interval){ value, fmin(value, means[LOWEST]),
                                         fmax(value, means[HIGHEST]) };
}

int64_t evaluation_quantile(const int64_t *sorted, size_t count, double share)
{
    if (count == 0)
        return 0;
    double place = ceil(share * (double)count);
    size_t index = place < 1 ? 0 : (size_t)place - 1;
    return sorted[index < count ? index : count - 1];
}
