#include "classify/rule_loader.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct rule_loader {
    const char *directory;
    struct triage_options options;
    pthread_t thread;
    bool is_running;
    bool is_asked_again;
    atomic_bool is_finished; /* then the thread touches the two below no more */
    struct triage *result;
    struct error err;
};

struct rule_loader *rule_loader_new(const char *directory, const struct triage_options *options,
                                    struct error *err)
{
    struct rule_loader *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to load rules");
        return NULL;
    }
    self->directory = directory;
    self->options = *options;
    return self;
}

static void *load(void *arg)
{
    struct rule_loader *self = arg;
    pthread_setname_np(pthread_self(), "rules");
    struct rule_set *rules = rule_set_load(self->directory, &self->err);
    if (rules)
        self->result = triage_new(&rules, &self->options, &self->err);
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
    self->err = (struct error){ 0 };
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
                                        struct error *err)
{
    assert(self && out && err);
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
