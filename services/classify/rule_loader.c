#include "classify/rule_loader.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct rule_loader {
    struct triage_source source;
    pthread_t thread;
    bool is_running;
    bool is_asked_again;
    atomic_bool is_finished; /* then the thread touches the two below no more */
    struct triage *result;
    struct error model_err;
    struct error err;
};

static bool has_model(const struct triage_source *source)
{
    return source->model && source->model[0] != '\0';
}

struct triage *triage_source_open(const struct triage_source *source, struct error *model_err,
                                  struct error *err)
{
    assert(source && model_err && err);
    struct triage *triage = NULL;
    struct rule_set *rules = rule_set_load(source->rules_directory, err);
    if (rules)
        triage = triage_new(&rules, &source->options, err);
    if (!triage || !has_model(source))
        return triage;
    AUTO(model_file_destroy) struct model_file *model = model_file_load(source->model, model_err);
    if (model && triage_take_model(triage, &model, model_err) != 0)
        assert(model_err->kind != ERROR_NONE); /* the triage judges by rules alone */
    return triage;
}

uint64_t triage_source_stamp(const struct triage_source *source)
{
    static const uint64_t factor = 0x9E3779B97F4A7C15U;
    uint64_t rules = rule_edition_stamp(source->rules_directory);
    if (rules == 0 || !has_model(source))
        return rules;
    return (rules * factor + model_file_stamp(source->model)) | 1;
}

struct rule_loader *rule_loader_new(const struct triage_source *source, struct error *err)
{
    struct rule_loader *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to load rules");
        return NULL;
    }
    self->source = *source;
    return self;
}

static void *load(void *arg)
{
    struct rule_loader *self = arg;
    pthread_setname_np(pthread_self(), "rules");
    self->result = triage_source_open(&self->source, &self->model_err, &self->err);
    atomic_store(&self->is_finished, true);
    return NULL;
}

int rule_loader_begin(struct rule_loader *self, struct error *err)
{
    if (self->is_running) {
        self->is_asked_again = true;
        return 0;
    }
    self->is_asked_again = false;
    self->err = self->model_err = (struct error){ 0 };
    atomic_store(&self->is_finished, false);
    if (pthread_create(&self->thread, NULL, load, self) != 0)
        return error_set(err, ERROR_SYSTEM, "cannot start the thread that loads rules");
    self->is_running = true;
    return 0;
}

static void finish(struct rule_loader *self)
{
    (void)pthread_join(self->thread, NULL);
    self->is_running = false;
}

enum rule_loader_state rule_loader_poll(struct rule_loader *self, struct triage **out,
                                        struct error *model_err, struct error *err)
{
    assert(self && out && model_err && err);
    if (!self->is_running)
        return RULE_LOADER_IDLE;
    if (!atomic_load(&self->is_finished))
        return RULE_LOADER_BUSY;
    finish(self);
    if (self->is_asked_again) { /* what was loaded is out of date already */
        triage_destroy(&self->result);
        return rule_loader_begin(self, err) == 0 ? RULE_LOADER_BUSY : RULE_LOADER_FAILED;
    }
    *err = self->err;
    *model_err = self->model_err;
    if (!self->result)
        return RULE_LOADER_FAILED;
    *out = self->result;
    self->result = NULL;
    return RULE_LOADER_LOADED;
}

void rule_loader_destroy(struct rule_loader **self_p)
{
    struct rule_loader *self = *self_p;
    if (!self)
        return;
    if (self->is_running)
        finish(self);
    triage_destroy(&self->result);
    free(self);
    *self_p = NULL;
}
