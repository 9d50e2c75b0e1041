#include "train/report.h"

#include <stdlib.h>

#include "train/calibrate.h"

enum { LENGTHS = 7 };

static void free_scored(struct scored **scored_p)
{
    free(*scored_p);
}

static size_t take(const struct corpus *corpus, const struct linear_model *model,
                   enum corpus_kind kind, struct scored *out)
{
    size_t count = 0;
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_row *row = &corpus->rows[i];
        if (row->kind != kind || !row->is_held_out || row->urgent == CORPUS_UNKNOWN)
            continue;
        struct model_opinion opinion;
        (void)linear_model_judge(model, row->text, row->length, &row->evidence, &opinion);
        out[count++] = (struct scored){ opinion.urgent, row->urgent == CORPUS_YES };
    }
    return count;
}

static void report_urgent(const struct corpus *corpus, const struct linear_model *model,
                          struct scored *scored, FILE *out)
{
    static const struct {
        enum corpus_kind kind;
        const char *name;
    } kinds[] = {
        { CORPUS_DIRECT, "help, direct" },
        { CORPUS_HELP, "help, others" },
        { CORPUS_CHAT, "chat" },
        { CORPUS_BANK, "bank" },
        { CORPUS_WELSH, "welsh" },
        { CORPUS_NOISE, "other noise" },
        { CORPUS_FIGURATIVE, "figurative" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t count = take(corpus, model, kinds[i].kind, scored);
        float review = model->thresholds.review;
        (void)fprintf(out,
                      "held out: %-12s rows %5zu auc %.4f recall %.3f precision %.3f alarms "
                      "%.4f, urgent alarms %.4f\n",
                      kinds[i].name, count, calibrate_auc(scored, count),
                      calibrate_recall(scored, count, review),
                      calibrate_precision(scored, count, review),
                      calibrate_alarms(scored, count, review),
                      calibrate_alarms(scored, count, model->thresholds.urgent));
        if (kinds[i].kind == CORPUS_DIRECT) {
            float limit = calibrate_precision_limit(scored, count, 0.7);
            (void)fprintf(out, "held out: help, direct: recall %.3f where precision is 0.70\n",
                          calibrate_recall(scored, count, limit));
        }
    }
}

static void report_language(const struct corpus *corpus, const struct linear_model *model,
                            FILE *out)
{
    size_t all[LENGTHS + 1] = { 0 };
    size_t right[LENGTHS + 1] = { 0 };
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_row *row = &corpus->rows[i];
        if (row->kind != CORPUS_LANGUAGE || !row->is_held_out || row->words == 0)
            continue;
        struct model_opinion opinion;
        (void)linear_model_judge(model, row->text, row->length, &row->evidence, &opinion);
        size_t length = row->words < LENGTHS ? row->words : LENGTHS;
        all[length]++;
        right[length] += opinion.language == row->language;
    }
    for (size_t i = 1; i <= LENGTHS; i++)
        (void)fprintf(out, "held out: language, %zu%s words: %zu of %zu, %.4f\n", i,
                      i == LENGTHS ? " and more" : "", right[i], all[i],
                      (double)right[i] / (double)all[i]);
}

int report_held_out(const struct corpus *corpus, const struct linear_model *model, FILE *out,
                    struct error *err)
{
    AUTO(free_scored) struct scored *scored = calloc(corpus->count + 1, sizeof *scored);
    if (!scored)
        return error_set(err, ERROR_SYSTEM, "no memory to report");
    report_urgent(corpus, model, scored, out);
    report_language(corpus, model, out);
    return 0;
}
