#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/calibrate.h"
#include "train/heads.h"
#include "train/quantise.h"
#include "train/vectors.h"

enum { WINDOWS_MAX = 96, TAUGHT_MAX = 4, ROUNDS = 2, ALL_FOLDS = CORPUS_FOLDS };

struct message { /* and its windows among the rows */
    const struct corpus_row *row;
    uint32_t first;
    uint32_t count;
    uint32_t worst;              /* window: what a long urgent one is taken by */
    uint32_t taught[TAUGHT_MAX]; /* windows: what one that is not urgent is taken by */
    uint32_t taught_count;
    float score; /* by weights that did not see it */
};

struct urgent_trainer {
    const struct head_task *task;
    struct solver_rows *rows;
    struct message *messages;
    size_t count;
    struct solver_example *examples; /* room for all that is taught */
    struct scored *scored;           /* room for one each message */
};

static void clear(struct urgent_trainer *self)
{
    solver_rows_destroy(&self->rows);
    free(self->messages);
    free(self->examples);
    free(self->scored);
}

static int add_message(struct urgent_trainer *self, const struct corpus_row *row, struct error *err)
{
    struct text_window windows[WINDOWS_MAX];
    size_t count = vectors_windows(row->text, row->length, windows, WINDOWS_MAX);
    struct message *message = &self->messages[self->count];
    message->row = row;
    message->first = message->worst = (uint32_t)solver_rows_count(self->rows);
    message->count = (uint32_t)count;
    message->taught[message->taught_count++] = message->first;
    for (size_t i = 0; i < count; i++) {
        if (vectors_add(self->rows, self->task->settings->urgent_bits, row->text, windows[i].from,
                        windows[i].to, SIZE_MAX, &row->evidence, err) != 0)
            return -1;
    }
    self->count += count > 0;
    return 0;
}

static int prepare(struct urgent_trainer *self, struct error *err)
{
    const struct corpus *corpus = self->task->corpus;
    self->messages = calloc(corpus->count, sizeof *self->messages);
    self->scored = calloc(corpus->count, sizeof *self->scored);
    self->rows = solver_rows_new(self->task->settings->urgent_bits, LINEAR_RULE_COLUMNS, err);
    if (!self->messages || !self->scored || !self->rows)
        return error_set(err, ERROR_SYSTEM, "no memory to train");
    for (size_t i = 0; i < corpus->count; i++) {
        if (corpus_row_teaches_urgent(&corpus->rows[i]) &&
            add_message(self, &corpus->rows[i], err) != 0)
            return -1;
    }
    self->examples = calloc(TAUGHT_MAX * self->count + 1, sizeof *self->examples);
    if (!self->examples)
        return error_set(err, ERROR_SYSTEM, "no memory to train");
    return solver_rows_favour_rare(self->rows, self->task->settings->urgent_rare, err);
}

static unsigned times_of(const struct train_settings *settings, const struct corpus_row *row)
{
    switch (row->kind) {
    case CORPUS_DESK:
        return strcmp(row->source, "desk-template") == 0 ? settings->template_times
                                                         : settings->desk_times;
    case CORPUS_DIRECT:
        return settings->direct_times;
    case CORPUS_HELP:
        return settings->help_times;
    case CORPUS_CHAT:
        return settings->chat_times;
    case CORPUS_WELSH:
        return settings->welsh_times;
    default:
        return settings->noise_times;
    }
}

/* Of an urgent message its worst window, of others those that were the worst at some time. */
static size_t lay_out_examples(struct urgent_trainer *self, unsigned left_out)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct message *message = &self->messages[i];
        unsigned times = times_of(self->task->settings, message->row);
        if (message->row->fold == left_out || times == 0)
            continue;
        if (message->row->urgent == CORPUS_YES) {
            self->examples[count++] = (struct solver_example){ message->worst, true, times };
            continue;
        }
        for (uint32_t n = 0; n < message->taught_count; n++)
            self->examples[count++] = (struct solver_example){ message->taught[n], false, times };
    }
    return count;
}

