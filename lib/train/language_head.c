#include <math.h>
#include <stdlib.h>

#include "train/heads.h"
#include "train/quantise.h"
#include "train/vectors.h"

enum { ALL_FOLDS = CORPUS_FOLDS, SURE_WORDS = 3, MIXED_WORDS_MIN = 6 };

/* How rarely a text of one language may be taken for both, and one or two words be told wrongly
 * though they are said to be sure. */
#define MIXED_MISTAKES 0.0002
#define SURE_MISTAKES  0.01

struct language_trainer {
    const struct head_task *task;
    struct solver_rows *rows;
    const struct corpus_row **messages;
    size_t count;
    struct solver_example *examples;
    int8_t *table;                  /* of the fold in turn */
    struct linear_language *scores; /* of every message, from weights that did not see it */
    float *sorted;
};

static void clear(struct language_trainer *self)
{
    solver_rows_destroy(&self->rows);
    free((void *)self->messages);
    free(self->examples);
    free(self->table);
    free(self->scores);
    free(self->sorted);
}

static bool is_one(const struct corpus_row *row)
{
    return row->language == DESG__V1__LANGUAGE__LANGUAGE_EN ||
           row->language == DESG__V1__LANGUAGE__LANGUAGE_CY;
}

/* The set made for telling languages, and our own messages; those of both languages are only
 * measured. */
static bool is_wanted(const struct corpus_row *row)
{
    bool is_labelled = row->language != DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
    bool is_kind = row->kind == CORPUS_LANGUAGE || row->kind == CORPUS_DESK;
    return is_labelled && is_kind && !row->is_held_out && row->words > 0;
}

static int prepare(struct language_trainer *self, struct error *err)
{
    const struct corpus *corpus = self->task->corpus;
    unsigned bits = self->task->settings->language_bits;
    self->messages = calloc(corpus->count + 1, sizeof(void *)); /* pointers to rows */
    self->examples = calloc(corpus->count + 1, sizeof *self->examples);
    self->scores = calloc(corpus->count + 1, sizeof *self->scores);
    self->sorted = calloc(corpus->count + 1, sizeof *self->sorted);
    self->table = calloc((size_t)1 << bits, 1);
    self->rows = solver_rows_new(bits, 0, err);
    if (!self->messages || !self->examples || !self->scores || !self->sorted || !self->table ||
        !self->rows)
        return error_set(err, ERROR_SYSTEM, "no memory to train");
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_row *row = &corpus->rows[i];
        if (!is_wanted(row))
            continue;
        self->messages[self->count++] = row;
        if (vectors_add_language(self->rows, bits, row->text, row->length, LINEAR_LANGUAGE_WORDS,
                                 err) != 0)
            return -1;
    }
    return solver_rows_favour_rare(self->rows, self->task->settings->language_rare, err);
}

static int train_without(struct language_trainer *self, unsigned left_out, struct linear_model *out,
                         int8_t *table, struct error *err)
{
    AUTO(solver_weights_clear) struct solver_weights weights = { 0 };
    unsigned bits = self->task->settings->language_bits;
    struct solver_costs costs = { self->task->settings->language_c, 1 };
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct corpus_row *row = self->messages[i];
        if (row->fold == left_out || !is_one(row))
            continue;
        bool is_welsh = row->language == DESG__V1__LANGUAGE__LANGUAGE_CY;
        self->examples[count++] = (struct solver_example){ (uint32_t)i, is_welsh, 1 };
    }
    if (solver_weights_init(&weights, self->rows, err) != 0 ||
        solver_train(self->rows, self->examples, count, &costs, &weights, err) != 0)
        return -1;
    quantise(&weights, bits, 1, 0, table, &out->language);
    out->language_bits = bits;
    out->language_weights = table;
    return 0;
}

static int cross_validate(struct language_trainer *self, struct error *err)
{
    struct linear_model model = { 0 };
    for (unsigned fold = 0; fold < CORPUS_FOLDS; fold++) {
        if (train_without(self, fold, &model, self->table, err) != 0)
            return -1;
        for (size_t i = 0; i < self->count; i++) {
            const struct corpus_row *row = self->messages[i];
            if (row->fold == fold)
                self->scores[i] = linear_model_language_scores(&model, row->text, row->length);
        }
    }
    return 0;
}

static int highest_first(const void *a, const void *b)
{
    float first = *(const float *)a;
    float second = *(const float *)b;
    return (first < second) - (first > second);
}

/* The value that at most share of count values reach. */
static float limit_of(float *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, highest_first);
    return nextafterf(values[(size_t)(share * (double)count)], INFINITY);
}

static float mixed_limit(struct language_trainer *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct linear_language *scores = &self->scores[i];
        if (is_one(self->messages[i]) && scores->words >= MIXED_WORDS_MIN)
            self->sorted[count++] = fminf(scores->most, -scores->least);
    }
    return limit_of(self->sorted, count, MIXED_MISTAKES);
}

static bool is_wrong(const struct corpus_row *row, const struct linear_language *scores)
{
    return (scores->score > 0) != (row->language == DESG__V1__LANGUAGE__LANGUAGE_CY);
}

static float sure_limit(struct language_trainer *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct linear_language *scores = &self->scores[i];
        if (is_one(self->messages[i]) && scores->words < SURE_WORDS)
            self->sorted[count++] = is_wrong(self->messages[i], scores) ? fabsf(scores->score) : -1;
    }
    return fmaxf(0, limit_of(self->sorted, count, SURE_MISTAKES));
}

static void report(const struct language_trainer *self, const struct linear_model *model)
{
    enum { LENGTHS = 7 };
    size_t all[LENGTHS + 1] = { 0 };
    size_t right[LENGTHS + 1] = { 0 };
    size_t both = 0;
    size_t told = 0;
    for (size_t i = 0; i < self->count; i++) {
        bool is_sure = false;
        const struct corpus_row *row = self->messages[i];
        Desg__V1__Language got = linear_model_language(model, &self->scores[i], &is_sure);
        if (!is_one(row)) {
            both++;
            told += got == row->language;
            continue;
        }
        size_t length = row->words < LENGTHS ? row->words : LENGTHS;
        all[length]++;
        right[length] += got == row->language;
    }
    for (size_t i = 1; i <= LENGTHS; i++)
        (void)fprintf(self->task->report, "language: %zu words: %.4f of %zu, cross-validated\n", i,
                      (double)right[i] / (double)all[i], all[i]);
    (void)fprintf(self->task->report,
                  "language: both: %zu of %zu; limits mixed %.3f sure %.3f unsure %.3f\n", told,
                  both, (double)model->language_mixed, (double)model->language_sure,
                  (double)model->language_unsure);
}

static int train_all(struct language_trainer *self, struct linear_model *out, int8_t **table,
                     struct error *err)
{
    static const float unsure = 0.1F;
    if (prepare(self, err) != 0 || cross_validate(self, err) != 0)
        return -1;
    out->language_unsure = unsure;
    out->language_mixed = mixed_limit(self);
    out->language_sure = sure_limit(self);
    report(self, out);
    *table = calloc((size_t)1 << self->task->settings->language_bits, 1);
    if (!*table)
        return error_set(err, ERROR_SYSTEM, "no memory for a table");
    return train_without(self, ALL_FOLDS, out, *table, err);
}

int language_head_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                        struct error *err)
{
    struct language_trainer self = { .task = task };
    int rc = train_all(&self, out, table, err);
    clear(&self);
    return rc;
}
