#include <math.h>
#include <stdlib.h>

#include "train/calibrate.h"
#include "train/heads.h"
#include "train/quantise.h"
#include "train/vectors.h"

enum { ALL_FOLDS = CORPUS_FOLDS, RESTRICTED_COLUMNS = 2 };

/* A likelihood from which on the model rather than a rule names the category. */
#define CATEGORY_SURE   0.2F
#define RECALL_TIMES    4
#define LEAST_PRECISION 0.5

struct topic_trainer {
    const struct head_task *task;
    struct solver_rows *rows;            /* for the categories */
    struct solver_rows *restricted_rows; /* of the same texts, otherwise weighed */
    const struct corpus_row **messages;  /* one row each */
    size_t count;
    size_t columns;
    struct solver_example *examples;
    float *scores; /* by message and column, from weights that did not see it */
    struct scored *scored;
};

static void clear(struct topic_trainer *self)
{
    solver_rows_destroy(&self->rows);
    solver_rows_destroy(&self->restricted_rows);
    free((void *)self->messages);
    free(self->examples);
    free(self->scores);
    free(self->scored);
}

/* Other sets' rows teach what is not restricted, and nothing of categories. */
static bool is_wanted(const struct corpus_row *row)
{
    return row->kind == CORPUS_DESK || (row->kind <= CORPUS_NOISE && !row->is_held_out);
}

static int add_text(const struct topic_trainer *self, struct solver_rows *rows,
                    const struct corpus_row *row, struct error *err)
{
    return vectors_add(rows, self->task->settings->topic_bits, row->text, 0, row->length,
                       LINEAR_TOPIC_WORDS, &row->evidence, err);
}

static int prepare(struct topic_trainer *self, struct error *err)
{
    const struct corpus *corpus = self->task->corpus;
    unsigned bits = self->task->settings->topic_bits;
    self->columns = corpus->category_count + RESTRICTED_COLUMNS;
    self->messages = calloc(corpus->count + 1, sizeof(void *)); /* pointers to rows */
    self->examples = calloc(corpus->count + 1, sizeof *self->examples);
    self->scored = calloc(corpus->count + 1, sizeof *self->scored);
    self->scores = calloc((corpus->count + 1) * self->columns, sizeof *self->scores);
    self->rows = solver_rows_new(bits, LINEAR_RULE_COLUMNS, err);
    self->restricted_rows = solver_rows_new(bits, LINEAR_RULE_COLUMNS, err);
    if (!self->messages || !self->examples || !self->scored || !self->scores || !self->rows ||
        !self->restricted_rows)
        return error_set(err, ERROR_SYSTEM, "no memory to train");
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_row *row = &corpus->rows[i];
        if (!is_wanted(row))
            continue;
        self->messages[self->count++] = row;
        if (add_text(self, self->rows, row, err) != 0 ||
            add_text(self, self->restricted_rows, row, err) != 0)
            return -1;
    }
    if (solver_rows_favour_rare(self->rows, self->task->settings->topic_rare, err) != 0)
        return -1;
    return solver_rows_favour_rare(self->restricted_rows, self->task->settings->restricted_rare,
                                   err);
}

static bool is_of(const struct topic_trainer *self, const struct corpus_row *row, size_t column)
{
    size_t categories = self->task->corpus->category_count;
    if (column == categories)
        return row->is_sexual_offence;
    if (column == categories + 1)
        return row->is_intelligence;
    return row->category == (int)column;
}

static bool is_restricted_column(const struct topic_trainer *self, size_t column)
{
    return column >= self->task->corpus->category_count;
}

static const struct solver_rows *rows_for(const struct topic_trainer *self, size_t column)
{
    return is_restricted_column(self, column) ? self->restricted_rows : self->rows;
}

static bool teaches(const struct topic_trainer *self, const struct corpus_row *row, size_t column)
{
    return row->kind == CORPUS_DESK || is_restricted_column(self, column);
}

static int train_without(struct topic_trainer *self, unsigned left_out, size_t column,
                         struct solver_weights *weights, struct error *err)
{
    const struct train_settings *settings = self->task->settings;
    bool is_restricted = is_restricted_column(self, column);
    struct solver_costs costs = { is_restricted ? settings->restricted_c : settings->topic_c,
                                  is_restricted ? settings->restricted_positive
                                                : settings->topic_positive };
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct corpus_row *row = self->messages[i];
        if (row->fold != left_out && teaches(self, row, column))
            self->examples[count++] =
                (struct solver_example){ (uint32_t)i, is_of(self, row, column), 1 };
    }
    return solver_train(rows_for(self, column), self->examples, count, &costs, weights, err);
}

static int cross_validate(struct topic_trainer *self, size_t column, struct solver_weights *weights,
                          struct error *err)
{
    for (unsigned fold = 0; fold < CORPUS_FOLDS; fold++) {
        if (train_without(self, fold, column, weights, err) != 0)
            return -1;
        for (size_t i = 0; i < self->count; i++) {
            if (self->messages[i]->fold == fold)
                self->scores[i * self->columns + column] =
                    solver_score(rows_for(self, column), i, weights);
        }
    }
    return 0;
}

static size_t take_scored(struct topic_trainer *self, size_t column)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (teaches(self, self->messages[i], column))
            self->scored[count++] = (struct scored){ self->scores[i * self->columns + column],
                                                     is_of(self, self->messages[i], column) };
    }
    return count;
}

static float logistic(float score)
{
    return 1 / (1 + expf(-score));
}

