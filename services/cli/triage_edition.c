#include "cli/triage_edition.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct triage_edition {
    struct triage *triage;
    char *channel;
};

static int load(struct triage_edition *self, const struct triage_edition_options *options,
                struct error *err)
{
    struct model_file *model = NULL;
    self->channel = strdup(options->channel ? options->channel : "");
    if (!self->channel)
        return error_set(err, ERROR_SYSTEM, "no memory for an edition of rules");
    if (options->model && !(model = model_file_load(options->model, err)))
        return -1;
    struct rule_set *rules = rule_set_load(options->rules_directory, err);
    if (rules)
        self->triage = triage_new(&rules, &options->triage, err);
    int rc = self->triage ? 0 : -1;
    if (rc == 0 && model)
        rc = triage_take_model(self->triage, &model, err);
    model_file_destroy(&model);
    return rc;
}

struct triage_edition *triage_edition_open(const struct triage_edition_options *options,
                                           struct error *err)
{
    struct triage_edition *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for an edition of rules");
        return NULL;
    }
    if (load(self, options, err) != 0)
        triage_edition_destroy(&self);
    return self;
}

struct triage_edition *triage_edition_open_pair(const char *pair, struct error *err)
{
    char *rules_directory = strdup(pair);
    if (!rules_directory) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for an edition of rules");
        return NULL;
    }
    char *comma = strrchr(rules_directory, ',');
    if (comma)
        *comma = '\0';
    const struct triage_edition_options options = {
        .rules_directory = rules_directory,
        .model = comma ? comma + 1 : NULL,
    };
    struct triage_edition *self = triage_edition_open(&options, err);
    free(rules_directory);
    return self;
}

void triage_edition_destroy(struct triage_edition **self_p)
{
    struct triage_edition *self = *self_p;
    if (!self)
        return;
    triage_destroy(&self->triage);
    free(self->channel);
    free(self);
    *self_p = NULL;
}

static int64_t now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* it cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void triage_edition_judge(struct triage_edition *self, const char *text, struct verdict *out,
                          int64_t *took_ns)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)text; /* read, not changed */
    event.channel = self->channel;
    int64_t started_ns = now_ns();
    triage_judge(self->triage, &event, out);
    if (took_ns)
        *took_ns = now_ns() - started_ns;
}

const struct rule_set *triage_edition_rules(const struct triage_edition *self)
{
    return triage_rules(self->triage);
}

const struct rule *triage_edition_rule(const struct triage_edition *self, const char *id)
{
    const struct rule_set *rules = triage_rules(self->triage);
    for (size_t i = 0; i < rule_set_count(rules); i++) {
        const struct rule *rule = rule_set_rule(rules, i);
        if (strcmp(rule->id, id) == 0)
            return rule;
    }
    return NULL;
}

json_t *triage_edition_describe(const struct triage_edition *self)
{
    const struct model *model = triage_model(self->triage);
    return json_pack("{s:s, s:s?}", "rules", rule_set_edition(triage_rules(self->triage)), "model",
                     model ? model->edition : NULL);
}