/* Finds each message's worst window; scores those of one fold, or all. */
static void score(struct urgent_trainer *self, const struct solver_weights *weights, unsigned fold)
{
    for (size_t i = 0; i < self->count; i++) {
        struct message *message = &self->messages[i];
        if (fold != ALL_FOLDS && message->row->fold != fold)
            continue;
        for (uint32_t n = 0; n < message->count; n++) {
            float got = solver_score(self->rows, message->first + n, weights);
            if (n > 0 && got <= message->score)
                continue;
            message->score = got;
            message->worst = message->first + n;
        }
    }
}

static void teach_worst(struct message *message)
{
    for (uint32_t n = 0; n < message->taught_count; n++) {
        if (message->taught[n] == message->worst)
            return;
    }
    if (message->taught_count < TAUGHT_MAX)
        message->taught[message->taught_count++] = message->worst;
}

/* A rule only raises: kinds of finds that would lower take no part. */
static void silence_what_lowers(struct urgent_trainer *self, const struct solver_weights *weights)
{
    size_t first = (size_t)1 << self->task->settings->urgent_bits;
    bool is_silent[LINEAR_RULE_COLUMNS];
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++)
        is_silent[i] = weights->by_slot[first + i] <= 0;
    solver_rows_silence(self->rows, is_silent);
}

static int train_without(struct urgent_trainer *self, unsigned left_out,
                         struct solver_weights *weights, struct error *err)
{
    const struct train_settings *settings = self->task->settings;
    struct solver_costs costs = { settings->urgent_c, settings->urgent_positive };
    size_t count = lay_out_examples(self, left_out);
    return solver_train(self->rows, self->examples, count, &costs, weights, err);
}

/* Of our own only what was written without the rules in view: the like of what comes. */
static size_t take_scored(struct urgent_trainer *self, enum corpus_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct message *message = &self->messages[i];
        bool is_easy = kind == CORPUS_DESK && !message->row->is_foreign_to_rules;
        if (message->row->kind == kind && !is_easy)
            self->scored[count++] =
                (struct scored){ message->score, message->row->urgent == CORPUS_YES };
    }
    return count;
}

/* All but other people's disasters: what a desk gets. */
static size_t take_desk_like(struct urgent_trainer *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct message *message = &self->messages[i];
        if (message->row->kind != CORPUS_HELP &&
            (message->row->kind != CORPUS_DESK || message->row->is_foreign_to_rules))
            self->scored[count++] =
                (struct scored){ message->score, message->row->urgent == CORPUS_YES };
    }
    return count;
}

static float review_limit(struct urgent_trainer *self)
{
    const struct train_settings *settings = self->task->settings;
    const struct {
        enum corpus_kind kind;
        double share;
    } limits[] = {
        { CORPUS_CHAT, settings->chat_alarms },
        { CORPUS_BANK, settings->bank_alarms },
        { CORPUS_WELSH, settings->welsh_alarms },
        { CORPUS_DESK, settings->desk_alarms },
    };
    float limit = -INFINITY;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        size_t count = take_scored(self, limits[i].kind);
        float own = calibrate_alarm_limit(self->scored, count, limits[i].share);
        (void)fprintf(self->task->report, "urgent: limit by kind %d: %.3f\n", (int)limits[i].kind,
                      (double)own);
        limit = fmaxf(limit, own);
    }
    return limit;
}

static void report_kinds(struct urgent_trainer *self, const char *name, float limit)
{
    static const char *const names[CORPUS_KINDS] = { "desk",  "direct",   "help",
                                                     "chat",  "bank",     "welsh",
                                                     "noise", "language", "figurative" };
    for (enum corpus_kind kind = 0; kind < CORPUS_LANGUAGE; kind++) {
        size_t count = take_scored(self, kind);
        (void)fprintf(self->task->report,
                      "%s: %-6s rows %5zu auc %.4f recall %.3f precision %.3f alarms %.4f\n", name,
                      names[kind], count, calibrate_auc(self->scored, count),
                      calibrate_recall(self->scored, count, limit),
                      calibrate_precision(self->scored, count, limit),
                      calibrate_alarms(self->scored, count, limit));
    }
}