static void apply(const struct calibration *calibration, struct linear_head *head)
{
    head->scale *= (float)calibration->scale;
    head->bias = (float)(calibration->scale * (double)head->bias + calibration->offset);
}

/* The likelihood with the highest F-measure, of both classes together, in which what is missed
 * counts RECALL_TIMES as much as what is restricted by mistake and so hidden from most of the desk;
 * but at least LEAST_PRECISION of what is restricted is so by right. Of our own messages only those
 * of writers who did not know the rules count. */
static void choose_restricted(struct topic_trainer *self, struct linear_model *out)
{
    size_t categories = self->task->corpus->category_count;
    double best = -1;
    out->thresholds.restricted = 1;
    for (int percent = 1; percent < 100; percent++) {
        float least = (float)percent / 100;
        double found = 0;
        double missed = 0;
        double wrong = 0;
        for (size_t i = 0; i < self->count; i++) {
            const struct corpus_row *row = self->messages[i];
            if (row->kind == CORPUS_DESK && !row->is_foreign_to_rules)
                continue;
            for (size_t column = categories; column < self->columns; column++) {
                bool is_said = logistic(self->scores[i * self->columns + column]) >= least;
                bool is_so = is_of(self, row, column);
                found += is_said && is_so;
                missed += !is_said && is_so;
                wrong += is_said && !is_so;
            }
        }
        double all = (1 + RECALL_TIMES) * found + RECALL_TIMES * missed + wrong;
        double measure = (1 + RECALL_TIMES) * found / all;
        if (measure <= best || found < LEAST_PRECISION * (found + wrong))
            continue;
        best = measure;
        out->thresholds.restricted = least;
        (void)fprintf(self->task->report,
                      "restricted: threshold %.2f recall %.3f precision %.3f F2 %.3f, "
                      "cross-validated\n",
                      (double)least, found / (found + missed), found / (found + wrong), best);
    }
}

static int train_column(struct topic_trainer *self, size_t column, struct solver_weights *weights,
                        struct linear_model *out, int8_t *table, struct error *err)
{
    unsigned bits = self->task->settings->topic_bits;
    if (cross_validate(self, column, weights, err) != 0)
        return -1;
    size_t count = take_scored(self, column);
    struct calibration calibration = calibrate_logistic(self->scored, count);
    if (train_without(self, ALL_FOLDS, column, weights, err) != 0)
        return -1;
    quantise(weights, bits, LINEAR_TOPIC_COLUMNS, column, table, &out->topics[column]);
    apply(&calibration, &out->topics[column]);
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++)
        out->topic_rules[i][column] =
            (float)calibration.scale * weights->by_slot[((size_t)1 << bits) + i];
    for (size_t i = 0; i < self->count; i++) {
        float *score = &self->scores[i * self->columns + column];
        *score = (float)(calibration.scale * (double)*score + calibration.offset);
    }
    return 0;
}

static size_t best_category(const struct topic_trainer *self, size_t message)
{
    const float *scores = self->scores + message * self->columns;
    size_t best = 0;
    for (size_t i = 1; i < self->task->corpus->category_count; i++) {
        if (scores[i] > scores[best])
            best = i;
    }
    return best;
}

static void report_categories(const struct topic_trainer *self)
{
    size_t right[LINEAR_CATEGORIES_MAX] = { 0 };
    size_t said[LINEAR_CATEGORIES_MAX] = { 0 };
    size_t are[LINEAR_CATEGORIES_MAX] = { 0 };
    double sum = 0;
    size_t categories = self->task->corpus->category_count;
    for (size_t i = 0; i < self->count; i++) {
        if (self->messages[i]->category < 0 || !self->messages[i]->is_foreign_to_rules)
            continue;
        size_t truth = (size_t)self->messages[i]->category;
        size_t best = best_category(self, i);
        are[truth]++;
        said[best]++;
        right[truth] += truth == best;
    }
    for (size_t i = 0; i < categories; i++) {
        size_t both = are[i] + said[i];
        double f1 = both == 0 ? 0 : 2 * (double)right[i] / (double)both;
        sum += f1;
        (void)fprintf(self->task->report, "category %-22s rows %4zu F1 %.3f\n",
                      self->task->corpus->categories[i], are[i], f1);
    }
    (void)fprintf(self->task->report, "category macro F1 %.4f, cross-validated\n",
                  sum / (double)categories);
}

static int train_all(struct topic_trainer *self, struct solver_weights *weights,
                     struct linear_model *out, int8_t **table, struct error *err)
{
    unsigned bits = self->task->settings->topic_bits;
    if (prepare(self, err) != 0 || solver_weights_init(weights, self->rows, err) != 0)
        return -1;
    *table = calloc((size_t)LINEAR_TOPIC_COLUMNS << bits, 1);
    if (!*table)
        return error_set(err, ERROR_SYSTEM, "no memory for a table");
    out->topic_bits = bits;
    out->topic_weights = *table;
    out->thresholds.category = CATEGORY_SURE;
    for (size_t i = 0; i < self->columns; i++) {
        if (train_column(self, i, weights, out, *table, err) != 0)
            return -1;
    }
    choose_restricted(self, out);
    report_categories(self);
    return 0;
}

int topic_heads_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                      struct error *err)
{
    struct topic_trainer self = { .task = task };
    struct solver_weights weights = { 0 };
    int rc = train_all(&self, &weights, out, table, err);
    solver_weights_clear(&weights);
    clear(&self);
    return rc;
}
