#include "train/train.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/corpus.h"
#include "train/heads.h"
#include "train/report.h"
#include "train/solver.h"
#include "triage/features.h"
#include "triage/model_file.h"

struct tables {
    int8_t *urgent;
    int8_t *topics;
    int8_t *language;
};

static void free_tables(struct tables *tables)
{
    free(tables->urgent);
    free(tables->topics);
    free(tables->language);
}

static void close_stream(FILE **stream_p)
{
    if (*stream_p)
        (void)fclose(*stream_p);
}

static void free_text(char **text_p)
{
    free(*text_p);
}

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static json_t *settings_record(const struct train_settings *settings)
{
    json_t *record = json_object();
    for (size_t i = 0; train_settings_name(i); i++)
        (void)json_object_set_new(record, train_settings_name(i),
                                  json_real(train_settings_value(settings, i)));
    return record;
}

/* What must be known to make the same file again. */
static char *record_of(const struct corpus *corpus, const struct train_options *options,
                       const struct train_settings *settings)
{
    AUTO(drop_json)
    json_t *record =
        json_pack("{s:s, s:s, s:i, s:s, s:O, s:o}", "edition", options->date, "rules",
                  corpus->rules_edition, "features", (int)FEATURES_VERSION, "solver", solver_name(),
                  "files", corpus->files, "settings", settings_record(settings));
    return record ? json_dumps(record, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
}

static int train_heads(const struct head_task *task, struct linear_model *model,
                       struct tables *tables, struct error *err)
{
    model->category_count = task->corpus->category_count;
    memcpy(model->categories, task->corpus->categories, sizeof model->categories);
    if (urgent_head_train(task, model, &tables->urgent, err) != 0)
        return error_wrap(err, "the urgent head");
    if (topic_heads_train(task, model, &tables->topics, err) != 0)
        return error_wrap(err, "the category heads");
    if (language_head_train(task, model, &tables->language, err) != 0)
        return error_wrap(err, "the language head");
    return 0;
}

int train_model(const struct train_options *options, struct error *err)
{
    assert(options && options->date && options->out && err);
    AUTO(close_stream) FILE *nowhere = options->report ? NULL : fopen("/dev/null", "we");
    FILE *report = options->report ? options->report : nowhere;
    if (!report)
        return error_set(err, ERROR_SYSTEM, "cannot open /dev/null");
    const struct train_settings *settings =
        options->settings ? options->settings : &train_settings_usual;
    AUTO(corpus_destroy) struct corpus *corpus = corpus_load(options, err);
    if (!corpus)
        return -1;
    struct head_task task = { corpus, settings, report };
    AUTO(free_tables) struct tables tables = { 0 };
    struct linear_model model = { 0 };
    if (train_heads(&task, &model, &tables, err) != 0 ||
        report_held_out(corpus, &model, task.report, err) != 0)
        return -1;
    AUTO(free_text) char *record = record_of(corpus, options, settings);
    if (!record)
        return error_set(err, ERROR_SYSTEM, "no memory for the training record");
    return model_file_write(options->out, &model, options->date, record, err);
}
