#include "train/solver.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linear.h>

#define STOP_AT 1.0

struct solver_rows {
    size_t hashed; /* slots that hashes fall into */
    size_t slots;  /* with those behind them */
    struct feature_node **rows;
    size_t count;
    size_t room;
    double *favour; /* by slot: what its values were multiplied by; NULL: nothing was */
};

const char *solver_name(void)
{
    return "liblinear, L2-regularised logistic regression (dual), end at 1, seed 1";
}

struct solver_rows *solver_rows_new(unsigned bits, size_t more, struct error *err)
{
    struct solver_rows *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for rows");
        return NULL;
    }
    self->hashed = (size_t)1 << bits;
    self->slots = self->hashed + more;
    return self;
}

void solver_rows_destroy(struct solver_rows **self_p)
{
    struct solver_rows *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->rows[i]);
    free((void *)self->rows);
    free(self->favour);
    free(self);
    *self_p = NULL;
}

static int make_room(struct solver_rows *self, struct error *err)
{
    enum { FIRST = 1024 };
    if (self->count < self->room)
        return 0;
    size_t room = self->room == 0 ? FIRST : 2 * self->room;
    void *rows = reallocarray((void *)self->rows, room, sizeof(struct feature_node *));
    if (!rows)
        return error_set(err, ERROR_SYSTEM, "no memory for %zu rows", room);
    self->rows = rows;
    self->room = room;
    return 0;
}

int solver_rows_add(struct solver_rows *self, const struct solver_entry *entries, size_t count,
                    struct error *err)
{
    if (make_room(self, err) != 0)
        return -1;
    struct feature_node *row = calloc(count + 2, sizeof *row); /* the bias and the end */
    if (!row)
        return error_set(err, ERROR_SYSTEM, "no memory for a row of %zu entries", count);
    for (size_t i = 0; i < count; i++)
        row[i] = (struct feature_node){ (int)entries[i].slot + 1, (double)entries[i].value };
    row[count] = (struct feature_node){ (int)self->slots + 1, 1 };
    row[count + 1].index = -1;
    self->rows[self->count++] = row;
    return 0;
}

int solver_rows_favour_rare(struct solver_rows *self, double power, struct error *err)
{
    assert(!self->favour);
    self->favour = calloc(self->slots + 1, sizeof *self->favour); /* the last: the bias */
    if (!self->favour)
        return error_set(err, ERROR_SYSTEM, "no memory to weigh %zu slots", self->slots);
    for (size_t i = 0; i < self->count; i++) {
        for (const struct feature_node *node = self->rows[i]; node->index != -1; node++)
            self->favour[node->index - 1] += 1;
    }
    for (size_t i = 0; i < self->hashed; i++)
        self->favour[i] = pow(log(((double)self->count + 1) / (self->favour[i] + 1)) + 1, power);
    for (size_t i = self->hashed; i <= self->slots; i++)
        self->favour[i] = 1;
    for (size_t i = 0; i < self->count; i++) {
        for (struct feature_node *node = self->rows[i]; node->index != -1; node++)
            node->value *= self->favour[node->index - 1];
    }
    return 0;
}

void solver_rows_silence(struct solver_rows *self, const bool *is_silent)
{
    for (size_t i = 0; i < self->count; i++) {
        for (struct feature_node *node = self->rows[i]; node->index != -1; node++) {
            size_t slot = (size_t)node->index - 1;
            if (slot >= self->hashed && slot < self->slots && is_silent[slot - self->hashed])
                node->value = 0;
        }
    }
}

static double favour_of(const struct solver_rows *self, size_t slot)
{
    return self->favour ? self->favour[slot] : 1;
}

size_t solver_rows_count(const struct solver_rows *self)
{
    return self->count;
}

int solver_weights_init(struct solver_weights *self, const struct solver_rows *rows,
                        struct error *err)
{
    self->bias = 0;
    self->by_slot = calloc(rows->slots, sizeof *self->by_slot);
    return self->by_slot ? 0 : error_set(err, ERROR_SYSTEM, "no memory for weights");
}

void solver_weights_clear(struct solver_weights *self)
{
    free(self->by_slot);
    self->by_slot = NULL;
}

static void say_nothing(const char *text)
{
    (void)text;
}

/* Takes each example as often as it says. */
static int lay_out(const struct solver_rows *rows, const struct solver_example *examples,
                   size_t count, struct problem *problem, struct error *err)
{
    size_t total = 0;
    size_t positive = 0;
    for (size_t i = 0; i < count; i++) {
        total += examples[i].times;
        positive += examples[i].is_positive ? examples[i].times : 0;
    }
    if (positive == 0 || positive == total)
        return error_set(err, ERROR_INVALID,
                         "nothing to learn from: %zu examples, %zu of them positive", total,
                         positive);
    *problem = (struct problem){ .n = (int)rows->slots + 1, .bias = 1 };
    problem->x = calloc(total, sizeof(struct feature_node *));
    problem->y = calloc(total, sizeof *problem->y);
    if (!problem->x || !problem->y)
        return error_set(err, ERROR_SYSTEM, "no memory for %zu examples", total);
    for (size_t i = 0; i < count; i++) {
        for (unsigned n = 0; n < examples[i].times; n++) {
            problem->x[problem->l] = rows->rows[examples[i].row];
            problem->y[problem->l++] = examples[i].is_positive ? 1 : -1;
        }
    }
    return 0;
}

static void take_weights(const struct model *model, const struct solver_rows *rows,
                         struct solver_weights *out)
{
    double sign = model->label[0] == 1 ? 1 : -1; /* its first label counts as positive */
    for (size_t i = 0; i < rows->slots; i++)
        out->by_slot[i] = (float)(sign * model->w[i] * favour_of(rows, i));
    out->bias = (float)(sign * model->w[rows->slots]);
}

static int run(const struct problem *problem, const struct solver_costs *costs,
               const struct solver_rows *rows, struct solver_weights *out, struct error *err)
{
    enum { SEED = 1 };
    int label = 1;
    double weight = costs->positive;
    struct parameter parameter = { .solver_type = L2R_LR_DUAL,
                                   .eps = STOP_AT,
                                   .C = costs->c,
                                   .nr_weight = 1,
                                   .weight_label = &label,
                                   .weight = &weight };
    const char *wrong = check_parameter(problem, &parameter);
    if (wrong)
        return error_set(err, ERROR_INVALID, "liblinear refuses: %s", wrong);
    srand(SEED); // NOLINT(cert-msc32-c,cert-msc51-cpp): liblinear draws its order from it, the same
                 // each time
    set_print_string_function(say_nothing);
    struct model *model = train(problem, &parameter);
    if (!model)
        return error_set(err, ERROR_SYSTEM, "no memory to train");
    take_weights(model, rows, out);
    free_and_destroy_model(&model);
    return 0;
}

int solver_train(const struct solver_rows *rows, const struct solver_example *examples,
                 size_t count, const struct solver_costs *costs, struct solver_weights *out,
                 struct error *err)
{
    struct problem problem = { 0 };
    int rc = lay_out(rows, examples, count, &problem, err);
    if (rc == 0)
        rc = run(&problem, costs, rows, out, err);
    free((void *)problem.x);
    free(problem.y);
    return rc;
}

float solver_score(const struct solver_rows *rows, size_t row, const struct solver_weights *weights)
{
    double sum = 0;
    const struct feature_node *node = rows->rows[row];
    for (; node[1].index != -1; node++)
        sum += node->value / favour_of(rows, (size_t)node->index - 1) *
               (double)weights->by_slot[node->index - 1];
    return (float)(sum + (double)weights->bias);
}