static float likelihood(struct calibration calibration, float score)
{
    double likely = 1 / (1 + exp(-(calibration.scale * (double)score + calibration.offset)));
    return (float)fmax(0, fmin(1, likely));
}

/* By the scores of cross-validation. */
static struct calibration choose_thresholds(struct urgent_trainer *self, struct linear_model *out)
{
    size_t count = take_desk_like(self);
    struct calibration calibration = calibrate_logistic(self->scored, count);
    float urgent =
        calibrate_precision_limit(self->scored, count, self->task->settings->urgent_precision);
    float review = review_limit(self);
    urgent = fmaxf(urgent, review);
    out->thresholds.review = likelihood(calibration, review);
    out->thresholds.urgent = likelihood(calibration, urgent);
    (void)fprintf(self->task->report,
                  "urgent: scale %.3f offset %.3f review %.4f urgent %.4f (scores %.3f %.3f)\n",
                  calibration.scale, calibration.offset, (double)out->thresholds.review,
                  (double)out->thresholds.urgent, (double)review, (double)urgent);
    report_kinds(self, "cross-validated, review", review);
    report_kinds(self, "cross-validated, urgent", urgent);
    return calibration;
}

static int train_all(struct urgent_trainer *self, struct linear_model *out, int8_t *table,
                     struct solver_weights *weights, struct error *err)
{
    /* First on first windows, to learn which window of a long message is the urgent one. */
    for (int round = 0; round < ROUNDS; round++) {
        if (train_without(self, ALL_FOLDS, weights, err) != 0)
            return -1;
        silence_what_lowers(self, weights);
        score(self, weights, ALL_FOLDS);
        for (size_t i = 0; i < self->count; i++)
            teach_worst(&self->messages[i]);
    }
    for (unsigned fold = 0; fold < CORPUS_FOLDS; fold++) {
        if (train_without(self, fold, weights, err) != 0)
            return -1;
        score(self, weights, fold);
    }
    if (take_scored(self, CORPUS_DESK) == 0)
        return error_set(err, ERROR_INVALID,
                         "no messages of writers who did not know the rules: limits are chosen by "
                         "theirs (any source but desk-hand and desk-template)");
    struct calibration calibration = choose_thresholds(self, out);
    if (train_without(self, ALL_FOLDS, weights, err) != 0)
        return -1;
    quantise(weights, self->task->settings->urgent_bits, 1, 0, table, &out->urgent);
    for (size_t i = 0; i < LINEAR_RULE_COLUMNS; i++) {
        float weight = weights->by_slot[((size_t)1 << out->urgent_bits) + i];
        out->urgent_rules[i] = fmaxf(0, (float)calibration.scale * weight);
    }
    out->urgent.scale *= (float)calibration.scale;
    out->urgent.bias = (float)(calibration.scale * (double)out->urgent.bias + calibration.offset);
    return 0;
}

static int make(struct urgent_trainer *self, struct solver_weights *weights,
                struct linear_model *out, int8_t **table, struct error *err)
{
    unsigned bits = self->task->settings->urgent_bits;
    if (prepare(self, err) != 0 || solver_weights_init(weights, self->rows, err) != 0)
        return -1;
    *table = calloc((size_t)1 << bits, 1);
    if (!*table)
        return error_set(err, ERROR_SYSTEM, "no memory for a table");
    out->urgent_bits = bits;
    out->urgent_weights = *table;
    return train_all(self, out, *table, weights, err);
}

int urgent_head_train(const struct head_task *task, struct linear_model *out, int8_t **table,
                      struct error *err)
{
    struct urgent_trainer self = { .task = task };
    struct solver_weights weights = { 0 };
    int rc = make(&self, &weights, out, table, err);
    solver_weights_clear(&weights);
    clear(&self);
    return rc;
}
